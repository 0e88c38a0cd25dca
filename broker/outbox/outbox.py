"""The durable notifications of an engine, from the change that triggers them to their receipt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from broker.journal import MAX_KEY_BYTES, MAX_PAYLOAD_BYTES
from broker.messages import Message
from broker.notifier import Notification, Outcome
from broker.outbox.courier import Courier, DeliveryRules
from broker.outbox.kept import KeptNotification, decode_kept, encode_kept
from broker.ports import JournalPort, NotifierPort
from broker.tenant import Tenant
from ngsi.availability import AvailabilitySubscription
from ngsi.errors import InternalServerError
from ngsi.subscription import HttpReceiver, Subscription

MAX_BYTES: Final = 512 * 1024 * 1024
"""Of the notifications of all subscriptions together: they are held in memory."""

_MICROSECONDS: Final = 1_000_000

_Address = tuple[str, str]  # tenant, subscription id


class Outbox:
    """Keeps notifications until they are delivered or given up."""

    def __init__(
        self,
        journal: JournalPort,
        notifier: NotifierPort,
        clock: Callable[[], float],
        rules: DeliveryRules,
        tenants: Mapping[str, Tenant],
        report: Callable[[Message, Outcome], None],
    ) -> None:
        """`report` counts how a try ended: a response that is no success is a failure here."""
        self._journal = journal
        self._notifier = notifier
        self.now = clock
        self._rules = rules
        self._tenants = tenants
        self.report = report
        self._couriers: dict[_Address, Courier] = {}
        self._restored: list[KeptNotification] = []
        self._last_sequence = 0
        self._bytes = 0
        self._unforgotten: list[bytes] = []  # keys of records that the journal did not delete yet
        self._loop: asyncio.AbstractEventLoop | None = None
        self.discarded = 0

    @property
    def pending(self) -> int:
        """Notifications that wait for their receipt, of all subscriptions."""
        return sum(len(courier.backlog) for courier in self._couriers.values())

    def restore(self, tenant: str, identity: list[str], document: bytes) -> None:
        """Take over a record of the journal; raises LookupError, TypeError or ValueError."""
        kept = decode_kept(tenant, identity, document)
        self._restored.append(kept)
        self._last_sequence = max(self._last_sequence, kept.sequence)

    def start(self) -> None:
        """Begin to deliver; on the loop, after all was restored."""
        self._loop = asyncio.get_running_loop()
        restored, self._restored = self._restored, []
        restored.sort(key=lambda kept: kept.sequence)
        for kept in restored:
            self._insert(kept)
        for courier in list(self._couriers.values()):
            courier.run()

    def keep(self, message: Message) -> KeptNotification | None:
        """Give the journal the record of a new notification; None when that takes none now.

        It is to be passed to `add` after the commit.
        """
        now = self.now()
        self._last_sequence = max(self._last_sequence + 1, int(now * _MICROSECONDS))
        kept = KeptNotification(self._last_sequence, now, message)
        document = encode_kept(kept)
        if len(document) > MAX_PAYLOAD_BYTES or self._bytes + kept.size_bytes > MAX_BYTES:
            return None
        try:
            self._journal.admit(len(document) + MAX_KEY_BYTES)
        except InternalServerError:
            return None
        self._journal.put(kept.key, document)
        return kept

    def add(self, kept: KeptNotification) -> None:
        """Deliver a notification whose record is committed."""
        courier = self._insert(kept)
        if courier is not None:
            courier.run()

    def remove(self, tenant: str, subscription_id: str) -> None:
        """Forget what is kept for a subscription, which is removed in this tick."""
        courier = self._couriers.pop((tenant, subscription_id), None)
        if courier is None:
            return
        courier.abandon()
        self._bytes -= courier.backlog.bytes
        for kept in courier.backlog:
            self._delete(kept.key)

    def journal_progress(self) -> None:
        """Delete the records that could not be deleted in time; raises InternalServerError."""
        unforgotten, self._unforgotten = self._unforgotten, []
        while unforgotten:
            try:
                self._journal.admit()
            except InternalServerError:
                self._unforgotten += unforgotten
                raise
            self._journal.delete(unforgotten.pop())

    @property
    def has_progress(self) -> bool:
        """Whether records wait to be deleted."""
        return bool(self._unforgotten)

    def close(self) -> None:
        """Begin no more tries; what is not delivered stays kept for the next start."""
        for courier in self._couriers.values():
            courier.stop()

    # What a courier asks for

    def send(self, message: Message) -> bool:
        """Hand a message to the notifier, towards where its subscription points now."""
        subscription = self._find(message.tenant, message.subscription_id)
        if isinstance(subscription, AvailabilitySubscription):
            message.url = subscription.reference
        elif subscription is not None and subscription.delivery.custom is None:
            receiver = subscription.delivery.receiver
            if isinstance(message, Notification) and isinstance(receiver, HttpReceiver):
                message.url = receiver.url
        return self._notifier.send(message)

    def forget(self, kept: KeptNotification, *, is_delivered: bool) -> None:
        """A notification left the backlog of its courier."""
        message = kept.message
        self._bytes -= kept.size_bytes
        self._delete(kept.key)
        subscription = self._find(message.tenant, message.subscription_id)
        if subscription is not None:
            subscription.pending -= 1
            if not is_delivered:
                subscription.counters.discarded += 1
        self.discarded += not is_delivered

    def _insert(self, kept: KeptNotification) -> Courier | None:
        message = kept.message
        subscription = self._find(message.tenant, message.subscription_id)
        if subscription is None:
            self._delete(kept.key)
            return None
        address = (message.tenant, message.subscription_id)
        courier = self._couriers.get(address)
        if courier is None:
            assert self._loop is not None, "the outbox was not started"
            courier = self._couriers[address] = Courier(self, self._rules, self._loop)
        subscription.pending += 1
        self._bytes += kept.size_bytes
        courier.add(kept)
        return courier

    def _find(
        self, tenant: str, subscription_id: str
    ) -> Subscription | AvailabilitySubscription | None:
        state = self._tenants.get(tenant)
        if state is None:
            return None
        return state.subscriptions.get(subscription_id) or state.availability.get(subscription_id)

    def _delete(self, key: bytes) -> None:
        try:
            self._journal.admit()
        except InternalServerError:
            self._unforgotten.append(key)
        else:
            self._journal.delete(key)
