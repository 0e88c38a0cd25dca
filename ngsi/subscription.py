"""Subscriptions: whom to tell what about which entities, and how that went so far.

What a client asked for (selectors, Condition, Delivery) is immutable; a PATCH makes new
parts. What the broker adds (status, Counters) changes in place.
Source: Orion API, section "Subscription payload datamodel".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from ngsi.json_value import JsonValue
from ngsi.model import AlterationType, EntitySelector

if TYPE_CHECKING:
    from ngsi.geometry import GeoQuery
    from ngsi.query import Query


class AttrsFormat(Enum):
    """The form of a notification's body; but for NGSIv1 also the value of Ngsiv2-AttrsFormat."""

    NORMALIZED = "normalized"
    SIMPLIFIED_NORMALIZED = "simplifiedNormalized"
    KEY_VALUES = "keyValues"
    SIMPLIFIED_KEY_VALUES = "simplifiedKeyValues"
    VALUES = "values"
    LEGACY = "legacy"  # NGSIv1's
    FOGFLOW = "fogflow"  # NGSIv1's as FogFlow spells it


class SubscriptionStatus(Enum):
    """The stored status; "expired" follows from the clock and is never stored."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ONESHOT = "oneshot"  # becomes inactive with its first notification


@dataclass(slots=True, frozen=True)
class Condition:
    """When an event triggers. `attributes` empty: any of the entity's."""

    attributes: tuple[str, ...] = ()
    q: Query | None = None
    mq: Query | None = None
    geo: GeoQuery | None = None
    alteration_types: tuple[AlterationType, ...] = ()  # empty: create and change
    notify_on_metadata_change: bool = True
    jexl: str = ""  # an expression that has to be true, too


@dataclass(slots=True, frozen=True)
class HttpReceiver:
    """A receiver over HTTP. `timeout_ms` 0: the broker's httpTimeout.

    In a custom notification `method`, `qs` and `headers` come with it; url, qs and headers
    may hold macros.
    """

    url: str
    timeout_ms: int = 0
    method: str | None = None
    qs: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, frozen=True)
class MqttReceiver:
    """A topic of an MQTT broker; in a custom notification the topic may hold macros."""

    url: str
    topic: str
    qos: int = 0
    retain: bool = False
    user: str | None = None
    password: str | None = None


class PayloadKind(Enum):
    """What a custom notification has for a body; the values are the names of the fields."""

    STANDARD = "standard"  # the one of attrsFormat
    TEXT = "payload"  # with None for no body at all
    JSON = "json"
    NGSI = "ngsi"  # a patch of the entity


@dataclass(slots=True, frozen=True, eq=False)
class CustomPayload:
    """The template of a custom notification's body, as the client gave it."""

    kind: PayloadKind = PayloadKind.STANDARD
    template: JsonValue = None


@dataclass(slots=True, frozen=True)
class Delivery:
    """What a notification holds and where it goes (`notification` in the API)."""

    receiver: HttpReceiver | MqttReceiver
    custom: CustomPayload | None = None  # None: not a custom notification
    attributes: tuple[str, ...] = ()
    except_attributes: bool = False  # whether `attributes` are those to leave out
    metadata: tuple[str, ...] = ()
    attrs_format: AttrsFormat = AttrsFormat.NORMALIZED
    only_changed: bool = False
    covered: bool = False
    max_fails_limit: int | None = None
    durable: bool = False  # kept and tried again until the receiver has taken it


@dataclass(slots=True)
class Counters:
    """How deliveries went; times are seconds since 1970, None before the first."""

    times_sent: int = 0
    last_notification: float | None = None
    last_success: float | None = None
    last_success_code: int | None = None
    last_failure: float | None = None
    last_failure_reason: str | None = None
    fails_counter: int = 0
    discarded: int = 0  # of durable deliveries: given up for age or for want of room


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscription of a tenant. `service_path` is a query: it may end in "/#"."""

    id: str
    service_path: str
    entities: tuple[EntitySelector, ...]
    condition: Condition
    delivery: Delivery
    description: str = ""
    expires: float | None = None  # seconds since 1970; None: permanent
    throttling_s: float = 0
    # A correlator (Fiware-Correlator): requests that carry it are the subscriber's own.
    originator: str = ""
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    counters: Counters = field(default_factory=Counters)
    pending: int = 0  # of durable deliveries: not yet taken by the receiver

    @property
    def has_expression(self) -> bool:
        """Whether an expression (jexlExpression) decides, too."""
        return bool(self.condition.jexl)

    def is_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires < now

    def is_triggered_now(self, now: float) -> bool:
        """Whether a matching event leads to a notification at `now`.

        Not when inactive, expired, or within the throttling period of the last one.
        """
        if self.status is SubscriptionStatus.INACTIVE or self.is_expired(now):
            return False
        last = self.counters.last_notification
        return not (self.throttling_s > 0 and last is not None and now - last < self.throttling_s)
