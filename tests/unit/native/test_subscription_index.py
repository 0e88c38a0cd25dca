"""The native subscription index by itself: its contract, many members, and what it refuses."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from _native.subscription_index import (
    DATED,
    DEFAULT_BLOCK,
    EQUAL,
    MAX_ATTRIBUTES,
    MAX_PREDICATES,
    NEGATED,
    NUMBER_RANGE,
    ON_CHANGE,
    ON_DELETE,
    ON_METADATA_TOO,
    ONE_OF,
    OPEN_LOW,
    SubscriptionIndex,
)

if TYPE_CHECKING:
    from _native.subscription_index import Predicate

SEED = 20_240_229


@dataclass
class FakeAttribute:
    value: Any
    type: str = "Number"
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class FakeEntity:
    id: str = "Room1"
    type: str = "Room"
    service_path: str = "/"


@dataclass
class FakeEvent:
    attributes: dict[str, Any]
    entity: FakeEntity = field(default_factory=FakeEntity)
    updated: frozenset[str] = frozenset()
    changed_values: frozenset[str] = frozenset()
    changed_metadata: frozenset[str] = frozenset()


def make_index(block: int = DEFAULT_BLOCK) -> SubscriptionIndex:
    return SubscriptionIndex({"DateTime"}, lambda text: None, block=block)


def event_of(**values: Any) -> FakeEvent:
    changed = frozenset(values)
    return FakeEvent(
        {name: FakeAttribute(value) for name, value in values.items()},
        updated=changed,
        changed_values=changed,
    )


def number_range(name: str, low: float | None, high: float | None, flags: int = 0) -> Predicate:
    return name, None, (), NUMBER_RANGE, flags, low, high


def add(index: SubscriptionIndex, *predicates: Predicate, attributes: tuple[str, ...] = ()) -> int:
    trigger = ON_METADATA_TOO
    return index.add([("Room1", "Room")], attributes, trigger, "/#", predicates, (), None, False)


def matched(index: SubscriptionIndex, event: FakeEvent) -> list[int]:
    sure, unsure = index.match(event, ON_CHANGE, (), (), (), ())
    assert unsure == []
    return sure


def test_handles_grow_and_are_never_given_again() -> None:
    index = make_index()
    handles = []
    for _ in range(300):
        handle = add(index)
        handles.append(handle)
        if len(handles) % 3 == 0:
            assert index.remove(handle)
            assert handle not in index
            assert not index.remove(handle)
    assert handles == sorted(set(handles))
    assert matched(index, event_of(x=1)) == [
        handle for place, handle in enumerate(handles, 1) if place % 3
    ]
    index.check()


@pytest.mark.parametrize("widths", ["alike", "of many sizes", "none"])
def test_many_ranges_over_one_attribute(widths: str) -> None:
    """Strata are split while ranges come and go; equal ranges fill many blocks."""
    rng = random.Random(SEED)
    index = make_index()
    present: dict[int, tuple[float, float]] = {}
    for step in range(6000):
        if widths == "alike":
            low, width = rng.choice([10, 20, 20.5]), 5.0
        elif widths == "none":
            low, width = rng.randrange(1000), 0.0
        else:
            low, width = rng.randrange(1000), 2.0 ** rng.uniform(-10, 10)
        high = low + width
        # The second one lets nearly all through: the first is what is looked for.
        handle = add(index, number_range("x", low, high), number_range("y", -1e6, 5))
        present[handle] = low, high
        if rng.random() < 0.4:
            handle = rng.choice(list(present)[-500:])
            assert index.remove(handle)
            del present[handle]
        if step % 500 == 0:
            index.check()
    index.check()
    for _ in range(200):
        x = rng.choice([rng.uniform(-5, 1005), rng.randrange(1000), 10, 20.5, 25])
        expected = [handle for handle, (low, high) in present.items() if low <= x <= high]
        assert matched(index, event_of(x=x, y=1)) == expected
        assert matched(index, event_of(x=x, y=6)) == []
    for handle in present:
        assert index.remove(handle)
    index.check()
    assert len(index) == 0


def test_lists_meet_each_range_once() -> None:
    index = make_index(block=8)
    handles = [add(index, number_range("x", low, low + 10, OPEN_LOW)) for low in range(60)]
    assert matched(index, event_of(x=[5, "a", 7.5, None, [6]])) == handles[:8]
    assert matched(index, event_of(x=[])) == []
    index.check()


def test_all_kinds_of_access_under_churn() -> None:
    rng = random.Random(SEED)
    index = make_index(block=8)
    present: dict[int, tuple[str | None, int, int]] = {}
    names = [f"a{number}" for number in range(12)]
    for _ in range(4000):
        name, low, kind = rng.choice(names), rng.randrange(30), rng.randrange(4)
        predicates: list[Predicate]
        if kind == 0:
            predicates, high = [(name, None, (), EQUAL, 0, low, None)], low
        elif kind == 1:
            high = low + 2
            predicates = [(name, None, (), ONE_OF, 0, [low, low + 1, high, low], None)]
        else:
            high = low + rng.randrange(20)
            predicates = [number_range(name, low, high)]
        attributes: tuple[str, ...] = (name, "other") if rng.random() < 0.5 else ()
        if kind == 3:
            attributes = (name,)
        present[add(index, *predicates, attributes=attributes)] = name, low, high
        if len(present) > 1500:
            handle = rng.choice(list(present))
            assert index.remove(handle)
            del present[handle]
    index.check()
    for _ in range(100):
        values = {name: rng.randrange(50) for name in rng.sample(names, 6)}
        expected = [
            handle
            for handle, (name, low, high) in present.items()
            if name in values and low <= values[name] <= high
        ]
        assert matched(index, event_of(**values)) == expected
        assert matched(index, FakeEvent(event_of(**values).attributes)) == []  # nothing changed


def test_a_batch_is_matched_as_its_events_are() -> None:
    index = make_index()
    for low in range(50):
        add(index, number_range("x", low, low + 5))
    events = [event_of(x=x) for x in range(60)]
    batch = index.prepare((event, ON_CHANGE, (), (), (), ()) for event in events)
    assert len(batch) == 60
    single = [index.match(event, ON_CHANGE, (), (), (), ()) for event in events]
    assert index.match_many(batch) == single
    assert index.count_matches(batch) == (sum(len(sure) for sure, _ in single), 0)
    add(index)
    with pytest.raises(ValueError, match="changed"):
        index.match_many(batch)
    assert index.match_many(index.prepare([])) == []


def test_a_deletion_ignores_condition_attributes() -> None:
    index = make_index(block=8)
    handles = [
        index.add([(None, "Room")], (f"a{number}",), ON_DELETE, "/#", (), (), None, False)
        for number in range(40)
    ]
    sure, _ = index.match(FakeEvent({}), ON_DELETE, (), (), (), ())
    assert sure == handles


def test_dates_are_numbers_and_texts_of_their_own() -> None:
    index = make_index()
    day = "2024-02-29T00:00:00.000Z"
    as_date = add(index, ("when", None, (), EQUAL, DATED, day, None))
    as_number = add(index, number_range("when", 1709164800, 1709164800))
    as_text = add(index, ("when", None, (), EQUAL, 0, day, None))
    other = add(index, ("when", None, (), EQUAL, DATED | NEGATED, "x", None))
    dated = FakeEvent(
        {"when": FakeAttribute(day, "DateTime")},
        updated=frozenset({"when"}),
        changed_values=frozenset({"when"}),
    )
    assert matched(index, dated) == [as_date, as_number, other]
    assert matched(index, event_of(when=day)) == [as_text, other]


@pytest.mark.parametrize(
    ("selectors", "attributes", "trigger", "predicates", "boxes"),
    [
        ([], (), 0, (), ()),
        ([(1.5, None)], (), 0, (), ()),
        ([("a", -1)], (), 0, (), ()),
        ([("a", "b")], (), 32, (), ()),
        ([("a", "b")], (), 0, [("x", None, (), 99, 0, None, None)], ()),
        ([("a", "b")], (), 0, [number_range("x", 2**53, None)], ()),
        ([("a", "b")], (), 0, [number_range("x", float("nan"), None)], ()),
        ([("a", "b")], (), 0, [("x", None, (), EQUAL, 0, [1], None)], ()),
        ([("a", "b")], (), 0, [("x", None, (), ONE_OF, 0, ["p", "q", {}], None)], ()),
        ([("a", "b")], ("x",), 0, [number_range("y", 0, 1)], [(1.0, 0.0, 0.0, 1.0)]),
        ([("a", "b")], [f"n{i}" for i in range(MAX_ATTRIBUTES + 1)], 0, (), ()),
        ([("a", "b")], (), 0, [number_range("x", 0, 1)] * (MAX_PREDICATES + 1), ()),
    ],
)
def test_bad_terms_change_nothing(
    selectors: Any, attributes: Any, trigger: int, predicates: Any, boxes: Any
) -> None:
    index = make_index()
    kept = add(index, number_range("x", 0, 1), attributes=("y",))
    before = index.memory_bytes()
    for _ in range(3):
        with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
            index.add(selectors, attributes, trigger, "/", predicates, boxes, None, False)
    index.check()
    assert len(index) == 1
    assert index.memory_bytes() < before + 200_000
    event = event_of(x=1, y=1)
    assert matched(index, event) == [kept]


def test_texts_and_paths_are_forgotten_with_their_last_subscription() -> None:
    index = make_index()
    empty = index.memory_bytes()
    for turn in range(20):
        handles = [
            index.add(
                [(f"entity{turn}-{i}", None)],
                (f"name{turn}-{i}",),
                0,
                f"/path{turn}",
                [(f"other{i}", None, ("a", "0"), EQUAL, 0, f"text{turn}-{i}", None)],
                (),
                None,
                False,
            )
            for i in range(100)
        ]
        index.check()
        for handle in handles:
            assert index.remove(handle)
        index.check()
    # The second turn and those after it live in what the first one took.
    assert index.memory_bytes() < empty + 200_000
