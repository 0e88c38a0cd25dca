from array import array
from collections.abc import Iterable
from typing import TypeAlias

_Path: TypeAlias = array[float]  # longitude, latitude, longitude, ...
_Box: TypeAlias = tuple[float, float, float, float]  # west, south, east, north

class Origin:
    """A position on the sphere that distances are measured from, in degrees."""

    def __new__(cls, lon: float, lat: float) -> Origin: ...
    @property
    def lon(self) -> float: ...
    @property
    def lat(self) -> float: ...
    def haversine(self, lon: float, lat: float) -> float:
        """sin²(angle / 2) of the angle to a position: 0 here, 1 on the other side of the earth.

        Grows with the distance and is cheaper. About 0.1 us.
        """
    def metres_to(self, lon: float, lat: float) -> float:
        """The great-circle distance to a position. About 0.1 us."""
    def survey(
        self, path: _Path, nearest: float
    ) -> tuple[float, list[tuple[float, int, float, float]]]:
        """What of a long path is worth a closer look: the smaller of `nearest` and the distance to
        its nearest position, and the edges that may come nearer. Of each a bound that no place
        of it is nearer than, its number, and the distances to its ends; by their bounds, the
        lowest first. About 0.1 us per position.
        """

class Annulus:
    """The positions from `min_m` to `max_m` away from an origin, both included.

    No maximum where `max_m` is at least half of the earth's circumference.
    """

    def __new__(cls, origin: Origin, min_m: float, max_m: float) -> Annulus: ...
    def has(self, lon: float, lat: float) -> bool:
        """Whether the position is in it. About 0.1 us."""

class Region:
    """Boxes, lines and polygons with holes; their borders belong to them.

    Paths are unwrapped, from -180 to 540 degrees (see ngsi.geometry.paths). A ring comes with
    the number of its last edges that only close it over a pole and are no border; the first
    ring of a polygon is the outer one. Copies what it is given: linear in that.

    Raises ValueError for a path that is too short.
    """

    def __new__(
        cls,
        *,
        boxes: Iterable[_Box] = (),
        lines: Iterable[_Path] = (),
        polygons: Iterable[Iterable[tuple[_Path, int]]] = (),
    ) -> Region: ...
    def touches(self, lon: float, lat: float) -> bool:
        """Whether a position belongs to it: exact for the doubles given.

        The longitude is from -180 to 180. About 0.1 us; costs grow with the edges near the
        position, not with all of them.
        """
    def meets(self, other: Region) -> bool:
        """Whether both, of lines and polygons without boxes, share a position.

        Costs some 50 ns for each position of the one with fewer.
        """

def is_simple_ring(path: _Path, budget: int) -> bool | None:
    """Whether a closed ring neither crosses nor touches itself nor goes back on itself.

    None where that takes more than `budget` pairs of edges to look at (about 3 ns each).
    Raises ValueError for fewer than four positions.
    """
