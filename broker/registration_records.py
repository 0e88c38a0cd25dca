"""The journal's records of registrations.

    r <tenant> <registration id>            {"servicePath", "description", "expires", "status",
                                             "parts": [{"entities", "attributes": {name: type},
                                                        "url", "mode", "legacy"}],
                                             "forwarding": {...}, "gone": true}

Brokers before NGSIv1 kept the document of NGSIv2 as "registration", which is still read.
"""

from __future__ import annotations

from typing import Any

import orjson

from ngsi.model import EntitySelector
from ngsi.patterns import compile_pattern
from ngsi.registration import (
    ContextProvider,
    ContextRegistration,
    ForwardingInformation,
    ForwardingMode,
    Registration,
)
from ngsi.v2.fields import render_selector
from ngsi.v2.registrations import decode_registration


def encode_registration(registration: Registration) -> bytes:
    """The whole state of a registration."""
    document: dict[str, Any] = {
        "servicePath": registration.service_path,
        "status": registration.status,
        "parts": [_pack_part(part) for part in registration.parts],
        "forwarding": _pack_forwarding(registration.forwarding),
    }
    if registration.description:
        document["description"] = registration.description
    if registration.expires is not None:
        document["expires"] = registration.expires
    if registration.is_gone:
        document["gone"] = True
    return orjson.dumps(document)


def encode_forwarding(registration: Registration) -> bytes:
    """A merge patch with the counters of forwarding."""
    return orjson.dumps({"forwarding": _pack_forwarding(registration.forwarding)})


def encode_departure() -> bytes:
    """A merge patch that says that subscribers know of the end of a registration."""
    return b'{"gone":true}'


def decode_stored_registration(identity: list[str], document: bytes) -> Registration:
    """The registration of a key's [id] and its document."""
    state = orjson.loads(document)
    if "parts" in state:
        registration = Registration(
            identity[0],
            state["servicePath"],
            tuple(_unpack_part(part) for part in state["parts"]),
            state.get("description", ""),
            state.get("expires"),
            state["status"],
            is_gone=state.get("gone", False),
        )
    else:
        registration = decode_registration(
            state["registration"], identity[0], state["servicePath"], any_pattern=True
        )
    # Null members are absent from a document whose last record was a merge patch.
    counters = state.get("forwarding", {})
    for name in ForwardingInformation.__slots__:
        if name in counters:
            setattr(registration.forwarding, name, counters[name])
    return registration


def _pack_forwarding(forwarding: ForwardingInformation) -> dict[str, Any]:
    return {name: getattr(forwarding, name) for name in ForwardingInformation.__slots__}


def _pack_part(part: ContextRegistration) -> dict[str, Any]:
    return {
        "entities": [render_selector(selector) for selector in part.entities],
        "attributes": dict(part.attributes),
        "url": part.provider.url,
        "mode": part.provider.mode.value,
        "legacy": part.provider.legacy_forwarding,
    }


def _unpack_part(state: dict[str, Any]) -> ContextRegistration:
    return ContextRegistration(
        tuple(unpack_selector(selector) for selector in state["entities"]),
        state["attributes"],
        ContextProvider(state["url"], ForwardingMode(state["mode"]), state["legacy"]),
    )


def unpack_selector(state: dict[str, str]) -> EntitySelector:
    """The selector of a stored document."""
    id_pattern, type_pattern = state.get("idPattern"), state.get("typePattern")
    return EntitySelector(
        state.get("id"),
        None if id_pattern is None else compile_pattern(id_pattern),
        state.get("type"),
        None if type_pattern is None else compile_pattern(type_pattern),
    )
