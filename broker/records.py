"""The journal's records of entities and subscriptions, and the keys of all.

A key names the kind of state, the tenant and the identity, separated by a byte that none of
them may hold; the document is JSON. docs/journal.md lists the fields for operators.

    e <tenant> <service path> <id> <type>   {"s": sequence, "c": created, "m": modified,
                                             "l": name of the attribute that is the
                                                  location, a list of names of several,
                                             "a": {name: [type, value, metadata,
                                                          created, modified]}}
    s <tenant> <subscription id>            {"servicePath": ..., "subscription": {...},
                                             "originator": a correlator, "counters": {...}}

Those of registrations are in `broker.registration_records`.
"""

from __future__ import annotations

from sys import intern
from typing import Any, Final

import orjson

from _native.records import encode_change as encode_change
from _native.records import encode_changed_entity as encode_changed_entity
from _native.records import encode_entity as encode_entity
from _native.records import entity_key as entity_key
from broker.packed_subscription import ORIGINATOR, Progress, Sections, make_sections
from ngsi.errors import NgsiError
from ngsi.model import NO_METADATA, Attribute, Entity
from ngsi.subscription import Counters, Subscription, SubscriptionStatus
from ngsi.v2.subscriptions import decode_subscription, render_subscription

SEPARATOR: Final = "\x1f"  # a control character: no identifier, tenant or path has one
ENTITY: Final = "e"
SUBSCRIPTION: Final = "s"
REGISTRATION: Final = "r"
_ACTIVE: Final = SubscriptionStatus.ACTIVE.value


# What reading a document raises that is not as this version makes it.
UNREADABLE: Final = (NgsiError, AttributeError, LookupError, TypeError, ValueError)


class StateError(Exception):
    """What the journal kept is whole, but not of this version's making."""

    def __init__(self, key: bytes, error: Exception) -> None:
        super().__init__(f"the journal's document of {key!r} is unreadable: {error}")


def is_key_part(text: str) -> bool:
    """Whether a text can stand in a key. Names of NGSIv2 can."""
    return SEPARATOR not in text


def subscription_key(tenant: str, subscription_id: str) -> bytes:
    """The key of a subscription's records."""
    return SEPARATOR.join((SUBSCRIPTION, tenant, subscription_id)).encode()


def registration_key(tenant: str, registration_id: str) -> bytes:
    """The key of a registration's records."""
    return SEPARATOR.join((REGISTRATION, tenant, registration_id)).encode()


def split_key(key: bytes) -> list[str]:
    """Kind, tenant and identity of a key."""
    return key.decode().split(SEPARATOR)


def decode_entity(identity: list[str], document: bytes) -> Entity:
    """The entity of a key's [service path, id, type] and its document.

    Its locations have their names only; the shapes are to be parsed.
    """
    service_path, entity_id, entity_type = identity
    state = orjson.loads(document)
    attributes = {
        intern(name): Attribute(intern(type_), value, metadata or NO_METADATA, created, modified)
        for name, (type_, value, metadata, created, modified) in state["a"].items()
    }
    entity = Entity(
        entity_id,
        intern(entity_type),
        service_path,
        attributes,
        state["c"],
        state["m"],
        state["s"],
    )
    # Absent from a document whose last record was a merge patch: null removes a member.
    names = state.get("l")
    if names is not None:
        entity.locations = (names,) if type(names) is str else tuple(names)
    entity.size = len(document)
    return entity


def encode_subscription(subscription: Subscription) -> bytes:
    """The whole state of a subscription."""
    return orjson.dumps(
        {
            "servicePath": subscription.service_path,
            "subscription": render_subscription(subscription, now=None),
            "originator": subscription.originator,
            "counters": _pack_counters(subscription.counters),
        }
    )


def encode_subscription_progress(status: SubscriptionStatus, counters: Counters) -> bytes:
    """A merge patch with the status and the counters of a subscription."""
    return orjson.dumps(
        {"subscription": {"status": status.value}, "counters": _pack_counters(counters)}
    )


def _pack_counters(counters: Counters) -> dict[str, Any]:
    return {name: getattr(counters, name) for name in Counters.__slots__}


def decode_stored_subscription(identity: list[str], document: bytes) -> Subscription:
    """The subscription of a key's [id] and its document."""
    state = orjson.loads(document)
    subscription = decode_subscription(
        state["subscription"], identity[0], state["servicePath"], lenient=True
    )
    subscription.originator = state.get("originator", "")
    subscription.counters = Counters(**state["counters"])
    return subscription


def read_stored_subscription(document: bytes) -> Sections:
    """The subscription of such a document, as it is packed; not all of it is looked at."""
    state = orjson.loads(document)
    subscription = state["subscription"]
    status, counters = subscription.get("status", _ACTIVE), state["counters"]
    progress = None
    if status != _ACTIVE or (counters and counters != _NO_COUNTERS):
        progress = Progress(SubscriptionStatus(status), counters=Counters(**counters))
    originator = state.get("originator")
    if originator:
        subscription[ORIGINATOR] = originator
    return make_sections(state["servicePath"], subscription, progress)


_NO_COUNTERS: Final = _pack_counters(Counters())
