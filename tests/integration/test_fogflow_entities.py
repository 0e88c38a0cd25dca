"""Entities through FogFlow's operations: what is written is read again, here and with NGSIv2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.fogflow import element, ids, member, point, query, scope, update

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, StartBroker

_CITY = member("city", "string", "Heidelberg")
_DEVICE = element(
    "Device.temp001",
    "Temperature",
    [
        member("temp", "integer", 10),
        member("ratio", "float", 0.5),
        member("on", "boolean", True),
        member("none", "object", None),
        {
            **member("shape", "object", {"a": [1, {"b": "x=(1);"}]}),
            "metadata": [member("unit", "string", "C")],
        },
    ],
    [point(49.406393, 8.684208), _CITY],
)


def test_what_was_written_is_read_with_its_types(api: Api) -> None:
    update(api, _DEVICE)
    assert api.get("/ngsi10/entity/Device.temp001").json == _DEVICE
    assert api.get("/ngsi10/entity").json == [_DEVICE]
    assert query(api) == [_DEVICE]
    assert api.get("/ngsi10/entity/Device.temp001/on").json == member("on", "boolean", True)
    assert api.get("/ngsi10/entity/Device.temp001/city").json == _CITY


def test_other_versions_see_the_same_entity(api: Api) -> None:
    update(api, _DEVICE)
    mark = {"isDomain": {"type": "Boolean", "value": True}}
    attrs = api.get("/v2/entities/Device.temp001/attrs").json
    assert attrs["temp"] == {"type": "integer", "value": 10, "metadata": {}}
    assert attrs["city"] == {"type": "string", "value": "Heidelberg", "metadata": mark}
    place = {"type": "Point", "coordinates": [8.684208, 49.406393]}
    assert attrs["location"] == {"type": "geo:json", "value": place, "metadata": mark}
    found = api.get(
        "/v2/entities", georel="near;maxDistance:10", geometry="point", coords="49.4064,8.6842"
    )
    assert [entity["id"] for entity in found.json] == ["Device.temp001"]
    v1 = {"entities": [{"id": "Device.temp001", "isPattern": "false"}], "attributes": ["temp"]}
    response = api.post("/v1/queryContext", v1).json["contextResponses"][0]
    assert response["contextElement"]["attributes"][0]["name"] == "temp"


def test_what_other_versions_write_is_read(api: Api) -> None:
    place = {"type": "geo:json", "value": {"type": "Point", "coordinates": [8.6, 49.4]}}
    api.post("/v2/entities", {"id": "a", "type": "T", "n": {"value": 1.5}, "location": place})
    assert api.get("/ngsi10/entity/a").json == element(
        "a", "T", [member("n", "Number", 1.5)], [point(49.4, 8.6)]
    )


@pytest.mark.parametrize(
    "place",
    [
        member("location", "circle", {"centerLatitude": 1, "centerLongitude": 2, "radius": 30.5}),
        member(
            "location",
            "polygon",
            {
                "vertices": [
                    {"latitude": 0, "longitude": 0},
                    {"latitude": 0, "longitude": 3},
                    {"latitude": 3, "longitude": 3},
                    {"latitude": 0, "longitude": 0},
                ]
            },
        ),
        member("location", "global", "global"),
        member("entrance", "point", {"latitude": 1, "longitude": 2}),
    ],
)
def test_a_place_keeps_its_form(api: Api, place: dict[str, object]) -> None:
    update(api, element("a", "T", [], [place]))
    assert api.get("/ngsi10/entity/a").json["domainMetadata"] == [place]


def test_places_are_indexed(api: Api) -> None:
    circle = {"centerLatitude": 1, "centerLongitude": 2, "radius": 30}
    update(api, element("a", "T", [], [member("location", "circle", circle)]))
    near = {"georel": "near;maxDistance:1", "geometry": "point", "coords": "1,2"}
    assert [item["id"] for item in api.get("/v2/entities", **near).json] == ["a"]
    assert ids(query(api, (_ANY,), scope("circle", {**circle, "radius": 1}))) == ["a"]


_ANY = {"id": ".*", "isPattern": True}


def test_update_creates_what_is_missing_and_keeps_the_rest(api: Api) -> None:
    update(api, element("a", "T", [member("x", "integer", 1)], [_CITY]))
    update(api, element("a", "T", [member("y", "integer", 2)]))
    update(api, element("a", "T", [], [member("city", "string", "Mannheim")]))
    assert api.get("/ngsi10/entity/a").json == element(
        "a",
        "T",
        [member("x", "integer", 1), member("y", "integer", 2)],
        [member("city", "string", "Mannheim")],
    )


def test_an_entity_needs_neither_attributes_nor_a_type(api: Api) -> None:
    update(api, {"entityId": {"id": "a"}})
    assert api.get("/ngsi10/entity/a").json == element("a", "")
    update(api, {"entityId": {"id": "a"}, "attributes": [{"name": "x", "value": 1}]})
    assert api.get("/ngsi10/entity/a").json == element("a", "", [member("x", "", 1)])


def test_orions_spelling_is_taken_too(api: Api) -> None:
    flat = {
        "id": "a",
        "type": "T",
        "isPattern": "false",
        "attributes": [
            {**member("x", "float", 1.5), "metadatas": [member("unit", "string", "m")]},
            member("y", "float", 2),
        ],
    }
    update(api, flat, action="APPEND")
    unit = [member("unit", "string", "m")]
    expected = [{**member("x", "float", 1.5), "metadata": unit}, member("y", "float", 2)]
    assert api.get("/ngsi10/entity/a").json == element("a", "T", expected)
    update(api, {**flat, "attributes": [{"name": "y"}]}, action="DELETE")
    assert api.get("/ngsi10/entity/a").json == element("a", "T", expected[:1])


def test_delete_is_about_the_whole_entity(api: Api) -> None:
    update(api, _DEVICE)
    update(api, _DEVICE, action="DELETE")
    assert api.get("/ngsi10/entity/Device.temp001").status == 404
    update(api, _DEVICE)
    assert api.delete("/ngsi10/entity/Device.temp001").status == 200
    assert api.get("/ngsi10/entity").json == []
    assert api.delete("/ngsi10/entity/Device.temp001").status == 404


def test_what_is_not_there_is_404(api: Api) -> None:
    update(api, _DEVICE)
    assert api.get("/ngsi10/entity/nobody").status == 404
    assert api.get("/ngsi10/entity/Device.temp001/nothing").status == 404
    assert api.get("/ngsi10/entity/nobody/nothing").status == 404


def test_any_content_type_is_taken(api: Api) -> None:
    body = {"contextElements": [_DEVICE], "updateAction": "UPDATE"}
    odd = {"Content-Type": "appliction/json", "Accept": "text/html"}
    assert api.post("/ngsi10/updateContext", body, headers=odd).status == 200
    assert api.get("/ngsi10/entity/Device.temp001", headers=odd).json == _DEVICE


def test_tenants_and_service_paths_are_kept_apart(
    start_broker: StartBroker, connect: Connect
) -> None:
    broker = start_broker("-multiservice")
    first, second = connect(broker, "first"), connect(broker, "second")
    update(first, element("a", "T"), headers={"fiware-servicepath": "/x"})
    assert first.get("/ngsi10/entity/a", headers={"fiware-servicepath": "/x"}).status == 200
    assert first.get("/ngsi10/entity/a", headers={"fiware-servicepath": "/y"}).status == 404
    assert second.get("/ngsi10/entity").json == []


def test_entities_survive_a_restart(start_broker: StartBroker, connect: Connect) -> None:
    broker = start_broker()
    update(connect(broker, ""), _DEVICE, element("a", "", [member("x", "", 1)]))
    broker.stop()
    broker.start()
    assert connect(broker, "").get("/ngsi10/entity").json == [
        _DEVICE,
        element("a", "", [member("x", "", 1)]),
    ]


@pytest.mark.parametrize(
    ("body", "status", "details"),
    [
        (b"{", 400, "Errors found in incoming JSON buffer"),
        (b"[]", 400, "Errors found in incoming JSON buffer"),
        ({}, 200, "No context elements"),
        ({"contextElements": {}}, 400, "contextElements is not an array"),
        ({"contextElements": [1]}, 400, "an item of contextElements is not an object"),
        ({"contextElements": [{"entityId": "a"}]}, 400, "entityId is not an object"),
        ({"contextElements": [{"entityId": {"id": 1}}]}, 400, "id is not a string"),
        ({"contextElements": [{"entityId": {}}]}, 200, "empty entityId:id"),
        ({"contextElements": [{"entityId": {"id": "a"}}]}, 200, "empty update action type"),
        (
            {"contextElements": [element("a", "T", [], [point(91, 0)])], "updateAction": "UPDATE"},
            200,
            "latitude of domain metadata location is not within -90 and 90",
        ),
    ],
)
def test_errors_say_what_is_wrong_and_nothing_is_done(
    api: Api, body: object, status: int, details: str
) -> None:
    reply = api.post("/ngsi10/updateContext", body)
    assert reply.status == status
    assert reply.json == {
        "contextResponses": [],
        "errorCode": {"code": 400, "reasonPhrase": "Bad Request", "details": details},
    }
    assert api.get("/ngsi10/entity").json == []


def test_one_wrong_element_refuses_all(api: Api) -> None:
    body = {"contextElements": [_DEVICE, element("b", "T", [], [point(0, 200)])]}
    reply = api.post("/ngsi10/updateContext", {**body, "updateAction": "UPDATE"})
    assert reply.json["errorCode"]["code"] == 400
    assert api.get("/ngsi10/entity").json == []


def test_notify_context_takes_over_what_another_broker_has(api: Api) -> None:
    def notify(*elements: dict[str, object]) -> None:
        responses = [
            {"contextElement": item, "statusCode": {"code": 200, "reasonPhrase": "OK"}}
            for item in elements
        ]
        body = {"subscriptionId": "q001", "originator": "x", "contextResponses": responses}
        reply = api.post("/ngsi10/notifyContext", body)
        assert reply.json == {"responseCode": {"code": 200, "reasonPhrase": "OK"}}

    notify(_DEVICE)
    assert api.get("/ngsi10/entity").json == [_DEVICE]
    notify({"entityId": {"id": "Device.temp001"}})
    assert api.get("/ngsi10/entity").json == []
    notify()
