"""Documents of a source, with anything in the place of anything: taken over or refused by name.

A property for all decoders of `importer`: nothing but an error of `ngsi.errors` leaves them, and
what is taken over can be read back from its record and shown.
"""

from __future__ import annotations

import copy
import io
from typing import Any

import orjson
from bson import Decimal128, Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from broker import records, registration_records
from importer import orion_api, orion_documents
from importer.report import Report
from ngsi.errors import NgsiError
from ngsi.model import Entity
from ngsi.v2.registrations import render_registration
from ngsi.v2.render import View, render_entity
from ngsi.v2.subscriptions import render_subscription
from tests.integration.orion_dump import entity, registration, subscription

BUILTINS = ("*", "dateCreated", "dateModified")
STORED_ENTITY = entity(
    "E",
    {
        "a": {"type": "T", "value": {"b": [1.0]}, "md": {"m": {"type": "T", "value": 1}}},
        "p": {"type": "geo:point", "value": "40,-3"},
        "dateExpires": {"type": "DateTime", "value": 1e9},
    },
    location={"attrName": "p", "coords": {}},
)
STORED_SUBSCRIPTION = subscription(
    1,
    custom=True,
    ngsi={"id": "x", "attrs": {"a": {"type": "T", "value": "${b}", "md": {}}}},
    attrs=["a"],
    conditions=["a"],
    method="POST",
    qs={"a": "b"},
    headers={"a": "b"},
    count=Int64(1),
    lastNotification=Int64(1),
    lastSuccessCode=Int64(200),
    lastFailureReason="x",
    description="d",
)
STORED_REGISTRATION = registration(1, description="d", status="active", expiration=Int64(1))
MQTT = subscription(1, reference="mqtt://h", topic="t", qos=1, retain=True, user="u", passwd="p")
SHOWN_ENTITY = {
    "id": "E",
    "type": "T",
    "a": {"type": "T", "value": 1, "metadata": {"m": {"type": "T", "value": 1}}},
    "p": {"type": "geo:point", "value": "40,-3", "metadata": {}},
    "dateCreated": {"type": "DateTime", "value": "2026-01-01T00:00:00Z", "metadata": {}},
    "servicePath": {"type": "Text", "value": "/", "metadata": {}},
}
SHOWN_SUBSCRIPTION = {
    "id": "5697d4d10000000000000001",
    "status": "active",
    "expires": "2999-01-01T00:00:00.000Z",
    "subject": {
        "entities": [{"idPattern": ".*", "type": "T"}],
        "condition": {"attrs": ["a"], "expression": {"q": "a>1"}},
    },
    "notification": {
        "attrs": ["a"],
        "http": {"url": "http://h"},
        "timesSent": 1,
        "lastNotification": "2026-01-01T00:00:00.000Z",
        "lastSuccessCode": 200,
        "covered": True,
    },
}
SHOWN_REGISTRATION = {
    "id": "5697d4d10000000000000001",
    "dataProvided": {"entities": [{"id": "E"}], "attrs": ["a"]},
    "provider": {"http": {"url": "http://h"}},
    "forwardingInformation": {"timesSent": 1, "lastSuccess": "2026-01-01T00:00:00.000Z"},
}

JSON = [None, True, 0, -1, 7, 2**60, 1.5, 1e300, "", "x", "a b", "/#", "T(", "2026-13-01", "\x1f"]
# What no JSON of an API can hold, but BSON can.
BSON = [*JSON, float("nan"), float("inf"), Int64(5), Decimal128("1"), ObjectId(b"x" * 12), b"b"]


def anything(scalars: list[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["id", "type", "value", "a", ">inc", ""])
    return st.recursive(
        st.sampled_from(scalars),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
        max_leaves=4,
    )


@st.composite
def disturbed(draw: st.DrawFn, document: dict[str, Any], scalars: list[Any]) -> dict[str, Any]:
    """The document with anything, or nothing, in one or two of its places."""
    made: dict[str, Any] = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 2))):
        place: Any = made
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.integers(0, 4)):
                place[key] = draw(anything(scalars))
            else:
                del place[key]
            break
    return made


def show(entity: Entity) -> None:
    """Render an entity with its builtins, as the API does."""
    view = View(attributes=("*", "dateCreated", "dateModified", "dateExpires"), metadata=BUILTINS)
    orjson.dumps(render_entity(entity, view))


@given(disturbed(STORED_ENTITY, BSON))
def test_stored_entities(document: dict[str, Any]) -> None:
    try:
        made, record = orion_documents.decode_entity(document, Report(io.StringIO()))
    except NgsiError:
        return
    show(records.decode_entity([made.service_path, made.id, made.type], record))


@given(disturbed(STORED_SUBSCRIPTION, BSON) | disturbed(MQTT, BSON))
def test_stored_subscriptions(document: dict[str, Any]) -> None:
    try:
        made = orion_documents.decode_subscription(document)
    except NgsiError:
        return
    stored = records.decode_stored_subscription([made.id], records.encode_subscription(made))
    orjson.dumps(render_subscription(stored, now=2e9))


@given(disturbed(STORED_REGISTRATION, BSON))
def test_stored_registrations(document: dict[str, Any]) -> None:
    try:
        made = orion_documents.decode_registration(document)
    except NgsiError:
        return
    stored = registration_records.decode_stored_registration(
        [made.id], registration_records.encode_registration(made)
    )
    orjson.dumps(render_registration(stored))


@given(disturbed(SHOWN_ENTITY, JSON))
def test_shown_entities(document: dict[str, Any]) -> None:
    try:
        made, record = orion_api.decode_entity(document)
    except NgsiError:
        return
    show(records.decode_entity([made.service_path, made.id, made.type], record))


@given(disturbed(SHOWN_SUBSCRIPTION, JSON))
def test_shown_subscriptions(document: dict[str, Any]) -> None:
    try:
        made = orion_api.decode_subscription(document, "/#")
    except NgsiError:
        return
    stored = records.decode_stored_subscription([made.id], records.encode_subscription(made))
    orjson.dumps(render_subscription(stored, now=2e9))


@given(disturbed(SHOWN_REGISTRATION, JSON))
def test_shown_registrations(document: dict[str, Any]) -> None:
    try:
        made = orion_api.decode_registration(document, "/")
    except NgsiError:
        return
    stored = registration_records.decode_stored_registration(
        [made.id], registration_records.encode_registration(made)
    )
    orjson.dumps(render_registration(stored))
