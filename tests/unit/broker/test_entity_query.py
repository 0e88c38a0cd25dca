"""Which way a query takes through the entities does not show in what it finds."""

from __future__ import annotations

import asyncio

import pytest

from broker import entity_query
from broker.entity_query import EntityQuery, find_entities
from broker.entity_table import EntityTable
from ngsi.geometry import GeoQuery, Point
from ngsi.model import Entity, EntitySelector
from ngsi.service_path import ServicePathScope


@pytest.fixture
def table() -> EntityTable:
    """Ten entities on the equator, a degree apart, of two types in turn."""
    table = EntityTable()
    for at in range(10):
        sequence = table.take_sequence()
        entity = Entity(f"E{at}", "AB"[at % 2], "/", {}, 0.0, 0.0, sequence)
        entity.set_locations({"place": Point(float(at), 0.0)})
        table.insert(entity)
    return table


@pytest.mark.parametrize("nearby_max", [1, 4, 5, 100])
@pytest.mark.parametrize("entity_type", [None, "A"])
def test_places_with_more_entities_than_the_index_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, table: EntityTable, nearby_max: int, entity_type: str | None
) -> None:
    monkeypatch.setattr(entity_query, "NEARBY_MAX", nearby_max)
    selectors = () if entity_type is None else (EntitySelector(type=entity_type),)
    geo = GeoQuery.parse("coveredBy", "box", "-1,-0.5;1,4.5")
    query = EntityQuery(ServicePathScope(), selectors, geo=geo, limit=3, offset=1, count=True)
    page = asyncio.run(find_entities(table, query))
    expected = [f"E{at}" for at in range(5) if entity_type is None or "AB"[at % 2] == entity_type]
    assert page.total == len(expected)
    assert [entity.id for entity in page.entities] == expected[1:4]
