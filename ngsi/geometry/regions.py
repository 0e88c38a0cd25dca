"""Shapes and boxes as native regions: where positions are tested against them.

Owns how paths and rings become what `_native.geometry` takes. Making a region costs about 1 us
and 10 ns per position; a test of a position about 0.1 us, whatever the size of the shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from _native.geometry import Region, is_simple_ring
from ngsi.geometry import paths
from ngsi.geometry.boxes import Box
from ngsi.geometry.paths import Path
from ngsi.geometry.shapes import MultiLineString, MultiPoint, MultiPolygon, Point, Shape

_CLOSING_EDGES: Final = 3  # that `paths.closed` adds to a ring around a pole

# Pairs of edges of a ring to look at before it is left to shapely, which sorts them better: about
# 1 ms. A ring whose edges are short has a few pairs for each, whatever its length.
_MOST_PAIRS: Final = 1 << 18


def region_of(shape: Shape | Box) -> Region:
    """All positions of a shape or box, with both names of the antimeridian where they touch it."""
    if isinstance(shape, Box):
        return Region(boxes=both_sides(shape))
    if isinstance(shape, Point):
        return Region(boxes=both_sides(shape.bounds[0]))
    if isinstance(shape, MultiPoint):
        lons, lats = shape.positions[::2], shape.positions[1::2]
        return Region(
            boxes=[
                box
                for lon, lat in zip(lons, lats, strict=True)
                for box in both_sides(Box(lon, lat, lon, lat))
            ]
        )
    if isinstance(shape, MultiLineString):
        return Region(lines=shape.lines)
    if isinstance(shape, MultiPolygon):
        return Region(polygons=[list(map(_closed, rings)) for rings in shape.polygons])
    raise TypeError(shape)


def is_polygon(rings: Sequence[Path]) -> bool:
    """Whether rings make a polygon: edges neither cross nor run along each other, holes inside.

    A polygon without holes needs no shapely, unless it has many long edges.
    """
    if len(rings) == 1:
        is_simple = is_simple_ring(paths.closed(rings[0]), _MOST_PAIRS)
        if is_simple is not None:
            return is_simple
    from ngsi.geometry import plane

    return plane.is_polygon(rings)


def _closed(ring: Path) -> tuple[Path, int]:
    return paths.closed(ring), _CLOSING_EDGES if paths.rounds_pole(ring) else 0


def both_sides(box: Box) -> tuple[Box, ...]:
    """The box and, where it ends at the antimeridian, that meridian as the other side has it."""
    west, south, east, north = box
    if east == 180.0 and west > -180.0:
        return (box, Box(-180.0, south, -180.0, north))
    if west == -180.0 and east < 180.0:
        return (box, Box(180.0, south, 180.0, north))
    return (box,)
