"""Geographical queries: georel, geometry, coords, and the order by distance.

Source: Orion API, section "Geographical Queries" and "Ordering Results"; texts of errors and
the points A to E from Orion's case geoquery_points. In coords latitude comes first, in
GeoJSON longitude. What values are locations: test_locations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

# Latitude, longitude.
POINTS = {"A": (5, 5), "B": (9, 5), "C": (15, 5), "D": (15, 15), "E": (-4, 10)}


def entity(name: str, value: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """An entity of type Place with that location."""
    return {"id": name, "type": "Place", "place": {"type": "geo:json", "value": value}} | attributes


def ids(api: Api, **parameters: str | int) -> list[str]:
    """The ids that GET /v2/entities lists; the same query as POST /v2/op/query agrees."""
    reply = api.get("/v2/entities", **parameters)
    assert reply.status == 200, reply
    found = [entity["id"] for entity in reply.json]
    expression = {name: parameters.pop(name) for name in ("georel", "geometry", "coords")}
    reply = api.post("/v2/op/query", {"expression": expression}, **parameters)
    assert reply.status == 200, reply
    assert [entity["id"] for entity in reply.json] == found
    return found


@pytest.fixture
def points(api: Api) -> None:
    """The points A to E and an entity that is nowhere."""
    for name, (lat, lon) in POINTS.items():
        api.create(entity(name, {"type": "Point", "coordinates": [lon, lat]}))
    api.create({"id": "Nowhere", "type": "Place", "place": {"value": "5, 5"}})


@pytest.mark.usefixtures("points")
class TestPoints:
    @pytest.mark.parametrize(
        ("georel", "geometry", "coords", "expected"),
        [
            ("coveredBy", "box", "-5,0;6,11", "AE"),
            ("coveredBy", "box", "-5,11;6,0", "AE"),  # any two opposite corners
            ("coveredBy", "polygon", "0,0;24,0;0,20;0,0", "ABC"),
            ("coveredBy", "polygon", "0,0;0,20;24,0;0,0", "ABC"),  # the other way round
            ("coveredBy", "box", "50,50;51,51", ""),
            ("intersects", "point", "5,5", "A"),
            ("intersects", "point", "5,5.0001", ""),
            ("intersects", "line", "5,5;9,5", "AB"),
            ("intersects", "line", "5,5;9,5;15,5;15,15", "ABCD"),
            ("intersects", "box", "-5,0;6,11", "AE"),
            ("intersects", "polygon", "0,0;24,0;0,20;0,0", "ABC"),
            ("disjoint", "point", "5,5", "BCDE"),
            ("disjoint", "line", "5,5;9,5", "CDE"),
            ("disjoint", "box", "-5,0;6,11", "BCD"),
            ("disjoint", "polygon", "0,0;24,0;0,20;0,0", "DE"),
            ("equals", "point", "15,15", "D"),
            ("equals", "point", "15.5,15", ""),
            ("equals", "line", "5,5;9,5", ""),
            ("equals", "box", "-5,0;6,11", ""),
            ("equals", "polygon", "0,0;24,0;0,20;0,0", ""),
        ],
    )
    def test_relations(
        self, api: Api, georel: str, geometry: str, coords: str, expected: str
    ) -> None:
        assert ids(api, georel=georel, geometry=geometry, coords=coords) == list(expected)

    @pytest.mark.parametrize(
        ("georel", "coords", "expected"),
        [
            # A degree of latitude is about 111 km.
            ("near;maxDistance:1", "5,5", "A"),
            ("near;maxDistance:0", "5,5", "A"),
            ("near;maxDistance:450000", "5,5", "AB"),
            ("near;maxDistance:440000", "5,5", "A"),
            ("near;minDistance:450000", "5,5", "CDE"),
            ("near;minDistance:1;maxDistance:1500000", "5,5", "BCE"),
            ("near;maxDistance:1500000;minDistance:1", "5,5", "BCE"),
            ("near;maxDistance:20040000", "5,5", "ABCDE"),  # half around the earth
            ("near;minDistance:1e5;maxDistance:4.5e5", "5,5", "B"),
            ("near;maxDistance:1000", "-60,-170", ""),
        ],
    )
    def test_near(self, api: Api, georel: str, coords: str, expected: str) -> None:
        found = ids(api, georel=georel, geometry="point", coords=coords)
        assert sorted(found) == list(expected)

    def test_blanks_and_forms_of_numbers(self, api: Api) -> None:
        for coords in ("5,5", "5.0,5", "+5, 5", " 5 , 5 ", "5e0,0.5e1"):
            assert ids(api, georel="equals", geometry="point", coords=coords) == ["A"]

    def test_with_other_conditions(self, api: Api) -> None:
        everywhere = {"georel": "coveredBy", "geometry": "box", "coords": "-89,-179;89,179"}
        box = {"georel": "coveredBy", "geometry": "box", "coords": "-5,0;6,11"}
        api.patch("/v2/entities/A/attrs", {"place": {"value": "moved"}})
        api.post("/v2/entities/B/attrs", {"size": {"value": 3}})
        assert ids(api, **everywhere) == ["B", "C", "D", "E"]
        reply = api.get("/v2/entities", **everywhere, q="size>2", idPattern="^[BC]$", type="Place")
        assert [entity["id"] for entity in reply.json] == ["B"]
        assert api.get("/v2/entities", **everywhere, type="Other").json == []
        reply = api.get("/v2/entities", **box, options="count", limit=1)
        assert reply.headers["Fiware-Total-Count"] == "1"
        reply = api.get("/v2/entities", **everywhere, options="count", limit=2, offset=1)
        assert reply.headers["Fiware-Total-Count"] == "4"
        assert [entity["id"] for entity in reply.json] == ["C", "D"]

    def test_order_by_distance(self, api: Api) -> None:
        near = {"georel": "near;maxDistance:3000000", "geometry": "point", "coords": "5,5"}
        assert ids(api, **near, orderBy="geo:distance") == ["A", "B", "C", "E", "D"]
        assert ids(api, **near, orderBy="!geo:distance") == ["D", "E", "C", "B", "A"]
        assert ids(api, **near, orderBy="geo:distance", limit=2, offset=1) == ["B", "C"]
        from_d = near | {"coords": "15,15"}
        assert ids(api, **from_d, orderBy="geo:distance", limit=2) == ["D", "C"]

    def test_moves_are_seen(self, api: Api) -> None:
        at_a = {"georel": "near;maxDistance:10", "geometry": "point", "coords": "5,5"}
        moved = {"place": {"type": "geo:json", "value": {"type": "Point", "coordinates": [5, 5]}}}
        api.patch("/v2/entities/D/attrs", moved)
        assert sorted(ids(api, **at_a)) == ["A", "D"]
        api.delete("/v2/entities/A")
        assert ids(api, **at_a) == ["D"]
        api.put("/v2/entities/D/attrs", {"other": {"value": 1}})
        assert ids(api, **at_a) == []


class TestShapes:
    @pytest.fixture(autouse=True)
    def _shapes(self, api: Api) -> None:
        api.create(
            entity("Line", {"type": "LineString", "coordinates": [[0, 0], [0, 10]]}),
            entity(
                "Square",
                {"type": "Polygon", "coordinates": [[[2, 2], [6, 2], [6, 6], [2, 6], [2, 2]]]},
            ),
            entity(
                "Ring",
                {
                    "type": "Polygon",
                    "coordinates": [
                        [[20, 0], [30, 0], [30, 10], [20, 10], [20, 0]],
                        [[22, 2], [22, 8], [28, 8], [28, 2], [22, 2]],
                    ],
                },
            ),
            entity("Dots", {"type": "MultiPoint", "coordinates": [[4, 4], [40, 40]]}),
        )

    @pytest.mark.parametrize(
        ("georel", "geometry", "coords", "expected"),
        [
            ("coveredBy", "box", "-1,-1;11,11", ["Line", "Square"]),
            ("coveredBy", "box", "-1,-1;50,50", ["Line", "Square", "Ring", "Dots"]),
            ("coveredBy", "box", "3,3;11,11", []),
            ("intersects", "box", "3,3;5,5", ["Square", "Dots"]),
            ("intersects", "box", "5,-1;5.5,1", ["Line"]),
            ("intersects", "line", "4,-1;4,7", ["Line", "Square", "Dots"]),
            ("intersects", "point", "4,4", ["Square", "Dots"]),
            ("intersects", "point", "5,0", ["Line"]),
            # Within the hole, and on the ring.
            ("intersects", "point", "5,25", []),
            ("intersects", "box", "4,24;6,26", []),
            ("intersects", "point", "1,25", ["Ring"]),
            ("intersects", "polygon", "3,3;3,5;5,5;5,3;3,3", ["Square", "Dots"]),
            ("disjoint", "box", "3,3;5,5", ["Line", "Ring"]),
            ("equals", "line", "0,0;10,0", ["Line"]),
            ("equals", "polygon", "2,2;2,6;6,6;6,2;2,2", ["Square"]),
            ("equals", "point", "4,4", []),
            ("near;maxDistance:1000", "point", "5,0", ["Line"]),
            ("near;maxDistance:1000", "point", "40,40", ["Dots"]),
            ("near;maxDistance:1000", "point", "4,5", ["Square"]),
        ],
    )
    def test_relations(
        self, api: Api, georel: str, geometry: str, coords: str, expected: list[str]
    ) -> None:
        found = ids(api, georel=georel, geometry=geometry, coords=coords)
        assert sorted(found) == sorted(expected)


def test_across_the_date_line(api: Api) -> None:
    api.create(
        entity("East", {"type": "Point", "coordinates": [179.9, 0]}),
        entity("West", {"type": "Point", "coordinates": [-179.9, 0]}),
        entity("Middle", {"type": "Point", "coordinates": [0, 0]}),
    )
    near = {"georel": "near;maxDistance:30000", "geometry": "point", "coords": "0,179.95"}
    assert ids(api, **near, orderBy="geo:distance") == ["East", "West"]


def test_at_a_pole(api: Api) -> None:
    api.create(
        entity("This", {"type": "Point", "coordinates": [0, 89.95]}),
        entity("Other", {"type": "Point", "coordinates": [180, 89.95]}),
    )
    near = {"georel": "near;maxDistance:12000", "geometry": "point", "coords": "89.95,0"}
    assert ids(api, **near, orderBy="geo:distance") == ["This", "Other"]


BOX_COORDS = "1,2;3,4"


class TestRefused:
    @pytest.mark.parametrize(
        ("parameters", "description"),
        [
            ({"geometry": "polygon"}, "URI param /geometry/ used without /coords/"),
            ({"coords": BOX_COORDS}, "URI param /coords/ used without /geometry/"),
            ({"georel": "intersects"}, "URI param /georel/ used without /geometry/"),
            (
                {"georel": "intersects", "coords": BOX_COORDS},
                "URI param /coords/ used without /geometry/",
            ),
            (
                {"geometry": "triangle", "coords": "1,2"},
                "error parsing geometry: Invalid selector in geometry specification",
            ),
            (
                {"geometry": "point;box", "coords": "1,2", "georel": "equals"},
                "error parsing geometry: geometry-type present more than once",
            ),
            (
                {"geometry": ";", "coords": "1,2", "georel": "equals"},
                "error parsing geometry: empty geometry",
            ),
            ({"geometry": "point", "coords": "1,2", "georel": ";"}, "empty georel"),
            (
                {"geometry": "point", "coords": ";", "georel": "equals"},
                "erroneous coordinates for geometry",
            ),
            (
                {
                    "geometry": "point",
                    "coords": "1,2",
                    "georel": "near;maxDistance:1;maxDistance:2",
                },
                "maxDistance present more than once",
            ),
            (
                {"geometry": "box", "coords": BOX_COORDS, "georel": "near;maxDistance:12"},
                "georel /near/ used with geometry different than point",
            ),
            (
                {"geometry": "line", "coords": BOX_COORDS, "georel": "near;maxDistance:12"},
                "georel /near/ used with geometry different than point",
            ),
            (
                {"geometry": "point", "coords": "1,2", "georel": "near"},
                "georel /near/ without either minDistance nor maxDistance",
            ),
            (
                {"geometry": "point", "coords": "1,2", "georel": "near;maxDistance=1000"},
                "Invalid modifier in georel parameter",
            ),
            (
                {"geometry": "point", "coords": "1,2", "georel": "within"},
                "Invalid modifier in georel parameter",
            ),
            (
                {"geometry": "point", "coords": "1,2", "georel": "near;maxDistance:many"},
                "invalid number for maxDistance",
            ),
            (
                {"geometry": "point", "coords": "1,2", "georel": "near;maxDistance:-1"},
                "invalid number for maxDistance",
            ),
            (
                {"geometry": "point", "coords": "1,2", "georel": "near;equals;maxDistance:1"},
                "georel type present more than once",
            ),
            (
                {"geometry": "box", "coords": BOX_COORDS, "georel": "coveredBy;maxDistance:1"},
                "maxDistance erroneously used with georel /coveredBy/",
            ),
            (
                {"geometry": "point", "coords": "5,5", "georel": "coveredBy"},
                "point geometry cannot be used with coveredBy georel",
            ),
            (
                {"geometry": "line", "coords": "5,5;9,5", "georel": "coveredBy"},
                "line geometry cannot be used with coveredBy georel",
            ),
            (
                {"geometry": "point", "coords": "1,2,3", "georel": "equals"},
                "invalid point in URI param /coords/",
            ),
            (
                {"geometry": "point", "coords": "1;3,4", "georel": "equals"},
                "invalid point in URI param /coords/",
            ),
            (
                {"geometry": "point", "coords": "a,b", "georel": "equals"},
                "invalid coordinates",
            ),
            (
                {"geometry": "point", "coords": "1,2;3,4", "georel": "equals"},
                "invalid number of coordinates for /point/",
            ),
            (
                {"geometry": "line", "coords": "1,2", "georel": "equals"},
                "invalid number of coordinates for /line/",
            ),
            (
                {"geometry": "box", "coords": "1,2", "georel": "equals"},
                "invalid number of coordinates for /box/",
            ),
            (
                {"geometry": "box", "coords": "1,2;3,4;5,6", "georel": "equals"},
                "invalid number of coordinates for /box/",
            ),
            (
                {"geometry": "box", "coords": "1,2;3,2", "georel": "coveredBy"},
                "box coordinates are not defining an actual box",
            ),
            (
                {"geometry": "box", "coords": "1,2;1,8", "georel": "coveredBy"},
                "box coordinates are not defining an actual box",
            ),
            (
                {"geometry": "polygon", "coords": "1,2;3,4", "georel": "coveredBy"},
                "Too few coordinates for polygon",
            ),
            (
                {"geometry": "polygon", "coords": "0,0;0,1;1,1;1,0", "georel": "coveredBy"},
                "First and last point in polygon not the same",
            ),
        ],
    )
    def test_malformed(self, api: Api, parameters: dict[str, str], description: str) -> None:
        reply = api.get("/v2/entities", **parameters)
        assert reply.refusal == (400, "BadRequest", f"Invalid query: {description}")

    @pytest.mark.parametrize("coords", ["91,0", "-91,0", "0,181", "0,-181", "1e400,0"])
    def test_no_place_on_earth(self, api: Api, coords: str) -> None:
        reply = api.get("/v2/entities", georel="equals", geometry="point", coords=coords)
        status, error, description = reply.refusal
        assert (status, error) == (400, "BadRequest")
        assert description.startswith("Invalid query: invalid coordinates")

    @pytest.mark.parametrize(
        "parameters",
        [
            # Edges that cross enclose no definite area.
            {"georel": "coveredBy", "geometry": "polygon", "coords": "0,0;4,4;4,0;0,4;0,0"},
            # A place and no relation to it.
            {"geometry": "point", "coords": "1,2"},
            {"geometry": "box", "coords": "1,2;3,4"},
            # A polygon of one point.
            {"georel": "intersects", "geometry": "polygon", "coords": "1,1;1,1;1,1;1,1"},
        ],
    )
    def test_what_cannot_be_resolved(self, api: Api, parameters: dict[str, str]) -> None:
        status, error, _ = api.get("/v2/entities", **parameters).refusal
        assert (status, error) == (422, "NotSupportedQuery")
        if "georel" in parameters:
            status, error, _ = api.post("/v2/op/query", {"expression": parameters}).refusal
            assert (status, error) == (422, "NotSupportedQuery")
