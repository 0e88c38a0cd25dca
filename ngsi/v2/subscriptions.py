"""Subscription documents of NGSIv2 to `ngsi.subscription` and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ngsi.errors import BadRequest, NotImplementedByBroker
from ngsi.instants import format_instant
from ngsi.model import AlterationType, EntitySelector
from ngsi.subscription import (
    AttrsFormat,
    Condition,
    Delivery,
    HttpReceiver,
    Subscription,
    SubscriptionStatus,
)
from ngsi.syntax import has_forbidden
from ngsi.urls import parse_url
from ngsi.v2.fields import (
    read_boolean,
    read_description,
    read_expires,
    read_expression,
    read_integer,
    read_mandatory_string,
    read_names,
    read_selectors,
    read_string,
    render_selector,
)

MAX_HTTP_TIMEOUT_MS = 1_800_000  # half an hour, as Orion
_RECEIVERS = ("http", "httpCustom", "mqtt", "mqttCustom", "kafka", "kafkaCustom")


def decode_subscription(
    document: dict[str, Any], subscription_id: str, service_path: str
) -> Subscription:
    """The subscription of POST /v2/subscriptions."""
    if not document:
        raise BadRequest("empty payload")
    description = read_description(document)
    if "subject" not in document:
        raise BadRequest("no subject for subscription specified")
    entities, condition = _decode_subject(document["subject"])
    if "notification" not in document:
        raise BadRequest("no notification for subscription specified")
    delivery = _decode_notification(document["notification"], None)
    subscription = Subscription(
        subscription_id, service_path, entities, condition, delivery, description or ""
    )
    _decode_lifetime(document, subscription)
    return subscription


def update_subscription(
    document: dict[str, Any], subscription: Subscription, service_path: str | None
) -> Subscription:
    """The subscription that PATCH makes of another: the parts given are replaced as wholes.

    Identity and counters are kept; `service_path` None keeps the service path.
    """
    if not document:
        raise BadRequest("empty payload")
    description = read_description(document)
    changed = replace(subscription)
    if description is not None:
        changed.description = description
    if "subject" in document:
        changed.entities, changed.condition = _decode_subject(document["subject"])
    if "notification" in document:
        changed.delivery = _decode_notification(document["notification"], subscription.delivery)
    _decode_lifetime(document, changed)
    if service_path is not None:
        changed.service_path = service_path
    return changed


def _decode_lifetime(document: dict[str, Any], subscription: Subscription) -> None:
    expires = read_string(document, "expires")
    if expires is not None:
        subscription.expires = read_expires(expires, "expires has an invalid format")
    status = read_string(document, "status")
    if status is not None:
        try:
            subscription.status = SubscriptionStatus(status)
        except ValueError:
            raise BadRequest(
                "status is not valid: it has to be either active, inactive or oneshot"
            ) from None
    throttling_s = read_integer(document, "throttling")
    if throttling_s is not None:
        subscription.throttling_s = throttling_s


def _decode_subject(document: Any) -> tuple[tuple[EntitySelector, ...], Condition]:
    if type(document) is not dict:
        raise BadRequest("subject is not an object")
    if "entities" not in document:
        raise BadRequest("no subject entities specified")
    entities = read_selectors(document["entities"])
    if not entities:
        raise BadRequest("subject entities is empty")
    condition = Condition()
    if "condition" in document:
        condition = _decode_condition(document["condition"])
    return entities, condition


def _decode_condition(document: Any) -> Condition:
    if type(document) is not dict:
        raise BadRequest("condition is not an object")
    if not document:
        raise BadRequest("condition is empty")
    attributes = read_names(document, "attrs") if "attrs" in document else ()
    if "jexlExpression" in document:
        if type(document["jexlExpression"]) is not str:
            raise BadRequest("jexlExpression is not a string")
        raise NotImplementedByBroker("jexlExpression is not supported")
    q = mq = geo = None
    if "expression" in document:
        q, mq, geo = read_expression(document["expression"])
    alteration_types = []
    if "alterationTypes" in document:
        for name in read_names(document, "alterationTypes"):
            try:
                alteration_types.append(AlterationType(name))
            except ValueError:
                raise BadRequest(f"unknown subscription alterationType: {name}") from None
    notify_on_metadata_change = read_boolean(document, "notifyOnMetadataChange", default=True)
    return Condition(attributes, q, mq, geo, tuple(alteration_types), notify_on_metadata_change)


def _decode_notification(document: Any, former: Delivery | None) -> Delivery:
    if type(document) is not dict:
        raise BadRequest("notification is not an object")
    given = [kind for kind in _RECEIVERS if kind in document]
    if len(given) > 1:
        raise BadRequest(
            "only one of http, httpCustom, mqtt, mqttCustom, kafka or kafkaCustom is allowed"
        )
    if not given:
        raise BadRequest("http, httpCustom, mqtt, mqttCustom, kafka or kafkaCustom is missing")
    if given[0] != "http":
        raise NotImplementedByBroker(f"{given[0]} notifications are not supported")
    receiver = _decode_http(document["http"])
    if "attrs" in document and "exceptAttrs" in document:
        raise BadRequest("http notification has attrs and exceptAttrs")
    attributes: tuple[str, ...] = ()
    if "attrs" in document:
        attributes = read_names(document, "attrs")
    elif "exceptAttrs" in document:
        attributes = read_names(document, "exceptAttrs")
        if not attributes:
            raise BadRequest("http notification has exceptAttrs is empty")
    only_changed = read_boolean(
        document, "onlyChangedAttrs", default=former is not None and former.only_changed
    )
    covered = read_boolean(document, "covered", default=former is not None and former.covered)
    if covered and not attributes and "covered" in document:
        raise BadRequest("covered true cannot be used if notification attributes list is empty")
    metadata = read_names(document, "metadata") if "metadata" in document else ()
    attrs_format = AttrsFormat.NORMALIZED
    text = read_string(document, "attrsFormat")
    if text is not None:
        try:
            attrs_format = AttrsFormat(text)
        except ValueError:
            raise BadRequest(
                "invalid attrsFormat, accepted values: normalized, simplifiedNormalized, "
                "keyValues, simplifiedkeyValues, values"
            ) from None
    max_fails_limit = read_integer(document, "maxFailsLimit")
    if max_fails_limit is not None and max_fails_limit <= 0:
        raise BadRequest("maxFailsLimit must be greater than zero")
    return Delivery(
        receiver,
        attributes,
        "exceptAttrs" in document,
        metadata,
        attrs_format,
        only_changed,
        covered,
        max_fails_limit,
    )


def _decode_http(document: Any) -> HttpReceiver:
    if type(document) is not dict:
        raise BadRequest("http notification is not an object")
    text = read_mandatory_string(document, "url", "url http notification")
    if has_forbidden(text):
        raise BadRequest("forbidden characters in http field /url/")
    timeout_ms = read_integer(document, "timeout") or 0
    if not 0 <= timeout_ms <= MAX_HTTP_TIMEOUT_MS:
        raise BadRequest(f"timeout field must be an integer between 0 and {MAX_HTTP_TIMEOUT_MS}")
    url = parse_url(text)
    if url is None:
        raise BadRequest("Invalid URL parsing notification url")
    if url.scheme == "mqtt":
        raise BadRequest("mqtt URL cannot be used in http notifications")
    return HttpReceiver(text, timeout_ms)


def render_subscription(subscription: Subscription, now: float | None) -> dict[str, Any]:
    """The document of a subscription.

    With `now` (seconds since 1970) as GET shows it; None leaves out what the broker adds, and
    so gives a document that `decode_subscription` takes.
    """
    document: dict[str, Any] = {}
    if now is not None:
        document["id"] = subscription.id
    if subscription.description:
        document["description"] = subscription.description
    if subscription.expires is not None:
        document["expires"] = format_instant(subscription.expires)
    expired = now is not None and subscription.is_expired(now)
    document["status"] = "expired" if expired else subscription.status.value
    document["subject"] = {
        "entities": [render_selector(selector) for selector in subscription.entities],
        "condition": _render_condition(subscription.condition),
    }
    document["notification"] = _render_notification(subscription, counted=now is not None)
    if subscription.throttling_s > 0:
        document["throttling"] = subscription.throttling_s
    return document


def _render_condition(condition: Condition) -> dict[str, Any]:
    document: dict[str, Any] = {"attrs": list(condition.attributes)}
    expression: dict[str, str] = {}
    if condition.q is not None:
        expression["q"] = condition.q.text
    if condition.mq is not None:
        expression["mq"] = condition.mq.text
    if condition.geo is not None:
        expression["geometry"] = condition.geo.geometry
        expression["coords"] = condition.geo.coords
        expression["georel"] = condition.geo.georel
    if expression:
        document["expression"] = expression
    if condition.alteration_types:
        document["alterationTypes"] = [kind.value for kind in condition.alteration_types]
    document["notifyOnMetadataChange"] = condition.notify_on_metadata_change
    return document


def _render_notification(subscription: Subscription, counted: bool) -> dict[str, Any]:
    delivery = subscription.delivery
    counters = subscription.counters
    document: dict[str, Any] = {}
    if counted:
        if counters.times_sent:
            document["timesSent"] = counters.times_sent
        if counters.last_notification is not None:
            document["lastNotification"] = _format_second(counters.last_notification)
    document["exceptAttrs" if delivery.except_attributes else "attrs"] = list(delivery.attributes)
    document["onlyChangedAttrs"] = delivery.only_changed
    document["attrsFormat"] = delivery.attrs_format.value
    http: dict[str, Any] = {"url": delivery.receiver.url}
    if delivery.receiver.timeout_ms:
        http["timeout"] = delivery.receiver.timeout_ms
    document["http"] = http
    if delivery.metadata:
        document["metadata"] = list(delivery.metadata)
    if counted:
        if counters.last_failure is not None:
            document["lastFailure"] = _format_second(counters.last_failure)
        if counters.last_failure_reason:
            document["lastFailureReason"] = counters.last_failure_reason
        if counters.last_success is not None:
            document["lastSuccess"] = _format_second(counters.last_success)
        if counters.last_success_code is not None:
            document["lastSuccessCode"] = counters.last_success_code
    if delivery.max_fails_limit is not None:
        document["maxFailsLimit"] = delivery.max_fails_limit
    if counted and counters.fails_counter:
        document["failsCounter"] = counters.fails_counter
    document["covered"] = delivery.covered
    return document


def _format_second(seconds: float) -> str:
    """Orion keeps these times in whole seconds, and clients compare them so."""
    return format_instant(int(seconds))
