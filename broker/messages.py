"""An event and a subscription to the notification that goes out.

The body is encoded once per distinct shape of an event, however many subscriptions ask for
it; only the subscription's id differs. Source: Orion API, section "Notification Messages".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import orjson

from broker.notifier import Notification, Outcome
from broker.origin import Origin
from ngsi.model import (
    ALTERATION_TYPE,
    DATE_CREATED,
    DATE_MODIFIED,
    NO_METADATA,
    Attribute,
    EntityEvent,
)
from ngsi.subscription import AttrsFormat, Delivery, Subscription
from ngsi.v2.render import ALL, Representation, View, render_entity

OnResult: TypeAlias = Callable[[Notification, Outcome], None]

# Receivers of Orion look at it; the version is that of the API spoken.
USER_AGENT: Final = "orion/4.7.0 rigel/0.1.0"

_REPRESENTATIONS: Final = {
    AttrsFormat.NORMALIZED: Representation.NORMALIZED,
    AttrsFormat.SIMPLIFIED_NORMALIZED: Representation.NORMALIZED,
    AttrsFormat.KEY_VALUES: Representation.KEY_VALUES,
    AttrsFormat.SIMPLIFIED_KEY_VALUES: Representation.KEY_VALUES,
    AttrsFormat.VALUES: Representation.VALUES,
}
_SIMPLIFIED: Final = frozenset(
    {AttrsFormat.SIMPLIFIED_NORMALIZED, AttrsFormat.SIMPLIFIED_KEY_VALUES}
)
_ALWAYS_NOTIFIED: Final = frozenset({ALTERATION_TYPE, DATE_CREATED, DATE_MODIFIED})


class MessageFactory:
    """Makes the notifications of one event; keeps the encoded bodies as long as it lives."""

    def __init__(
        self, event: EntityEvent, origin: Origin, default_timeout_s: float, on_result: OnResult
    ) -> None:
        self._event = event
        self._origin = origin
        self._default_timeout_s = default_timeout_s
        self._on_result = on_result
        self._bodies: dict[tuple[Any, ...], bytes] = {}

    def make(self, subscription: Subscription, tenant: str) -> Notification | None:
        """The notification for a triggered subscription.

        None if only changed attributes are wanted and none of them is among its attributes.
        """
        event = self._event
        delivery = subscription.delivery
        attributes: tuple[str, ...] = ()
        excluded: frozenset[str] = frozenset()
        if delivery.only_changed:
            attributes = _changed_attributes(delivery, event)
            if not attributes:
                return None
        elif delivery.except_attributes:
            excluded = frozenset(delivery.attributes)
        else:
            attributes = delivery.attributes
        body = self._encode(delivery, attributes, excluded)
        if delivery.attrs_format not in _SIMPLIFIED:
            body = b'{"subscriptionId":"%b","data":[%b]}' % (subscription.id.encode(), body)
        origin = self._origin
        origin.notifications += 1
        headers = {"User-Agent": USER_AGENT}
        if origin.service_header:
            headers["Fiware-Service"] = origin.service_header
        headers["Fiware-ServicePath"] = event.entity.service_path
        if origin.auth_token:
            headers["X-Auth-Token"] = origin.auth_token
        headers["Accept"] = "application/json"
        headers["Content-Type"] = "application/json; charset=utf-8"
        headers["Fiware-Correlator"] = f"{origin.correlator}; cbnotif={origin.notifications}"
        headers["Ngsiv2-AttrsFormat"] = delivery.attrs_format.value
        timeout_ms = delivery.receiver.timeout_ms
        return Notification(
            subscription_id=subscription.id,
            tenant=tenant,
            url=delivery.receiver.url,
            method="POST",
            headers=headers,
            body=body,
            timeout_s=timeout_ms / 1000 if timeout_ms else self._default_timeout_s,
            order_key=(subscription.id, event.entity.id),
            on_result=self._on_result,
        )

    def _encode(
        self, delivery: Delivery, attributes: tuple[str, ...], excluded: frozenset[str]
    ) -> bytes:
        representation = _REPRESENTATIONS[delivery.attrs_format]
        shape = (representation, attributes, excluded, delivery.metadata, delivery.covered)
        body = self._bodies.get(shape)
        if body is None:
            view = View(representation, attributes, delivery.metadata, excluded)
            event = self._event
            if delivery.covered:
                event = _cover(event, attributes)
            body = self._bodies[shape] = orjson.dumps(render_entity(event.entity, view, event))
        return body


def _changed_attributes(delivery: Delivery, event: EntityEvent) -> tuple[str, ...]:
    wanted = delivery.attributes
    if delivery.except_attributes:
        return tuple(
            name for name in event.attributes if name in event.updated and name not in wanted
        )
    if not wanted or ALL in wanted:
        builtins = tuple(name for name in wanted if name in _ALWAYS_NOTIFIED)
        return tuple(name for name in event.attributes if name in event.updated) + builtins
    changed = tuple(name for name in wanted if name in event.updated)
    if not changed:
        return ()
    return tuple(name for name in wanted if name in event.updated or name in _ALWAYS_NOTIFIED)


def _cover(event: EntityEvent, attributes: tuple[str, ...]) -> EntityEvent:
    """The event with null attributes for those that the entity does not have."""
    covered = dict(event.attributes)
    for name in attributes:
        if name not in covered and name not in _ALWAYS_NOTIFIED and name != ALL:
            covered[name] = Attribute("None", None, NO_METADATA, 0.0, 0.0)
    return EntityEvent(
        event.entity,
        covered,
        event.alteration,
        event.updated,
        event.changed_values,
        event.changed_metadata,
        event.previous,
        event.actions,
    )
