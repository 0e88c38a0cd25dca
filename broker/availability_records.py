"""The journal's records of availability subscriptions.

a <tenant> <subscription id>            {"paths": [...], "entities": [...],
                                         "attributes": [...], "reference", "expires",
                                         "spelling"}
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from broker.records import SEPARATOR
from broker.registration_records import unpack_selector
from ngsi.availability import AvailabilityQuery, AvailabilitySubscription, Spelling
from ngsi.service_path import ServicePathScope
from ngsi.v2.fields import render_selector

KIND: Final = "a"  # of the record, beside those of broker.records


def availability_key(tenant: str, subscription_id: str) -> bytes:
    """The key of a subscription's record."""
    return SEPARATOR.join((KIND, tenant, subscription_id)).encode()


def encode_availability(subscription: AvailabilitySubscription) -> bytes:
    """The document of a subscription's record."""
    document: dict[str, Any] = {
        "paths": subscription.scope.paths,
        "entities": [render_selector(selector) for selector in subscription.query.selectors],
        "attributes": subscription.query.attributes,
        "reference": subscription.reference,
        "spelling": subscription.spelling.value,
    }
    if subscription.expires is not None:
        document["expires"] = subscription.expires
    return orjson.dumps(document)


def decode_availability(identity: list[str], document: bytes) -> AvailabilitySubscription:
    """The subscription of a key's [id] and its document."""
    state = orjson.loads(document)
    selectors = tuple(unpack_selector(selector) for selector in state["entities"])
    return AvailabilitySubscription(
        identity[0],
        ServicePathScope(tuple(state["paths"])),
        AvailabilityQuery(selectors, tuple(state["attributes"])),
        state["reference"],
        state.get("expires"),
        Spelling(state["spelling"]),
    )
