"""The entity table and queries over it against a plain list of entities."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker.entity_query import EntityQuery, find_entities
from broker.entity_table import EntityTable
from ngsi.geometry import GeoQuery, Point
from ngsi.model import Attribute, Entity, EntitySelector
from ngsi.patterns import compile_pattern
from ngsi.query import parse_query
from ngsi.service_path import ServicePathScope

ids = st.sampled_from(["a1", "a2", "b1"])
types = st.sampled_from(["A", "B", "C"])
paths = st.sampled_from(["/", "/x", "/x/y"])
points = st.builds(Point, st.integers(-180, 180).map(float), st.integers(-90, 90).map(float))

selectors = st.builds(
    EntitySelector,
    id=st.none() | ids,
    id_pattern=st.none(),
    type=st.none() | types,
    type_pattern=st.none(),
) | st.builds(
    EntitySelector,
    id=st.none(),
    id_pattern=st.sampled_from([".*", "^a", "1"]).map(compile_pattern),
    type=st.none(),
    type_pattern=st.none() | st.sampled_from([".*", "A|B"]).map(compile_pattern),
)
queries = st.builds(
    EntityQuery,
    scope=st.sampled_from(
        [
            ServicePathScope(),
            ServicePathScope(("/x",)),
            ServicePathScope(("/x/#",)),
            ServicePathScope(("/", "/x/y")),
        ]
    ),
    selectors=st.lists(selectors, max_size=3).map(tuple),
    q=st.none() | st.sampled_from(["v>3", "v", "!v"]).map(lambda text: parse_query(text, "q")),
    geo=st.none()
    | st.sampled_from(["near;maxDistance:3000000", "near;minDistance:3000000"]).map(
        lambda georel: GeoQuery.parse(georel, "point", "10,20")
    ),
    having=st.sampled_from([(), ("v",)]),
    order_by=st.sampled_from([(), ("v",), ("!v", "id"), ("type", "!id")]),
    limit=st.integers(0, 5),
    offset=st.integers(0, 4),
    count=st.booleans(),
)


class TableMachine(RuleBasedStateMachine):
    """Random changes; after each the indexes agree and queries find what a walk finds."""

    def __init__(self) -> None:
        super().__init__()
        self.table = EntityTable()
        self.entities: list[Entity] = []

    @rule(
        entity_id=ids,
        entity_type=types,
        path=paths,
        value=st.none() | st.integers(0, 6),
        shape=st.none() | points,
        expires=st.none() | st.floats(0, 100),
    )
    def insert(
        self,
        entity_id: str,
        entity_type: str,
        path: str,
        value: int | None,
        shape: Point | None,
        expires: float | None,
    ) -> None:
        if any(
            (e.id, e.type, e.service_path) == (entity_id, entity_type, path) for e in self.entities
        ):
            return
        attributes = {} if value is None else {"v": Attribute("Number", value, {}, 0.0, 0.0)}
        entity = Entity(
            entity_id, entity_type, path, attributes, 0.0, 0.0, self.table.take_sequence()
        )
        if shape is not None:
            entity.set_locations({"location": shape})
        entity.expires = expires
        self.table.insert(entity)
        self.entities.append(entity)

    @rule(data=st.data(), shape=st.none() | points, expires=st.none() | st.floats(0, 100))
    def change(self, data: st.DataObject, shape: Point | None, expires: float | None) -> None:
        if self.entities:
            entity = data.draw(st.sampled_from(self.entities))
            self.table.move(entity, {} if shape is None else {"location": shape})
            self.table.set_expiry(entity, expires)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.entities:
            entity = data.draw(st.sampled_from(self.entities))
            self.table.remove(entity)
            self.entities.remove(entity)

    @rule(now=st.floats(0, 100))
    def expire(self, now: float) -> None:
        expired = {e for e in self.entities if e.expires is not None and e.expires <= now}
        seen = set()
        for entity in self.table.expired(now):
            seen.add(entity)
            self.table.remove(entity)
            self.entities.remove(entity)
        assert seen == expired

    @rule(query=queries)
    def find(self, query: EntityQuery) -> None:
        hits = [entity for entity in self.entities if query.matches(entity)]
        page = asyncio.run(find_entities(self.table, query))
        assert page.total == (len(hits) if query.count else None)
        for token in reversed(query.order_by):
            hits.sort(key=_order_key(token.removeprefix("!")), reverse=token.startswith("!"))
        assert page.entities == hits[query.offset : query.offset + query.limit]

    @rule(query=queries, start=st.integers(-1, 40))
    def follow_cursor(self, query: EntityQuery, start: int) -> None:
        hits = [entity for entity in self.entities if query.matches(entity)]
        after: int | None = start
        seen: list[Entity] = []
        while after is not None:
            page = asyncio.run(find_entities(self.table, replace(query, after=after)))
            assert page.total == (len(hits) if query.count else None)
            assert len(page.entities) <= query.limit
            seen += page.entities
            after = page.last
            if query.limit == 0:
                break
        if query.limit:
            assert seen == [entity for entity in hits if entity.sequence > start]

    @invariant()
    def indexes_agree(self) -> None:
        self.table.check()
        assert len(self.table) == len(self.entities)
        for entity in self.entities:
            assert entity in self.table.find(entity.id, entity.type, ServicePathScope())


def _order_key(name: str):  # type: ignore[no-untyped-def]
    def key(entity: Entity) -> tuple[bool, object]:
        if name == "v":
            attribute = entity.attributes.get("v")
            return (attribute is not None, attribute.value if attribute else 0)
        return (True, getattr(entity, name))

    return key


TestTable = TableMachine.TestCase
TestTable.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
