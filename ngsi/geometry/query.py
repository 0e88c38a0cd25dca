"""Geographical queries: georel, geometry and coords (Orion API, "Geographical Queries").

Owns their syntax. It does not look for shapes: `GeoQuery.bounds` tells an index where they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from _native.geometry import Annulus, Region
from ngsi.errors import BadRequest, NotSupportedQuery
from ngsi.geometry import paths
from ngsi.geometry.boxes import Box
from ngsi.geometry.criteria import Near, Relation
from ngsi.geometry.paths import InvalidGeometryError, Position
from ngsi.geometry.shapes import LineString, Point, Polygon, Shape
from ngsi.geometry.simple_location import corners, parse_number, split
from ngsi.geometry.sphere import Origin

_RELATIONS: Final = frozenset({"near", "coveredBy", "intersects", "equals", "disjoint"})
_GEOMETRIES: Final = frozenset({"point", "line", "box", "polygon"})


@dataclass(frozen=True, slots=True)
class GeoQuery:
    """One geographical query. The three texts are as the client gave them."""

    georel: str
    geometry: str
    coords: str
    _criterion: Near | Relation = field(repr=False, compare=False)

    @classmethod
    def parse(cls, georel: str, geometry: str, coords: str) -> GeoQuery:
        """The query of the three parameters.

        Raises BadRequest with the inner part of Orion's text (the caller adds "Invalid query: "
        or "error parsing geo-query fields: "), NotSupportedQuery for a query that is well
        written and yet cannot be resolved: no relation, or coords that make no line or polygon.
        """
        kind = _parse_geometry(geometry)
        relation = _Georel(georel)
        relation.check_against(kind)
        reference = _parse_reference(kind, coords)
        if relation.name is None:
            raise NotSupportedQuery("georel has no relation between entities and the geometry")
        if relation.name == "near":
            assert isinstance(reference, Point)
            origin = Origin(reference.lon, reference.lat)
            distances = relation.distances_m
            near = Near(origin, distances.get("minDistance", 0.0), distances.get("maxDistance"))
            return cls(georel, geometry, coords, near)
        return cls(georel, geometry, coords, Relation(relation.name, reference))

    def matches(self, shape: Shape) -> bool:
        """Whether an entity with that location is meant."""
        return self._criterion.matches(shape)

    @property
    def area(self) -> Annulus | Region | None:
        """The positions of the Points that match, for an index; None if `matches` has to be asked.

        Of other shapes it says nothing.
        """
        return self._criterion.area

    def bounds(self) -> tuple[Box, ...] | None:
        """Boxes that the bounds of every matching shape overlap.

        None when shapes anywhere may match: disjoint, near with no maximum.
        """
        return self._criterion.bounds()

    def distance_m(self, shape: Shape) -> float:
        """The great-circle distance of the nearest place of `shape`, for orderBy=geo:distance.

        It is measured from the point of the query, for another geometry from its middle.
        """
        return self._criterion.distance_m(shape)


class _Georel:
    """The relation and its modifiers."""

    __slots__ = ("distances_m", "name")

    def __init__(self, text: str) -> None:
        self.name: str | None = None
        self.distances_m: dict[str, float] = {}
        items = split(text, ";")
        if text and not items:
            raise BadRequest("empty georel")
        for item in items:
            modifier, colon, number = item.partition(":")
            if item in _RELATIONS:
                if self.name is not None:
                    raise BadRequest("georel type present more than once")
                self.name = item
            elif colon and modifier in ("maxDistance", "minDistance"):
                self._add_distance(modifier, number)
            else:
                raise BadRequest("Invalid modifier in georel parameter")
        if self.name == "near":
            if not self.distances_m:
                raise BadRequest("georel /near/ without either minDistance nor maxDistance")
        else:
            for modifier in ("maxDistance", "minDistance"):
                if modifier in self.distances_m:
                    raise BadRequest(f"{modifier} erroneously used with georel /{self.name or ''}/")

    def _add_distance(self, modifier: str, number: str) -> None:
        if modifier in self.distances_m:
            raise BadRequest(f"{modifier} present more than once")
        metres = parse_number(number)
        if metres is None or metres < 0.0:
            raise BadRequest(f"invalid number for {modifier}")
        self.distances_m[modifier] = metres

    def check_against(self, geometry: str) -> None:
        """Raise BadRequest if the relation does not go with the geometry."""
        if self.name == "coveredBy" and geometry in ("line", "point"):
            raise BadRequest(f"{geometry} geometry cannot be used with coveredBy georel")
        if self.name == "near" and geometry != "point":
            raise BadRequest("georel /near/ used with geometry different than point")


def _parse_geometry(text: str) -> str:
    kind = ""
    items = split(text, ";")
    if not items:
        raise BadRequest("error parsing geometry: empty geometry")
    for item in items:
        if item not in _GEOMETRIES:
            raise BadRequest("error parsing geometry: Invalid selector in geometry specification")
        if kind:
            raise BadRequest("error parsing geometry: geometry-type present more than once")
        kind = item
    return kind


def _parse_reference(kind: str, coords: str) -> Shape | Box:
    positions = _parse_coords(coords)
    try:
        if kind == "polygon":
            if len(positions) < paths.MIN_RING_LENGTH:
                raise BadRequest("Too few coordinates for polygon")
            if positions[0] != positions[-1]:
                raise BadRequest("First and last point in polygon not the same")
            return Polygon((paths.polygon([positions]),))
        if kind == "line":
            if len(positions) < 2:
                raise BadRequest("invalid number of coordinates for /line/")
            return LineString((paths.line(positions),))
    except InvalidGeometryError as error:
        raise NotSupportedQuery(f"coords: {error}") from None
    if kind == "box":
        if len(positions) != 2:
            raise BadRequest("invalid number of coordinates for /box/")
        box = corners(*positions)
        if box is None:
            raise BadRequest("box coordinates are not defining an actual box")
        return box
    if len(positions) != 1:
        raise BadRequest("invalid number of coordinates for /point/")
    return Point(*positions[0])


def _parse_coords(coords: str) -> list[Position]:
    if not coords:
        raise BadRequest("no coordinates for geometry")
    items = split(coords, ";")
    if not items:
        raise BadRequest("erroneous coordinates for geometry")
    return [_parse_position(item) for item in items]


def _parse_position(text: str) -> Position:
    pair = split(text, ",")
    if len(pair) != 2:
        raise BadRequest("invalid point in URI param /coords/")
    lat, lon = parse_number(pair[0]), parse_number(pair[1])
    if lat is None or lon is None:
        raise BadRequest("invalid coordinates")
    if not (-90.0 <= lat <= 90.0 and -180.0 <= lon <= 180.0):
        raise BadRequest(
            "invalid coordinates: latitude must be within -90 and 90, longitude within -180 and 180"
        )
    return lon, lat
