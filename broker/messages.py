"""An event and a subscription to the notification that goes out.

The standard body is encoded once per distinct shape of an event, however many subscriptions
ask for it; only the subscription's id differs. Custom notifications are filled from templates
one by one. Source: Orion API, sections "Notification Messages" and "Custom Notifications".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

import orjson

from _native.messages import Drafts, Plan, Shape
from _native.request import MalformedRequest
from broker.custom_message import fill_headers, fill_patch, fill_url
from broker.expression_context import build_context
from broker.mqtt import MqttMessage
from broker.notifier import Heading, Notification, Outcome
from broker.sender import Undelivered, locate
from ngsi.jexl import evaluate
from ngsi.macros import Macros
from ngsi.model import (
    ALTERATION_TYPE,
    DATE_CREATED,
    DATE_MODIFIED,
    NO_METADATA,
    Attribute,
    EntityEvent,
)
from ngsi.subscription import (
    AttrsFormat,
    CustomPayload,
    Delivery,
    HttpReceiver,
    PayloadKind,
    Subscription,
)
from ngsi.v1.fogflow import notifications as fogflow
from ngsi.v1.notifications import ENVELOPE as LEGACY_ENVELOPE
from ngsi.v1.notifications import render_notified
from ngsi.v2.render import (
    ALL,
    ENCODER,
    Representation,
    View,
    builtin_attribute,
    encode_entity,
    has_plain_text,
)

Message: TypeAlias = Notification | MqttMessage
OnResult: TypeAlias = Callable[[Any, Outcome], None]

# Receivers of Orion look at it; the version is that of the API spoken.
USER_AGENT: Final = "orion/4.7.0 rigel/0.1.0"

_JSON: Final = "application/json; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"
_CUSTOM_FORMAT: Final = "custom"
_REPRESENTATIONS: Final = {
    AttrsFormat.NORMALIZED: Representation.NORMALIZED,
    AttrsFormat.SIMPLIFIED_NORMALIZED: Representation.NORMALIZED,
    AttrsFormat.KEY_VALUES: Representation.KEY_VALUES,
    AttrsFormat.SIMPLIFIED_KEY_VALUES: Representation.KEY_VALUES,
    AttrsFormat.VALUES: Representation.VALUES,
    AttrsFormat.LEGACY: Representation.LEGACY,
    AttrsFormat.FOGFLOW: Representation.FOGFLOW,
}
# What stands around an entity, whose place is the second %b; the first is the subscription's id.
# Several entities stand there with commas between them, but for LEGACY.
_ENVELOPE: Final = b'{"subscriptionId":"%b","data":[%b]}'
_ENVELOPES: Final = {
    AttrsFormat.SIMPLIFIED_NORMALIZED: b"",
    AttrsFormat.SIMPLIFIED_KEY_VALUES: b"",
    AttrsFormat.LEGACY: LEGACY_ENVELOPE,
    AttrsFormat.FOGFLOW: fogflow.ENVELOPE,
}
_LEGACY: Final = Representation.LEGACY
_FOGFLOW: Final = Representation.FOGFLOW
_V1_FORMATS: Final = frozenset({AttrsFormat.LEGACY, AttrsFormat.FOGFLOW})
_ALWAYS_NOTIFIED: Final = frozenset({ALTERATION_TYPE, DATE_CREATED, DATE_MODIFIED})


PLANS_MAX: Final = 16_384
"""Deliveries whose plans are remembered, before they are made anew: some 5 MB."""

HEADINGS_MAX: Final = 4096
"""Beginnings of requests that are shared by the subscriptions with the same URL: some 6 MB. Plans
hold those that they used last, which may be as many as there are plans."""


@dataclass(slots=True, frozen=True)
class MessageRules:
    """What an operator says of notifications, and what follows from it for each delivery."""

    timeout_s: float  # for a receiver that gives none
    max_length: int  # of a text that macros filled, in characters
    allows_custom: bool = True  # False: templates and macros are left aside
    plans: dict[int, Plan] = field(init=False, repr=False, compare=False, default_factory=dict)
    _shapes: dict[tuple[View, bool], Shape] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    headings: dict[tuple[str, str, str, str, str], Heading] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def plan(self, delivery: Delivery) -> Plan:
        """What the notifications of a delivery have in common. A look-up, once it was made."""
        plan = self.plans.get(id(delivery))
        return plan or self._make_plan(delivery)  # it holds its delivery, so that ids are unique

    def _make_plan(self, delivery: Delivery) -> Plan:
        if len(self.plans) >= PLANS_MAX:
            self.plans.clear()
            self._shapes.clear()
        view = _view_all(delivery)
        shape = None
        if view is not None:
            key = (view, delivery.covered)
            shape = self._shapes.get(key)
            if shape is None:
                shape = self._shapes[key] = _make_shape(*key)
        receiver = delivery.receiver
        is_http = isinstance(receiver, HttpReceiver)
        timeout_ms = receiver.timeout_ms if isinstance(receiver, HttpReceiver) else 0
        plan = self.plans[id(delivery)] = Plan(
            delivery,
            shape,
            receiver.url if is_http and delivery.custom is None else None,
            delivery.custom is not None and self.allows_custom,
            "" if delivery.attrs_format in _V1_FORMATS else delivery.attrs_format.value,
            _ENVELOPES.get(delivery.attrs_format, _ENVELOPE),
            timeout_ms / 1000 if timeout_ms else self.timeout_s,
        )
        return plan


def _make_shape(view: View, covered: bool) -> Shape:
    is_normalized = view.representation is Representation.NORMALIZED
    return Shape(view, covered, has_plain_text(view), is_normalized)


class MessageFactory(Drafts):
    """Makes the notifications of one event; keeps the encoded bodies as long as it lives."""

    encoder = ENCODER

    # Of one that has to fill something in, or to show what changed.
    _context: dict[str, Any] | None = None
    _shapes: dict[tuple[View, bool], Shape] | None = None  # of what changed

    @property
    def correlator(self) -> str:
        """That of the request behind the event."""
        correlator: str = self._origin.correlator
        return correlator

    def passes(self, subscription: Subscription) -> bool:
        """Whether the subscription's jexlExpression, if it has one, is true."""
        jexl = subscription.condition.jexl
        return not jexl or evaluate(jexl, self._expression_context()) is True

    def make(self, subscription: Subscription, tenant: str) -> Message | None:
        """The notification for a triggered subscription.

        None if only changed attributes are wanted and none of them is among its attributes, or,
        in the format of NGSIv1, if no attribute is to be shown, of which Orion 3 tells nothing.
        Raises MacroError for a template that cannot be filled.
        """
        delivery = subscription.delivery
        plan = self._rules.plan(delivery)
        drafted = self.draft(plan, subscription.id, tenant)
        if drafted is not None:
            return drafted
        shape = plan.shape or self._shape_of_changes(delivery)
        if shape is None or (shape.view.representation is _LEGACY and not self.body(shape)):
            return None
        self._origin.notifications += 1
        macros = None
        if plan.has_macros:
            macros = Macros(dict(self._expression_context()), self._rules.max_length)
        content_type, attrs_format = _JSON, plan.attrs_format
        envelope = plan.envelope
        custom = delivery.custom
        if macros is None or custom is None or custom.kind is PayloadKind.STANDARD:
            body = self.body(shape)
        elif custom.kind is PayloadKind.NGSI:
            event = fill_patch(custom.template, self._event, macros)
            body = _encode(event, shape.view)
        else:
            body, content_type = _fill_payload(custom, macros)
            attrs_format = _CUSTOM_FORMAT
            envelope = b""
        if envelope:
            body = envelope % (subscription.id.encode(), body)
        order_key = (subscription.id, self._event.entity.id)
        receiver = delivery.receiver
        if not isinstance(receiver, HttpReceiver):
            topic = receiver.topic if macros is None else macros.fill_text(receiver.topic, "")
            return MqttMessage(
                subscription.id,
                tenant,
                receiver.url,
                topic,
                body,
                receiver.qos,
                receiver.retain,
                receiver.user,
                receiver.password,
                order_key,
                self._on_result,
            )
        headers = self._make_headers(content_type, attrs_format)
        url = receiver.url
        method = "POST"
        if macros is not None:
            url = fill_url(receiver, macros)
            headers = fill_headers(headers, receiver, macros)
            method = receiver.method or method
        return Notification(
            subscription_id=subscription.id,
            tenant=tenant,
            url=url,
            method=method,
            headers=headers,
            body=body,
            timeout_s=plan.timeout_s,
            order_key=order_key,
            on_result=self._on_result,
        )

    def show_together(self, subscription: Subscription, others: Iterable[EntityEvent]) -> None:
        """Have the notification for a subscription show the entities of other events, too."""
        shape = self._rules.plan(subscription.delivery).shape
        assert shape is not None
        bodies = [self.body(shape), *(_encode(event, shape.view) for event in others)]
        self.use_body(shape, b",".join(bodies))

    def _expression_context(self) -> dict[str, Any]:
        if self._context is None:
            self._context = build_context(self._event, self._origin)
        return self._context

    def _shape_of_changes(self, delivery: Delivery) -> Shape | None:
        """Only what changed; None if nothing of it is wanted."""
        attributes = _changed_attributes(delivery, self._event)
        if not attributes:
            return None
        view = View(_REPRESENTATIONS[delivery.attrs_format], attributes, delivery.metadata)
        key = (view, delivery.covered)
        if self._shapes is None:
            self._shapes = {}
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = _make_shape(*key)
        return shape

    def encode(self, shape: Shape) -> bytes:
        """The body for a shape, without its envelope."""
        event = self._event
        if shape.covered:
            event = _cover(event, shape.view.attributes)
        return _encode(event, shape.view)

    def make_heading(self, plan: Plan) -> Heading | None:
        """What the requests of a plan begin with, None if HTTP does not allow it."""
        origin = self._origin
        service, path = origin.service_header, self._event.entity.service_path
        url, token = plan.url, origin.auth_token
        assert url is not None
        rules: MessageRules = self._rules
        headings = rules.headings
        key = (url, service, path, token, plan.attrs_format)
        heading = headings.get(key)
        if heading is not None:
            return heading
        try:
            heading = Heading(
                locate(url), "POST", USER_AGENT, service, path, token, _JSON, plan.attrs_format
            )
        except (Undelivered, MalformedRequest):
            return None  # it is the outcome of each notification
        if len(headings) >= HEADINGS_MAX:
            headings.clear()
        headings[key] = heading
        return heading

    def _make_headers(self, content_type: str, attrs_format: str) -> dict[str, str]:
        origin = self._origin
        headers = {"User-Agent": USER_AGENT}
        if origin.service_header:
            headers["Fiware-Service"] = origin.service_header
        headers["Fiware-ServicePath"] = self._event.entity.service_path
        if origin.auth_token:
            headers["X-Auth-Token"] = origin.auth_token
        headers["Accept"] = "application/json"
        if content_type:
            headers["Content-Type"] = content_type
        headers["Fiware-Correlator"] = f"{origin.correlator}; cbnotif={origin.notifications}"
        if attrs_format:
            headers["Ngsiv2-AttrsFormat"] = attrs_format
        return headers


def _view_all(delivery: Delivery) -> View | None:
    """What is shown whatever changed; None if it depends on that."""
    if delivery.only_changed:
        return None
    representation = _REPRESENTATIONS[delivery.attrs_format]
    if delivery.except_attributes:
        return View(representation, (), delivery.metadata, frozenset(delivery.attributes))
    return View(representation, delivery.attributes, delivery.metadata)


def _encode(event: EntityEvent, view: View) -> bytes:
    if view.representation is _LEGACY:
        element = render_notified(event, view)
        return b"" if element is None else orjson.dumps(element)
    if view.representation is _FOGFLOW:
        return orjson.dumps(fogflow.render_notified(event, view))
    return encode_entity(event.entity, view, event)


def _fill_payload(custom: CustomPayload, macros: Macros) -> tuple[bytes, str]:
    if custom.kind is PayloadKind.JSON:
        return orjson.dumps(macros.fill_value(custom.template)), _JSON
    if custom.template is None:
        return b"", ""
    return unquote_to_bytes(macros.fill_text(custom.template, "null")), _TEXT


def _changed_attributes(delivery: Delivery, event: EntityEvent) -> tuple[str, ...]:
    wanted = delivery.attributes
    if delivery.except_attributes or not wanted or ALL in wanted:
        # In the entity's order; a removed one is not shown, but is a change to tell.
        names = [name for name in event.attributes if name in event.updated]
        names.extend(event.updated.difference(event.attributes))
        if delivery.except_attributes:
            return tuple(name for name in names if name not in wanted)
        return (*names, *(name for name in wanted if name in _ALWAYS_NOTIFIED))
    return tuple(name for name in wanted if name in event.updated or name in _ALWAYS_NOTIFIED)


def _cover(event: EntityEvent, attributes: tuple[str, ...]) -> EntityEvent:
    """The event with null attributes for those that the entity does not have."""
    covered = dict(event.attributes)
    for name in attributes:
        is_missing = name not in covered and name != ALL
        if is_missing and builtin_attribute(event.entity, name, event) is None:
            covered[name] = Attribute("None", None, NO_METADATA, 0.0, 0.0)
    return event.with_attributes(covered)
