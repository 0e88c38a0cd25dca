"""Subscriptions with httpCustom, mqtt or mqttCustom that are refused, with the texts of Orion.

Source: Orion's functional cases 2015, 2280, 2560, 3001, 3914, 4085, 4388.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

URL: Final = "http://localhost:9999"
MQTT: Final = {"url": "mqtt://localhost:1883", "topic": "/orion"}
ONE_PAYLOAD: Final = (
    "only one of payload, json or ngsi fields accepted at the same time in httpCustom, "
    "mqttCustom or kafkaCustom"
)
QS: Final = "notification httpCustom qs"
HEADERS: Final = "notification httpCustom headers"
NOT_IN_RANGE: Final = "mqtt qos field must be an integer in the 0 to 2 range"
BOTH: Final = "you must use user and passwd fields simultaneously"

HTTP_CASES: Final[list[tuple[Any, str]]] = [
    ({}, "url httpCustom notification is missing"),
    ({"method": "PUT"}, "url httpCustom notification is missing"),
    ({"url": 1}, "url httpCustom notification is not a string"),
    ({"url": "abc"}, "invalid custom /url/"),
    ({"url": "http://127.0.0.1:1234/()"}, "forbidden characters in custom /url/"),
    ({"url": MQTT["url"]}, "mqtt URL cannot be used in http notifications"),
    ({"method": "PUTTY"}, "unknown method httpCustom notification"),
    ({"payload": "()"}, "forbidden characters in custom /payload/"),
    ({"payload": 1}, "payload custom notification is not a string"),
    ({"qs": {"id": "()"}}, f"forbidden characters in custom {QS}"),
    ({"qs": {}}, f"{QS} is empty"),
    ({"qs": []}, f"{QS} is not an object"),
    ({"qs": {"a": 1}}, f"{QS} element is not a string"),
    ({"headers": {"id": "()"}}, f"forbidden characters in custom {HEADERS}"),
    ({"headers": {}}, f"{HEADERS} is empty"),
    ({"headers": {"a": None}}, f"{HEADERS} element is not a string"),
]
MQTT_CASES: Final[list[tuple[Any, str]]] = [
    ({"url": None}, "url mqtt notification is not a string"),
    ({"url": 1234}, "url mqtt notification is not a string"),
    ({"url": URL}, "http or https URL cannot be used in mqtt notifications"),
    ({"url": "mqtt://localhost:1883/path"}, "path cannot be used in mqtt url, use topic instead"),
    ({"topic": 1234}, "topic mqtt notification is not a string"),
    ({"topic": ""}, "empty mqtt field /topic/"),
    ({"topic": "/sub#"}, "+ and # are not allowed in mqtt field /topic/"),
    ({"topic": "/sub+"}, "+ and # are not allowed in mqtt field /topic/"),
    ({"qos": "foo"}, "qos is not an int"),
    ({"qos": -1}, NOT_IN_RANGE),
    ({"qos": 3}, NOT_IN_RANGE),
    ({"user": "u"}, BOTH),
    ({"passwd": "p"}, BOTH),
]
PAYLOAD_CASES: Final[list[tuple[Any, str]]] = [
    ({"payload": "foo", "json": {}}, ONE_PAYLOAD),
    ({"payload": "foo", "ngsi": {}}, ONE_PAYLOAD),
    ({"json": {}, "ngsi": {}}, ONE_PAYLOAD),
    (
        {"json": "text"},
        "json fields in httpCustom, mqttCustom or kafkaCustom must be object or array",
    ),
    ({"ngsi": {"id": 42}}, "Invalid JSON type for entity id"),
    ({"ngsi": {"type": 42}}, "Invalid JSON type for entity type"),
    ({"ngsi": {"A": {"value": 10, "type": 42}}}, "invalid JSON type for attribute type"),
]


def refuse(api: Api, kind: str, fields: Any, description: str) -> None:
    document = {"subject": {"entities": [{"id": "E"}]}, "notification": {kind: fields}}
    refusal = (400, "BadRequest", description)
    assert api.post("/v2/subscriptions", document).refusal == refusal
    good = {**document, "notification": {"http": {"url": URL}}}
    subscription_id = api.subscribe(good)
    path = f"/v2/subscriptions/{subscription_id}"
    before = api.get(path).json
    assert api.patch(path, {"notification": document["notification"]}).refusal == refusal
    assert api.get(path).json == before


@pytest.mark.parametrize(("fields", "description"), HTTP_CASES)
def test_http_custom(api: Api, fields: Any, description: str) -> None:
    is_missing = "missing" in description
    refuse(api, "httpCustom", fields if is_missing else {"url": URL, **fields}, description)


@pytest.mark.parametrize("kind", ["mqtt", "mqttCustom"])
@pytest.mark.parametrize(("fields", "description"), MQTT_CASES)
def test_mqtt(api: Api, kind: str, fields: Any, description: str) -> None:
    refuse(api, kind, {**MQTT, **fields}, description)


@pytest.mark.parametrize("kind", ["mqtt", "mqttCustom"])
@pytest.mark.parametrize("name", ["url", "topic"])
def test_mqtt_without(api: Api, kind: str, name: str) -> None:
    fields = {key: value for key, value in MQTT.items() if key != name}
    refuse(api, kind, fields, f"{name} mqtt notification is missing")


@pytest.mark.parametrize("kind", ["httpCustom", "mqtt", "mqttCustom"])
def test_no_object(api: Api, kind: str) -> None:
    refuse(api, kind, "foo", f"{kind} notification is not an object")


@pytest.mark.parametrize(("kind", "base"), [("httpCustom", {"url": URL}), ("mqttCustom", MQTT)])
@pytest.mark.parametrize(("fields", "description"), PAYLOAD_CASES)
def test_payloads(api: Api, kind: str, base: dict[str, str], fields: Any, description: str) -> None:
    refuse(api, kind, {**base, **fields}, description)


def test_url_that_macros_give_is_not_checked_yet(api: Api) -> None:
    document = {
        "subject": {"entities": [{"id": "E"}]},
        "notification": {"httpCustom": {"url": "${abc}", "method": "PUT"}},
    }
    shown = api.get(f"/v2/subscriptions/{api.subscribe(document)}").json
    assert shown["notification"]["httpCustom"] == {"url": "${abc}", "method": "PUT"}
