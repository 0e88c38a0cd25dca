"""From an event to the subscriptions that hear of it, and back to their counters.

Owns what is on its way between a change and its commit: a notification leaves only when the
change that triggered it is kept. Counters reach the journal a second later, except the end of
a oneshot subscription, which is part of the change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from _native.publishing import Publications
from broker import records
from broker.messages import Message, MessageFactory, MessageRules
from broker.notifier import Outcome
from broker.origin import Origin
from broker.outbox import DeliveryRules, KeptNotification, Outbox
from broker.packed_subscription import Progress
from broker.ports import JournalPort, NotifierPort
from broker.tenant import Tenant
from ngsi.macros import MacroError
from ngsi.model import AlterationType, Entity, EntityEvent
from ngsi.subscription import HttpReceiver, Subscription, SubscriptionStatus

_log = logging.getLogger("rigel.publisher")

# Notifications between their change and its commit, of all turns of the loop together.
MAX_WAITING: Final = 100_000
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
QUEUE_IS_FULL: Final = "notification queue is full"
CANNOT_BE_KEPT: Final = "no room to keep the notification"


class Publisher(Publications):
    """The notifications of an engine."""

    def __init__(
        self,
        journal: JournalPort,
        notifier: NotifierPort,
        clock: Callable[[], float],
        rules: MessageRules,
        delivery_rules: DeliveryRules,
        tenants: Mapping[str, Tenant],
    ) -> None:
        super().__init__(
            committed=journal.committed,
            clock=clock,
            tenants=tenants,
            active=SubscriptionStatus.ACTIVE,
            rules=rules,
            make_drafts=MessageFactory,
            waiting_max=MAX_WAITING,
            waiting_bytes_max=MAX_WAITING_BYTES,
        )
        self._journal = journal
        self._notifier = notifier
        self._clock = clock
        self._rules = rules
        self._tenants = tenants
        self.outbox = Outbox(journal, notifier, clock, delivery_rules, tenants, self.record)
        self.dropped = 0  # notifications that were not made, as too many wait for their commit

    @property
    def has_progress(self) -> bool:
        """Whether counters changed that the journal does not have."""
        return bool(self._progressed) or self.outbox.has_progress

    def publish_one(
        self, subscription: Subscription, messages: MessageFactory, tenant: str, now: float
    ) -> None:
        """Make the notification for one subscription that matches, if there is to be one."""
        if not subscription.is_triggered_now(now):
            return
        originator = subscription.originator
        if originator and originator == messages.correlator:
            return
        self._notify(subscription, messages, tenant, now)

    def publish_current(
        self, tenant: Tenant, origin: Origin, subscription: Subscription, entities: list[Entity]
    ) -> None:
        """Make one notification of the state of entities, one at least, for one subscription."""
        nothing: frozenset[str] = frozenset()
        first, *others = [
            EntityEvent(entity, entity.attributes, AlterationType.UPDATE, nothing, nothing, nothing)
            for entity in entities
        ]
        messages = MessageFactory(first, origin, self._rules, self.record)
        messages.show_together(subscription, others)
        self._notify(subscription, messages, tenant.name, self._clock())

    def _notify(
        self, subscription: Subscription, messages: MessageFactory, tenant: str, now: float
    ) -> None:
        try:
            message = self._make(messages, subscription, tenant)
        except MacroError as error:
            _log.error("Notification (subId: %s) not sent: %s", subscription.id, error)
            self._count_failure(subscription, tenant, str(error))
            return
        except Exception:
            # One subscription's trouble is not that of the others, nor of the update.
            _log.exception("Notification (subId: %s) not sent", subscription.id)
            self._count_failure(subscription, tenant, "internal error")
            return
        if message is None:
            return
        kept = None
        if subscription.delivery.durable:
            kept = self.outbox.keep(message)
            if kept is None:
                self._count_failure(subscription, tenant, CANNOT_BE_KEPT)
                return
        counters = subscription.counters
        counters.times_sent += 1
        counters.last_notification = now
        self._progressed[tenant, subscription.id] = None
        if subscription.status is SubscriptionStatus.ONESHOT:
            subscription.status = SubscriptionStatus.INACTIVE
            self._journal_one(tenant, subscription.id, Progress.of(subscription))
        self.hold(kept or message)

    def _make(
        self, messages: MessageFactory, subscription: Subscription, tenant: str
    ) -> Message | None:
        if not messages.passes(subscription):
            return None
        if self._waiting >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES:
            self.dropped += 1
            self._count_failure(subscription, tenant, QUEUE_IS_FULL)
            return None
        return messages.make(subscription, tenant)

    def await_commit(
        self, commit: asyncio.Future[None], batch: list[Message | KeptNotification]
    ) -> None:
        """Send the batch when the commit is done."""
        commit.add_done_callback(partial(self._send, batch))

    def send_kept(self, message: Message) -> bool:
        """Have a notification kept until its receiver took it, and sent after the commit.

        False when there is no room for it.
        """
        if self._waiting >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES:
            self.dropped += 1
            return False
        kept = self.outbox.keep(message)
        if kept is None:
            self.dropped += 1
            return False
        self.hold(kept)
        return True

    async def hand_over(self) -> None:
        """Wait until the notifications of all changes made so far are with the notifier, or
        were dropped."""
        if self._commit is not None:
            await asyncio.wait((self._commit,))
        await asyncio.sleep(0)

    def _send(self, batch: list[Message | KeptNotification], commit: asyncio.Future[None]) -> None:
        self.take_batch(batch)
        if commit.cancelled() or commit.exception() is not None:
            _log.error("%d notifications dropped: their change was not committed", len(batch))
            return
        for message in batch:
            if isinstance(message, KeptNotification):
                self.outbox.add(message)
            elif not self._notifier.send(message):
                outcome = Outcome(at=self._clock(), status=None, failure=QUEUE_IS_FULL)
                self.record(message, outcome)

    def record_failure(self, subscription: Subscription, tenant: str, failure: str) -> None:
        """Count a delivery that failed."""
        # As Orion, a reason is shown for receivers over HTTP alone.
        is_http = isinstance(subscription.delivery.receiver, HttpReceiver)
        self._count_failure(subscription, tenant, failure if is_http else None)

    def _count_failure(self, subscription: Subscription, tenant: str, reason: str | None) -> None:
        counters = subscription.counters
        self._progressed[tenant, subscription.id] = None
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
        """Give the journal the status and counters that changed; it must have been admitted.

        Raises InternalServerError when it takes no more.
        """
        self.outbox.journal_progress()
        progressed: dict[tuple[str, str], None] = self.take_progress()
        for tenant, subscription_id in progressed:
            progress = self._tenants[tenant].subscriptions.progress(subscription_id)
            if progress is not None:  # else it was removed meanwhile
                self._journal_one(tenant, subscription_id, progress)

    def _journal_one(self, tenant: str, subscription_id: str, progress: Progress) -> None:
        self._journal.patch(
            records.subscription_key(tenant, subscription_id),
            records.encode_subscription_progress(progress.status, progress.counters),
        )
