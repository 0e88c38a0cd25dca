"""Locations and geographical queries: which values are taken, what is where, how far it is."""

from __future__ import annotations

import subprocess
import sys
from math import pi
from typing import Any

import pytest

from _native.geometry import Region
from ngsi.errors import BadRequest, NgsiError, NotSupportedQuery
from ngsi.geometry import (
    GEO_TYPES,
    Box,
    GeoQuery,
    LineString,
    LocationError,
    MultiLineString,
    MultiPoint,
    MultiPolygon,
    Point,
    Polygon,
    Shape,
    parse_geojson,
    parse_simple_location,
    rendered_geometry,
)

EARTH_RADIUS_M = 6_371_000.0
SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
HOLE = [[1, 1], [1, 3], [3, 3], [3, 1], [1, 1]]


def geojson(type: str, coordinates: Any) -> Shape:
    return parse_geojson({"type": type, "coordinates": coordinates})


def query(georel: str, geometry: str, coords: str) -> GeoQuery:
    return GeoQuery.parse(georel, geometry, coords)


# GeoJSON values


@pytest.mark.parametrize(
    ("type", "coordinates", "kind", "bounds"),
    [
        ("Point", [2, 1], Point, (2, 1, 2, 1)),
        ("Point", [2.5, 1.5, 300], Point, (2.5, 1.5, 2.5, 1.5)),
        ("Point", [180, -90], Point, (180, -90, 180, -90)),
        ("MultiPoint", [[10, 40], [40, 30], [20, 20]], MultiPoint, (10, 20, 40, 40)),
        ("LineString", [[2, 2], [7, 7]], LineString, (2, 2, 7, 7)),
        ("MultiLineString", [[[2, 2], [7, 7]], [[8, 8], [9, 9]]], MultiLineString, (2, 2, 9, 9)),
        ("Polygon", [SQUARE], Polygon, (0, 0, 4, 4)),
        ("Polygon", [SQUARE[::-1], HOLE], Polygon, (0, 0, 4, 4)),
        ("MultiPolygon", [[SQUARE], [[[8, 8], [9, 8], [9, 9], [8, 8]]]], MultiPolygon, None),
    ],
)
def test_geojson_types(
    type: str, coordinates: Any, kind: type[Shape], bounds: tuple[float, ...] | None
) -> None:
    shape = geojson(type, coordinates)
    assert isinstance(shape, kind)
    if bounds is not None:
        assert shape.bounds == (Box(*bounds),)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"type": "Point"},
        {"coordinates": [1, 2]},
        {"type": "PointKK3", "coordinates": [2, 1]},
        {"type": ["Point"], "coordinates": [2, 1]},
        {"type": "Point", "coordinates": [[2, 1]]},
        {"type": "Point", "coordinates": ["-0.042202", "31.976196"]},
        {"type": "Point", "coordinates": [True, False]},
        {"type": "Point", "coordinates": [2]},
        {"type": "Point", "coordinates": {"lon": 2, "lat": 1}},
        {"type": "Point", "coordinates": None},
        {"type": "Point", "coordinates": [180.1, 0]},
        {"type": "Point", "coordinates": [0, -90.1]},
        {"type": "Point", "coordinates": [10**400, 0]},
        {"type": "MultiPoint", "coordinates": []},
        {"type": "LineString", "coordinates": [[1, 2]]},
        {"type": "LineString", "coordinates": [[1, 2], [1, 2]]},
        {"type": "MultiLineString", "coordinates": []},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": SQUARE},
        {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [0, 0]]]},
        {"type": "Polygon", "coordinates": [SQUARE[:-1]]},  # not closed
        {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [4, 4], [0, 0]]]},  # no area
        {"type": "Polygon", "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]},  # bow tie
        {"type": "Polygon", "coordinates": [SQUARE, [[8, 8], [9, 8], [9, 9], [8, 8]]]},
        {"type": "Polygon", "coordinates": [SQUARE, HOLE, HOLE]},
        {"type": "Polygon", "coordinates": [SQUARE[:1] * 5001 + SQUARE[1:], *[HOLE] * 2000]},
        {"type": "MultiPolygon", "coordinates": [SQUARE]},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 2]}]},
        {"type": "Feature", "geometry": {"type": "Feature", "geometry": {}}},
        {
            "type": "Point",
            "coordinates": [440720, 100000],
            "crs": {"type": "name", "properties": {"name": "EPSG:25830"}},
        },
        {"type": "Point", "coordinates": [1, 2], "crs": {"properties": {"name": "EPSG:3857"}}},
    ],
)
def test_what_is_no_geojson_geometry_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_geojson(value)
    assert caught.value.description == "Wrong GeoJson"
    assert not isinstance(caught.value, LocationError)  # the text is complete


@pytest.mark.parametrize("value", ["1, 2", 7, [1, 2], True])
def test_geojson_is_an_object(value: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_geojson(value)
    assert caught.value.description == "geo:json needs an object or null as value"


def test_wgs_84_may_be_named() -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    assert parse_geojson({"type": "Point", "coordinates": [1, 2], "crs": crs}) == Point(1.0, 2.0)


POINT = {"type": "Point", "coordinates": [2, 1]}
FEATURE = {"type": "Feature", "properties": {"a": 1}, "geometry": POINT}


@pytest.mark.parametrize("value", [FEATURE, {"type": "FeatureCollection", "features": [FEATURE]}])
def test_features_stand_for_their_geometry(value: Any) -> None:
    assert parse_geojson(value) == Point(2.0, 1.0)
    assert rendered_geometry(value) is POINT


@pytest.mark.parametrize("value", [POINT, None, "x", [1], {"type": "Feature"}])
def test_other_values_are_rendered_as_they_are(value: Any) -> None:
    assert rendered_geometry(value) is value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"type": "Feature"}, "geometry in Feature not found"),
        ({"type": "Feature", "geometry": None}, "geometry in Feature is not an object"),
        ({"type": "Feature", "geometry": []}, "geometry in Feature is not an object"),
        ({"type": "FeatureCollection"}, "features field not found in FeatureCollection"),
        (
            {"type": "FeatureCollection", "features": {}},
            "features in FeatureCollection is not an array",
        ),
        (
            {"type": "FeatureCollection", "features": []},
            "features in FeatureCollection has 0 items",
        ),
        (
            {"type": "FeatureCollection", "features": [FEATURE, FEATURE]},
            "features in FeatureCollection has more than 1 item",
        ),
        ({"type": "FeatureCollection", "features": ["x"]}, "geometry in Feature not found"),
    ],
)
def test_wrong_features(value: Any, text: str) -> None:
    with pytest.raises(LocationError) as caught:
        parse_geojson(value)
    assert caught.value.description == text


# Deprecated types


def test_simple_locations_have_latitude_first() -> None:
    assert parse_simple_location("geo:point", " 40.418889 ,-3.691944 ") == Point(
        -3.691944, 40.418889
    )
    assert parse_simple_location("geo:line", ["2, 2", "7, 8"]) == geojson(
        "LineString", [[2, 2], [8, 7]]
    )
    assert parse_simple_location("geo:polygon", ["4, 3", "6, 6", "7, 3", "4, 3"]) == geojson(
        "Polygon", [[[3, 4], [6, 6], [3, 7], [3, 4]]]
    )


@pytest.mark.parametrize("value", [["4, 3", "6, 7"], ["6, 3", "4, 7"], ["6, 7", "4, 3"]])
def test_box_corners_in_any_order(value: list[str]) -> None:
    shape = parse_simple_location("geo:box", value)
    assert shape.bounds == (Box(3, 4, 7, 6),)
    assert query("equals", "box", "6,3;4,7").matches(shape)


@pytest.mark.parametrize(
    ("type", "value", "text"),
    [
        ("geo:point", "foo", "geo coordinates format error [see Orion user manual]: foo"),
        ("geo:point", "1", "geo coordinates format error [see Orion user manual]: 1"),
        ("geo:point", "1, 2, 3", "geo coordinates format error [see Orion user manual]: 1, 2, 3"),
        ("geo:point", "91, 2", "geo coordinates format error [see Orion user manual]: 91, 2"),
        ("geo:point", "1, 181", "geo coordinates format error [see Orion user manual]: 1, 181"),
        ("geo:point", "nan, 1", "geo coordinates format error [see Orion user manual]: nan, 1"),
        ("geo:point", "1_0, 1", "geo coordinates format error [see Orion user manual]: 1_0, 1"),
        ("geo:point", ", 1", "geo coordinates format error [see Orion user manual]: , 1"),
        ("geo:point", 5, "geo coordinates format error [see Orion user manual]: "),
        ("geo:box", "0, 0", "geo:line, geo:box and geo:polygon needs array of strings as value"),
        (
            "geo:line",
            ["0, 0", 5],
            "geo:line, geo:box and geo:polygon needs array of strings "
            "but some element is not a string",
        ),
        ("geo:line", ["0, 0", "x"], "geo coordinates format error [see Orion user manual]: x"),
        ("geo:line", ["0, 0"], "geo:line uses at least 2 coordinates"),
        ("geo:box", ["0, 0"], "geo:box uses exactly 2 coordinates"),
        ("geo:box", ["0, 0", "1, 1", "2, 2"], "geo:box uses exactly 2 coordinates"),
        ("geo:box", ["0, 0", "0, 5"], "geo:box coordinates are not defining an actual box"),
        ("geo:polygon", ["0, 0", "5, 5", "0, 0"], "geo:polygon uses at least 4 coordinates"),
        (
            "geo:polygon",
            ["0, 0", "5, 5", "0, 5", "0, 1"],
            "geo:polygon first and last coordinates must match",
        ),
    ],
)
def test_wrong_simple_locations(type: str, value: Any, text: str) -> None:
    with pytest.raises(LocationError) as caught:
        parse_simple_location(type, value)
    assert caught.value.description == text


def test_simple_locations_that_are_no_geometry() -> None:
    for type, value in (
        ("geo:line", ["1, 1", "1, 1"]),
        ("geo:polygon", ["0, 0", "4, 4", "0, 4", "4, 0", "0, 0"]),
    ):
        with pytest.raises(BadRequest, match=r"^Wrong GeoJson$"):
            parse_simple_location(type, value)


def test_geo_types() -> None:
    assert {"geo:json", "geo:point", "geo:line", "geo:box", "geo:polygon"} == GEO_TYPES


# The syntax of queries

WRONG_GEOMETRY = "error parsing geometry: "
NOT_NEAR = "georel /near/ used with geometry different than point"
NOT_CLOSED = "First and last point in polygon not the same"
NOT_WITH = "erroneously used with georel"


@pytest.mark.parametrize(
    ("georel", "geometry", "coords", "text"),
    [
        (
            "intersects",
            "triangle",
            "1,2",
            WRONG_GEOMETRY + "Invalid selector in geometry specification",
        ),
        ("intersects", "", "1,2", WRONG_GEOMETRY + "empty geometry"),
        ("intersects", "point;box", "1,2", WRONG_GEOMETRY + "geometry-type present more than once"),
        ("near;maxDistance:12", "box", "1,2;3,4", NOT_NEAR),
        ("near;maxDistance:12", "polygon", "1,2;3,4;3,0;1,0;1,2", NOT_NEAR),
        ("near;maxDistance:12", "line", "1,2;3,4", NOT_NEAR),
        ("near", "point", "1,2", "georel /near/ without either minDistance nor maxDistance"),
        ("", "point", "1,2,3", "invalid point in URI param /coords/"),
        ("", "point", "1;3,4", "invalid point in URI param /coords/"),
        ("", "point", "1,2;3,4", "invalid number of coordinates for /point/"),
        ("", "line", "1,2;3,4;5.6", "invalid point in URI param /coords/"),
        ("", "line", "1,2", "invalid number of coordinates for /line/"),
        ("", "box", "1,2;3,4;5,6", "invalid number of coordinates for /box/"),
        ("", "box", "1,2", "invalid number of coordinates for /box/"),
        ("", "polygon", "1,2;3,4", "Too few coordinates for polygon"),
        ("intersects", "polygon", "1,2;3,4;5,6;7,8", NOT_CLOSED),
        ("coveredBy", "box", "1,2;3,2", "box coordinates are not defining an actual box"),
        ("coveredBy", "box", "1,2;1,8", "box coordinates are not defining an actual box"),
        ("coveredBy", "point", "5,5", "point geometry cannot be used with coveredBy georel"),
        ("coveredBy", "line", "5,5;9,5", "line geometry cannot be used with coveredBy georel"),
        ("near;maxDistance:10", "point", "B,5", "invalid coordinates"),
        ("near;maxDistance:10", "point", "5,B", "invalid coordinates"),
        ("near;maxDistance:10", "point", "5,", "invalid coordinates"),
        ("near;maxDistance:10", "point", "5,inf", "invalid coordinates"),
        ("intersects", "point", "", "no coordinates for geometry"),
        ("intersects", "point", ";", "erroneous coordinates for geometry"),
        ("intersects", "point", "1,2;", "invalid point in URI param /coords/"),
        (";", "point", "1,2", "empty georel"),
        ("near;maxDistance=1000", "point", "1,2", "Invalid modifier in georel parameter"),
        ("far;maxDistance:2", "point", "1,2", "Invalid modifier in georel parameter"),
        ("near;near;maxDistance:2", "point", "1,2", "georel type present more than once"),
        ("near;maxDistance:1;maxDistance:1", "point", "1,2", "maxDistance present more than once"),
        ("near;minDistance:1;minDistance:1", "point", "1,2", "minDistance present more than once"),
        ("near;maxDistance:x", "point", "1,2", "invalid number for maxDistance"),
        ("near;maxDistance:-1", "point", "1,2", "invalid number for maxDistance"),
        ("near;minDistance:1e999", "point", "1,2", "invalid number for minDistance"),
        ("equals;maxDistance:1", "point", "1,2", f"maxDistance {NOT_WITH} /equals/"),
        ("minDistance:1", "point", "1,2", f"minDistance {NOT_WITH} //"),
    ],
)
def test_wrong_queries(georel: str, geometry: str, coords: str, text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        query(georel, geometry, coords)
    assert caught.value.description == text


@pytest.mark.parametrize(
    "coords", ["90.1,0", "-91,0", "0,180.1", "0,-181"], ids=["north", "south", "east", "west"]
)
def test_coords_are_on_the_earth(coords: str) -> None:
    with pytest.raises(BadRequest, match=r"^invalid coordinates: latitude must be within -90"):
        query("intersects", "point", coords)


@pytest.mark.parametrize(
    ("georel", "geometry", "coords"),
    [
        ("", "point", "1,2"),
        ("intersects", "polygon", "0,0;4,4;0,4;4,0;0,0"),
        ("intersects", "polygon", "0,0;2,2;4,4;0,0"),
        ("intersects", "line", "1,1;1,1"),
    ],
)
def test_queries_that_cannot_be_resolved(georel: str, geometry: str, coords: str) -> None:
    with pytest.raises(NotSupportedQuery) as caught:
        query(georel, geometry, coords)
    assert caught.value.status == 422


def test_a_query_keeps_its_texts() -> None:
    found = query("near;maxDistance:1000", "point", " 40.4, -3.5")
    assert (found.georel, found.geometry, found.coords) == (
        "near;maxDistance:1000",
        "point",
        " 40.4, -3.5",
    )
    assert found == query("near;maxDistance:1000", "point", " 40.4, -3.5")


# Relations: the cases of Orion's own functional tests

POINTS = {
    "A": Point(5.0, 5.0),
    "B": Point(5.0, 9.0),
    "C": Point(5.0, 15.0),
    "D": Point(15.0, 15.0),
    "E": Point(10.0, -4.0),
}


@pytest.mark.parametrize(
    ("georel", "geometry", "coords", "found"),
    [
        ("coveredBy", "box", "-5,0;6,11", "AE"),
        ("coveredBy", "box", "-5,11;6,0", "AE"),
        ("coveredBy", "polygon", "0,0;24,0;0,20;0,0", "ABC"),
        ("intersects", "point", "5,5", "A"),
        ("intersects", "line", "5,5;9,5", "AB"),
        ("intersects", "box", "-5,0;6,11", "AE"),
        ("intersects", "polygon", "0,0;24,0;0,20;0,0", "ABC"),
        ("disjoint", "point", "5,5", "BCDE"),
        ("disjoint", "line", "5,5;9,5", "CDE"),
        ("disjoint", "box", "-5,0;6,11", "BCD"),
        ("disjoint", "polygon", "0,0;24,0;0,20;0,0", "DE"),
        ("equals", "point", "15,15", "D"),
        ("equals", "line", "5,5;9,5", ""),
        ("equals", "box", "-5,0;6,11", ""),
        ("equals", "polygon", "0,0;24,0;0,20;0,0", ""),
    ],
)
def test_relations_of_points(georel: str, geometry: str, coords: str, found: str) -> None:
    asked = query(georel, geometry, coords)
    assert [name for name, point in POINTS.items() if asked.matches(point)] == list(found)


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("geo:box", ["4, 3", "6, 6"]),
        ("geo:line", ["4, 3", "6, 6"]),
        ("geo:polygon", ["4, 3", "6, 6", "7, 3", "4, 3"]),
    ],
)
@pytest.mark.parametrize(
    ("coords", "relations"),
    [
        ("3,2;10,8", {"coveredBy", "intersects"}),
        ("5,4;8,7", {"intersects"}),
        ("11,4;14,7", {"disjoint"}),
    ],
)
def test_relations_to_boxes(type: str, value: Any, coords: str, relations: set[str]) -> None:
    shape = parse_simple_location(type, value)
    named = {"coveredBy", "intersects", "disjoint"}
    assert {name for name in named if query(name, "box", coords).matches(shape)} == relations
    west_south, east_north = coords.split(";")
    (south, west), (north, east) = west_south.split(","), east_north.split(",")
    ring = f"{south},{west};{south},{east};{north},{east};{north},{west};{south},{west}"
    assert {name for name in named if query(name, "polygon", ring).matches(shape)} == relations


def test_borders_belong_to_a_reference() -> None:
    for geometry, coords in (("box", "0,0;4,4"), ("polygon", "0,0;0,4;4,4;4,0;0,0")):
        covered = query("coveredBy", geometry, coords)
        assert all(covered.matches(point) for point in (Point(0, 2), Point(4, 4), Point(3, 0)))
        assert covered.matches(geojson("LineString", [[0, 0], [4, 0]]))
        assert covered.matches(geojson("Polygon", [SQUARE]))
        assert not covered.matches(geojson("LineString", [[2, 2], [4.001, 2]]))
        assert query("intersects", geometry, coords).matches(
            geojson("LineString", [[4, 4], [9, 9]])
        )
        assert query("disjoint", geometry, coords).matches(
            geojson("LineString", [[4.001, 4], [9, 9]])
        )


def test_holes_are_not_part_of_a_polygon() -> None:
    holed = geojson("Polygon", [SQUARE, HOLE])
    assert not query("intersects", "point", "2,2").matches(holed)
    assert query("intersects", "point", "1,2").matches(holed)  # the border of the hole is
    assert query("disjoint", "box", "1.5,1.5;2.5,2.5").matches(holed)
    assert query("intersects", "box", "1.5,1.5;3.5,3.5").matches(holed)
    assert query("near;maxDistance:1", "point", "0.5,0.5").distance_m(holed) == 0.0
    centre = query("near;maxDistance:1", "point", "2,2").distance_m(holed)
    assert centre == pytest.approx(111_127, rel=1e-3)  # one degree of longitude at 2 degrees


def test_every_part_must_be_covered_and_one_must_intersect() -> None:
    several = geojson("MultiPolygon", [[SQUARE], [[[8, 8], [9, 8], [9, 9], [8, 8]]]])
    points = geojson("MultiPoint", [[1, 1], [9, 9]])
    for shape in (several, points):
        assert query("intersects", "box", "-1,-1;5,5").matches(shape)
        assert not query("coveredBy", "polygon", "-1,-1;-1,5;5,5;5,-1;-1,-1").matches(shape)
        assert query("coveredBy", "polygon", "-1,-1;-1,10;10,10;10,-1;-1,-1").matches(shape)
        assert query("disjoint", "box", "5,5;7,7").matches(shape)


def test_equal_means_the_same_type_and_positions() -> None:
    asked = query("equals", "polygon", "0,0;0,4;4,4;4,0;0,0")
    assert asked.matches(geojson("Polygon", [SQUARE]))
    assert not asked.matches(geojson("Polygon", [SQUARE[::-1]]))
    assert not asked.matches(geojson("MultiPolygon", [[SQUARE]]))
    assert not asked.matches(geojson("Polygon", [SQUARE, HOLE]))
    assert query("equals", "line", "1,2;3,4").matches(geojson("LineString", [[2, 1], [4, 3]]))
    assert not query("equals", "line", "1,2;3,4").matches(
        geojson("MultiLineString", [[[2, 1], [4, 3]]])
    )
    assert not query("equals", "point", "1,2").matches(geojson("MultiPoint", [[2, 1]]))
    assert len({geojson("Polygon", [SQUARE]), geojson("Polygon", [SQUARE]), Point(1, 2)}) == 2


# Distances

MADRID = "40.418889,-3.691944"
CITIES = {
    "Madrid": Point(-3.691944, 40.418889),
    "Alcobendas": Point(-3.633333, 40.533333),
    "Leganes": Point(-3.75, 40.316667),
}


@pytest.mark.parametrize(
    ("georel", "found"),
    [
        ("near;maxDistance:13500", ["Madrid", "Leganes"]),
        ("near;maxDistance:15000", ["Madrid", "Alcobendas", "Leganes"]),
        ("near;minDistance:13500", ["Alcobendas"]),
        ("near;minDistance:0", ["Madrid", "Alcobendas", "Leganes"]),
        ("near;maxDistance:0", ["Madrid"]),
        ("near;minDistance:1;maxDistance:13500", ["Leganes"]),
        ("near;maxDistance:13500;minDistance:13500", []),
    ],
)
def test_cities_near_madrid(georel: str, found: list[str]) -> None:
    asked = query(georel, "point", MADRID)
    assert [name for name, place in CITIES.items() if asked.matches(place)] == found


def test_distances_order_cities() -> None:
    spain = {
        "Barcelona": Point(2.15, 41.39),
        "Guadalajara": Point(-3.166667, 40.633333),
        "Lleida": Point(0.633333, 41.616667),
        "Madrid": Point(-3.691944, 40.418889),
        "Zaragoza": Point(-0.883333, 41.65),
    }
    centre = query("near;maxDistance:700000", "point", "40.641944,-4.155278")
    assert sorted(spain, key=lambda name: centre.distance_m(spain[name])) == [
        "Madrid",
        "Guadalajara",
        "Zaragoza",
        "Lleida",
        "Barcelona",
    ]


@pytest.mark.parametrize(
    ("origin", "place", "share"),
    [
        ("0,0", Point(0, 0), 0.0),
        ("0,0", Point(90, 0), 0.5),
        ("0,0", Point(180, 0), 1.0),
        ("0,0", Point(0, -90), 0.5),
        ("90,0", Point(77, 0), 0.5),
        ("90,0", Point(123, 90), 0.0),
        ("90,0", Point(0, -90), 1.0),
        ("0,179", Point(-179, 0), 2 / 180),
        ("89,0", Point(180, 89), 2 / 180),
        ("45,10", Point(-170, -45), 1.0),
    ],
)
def test_distances_on_the_sphere(origin: str, place: Point, share: float) -> None:
    metres = query("near;maxDistance:1", "point", origin).distance_m(place)
    assert metres == pytest.approx(share * pi * EARTH_RADIUS_M, abs=0.1)


def test_distances_between_airports() -> None:
    heathrow = query("near;minDistance:0", "point", "51.4706,-0.4619")
    assert heathrow.distance_m(Point(-73.7789, 40.6398)) == pytest.approx(5_540_000, rel=0.003)
    assert heathrow.distance_m(Point(139.7811, 35.5533)) == pytest.approx(9_597_000, rel=0.003)
    fiji = query("near;minDistance:0", "point", "-17.7554,177.4434")
    assert fiji.distance_m(Point(-171.9977, -13.8300)) == pytest.approx(1_208_000, rel=0.01)


def test_distances_to_lines_are_those_of_the_nearest_place() -> None:
    line = geojson("LineString", [[-10, 0], [10, 0], [10, 30]])
    degree = pi * EARTH_RADIUS_M / 180
    near = query("near;maxDistance:111195", "point", "1,0")
    assert near.distance_m(line) == pytest.approx(degree, rel=2e-5)
    assert near.matches(line)
    assert not query("near;maxDistance:111190", "point", "1,0").matches(line)
    assert not query("near;minDistance:111200", "point", "1,0").matches(line)
    assert query("near;maxDistance:1", "point", "30,12").distance_m(line) < 2 * degree
    # Edges follow a latitude: 60 degrees north all the way, not nearer to the pole.
    parallel = geojson("LineString", [[-80, 60], [80, 60]])
    assert query("near;maxDistance:1", "point", "60,0").distance_m(parallel) < 1.0
    pole = query("near;maxDistance:1", "point", "90,0").distance_m(parallel)
    assert pole == pytest.approx(30 * degree, rel=2e-5)


def test_distances_to_long_lines_and_rings() -> None:
    """They are measured in another way than short ones."""
    coast = [[-9.0 + i / 50, 36.0 + (i % 2) / 50] for i in range(300)]
    pieces = [coast[i : i + 21] for i in range(0, 300, 20)]
    for coords in ("37,-5.013", "36.01,-9.5", "20,170", "-37,171", "90,0"):
        asked = query("near;maxDistance:1", "point", coords)
        distance = asked.distance_m(geojson("LineString", coast))
        short = asked.distance_m(geojson("MultiLineString", [p for p in pieces if len(p) > 1]))
        assert distance == pytest.approx(short, rel=1e-5, abs=0.02)
    island = geojson("Polygon", [[*coast, [-6.0, 40.0], coast[0]]])
    assert query("near;maxDistance:1", "point", "38,-6").distance_m(island) == 0.0
    assert not query("near;maxDistance:1000", "point", "35.9,-6").matches(island)
    assert query("near;maxDistance:12000", "point", "35.9,-6").matches(island)


def test_other_references_measure_from_their_middle() -> None:
    box = query("coveredBy", "box", "0,0;2,2")
    assert box.distance_m(Point(1, 1)) == 0.0
    across = query("coveredBy", "polygon", "-1,179;-1,-179;1,-179;1,179;-1,179")
    assert across.distance_m(Point(180, 0)) == pytest.approx(0.0, abs=1e-6)


# The antimeridian and the poles


@pytest.mark.parametrize(
    ("type", "coordinates", "bounds"),
    [
        ("LineString", [[170, 1], [-170, 2]], [(170, 1, 180, 2), (-180, 1, -170, 2)]),
        ("LineString", [[-170, 1], [170, 2]], [(170, 1, 180, 2), (-180, 1, -170, 2)]),
        ("MultiPoint", [[179, 1], [-179, 2]], [(179, 1, 180, 2), (-180, 1, -179, 2)]),
        ("MultiPoint", [[-90, 1], [0, 0], [90, 2]], [(-90, 0, 90, 2)]),
        (
            "Polygon",
            [[[170, 0], [-170, 0], [-170, 9], [170, 9], [170, 0]]],
            [(170, 0, 180, 9), (-180, 0, -170, 9)],
        ),
        ("Polygon", [[[0, 80], [120, 80], [-120, 80], [0, 80]]], [(-180, 80, 180, 90)]),
        ("Polygon", [[[0, -70], [120, -80], [-120, -80], [0, -70]]], [(-180, -90, 180, -70)]),
    ],
)
def test_bounds_of_shapes_across(
    type: str, coordinates: Any, bounds: list[tuple[float, ...]]
) -> None:
    assert geojson(type, coordinates).bounds == tuple(Box(*box) for box in bounds)


def test_circles_across_the_antimeridian_and_around_poles() -> None:
    across = query("near;maxDistance:200000", "point", "0,179.5")
    assert across.matches(Point(-179.5, 0))
    assert across.matches(geojson("LineString", [[-179.5, -1], [-179.5, 1]]))
    assert not across.matches(Point(177, 0))
    assert across.bounds() is not None
    assert len(across.bounds() or ()) == 2
    polar = query("near;maxDistance:300000", "point", "89,0")
    assert polar.matches(Point(180, 89))
    assert [(box.west, box.east) for box in polar.bounds() or ()] == [(-180, 180)]
    everywhere = query("near;maxDistance:30000000", "point", "10,10")
    assert everywhere.matches(Point(-170, -10))
    assert everywhere.bounds() == (Box(-180, -90, 180, 90),)
    assert query("near;minDistance:20015086", "point", "0,0").matches(Point(180, 0))
    assert not query("near;minDistance:20015087", "point", "0,0").matches(Point(180, 0))


def test_polygons_across_the_antimeridian() -> None:
    coords = "0,170;0,-170;10,-170;10,170;0,170"
    asked = query("coveredBy", "polygon", coords)
    for lon in (170, 175, 180, -180, -175, -170):
        assert asked.matches(Point(lon, 5))
    assert not asked.matches(Point(0, 5))
    assert not asked.matches(Point(-169, 5))
    assert asked.matches(geojson("LineString", [[175, 5], [-175, 5]]))
    assert asked.matches(geojson("MultiPoint", [[-175, 5], [175, 5]]))
    assert not asked.matches(geojson("LineString", [[175, 5], [165, 5]]))
    holed = geojson(
        "Polygon",
        [
            [[170, 0], [-170, 0], [-170, 10], [170, 10], [170, 0]],
            [[-178, 2], [-178, 8], [-172, 8], [-172, 2], [-178, 2]],
        ],
    )
    assert query("disjoint", "point", "5,-175").matches(holed)
    assert query("intersects", "point", "5,-179").matches(holed)
    assert query("intersects", "point", "5,175").matches(holed)


def test_the_antimeridian_is_one_meridian() -> None:
    for coords, lon in (("0,170;9,180", -180), ("0,-180;9,-170", 180)):
        assert query("coveredBy", "box", coords).matches(Point(lon, 5))
        assert query("intersects", "box", coords).matches(
            geojson("LineString", [[lon, 5], [lon, 6]])
        )
    assert query("intersects", "point", "5,180").matches(Point(-180, 5))
    assert query("intersects", "line", "0,180;9,180").matches(Point(-180, 5))
    assert query("intersects", "polygon", "0,170;0,180;9,180;0,170").matches(Point(-180, 5))


def test_boxes_reach_from_west_to_east_however_wide() -> None:
    wide = query("coveredBy", "box", "-10,-170;10,170")
    assert wide.matches(Point(0, 0))
    assert not wide.matches(Point(175, 0))
    assert not wide.matches(geojson("LineString", [[165, 0], [-165, 0]]))
    assert wide.matches(geojson("MultiPoint", [[165, 0], [-165, 0]]))
    world = query("coveredBy", "box", "-90,-180;90,180")
    for shape in (
        Point(180, 90),
        geojson("LineString", [[165, 0], [-165, 0]]),
        geojson("LineString", [[0, 0], [120, 0], [-120, 0], [0, 0], [120, 0], [-120, 0]]),
        geojson("Polygon", [[[0, 80], [120, 80], [-120, 80], [0, 80]]]),
    ):
        assert world.matches(shape)
        assert not query("disjoint", "box", "-90,-180;90,180").matches(shape)


def test_rings_around_a_pole() -> None:
    cap = "80,0;80,120;80,-120;80,0"
    for coords in (cap, ";".join(reversed(cap.split(";")))):
        asked = query("coveredBy", "polygon", coords)
        for lon in range(-180, 181, 30):
            assert asked.matches(Point(lon, 80))
            assert asked.matches(Point(lon, 90))
            assert not asked.matches(Point(lon, 79))
        assert asked.matches(geojson("LineString", [[170, 85], [-170, 85]]))
        assert asked.matches(geojson("LineString", [[-10, 85], [10, 85]]))
    band = geojson(
        "Polygon",
        [
            [[0, -60], [120, -60], [-120, -60], [0, -60]],
            [[50, -80], [170, -80], [-70, -80], [50, -80]],
        ],
    )
    assert query("intersects", "point", "-70,-175").matches(band)
    assert query("disjoint", "point", "-85,100").matches(band)
    assert query("disjoint", "point", "-59,100").matches(band)
    assert query("near;maxDistance:1", "point", "-70,33").distance_m(band) == 0.0


def test_a_ring_around_a_pole_may_turn_back_anywhere() -> None:
    # Starts in a bay: the position nearest to the pole is elsewhere.
    coast = [[0, 80], [-5, 84], [6, 82], [90, 81], [180, 83], [-90, 80], [-10, 78], [0, 80]]
    shape = geojson("Polygon", [coast])
    assert query("intersects", "point", "89,-3").matches(shape)
    assert query("intersects", "point", "84.5,0").matches(shape)
    assert query("disjoint", "point", "82.5,-2").matches(shape)  # in the bay
    assert query("intersects", "point", "81,-2").matches(shape)  # before it
    assert query("disjoint", "point", "79,-2").matches(shape)


@pytest.mark.parametrize(
    "rings",
    [
        # twice round the pole
        [[[0, 80], [120, 80], [-120, 80], [0, 81], [120, 82], [-120, 81], [0, 80]]],
        # a hole that is no part of the cap
        [
            [[0, 80], [120, 80], [-120, 80], [0, 80]],
            [[0, 0], [1, 0], [1, 1], [0, 0]],
        ],
    ],
)
def test_rings_that_make_no_area_at_a_pole(rings: Any) -> None:
    with pytest.raises(BadRequest, match=r"^Wrong GeoJson$"):
        geojson("Polygon", rings)


# What an index is asked for


def test_bounds_of_queries() -> None:
    assert query("disjoint", "box", "0,0;1,1").bounds() is None
    assert query("near;minDistance:5", "point", "0,0").bounds() is None
    (box,) = query("coveredBy", "box", "0,0;1,1").bounds() or ()
    assert box.covers(Box(0, 0, 1, 1))
    assert Box(-1e-6, -1e-6, 1 + 1e-6, 1 + 1e-6).covers(box)
    (circle,) = query("near;maxDistance:111195", "point", "60,10").bounds() or ()
    assert circle == pytest.approx((8, 59, 12, 61), abs=1e-3)
    touching = query("intersects", "box", "0,170;1,180").bounds() or ()
    assert any(box.has(-180, 0.5) for box in touching)


@pytest.mark.parametrize(
    ("georel", "geometry", "coords"),
    [
        ("near;maxDistance:200000", "point", "0,179.5"),
        ("near;minDistance:200000", "point", "0,0"),
        ("coveredBy", "polygon", "0,0;0,3;3,0;0,0"),
        ("intersects", "box", "0,170;1,180"),
        ("intersects", "line", "0,0;2,2"),
        ("intersects", "point", "1,1"),
    ],
)
def test_areas_of_queries_say_which_points_match(georel: str, geometry: str, coords: str) -> None:
    asked = query(georel, geometry, coords)
    area = asked.area
    assert area is not None
    has = area.touches if isinstance(area, Region) else area.has
    places = [(0.0, 0.0), (1.0, 1.0), (2.9, 2.9), (0.5, 0.2), (-180.0, 0.5), (178.0, 0.0)]
    assert [has(*place) for place in places] == [asked.matches(Point(*place)) for place in places]


def test_other_queries_have_no_area() -> None:
    assert query("disjoint", "box", "0,0;1,1").area is None
    assert query("equals", "point", "0,0").area is None


def test_shapely_is_loaded_only_when_needed() -> None:
    program = """
import sys
from ngsi.geometry import GeoQuery, parse_geojson, parse_simple_location
point = parse_geojson({"type": "Point", "coordinates": [1, 2]})
box = parse_simple_location("geo:box", ["0, 0", "1, 1"])
long = parse_geojson({"type": "LineString", "coordinates": [[i / 9, i % 2] for i in range(500)]})
GeoQuery.parse("near;maxDistance:1", "point", "2,1").matches(long)
for georel, geometry, coords in (
    ("near;maxDistance:1", "point", "2,1"),
    ("coveredBy", "box", "0,0;3,3"),
    ("intersects", "point", "2,1"),
    ("disjoint", "box", "7,7;8,8"),
    ("coveredBy", "polygon", "0,0;0,3;3,3;3,0;0,0"),
    ("disjoint", "line", "7,7;8,8"),
):
    query = GeoQuery.parse(georel, geometry, coords)
    assert query.matches(point)
    if (georel, geometry) != ("coveredBy", "polygon"):
        query.matches(box)
assert not {"shapely", "numpy"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)


def test_errors_are_those_of_the_standard() -> None:
    assert issubclass(LocationError, NgsiError)
    assert LocationError.status == 400
    assert LocationError("x").payload() == {"error": "BadRequest", "description": "x"}
