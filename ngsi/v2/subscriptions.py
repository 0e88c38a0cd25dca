"""Subscription documents of NGSIv2 to `ngsi.subscription` and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ngsi.errors import BadRequest
from ngsi.instants import format_instant
from ngsi.model import AlterationType, EntitySelector
from ngsi.subscription import (
    AttrsFormat,
    Condition,
    Delivery,
    MqttReceiver,
    Subscription,
    SubscriptionStatus,
)
from ngsi.v2.fields import (
    read_boolean,
    read_description,
    read_expires,
    read_expression,
    read_integer,
    read_names,
    read_selectors,
    read_string,
    render_selector,
)
from ngsi.v2.receivers import decode_receiver, render_receiver


def decode_subscription(
    document: dict[str, Any], subscription_id: str, service_path: str, lenient: bool = False
) -> Subscription:
    """The subscription of POST /v2/subscriptions; `lenient` is as in `read_selectors`."""
    if not document:
        raise BadRequest("empty payload")
    description = read_description(document)
    if "subject" not in document:
        raise BadRequest("no subject for subscription specified")
    entities, condition = _decode_subject(document["subject"], lenient)
    if "notification" not in document:
        raise BadRequest("no notification for subscription specified")
    delivery = decode_delivery(document["notification"], lenient=lenient)
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
    changed = replace(subscription)
    _decode_description(document, changed)
    if "subject" in document:
        changed.entities, changed.condition = _decode_subject(document["subject"])
    if "notification" in document:
        changed.delivery = decode_delivery(document["notification"], subscription.delivery)
    _decode_lifetime(document, changed)
    if service_path is not None:
        changed.service_path = service_path
    return changed


def decode_rest(document: dict[str, Any], subscription: Subscription) -> None:
    """Take over what a document says beside `subject` and `notification`."""
    _decode_description(document, subscription)
    _decode_lifetime(document, subscription)


def _decode_description(document: dict[str, Any], subscription: Subscription) -> None:
    description = read_description(document)
    if description is not None:
        subscription.description = description


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


def _decode_subject(
    document: Any, lenient: bool = False
) -> tuple[tuple[EntitySelector, ...], Condition]:
    if type(document) is not dict:
        raise BadRequest("subject is not an object")
    if "entities" not in document:
        raise BadRequest("no subject entities specified")
    entities = decode_entities(document["entities"], lenient)
    condition = Condition()
    if "condition" in document:
        condition = decode_condition(document["condition"], lenient)
    return entities, condition


def decode_entities(document: Any, lenient: bool = False) -> tuple[EntitySelector, ...]:
    """The `subject.entities` of a subscription."""
    entities = read_selectors(document, lenient)
    if not entities:
        raise BadRequest("subject entities is empty")
    return entities


def decode_condition(document: Any, lenient: bool = False) -> Condition:
    """The `subject.condition` of a subscription."""
    if type(document) is not dict:
        raise BadRequest("condition is not an object")
    if not document:
        raise BadRequest("condition is empty")
    attributes = read_names(document, "attrs", lenient) if "attrs" in document else ()
    jexl = ""
    if "jexlExpression" in document:
        jexl = document["jexlExpression"]
        if type(jexl) is not str:
            raise BadRequest("jexlExpression is not a string")
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
    return Condition(
        attributes, q, mq, geo, tuple(alteration_types), notify_on_metadata_change, jexl
    )


def decode_delivery(
    document: Any, former: Delivery | None = None, lenient: bool = False
) -> Delivery:
    """The `notification` of a subscription; some of what it leaves out is as in `former`."""
    if type(document) is not dict:
        raise BadRequest("notification is not an object")
    receiver, custom = decode_receiver(document)
    if "attrs" in document and "exceptAttrs" in document:
        raise BadRequest("http notification has attrs and exceptAttrs")
    attributes: tuple[str, ...] = ()
    if "attrs" in document:
        attributes = read_names(document, "attrs", lenient)
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
    # Without attributes to cover it has no meaning, whatever the subscription had before.
    covered = covered and bool(attributes)
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
    durable = read_boolean(document, "durable", default=former is not None and former.durable)
    if durable and isinstance(receiver, MqttReceiver) and receiver.qos == 0:
        raise BadRequest("durable true cannot be used with mqtt qos 0, which has no receipt")
    max_fails_limit = read_integer(document, "maxFailsLimit")
    if max_fails_limit is not None and max_fails_limit <= 0:
        raise BadRequest("maxFailsLimit must be greater than zero")
    return Delivery(
        receiver,
        custom,
        attributes,
        "exceptAttrs" in document,
        metadata,
        attrs_format,
        only_changed,
        covered,
        max_fails_limit,
        durable,
    )


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
    if condition.jexl:
        document["jexlExpression"] = condition.jexl
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
    document |= render_receiver(delivery.receiver, delivery.custom, secret=counted)
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
    if delivery.durable:
        document["durable"] = True
    if counted and subscription.pending:
        document["pending"] = subscription.pending
    if counted and counters.discarded:
        document["discarded"] = counters.discarded
    return document


def _format_second(seconds: float) -> str:
    """Orion keeps these times in whole seconds, and clients compare them so."""
    return format_instant(int(seconds))
