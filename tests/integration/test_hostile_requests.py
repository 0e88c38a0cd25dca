"""Requests made to hurt: each is refused or bounded, and the broker serves on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.subscriptions import create, document

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Receiver, StartBroker


@pytest.fixture(autouse=True)
def _served_on(api: Api) -> Any:
    yield
    assert api.get("/v2/entities").status == 200


@pytest.mark.parametrize(
    ("value", "operation"),
    [
        (1e308, {"$mul": 10}),
        (1e308, {"$inc": 1.7e308}),
        (2**64 - 1, {"$inc": 1}),
        (-(2**63), {"$inc": -1}),
        (2**63, {"$mul": 2**63}),
    ],
)
def test_results_that_are_no_json_numbers(api: Api, value: float, operation: Any) -> None:
    create(api, A=value)
    create(api, "F", A=1)
    reply = api.patch("/v2/entities/E/attrs", {"A": {"value": operation}})
    assert reply.refusal[:2] == (500, "InternalServerError")
    assert "cannot apply $" in reply.refusal[2]
    assert json.loads(api.get("/v2/entities/E/attrs/A/value").text) == value
    # In a batch the others are done.
    entities = [{"id": "E", "A": {"value": operation}}, {"id": "F", "A": {"value": 2}}]
    types = [{**entity, "type": "T"} for entity in entities]
    assert api.post("/v2/op/update", {"actionType": "update", "entities": types}).status == 500
    assert api.get("/v2/entities/F/attrs/A/value").text == "2"


def test_large_results_stay_exact(api: Api) -> None:
    create(api, A=1e300)
    assert api.patch("/v2/entities/E/attrs", {"A": {"value": {"$inc": 0}}}).status == 204
    assert json.loads(api.get("/v2/entities/E/attrs/A/value").text) == 1e300


def test_operators_on_long_arrays(api: Api) -> None:
    # Compared one by one this would take minutes.
    many = [f"item {number}" for number in range(20_000)]
    create(api, A=many)
    for operation in ({"$addToSet": {"$each": many}}, {"$pullAll": many[1:]}):
        body = {"A": {"type": "StructuredValue", "value": operation}}
        assert api.patch("/v2/entities/E/attrs", body).status == 204
    assert api.get("/v2/entities/E/attrs/A/value").json == many[:1]


def test_combinations_of_ids_and_types(api: Api) -> None:
    ids = ",".join(f"{number}" for number in range(200))
    assert api.get("/v2/entities", id=ids, type="T,U").json == []
    reply = api.get("/v2/entities", id=ids, type=ids)
    assert reply.refusal == (
        400,
        "BadRequest",
        "more than 10000 combinations of /id/ and /type/",
    )


def test_token_that_no_message_can_hold(api: Api, receiver: Receiver) -> None:
    """The update is done, and other subscriptions hear of it."""
    custom = {"url": receiver.url, "json": {"token": "${authToken}"}}
    broken = document(receiver.url)
    broken["notification"] = {"httpCustom": custom}
    broken_id = api.subscribe(broken)
    api.subscribe(document(receiver.url))
    head = (
        f"POST /v2/entities HTTP/1.1\r\nHost: broker\r\nFiware-Service: {api.tenant}\r\n"
        "Content-Type: application/json\r\nContent-Length: 43\r\n"
    )
    body = b'{"id":"E","type":"T","A":{"value":1234567}}'
    reply = api.send_bytes(head.encode() + b"X-Auth-Token: t\xff\r\n\r\n" + body)
    assert reply.status == 201
    assert [entity["id"] for entity in receiver.next().data] == ["E"]
    notification = api.get(f"/v2/subscriptions/{broken_id}").json["notification"]
    assert notification["failsCounter"] == 1
    assert receiver.take_until_fence(api) == []


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n", b"no gzip at all"),
        (b"Content-Type: a\xff/b\r\n", b"{}"),
        (b"Content-Type: application/json\r\nFiware-Service: t\xff\r\n", b"{}"),
    ],
)
def test_headers_and_bodies_that_do_not_decode(api: Api, headers: bytes, body: bytes) -> None:
    head = b"POST /v2/entities HTTP/1.1\r\nHost: broker\r\nContent-Length: %d\r\n" % len(body)
    reply = api.send_bytes(head + headers + b"\r\n" + body)
    assert 400 <= reply.status < 500
    assert sorted(reply.json) == ["description", "error"]


def test_nesting(api: Api) -> None:
    too_deep = "attribute or metadata value has overpassed maximum nesting limit: 50"
    for depth in (60, 980, 1100, 100_000):
        body = b'{"id":"E","id":"F","A":{"value":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}}"
        assert api.post("/v2/entities", body).refusal == (400, "ParseError", too_deep)
    malformed = b'{"id":"E","A":{"value":' + b'{"a":' * 2000
    broken_json = "Errors found in incoming JSON buffer"
    assert api.post("/v2/entities", malformed).refusal == (400, "ParseError", broken_json)


def test_names_of_tenants_that_are_only_asked_for_take_no_room(
    start_broker: StartBroker, connect: Connect
) -> None:
    broker = start_broker("-multiservice")
    for number in range(20):
        api = connect(broker, f"t{number}")
        for path in ("/v2/entities", "/v2/types", "/v2/subscriptions", "/v2/registrations"):
            assert api.get(path).json == []
        assert api.get("/v2/entities/E").status == 404
        assert api.patch("/v2/entities/E/attrs", {"A": {"value": 1}}).status == 404
    assert "\nrigel_tenants 0" in api.get("/metrics").text
    create(api, A=1)
    assert "\nrigel_tenants 1" in api.get("/metrics").text


def test_expressions_that_fail_at_the_end_of_an_entity(api: Api, receiver: Receiver) -> None:
    """What goes wrong in housekeeping is logged, and housekeeping goes on."""
    condition = {"alterationTypes": ["entityDelete"], "expression": {"jexlExpression": "l[h]"}}
    try:
        subscription = document(receiver.url, condition=condition)
        api.post("/v2/subscriptions", subscription)
    finally:
        api.subscribe(document(receiver.url, condition={"alterationTypes": ["entityDelete"]}))
    api.create(
        {
            "id": "E",
            "type": "T",
            "l": {"value": [1, 2]},
            "h": {"value": 1e308},
            "dateExpires": {"type": "DateTime", "value": "2020-01-01T00:00:00Z"},
        }
    )
    assert receiver.next().data[0]["id"] == "E"
    assert api.get("/v2/entities/E").status == 404
