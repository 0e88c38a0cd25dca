"""The subscriptions of a tenant: at rest as bytes, alive while they are looked at.

Owns them by id, oldest first, and their index. A subscription is made of its bytes when it is
matched, read or listed; the last LIVE_MAX of them stay, so that what is triggered again and again
is at hand. There is one object of a subscription at a time, and what the broker changes in it
(status, counters, pending) is kept when it goes back to rest. So nobody holds on to one: whoever
needs it later asks for it again.

Costs: the index and about 350 bytes for each subscription; 0.3 us to get one that is alive,
8 us and more one that is at rest.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from sys import getsizeof
from typing import Final

from _native.subscription_index import SubscriptionIndex
from broker.index_terms import Terms, terms_of
from broker.matcher import SubscriptionMatcher
from broker.packed_subscription import (
    Progress,
    Sections,
    check_rest,
    has_service_path,
    join_sections,
    pack,
    read_condition,
    read_entities,
    read_progress,
    read_sections,
    recall_delivery,
    remembered,
    replace_progress,
    unpack,
)
from ngsi.model import EntityEvent
from ngsi.subscription import Subscription

LIVE_MAX: Final = 8192
"""Subscriptions of a tenant that are alive at once: some 10 MB."""

_slot_of: Final = SubscriptionIndex.slot


@dataclass(slots=True)
class IndexChanges:
    """How often the index of subscriptions changed; counts only (GET /cache/statistics)."""

    inserts: int = 0
    removes: int = 0
    updates: int = 0


class SubscriptionTable:
    """Subscriptions by id. Its length and its order are those of the ids."""

    def __init__(self, live_max: int = LIVE_MAX) -> None:
        self._live_max = live_max
        self.changes = IndexChanges()
        self._matcher = SubscriptionMatcher(self.at)
        self._handles: dict[str, int] = {}  # by id, oldest first
        # By slot of the handle; None where there is no subscription.
        self._ids: list[str | None] = []
        self._packed: list[bytes] = []
        self._packed_bytes = 0
        self._live: OrderedDict[int, Subscription] = OrderedDict()  # by handle, oldest first
        self._service_paths: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._handles)

    def __iter__(self) -> Iterator[str]:
        """The ids, oldest first."""
        return iter(self._handles)

    def get(self, subscription_id: str) -> Subscription | None:
        """The subscription of that id."""
        handle = self._handles.get(subscription_id)
        return None if handle is None else self.at(handle)

    def at(self, handle: int) -> Subscription:
        """The subscription of a handle that `match` gave."""
        subscription = self._live.get(handle)
        if subscription is None:
            slot = _slot_of(handle)
            subscription_id = self._ids[slot]
            assert subscription_id is not None
            subscription = unpack(subscription_id, self._packed[slot])
            self._keep_alive(handle, subscription)
        return subscription

    def match(self, event: EntityEvent) -> list[int]:
        """The handles of the subscriptions that the event triggers, oldest first.

        Status, expiry and throttling are not looked at: they depend on the clock.
        """
        return self._matcher.match(event)

    def progress(self, subscription_id: str) -> Progress | None:
        """What the broker added to the subscription of that id, alive or not."""
        handle = self._handles.get(subscription_id)
        if handle is None:
            return None
        subscription = self._live.get(handle)
        if subscription is None:
            return read_progress(self._packed[_slot_of(handle)])
        return Progress.of(subscription)

    def page(
        self, offset: int, limit: int, service_path: str | None
    ) -> tuple[list[Subscription], int]:
        """A part of those with exactly that service path (None: any), and how many they are."""
        handles: Iterator[int] = iter(self._handles.values())
        total = len(self._handles)
        if service_path is not None:
            number = self._service_paths[service_path]
            if 0 < number < total:
                packed = self._packed
                handles = (
                    handle
                    for handle in handles
                    if has_service_path(packed[_slot_of(handle)], service_path)
                )
            total = number
        page = islice(handles, offset, offset + limit) if offset < total else ()
        return [self.at(handle) for handle in page], total

    def put(self, subscription: Subscription) -> None:
        """Add a subscription, or put a changed one in the place of the former."""
        packed = pack(subscription)
        former = self._handles.get(subscription.id)
        if former is not None:
            # As Orion, which counts a change as its parts, too.
            self._forget(former)
            self.changes.updates += 1
            self.changes.removes += 1
        self.changes.inserts += 1
        terms = terms_of(subscription.condition)
        handle = self._matcher.add(subscription.entities, subscription.service_path, terms)
        self._insert(subscription.id, subscription.service_path, handle, packed)
        self._keep_alive(handle, subscription)

    @property
    def last_id(self) -> str:
        """The id of the youngest; empty without any."""
        return next(reversed(self._handles), "")

    def at_rest(self) -> Iterator[tuple[str, Sections]]:
        """Ids and sections of all, oldest first, where none was alive so far."""
        for subscription_id, handle in self._handles.items():
            yield subscription_id, read_sections(self._packed[_slot_of(handle)])

    def restore(self, subscription_id: str, sections: Sections) -> None:
        """Add a subscription that stays at rest.

        Raises BadRequest, LookupError, TypeError or ValueError for one that cannot be read.
        """
        service_path = sections.service_path.decode()
        entities = read_entities(sections.entities)
        terms = _recall_terms(sections.condition)
        recall_delivery(sections.notification)
        if sections.rest:
            check_rest(sections.rest)
        handle = self._matcher.add(entities, service_path, terms)
        self._insert(subscription_id, service_path, handle, join_sections(sections))
        self.changes.inserts += 1

    def remove(self, subscription_id: str) -> None:
        """Forget the subscription of that id, which is there."""
        self._forget(self._handles[subscription_id])
        del self._handles[subscription_id]
        self.changes.removes += 1

    def memory_bytes(self) -> tuple[int, int]:
        """Bytes of the index, and of the subscriptions at rest."""
        return self._matcher.memory_bytes(), self._packed_bytes

    def _insert(self, subscription_id: str, service_path: str, handle: int, packed: bytes) -> None:
        slot = _slot_of(handle)
        while slot >= len(self._ids):
            self._ids.append(None)
            self._packed.append(b"")
        self._handles[subscription_id] = handle
        self._ids[slot] = subscription_id
        self._packed[slot] = packed
        self._packed_bytes += getsizeof(packed)
        self._service_paths[service_path] += 1

    def _forget(self, handle: int) -> None:
        slot = _slot_of(handle)
        packed = self._packed[slot]
        sections = read_sections(packed)
        self._matcher.remove(handle, read_entities(sections.entities))
        self._live.pop(handle, None)
        self._ids[slot] = None
        self._packed[slot] = b""
        self._packed_bytes -= getsizeof(packed)
        service_path = sections.service_path.decode()
        self._service_paths[service_path] -= 1
        if not self._service_paths[service_path]:
            del self._service_paths[service_path]

    def _keep_alive(self, handle: int, subscription: Subscription) -> None:
        live = self._live
        live[handle] = subscription
        if len(live) > self._live_max:
            handle, subscription = live.popitem(last=False)
            slot = _slot_of(handle)
            former = self._packed[slot]
            packed = self._packed[slot] = replace_progress(former, Progress.of(subscription))
            self._packed_bytes += len(packed) - len(former)


@remembered
def _recall_terms(section: bytes) -> Terms:
    return terms_of(read_condition(section))
