"""What a geographical query asks of one shape: a distance, or a relation to a reference.

Points against circles, boxes and points cost below 1 us and need no shapely. Against a polygon
or line a point costs about 5 us when it is within its bounds; other shapes about 20 us. The
reference is prepared once, when it is first needed.
"""

from __future__ import annotations

from math import inf, pi
from typing import TYPE_CHECKING, Final

from ngsi.geometry.boxes import Box, arc_of, widen
from ngsi.geometry.shapes import Point, Shape, box_polygon
from ngsi.geometry.sphere import EARTH_RADIUS_M, Origin, haversine_of

if TYPE_CHECKING:
    from ngsi.geometry.plane import Reference

_HALF_ROUND_M: Final = pi * EARTH_RADIUS_M  # no two places are further apart


class Near:
    """Within `min_m` and `max_m` (both included) of an origin; `max_m` None for no maximum."""

    __slots__ = ("_high", "_low", "_max_m", "_min_m", "_origin")

    def __init__(self, origin: Origin, min_m: float, max_m: float | None) -> None:
        self._origin = origin
        self._min_m = min_m
        self._max_m = inf if max_m is None else max_m
        self._low = haversine_of(min_m) if min_m <= _HALF_ROUND_M else inf
        self._high = haversine_of(self._max_m) if self._max_m < _HALF_ROUND_M else inf

    def matches(self, shape: Shape) -> bool:
        """Whether the nearest place of the shape is within the distances."""
        if type(shape) is Point:
            return self._low <= self._origin.haversine(shape.lon, shape.lat) <= self._high
        return self._min_m <= self._origin.distance_m(shape) <= self._max_m

    def bounds(self) -> tuple[Box, ...] | None:
        """Around the circle, None without a maximum."""
        return None if self._max_m == inf else self._origin.circle(self._max_m)

    def distance_m(self, shape: Shape) -> float:
        """The distance of the nearest place of the shape to the origin."""
        return self._origin.distance_m(shape)


class Relation:
    """coveredBy, intersects, disjoint or equals with a Point, LineString, Polygon or Box."""

    __slots__ = ("_boxes", "_centre", "_reach", "_reference", "_relation", "_shape")

    def __init__(self, relation: str, reference: Shape | Box) -> None:
        self._relation = relation
        self._boxes: tuple[Box, ...] = ()  # where the reference is, if it is a box
        if isinstance(reference, Box):
            self._shape: Shape = box_polygon(reference)
            self._boxes = _both_sides(reference)
        else:
            self._shape = reference
        bounds = self._shape.bounds
        self._reach = widen(bounds)
        west, east = arc_of(bounds)
        middle = (west + east) / 2.0
        self._centre = Origin(
            middle if middle <= 180.0 else middle - 360.0, (bounds[0].south + bounds[0].north) / 2.0
        )
        self._reference: Reference | None = None

    def matches(self, shape: Shape) -> bool:
        """Whether the shape is in the relation to the reference."""
        if self._relation == "intersects":
            return self._intersects(shape)
        if self._relation == "coveredBy":
            return self._covers(shape)
        if self._relation == "disjoint":
            return not self._intersects(shape)
        return shape == self._shape

    def bounds(self) -> tuple[Box, ...] | None:
        """Around the reference, None where shapes away from it match."""
        return None if self._relation == "disjoint" else self._reach

    def distance_m(self, shape: Shape) -> float:
        """The distance of the nearest place of the shape to the middle of the bounds."""
        return self._centre.distance_m(shape)

    def _touches(self, point: Point) -> bool:
        lon, lat = point.lon, point.lat
        if self._boxes:
            return any(box.has(lon, lat) for box in self._boxes)
        if not any(box.has(lon, lat) for box in self._reach):
            return False
        shape = self._shape
        if isinstance(shape, Point):
            return lat == shape.lat and (lon == shape.lon or abs(lon) == abs(shape.lon) == 180.0)
        return self._prepared().touches(lon, lat)

    def _intersects(self, shape: Shape) -> bool:
        if isinstance(shape, Point):
            return self._touches(shape)
        bounds = shape.bounds
        if not any(reach.overlaps(box) for box in bounds for reach in self._reach):
            return False
        if self._boxes and _covered(bounds, self._boxes):
            return True
        return self._prepared().intersects(shape)

    def _covers(self, shape: Shape) -> bool:
        if isinstance(shape, Point):
            return self._touches(shape)
        bounds = shape.bounds
        if self._boxes:
            if _covered(bounds, self._boxes):
                return True
            if len(bounds) == 1:
                return False  # its bounds are reached by positions that are outside
        if not any(reach.overlaps(box) for box in bounds for reach in self._reach):
            return False
        return self._prepared().covers(shape)

    def _prepared(self) -> Reference:
        if self._reference is None:
            from ngsi.geometry.plane import Reference

            self._reference = Reference(self._shape)
        return self._reference


def _covered(bounds: tuple[Box, ...], boxes: tuple[Box, ...]) -> bool:
    return all(any(box.covers(part) for box in boxes) for part in bounds)


def _both_sides(box: Box) -> tuple[Box, ...]:
    """The box and, where it ends at the antimeridian, that meridian as the other side has it."""
    west, south, east, north = box
    if east == 180.0 and west > -180.0:
        return (box, Box(-180.0, south, -180.0, north))
    if west == -180.0 and east < 180.0:
        return (box, Box(180.0, south, 180.0, north))
    return (box,)
