"""Ranges of longitude and latitude: what an index by location is made of and asked with.

Owns the cutting of ranges at the antimeridian. A `Box` never crosses it; a range of
longitudes that does has two. All operations are O(1), `enclosing_arc` O(n log n).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

Arc: TypeAlias = tuple[float, float]  # longitudes west, east; -180 <= west <= 180, west <= east

# Degrees added around the reference of a query: moving longitudes by 360 rounds them, and a
# box that touches the antimeridian must find its neighbours on the other side of it.
# It is 0.1 mm on the ground, and some ten thousand times the rounding.
SLACK_DEGREES: Final = 1e-9


class Box(NamedTuple):
    """Degrees, west <= east and south <= north; the borders belong to it."""

    west: float
    south: float
    east: float
    north: float

    def overlaps(self, other: Box) -> bool:
        """Whether a point belongs to both."""
        return (
            self.west <= other.east
            and other.west <= self.east
            and self.south <= other.north
            and other.south <= self.north
        )

    def covers(self, other: Box) -> bool:
        """Whether every point of `other` belongs to this one."""
        return (
            self.west <= other.west
            and other.east <= self.east
            and self.south <= other.south
            and other.north <= self.north
        )

    def has(self, lon: float, lat: float) -> bool:
        """Whether the point belongs to it."""
        return self.west <= lon <= self.east and self.south <= lat <= self.north


WORLD: Final = Box(-180.0, -90.0, 180.0, 90.0)


def cut(arc: Arc, south: float, north: float) -> tuple[Box, ...]:
    """The one or two boxes of an arc of longitudes (which may go on beyond 180)."""
    west, east = arc
    if east - west >= 360.0:
        return (Box(-180.0, south, 180.0, north),)
    if east <= 180.0:
        return (Box(west, south, east, north),)
    return (Box(west, south, 180.0, north), Box(-180.0, south, east - 360.0, north))


def widen(boxes: Iterable[Box]) -> tuple[Box, ...]:
    """`boxes` with some slack, on both sides of the antimeridian where they touch it."""
    wide: list[Box] = []
    for box in boxes:
        south = max(box.south - SLACK_DEGREES, -90.0)
        north = min(box.north + SLACK_DEGREES, 90.0)
        west = max(box.west - SLACK_DEGREES, -180.0)
        east = min(box.east + SLACK_DEGREES, 180.0)
        wide.append(Box(west, south, east, north))
        if west == -180.0 and east < 180.0:
            wide.append(Box(180.0 - SLACK_DEGREES, south, 180.0, north))
        elif east == 180.0 and west > -180.0:
            wide.append(Box(-180.0, south, -180.0 + SLACK_DEGREES, north))
    return tuple(box for box in wide if not any(o is not box and o.covers(box) for o in wide))


def arc_of(boxes: tuple[Box, ...]) -> Arc:
    """The arc of longitudes that `cut` made these boxes of (within rounding)."""
    if len(boxes) == 1:
        return boxes[0].west, boxes[0].east
    return boxes[0].west, boxes[1].east + 360.0


def enclosing_arc(arcs: Iterable[Arc]) -> Arc:
    """The shortest arc that holds all `arcs` (at least one): all but the widest gap."""
    ordered = sorted(arcs)
    first_west, reach = ordered[0]
    # Arcs that go on beyond 180 lie in the gaps behind -180, too.
    reach = max(reach, max(east for _, east in ordered) - 360.0)
    widest_gap = 0.0
    arc = None
    for west, east in ordered[1:]:
        if west - reach > widest_gap:
            widest_gap = west - reach
            arc = (west, reach + 360.0)
        reach = max(reach, east)
    if arc is None or first_west + 360.0 - reach >= widest_gap:
        return first_west, reach
    return arc
