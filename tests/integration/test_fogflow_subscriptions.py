"""subscribeContext and its notifications as FogFlow's clients and tasks know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.endpoints import refuse_connections
from tests.integration.fogflow import element, ids, member, point, scope, update

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Receiver, StartBroker

_ANY = {"id": ".*", "isPattern": True}
_HOT = [member("temp", "integer", 30)]
_COLD = [member("temp", "integer", 10)]
_CITY = member("city", "string", "Heidelberg")


def _subscribe(api: Api, url: str, headers: dict[str, str] | None = None, **fields: Any) -> str:
    body = {"entities": [_ANY], "reference": url, **fields}
    reply = api.post("/ngsi10/subscribeContext", body, headers=headers or {})
    assert reply.status == 200
    subscription_id = reply.json["subscribeResponse"]["subscriptionId"]
    assert reply.json == {
        "subscribeResponse": {"subscriptionId": subscription_id},
        "subscribeError": {"subscriptionId": subscription_id, "errorCode": {"code": 0}},
    }
    assert subscription_id
    return str(subscription_id)


def _base(receiver: Receiver) -> str:
    return receiver.url.rpartition("/")[0]


def _elements(receiver: Receiver, subscription_id: str) -> list[dict[str, Any]]:
    """The context elements of the next notification."""
    request = receiver.next()
    assert request.path.endswith("/notifyContext")
    assert request.json["subscriptionId"] == subscription_id
    responses = request.json["contextResponses"]
    assert all(item["statusCode"] == {"code": 200, "reasonPhrase": "OK"} for item in responses)
    return [item["contextElement"] for item in responses]


def test_updates_are_notified_whether_they_change_or_not(api: Api, receiver: Receiver) -> None:
    subscription_id = _subscribe(api, _base(receiver))
    for _ in range(2):
        update(api, element("a", "T", _HOT, [_CITY]))
        assert _elements(receiver, subscription_id) == [element("a", "T", _HOT, [_CITY])]


def test_the_current_state_is_notified_at_once(api: Api, receiver: Receiver) -> None:
    update(api, element("a", "T", _HOT), element("b", "U", _COLD))
    subscription_id = _subscribe(api, _base(receiver), entities=[{"type": "T", "isPattern": True}])
    assert _elements(receiver, subscription_id) == [element("a", "T", _HOT)]
    update(api, element("a", "T", _COLD))
    assert _elements(receiver, subscription_id) == [element("a", "T", _COLD)]


def test_the_state_of_many_comes_in_batches(api: Api, receiver: Receiver) -> None:
    update(api, *(element(f"e{number}", "T") for number in range(250)))
    subscription_id = _subscribe(api, _base(receiver))
    batches = [_elements(receiver, subscription_id) for _ in range(3)]
    assert sorted(map(len, batches)) == [50, 100, 100]
    seen = {entity_id for batch in batches for entity_id in ids(batch)}
    assert seen == {f"e{number}" for number in range(250)}


def test_a_deleted_entity_is_an_element_without_attributes(api: Api, receiver: Receiver) -> None:
    update(api, element("a", "T", _HOT, [_CITY]))
    subscription_id = _subscribe(api, _base(receiver))
    _elements(receiver, subscription_id)
    api.delete("/ngsi10/entity/a")
    assert _elements(receiver, subscription_id) == [
        {"entityId": {"id": "a", "type": "T", "isPattern": False}}
    ]


def test_attributes_are_selected_and_must_be_there(api: Api, receiver: Receiver) -> None:
    subscription_id = _subscribe(api, _base(receiver), attributes=["temp"])
    update(api, element("a", "T", [member("other", "integer", 1)]))
    update(api, element("a", "T", _HOT, [_CITY]))
    assert _elements(receiver, subscription_id) == [element("a", "T", _HOT, [_CITY])]


def test_conditions_leave_it_to_changes(api: Api, receiver: Receiver) -> None:
    condition = {"type": "ONCHANGE", "condValueList": ["temp"]}
    subscription_id = _subscribe(api, _base(receiver), notifyConditions=[condition])
    update(api, element("a", "T", _HOT))
    update(api, element("a", "T", _HOT))
    update(api, element("a", "T", [member("other", "integer", 1)]))
    update(api, element("a", "T", _COLD))
    assert _elements(receiver, subscription_id) == [element("a", "T", _HOT)]
    (last,) = _elements(receiver, subscription_id)
    assert last["attributes"][0] == _COLD[0]


def test_scopes_restrict(api: Api, receiver: Receiver) -> None:
    circle = {"centerLatitude": 49.4, "centerLongitude": 8.6, "radius": 1000}
    scopes = {"scopes": [scope("circle", circle), scope("stringQuery", "city=Heidelberg")]}
    subscription_id = _subscribe(api, _base(receiver), restriction=scopes)
    update(api, element("nowhere", "T", [], [_CITY]))
    update(api, element("far", "T", [], [point(49.5, 8.6), _CITY]))
    update(api, element("other", "T", [], [point(49.4, 8.6), member("city", "string", "M")]))
    update(api, element("near", "T", [], [point(49.4, 8.6), _CITY]))
    assert ids(_elements(receiver, subscription_id)) == ["near"]


def test_what_other_versions_write_is_notified(api: Api, receiver: Receiver) -> None:
    subscription_id = _subscribe(api, _base(receiver))
    api.post("/v2/entities", {"id": "a", "type": "T", "n": {"type": "Number", "value": 1}})
    assert _elements(receiver, subscription_id) == [element("a", "T", [member("n", "Number", 1)])]


@pytest.mark.parametrize("destination", ["NGSIv2", "orion-broker"])
def test_notifications_in_the_form_of_ngsiv2(
    api: Api, receiver: Receiver, destination: str
) -> None:
    update(api, element("a", "T", _HOT))
    subscription_id = _subscribe(api, receiver.url, {"Destination": destination})
    request = receiver.next()
    assert receiver.url.endswith(request.path)
    entity = {"id": "a", "type": "T", "temp": {"type": "integer", "value": 30, "metadata": {}}}
    assert request.json == {"subscriptionId": subscription_id, "data": [entity]}


def test_other_standards_are_refused(api: Api, receiver: Receiver) -> None:
    body = {"entities": [_ANY], "reference": receiver.url}
    reply = api.post("/ngsi10/subscribeContext", body, headers={"Destination": "NGSI-LD"})
    assert reply.json["subscribeResponse"] == {"subscriptionId": ""}
    assert reply.json["subscribeError"]["errorCode"]["code"] == 501
    assert api.get("/ngsi10/subscription").json == {}


def test_nothing_goes_back_to_the_origin_of_an_update(api: Api, receiver: Receiver) -> None:
    subscription_id = _subscribe(api, _base(receiver), {"Fiware-Correlator": "task-7"})
    update(api, element("a", "T", _HOT), headers={"Fiware-Correlator": "task-7"})
    update(api, element("b", "T", _HOT), headers={"Fiware-Correlator": "task-8"})
    update(api, element("c", "T", _HOT))
    assert ids(_elements(receiver, subscription_id)) == ["b"]
    assert ids(_elements(receiver, subscription_id)) == ["c"]


def test_reliable_subscriptions_are_durable(api: Api) -> None:
    with refuse_connections() as url:
        subscription_id = _subscribe(api, url, {"Require-Reliability": "true"})
        shown = api.get(f"/v2/subscriptions/{subscription_id}").json
        assert shown["notification"]["durable"] is True
        assert api.get(f"/ngsi10/subscription/{subscription_id}").json["Subscriber"][
            "RequireReliability"
        ]


_FULL: dict[str, Any] = {
    "entities": [
        {"id": "Device.*", "isPattern": True},
        {"id": "a", "type": "T", "isPattern": False},
        {"id": ".*", "type": "Car", "isPattern": True},
    ],
    "attributes": ["temp", "city.name"],
    "reference": "http://localhost:8066/x",
    "restriction": {
        "scopes": [
            scope("circle", {"centerLatitude": 49.4, "centerLongitude": 8.6, "radius": 10}),
            scope("stringQuery", "city=Heidelberg"),
        ]
    },
    "notifyConditions": [{"type": "ONCHANGE", "condValueList": ["temp"]}],
    "throttling": "PT5S",
}


def test_subscriptions_are_listed_and_survive_a_restart(
    start_broker: StartBroker, connect: Connect
) -> None:
    broker = start_broker()
    api = connect(broker, "")
    headers = {"Fiware-Correlator": "task-7", "Require-Reliability": "true"}
    body = {**_FULL, "duration": "P1M"}
    answer = api.post("/ngsi10/subscribeContext", body, headers=headers).json
    subscription_id = answer["subscribeResponse"]["subscriptionId"]
    broker.stop()
    broker.start()
    api = connect(broker, "")
    shown = api.get(f"/ngsi10/subscription/{subscription_id}").json
    assert shown.pop("duration").startswith("PT25")
    assert shown.pop("Subscriber") == {
        "IsInternal": False,
        "RequireReliability": True,
        "DestinationType": "",
        "Correlator": "task-7",
    }
    assert shown == _FULL
    listed = api.get("/ngsi10/subscription").json
    assert list(listed) == [subscription_id]
    assert listed[subscription_id]["entities"] == _FULL["entities"]


def test_subscriptions_end(api: Api) -> None:
    first, second, third = (_subscribe(api, "http://localhost:1/x") for _ in range(3))
    body = {"subscriptionId": first, "originator": "POMN"}
    done = {"subscriptionId": first, "statusCode": {"code": 200, "reasonPhrase": "OK"}}
    assert api.post("/ngsi10/unsubscribeContext", body).json == done
    again = api.post("/ngsi10/unsubscribeContext", body).json
    assert again["statusCode"]["code"] == 470
    assert api.get(f"/ngsi10/subscription/{first}").status == 404
    json = {"Content-Type": "application/json"}
    assert api.delete(f"/ngsi10/subscription/{second}", headers=json).status == 200
    assert api.get(f"/v2/subscription/{third}", headers=json).json["id"] == third
    for _ in range(2):
        assert api.delete(f"/v2/subscription/{third}", headers=json).status == 200
    assert api.get(f"/v2/subscription/{third}").status == 404
    assert api.get("/ngsi10/subscription").json == {}


@pytest.mark.parametrize(
    ("fields", "status", "details"),
    [
        ({"entities": []}, 200, "empty entityId vector"),
        ({"reference": ""}, 200, "Empty Reference"),
        ({"reference": "x"}, 200, "Invalid URL"),
        ({"reference": 1}, 400, "reference is not a string"),
        ({"duration": "1h"}, 200, "syntax error in duration string"),
        ({"throttling": "1h"}, 200, "syntax error in throttling string"),
        ({"notifyConditions": [{"type": "ONX"}]}, 200, "invalid notify condition type: /ONX/"),
        ({"restriction": {"scopes": [scope("x", 1)]}}, 200, "unknown scopeType /x/"),
    ],
)
def test_errors_say_what_is_wrong(
    api: Api, fields: dict[str, Any], status: int, details: str
) -> None:
    body = {"entities": [_ANY], "reference": "http://localhost:1", **fields}
    reply = api.post("/ngsi10/subscribeContext", body)
    assert reply.status == status
    code = {"code": 400, "reasonPhrase": "Bad Request", "details": details}
    assert reply.json == {
        "subscribeResponse": {"subscriptionId": ""},
        "subscribeError": {"subscriptionId": "", "errorCode": code},
    }
    assert api.get("/ngsi10/subscription").json == {}


def test_availability_is_answered(api: Api) -> None:
    body = {"subscribeId": "x", "contextRegistrationResponses": []}
    reply = api.post("/ngsi10/notifyContextAvailability", body)
    assert reply.json == {"responseCode": {"code": 200, "reasonPhrase": "OK"}}


def test_notifications_of_ngsiv2_are_taken(api: Api) -> None:
    entity = {"id": "a", "type": "T", "n": {"type": "integer", "value": 1, "metadata": {}}}
    assert api.post("/v2/notify", {"subscriptionId": "5" * 24, "data": [entity]}).status == 200
    assert ids(api.get("/ngsi10/entity").json) == ["a"]
