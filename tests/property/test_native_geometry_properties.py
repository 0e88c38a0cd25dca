"""Native distances and regions against their definitions in Python and exact fractions."""

from __future__ import annotations

import random
from array import array
from fractions import Fraction
from itertools import pairwise
from math import asin, atan2, cos, inf, nextafter, pi, radians, sin, sqrt

import shapely
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from _native.geometry import Annulus, Origin, Region, is_simple_ring

EARTH_RADIUS_M = 6_371_000.0
untimed = settings(deadline=None)

Pair = tuple[float, float]  # lon, lat

longitudes = st.floats(-180, 180) | st.sampled_from([-180.0, 180.0, 0.0])
latitudes = st.floats(-90, 90) | st.sampled_from([-90.0, 90.0, 0.0])


def path(positions: list[Pair]) -> array[float]:
    return array("d", [degrees for position in positions for degrees in position])


# Distances


def haversine(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    """The definition."""
    across = sin((other_lon - lon) * (pi / 360.0))
    along = sin((radians(other_lat) - radians(lat)) * 0.5)
    return along * along + cos(radians(lat)) * cos(radians(other_lat)) * across * across


@untimed
@given(longitudes, latitudes, longitudes, latitudes)
@example(179.9, 0.0, -179.9, 0.0)
@example(0.0, 90.0, 77.0, 90.0)
def test_distances(lon: float, lat: float, other_lon: float, other_lat: float) -> None:
    origin = Origin(lon, lat)
    assert (origin.lon, origin.lat) == (lon, lat)
    expected = haversine(lon, lat, other_lon, other_lat)
    assert abs(origin.haversine(other_lon, other_lat) - expected) <= 1e-14 * expected + 1e-300
    metres = 2.0 * EARTH_RADIUS_M * asin(min(1.0, sqrt(expected)))
    assert abs(origin.metres_to(other_lon, other_lat) - metres) <= 0.2


@untimed
@given(longitudes, latitudes, longitudes, latitudes, st.floats(0, 2.5e7), st.floats(0, 2.5e7))
def test_annuli(
    lon: float, lat: float, other_lon: float, other_lat: float, min_m: float, max_m: float
) -> None:
    origin = Origin(lon, lat)
    distance = origin.metres_to(other_lon, other_lat)
    half_round = pi * EARTH_RADIUS_M
    assume(abs(distance - min_m) > 0.2)
    assume(abs(distance - max_m) > 0.2)
    expected = min_m <= distance and (distance <= max_m or max_m >= half_round)
    assert Annulus(origin, min_m, max_m).has(other_lon, other_lat) == expected
    assert Annulus(origin, min_m, inf).has(other_lon, other_lat) == (min_m <= distance)
    assert Annulus(origin, 0.0, 0.0).has(lon, lat)


# The plane, by fractions


def side(a: Pair, b: Pair, p: Pair) -> int:
    """1 left of the line from a to b, -1 right, 0 on it."""
    ax, ay, bx, by, px, py = map(Fraction, (*a, *b, *p))
    cross = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    return (cross > 0) - (cross < 0)


def on_edge(a: Pair, b: Pair, p: Pair) -> bool:
    return (
        min(a[0], b[0]) <= p[0] <= max(a[0], b[0])
        and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])
        and side(a, b, p) == 0
    )


def locate(ring: list[Pair], p: Pair) -> str:
    """By the even-odd rule."""
    inside = False
    for a, b in pairwise(ring):
        if on_edge(a, b, p):
            return "border"
        if (a[1] > p[1]) != (b[1] > p[1]):
            inside ^= (side(a, b, p) > 0) == (b[1] > a[1])
    return "inside" if inside else "outside"


def in_polygon(rings: list[list[Pair]], p: Pair) -> bool:
    outer, *holes = rings
    return locate(outer, p) != "outside" and all(locate(hole, p) != "inside" for hole in holes)


def edges_meet(a: Pair, b: Pair, c: Pair, d: Pair) -> bool:
    for axis in (0, 1):
        if min(a[axis], b[axis]) > max(c[axis], d[axis]):
            return False
        if min(c[axis], d[axis]) > max(a[axis], b[axis]):
            return False
    if any((on_edge(a, b, c), on_edge(a, b, d), on_edge(c, d, a), on_edge(c, d, b))):
        return True
    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


# Corners of a coarse grid (so that much is collinear and shared), and of none at all. No numbers
# of which products vanish: nobody is 1e-130 degrees from the equator.
coordinates = (
    st.integers(-6, 6).map(float)
    | st.sampled_from([0.1, 0.2, 0.3, 1.1, 3.3])
    | st.integers(-(10**9), 10**9).map(lambda steps: steps / 1.3e8)
)
positions = st.tuples(coordinates, coordinates)
rings = st.lists(positions, min_size=3, max_size=12).map(lambda corners: [*corners, corners[0]])


def long_path(seed: int) -> list[Pair]:
    """A hundred positions or two, each near the one before: blocks of edges are told apart."""
    rng = random.Random(seed)
    lon, lat = 0.0, 0.0
    found = []
    for _ in range(rng.randint(100, 200)):
        lon, lat = lon + rng.choice([-1, 0, 0.3, 1]), lat + rng.choice([-1, 0, 0.7, 1])
        found.append((lon, lat))
    return found


long_paths = st.integers(0, 10_000).map(long_path)
long_rings = long_paths.map(lambda corners: [*corners, corners[0]])


def star(corners: list[Pair]) -> list[Pair]:
    """The corners around the origin in the order of their angles."""
    ring = sorted(corners, key=lambda corner: atan2(corner[1], corner[0]))
    return [*ring, ring[0]]


# Simple rings around the origin: such a ring at half its size is a hole in itself.
stars = (
    st.lists(positions, min_size=3, max_size=9)
    .map(star)
    .filter(
        lambda ring: bool(is_simple_ring(path(ring), 1000)) and locate(ring, (0, 0)) == "inside"
    )
)


@st.composite
def close_to(draw: st.DrawFn, ring: list[Pair]) -> Pair:
    """A position on an edge as far as doubles allow it, or next to one by a last digit."""
    a, b = draw(st.sampled_from(list(pairwise(ring))))
    share = draw(st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1))
    lon, lat = a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
    assume(not (0.0 < abs(lon) < 1e-100 or 0.0 < abs(lat) < 1e-100))
    if lon != 0.0 and draw(st.booleans()):
        lon = nextafter(lon, draw(st.sampled_from([-inf, inf])))
    return lon, lat


@untimed
@given(st.data(), rings | long_rings)
def test_positions_in_polygons(data: st.DataObject, ring: list[Pair]) -> None:
    """Also of rings that cross themselves, where the even-odd rule holds."""
    region = Region(polygons=[[(path(ring), 0)]])
    for _ in range(5):
        p = data.draw(positions | close_to(ring))
        assert region.touches(*p) == (locate(ring, p) != "outside")


@untimed
@given(st.data(), rings, st.lists(rings, max_size=2), rings)
def test_positions_in_polygons_with_holes(
    data: st.DataObject, ring: list[Pair], holes: list[list[Pair]], other: list[Pair]
) -> None:
    polygons = [[ring, *holes], [other]]
    region = Region(polygons=[[(path(part), 0) for part in parts] for parts in polygons])
    for around in (ring, *holes, other):
        p = data.draw(positions | close_to(around))
        assert region.touches(*p) == any(in_polygon(parts, p) for parts in polygons)


@untimed
@given(st.data(), st.lists(positions, min_size=2, max_size=9) | long_paths, st.integers(-1, 1))
def test_positions_on_lines(data: st.DataObject, line: list[Pair], turn: int) -> None:
    region = Region(lines=[path(line)])
    for _ in range(5):
        p = data.draw(positions | close_to(line))
        assert region.touches(*p) == any(on_edge(a, b, p) for a, b in pairwise(line))
    # Whole degrees on another turn, beyond the antimeridian.
    whole = [(float(round(lon)), float(round(lat))) for lon, lat in line]
    moved = Region(lines=[path([(lon + 360.0 * turn, lat) for lon, lat in whole])])
    for lon, lat in whole:
        assert moved.touches(lon, lat)


@untimed
@given(positions, positions, positions)
def test_positions_in_boxes(one: Pair, other: Pair, p: Pair) -> None:
    west, east = sorted((one[0], other[0]))
    south, north = sorted((one[1], other[1]))
    region = Region(boxes=[(west, south, east, north)])
    assert region.touches(*p) == (west <= p[0] <= east and south <= p[1] <= north)
    assert region.touches(west, south)
    assert region.touches(east, north)


@settings(max_examples=200, deadline=None)
@given(stars, st.booleans(), st.lists(positions, min_size=2, max_size=6), st.sampled_from([1, 8]))
def test_lines_meet_polygons(
    ring: list[Pair], has_hole: bool, line: list[Pair], shrink: int
) -> None:
    parts = [ring]
    if has_hole:
        parts.append([(lon / 2.0, lat / 2.0) for lon, lat in ring])
    line = [(lon / shrink, lat / shrink) for lon, lat in line]
    expected = any(in_polygon(parts, p) for p in line) or any(
        edges_meet(a, b, c, d)
        for part in parts
        for a, b in pairwise(part)
        for c, d in pairwise(line)
    )
    polygon = Region(polygons=[[(path(part), 0) for part in parts]])
    assert Region(lines=[path(line)]).meets(polygon) == expected
    assert polygon.meets(Region(lines=[path(line)])) == expected


@settings(max_examples=200, deadline=None)
@given(
    st.lists(positions, min_size=2, max_size=9) | long_paths,
    st.lists(positions, min_size=2, max_size=20),
    st.sampled_from([0.0, 0.01, 1.0]),
)
def test_lines_meet_lines(one: list[Pair], other: list[Pair], scale: float) -> None:
    """Long ones and, by the scale, such that are away from each other."""
    other = [(lon * scale + 5.0, lat * scale + 5.0) for lon, lat in other]
    assume(all(lon == 0.0 or abs(lon) > 1e-100 for lon, _ in other))
    expected = any(edges_meet(a, b, c, d) for a, b in pairwise(one) for c, d in pairwise(other))
    assert Region(lines=[path(one)]).meets(Region(lines=[path(other)])) == expected
    assert Region(lines=[path(other)]).meets(Region(lines=[path(one)])) == expected


@settings(max_examples=300, deadline=None)
@given(rings | st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=7))
def test_simple_rings(ring: list[Pair]) -> None:
    """As shapely finds them, a second opinion."""
    if ring[0] != ring[-1]:
        ring = [*ring, ring[0]]
    assume(len(ring) >= 4)
    numbers = path(ring)
    assert is_simple_ring(numbers, 10_000) == bool(shapely.is_valid(shapely.polygons(ring)))
    if is_simple_ring(numbers, 10_000):
        assert is_simple_ring(numbers, 0) is None
