"""Which subscriptions an event triggers: the index of subscriptions and the exact test.

One index per tenant. The native index finds subscriptions by what their conditions have that
events must have (docs/architecture.md) and decides most of them; `is_triggered` is the
definition of what triggers, and decides those that the index leaves open: regular expressions
in queries, locations that are no points, builtin attributes, numbers too large for doubles.

It must not hold subscriptions: whoever adds them has them by their handles.

Costs with 1 000 000 subscriptions: a few microseconds an event and 2 us for each subscription
that has to be tested, add about 3 us, remove 2 us.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from _native.subscription_index import DEFAULT_BLOCK, SubscriptionIndex
from broker.index_terms import Terms, alteration_code
from broker.pattern_set import PatternSet
from ngsi.geometry import Box, Point, Shape
from ngsi.geometry.paths import Position
from ngsi.instants import DATE_TYPES, parse_instant
from ngsi.model import AlterationType, EntityEvent, EntitySelector
from ngsi.patterns import Pattern
from ngsi.service_path import covers
from ngsi.subscription import Condition, Subscription

# A member of an enumeration costs ten times as much to reach as a global (Python 3.11).
_CHANGE: Final = AlterationType.CHANGE
_UPDATE: Final = AlterationType.UPDATE
_DELETE: Final = AlterationType.DELETE


class SubscriptionMatcher:
    """Handles of subscriptions; `match` gives those that an event triggers."""

    def __init__(self, find: Callable[[int], Subscription], *, block: int = DEFAULT_BLOCK) -> None:
        """`find` gives the subscription of a handle, to be tested exactly.

        `block`: as of SubscriptionIndex; for tests, whose indexes are small.
        """
        self._index = SubscriptionIndex(DATE_TYPES, parse_instant, block=block)
        self._find = find
        self._id_patterns = PatternSet()
        self._type_patterns = PatternSet()

    def __len__(self) -> int:
        return len(self._index)

    def add(self, entities: Iterable[EntitySelector], service_path: str, terms: Terms) -> int:
        """Index a subscription by its selectors, its service path and its condition's terms."""
        return self._index.add(
            [self._side_pair(selector) for selector in entities],
            terms.attributes,
            terms.trigger,
            service_path,
            terms.predicates,
            terms.boxes,
            terms.area,
            terms.verify,
        )

    def remove(self, handle: int, entities: Iterable[EntitySelector]) -> bool:
        """Forget a subscription, which was added with these selectors; False if the handle is
        unknown."""
        if not self._index.remove(handle):
            return False
        for selector in entities:
            id_pattern, type_pattern = _patterns_of(selector)
            if id_pattern is not None:
                self._id_patterns.discard(id_pattern)
            if type_pattern is not None:
                self._type_patterns.discard(type_pattern)
        return True

    def match(self, event: EntityEvent) -> list[int]:
        """The handles of the subscriptions that the event triggers, oldest first.

        Status, expiry and throttling are not looked at: they depend on the clock.
        """
        index = self._index
        entity = event.entity
        positions: Sequence[Position] = ()
        boxes: Sequence[Box] = ()
        if entity.shapes and index.has_places:
            positions, boxes = _places_of(entity.shapes)
        sure, unsure = index.match(
            event,
            alteration_code(event.alteration),
            positions,
            boxes,
            self._id_patterns.find(entity.id),
            self._type_patterns.find(entity.type),
        )
        if unsure:
            sure += [handle for handle in unsure if is_triggered(self._find(handle), event)]
            sure.sort()
        return sure

    def check(self) -> None:
        """Raise RuntimeError if an invariant of the index does not hold; for tests."""
        self._index.check()

    def memory_bytes(self) -> int:
        """Bytes of the native index; it takes time to find out."""
        return self._index.memory_bytes()

    def _side_pair(self, selector: EntitySelector) -> tuple[str | int | None, str | int | None]:
        """The selector for the index: texts, or numbers of patterns, or None for any."""
        id_pattern, type_pattern = _patterns_of(selector)
        return (
            selector.id if id_pattern is None else self._id_patterns.add(id_pattern),
            selector.type if type_pattern is None else self._type_patterns.add(type_pattern),
        )


def _patterns_of(selector: EntitySelector) -> tuple[Pattern | None, Pattern | None]:
    """The patterns that say something: not beside an exact text, not of everything."""
    id_pattern = selector.id_pattern
    if id_pattern is not None and (selector.id is not None or id_pattern.matches_everything):
        id_pattern = None
    type_pattern = selector.type_pattern
    if type_pattern is not None and (selector.type is not None or type_pattern.matches_everything):
        type_pattern = None
    return id_pattern, type_pattern


def _places_of(shapes: tuple[Shape, ...]) -> tuple[Sequence[Position], Sequence[Box]]:
    """The positions of those that are points, boxes around the others."""
    if len(shapes) == 1:
        shape = shapes[0]
        if type(shape) is Point:
            return ((shape.lon, shape.lat),), ()
        return (), shape.bounds
    positions = [(shape.lon, shape.lat) for shape in shapes if type(shape) is Point]
    return positions, [box for shape in shapes if type(shape) is not Point for box in shape.bounds]


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
