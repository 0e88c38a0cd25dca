"""The matcher: every comparison of queries with every kind of value, as `is_triggered` has it."""

from __future__ import annotations

from itertools import product

import pytest

from broker.index_terms import terms_of
from broker.matcher import SubscriptionMatcher, is_triggered
from ngsi.errors import BadRequest
from ngsi.json_value import JsonValue
from ngsi.model import AlterationType, Attribute, Entity, EntityEvent, EntitySelector
from ngsi.patterns import compile_pattern
from ngsi.query import Query, parse_query
from ngsi.subscription import Condition, Delivery, HttpReceiver, Subscription

DELIVERY = Delivery(HttpReceiver("http://localhost/"))
OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "~="]
OPERANDS = [
    "0",
    "2",
    "2.5",
    "-1",
    "9007199254740991",
    "9007199254740993",
    "1709164800",
    "on",
    "Zürich",
    "'2'",
    "true",
    "null",
    "2024-02-29",
    "1970-01-01T00:00:00Z",
]
# Around 2**53 doubles cannot tell whole numbers apart; 10**400 is no double at all.
NUMBERS = [0, 1, 2, 2.5, -1, -0.0, 1e-300, 2**53 - 1, 2**53, 2**53 + 1, -(2**60), 10**400]
TEXTS = ["on", "off", "", "2", "true", "Zürich", "Zürici", "half\ud800"]
INSTANTS = [
    "2024-02-29T00:00:00.000Z",
    "2024-02-29T00:00:00.001Z",
    "1970-01-01T00:00:00.000Z",
    "2024-02-29",  # not as it is kept, an instant all the same
    "2024-02-30T00:00:00.000Z",
    "noon",
]
SCALARS: list[JsonValue] = [*NUMBERS, *TEXTS, *INSTANTS, True, False, None]


def subscription_of(
    condition: Condition, selector: EntitySelector | None = None, service_path: str = "/#"
) -> Subscription:
    entities = (selector or EntitySelector(id="Room1"),)
    return Subscription("5f0000000000000000000000", service_path, entities, condition, DELIVERY)


def event_of(attribute: Attribute, entity_id: str = "Room1") -> EntityEvent:
    entity = Entity(entity_id, "Room", "/", {"state": attribute}, 0.0, 0.0, 0)
    changed = frozenset({"state"})
    return EntityEvent(entity, entity.attributes, AlterationType.CREATE, changed, changed, changed)


def every_query(left: str, kind: str) -> list[Query]:
    operands = [
        *OPERANDS,
        *map("..".join, product(OPERANDS, repeat=2)),
        *map(",".join, product(OPERANDS, repeat=2)),
    ]
    texts = [left, f"!{left}", *(left + op + operand for op in OPERATORS for operand in operands)]
    queries = []
    for text in texts:
        try:
            queries.append(parse_query(text, "q" if kind == "q" else "mq"))
        except BadRequest:
            continue  # not all of them go together
    return queries


def add(
    matcher: SubscriptionMatcher, known: dict[int, Subscription], subscription: Subscription
) -> int:
    terms = terms_of(subscription.condition)
    handle = matcher.add(subscription.entities, subscription.service_path, terms)
    known[handle] = subscription
    return handle


def assert_same(
    matcher: SubscriptionMatcher, known: dict[int, Subscription], event: EntityEvent
) -> None:
    assert matcher.match(event) == [
        handle for handle, item in known.items() if is_triggered(item, event)
    ]


@pytest.mark.parametrize("block", [8, 100_000])  # with every structure, and with none
@pytest.mark.parametrize(("left", "kind"), [("state", "q"), ("state.x.0", "q"), ("state.at", "mq")])
def test_every_comparison_with_every_value(left: str, kind: str, block: int) -> None:
    known: dict[int, Subscription] = {}
    matcher = SubscriptionMatcher(known.__getitem__, block=block)
    for query in every_query(left, kind):
        condition = Condition(q=query) if kind == "q" else Condition(mq=query)
        add(matcher, known, subscription_of(condition))
    matcher.check()
    for type_name, scalar in product(("Text", "DateTime"), SCALARS):
        for value in (scalar, [scalar, {"x": 1}], [[scalar]], {"x": scalar}, {"x": [scalar, 2]}):
            if kind == "q":
                attribute = Attribute(type_name, value, {}, 0.0, 0.0)
            else:
                metadata = {"at": {"type": type_name, "value": value}}
                attribute = Attribute("Text", "on", metadata, 0.0, 0.0)
            assert_same(matcher, known, event_of(attribute))
    assert_same(matcher, known, event_of(Attribute("Number", [], {}, 0.0, 0.0)))


def test_patterns_come_and_go() -> None:
    """More of them than a set of patterns takes, and again after all were removed."""
    known: dict[int, Subscription] = {}
    matcher = SubscriptionMatcher(known.__getitem__)
    events = [
        event_of(Attribute("Number", 1, {}, 0.0, 0.0), f"Room{number}")
        for number in range(0, 400, 7)
    ]
    for turn in range(3):
        for number in range(300):
            text = [f"^Room{number}", f"{number}$", f"[{number % 10}]{turn}.*"][number % 3]
            selector = EntitySelector(id_pattern=compile_pattern(text))
            add(matcher, known, subscription_of(Condition(), selector))
            if number % 50 == 0:
                assert_same(matcher, known, events[number % len(events)])
        for event in events:
            assert_same(matcher, known, event)
        for handle in list(known)[turn::2]:
            assert matcher.remove(handle, known[handle].entities)
            del known[handle]
        for event in events:
            assert_same(matcher, known, event)
    matcher.check()


def test_a_handle_of_a_removed_subscription_is_unknown() -> None:
    known: dict[int, Subscription] = {}
    matcher = SubscriptionMatcher(known.__getitem__)
    subscription = subscription_of(Condition())
    first = add(matcher, known, subscription)
    assert matcher.remove(first, subscription.entities)
    second = add(matcher, known, subscription)
    assert second > first
    assert not matcher.remove(first, subscription.entities)
    assert len(matcher) == 1
