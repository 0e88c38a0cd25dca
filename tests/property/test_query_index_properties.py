"""Indexes of attributes that come and go: queries find what a walk over all entities finds."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker import entity_query, index_advisor, index_upkeep
from broker.attribute_index import ENTRY_BYTES, AttributeIndex, is_served
from broker.entity_query import EntityQuery, find_entities
from broker.entity_table import EntityTable
from broker.index_upkeep import IndexUpkeep
from ngsi.json_value import JsonValue
from ngsi.model import Attribute, Entity, EntitySelector
from ngsi.ordering import order_key
from ngsi.query import parse_query
from ngsi.service_path import ServicePathScope

TYPES = ("A", "B")
NAMES = ("v", "w")

scalars = st.sampled_from(
    [
        None,
        False,
        True,
        -3,
        0,
        1,
        1.5,
        2,
        10**15,
        10**15 + 1,
        1577836800,
        "",
        "1",
        "a",
        "b",
        "b" * 1025,
        "true",
        "2020-01-01T00:00:00.000Z",
    ]
)
instants = st.sampled_from(
    [
        "1969-12-31T23:59:59.999Z",
        "2020-01-01T00:00:00.000Z",
        "2020-01-01T00:00:00.001Z",
        "2021-01-01T00:00:00.000Z",
        "2020",  # none, though of the type
    ]
)
plain = st.builds(Attribute, st.just("T"), scalars, st.just({}), st.just(0.0), st.just(0.0))
compound = st.one_of(
    st.lists(scalars | st.just({"x": 1}) | st.just([1]), max_size=4),
    st.just([1] * 17),
    st.just({"x": 1}),
)
attributes = st.one_of(
    plain,
    plain,
    st.builds(
        Attribute, st.just("DateTime"), instants | scalars, st.just({}), st.just(0.0), st.just(0.0)
    ),
    st.builds(
        Attribute,
        st.sampled_from(["T", "DateTime"]),
        compound,
        st.just({}),
        st.just(0.0),
        st.just(0.0),
    ),
)
numbers = st.builds(Attribute, st.just("T"), st.integers(0, 4), st.just({}), *[st.just(0.0)] * 2)
OPERANDS = [
    *(f"{op}{operand}" for op in ("<", "<=", ">", ">=") for operand in ("0", "1.5", "'a'", "b")),
    *(f"{op}2020-01-01" for op in ("<", "<=", ">", ">=", "==")),
    "==1",
    "==1000000000000001",
    "==1577836800",
    "=='1'",
    ":a",
    "==true",
    "==false",
    "==null",
    "==1..2",
    "==2..1",
    "==a..b",
    "==2019-01-01..2020-06-01",
    "==0,1,1,2",
    "==a,null",
    "==2020-01-01,2021-01-01",
    "!=1",
    "!=1..2",
    "~=^b",
    ".x==1",
    "",
]
statements = st.one_of(
    st.builds(str.__add__, st.sampled_from(NAMES), st.sampled_from(OPERANDS)),
    st.sampled_from(["!v", "dateCreated<1", "servicePath=='/'", "dateExpires>0"]),
)
texts = st.lists(statements, min_size=1, max_size=3).map(";".join)


@st.composite
def made_queries(draw: st.DrawFn) -> EntityQuery:
    """Queries with q and an order; few of them without."""
    text = draw(st.none() | texts)
    return EntityQuery(
        scope=draw(st.sampled_from([ServicePathScope(), ServicePathScope(("/",))])),
        selectors=draw(
            st.sampled_from(
                [(), (EntitySelector(type="A"),), tuple(EntitySelector(type=t) for t in TYPES)]
            )
        ),
        q=None if text is None else parse_query(text, "q"),
        order_by=draw(
            st.sampled_from([(), (), ("v",), ("!v",), ("w",), ("v", "!w"), ("!v", "type"), ("id",)])
        ),
        limit=draw(st.integers(0, 4)),
        offset=draw(st.integers(0, 3)),
        count=draw(st.booleans()),
    )


class IndexMachine(RuleBasedStateMachine):
    """Random changes and queries while indexes are made, a few entities at a time, and go."""

    def __init__(self) -> None:
        super().__init__()
        self.table = EntityTable()
        self.entities: list[Entity] = []
        self.loop = asyncio.new_event_loop()
        self.upkeep = IndexUpkeep(lambda: [self.table], 20 * ENTRY_BYTES)
        self.building: asyncio.Task[None] | None = None
        self.patches = ExitStack()
        for module, constants in (
            (entity_query, {"NOTED_MIN": 1, "WALKED_MAX": 7, "INDEXED_MAX": 6}),
            (index_advisor, {"NOTED_MIN": 1, "MAX_NAMES": 2, "REPETITIONS": 1}),
            (
                index_upkeep,
                {"NOTED_MIN": 1, "SLICE_S": -1.0, "PAUSE_S": 0.0, "_CLOCK_STEP": 2}
                | {"MAX_INDEXES": 2},
            ),
        ):
            self.patches.enter_context(patch.multiple(module, **constants))

    def teardown(self) -> None:
        if self.building is not None:
            self.loop.run_until_complete(self.building)
            self.agree()
        self.loop.close()
        self.patches.close()

    @rule(
        of=st.lists(
            st.tuples(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(NAMES), attributes)),
            max_size=6,
        )
    )
    def insert(self, of: list[tuple[str, dict[str, Attribute]]]) -> None:
        for entity_type, content in of:
            sequence = self.table.take_sequence()
            entity = Entity(f"E{sequence}", entity_type, "/", dict(content), 0.0, 0.0, sequence)
            self.table.insert(entity)
            self.entities.append(entity)

    @rule(of=st.lists(numbers, min_size=4, max_size=12))
    def insert_numbers(self, of: list[Attribute]) -> None:
        self.insert([("A", {"v": attribute}) for attribute in of])

    @rule(
        data=st.data(),
        touched=st.dictionaries(st.sampled_from(NAMES), attributes),
        removed=st.sets(st.sampled_from(NAMES)),
    )
    def change(self, data: st.DataObject, touched: dict[str, Attribute], removed: set[str]) -> None:
        if self.entities:
            entity = data.draw(st.sampled_from(self.entities))
            removed = {name for name in removed if name in entity.attributes} - touched.keys()
            self.table.reindex(entity, touched, removed)
            entity.attributes.update(touched)
            for name in removed:
                del entity.attributes[name]

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.entities:
            entity = data.draw(st.sampled_from(self.entities))
            self.table.remove(entity)
            self.entities.remove(entity)

    @rule(name=st.sampled_from(NAMES))
    def ask_for(self, name: str) -> None:
        self.table.advisor.note([name], 1000)

    @rule()
    def tend(self) -> None:
        if self.building is None or self.building.done():
            self.building = self.loop.create_task(self.upkeep.tend(self.table))
        self.step()

    @rule()
    def finish(self) -> None:
        if self.building is not None:
            self.loop.run_until_complete(self.building)

    @rule()
    def step(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))

    @rule(times=st.sampled_from([1, 5, 12]))
    def age(self, times: int) -> None:
        if self.building is None or self.building.done():
            for _ in range(times):
                self.upkeep.age(self.table)

    @rule(query=made_queries())
    def find(self, query: EntityQuery) -> None:
        page = self.loop.run_until_complete(find_entities(self.table, query))
        hits = [entity for entity in self.entities if query.matches(entity)]
        assert page.total == (len(hits) if query.count else None)
        for token in reversed(query.order_by):
            key = partial(_order, name=token.removeprefix("!"))
            hits.sort(key=key, reverse=token.startswith("!"))
        assert page.entities == hits[query.offset : query.offset + query.limit]

    @rule(query=made_queries())
    def follow_cursor(self, query: EntityQuery) -> None:
        query = replace(query, limit=query.limit + 1, order_by=())
        after: int | None = -1
        seen: list[Entity] = []
        while after is not None:
            page = self.loop.run_until_complete(
                find_entities(self.table, replace(query, after=after))
            )
            seen += page.entities
            after = page.last
        assert seen == [entity for entity in self.entities if query.matches(entity)]

    @invariant()
    def agree(self) -> None:
        self.table.check()
        self.table.advisor.check()
        whole = [index for index in self.table.indexes.values() if index.is_whole]
        assert len(whole) == self.upkeep.built - self.upkeep.dropped
        assert self.upkeep.gauges()["query_indexes"] == len(self.table.indexes)


def _order(entity: Entity, name: str) -> Any:
    if name in NAMES:
        attribute = entity.attributes.get(name)
        return order_key(None if attribute is None else attribute.value)
    return getattr(entity, name)


TestIndexes = IndexMachine.TestCase
TestIndexes.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


@given(st.lists(attributes, max_size=30), statements)
def test_an_index_finds_whatever_matches(values: list[Attribute], text: str) -> None:
    entities = [
        Entity(f"E{at}", "A", "/", {"v": value}, 0.0, 0.0, at) for at, value in enumerate(values)
    ]
    index = AttributeIndex("v")
    index.finish()
    for entity in entities:
        index.insert(entity)
    [statement] = parse_query(text, "q").statements
    if statement.attribute != "v" or not is_served(statement):
        return
    found = index.find(statement)
    assert found == sorted(set(found))
    count = index.count(statement)
    assert count is not None
    assert count >= len(found)
    assert {e.sequence for e in entities if statement.matches(e)} <= set(found)
    # What it gives beyond the matches is only what it cannot tell.
    for entity in entities:
        if entity.sequence in found and not statement.matches(entity):
            assert _is_beyond(entity.attributes["v"])
    for entity in entities:
        index.remove(entity)
    assert len(index) == 0
    index.check([])


def _is_beyond(attribute: Attribute) -> bool:
    value: JsonValue = attribute.value
    items = value if type(value) is list else [value]
    if type(value) is str and attribute.type == "DateTime":
        return len(value) != len("2020-01-01T00:00:00.000Z")
    return len(items) > 16 or any(type(item) is str and len(item) > 1024 for item in items)
