"""queryContext as FogFlow's clients send it: patterns, scopes, attributes, pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.fogflow import element, ids, member, point, query, scope, update

if TYPE_CHECKING:
    from tests.integration.conftest import Api

_ANY = {"id": ".*", "isPattern": True}
_HEIDELBERG = (49.406393, 8.684208)
_SQUARE: list[tuple[float, float]] = [(49, 8), (50, 8), (50, 9), (49, 9)]


def _fill(api: Api) -> None:
    update(
        api,
        element(
            "Device.1",
            "Car",
            [member("speed", "integer", 50), member("color", "string", "red")],
            [point(*_HEIDELBERG), member("city", "string", "Heidelberg")],
        ),
        element("Device.2", "Car", [member("speed", "integer", 60)], [point(49.5, 8.7)]),
        element("Device.3", "ConnectedCar", [], [point(35.7, 139.7)]),
        element("Nowhere", "Car", [member("city", "string", "Heidelberg")]),
    )


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        (_ANY, ["Device.1", "Device.2", "Device.3", "Nowhere"]),
        ({"isPattern": True}, ["Device.1", "Device.2", "Device.3", "Nowhere"]),
        ({"id": "Device.*", "isPattern": True}, ["Device.1", "Device.2", "Device.3"]),
        ({"id": "Device.*", "isPattern": "true"}, ["Device.1", "Device.2", "Device.3"]),
        ({"idPattern": "2$"}, ["Device.2"]),
        ({"id": "Device.1"}, ["Device.1"]),
        ({"id": "Device.1", "isPattern": False}, ["Device.1"]),
        ({"id": "Device.1", "type": "Car"}, ["Device.1"]),
        ({"id": "Device.1", "type": "Bus"}, []),
        ({"id": "Device*"}, []),
        ({"type": "Car", "isPattern": True}, ["Device.1", "Device.2", "Nowhere"]),
        ({"type": "Car"}, ["Device.1", "Device.2", "Nowhere"]),
        ({"type": ".*Car", "isPattern": True}, ["Device.1", "Device.2", "Device.3", "Nowhere"]),
        ({"id": "Device.*", "type": "^Conn", "isPattern": True}, ["Device.3"]),
    ],
)
def test_entities_are_asked_for(api: Api, entity: dict[str, Any], expected: list[str]) -> None:
    _fill(api)
    assert ids(query(api, (entity,))) == expected


def _circle(latitude: float, longitude: float, radius_m: float) -> dict[str, Any]:
    value = {"centerLatitude": latitude, "centerLongitude": longitude, "radius": radius_m}
    return scope("circle", value)


def _polygon(vertices: list[tuple[float, float]]) -> dict[str, Any]:
    places = [{"latitude": latitude, "longitude": longitude} for latitude, longitude in vertices]
    return scope("polygon", {"vertices": places})


def _nearby(limit: int) -> dict[str, Any]:
    return scope("nearby", {"latitude": 49.5, "longitude": 8.7, "limit": limit})


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ([_circle(*_HEIDELBERG, 10.0)], ["Device.1"]),
        ([_circle(*_HEIDELBERG, 20_000)], ["Device.1", "Device.2"]),
        ([_polygon(_SQUARE)], ["Device.1", "Device.2"]),
        ([_polygon([*_SQUARE, _SQUARE[0]])], ["Device.1", "Device.2"]),
        (
            [scope("simplegeolocation", {"nw_Corner": "50,8", "se_Corner": "49,9"})],
            ["Device.1", "Device.2"],
        ),
        ([scope("stringQuery", "city=Heidelberg")], ["Device.1"]),
        ([scope("stringQuery", "city=Mannheim")], []),
        ([scope("stringQuery", "city=Heidelberg;state=BW")], []),
        ([_circle(*_HEIDELBERG, 20_000), scope("stringQuery", "city=Heidelberg")], ["Device.1"]),
        ([_nearby(1)], ["Device.2"]),
        ([_nearby(2)], ["Device.2", "Device.1"]),
        ([_nearby(9)], ["Device.2", "Device.1", "Device.3"]),
        ([_nearby(9), _circle(*_HEIDELBERG, 20_000)], ["Device.2", "Device.1"]),
        ([_nearby(1), scope("stringQuery", "city=Heidelberg")], ["Device.1"]),
        ([scope("global", "global")], ["Device.1", "Device.2", "Device.3", "Nowhere"]),
        ([scope("local", "")], ["Device.1", "Device.2", "Device.3", "Nowhere"]),
        (
            [
                {
                    "type": "FIWARE::Location",
                    "value": {
                        "circle": {
                            "centerLatitude": 49.406393,
                            "centerLongitude": "8.684208",
                            "radius": 10,
                        }
                    },
                }
            ],
            ["Device.1"],
        ),
        ([{"type": "FIWARE::StringQuery", "value": "speed>55"}], ["Device.2"]),
    ],
)
def test_scopes_restrict(api: Api, scopes: list[dict[str, Any]], expected: list[str]) -> None:
    _fill(api)
    assert ids(query(api, (_ANY,), *scopes)) == expected


def test_attributes_are_those_that_entities_must_have_and_are_shown(api: Api) -> None:
    _fill(api)
    assert ids(query(api, (_ANY,), attributes=["speed"])) == ["Device.1", "Device.2"]
    (found,) = query(api, (_ANY,), attributes=["color", "speed"])
    assert {item["name"] for item in found["attributes"]} == {"speed", "color"}
    (found,) = query(api, (_ANY,), attributes=["color"])
    assert [item["name"] for item in found["attributes"]] == ["color"]
    assert [item["name"] for item in found["domainMetadata"]] == ["location", "city"]


def test_all_are_given_unless_a_page_is_asked_for(api: Api) -> None:
    update(api, *(element(f"e{number}", "T") for number in range(1200)))
    assert len(query(api)) == 1200
    assert len(api.get("/ngsi10/entity").json) == 1200
    assert ids(api.get("/ngsi10/entity?limit=2&offset=3").json) == ["e3", "e4"]


@pytest.mark.parametrize(
    ("body", "status", "details"),
    [
        ({"entities": []}, 200, "empty entityId vector"),
        ({"entities": [{}]}, 200, "empty entityId:id"),
        (
            {"entities": [{"id": "*", "isPattern": True}]},
            200,
            "invalid regex for entity id pattern",
        ),
        ({"entities": [{"id": "a", "isPattern": 1}]}, 400, "isPattern is not a boolean"),
        ({"entities": [_ANY], "attributes": "a"}, 400, "attributes is not an array of strings"),
        ({"entities": [_ANY], "restriction": []}, 400, "restriction is not an object"),
    ],
)
def test_errors_say_what_is_wrong(api: Api, body: object, status: int, details: str) -> None:
    reply = api.post("/ngsi10/queryContext", body)
    assert reply.status == status
    assert reply.json["contextResponses"] == []
    assert reply.json["errorCode"]["details"] == details


@pytest.mark.parametrize(
    ("wrong", "details"),
    [
        (scope("square", {}), "unknown scopeType /square/"),
        (scope("circle", "x"), "scope circle is not an object"),
        (scope("circle", {"centerLatitude": 1}), "centerLongitude of scope circle is not a number"),
        (_circle(1, 2, -1), "radius of scope circle is negative"),
        (scope("polygon", {}), "vertices of scope polygon is not an array"),
        (_polygon(_SQUARE[:2]), "scope polygon has less than 3 vertices"),
        (_nearby(0), "limit of scope nearby is not a positive integer"),
        (scope("stringQuery", "city"), "condition /city/ of scope stringQuery is not name=value"),
        (scope("stringQuery", 7), "value of scope stringQuery is not a string"),
    ],
)
def test_a_wrong_scope_is_told(api: Api, wrong: dict[str, Any], details: str) -> None:
    body = {"entities": [_ANY], "restriction": {"scopes": [wrong]}}
    status = api.post("/ngsi10/queryContext", body).json["errorCode"]
    assert status == {"code": 400, "reasonPhrase": "Bad Request", "details": details}
