"""The subscription operations of NGSI10 to `ngsi.subscription` and back.

subscribeContext makes a subscription that ends: after 24 hours if its duration is not given. Its
notifications are those of NGSIv1 (AttrsFormat.LEGACY). updateContextSubscription changes
duration, throttling, condition and restriction, and nothing else.
Source: Orion 3.4; NGSI-10 1.0, SubscribeContextRequest and UpdateContextSubscriptionRequest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from ngsi.errors import BadRequest
from ngsi.instants import LAST_INSTANT
from ngsi.model import EntitySelector
from ngsi.subscription import AttrsFormat, Condition, Delivery, HttpReceiver, Subscription
from ngsi.urls import parse_url
from ngsi.v1.document import TEXT, load_document
from ngsi.v1.durations import Duration, parse_duration
from ngsi.v1.queries import ENTITY_FIELDS, decode_selectors
from ngsi.v1.restrictions import RESTRICTION_FIELDS, Restriction, decode_restriction
from ngsi.v1.status import StatusCode

NO_ID: Final = "000000000000000000000000"
DEFAULT_DURATION: Final = Duration("PT24H", 24 * 3600)

_CONDITION_FIELDS: Final = {"type": TEXT, "condValues": [TEXT], "restriction": TEXT}
_CHANGE_FIELDS: Final = {
    "duration": TEXT,
    "restriction": RESTRICTION_FIELDS,
    "notifyConditions": [_CONDITION_FIELDS],
    "throttling": TEXT,
}
_SUBSCRIBE_FIELDS: Final = {
    **_CHANGE_FIELDS,
    "entities": [ENTITY_FIELDS],
    "attributes": [TEXT],
    "reference": TEXT,
}
_UPDATE_FIELDS: Final = {**_CHANGE_FIELDS, "subscriptionId": TEXT}
_UNSUBSCRIBE_FIELDS: Final = {"subscriptionId": TEXT}
_ON_CHANGE: Final = "ONCHANGE"
_ID_LENGTH: Final = 24
_ID_DIGITS: Final = re.compile(r"[0-9a-fA-F]*")


@dataclass(slots=True, frozen=True)
class SubscriptionChange:
    """What updateContextSubscription changes; None: that is kept.

    A condition that is given without a restriction takes away that of before.
    """

    condition: tuple[str, ...] | None = None  # attributes, none: any
    restriction: Restriction | None = None
    duration: Duration | None = None
    throttling: Duration | None = None


@dataclass(slots=True, frozen=True)
class SubscriptionRequest:
    """What subscribeContext asks for; no `attributes` means all."""

    entities: tuple[EntitySelector, ...]
    attributes: tuple[str, ...]
    reference: str
    change: SubscriptionChange


def decode_subscription(body: bytes, has_type: bool | None = None) -> SubscriptionRequest:
    """The body of subscribeContext; raises BadRequest. `has_type` as in Restriction."""
    document = load_document(body, _SUBSCRIBE_FIELDS)
    try:
        return _decode_request(document, has_type)
    except BadRequest as error:
        raise BadRequest(f"invalid payload: {error.description}") from None


def _decode_request(document: dict[str, Any], has_type: bool | None) -> SubscriptionRequest:
    change = _decode_change(document)
    if change.restriction is not None and change.restriction.has_type is not None:
        has_type = change.restriction.has_type
    selectors = decode_selectors(document.get("entities", ()), has_type)
    attributes = _read_names(document.get("attributes", ()))
    reference = check_reference(document.get("reference", ""))
    return SubscriptionRequest(tuple(dict.fromkeys(selectors)), attributes, reference, change)


def check_reference(url: str) -> str:
    """The URL that notifications go to; raises BadRequest."""
    if not url:
        raise BadRequest("Empty Reference")
    parsed = parse_url(url)
    if parsed is None or parsed.scheme not in ("http", "https"):
        raise BadRequest("Invalid URL")
    return url


def load_update(body: bytes) -> tuple[str, dict[str, Any]]:
    """The subscriptionId of updateContextSubscription, "" if there is none, and the document
    that `decode_update` takes; raises BadRequest for what is no such document."""
    document = load_document(body, _UPDATE_FIELDS)
    return document.get("subscriptionId", ""), document


def decode_update(document: dict[str, Any]) -> SubscriptionChange:
    """The document of updateContextSubscription; raises BadRequest."""
    check_subscription_id(document.get("subscriptionId", ""))
    return _decode_change(document)


def decode_unsubscription(body: bytes) -> str:
    """The subscriptionId of unsubscribeContext, "" if there is none; raises BadRequest."""
    subscription_id: str = load_document(body, _UNSUBSCRIBE_FIELDS).get("subscriptionId", "")
    try:
        check_subscription_id(subscription_id)
    except BadRequest as error:
        details = f"Invalid Subscription Id: /{subscription_id}/: {error.description}"
        raise BadRequest(details) from None
    return subscription_id


def check_subscription_id(subscription_id: str) -> None:
    """Raise BadRequest for what can be no id; "" stands for one that is not given."""
    if subscription_id and len(subscription_id) != _ID_LENGTH:
        raise BadRequest("bad length - 24 chars expected")
    if not _ID_DIGITS.fullmatch(subscription_id):
        raise BadRequest("invalid char in ID string")


def _decode_change(document: dict[str, Any]) -> SubscriptionChange:
    duration = _read_duration(document, "duration")
    restriction = None
    if "restriction" in document:
        restriction = decode_restriction(document["restriction"])
    conditions = document.get("notifyConditions")
    names: list[str] = []
    for condition in conditions or ():
        names += _decode_condition(condition)
    throttling = _read_duration(document, "throttling")
    return SubscriptionChange(
        tuple(dict.fromkeys(names)) if conditions else None, restriction, duration, throttling
    )


def _decode_condition(document: dict[str, Any]) -> tuple[str, ...]:
    kind = document.get("type", "")
    if not kind:
        raise BadRequest("empty type for NotifyCondition")
    if kind.upper() != _ON_CHANGE:
        raise BadRequest(f"invalid notify condition type: /{kind}/")
    return _read_names(document.get("condValues", ()))


def _read_names(names: Iterable[str]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(names))
    if "" in unique:
        raise BadRequest("empty string")
    return unique


def _read_duration(document: dict[str, Any], field: str) -> Duration | None:
    text = document.get(field, "")
    if not text:
        return None
    duration = parse_duration(text)
    if duration is None:
        raise BadRequest(f"syntax error in {field} string")
    return duration


def make_subscription(
    request: SubscriptionRequest, subscription_id: str, service_path: str, now: float
) -> Subscription:
    """The subscription of subscribeContext; `now` is in seconds since 1970."""
    delivery = Delivery(HttpReceiver(request.reference), attributes=request.attributes)
    subscription = Subscription(
        subscription_id,
        service_path,
        request.entities,
        Condition(),
        delivery,
        expires=_end(DEFAULT_DURATION, now),
    )
    return change_subscription(subscription, request.change, service_path, now)


def change_subscription(
    former: Subscription, change: SubscriptionChange, service_path: str, now: float
) -> Subscription:
    """The subscription that updateContextSubscription makes of another.

    As in Orion, it is one of the request's service path from then on, and its notifications are
    those of NGSIv1.
    """
    delivery = replace(former.delivery, attrs_format=AttrsFormat.LEGACY)
    condition, restriction = former.condition, change.restriction
    if change.condition is not None:
        condition = replace(condition, attributes=change.condition, q=None, mq=None, geo=None)
    if restriction is not None:
        condition = replace(condition, q=restriction.q, mq=restriction.mq, geo=restriction.geo)
    changed = replace(former, service_path=service_path, condition=condition, delivery=delivery)
    if change.duration is not None:
        changed.expires = _end(change.duration, now)
    if change.throttling is not None:
        changed.throttling_s = change.throttling.seconds
    return changed


def _end(duration: Duration, now: float) -> float:
    return min(now + duration.seconds, LAST_INSTANT)


def render_subscribed(
    subscription_id: str, duration: Duration | None, throttling: Duration | None
) -> dict[str, Any]:
    """The answer of subscribeContext and updateContextSubscription."""
    document = {"subscriptionId": subscription_id}
    if duration is not None:
        document["duration"] = duration.text
    if throttling is not None:
        document["throttling"] = throttling.text
    return {"subscribeResponse": document}


def render_subscribe_error(status: StatusCode, subscription_id: str = "") -> dict[str, Any]:
    """The answer of these operations if they failed."""
    document: dict[str, Any] = {"errorCode": status.render()}
    if subscription_id:
        document = {"subscriptionId": subscription_id, **document}
    return {"subscribeError": document}


def render_unsubscribed(subscription_id: str, status: StatusCode) -> dict[str, Any]:
    """The answer of unsubscribeContext."""
    return {"subscriptionId": subscription_id or NO_ID, "statusCode": status.render()}
