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
from broker.journal import MAX_KEY_BYTES, MAX_PAYLOAD_BYTES
from broker.ports import JournalPort
from ngsi.errors import RequestEntityTooLarge
from ngsi.model import NO_METADATA, Attribute, Entity
from ngsi.subscription import Counters, Subscription
from ngsi.v2.subscriptions import decode_subscription, render_subscription

SEPARATOR: Final = "\x1f"  # a control character: no identifier, tenant or path has one
ENTITY: Final = "e"
SUBSCRIPTION: Final = "s"
REGISTRATION: Final = "r"

LARGE_DOCUMENT_BYTES: Final = 1024 * 1024
"""Smaller documents find room in what every change is admitted with."""


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


def check_size(journal: JournalPort, document: bytes, what: str) -> int:
    """The bytes of a document that can be kept; raises what the client hears otherwise."""
    size = len(document)
    if size > MAX_PAYLOAD_BYTES:
        raise RequestEntityTooLarge(f"{what} size: {size}, max size supported: {MAX_PAYLOAD_BYTES}")
    if size > LARGE_DOCUMENT_BYTES:
        journal.admit(size + MAX_KEY_BYTES)
    return size


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


def encode_subscription_progress(subscription: Subscription) -> bytes:
    """A merge patch with the status and the counters."""
    return orjson.dumps(
        {
            "subscription": {"status": subscription.status.value},
            "counters": _pack_counters(subscription.counters),
        }
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
    for name, value in state["counters"].items():
        setattr(subscription.counters, name, value)
    return subscription
