"""Which subscriptions an event triggers: the index of subscriptions and the exact test.

One index per tenant. A subscription is posted under each of its selectors: by exact id, else
by exact type, else in the rest; an event looks at three short lists and tests what it finds.
The native matcher takes this place behind the same door.
"""

from __future__ import annotations

from typing import Final

from ngsi.model import AlterationType, EntityEvent
from ngsi.service_path import covers
from ngsi.subscription import Condition, Subscription

# A member of an enumeration costs ten times as much to reach as a global (Python 3.11).
_CHANGE: Final = AlterationType.CHANGE
_UPDATE: Final = AlterationType.UPDATE
_DELETE: Final = AlterationType.DELETE


class SubscriptionMatcher:
    """Subscriptions by handle; `match` gives the handles that an event triggers."""

    def __init__(self) -> None:
        self._subscriptions: dict[int, Subscription] = {}
        self._by_id: dict[str, dict[int, None]] = {}
        self._by_type: dict[str, dict[int, None]] = {}
        self._rest: dict[int, None] = {}
        self._next_handle = 0

    def __len__(self) -> int:
        return len(self._subscriptions)

    def __getitem__(self, handle: int) -> Subscription:
        return self._subscriptions[handle]

    def add(self, subscription: Subscription) -> int:
        """Index a subscription; its selectors and condition must not change while it is in."""
        handle = self._next_handle
        self._next_handle += 1
        self._subscriptions[handle] = subscription
        for selector in subscription.entities:
            if selector.id is not None:
                self._by_id.setdefault(selector.id, {})[handle] = None
            elif selector.type is not None:
                self._by_type.setdefault(selector.type, {})[handle] = None
            else:
                self._rest[handle] = None
        return handle

    def remove(self, handle: int) -> bool:
        """Forget a subscription; False if the handle is unknown."""
        subscription = self._subscriptions.pop(handle, None)
        if subscription is None:
            return False
        for selector in subscription.entities:
            if selector.id is not None:
                _discard(self._by_id, selector.id, handle)
            elif selector.type is not None:
                _discard(self._by_type, selector.type, handle)
            else:
                self._rest.pop(handle, None)
        return True

    def match(self, event: EntityEvent) -> list[int]:
        """The handles of the subscriptions that the event triggers, oldest first.

        Status, expiry and throttling are not looked at: they depend on the clock.
        """
        entity = event.entity
        candidates: set[int] = set(self._rest)
        candidates.update(self._by_id.get(entity.id, ()), self._by_type.get(entity.type, ()))
        subscriptions = self._subscriptions
        return sorted(handle for handle in candidates if is_triggered(subscriptions[handle], event))


def _discard(index: dict[str, dict[int, None]], key: str, handle: int) -> None:
    handles = index.get(key)
    if handles is not None:
        handles.pop(handle, None)
        if not handles:
            del index[key]


def is_triggered(subscription: Subscription, event: EntityEvent) -> bool:
    """The exact test of selectors, service path and condition.

    Source: Orion API, sections "Notification Triggering" and "Subscriptions based in
    alteration type".
    """
    entity = event.entity
    condition = subscription.condition
    return (
        _is_triggered_by_attributes(condition, event)
        and covers(subscription.service_path, entity.service_path)
        and any(selector.matches(entity.id, entity.type) for selector in subscription.entities)
        and (condition.q is None or condition.q.matches(entity, event.attributes))
        and (condition.mq is None or condition.mq.matches(entity, event.attributes))
        and (condition.geo is None or any(map(condition.geo.matches, entity.shapes)))
    )


def _is_triggered_by_attributes(condition: Condition, event: EntityEvent) -> bool:
    alteration = event.alteration
    if (
        alteration is _CHANGE
        and not event.changed_values
        and not condition.notify_on_metadata_change
    ):
        alteration = _UPDATE
    wanted = condition.alteration_types
    on_every_update = _UPDATE in wanted
    if alteration is _DELETE:
        return alteration in wanted
    if alteration is _UPDATE:
        return on_every_update and _concerns(condition, event.updated)
    if alteration is _CHANGE and on_every_update:
        return _concerns(condition, event.updated)
    if wanted and alteration not in wanted:
        return False
    return _concerns(condition, event.changed_values) or (
        condition.notify_on_metadata_change and _concerns(condition, event.changed_metadata)
    )


def _concerns(condition: Condition, names: frozenset[str]) -> bool:
    if not names:
        return False
    return not condition.attributes or not names.isdisjoint(condition.attributes)
