"""Distances on the sphere from one origin, and the circles around it.

The earth is a sphere of `EARTH_RADIUS_M`, as for Orion. A distance to a position costs about
0.1 us, to a line or a polygon about 1 us per position (0.1 us for many).

Edges are straight in longitude and latitude (see the package), so the nearest place of an edge
is looked for piece by piece, until a great-circle arc stands for each piece well enough.
"""

from __future__ import annotations

from math import asin, atan2, cos, degrees, hypot, inf, pi, radians, sin, sqrt
from typing import Final, TypeAlias

import _native.geometry
from ngsi.geometry.boxes import SLACK_DEGREES, WORLD, Box, cut
from ngsi.geometry.paths import Path
from ngsi.geometry.regions import region_of
from ngsi.geometry.shapes import MultiLineString, MultiPoint, MultiPolygon, Point, Shape

EARTH_RADIUS_M: Final = 6_371_000.0

# How far a distance to an edge may be off, whichever is more: far below what positions are
# known to, and far below what a sphere differs from the earth (0.5 %).
EDGE_TOLERANCE_M: Final = 0.01
EDGE_TOLERANCE_RATIO: Final = 1e-5
# Pieces of edges longer than this are halved unseen: the estimate below is for short ones.
_LONGEST_PIECE: Final = pi / 18.0  # radians

# Positions from which on a path is surveyed as a whole before its edges are looked at.
_LONG_PATH: Final = 64

_Vector: TypeAlias = tuple[float, float, float]
_End: TypeAlias = tuple[float, float, float]  # lon, lat, distance in metres


class Origin(_native.geometry.Origin):
    """A position that distances are measured from."""

    __slots__ = ("_cos", "_phi", "_vector")

    def __init__(self, lon: float, lat: float) -> None:
        self._phi = radians(lat)
        self._cos = cos(self._phi)
        self._vector = _unit(lon, lat)

    def distance_m(self, shape: Shape) -> float:
        """The great-circle distance to the nearest place of `shape`, 0 inside of a polygon."""
        if isinstance(shape, Point):
            return self.metres_to(shape.lon, shape.lat)
        if isinstance(shape, MultiPoint):
            lons, lats = shape.positions[::2], shape.positions[1::2]
            return min(map(self.metres_to, lons, lats))
        nearest = inf
        if isinstance(shape, MultiLineString):
            for line in shape.lines:
                nearest = self._nearest(line, nearest)
        elif isinstance(shape, MultiPolygon):
            if self._within(shape):
                return 0.0
            for rings in shape.polygons:
                for ring in rings:
                    nearest = self._nearest(ring, nearest)
        else:
            raise TypeError(shape)
        return nearest

    def circle(self, radius_m: float) -> tuple[Box, ...]:
        """The ranges that hold every place up to `radius_m` away."""
        tolerance_m = EDGE_TOLERANCE_M + EDGE_TOLERANCE_RATIO * radius_m
        radius = (radius_m + tolerance_m) / EARTH_RADIUS_M
        if radius >= pi:
            return (WORLD,)
        reach = degrees(radius) + SLACK_DEGREES
        south, north = self.lat - reach, self.lat + reach
        if south <= -90.0 or north >= 90.0:  # there is a pole in it
            return (Box(-180.0, max(south, -90.0), 180.0, min(north, 90.0)),)
        # The circle touches these meridians at latitudes nearer to the pole than its centre.
        reach = degrees(asin(min(1.0, sin(radius) / self._cos))) + SLACK_DEGREES
        west, east = self.lon - reach, self.lon + reach
        if west < -180.0:
            west, east = west + 360.0, east + 360.0
        return cut((west, east), south, north)

    def _within(self, shape: MultiPolygon) -> bool:
        if not any(box.has(self.lon, self.lat) for box in shape.bounds):
            return False
        return region_of(shape).touches(self.lon, self.lat)

    def _nearest(self, path: Path, nearest: float) -> float:
        """The smaller of `nearest` and the distance to a path."""
        if len(path) > 2 * _LONG_PATH:
            return self._nearest_of_many(path, nearest)
        end: _End | None = None
        for lon, lat in zip(path[::2], path[1::2], strict=True):
            start, end = end, (lon, lat, self.metres_to(lon, lat))
            nearest = min(nearest, end[2])
            if start is not None:
                nearest = self._nearest_of_edge(start, end, nearest)
        return nearest

    def _nearest_of_many(self, path: Path, nearest: float) -> float:
        """As `_nearest`: bounds for all edges at once, a closer look at the few that matter."""
        nearest, edges = self.survey(path, nearest)
        for bound, number, metres, next_metres in edges:
            if bound >= nearest:
                break
            lon, lat, next_lon, next_lat = path[2 * number : 2 * number + 4]
            start, end = (lon, lat, metres), (next_lon, next_lat, next_metres)
            nearest = self._nearest_of_edge(start, end, nearest)
        return nearest

    def _nearest_of_edge(self, start: _End, end: _End, nearest: float) -> float:
        pieces = [(start, end)]
        while pieces:
            start, end = pieces.pop()
            dlon, dlat, shrink = _extent(start, end)
            length = hypot(dlon * shrink, dlat)
            # No place of the piece is nearer than this, as its length is an upper bound.
            if (start[2] + end[2] - length * EARTH_RADIUS_M) * 0.5 >= nearest:
                continue
            if length <= _LONGEST_PIECE:
                # How far the edge strays from the arc at most: an eighth of the second
                # derivative of its position; 1.1 for the curvature of the earth.
                bend = min(0.5, shrink) * dlon * dlon + 2.0 * abs(dlon * dlat)
                stray = 1.1 * EARTH_RADIUS_M * bend / 8.0
                arc = self._metres_to_arc(start, end)
                if arc - stray >= nearest:
                    continue
                if stray <= max(EDGE_TOLERANCE_M, EDGE_TOLERANCE_RATIO * nearest):
                    nearest = min(nearest, arc)
                    continue
            lon, lat = (start[0] + end[0]) * 0.5, (start[1] + end[1]) * 0.5
            middle = (lon, lat, self.metres_to(lon, lat))
            nearest = min(nearest, middle[2])
            pieces.append((start, middle))
            pieces.append((middle, end))
        return nearest

    def _metres_to_arc(self, start: _End, end: _End) -> float:
        """The distance to the great-circle arc between two ends."""
        a, b, p = _unit(start[0], start[1]), _unit(end[0], end[1]), self._vector
        # a x b, computed so that it keeps its digits when they are close to each other
        normal = _cross(_minus(a, b), _plus(a, b))
        size = sqrt(_dot(normal, normal))
        nearest_end = min(start[2], end[2])
        if size == 0.0 or _dot(_cross(normal, a), p) <= 0.0 or _dot(_cross(b, normal), p) <= 0.0:
            return nearest_end
        beside = abs(_dot(normal, p)) / size
        onto = _cross(normal, p)
        # atan2 is exact for places near the circle as well as near its axis
        off = EARTH_RADIUS_M * atan2(beside, sqrt(_dot(onto, onto)) / size)
        return min(off, nearest_end)


def _extent(start: _End, end: _End) -> tuple[float, float, float]:
    """Longitude and latitude of a piece in radians, and what shrinks its longitude at most."""
    over_equator = start[1] * end[1] <= 0.0
    shrink = 1.0 if over_equator else cos(radians(min(abs(start[1]), abs(end[1]))))
    return radians(end[0] - start[0]), radians(end[1] - start[1]), shrink


def _unit(lon: float, lat: float) -> _Vector:
    phi, lam = radians(lat), radians(lon)
    return cos(phi) * cos(lam), cos(phi) * sin(lam), sin(phi)


def _minus(a: _Vector, b: _Vector) -> _Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _plus(a: _Vector, b: _Vector) -> _Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _cross(a: _Vector, b: _Vector) -> _Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def _dot(a: _Vector, b: _Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
