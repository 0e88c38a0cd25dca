"""Locations of entities and geographical queries about them.

Sources: Orion API, sections "Geospatial properties of entities" and "Geographical Queries";
RFC 7946 (GeoJSON). This package owns what locations are and whether a query means one. It
finds no entities and stores nothing.

GeoJSON has longitude first, the Simple Location Format of coords and of the deprecated types
latitude first. Inside it is always longitude, latitude in degrees.

What it means to be somewhere:

- Edges of lines and polygons are straight in longitude and latitude, not geodesics: an edge
  between two places of one latitude follows that latitude. For edges of a city that differs
  from a geodesic by less than a metre, for edges of hundreds of kilometres by kilometres.
- An edge joins two places the shorter way round the earth, so one whose longitudes differ by
  more than 180 degrees crosses the antimeridian. A box does not: it reaches from its smaller
  longitude to its greater one, however wide that is.
- A ring that goes once round the earth holds the pole on its smaller side. Any other ring
  holds the area that it goes round in the plane.
- `near` measures great circles on a sphere (`sphere`), correct at the antimeridian and around
  the poles. Distances to edges are off by at most 1 cm or a hundred-thousandth.
- Borders belong to their shapes. Altitudes are not looked at.

Limits: a ring must not go round the earth more than once. For relations other than near a
pole is only at the longitude that it is written with. Positions on a border beyond the
antimeridian are exact to 1e-13 degrees.

The parts: `boxes` and `paths` (ranges and unwrapped chains of positions), `shapes`, `regions`,
`sphere` and `plane` (relations and distances), `geojson` and `simple_location` (parsing),
`criteria` and `query`. What is hot is native (`_native.geometry`). shapely is loaded with the
first polygon that has holes or may cover a line or polygon.
"""

from __future__ import annotations

from typing import Final

from ngsi.geometry.boxes import Box
from ngsi.geometry.geojson import LocationError, parse_geojson, rendered_geometry
from ngsi.geometry.query import GeoQuery
from ngsi.geometry.shapes import (
    LineString,
    MultiLineString,
    MultiPoint,
    MultiPolygon,
    Point,
    Polygon,
    Shape,
)
from ngsi.geometry.simple_location import parse_simple_location

# The attribute types whose values are locations.
GEO_TYPES: Final = frozenset({"geo:json", "geo:point", "geo:line", "geo:box", "geo:polygon"})

__all__ = [
    "GEO_TYPES",
    "Box",
    "GeoQuery",
    "LineString",
    "LocationError",
    "MultiLineString",
    "MultiPoint",
    "MultiPolygon",
    "Point",
    "Polygon",
    "Shape",
    "parse_geojson",
    "parse_simple_location",
    "rendered_geometry",
]
