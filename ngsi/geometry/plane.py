"""What a polygon covers, and whether its holes are in it, by shapely.

The only module that knows shapely, for what `_native` does not do: lines and polygons that a
polygon must cover, and polygons with holes. It is imported where it is needed, not before: that
takes some 100 ms and 20 MB, and most brokers never need it. Making a geometry costs about 10 us,
a relation of small shapes about 5 us.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import shapely

from ngsi.geometry import paths
from ngsi.geometry.paths import Path
from ngsi.geometry.shapes import MultiLineString, MultiPolygon, Shape

Planar: TypeAlias = Any  # a shapely geometry; the library has no types

# Paths lie between -180 and 540 (they start west of 180 and end within a turn). There they
# meet a reference, which lies so too, in one of these copies.
_TURNS: Final = (-360.0, 0.0, 360.0)
_ONE_TURN: Final = shapely.box(-180.0, -90.0, 180.0, 90.0)


def is_polygon(rings: Sequence[Path]) -> bool:
    """Whether rings make a polygon: edges neither cross nor run along each other, holes inside."""
    if not paths.rounds_pole(rings[0]):
        return bool(shapely.is_valid(_polygon(rings)))
    if not all(shapely.is_valid(_outline(paths.closed(ring))) for ring in rings):
        return False
    around = shapely.union_all(_copies(_cap(rings[0])))
    return all(shapely.covers(around, _polygon([hole])) for hole in rings[1:])


class Reference:
    """The polygon of a geographical query, prepared for many other shapes."""

    __slots__ = ("_area",)

    def __init__(self, shape: Shape) -> None:
        (part,) = _parts(shape)
        copies = _copies(part)
        west, _, east, _ = shapely.bounds(part)
        if east - west >= 360.0:
            self._area = shapely.union_all(copies)  # neighbours of each other: leave no seams
        else:
            self._area = shapely.multipolygons(copies)
        shapely.prepare(self._area)

    def covers(self, shape: Shape) -> bool:
        """Whether every position of `shape`, made of lines or polygons, belongs to it."""
        return all(shapely.covers(self._area, part) for part in _parts(shape))


def _parts(shape: Shape) -> Iterator[Planar]:
    if isinstance(shape, MultiLineString):
        for line in shape.lines:
            for path in _within_turn(line):
                yield shapely.linestrings(_coordinates(path))
    elif isinstance(shape, MultiPolygon):
        for rings in shape.polygons:
            yield _polygon(rings)
    else:
        raise TypeError(shape)


def _coordinates(path: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.frombuffer(path).reshape(-1, 2)


def _within_turn(line: Path) -> Iterator[Path]:
    """The line itself or, when it goes round the earth more than once, each of its edges."""
    west, east = paths.longitudes(line)
    if east - west <= 360.0:
        yield line
    else:
        for i in range(0, len(line) - 2, 2):
            yield paths.turned_back(line[i : i + 4])


def _outline(ring: Path) -> Planar:
    return shapely.polygons(shapely.linearrings(_coordinates(ring)))


def _polygon(rings: Sequence[Path]) -> Planar:
    outer = rings[0]
    if paths.rounds_pole(outer):
        area = _cap(outer)
        for hole in rings[1:]:
            area = shapely.difference(area, shapely.union_all(_copies(_polygon([hole]))))
        return area
    if len(rings) == 1:
        return _outline(outer)
    outer_ring, *holes = (shapely.linearrings(_coordinates(ring)) for ring in rings)
    return shapely.polygons(outer_ring, holes)


def _cap(ring: Path) -> Planar:
    """The area between a ring around a pole and that pole, from -180 to 180."""
    return shapely.intersection(shapely.union_all(_copies(_outline(paths.closed(ring)))), _ONE_TURN)


def _copies(part: Planar) -> list[Planar]:
    return [
        shapely.transform(part, lambda at, turn=turn: np.add(at, (turn, 0.0))) if turn else part
        for turn in _TURNS
    ]
