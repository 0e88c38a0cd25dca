"""Registration documents of NGSIv2 to `ngsi.registration` and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ngsi.errors import BadRequest, NotImplementedByBroker
from ngsi.instants import format_instant
from ngsi.model import EntitySelector
from ngsi.registration import (
    ContextProvider,
    ContextRegistration,
    ForwardingMode,
    Registration,
)
from ngsi.urls import parse_url
from ngsi.v2.fields import (
    read_description,
    read_expires,
    read_names,
    read_selectors,
    read_string,
    render_selector,
)


def decode_registration(
    document: Any, registration_id: str, service_path: str, any_pattern: bool = False
) -> Registration:
    """The registration of POST /v2/registrations.

    Without `any_pattern` entities may be given by the idPattern ".*" only, as Orion has it.
    """
    _check_object(document)
    description = _read_description(document)
    if "dataProvided" not in document:
        raise BadRequest("the field /dataProvided/ is missing in payload")
    entities, attributes = _decode_data_provided(document["dataProvided"], any_pattern)
    if "provider" not in document:
        raise BadRequest("the field /provider/ is missing in payload")
    provider = _decode_provider(document["provider"])
    part = ContextRegistration(entities, attributes, provider)
    registration = Registration(registration_id, service_path, (part,), description or "")
    _decode_lifetime(document, registration)
    return registration


def update_registration(
    document: Any, registration: Registration, any_pattern: bool = False
) -> Registration:
    """The registration that PATCH makes of another: the parts given are replaced as wholes.

    Identity, service path and counters are kept, and of a registration with several parts all
    but the first. Source: NGSIv2, "Update Registration".
    """
    _check_object(document)
    description = _read_description(document)
    changed = replace(registration)
    if description is not None:
        changed.description = description
    first, *others = changed.parts
    entities, attributes, provider = first.entities, first.attributes, first.provider
    if "dataProvided" in document:
        entities, attributes = _decode_data_provided(document["dataProvided"], any_pattern)
    if "provider" in document:
        provider = _decode_provider(document["provider"])
    changed.parts = (ContextRegistration(entities, attributes, provider), *others)
    _decode_lifetime(document, changed)
    return changed


def _read_description(document: dict[str, Any]) -> str | None:
    if "description" in document and type(document["description"]) is not str:
        raise BadRequest("invalid description")
    return read_description(document)


def _check_object(document: Any) -> None:
    if type(document) is not dict:
        raise BadRequest("not a JSON object")
    if not document:
        raise BadRequest("empty payload")


def _decode_lifetime(document: dict[str, Any], registration: Registration) -> None:
    text = read_string(document, "expires")
    if text is not None:
        registration.expires = read_expires(text, "the field /expires/ has an invalid format")
    status = document.get("status")
    if "status" in document and type(status) is not str:
        raise BadRequest("/status/ must be a string")
    if status not in (None, "active", "inactive"):
        raise BadRequest("invalid value for /status/")
    if status is not None:
        registration.status = status


def _decode_data_provided(
    document: Any, any_pattern: bool
) -> tuple[tuple[EntitySelector, ...], Mapping[str, str]]:
    if type(document) is not dict:
        raise BadRequest("/dataProvided/ must be a JSON object")
    if not document:
        raise BadRequest("/dataProvided/ is empty")
    entities = read_selectors(document["entities"]) if "entities" in document else ()
    for selector in () if any_pattern else entities:
        if selector.id_pattern is not None and selector.id_pattern.text != ".*":
            raise NotImplementedByBroker("Unsupported idPattern")
        if selector.type_pattern is not None:
            raise NotImplementedByBroker("typePattern is not supported")
    attributes = read_names(document, "attrs") if "attrs" in document else ()
    return entities, dict.fromkeys(attributes, "")


def _decode_provider(document: Any) -> ContextProvider:
    if type(document) is not dict:
        raise BadRequest("/provider/ must be a JSON object")
    if not document:
        raise BadRequest("/provider/ empty")
    if "http" not in document:
        raise BadRequest("/provider/ must contain a field /http/")
    url = _decode_http(document["http"])
    mode = ForwardingMode.ALL
    if "supportedForwardingMode" in document:
        text = document["supportedForwardingMode"]
        if type(text) is not str:
            raise BadRequest("/supportedForwardingMode/ must be a JSON string")
        try:
            mode = ForwardingMode(text)
        except ValueError:
            raise BadRequest("invalid value of /supportedForwardingMode/") from None
    legacy = document.get("legacyForwarding", False)
    if type(legacy) is not bool:
        raise BadRequest("the field /legacyForwarding/ must be a boolean")
    return ContextProvider(url, mode, legacy)


def _decode_http(document: Any) -> str:
    if type(document) is not dict:
        raise BadRequest("/http/ must be a JSON object")
    if "url" not in document:
        raise BadRequest("/http/ must contain a field /url/")
    text = document["url"]
    if type(text) is not str:
        raise BadRequest("/url/ field of /http/ must be a JSON string")
    if not text:
        raise BadRequest("/url/ field of /http/ cannot be the empty string")
    url = parse_url(text)
    if url is None or url.scheme not in ("http", "https"):
        raise BadRequest("/url/ field of /http/ is invalid")
    return text


def render_registration(registration: Registration, stored: bool = False) -> dict[str, Any]:
    """The document of a registration; `stored` leaves out what the broker adds.

    NGSIv2 has a place for one part: the first. Where a registration of NGSIv1 has more, all of
    them stand in contextRegistrations, too.
    """
    document: dict[str, Any] = {}
    if not stored:
        document["id"] = registration.id
    if registration.description:
        document["description"] = registration.description
    if registration.expires is not None:
        document["expires"] = format_instant(registration.expires)
    parts = [_render_part(part) for part in registration.parts]
    document |= parts[0]
    if len(parts) > 1:
        document["contextRegistrations"] = parts
    document["status"] = registration.status
    forwarding = registration.forwarding
    if not stored and forwarding.times_sent:
        information: dict[str, Any] = {"timesSent": forwarding.times_sent}
        for name, seconds in (
            ("lastForwarding", forwarding.last_forwarding),
            ("lastSuccess", forwarding.last_success),
            ("lastFailure", forwarding.last_failure),
        ):
            if seconds is not None:
                information[name] = format_instant(seconds)
        document["forwardingInformation"] = information
    return document


def _render_part(part: ContextRegistration) -> dict[str, Any]:
    return {
        "dataProvided": {
            "entities": [_render_entities(selector) for selector in part.entities],
            "attrs": list(part.attributes),
        },
        "provider": {
            "http": {"url": part.provider.url},
            "supportedForwardingMode": part.provider.mode.value,
            "legacyForwarding": part.provider.legacy_forwarding,
        },
    }


def _render_entities(selector: EntitySelector) -> dict[str, str]:
    """NGSIv1 can register a type alone, NGSIv2 not without an id."""
    if selector.id is None and selector.id_pattern is None:
        return {"idPattern": ".*", **render_selector(selector)}
    return render_selector(selector)
