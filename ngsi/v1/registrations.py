"""The operation registerContext of NGSIv1 and its convenience operations.

A context registration is `{"entities": [{"type", "isPattern", "id"}], "attributes": [{"name",
"type"}], "providingApplication"}`; a request has one or more, all of one registrationId and one
duration. The provider speaks NGSIv1. FogFlow gives more fields, which say nothing here.
Source: Orion 3.4; FI-WARE NGSI-9; FogFlow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from ngsi.availability import Spelling
from ngsi.errors import BadRequest
from ngsi.model import EntitySelector
from ngsi.registration import ContextProvider, ContextRegistration
from ngsi.syntax import check_length
from ngsi.v1.document import SCOPE_VALUE, TEXT, load_document
from ngsi.v1.durations import parse_duration
from ngsi.v1.elements import EMPTY_ID, read_is_pattern
from ngsi.v1.queries import ENTITY_FIELDS, select

DEFAULT_DURATION: Final = "PT24H"
ID_LENGTH: Final = 24
_ID: Final = re.compile(r"[0-9a-fA-F]*")
_FOREIGN_ID: Final = re.compile(r"[!-~]{1,128}")  # FogFlow's clients choose their own

_ATTRIBUTE_FIELDS: Final = {"name": TEXT, "type": TEXT}
_REQUEST_FIELDS: Final = {"duration": TEXT, "registrationId": TEXT}
FOGFLOW_ENTITY_FIELDS: Final = {
    **ENTITY_FIELDS,
    "idPattern": TEXT,
    "fiwareServicePath": TEXT,
    "magFormat": TEXT,
}
_FIELDS: Final[dict[Spelling, dict[str, Any]]] = {
    Spelling.ORION: {
        **_REQUEST_FIELDS,
        "contextRegistrations": [
            {
                "entities": [ENTITY_FIELDS],
                "attributes": [_ATTRIBUTE_FIELDS],
                "providingApplication": TEXT,
            }
        ],
    },
    Spelling.FOGFLOW: {
        **_REQUEST_FIELDS,
        "contextRegistrations": [
            {
                "entities": [FOGFLOW_ENTITY_FIELDS],
                "attributes": [{**_ATTRIBUTE_FIELDS, "isDomain": TEXT, "metadata": SCOPE_VALUE}],
                "contextMetadata": SCOPE_VALUE,
                "metadata": SCOPE_VALUE,
                "providingApplication": TEXT,
                "FiwareServicePath": TEXT,
                "MsgFormat": TEXT,
                "FiwareService": TEXT,
            }
        ],
    },
}
_PROVIDER_FIELDS: Final = {**_REQUEST_FIELDS, "providingApplication": TEXT}


@dataclass(slots=True, frozen=True)
class RegistrationRequest:
    """What is to be registered; `registration_id` is None for a new registration."""

    parts: tuple[ContextRegistration, ...]
    duration: str
    duration_s: int
    registration_id: str | None


def decode_registration(body: bytes, spelling: Spelling = Spelling.ORION) -> RegistrationRequest:
    """The body of registerContext; raises BadRequest."""
    document = load_document(body, _FIELDS[spelling])
    listed = document.get("contextRegistrations")
    if not listed:
        raise BadRequest("Empty Context Registration List")
    return _make_request(document, tuple(_decode_part(item, spelling) for item in listed), spelling)


def decode_provider(
    body: bytes, entity_id: str, entity_type: str, attribute: str
) -> RegistrationRequest:
    """The body of a convenience operation; what is registered stands in the URL, "" for any.

    Raises BadRequest.
    """
    document = load_document(body, _PROVIDER_FIELDS)
    selector = EntitySelector(entity_id or None, None, entity_type or None)
    part = ContextRegistration(
        (selector,), {attribute: ""} if attribute else {}, _read_provider(document)
    )
    return _make_request(document, (part,), Spelling.ORION)


def check_id(text: str, spelling: Spelling) -> str:
    """An id that a client gives; raises BadRequest."""
    if spelling is Spelling.FOGFLOW:
        if not _FOREIGN_ID.fullmatch(text):
            raise BadRequest("invalid char in ID string")
    elif len(text) != ID_LENGTH:
        raise BadRequest("bad length - 24 chars expected")
    elif not _ID.fullmatch(text):
        raise BadRequest("invalid char in ID string")
    return text


def read_duration(document: dict[str, Any], default: str) -> tuple[str, int]:
    """The duration of a request and its seconds; raises BadRequest."""
    text = document.get("duration", "") or default
    duration = parse_duration(text)
    if duration is None:
        raise BadRequest("syntax error in duration string")
    return text, duration.seconds


def _make_request(
    document: dict[str, Any], parts: tuple[ContextRegistration, ...], spelling: Spelling
) -> RegistrationRequest:
    duration, seconds = read_duration(document, DEFAULT_DURATION)
    registration_id = document.get("registrationId", "") or None
    if registration_id is not None:
        check_id(registration_id, spelling)
    return RegistrationRequest(parts, duration, seconds, registration_id)


def _decode_part(document: dict[str, Any], spelling: Spelling) -> ContextRegistration:
    entities = tuple(_decode_entity(item, spelling) for item in document.get("entities", ()))
    attributes: dict[str, str] = {}
    for item in document.get("attributes", ()):
        name = item.get("name", "")
        if not name:
            raise BadRequest("missing name for registration attribute")
        check_length(name, "attribute name")
        attributes[name] = item.get("type", "")
    return ContextRegistration(entities, attributes, _read_provider(document))


def _decode_entity(document: dict[str, Any], spelling: Spelling) -> EntitySelector:
    is_pattern = read_is_pattern(document)
    if is_pattern and spelling is Spelling.ORION:
        raise BadRequest("isPattern set to true for registrations is currently not supported")
    return read_selector(document, is_pattern)


def read_selector(document: dict[str, Any], is_pattern: bool) -> EntitySelector:
    """The entities that an entity id names; raises BadRequest."""
    entity_id, pattern = document.get("id", ""), document.get("idPattern")
    if not entity_id and not pattern:
        raise BadRequest(EMPTY_ID)
    entity_type = document.get("type", "")
    check_length(entity_type, "entity type")
    if is_pattern or pattern:
        return select(entity_type, id_pattern=pattern or entity_id)
    check_length(entity_id, "entity id")
    return select(entity_type, entity_id=entity_id)


def _read_provider(document: dict[str, Any]) -> ContextProvider:
    url = document.get("providingApplication", "")
    if not url:
        raise BadRequest("no providing application")
    return ContextProvider(url, legacy_forwarding=True)
