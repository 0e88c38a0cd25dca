"""The nearest entities are those that looking at all of them finds."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from broker.entity_query import EntityQuery
from broker.entity_table import EntityTable
from broker.nearest import find_nearest
from ngsi.geometry import GeoQuery, Point
from ngsi.model import Entity
from ngsi.service_path import ServicePathScope

# Near and far: the circles that are tried are of 500 m to 500 km.
_OFFSETS = st.one_of(
    st.floats(-0.004, 0.004), st.floats(-0.04, 0.04), st.floats(-4, 4), st.floats(-40, 40)
)
_PLACES = st.lists(st.one_of(st.none(), st.tuples(_OFFSETS, _OFFSETS)), max_size=30)


@given(_PLACES, st.integers(1, 12), st.booleans())
def test_the_nearest_are_found(
    offsets: list[tuple[float, float] | None], limit: int, is_restricted: bool
) -> None:
    table = EntityTable()
    entities = []
    for number, offset in enumerate(offsets):
        entity = Entity(f"e{number}", "T", "/", {}, 0.0, 0.0, table.take_sequence())
        if offset is not None:
            entity.set_locations({"location": Point(8.6 + offset[0], 49.4 + offset[1])})
            entities.append(entity)
        table.insert(entity)
    place = GeoQuery.parse("near;minDistance:0", "point", "49.4,8.6")
    area = GeoQuery.parse("near;maxDistance:3000", "point", "49.41,8.6") if is_restricted else None
    expected = [
        place.distance_m(entity.shapes[0])
        for entity in entities
        if area is None or area.matches(entity.shapes[0])
    ]
    query = EntityQuery(scope=ServicePathScope(), geo=area, limit=limit)
    found = asyncio.run(find_nearest(table, query, 49.4, 8.6))
    assert [place.distance_m(entity.shapes[0]) for entity in found] == sorted(expected)[:limit]
