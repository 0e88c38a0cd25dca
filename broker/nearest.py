"""The entities nearest to a place, by circles around it that grow.

Each circle is an ordinary query, found through the index of places, so that the entities far
away cost nothing where there are enough near by. Where there are not, the last circle is the
whole earth and every entity with a location is looked at, in slices.
"""

from __future__ import annotations

from dataclasses import replace
from heapq import nsmallest
from typing import Final

from broker.entity_order import DISTANCE
from broker.entity_query import EntityQuery, find_entities
from broker.entity_table import EntityTable
from ngsi.geometry import GeoQuery
from ngsi.model import Entity

# A street, a quarter, a city, a region, a country: each some hundred times the area of the last.
RADII_M: Final = (500, 5_000, 50_000, 500_000)


async def find_nearest(
    table: EntityTable, query: EntityQuery, latitude: float, longitude: float
) -> list[Entity]:
    """The `query.limit` nearest of the entities that a query is about, nearest first.

    Those without a location are none of them. With `query.geo` all that are within it are
    compared. Latitude and longitude are in degrees.
    """
    place = f"{latitude!r},{longitude!r}"
    anywhere = GeoQuery.parse("near;minDistance:0", "point", place)
    if query.geo is not None:
        page = await find_entities(table, replace(query, limit=len(table)))
        return nsmallest(
            query.limit,
            page.entities,
            key=lambda entity: min(map(anywhere.distance_m, entity.shapes)),
        )
    nearest = replace(query, order_by=(DISTANCE,), offset=0)
    if query.limit < len(table):
        for radius_m in RADII_M:
            circle = GeoQuery.parse(f"near;maxDistance:{radius_m}", "point", place)
            page = await find_entities(table, replace(nearest, geo=circle))
            if len(page.entities) >= query.limit:
                return page.entities
    return (await find_entities(table, replace(nearest, geo=anywhere))).entities
