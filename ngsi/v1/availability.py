"""Discovery and availability subscriptions of NGSIv1, as Orion spells them and as FogFlow does.

FogFlow has codes that are numbers, a code beside each registration, and `subscribeId` for the id
of a subscription. Source: Orion 3.4 and, for subscriptions, FI-WARE NGSI-9; FogFlow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from ngsi.availability import (
    AvailabilityChange,
    AvailabilityQuery,
    AvailabilitySubscription,
    Spelling,
)
from ngsi.errors import BadRequest
from ngsi.model import EntitySelector
from ngsi.registration import ContextRegistration
from ngsi.urls import parse_url
from ngsi.v1.document import SCOPE_VALUE, TEXT, load_document
from ngsi.v1.elements import read_is_pattern
from ngsi.v1.queries import ENTITY_FIELDS, decode_names
from ngsi.v1.registrations import (
    DEFAULT_DURATION,
    FOGFLOW_ENTITY_FIELDS,
    check_id,
    read_duration,
    read_selector,
)
from ngsi.v1.restrictions import RESTRICTION_FIELDS, decode_restriction
from ngsi.v1.status import CONTEXT_ELEMENT_NOT_FOUND, OK, StatusCode

_QUERY_FIELDS: Final[dict[Spelling, dict[str, Any]]] = {
    Spelling.ORION: {
        "entities": [ENTITY_FIELDS],
        "attributes": [TEXT],
        "restriction": RESTRICTION_FIELDS,
    },
    Spelling.FOGFLOW: {
        "entities": [FOGFLOW_ENTITY_FIELDS],
        "attributes": [TEXT],
        "restriction": SCOPE_VALUE,
        "msgFormat": TEXT,
    },
}
_SUBSCRIPTION_FIELDS: Final = {
    spelling: {
        **fields,
        "reference": TEXT,
        "duration": TEXT,
        "subscriptionId": TEXT,
        "FiwareService": TEXT,
    }
    for spelling, fields in _QUERY_FIELDS.items()
}
# FogFlow's codes of notifications; Orion's spelling has the last one only.
_CODES: Final = {
    AvailabilityChange.CREATED: 201,
    AvailabilityChange.CHANGED: 301,
    AvailabilityChange.GONE: 410,
}
_GONE: Final = StatusCode(410)


class Lifetime(NamedTuple):
    """A duration as it was given, and in seconds."""

    duration: str
    seconds: int


class SubscriptionRequest(NamedTuple):
    """What is to be subscribed."""

    query: AvailabilityQuery
    reference: str
    lifetime: Lifetime


class SubscriptionUpdate(NamedTuple):
    """What is to become of a subscription; None stays as it is."""

    subscription_id: str
    query: AvailabilityQuery | None
    reference: str | None
    lifetime: Lifetime


def decode_discovery(body: bytes, spelling: Spelling = Spelling.ORION) -> AvailabilityQuery:
    """The body of discoverContextAvailability; raises BadRequest. No selectors mean nothing."""
    return _decode_query(load_document(body, _QUERY_FIELDS[spelling]), spelling)


def decode_availability_subscription(
    body: bytes, spelling: Spelling = Spelling.ORION
) -> SubscriptionRequest:
    """The body of subscribeContextAvailability; raises BadRequest."""
    document = load_document(body, _SUBSCRIPTION_FIELDS[spelling])
    query = _decode_query(document, spelling)
    if not query.selectors:
        raise BadRequest("empty entityId vector")
    reference = _read_reference(document)
    if reference is None:
        raise BadRequest("Empty Reference")
    return SubscriptionRequest(query, reference, _read_lifetime(document))


def decode_availability_update(
    body: bytes, spelling: Spelling = Spelling.ORION
) -> SubscriptionUpdate:
    """The body of updateContextAvailabilitySubscription; raises BadRequest."""
    document = load_document(body, _SUBSCRIPTION_FIELDS[spelling])
    subscription_id = check_id(document.get("subscriptionId", ""), spelling)
    query = _decode_query(document, spelling)
    return SubscriptionUpdate(
        subscription_id,
        query if query.selectors else None,
        _read_reference(document),
        _read_lifetime(document),
    )


def decode_availability_end(body: bytes, spelling: Spelling = Spelling.ORION) -> str:
    """The id in the body of unsubscribeContextAvailability; raises BadRequest."""
    document = load_document(body, {"subscriptionId": TEXT})
    return check_id(document.get("subscriptionId", ""), spelling)


def _read_lifetime(document: dict[str, Any]) -> Lifetime:
    return Lifetime(*read_duration(document, DEFAULT_DURATION))


def _read_reference(document: dict[str, Any]) -> str | None:
    text: str = document.get("reference", "")
    if not text:
        return None
    url = parse_url(text)
    if url is None or url.scheme not in ("http", "https"):
        raise BadRequest("Invalid URL")
    return text


def _decode_query(document: dict[str, Any], spelling: Spelling) -> AvailabilityQuery:
    selectors = tuple(
        read_selector(item, read_is_pattern(item)) for item in document.get("entities", ())
    )
    if spelling is Spelling.ORION:
        # It is checked, and says nothing: registrations have no attributes' values.
        decode_restriction(document.get("restriction"))
    return AvailabilityQuery(selectors, decode_names(document.get("attributes", ())))


def render_discovery(
    parts: Iterable[ContextRegistration], status: StatusCode | None, spelling: Spelling
) -> dict[str, Any]:
    """The answer of discoverContextAvailability; `status` is None where nothing is to be said."""
    document: dict[str, Any] = {}
    responses = render_responses(parts, spelling, StatusCode(OK))
    if responses:
        document["contextRegistrationResponses"] = responses
    elif spelling is Spelling.ORION:
        status = status or StatusCode(CONTEXT_ELEMENT_NOT_FOUND)
    if spelling is Spelling.FOGFLOW:
        document["errorCode"] = render_status(StatusCode(OK), spelling)
    elif status is not None:
        document["errorCode"] = render_status(status, spelling)
    return document


def render_notification(
    subscription: AvailabilitySubscription,
    change: AvailabilityChange,
    parts: Iterable[ContextRegistration],
) -> bytes:
    """The body of notifyContextAvailability."""
    if subscription.spelling is Spelling.FOGFLOW:
        status = {"code": _CODES[change], "reasonPhrase": "OK"}
        return orjson.dumps(
            {
                "subscribeId": subscription.id,
                "contextRegistrationResponses": render_responses(
                    parts, Spelling.FOGFLOW, StatusCode(OK)
                ),
                "errorCode": status,
            }
        )
    gone = _GONE if change is AvailabilityChange.GONE else None
    return orjson.dumps(
        {
            "subscriptionId": subscription.id,
            "contextRegistrationResponses": render_responses(parts, Spelling.ORION, gone),
        }
    )


def render_responses(
    parts: Iterable[ContextRegistration], spelling: Spelling, status: StatusCode | None
) -> list[dict[str, Any]]:
    """The field contextRegistrationResponses.

    Orion gives a status only where there is something to say, FogFlow always.
    """
    responses = []
    for part in parts:
        response: dict[str, Any] = {"contextRegistration": _render_part(part, spelling)}
        if status is not None and (spelling is Spelling.FOGFLOW or status.code != OK):
            response["errorCode"] = render_status(status, spelling)
        responses.append(response)
    return responses


def render_status(status: StatusCode, spelling: Spelling) -> dict[str, Any]:
    """A status code; FogFlow has numbers."""
    document: dict[str, Any] = status.render()
    if spelling is Spelling.FOGFLOW:
        document["code"] = status.code
    return document


def _render_part(part: ContextRegistration, spelling: Spelling) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if part.entities:
        document["entities"] = [_render_entity(selector, spelling) for selector in part.entities]
    if part.attributes:
        document["attributes"] = [
            {"name": name, "type": type_} for name, type_ in part.attributes.items()
        ]
        if spelling is Spelling.FOGFLOW:
            for attribute in document["attributes"]:
                attribute["isDomain"] = False
    document["providingApplication"] = part.provider.url
    return document


def _render_entity(selector: EntitySelector, spelling: Spelling) -> dict[str, Any]:
    """An entity id; NGSIv1 knows no patterns of types."""
    pattern = selector.id_pattern
    is_pattern = pattern is not None
    entity_id = (selector.id or "") if pattern is None else pattern.text
    if spelling is Spelling.ORION:
        return {
            "type": selector.type or "",
            "isPattern": "true" if is_pattern else "false",
            "id": entity_id,
        }
    document: dict[str, Any] = {"id": entity_id}
    if selector.type:
        document["type"] = selector.type
    if is_pattern:
        document["isPattern"] = True
    return document
