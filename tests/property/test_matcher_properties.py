"""The subscription matcher against the exact test of every subscription, under churn.

The blocks of the index are small here, so that a dozen subscriptions reach all its structures.
"""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker.index_terms import terms_of
from broker.matcher import SubscriptionMatcher, is_triggered
from ngsi.errors import BadRequest
from ngsi.geometry import GeoQuery, parse_geojson
from ngsi.json_value import JsonValue
from ngsi.model import AlterationType, Attribute, Entity, EntityEvent, EntitySelector, Metadata
from ngsi.patterns import compile_pattern
from ngsi.query import Query, QueryKind, parse_query
from ngsi.subscription import Condition, Delivery, HttpReceiver, Subscription

DELIVERY = Delivery(HttpReceiver("http://localhost/"))

# Small sets, so that subscriptions and events meet.
IDS = ["Room1", "Room2", "Car1", "Zürich-1", "房間1", "a" * 40, "half\ud800"]
TYPES = ["Room", "Car", "Größe"]
NAMES = ["temperature", "humidity", "state", "when", "dateCreated", "ñ"]
PATHS = ["/", "/a", "/a/b", "/ab"]
STEPS = ["x", "0", "1", "01", "y"]
METADATA = ["unit", "at", "dateModified"]
DAYS = ["2024-02-29T00:00:00.000Z", "2024-03-01T12:30:15.250Z", "1970-01-01T00:00:00.000Z"]
# Around 2**53 doubles cannot tell whole numbers apart; 10**400 is no double at all.
NUMBERS = [0, 1, 2, 3, 2.5, -1, 0.1, 1e-300, -0.0, 2**53 - 1, 2**53, 2**53 + 1, -(2**60), 10**400]
TEXTS = ["on", "off", "", "true", "Zürich", "2", "2024-02-29", "half\ud800", "z" * 30]
INSTANTS = [*DAYS, "2024-02-29", "2024-02-30T00:00:00.000Z", "noon"]
OPERATORS = ["==", "!=", "<", "<=", ">", ">=", ":", "~="]

scalars = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.booleans(),
    st.none(),
    st.integers(0, 4),
    st.floats(-3, 3, width=32),
)
values: st.SearchStrategy[JsonValue] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(STEPS), inner, max_size=2)
    ),
    max_leaves=4,
)
dated_values = st.sampled_from(INSTANTS) | st.none() | st.lists(st.sampled_from(DAYS), max_size=2)
names = st.sampled_from(NAMES)
name_sets = st.frozensets(names)

operand_texts = st.one_of(
    st.sampled_from(["0", "1", "2", "2.5", "-1", "0.1", "9007199254740991", "9007199254740993"]),
    st.sampled_from(["on", "off", "Zürich", "true", "false", "null", "'2'", "'true'", "'on'"]),
    st.sampled_from(["2024-02-29", "1970-01-01T00:00:00Z", "2024-03-01T12:30:15.25Z"]),
)
operands = st.one_of(
    operand_texts,
    st.tuples(operand_texts, operand_texts).map("..".join),
    st.lists(operand_texts, min_size=2, max_size=4).map(",".join),
)
paths = st.lists(st.sampled_from(STEPS), max_size=2).map(
    lambda steps: "".join(map(".".__add__, steps))
)


@st.composite
def statements(draw: st.DrawFn, kind: QueryKind, attributes: st.SearchStrategy[str]) -> str:
    """A statement that can be parsed."""
    left = draw(attributes)
    if kind == "mq":
        left += "." + draw(st.sampled_from(METADATA))
    left += draw(st.just("") | paths)
    form = draw(st.integers(0, 5))
    if form == 0:
        return left
    if form == 1:
        return "!" + left
    statement = left + draw(st.sampled_from(OPERATORS)) + draw(operands)
    try:
        parse_query(statement, kind)
    except BadRequest:
        return left
    return statement


def queries(kind: QueryKind) -> st.SearchStrategy[Query]:
    return st.lists(statements(kind, names), min_size=1, max_size=3).map(
        lambda texts: parse_query(";".join(texts), kind)
    )


GEO_QUERIES = [
    GeoQuery.parse("near;maxDistance:1000", "point", "40.4,-3.7"),
    GeoQuery.parse("near;minDistance:500", "point", "40.4,-3.7"),
    GeoQuery.parse("near;maxDistance:200000", "point", "10,180"),
    GeoQuery.parse("coveredBy", "box", "40.3,-3.8;40.5,-3.6"),
    GeoQuery.parse("intersects", "polygon", "40,-4;41,-4;41,-3;40,-4"),
    GeoQuery.parse("disjoint", "box", "40.3,-3.8;40.5,-3.6"),
    GeoQuery.parse("equals", "point", "40.4,-3.7"),
]
SHAPES = [
    parse_geojson({"type": "Point", "coordinates": [-3.7, 40.4]}),
    parse_geojson({"type": "Point", "coordinates": [-3.705, 40.4]}),
    parse_geojson({"type": "Point", "coordinates": [-179.5, 10.0]}),
    parse_geojson({"type": "LineString", "coordinates": [[-3.9, 40.4], [-3.5, 40.4]]}),
    parse_geojson({"type": "LineString", "coordinates": [[179.9, 10.0], [-179.9, 10.0]]}),
]

id_patterns = st.sampled_from([".*", "^Room", "1$", "ü", "half", "[0-9]"]).map(compile_pattern)
type_patterns = st.sampled_from([".*", "^R", "ar", "ö"]).map(compile_pattern)
selectors = st.builds(
    lambda by_id, by_type: EntitySelector(**by_id, **by_type),
    st.one_of(
        st.sampled_from(IDS).map(lambda text: {"id": text}),
        id_patterns.map(lambda pattern: {"id_pattern": pattern}),
    ),
    st.one_of(
        st.just({}),
        st.sampled_from(TYPES).map(lambda text: {"type": text}),
        type_patterns.map(lambda pattern: {"type_pattern": pattern}),
    ),
)
conditions = st.builds(
    Condition,
    attributes=st.lists(names, max_size=3).map(tuple),
    q=queries("q") | st.none(),
    mq=queries("mq") | st.none(),
    geo=st.none() | st.sampled_from(GEO_QUERIES),
    alteration_types=st.lists(st.sampled_from(AlterationType), unique=True).map(tuple),
    notify_on_metadata_change=st.booleans(),
)
# Many that differ in little: these fill buckets, scopes and strata.
alike_conditions = st.builds(
    Condition,
    attributes=st.sampled_from([(), ("temperature",), ("humidity", "temperature")]),
    q=st.builds(
        "temperature{};humidity{}".format,
        st.sampled_from(["==1..3", ">1", "<3", "==2", "==1,2,3"]),
        st.sampled_from(["==0..2", ">0", "==1", "", "!=3", "==0.5..2.5"]),
    ).map(lambda text: parse_query(text, "q")),
    geo=st.none() | st.sampled_from(GEO_QUERIES[:4]),
)


def subscribe(
    entities: st.SearchStrategy[tuple[EntitySelector, ...]], condition: st.SearchStrategy[Condition]
) -> st.SearchStrategy[Subscription]:
    return st.builds(
        Subscription,
        id=st.just("5f0000000000000000000000"),
        service_path=st.sampled_from([*PATHS, "/#", "/a/#"]),
        entities=entities,
        condition=condition,
        delivery=st.just(DELIVERY),
    )


subscriptions = subscribe(st.lists(selectors, min_size=1, max_size=3).map(tuple), conditions)
alike_subscriptions = subscribe(
    st.sampled_from(
        [(EntitySelector(type="Room"),), (EntitySelector(type="Room"), EntitySelector(id="Room1"))]
    ),
    alike_conditions,
)


@st.composite
def attributes(draw: st.DrawFn) -> Attribute:
    metadata: Metadata = {
        name: {"type": "Text", "value": draw(values)}
        for name in draw(st.sets(st.sampled_from(METADATA), max_size=2))
    }
    if draw(st.integers(0, 3)) == 0:
        metadata["at"] = {"type": "DateTime", "value": draw(dated_values)}
    if draw(st.integers(0, 3)) == 0:
        return Attribute("DateTime", draw(dated_values), metadata, 0.0, 1.5)
    return Attribute("Number", draw(values | st.integers(0, 3)), metadata, 2.0, 2.0)


@st.composite
def events(draw: st.DrawFn) -> EntityEvent:
    held = {name: draw(attributes()) for name in draw(name_sets)}
    if draw(st.booleans()):
        held["temperature"] = Attribute("Number", draw(st.integers(0, 4)), {}, 0.0, 0.0)
        held["humidity"] = Attribute("Number", draw(st.integers(0, 4)), {}, 0.0, 0.0)
    entity = Entity(
        draw(st.sampled_from([*IDS, "Unknown"])),
        draw(st.sampled_from([*TYPES, "Thing"])),
        draw(st.sampled_from([*PATHS, "/b"])),
        held,
        draw(st.sampled_from([0.0, 1709164800.0])),
        1.5,
        0,
    )
    entity.shapes = tuple(draw(st.lists(st.sampled_from(SHAPES), max_size=2)))
    updated = draw(name_sets)
    return EntityEvent(
        entity,
        held,
        draw(st.sampled_from(AlterationType)),
        updated,
        updated & draw(name_sets),
        draw(st.sampled_from([updated, frozenset[str]()])),
    )


def add_to(matcher: SubscriptionMatcher, subscription: Subscription) -> int:
    terms = terms_of(subscription.condition)
    return matcher.add(subscription.entities, subscription.service_path, terms)


class MatcherModel(RuleBasedStateMachine):
    """The matcher beside the subscriptions that are in it."""

    def __init__(self) -> None:
        super().__init__()
        self.present: dict[int, Subscription] = {}
        self.matcher = SubscriptionMatcher(self.present.__getitem__, block=8)
        self.removed: list[int] = []

    def add(self, subscription: Subscription) -> int:
        handle = add_to(self.matcher, subscription)
        assert all(handle > other for other in (*self.present, *self.removed))
        self.present[handle] = subscription
        return handle

    @rule(subscription=subscriptions)
    def add_one(self, subscription: Subscription) -> None:
        self.add(subscription)

    @rule(many=st.lists(alike_subscriptions, min_size=5, max_size=30))
    def add_alike(self, many: list[Subscription]) -> None:
        for subscription in many:
            self.add(subscription)

    @rule(keep=st.integers(1, 5), first=st.integers(0, 8))
    def remove_some(self, keep: int, first: int) -> None:
        for handle in list(self.present)[first::keep]:
            entities = self.present.pop(handle).entities
            assert self.matcher.remove(handle, entities)
            assert not self.matcher.remove(handle, entities)
            self.removed.append(handle)

    @rule(found=st.lists(events(), min_size=1, max_size=6))
    def match(self, found: list[EntityEvent]) -> None:
        for event in found:
            assert self.matcher.match(event) == [
                handle for handle, item in self.present.items() if is_triggered(item, event)
            ]

    @invariant()
    def holds_together(self) -> None:
        self.matcher.check()
        assert len(self.matcher) == len(self.present)


MatcherModel.TestCase.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
TestMatcherModel = MatcherModel.TestCase


@settings(deadline=None)
@given(st.lists(subscriptions, max_size=12), st.lists(events(), min_size=1, max_size=4))
def test_index_finds_what_a_walk_finds(known: list[Subscription], found: list[EntityEvent]) -> None:
    present: dict[int, Subscription] = {}
    matcher = SubscriptionMatcher(present.__getitem__)
    for subscription in known:
        present[add_to(matcher, subscription)] = subscription
    for event in found:
        assert matcher.match(event) == [
            handle for handle, item in present.items() if is_triggered(item, event)
        ]
