"""The subscription index against a walk over all subscriptions, under churn."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from broker.matcher import SubscriptionMatcher, is_triggered
from ngsi.model import AlterationType, Attribute, Entity, EntityEvent, EntitySelector
from ngsi.patterns import compile_pattern
from ngsi.query import parse_query
from ngsi.subscription import Condition, Delivery, HttpReceiver, Subscription

IDS = ["Room1", "Room2", "Car1"]
TYPES = ["Room", "Car"]
NAMES = ["temperature", "humidity", "state"]
PATHS = ["/", "/a", "/a/b"]

ids = st.sampled_from(IDS)
types = st.sampled_from(TYPES)
id_patterns = st.sampled_from([".*", "^Room", "1$"]).map(compile_pattern)
type_patterns = st.sampled_from([".*", "^R", "ar"]).map(compile_pattern)
names = st.frozensets(st.sampled_from(NAMES))

selectors = st.builds(
    lambda by_id, by_type: EntitySelector(**by_id, **by_type),
    st.one_of(
        ids.map(lambda text: {"id": text}),
        id_patterns.map(lambda pattern: {"id_pattern": pattern}),
    ),
    st.one_of(
        st.just({}),
        types.map(lambda text: {"type": text}),
        type_patterns.map(lambda pattern: {"type_pattern": pattern}),
    ),
)
conditions = st.builds(
    Condition,
    attributes=names.map(lambda chosen: tuple(sorted(chosen))),
    q=st.sampled_from(["temperature>2", "humidity", "!state"]).map(
        lambda text: parse_query(text, "q")
    )
    | st.none(),
    alteration_types=st.lists(st.sampled_from(AlterationType), unique=True).map(tuple),
    notify_on_metadata_change=st.booleans(),
)
subscriptions = st.builds(
    Subscription,
    id=st.just("5f0000000000000000000000"),
    service_path=st.sampled_from([*PATHS, "/#", "/a/#"]),
    entities=st.lists(selectors, min_size=1, max_size=3).map(tuple),
    condition=conditions,
    delivery=st.just(Delivery(HttpReceiver("http://localhost/"))),
)


@st.composite
def events(draw: st.DrawFn) -> EntityEvent:
    attributes = {
        name: Attribute("Number", draw(st.integers(0, 4)), {}, 0.0, 0.0) for name in draw(names)
    }
    entity = Entity(draw(ids), draw(types), draw(st.sampled_from(PATHS)), attributes, 0.0, 0.0, 0)
    updated = draw(names)
    return EntityEvent(
        entity,
        attributes,
        draw(st.sampled_from(AlterationType)),
        updated,
        updated & draw(names),
        updated & draw(names),
    )


@given(st.lists(subscriptions, max_size=12), st.data())
def test_index_finds_what_a_walk_finds(known: list[Subscription], data: st.DataObject) -> None:
    matcher = SubscriptionMatcher()
    present = {matcher.add(subscription): subscription for subscription in known}
    for handle in (
        data.draw(st.lists(st.sampled_from(sorted(present)), unique=True)) if present else []
    ):
        assert matcher.remove(handle)
        assert not matcher.remove(handle)
        del present[handle]
    assert len(matcher) == len(present)
    for event in data.draw(st.lists(events(), min_size=1, max_size=4)):
        expected = [handle for handle, item in sorted(present.items()) if is_triggered(item, event)]
        assert matcher.match(event) == expected
