"""From an event to the subscriptions that hear of it, and back to their counters.

Owns what is on its way between a change and its commit: a notification leaves only when the
change that triggered it is kept. Counters reach the journal a second later, except the end of
a oneshot subscription, which is part of the change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from broker import records
from broker.messages import Message, MessageFactory, MessageRules
from broker.notifier import Outcome
from broker.origin import Origin
from broker.ports import JournalPort, NotifierPort
from broker.tenant import Tenant
from ngsi.macros import MacroError
from ngsi.model import EntityEvent
from ngsi.subscription import HttpReceiver, Subscription, SubscriptionStatus

_log = logging.getLogger("rigel.publisher")


class Publisher:
    """The notifications of an engine."""

    def __init__(
        self,
        journal: JournalPort,
        notifier: NotifierPort,
        clock: Callable[[], float],
        rules: MessageRules,
        tenants: Mapping[str, Tenant],
    ) -> None:
        self._journal = journal
        self._notifier = notifier
        self._clock = clock
        self._rules = rules
        self._tenants = tenants
        self._outbox: list[Message] = []
        # With counters not yet journaled, and their tenants.
        self._progressed: dict[Subscription, str] = {}

    @property
    def has_progress(self) -> bool:
        """Whether counters changed that the journal does not have."""
        return bool(self._progressed)

    def publish(self, tenant: Tenant, origin: Origin, event: EntityEvent) -> None:
        """Make the notifications that an event triggers; they leave after its commit."""
        handles = tenant.matcher.match(event)
        if not handles:
            return
        now = self._clock()
        messages = MessageFactory(event, origin, self._rules, self._record)
        for handle in handles:
            subscription = tenant.matcher[handle]
            if not subscription.is_triggered_now(now) or not messages.passes(subscription):
                continue
            try:
                message = messages.make(subscription, tenant.name)
            except MacroError as error:
                _log.error("Notification (subId: %s) not sent: %s", subscription.id, error)
                self._count_failure(subscription, tenant.name, str(error))
                continue
            if message is None:
                continue
            counters = subscription.counters
            counters.times_sent += 1
            counters.last_notification = now
            self._progressed[subscription] = tenant.name
            if subscription.status is SubscriptionStatus.ONESHOT:
                subscription.status = SubscriptionStatus.INACTIVE
                self._journal_one(subscription, tenant.name)
            if not self._outbox:
                # In the next turn, when all of this turn's changes are in the batch.
                asyncio.get_running_loop().call_soon(self._await_commit)
            self._outbox.append(message)

    def _await_commit(self) -> None:
        batch, self._outbox = self._outbox, []
        self._journal.committed().add_done_callback(lambda commit: self._send(commit, batch))

    def _send(self, commit: asyncio.Future[None], batch: list[Message]) -> None:
        if commit.cancelled() or commit.exception() is not None:
            _log.error("%d notifications dropped: their change was not committed", len(batch))
            return
        for message in batch:
            if not self._notifier.send(message):
                outcome = Outcome(
                    at=self._clock(), status=None, failure="notification queue is full"
                )
                self._record(message, outcome)

    def _record(self, message: Message, outcome: Outcome) -> None:
        """Count how a delivery went."""
        tenant = self._tenants.get(message.tenant)
        if tenant is None:
            return
        subscription = tenant.subscriptions.get(message.subscription_id)
        if subscription is None:
            return
        if outcome.failure is None:
            counters = subscription.counters
            self._progressed[subscription] = tenant.name
            counters.last_success = outcome.at
            counters.last_success_code = outcome.status
            counters.fails_counter = 0
        else:
            # As Orion, a reason is shown for receivers over HTTP alone.
            is_http = isinstance(subscription.delivery.receiver, HttpReceiver)
            self._count_failure(subscription, tenant.name, outcome.failure if is_http else None)

    def _count_failure(self, subscription: Subscription, tenant: str, reason: str | None) -> None:
        counters = subscription.counters
        self._progressed[subscription] = tenant
        counters.last_failure = self._clock()
        counters.last_failure_reason = reason
        counters.fails_counter += 1
        limit = subscription.delivery.max_fails_limit
        if (
            limit is not None
            and counters.fails_counter > limit
            and subscription.status is not SubscriptionStatus.INACTIVE
        ):
            subscription.status = SubscriptionStatus.INACTIVE
            _log.warning(
                "Subscription %s automatically disabled due to failsCounter (%d) "
                "overpasses maxFailsLimit (%d)",
                subscription.id,
                counters.fails_counter,
                limit,
            )

    def journal_progress(self) -> None:
        """Give the journal the status and counters that changed; it must have been admitted."""
        progressed, self._progressed = self._progressed, {}
        for subscription, tenant in progressed.items():
            # A subscription that was replaced or removed meanwhile has no record to patch.
            if self._tenants[tenant].subscriptions.get(subscription.id) is subscription:
                self._journal_one(subscription, tenant)

    def _journal_one(self, subscription: Subscription, tenant: str) -> None:
        self._journal.patch(
            records.subscription_key(tenant, subscription.id),
            records.encode_subscription_progress(subscription),
        )
