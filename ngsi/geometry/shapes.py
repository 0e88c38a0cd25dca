"""The geometries of GeoJSON (RFC 7946, section 3.1) as they are kept for each entity.

A shape is never changed after it was made. Equal are shapes of the same type with the same
positions in the same order. A `Point` costs about 100 bytes and 0.3 us to make; the others
keep 16 bytes per position and their bounds. Positions are longitude, latitude in degrees;
altitudes are not kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TypeAlias

from ngsi.geometry import paths
from ngsi.geometry.boxes import Box, cut, enclosing_arc
from ngsi.geometry.paths import Path, Position

Rings: TypeAlias = tuple[Path, ...]  # the outer one first, then the holes


class Shape:
    """A geometry of one of the types below."""

    __slots__ = ()

    @property
    def bounds(self) -> tuple[Box, ...]:
        """The ranges it lies in: one box, two when it crosses the antimeridian."""
        raise NotImplementedError


class Point(Shape):
    """One position."""

    __slots__ = ("lat", "lon")

    def __init__(self, lon: float, lat: float) -> None:
        self.lon = lon
        self.lat = lat

    @property
    def bounds(self) -> tuple[Box, ...]:
        """One box without extent."""
        return (Box(self.lon, self.lat, self.lon, self.lat),)

    def __eq__(self, other: object) -> bool:
        return type(other) is Point and self.lon == other.lon and self.lat == other.lat

    def __hash__(self) -> int:
        return hash((self.lon, self.lat))

    def __repr__(self) -> str:
        return f"Point({self.lon!r}, {self.lat!r})"


class MultiPoint(Shape):
    """One or more positions, as lon, lat, lon, lat, ... (not unwrapped)."""

    __slots__ = ("_bounds", "positions")

    def __init__(self, positions: Sequence[Position]) -> None:
        if not positions:
            raise paths.InvalidGeometryError("a MultiPoint needs a position")
        self.positions: Path = array("d", [degrees for pair in positions for degrees in pair])
        arc = enclosing_arc((lon if lon < 180.0 else -180.0,) * 2 for lon, _ in positions)
        self._bounds = cut(arc, *paths.latitudes(self.positions))

    @property
    def bounds(self) -> tuple[Box, ...]:
        """Around all positions, the shorter way round the earth."""
        return self._bounds

    def __eq__(self, other: object) -> bool:
        return type(other) is MultiPoint and self.positions == other.positions

    def __hash__(self) -> int:
        return hash(tuple(self.positions))


class MultiLineString(Shape):
    """One or more lines."""

    __slots__ = ("_bounds", "lines")

    def __init__(self, lines: tuple[Path, ...]) -> None:
        if not lines:
            raise paths.InvalidGeometryError("a MultiLineString needs a line")
        self.lines = lines
        self._bounds = _bounds_of(lines)

    @property
    def bounds(self) -> tuple[Box, ...]:
        """Around all lines, the shorter way round the earth."""
        return self._bounds

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, MultiLineString)
            and type(other) is type(self)
            and self.lines == other.lines
        )

    def __hash__(self) -> int:
        return hash(tuple(map(tuple, self.lines)))


class LineString(MultiLineString):
    """One line."""

    __slots__ = ()


class MultiPolygon(Shape):
    """One or more polygons, each an outer ring and holes; their borders belong to them."""

    __slots__ = ("_bounds", "polygons")

    def __init__(self, polygons: tuple[Rings, ...]) -> None:
        if not polygons:
            raise paths.InvalidGeometryError("a MultiPolygon needs a polygon")
        self.polygons = polygons
        self._bounds = _bounds_of([paths.closed(rings[0]) for rings in polygons])

    @property
    def bounds(self) -> tuple[Box, ...]:
        """Around all polygons, the shorter way round the earth."""
        return self._bounds

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, MultiPolygon)
            and type(other) is type(self)
            and self.polygons == other.polygons
        )

    def __hash__(self) -> int:
        return hash(tuple(tuple(map(tuple, rings)) for rings in self.polygons))


class Polygon(MultiPolygon):
    """One polygon."""

    __slots__ = ()


def box_polygon(box: Box) -> Polygon:
    """The polygon of all positions in `box` (with extent in both directions)."""
    west, south, east, north = box
    ring = array("d", [west, south, east, south, east, north, west, north, west, south])
    return Polygon(((ring,),))


def _bounds_of(outlines: Sequence[Path]) -> tuple[Box, ...]:
    arc = enclosing_arc(paths.longitudes(path) for path in outlines)
    ranges = [paths.latitudes(path) for path in outlines]
    return cut(arc, min(low for low, _ in ranges), max(high for _, high in ranges))
