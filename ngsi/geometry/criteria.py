"""What a geographical query asks of one shape: a distance, or a relation to a reference.

A point costs about 0.3 us against any reference, a line or polygon a few microseconds more than
its positions (10 ns each). Only whether a polygon covers a line or polygon is left to shapely:
about 20 us, and the time to load it once.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from _native.geometry import Annulus, Region
from ngsi.geometry.boxes import Box, arc_of, widen
from ngsi.geometry.regions import both_sides, region_of
from ngsi.geometry.shapes import MultiPoint, Point, Shape, box_polygon
from ngsi.geometry.sphere import Origin

if TYPE_CHECKING:
    from ngsi.geometry.plane import Reference


class Near:
    """Within `min_m` and `max_m` (both included) of an origin; `max_m` None for no maximum."""

    __slots__ = ("_annulus", "_max_m", "_min_m", "_origin")

    def __init__(self, origin: Origin, min_m: float, max_m: float | None) -> None:
        self._origin = origin
        self._min_m = min_m
        self._max_m = inf if max_m is None else max_m
        self._annulus = Annulus(origin, min_m, self._max_m)

    @property
    def area(self) -> Annulus:
        """The positions that match."""
        return self._annulus

    def matches(self, shape: Shape) -> bool:
        """Whether the nearest place of the shape is within the distances."""
        if type(shape) is Point:
            return self._annulus.has(shape.lon, shape.lat)
        return self._min_m <= self._origin.distance_m(shape) <= self._max_m

    def bounds(self) -> tuple[Box, ...] | None:
        """Around the circle, None without a maximum."""
        return None if self._max_m == inf else self._origin.circle(self._max_m)

    def distance_m(self, shape: Shape) -> float:
        """The distance of the nearest place of the shape to the origin."""
        return self._origin.distance_m(shape)


class Relation:
    """coveredBy, intersects, disjoint or equals with a Point, LineString, Polygon or Box."""

    __slots__ = (
        "_area",
        "_boxes",
        "_centre",
        "_reach",
        "_reference",
        "_region",
        "_relation",
        "_shape",
    )

    def __init__(self, relation: str, reference: Shape | Box) -> None:
        self._relation = relation
        self._boxes: tuple[Box, ...] = ()  # where the reference is, if it is a box
        if isinstance(reference, Box):
            self._shape: Shape = box_polygon(reference)
            self._boxes = both_sides(reference)
        else:
            self._shape = reference
        self._region = region_of(reference)
        bounds = self._shape.bounds
        self._reach = widen(bounds)
        west, east = arc_of(bounds)
        middle = (west + east) / 2.0
        self._centre = Origin(
            middle if middle <= 180.0 else middle - 360.0, (bounds[0].south + bounds[0].north) / 2.0
        )
        self._area: Region | None = None  # the region as lines and polygons, made when needed
        self._reference: Reference | None = None

    @property
    def area(self) -> Region | None:
        """The positions that match, None where no region says it."""
        return self._region if self._relation in ("coveredBy", "intersects") else None

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

    def _intersects(self, shape: Shape) -> bool:
        if isinstance(shape, Point):
            return self._region.touches(shape.lon, shape.lat)
        if isinstance(shape, MultiPoint):
            return any(map(self._region.touches, shape.positions[::2], shape.positions[1::2]))
        bounds = shape.bounds
        if not any(reach.overlaps(box) for box in bounds for reach in self._reach):
            return False
        if isinstance(self._shape, Point):
            return region_of(shape).touches(self._shape.lon, self._shape.lat)
        if self._boxes and _covered(bounds, self._boxes):
            return True
        if self._area is None:
            self._area = region_of(self._shape) if self._boxes else self._region
        return region_of(shape).meets(self._area)

    def _covers(self, shape: Shape) -> bool:
        if isinstance(shape, Point):
            return self._region.touches(shape.lon, shape.lat)
        if isinstance(shape, MultiPoint):
            return all(map(self._region.touches, shape.positions[::2], shape.positions[1::2]))
        bounds = shape.bounds
        if self._boxes:
            if _covered(bounds, self._boxes):
                return True
            if len(bounds) == 1:
                return False  # its bounds are reached by positions that are outside
        if not any(reach.overlaps(box) for box in bounds for reach in self._reach):
            return False
        if self._reference is None:
            from ngsi.geometry.plane import Reference

            self._reference = Reference(self._shape)
        return self._reference.covers(shape)


def _covered(bounds: tuple[Box, ...], boxes: tuple[Box, ...]) -> bool:
    return all(any(box.covers(part) for box in boxes) for part in bounds)
