"""The subscription operations in FogFlow's spelling to `ngsi.subscription` and back.

subscribeContext is `{"entities", "attributes", "reference", "restriction", "notifyConditions",
"duration", "throttling"}`. As in FogFlow the subscription is about entities that have all the
attributes, every update of them is notified, whether it changes something or not, and without a
duration it never ends. Conditions of type ONCHANGE leave it to changes, of the attributes of
their condValueList.
Source: FogFlow, common/ngsi and broker; NGSI-10 1.0, SubscribeContextRequest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from ngsi.errors import BadRequest, NotImplementedByBroker
from ngsi.instants import LAST_INSTANT
from ngsi.model import AlterationType
from ngsi.subscription import AttrsFormat, Condition, Delivery, HttpReceiver, Subscription
from ngsi.v1.durations import Duration, parse_duration
from ngsi.v1.fogflow.document import (
    load_request,
    read_object,
    read_objects,
    read_text,
    read_texts,
    render_status,
)
from ngsi.v1.fogflow.queries import ContextQuery, decode_selectors, render_selector
from ngsi.v1.fogflow.restrictions import decode_scopes, render_scopes
from ngsi.v1.status import StatusCode
from ngsi.v1.subscriptions import check_reference

NOTIFY: Final = "/notifyContext"  # below a reference
_ON_CHANGE: Final = "ONCHANGE"
_ALTERATIONS: Final = (AlterationType.CREATE, AlterationType.UPDATE, AlterationType.DELETE)
_CHANGES: Final = (AlterationType.CREATE, AlterationType.CHANGE, AlterationType.DELETE)
# The header Destination. An Orion broker takes notifications of NGSIv2.
_NGSI_V2: Final = frozenset({"ngsiv2", "orion-broker"})
_NGSI_LD: Final = "ngsi-ld"


@dataclass(slots=True, frozen=True)
class SubscriptionRequest:
    """What subscribeContext asks for. `changes` None: of every update; empty: of every change."""

    query: ContextQuery
    reference: str
    changes: tuple[str, ...] | None
    duration: Duration | None
    throttling: Duration | None


@dataclass(slots=True, frozen=True)
class Subscriber:
    """What the header of subscribeContext says: Destination, Require-Reliability and
    Fiware-Correlator, "" where there is none."""

    destination: str = ""
    is_reliable: bool = False
    correlator: str = ""


def decode_subscription(body: bytes) -> SubscriptionRequest:
    """The body of subscribeContext; raises ParseError and BadRequest."""
    document = load_request(body)
    attributes = read_texts(document, "attributes")
    return SubscriptionRequest(
        ContextQuery(
            decode_selectors(document),
            attributes,
            decode_scopes(read_object(document, "restriction"), attributes),
        ),
        check_reference(read_text(document, "reference")),
        _decode_conditions(document),
        _read_duration(document, "duration"),
        _read_duration(document, "throttling"),
    )


def _decode_conditions(document: dict[str, Any]) -> tuple[str, ...] | None:
    conditions = read_objects(document, "notifyConditions")
    if not conditions:
        return None
    names: tuple[str, ...] = ()
    for condition in conditions:
        kind = read_text(condition, "type")
        if kind.upper() != _ON_CHANGE:
            raise BadRequest(f"invalid notify condition type: /{kind}/")
        names += read_texts(condition, "condValueList") or read_texts(condition, "condValues")
    return tuple(dict.fromkeys(names))


def _read_duration(document: dict[str, Any], field: str) -> Duration | None:
    text = read_text(document, field)
    duration = parse_duration(text) if text else None
    if text and duration is None:
        raise BadRequest(f"syntax error in {field} string")
    return duration


def decode_unsubscription(body: bytes) -> str:
    """The subscriptionId of unsubscribeContext; raises ParseError."""
    return read_text(load_request(body), "subscriptionId")


def make_subscription(
    request: SubscriptionRequest,
    subscriber: Subscriber,
    subscription_id: str,
    service_path: str,
    now: float,
) -> Subscription:
    """The subscription of subscribeContext; `now` is in seconds since 1970.

    Raises NotImplementedByBroker for a destination that takes a format of another standard.
    """
    query, restriction = request.query, request.query.scopes.restriction
    destination = subscriber.destination.lower()
    if destination == _NGSI_LD:
        raise NotImplementedByBroker("Destination NGSI-LD is not supported: NGSIv1 or NGSIv2")
    url, attrs_format = request.reference, AttrsFormat.NORMALIZED
    if destination not in _NGSI_V2:
        url, attrs_format = f"{url.rstrip('/')}{NOTIFY}", AttrsFormat.FOGFLOW
    subscription = Subscription(
        subscription_id,
        service_path,
        query.selectors,
        Condition(
            request.changes or (),
            restriction.q,
            restriction.mq,
            restriction.geo,
            _ALTERATIONS if request.changes is None else _CHANGES,
        ),
        Delivery(
            HttpReceiver(url),
            attributes=query.attributes,
            attrs_format=attrs_format,
            durable=subscriber.is_reliable,
        ),
        originator=subscriber.correlator,
    )
    if request.duration is not None:
        subscription.expires = min(now + request.duration.seconds, LAST_INSTANT)
    if request.throttling is not None:
        subscription.throttling_s = request.throttling.seconds
    return subscription


def render_subscribed(
    subscription_id: str, duration: Duration | None = None, throttling: Duration | None = None
) -> dict[str, Any]:
    """The answer of subscribeContext."""
    response = {"subscriptionId": subscription_id}
    if duration is not None:
        response["duration"] = duration.text
    if throttling is not None:
        response["throttling"] = throttling.text
    return {
        "subscribeResponse": response,
        "subscribeError": {"subscriptionId": subscription_id, "errorCode": {"code": 0}},
    }


def render_unsubscribed(subscription_id: str, status: StatusCode) -> dict[str, Any]:
    """The answer of unsubscribeContext."""
    return {"subscriptionId": subscription_id, "statusCode": render_status(status)}


def render_subscription(subscription: Subscription, now: float) -> dict[str, Any]:
    """A subscription as subscribeContext would make it, whichever operation did."""
    condition, delivery = subscription.condition, subscription.delivery
    document: dict[str, Any] = {
        "entities": [render_selector(selector) for selector in subscription.entities],
        "reference": _render_reference(delivery),
    }
    if delivery.attributes and not delivery.except_attributes:
        document["attributes"] = list(delivery.attributes)
    scopes = render_scopes(condition.geo, condition.q, condition.mq)
    if scopes:
        document["restriction"] = {"scopes": scopes}
    if AlterationType.UPDATE not in condition.alteration_types:
        names = list(condition.attributes)
        document["notifyConditions"] = [{"type": _ON_CHANGE, "condValueList": names}]
    if subscription.expires is not None:
        document["duration"] = f"PT{max(0, math.ceil(subscription.expires - now))}S"
    if subscription.throttling_s:
        document["throttling"] = f"PT{subscription.throttling_s:g}S"
    document["Subscriber"] = {
        "IsInternal": False,
        "RequireReliability": delivery.durable,
        "DestinationType": _render_destination(delivery),
        "Correlator": subscription.originator,
    }
    return document


def _render_reference(delivery: Delivery) -> str:
    url = delivery.receiver.url
    return url.removesuffix(NOTIFY) if delivery.attrs_format is AttrsFormat.FOGFLOW else url


def _render_destination(delivery: Delivery) -> str:
    if delivery.attrs_format in (AttrsFormat.FOGFLOW, AttrsFormat.LEGACY):
        return ""
    return "NGSIv2"
