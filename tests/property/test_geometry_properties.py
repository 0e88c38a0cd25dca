"""Geographical queries against independent models: vectors in space, exact fractions, samples."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import atan2, cos, pi, radians, sin, sqrt
from random import Random
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ngsi.errors import NgsiError
from ngsi.geometry import GeoQuery, Point, Shape, parse_geojson

EARTH_RADIUS_M = 6_371_000.0
# Some polygons load a library: an example has no time limit of its own.
untimed = settings(deadline=None)

Pair = tuple[int, int]  # lon, lat in whole degrees

longitudes = st.floats(-180, 180) | st.sampled_from([-180.0, 180.0, 0.0])
latitudes = st.floats(-90, 90) | st.sampled_from([-90.0, 90.0, 0.0])


def spherical_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The distance by the angle between unit vectors, exact for any angle."""
    a, b = (
        (
            cos(radians(lat)) * cos(radians(lon)),
            cos(radians(lat)) * sin(radians(lon)),
            sin(radians(lat)),
        )
        for lon, lat in (one, other)
    )
    cross = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return EARTH_RADIUS_M * atan2(sqrt(sum(x * x for x in cross)), dot)


def near(lon: float, lat: float, modifiers: str) -> GeoQuery:
    return GeoQuery.parse(f"near;{modifiers}", "point", f"{lat!r},{lon!r}")


def found_by_index(query: GeoQuery, shape: Shape) -> bool:
    """Whether an index asked for the bounds of the query would bring the shape."""
    boxes = query.bounds()
    return boxes is None or any(box.overlaps(part) for box in boxes for part in shape.bounds)


# Circles


@untimed
@given(longitudes, latitudes, longitudes, latitudes, st.floats(0, 1.0))
@example(179.9, 0.0, -179.9, 0.0, 0.002)
@example(0.0, 89.0, 180.0, 89.0, 0.02)
@example(10.0, 20.0, -170.0, -20.0, 1.0)
def test_points_in_circles(
    lon: float, lat: float, other_lon: float, other_lat: float, share: float
) -> None:
    distance = spherical_m((lon, lat), (other_lon, other_lat))
    radius = share * pi * EARTH_RADIUS_M
    point = Point(other_lon, other_lat)
    inside = near(lon, lat, f"maxDistance:{radius!r}")
    # Next to the other side of the earth a haversine tells distances apart to 0.1 m only.
    assert abs(inside.distance_m(point) - distance) <= 0.2
    assume(abs(distance - radius) > 0.2)
    assert inside.matches(point) == (distance < radius)
    assert near(lon, lat, f"minDistance:{radius!r}").matches(point) == (distance > radius)
    if inside.matches(point):
        assert found_by_index(inside, point)


@untimed
@given(longitudes, latitudes, st.floats(0, 1.0), st.floats(0, 2 * pi))
def test_circles_lie_in_their_bounds(lon: float, lat: float, share: float, bearing: float) -> None:
    """Places on the circle itself: where the bounds are tight."""
    angle = share * pi
    phi = radians(lat)
    sine = sin(phi) * cos(angle) + cos(phi) * sin(angle) * cos(bearing)
    east = sin(bearing) * sin(angle) * cos(phi)
    other_lat = max(-90.0, min(90.0, 180.0 / pi * atan2(sine, sqrt(max(0.0, 1.0 - sine * sine)))))
    other_lon = lon + 180.0 / pi * atan2(east, cos(angle) - sin(phi) * sine)
    other_lon = (other_lon + 180.0) % 360.0 - 180.0
    point = Point(other_lon, other_lat)
    distance = spherical_m((lon, lat), (other_lon, other_lat))
    query = near(lon, lat, f"maxDistance:{distance!r}")
    assert found_by_index(query, point)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(longitudes, st.floats(-89, 89)), min_size=2, max_size=4),
    longitudes,
    latitudes,
)
def test_distances_to_lines(positions: list[tuple[float, float]], lon: float, lat: float) -> None:
    """Against many places on the line."""
    assume(len(set(positions)) > 1)
    line = parse_geojson({"type": "LineString", "coordinates": [list(p) for p in positions]})
    steps = 400
    nearest, widest = float("inf"), 0.0
    for (lon1, lat1), (lon2, lat2) in pairwise(positions):
        turn = (lon2 - lon1 + 180.0) % 360.0 - 180.0  # the shorter way round
        if abs(lon2 - lon1) <= 180.0:
            turn = lon2 - lon1
        widest = max(widest, radians(sqrt(turn**2 + (lat2 - lat1) ** 2)) / steps)
        for step in range(steps + 1):
            at = (lon1 + turn * step / steps, lat1 + (lat2 - lat1) * step / steps)
            nearest = min(nearest, spherical_m((lon, lat), at))
    query = near(lon, lat, "maxDistance:1")
    distance = query.distance_m(line)
    tolerance = 0.5 + 1e-5 * nearest
    assert distance <= nearest + tolerance
    assert distance >= nearest - widest * EARTH_RADIUS_M / 2 - tolerance
    within = near(lon, lat, f"maxDistance:{distance!r}")
    assert within.matches(line)
    assert found_by_index(within, line)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), longitudes, st.floats(-89, 89), st.floats(1e-4, 2.0))
def test_distances_to_long_lines(seed: int, lon: float, lat: float, step_degrees: float) -> None:
    """A long line is surveyed as a whole: against each of its edges, as a line of its own."""
    random = Random(seed)
    positions = [(lon, lat)]
    for _ in range(100):
        lon, lat = positions[-1]
        lon = max(-180.0, min(180.0, lon + random.uniform(-step_degrees, step_degrees)))
        lat = max(-89.0, min(89.0, lat + random.uniform(-step_degrees, step_degrees)))
        positions.append((lon, lat))
    origin = (random.uniform(-180.0, 180.0), random.uniform(-89.0, 89.0))
    if random.random() < 0.5:  # near one of them
        at = random.choice(positions)
        origin = (
            max(-180.0, min(180.0, at[0] + random.uniform(-step_degrees, step_degrees))),
            max(-89.0, min(89.0, at[1] + random.uniform(-step_degrees, step_degrees))),
        )
    query = near(*origin, "maxDistance:1")
    whole = query.distance_m(_line(positions))
    nearest = min(query.distance_m(_line([*edge])) for edge in pairwise(positions))
    assert abs(whole - nearest) <= 0.02 + 2e-5 * nearest


def _line(positions: list[tuple[float, float]]) -> Shape:
    return parse_geojson({"type": "LineString", "coordinates": [list(p) for p in positions]})


# The plane, in whole degrees, so that the model is exact


def cross(a: Pair, b: Pair, c: Pair) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def on_segment(a: Pair, b: Pair, p: Pair) -> bool:
    return (
        cross(a, b, p) == 0
        and min(a[0], b[0]) <= p[0] <= max(a[0], b[0])
        and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])
    )


def in_ring(ring: list[Pair], p: Pair) -> bool:
    """By the even-odd rule; the border counts as inside."""
    inside = False
    for a, b in pairwise(ring):
        if on_segment(a, b, p):
            return True
        if (a[1] > p[1]) != (b[1] > p[1]):
            if b[1] < a[1]:
                a, b = b, a
            inside ^= cross(a, b, p) > 0
    return inside


def segments_meet(a: Pair, b: Pair, c: Pair, d: Pair) -> bool:
    """Whether two segments share a point, by orientations."""
    if any((on_segment(a, b, c), on_segment(a, b, d), on_segment(c, d, a), on_segment(c, d, b))):
        return True
    return (cross(a, b, c) > 0) != (cross(a, b, d) > 0) and (cross(c, d, a) > 0) != (
        cross(c, d, b) > 0
    )


def wrapped(lon: int) -> int:
    """The longitude within -180 and 180."""
    return (lon + 180) % 360 - 180


def coords(positions: list[Pair], shift: int) -> str:
    return ";".join(f"{lat},{wrapped(lon + shift)}" for lon, lat in positions)


def moved(type: str, coordinates: Any, shift: int) -> Shape:
    """The shape of nested lists of whole degrees, moved east."""

    def move(value: Any) -> Any:
        if isinstance(value, tuple):
            return [wrapped(value[0] + shift), value[1]]
        return [move(item) for item in value]

    return parse_geojson({"type": type, "coordinates": move(coordinates)})


pairs = st.tuples(st.integers(-20, 20), st.integers(-20, 20))
# Where the world of a test is put: across the antimeridian, touching it, or anywhere.
shifts = st.sampled_from([0, 160, 170, 180, 200, -175]) | st.integers(-180, 180)
lines = st.lists(pairs, min_size=2, max_size=4).filter(lambda line: len(set(line)) > 1)


@st.composite
def rings(draw: st.DrawFn) -> list[Pair]:
    """Simple rings: corners in the order of their angles around a place among them."""
    corners = draw(st.lists(pairs, min_size=3, max_size=7, unique=True))
    middle = (
        Fraction(sum(lon for lon, _ in corners), len(corners)),
        Fraction(sum(lat for _, lat in corners), len(corners)),
    )

    def angle(corner: Pair) -> float:
        return atan2(corner[1] - middle[1], corner[0] - middle[0])

    corners.sort(key=angle)
    assume(len({round(angle(corner), 9) for corner in corners}) == len(corners))
    ring = [*corners, corners[0]]
    edges = list(pairwise(ring))
    for i, (a, b) in enumerate(edges):
        for j, (c, d) in enumerate(edges):
            if j > i + 1 and not (i == 0 and j == len(edges) - 1):
                assume(not segments_meet(a, b, c, d))
        assume(cross(a, b, edges[(i + 1) % len(edges)][1]) != 0)
    return ring


@untimed
@given(rings(), pairs, shifts)
def test_points_in_polygons(ring: list[Pair], place: Pair, shift: int) -> None:
    point = Point(float(wrapped(place[0] + shift)), float(place[1]))
    covered = GeoQuery.parse("coveredBy", "polygon", coords(ring, shift))
    assert covered.matches(point) == in_ring(ring, place)
    assert GeoQuery.parse("intersects", "polygon", coords(ring, shift)).matches(point) == in_ring(
        ring, place
    )
    assert GeoQuery.parse("disjoint", "polygon", coords(ring, shift)).matches(point) != in_ring(
        ring, place
    )
    asked = GeoQuery.parse("intersects", "point", coords([place], shift))
    assert asked.matches(moved("Polygon", [ring], shift)) == in_ring(ring, place)
    if covered.matches(point):
        assert found_by_index(covered, point)


@untimed
@given(rings(), lines, shifts)
def test_lines_and_polygons(ring: list[Pair], line: list[Pair], shift: int) -> None:
    edges = list(pairwise(ring))
    steps = list(pairwise(line))
    meet = in_ring(ring, line[0]) or any(
        segments_meet(a, b, c, d) for a, b in edges for c, d in steps
    )
    shape = moved("LineString", line, shift)
    polygon = coords(ring, shift)
    intersects = GeoQuery.parse("intersects", "polygon", polygon)
    assert intersects.matches(shape) == meet
    assert GeoQuery.parse("disjoint", "polygon", polygon).matches(shape) != meet
    reverse = GeoQuery.parse("intersects", "line", coords(line, shift))
    assert reverse.matches(moved("Polygon", [ring], shift)) == meet
    if meet:
        assert found_by_index(intersects, shape)
        assert found_by_index(reverse, moved("Polygon", [ring], shift))
    if GeoQuery.parse("coveredBy", "polygon", polygon).matches(shape):
        assert all(in_ring(ring, position) for position in line)
        assert meet


@untimed
@given(pairs, pairs, lines, st.booleans())
def test_lines_and_boxes(one: Pair, other: Pair, line: list[Pair], multiple: bool) -> None:
    assume(one[0] != other[0] and one[1] != other[1])
    west, east = sorted((one[0], other[0]))
    south, north = sorted((one[1], other[1]))
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    inside = [west <= lon <= east and south <= lat <= north for lon, lat in line]
    meet = inside[0] or any(
        segments_meet(a, b, c, d) for a, b in pairwise(ring) for c, d in pairwise(line)
    )
    shape = moved("MultiLineString", [line], 0) if multiple else moved("LineString", line, 0)
    text = f"{one[1]},{one[0]};{other[1]},{other[0]}"
    assert GeoQuery.parse("coveredBy", "box", text).matches(shape) == all(inside)
    assert GeoQuery.parse("intersects", "box", text).matches(shape) == meet
    assert GeoQuery.parse("disjoint", "box", text).matches(shape) != meet
    # A box means what the polygon of its corners means.
    for georel in ("coveredBy", "intersects", "disjoint"):
        assert GeoQuery.parse(georel, "box", text).matches(shape) == GeoQuery.parse(
            georel, "polygon", coords(ring, 0)
        ).matches(shape)


@untimed
@given(
    st.dictionaries(st.integers(-180, 179), st.integers(40, 89), min_size=5, max_size=12),
    st.integers(0, 11),
    st.booleans(),
    st.sampled_from([1, -1]),
    st.tuples(st.integers(-180, 180), st.integers(-90, 90)),
)
def test_rings_around_poles(
    corners: dict[int, int], start: int, westward: bool, side: int, place: Pair
) -> None:
    """A ring with one latitude for each longitude: what is nearer to the pole is inside."""
    lons = sorted(corners)
    steps = list(pairwise([*lons, lons[0] + 360]))
    assume(all(east - west < 180 for west, east in steps))
    lon, lat = place[0], side * place[1]
    border: Fraction | None = None
    for west, east in steps:
        for at in (lon, lon + 360):
            if west <= at <= east:
                rise = corners[wrapped(east)] - corners[west]
                border = corners[west] + Fraction(rise * (at - west), east - west)
    assert border is not None

    ring = [(west, side * corners[west]) for west in lons]
    start %= len(ring)
    ring = ring[start:] + ring[:start]
    ring.append(ring[0])
    if westward:
        ring.reverse()
    point = Point(float(place[0]), float(place[1]))
    query = GeoQuery.parse("coveredBy", "polygon", coords(ring, 0))
    assert query.matches(point) == (lat >= border) or abs(lat - border) < 1e-9
    polygon = moved("Polygon", [ring], 0)
    reverse = GeoQuery.parse("intersects", "point", f"{place[1]},{place[0]}")
    assert reverse.matches(polygon) == (lat >= border) or abs(lat - border) < 1e-9
    inside = near(place[0], place[1], "maxDistance:0").matches(polygon)
    assert inside == (lat >= border) or abs(lat - border) < 1e-9
    if query.matches(point):
        assert found_by_index(query, point)
        assert found_by_index(reverse, polygon)


geometries = st.one_of(
    pairs.map(lambda pair: ("Point", pair)),
    st.lists(pairs, min_size=1, max_size=4).map(lambda points: ("MultiPoint", points)),
    lines.map(lambda line: ("LineString", line)),
    st.lists(lines, min_size=1, max_size=3).map(lambda many: ("MultiLineString", many)),
    rings().map(lambda ring: ("Polygon", [ring])),
    st.lists(rings(), min_size=1, max_size=2).map(
        lambda many: ("MultiPolygon", [[ring] for ring in many])
    ),
)
references = st.one_of(
    st.tuples(
        st.sampled_from(["near;maxDistance:1000000", "near;minDistance:900000"]),
        st.just("point"),
        st.lists(pairs, min_size=1, max_size=1),
    ),
    st.tuples(
        st.sampled_from(["intersects", "disjoint", "equals"]),
        st.just("point"),
        st.lists(pairs, min_size=1, max_size=1),
    ),
    st.tuples(st.sampled_from(["intersects", "disjoint", "equals"]), st.just("line"), lines),
    st.tuples(
        st.sampled_from(["coveredBy", "intersects", "disjoint", "equals"]),
        st.just("polygon"),
        rings(),
    ),
)


@settings(max_examples=300, deadline=None)
@given(geometries, references, shifts)
def test_where_on_earth_does_not_matter(
    geometry: tuple[str, Any], reference: tuple[str, str, list[Pair]], shift: int
) -> None:
    """The same scene elsewhere, across the antimeridian say, has the same answer."""
    georel, kind, positions = reference
    here = GeoQuery.parse(georel, kind, coords(positions, 0))
    there = GeoQuery.parse(georel, kind, coords(positions, shift))
    shape, moved_shape = moved(*geometry, 0), moved(*geometry, shift)
    assert there.matches(moved_shape) == here.matches(shape)
    distance = here.distance_m(shape)
    assert abs(there.distance_m(moved_shape) - distance) <= 0.1 + 2e-5 * distance
    if there.matches(moved_shape):
        assert found_by_index(there, moved_shape)


@untimed
@example(("MultiLineString", [[(0.0, 0.0), (0.0, 1.0)], [(1.0, 0.0), (-1.0, 0.0)]]), "equals", 180)
@given(geometries, st.sampled_from(["coveredBy", "intersects", "equals"]), shifts)
def test_bounds_hold_the_shape(geometry: tuple[str, Any], georel: str, shift: int) -> None:
    """Every position of a shape is in its bounds, and the bounds are no wider than needed."""
    shape = moved(*geometry, shift)
    boxes = shape.bounds

    def positions(value: Any) -> list[Pair]:
        if isinstance(value, tuple):
            return [value]
        return [pair for item in value for pair in positions(item)]

    for lon, lat in positions(geometry[1]):
        at = float(wrapped(lon + shift))
        assert any(box.has(at, lat) or (at == -180.0 and box.has(180.0, lat)) for box in boxes)
    assert sum(box.east - box.west for box in boxes) <= 40.0
    assert all(-180.0 <= box.west <= box.east <= 180.0 for box in boxes)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "coordinates", "geometry", "features", "crs"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
kinds = st.sampled_from(
    ["Point", "MultiPoint", "LineString", "Polygon", "MultiPolygon", "Feature", "Other"]
)


@untimed
@given(st.fixed_dictionaries({"type": kinds, "coordinates": json_values}) | json_values)
def test_any_value_is_a_shape_or_an_error_for_the_client(value: Any) -> None:
    try:
        shape = parse_geojson(value)
    except NgsiError:
        return
    assert shape.bounds


@untimed
@given(
    st.lists(st.sampled_from(["near", "equals", "", "maxDistance:1", "x"]), max_size=3),
    st.sampled_from(["point", "line", "polygon", "box", "", "point;"]),
    st.text(alphabet="0123456789,;.-+eE nif_", max_size=30),
)
def test_any_query_is_understood_or_refused(georel: list[str], geometry: str, text: str) -> None:
    try:
        query = GeoQuery.parse(";".join(georel), geometry, text)
    except NgsiError:
        return
    assert query.matches(Point(0.0, 0.0)) in (True, False)
