"""Documents of NGSIv1's subscriptions and notifications, with anything in the place of anything.

Nothing but an error of `ngsi.errors` leaves the decoders. What they take can be shown by NGSIv2,
and comes back the same from its record.
"""

from __future__ import annotations

import copy
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from broker import records
from ngsi.errors import NgsiError
from ngsi.subscription import Subscription
from ngsi.v1.notifications import decode_notification
from ngsi.v1.subscriptions import (
    change_subscription,
    decode_subscription,
    decode_unsubscription,
    decode_update,
    load_update,
    make_subscription,
)
from ngsi.v2.subscriptions import render_subscription

ID = "5a0000000000000000000001"
NOW = 1_700_000_000.0
SCOPES = [
    {"type": "FIWARE::StringQuery", "value": "a>1;b"},
    {"type": "FIWARE::StringQuery::Metadata", "value": "a.m==1"},
    {
        "type": "FIWARE::Location",
        "value": {
            "polygon": {
                "vertices": [
                    {"latitude": "0", "longitude": "0"},
                    {"latitude": "0", "longitude": "6"},
                    {"latitude": "6", "longitude": "0"},
                ],
                "inverted": "true",
            }
        },
    },
]
CHANGE = {
    "duration": "PT1H",
    "throttling": "PT5S",
    "restriction": {"attributeExpression": "x", "scopes": SCOPES},
    "notifyConditions": [{"type": "ONCHANGE", "condValues": ["a", "b c"], "restriction": "x"}],
}
SUBSCRIPTION: dict[str, Any] = {
    **CHANGE,
    "entities": [
        {"id": "E 1/#", "type": "T", "isPattern": "false"},
        {"id": ".*", "type": "", "isPattern": "true"},
    ],
    "attributes": ["a", "b c"],
    "reference": "http://localhost:1/x",
}
UPDATE: dict[str, Any] = {**CHANGE, "subscriptionId": ID}
NOTIFICATION: dict[str, Any] = {
    "subscriptionId": ID,
    "originator": "localhost",
    "contextResponses": [
        {
            "contextElement": {
                "type": "T",
                "isPattern": "false",
                "id": "E",
                "attributes": [
                    {
                        "name": "a",
                        "type": "T",
                        "value": {"b": ["1", "2"]},
                        "metadatas": [{"name": "m", "type": "T", "value": "1"}],
                    }
                ],
            },
            "statusCode": {"code": "200", "reasonPhrase": "OK", "details": "x"},
        }
    ],
}
TEXTS = st.text(st.characters(codec="utf-8", max_codepoint=0x2FF), max_size=12) | st.sampled_from(
    ["", "true", "PT1S", "http://h", "near", "0", "a b"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False)
ANYTHING = st.recursive(
    SCALARS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS | st.sampled_from(sorted(SUBSCRIPTION)), inner, max_size=3)
    ),
    max_leaves=8,
)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Each container of a document with each of its keys or positions."""
    if isinstance(document, dict):
        pairs: list[tuple[Any, Any]] = [(document, key) for key in document]
    elif isinstance(document, list):
        pairs = [(document, position) for position in range(len(document))]
    else:
        return []
    return [*pairs, *(place for holder, key in pairs for place in places(holder[key]))]


@st.composite
def spoilt(draw: st.DrawFn, document: dict[str, Any]) -> bytes:
    """The document with up to two of its members replaced, as a body."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, 2))):
        found = places(changed)
        holder, key = found[draw(st.integers(0, len(found) - 1))]
        holder[key] = draw(ANYTHING)
    return orjson.dumps(changed)


def check_record(subscription: Subscription) -> None:
    record = records.encode_subscription(subscription)
    restored = records.decode_stored_subscription([subscription.id], record)
    assert records.encode_subscription(restored) == record
    assert restored.entities == subscription.entities
    assert restored.delivery.attributes == subscription.delivery.attributes
    render_subscription(subscription, NOW)


@given(spoilt(SUBSCRIPTION), st.sampled_from([None, True, False]))
def test_subscriptions(body: bytes, has_type: bool | None) -> None:
    try:
        request = decode_subscription(body, has_type)
    except NgsiError:
        return
    check_record(make_subscription(request, ID, "/#", NOW))


@given(spoilt(UPDATE))
def test_updates(body: bytes) -> None:
    former = make_subscription(decode_subscription(orjson.dumps(SUBSCRIPTION)), ID, "/#", NOW)
    try:
        _, document = load_update(body)
        change = decode_update(document)
    except NgsiError:
        return
    check_record(change_subscription(former, change, "/", NOW))


@given(spoilt(NOTIFICATION))
def test_notifications(body: bytes) -> None:
    try:
        elements = decode_notification(body)
    except NgsiError:
        return
    assert all(element.update.id for element in elements)


@given(st.binary() | ANYTHING.map(orjson.dumps))
def test_any_body(body: bytes) -> None:
    for decode in (decode_subscription, load_update, decode_unsubscription, decode_notification):
        try:
            decode(body)
        except NgsiError:
            continue


def test_the_whole_documents_are_good() -> None:
    request = decode_subscription(orjson.dumps(SUBSCRIPTION))
    assert len(request.entities) == 2
    assert decode_update(load_update(orjson.dumps(UPDATE))[1]).restriction is not None
    assert len(decode_notification(orjson.dumps(NOTIFICATION))) == 1
