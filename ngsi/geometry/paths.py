"""Chains of positions with their longitudes unwrapped: how lines and rings are stored.

Consecutive positions are joined the shorter way round the earth, so a step of more than 180
degrees of longitude crosses the antimeridian. Unwrapped longitudes go on beyond 180 there
instead of jumping, so that a chain can be looked at as a plain one in the plane.
Costs are linear in the number of positions.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Final, TypeAlias

from ngsi.geometry.boxes import Arc

Position: TypeAlias = tuple[float, float]  # longitude, latitude in degrees
# lon, lat, lon, lat, ... in degrees, 16 bytes per position. The westmost longitude is at
# least -180 and less than 180. Never changed after it was made.
Path: TypeAlias = "array[float]"

MIN_RING_LENGTH: Final = 4  # positions; the last repeats the first (RFC 7946, section 3.1.6)


# Holes of a polygon times positions of its outer ring: each hole is looked for in that ring,
# and a body of the largest size could keep the broker busy with it for half a minute. This
# many take about 0.1 s.
MAX_HOLE_CHECKS: Final = 10_000_000


class InvalidGeometryError(ValueError):
    """Positions that do not make the geometry they are meant to be; the text says why."""


def unwrap(positions: Sequence[Position]) -> Path:
    """The path through `positions`, all within 180 and 90 degrees."""
    path = array("d")
    turn = 0.0
    previous = positions[0][0]
    for lon, lat in positions:
        if lon - previous > 180.0:
            turn -= 360.0
        elif previous - lon > 180.0:
            turn += 360.0
        previous = lon
        path.append(lon + turn)
        path.append(lat)
    return turned_back(path)


def turned_back(path: Path) -> Path:
    """The path moved by whole turns, so that its westmost longitude is in [-180, 180)."""
    turn = -360.0 * math.floor((min(path[::2]) + 180.0) / 360.0)
    return shifted(path, turn) if turn else path


def shifted(path: Path, degrees: float) -> Path:
    """The path with all longitudes moved by a multiple of 360 degrees."""
    moved = array("d", path)
    for i in range(0, len(moved), 2):
        moved[i] += degrees
    return moved


def longitudes(path: Path) -> Arc:
    """The westmost and eastmost longitude."""
    lons = path[::2]
    return min(lons), max(lons)


def latitudes(path: Path) -> tuple[float, float]:
    """The southmost and northmost latitude."""
    lats = path[1::2]
    return min(lats), max(lats)


def line(positions: Sequence[Position]) -> Path:
    """The path of a LineString: at least two different positions."""
    if len(positions) < 2 or all(position == positions[0] for position in positions):
        raise InvalidGeometryError("a line needs two different positions")
    return unwrap(positions)


def ring(positions: Sequence[Position]) -> Path:
    """The path of a closed ring. One around a pole ends 360 degrees from its start."""
    if len(positions) < MIN_RING_LENGTH:
        raise InvalidGeometryError("a ring needs at least four positions")
    if positions[0] != positions[-1]:
        raise InvalidGeometryError("the last position of a ring must repeat the first")
    path = unwrap(positions)
    west, east = longitudes(path)
    turned = abs(path[-2] - path[0])
    if turned > 540.0 or (turned < 180.0 and east - west > 360.0):
        raise InvalidGeometryError("a ring must not go round the earth more than once")
    return path


def rounds_pole(ring: Path) -> bool:
    """Whether a ring goes once round the earth, so that it has a pole on either side."""
    return abs(ring[-2] - ring[0]) > 180.0


def enclosed_pole(ring: Path) -> float:
    """The latitude (90 or -90) of the pole in a ring round it: the one of the smaller area."""
    turned = 0.0
    for i in range(2, len(ring), 2):
        turned += (ring[i] - ring[i - 2]) * (ring[i + 1] + ring[i - 1])
    return 90.0 if (turned >= 0.0) == (ring[-2] >= ring[0]) else -90.0


def closed(ring: Path) -> Path:
    """A ring that is closed in the plane too: one around a pole takes in that pole.

    It does so at the position nearest to the pole, where no other part of the ring is crossed,
    and starts there, within -180 and 180 degrees.
    """
    if not rounds_pole(ring):
        return ring
    pole = enclosed_pole(ring)
    lats = ring[1:-2:2]
    nearest = 2 * lats.index(max(lats) if pole > 0.0 else min(lats))
    plane = ring[nearest:-2]
    plane.extend(shifted(ring[: nearest + 2], ring[-2] - ring[0]))
    plane.extend((plane[-2], pole, plane[0], pole, plane[0], plane[1]))
    turn = -360.0 * math.floor((plane[0] + 180.0) / 360.0)
    return shifted(plane, turn)


def polygon(rings: Sequence[Sequence[Position]]) -> tuple[Path, ...]:
    """The rings of a polygon, the outer one first, holes moved to where it is unwrapped.

    Raises InvalidGeometryError for what is no polygon: too few positions, not closed, edges that
    cross or touch, holes that are not inside.
    """
    from ngsi.geometry.regions import is_polygon

    if not rings:
        raise InvalidGeometryError("a polygon needs a ring")
    if (len(rings) - 1) * len(rings[0]) > MAX_HOLE_CHECKS:
        raise InvalidGeometryError("a polygon has too many holes")
    outer = ring(rings[0])
    paths = [outer]
    east = longitudes(outer)[1]
    for positions in rings[1:]:
        hole = ring(positions)
        if longitudes(hole)[1] <= east - 360.0:
            hole = shifted(hole, 360.0)
        paths.append(hole)
    if not is_polygon(paths):
        raise InvalidGeometryError("a polygon must not cross or touch itself, and hold its holes")
    return tuple(paths)
