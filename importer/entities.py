"""Entities of a source to the model, checked as the broker will look at them.

Both sources end here, so that what the broker would not load, or would load otherwise, is
refused before it is written. Pure functions. Raises errors of `ngsi.errors`.
"""

from __future__ import annotations

import math
from typing import Any, Final

from broker.http.call import check_tenant
from broker.journal import MAX_PAYLOAD_BYTES
from broker.location import find_location
from broker.records import encode_entity
from ngsi.errors import BadRequest, RequestEntityTooLarge
from ngsi.instants import DATE_TYPES, canonical_instant, format_instant
from ngsi.json_value import JsonValue
from ngsi.model import (
    DATE_EXPIRES,
    DEFAULT_ENTITY_TYPE,
    NO_METADATA,
    Attribute,
    Entity,
    Metadata,
    default_type,
)
from ngsi.service_path import parse_scope
from ngsi.syntax import MAX_IDENTITY_LENGTH, check_id, check_name
from ngsi.v2.document import normalize

LAST_SECOND: Final = 253_402_300_799  # of 9999; a later one has no text. Orion means "never" by it


def check_service(name: str) -> str:
    """The name of a service as the broker keeps it."""
    check_tenant(name)
    return name.lower()


def check_service_path(path: str) -> str:
    """The service path of an entity."""
    if parse_scope(path, "PATCH").paths != (path,):
        raise BadRequest(f"{path!r} is no service path of an entity")
    return path


def check_service_path_query(path: str) -> str:
    """The service path of a subscription or registration, which may end in "/#"."""
    if parse_scope(path).paths != (path,):
        raise BadRequest(f"{path!r} is no service path")
    return path


def check_time(seconds: float, what: str) -> float:
    """Seconds since 1970 that can be shown as a date; raises BadRequest."""
    if not 0 <= seconds <= LAST_SECOND:
        raise BadRequest(f"{what} is no date: {seconds}")
    return seconds


def make_attribute(
    name: str,
    type_: str | None,
    value: JsonValue,
    metadata: Metadata,
    created: float,
    modified: float,
) -> Attribute:
    """An attribute of a stored one; a DateTime may be a number of seconds or a text.

    An empty type is the default of the value. What may not be sent any more but is stored
    (a value with forbidden characters) is kept as it is.
    """
    value = _check_value(value)
    type_ = type_ or default_type(value)
    check_name(name, "attribute name")
    if check_name(type_, "attribute type") in DATE_TYPES:
        value = _instant(value, "attribute")
    checked: Metadata = {}
    for item, fields in metadata.items():
        content = _check_value(fields["value"])
        item_type = check_name(fields["type"] or default_type(content), "metadata type")
        if item_type in DATE_TYPES:
            content = _instant(content, "metadata")
        checked[check_name(item, "metadata name")] = {"type": item_type, "value": content}
    check_time(created, "dateCreated of an attribute")
    check_time(modified, "dateModified of an attribute")
    return Attribute(type_, value, checked or NO_METADATA, created, modified)


def make_entity(
    entity_id: str,
    type_: str,
    service_path: str,
    attributes: dict[str, Attribute],
    created: float,
    modified: float,
    location: str | None = None,
) -> tuple[Entity, bytes]:
    """An entity and its record, with the sequence number 0.

    `location` names the attribute that is the location where several could be.
    """
    check_id(entity_id)
    type_ = check_name(type_ or DEFAULT_ENTITY_TYPE, "entity type")
    check_service_path(service_path)
    check_time(created, "dateCreated")
    check_time(modified, "dateModified")
    if len(entity_id) + len(type_) + len(service_path) > MAX_IDENTITY_LENGTH:
        raise BadRequest("Too long entity id/type/servicePath combination")
    expiry = attributes.get(DATE_EXPIRES)
    if expiry is not None and expiry.type not in DATE_TYPES:
        raise BadRequest(f"{DATE_EXPIRES} is no DateTime")
    entity = Entity(entity_id, type_, service_path, attributes, created, modified, 0)
    entity.set_locations(find_location(attributes, () if location is None else (location,)))
    document = encode_entity(entity, attributes, entity.locations, modified)
    if len(document) > MAX_PAYLOAD_BYTES:
        raise RequestEntityTooLarge(
            f"entity size: {len(document)}, max size supported: {MAX_PAYLOAD_BYTES}"
        )
    return entity, document


def _check_value(value: JsonValue) -> JsonValue:
    _check_numbers(value)
    return normalize(value, unrestricted=True)


def _check_numbers(value: JsonValue) -> None:
    pending: list[Any] = [value]
    while pending:
        item = pending.pop()
        if type(item) is float and not math.isfinite(item):
            raise BadRequest(f"the number {item} has no form in JSON")
        if type(item) is dict:
            pending.extend(item.values())
        elif type(item) is list:
            pending.extend(item)


def _instant(value: JsonValue, what: str) -> str | None:
    if value is None:
        return None
    text = None
    if type(value) is str:
        text = canonical_instant(value)
    elif type(value) is int or type(value) is float:
        text = format_seconds(value)
    if text is None:
        raise BadRequest(f"date has invalid format in {what} value")
    return text


def format_seconds(seconds: float) -> str | None:
    """The text of an instant, None for one out of the years that have four digits."""
    try:
        return canonical_instant(format_instant(seconds))
    except (ValueError, OverflowError, OSError):
        return None
