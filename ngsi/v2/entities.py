"""Entities and attributes of NGSIv2 requests to the model's updates.

Source: Orion API, sections "JSON Entity Representation" to "Partial Representations". Errors
carry the descriptions that Orion's clients know. Pure functions of the document.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from _native.decoding import PlainDecoder
from _native.parsing import PlainParser
from ngsi.errors import BadRequest, NotImplementedByBroker, UnsupportedMediaType
from ngsi.geometry import GEO_TYPES
from ngsi.instants import DATE_TYPES, canonical_instant
from ngsi.json_value import JsonValue
from ngsi.model import (
    DATE_EXPIRES,
    DEFAULT_ENTITY_TYPE,
    DEFAULT_TYPES,
    AttributeUpdate,
    EntityUpdate,
    Metadata,
    default_type,
)
from ngsi.syntax import (
    MAX_IDENTIFIER_LENGTH,
    MAX_NESTING,
    check_id,
    check_length,
    check_name,
    has_forbidden,
    is_identifier,
)
from ngsi.v2.document import load_document, load_object, normalize, normalize_number

WRONG_EXPIRY: Final = "error processing date expiration attribute, see log traces"
TEXT_UNRESTRICTED: Final = "TextUnrestricted"
EVAL_PRIORITY: Final = "evalPriority"
LAST_PRIORITY: Final = 100_000
_TEXT_LITERALS: Final = {
    spelling: value
    for text, value in (("true", True), ("false", False), ("null", None))
    for spelling in (text, text.capitalize(), text.upper())
}
# At most as long as a double can mean something; an int of more digits would cost much.
_TEXT_NUMBER: Final = re.compile(
    r"[+-]?(?:\d{1,18}|(?:\d{1,400}\.?\d{0,400}|\.\d{1,400})(?:[eE][+-]?\d{1,4})?)", re.ASCII
)
_DATE_OPERATORS: Final = frozenset({"$min", "$max"})


def decode_entity(body: bytes, key_values: bool) -> EntityUpdate:
    """The entity of POST /v2/entities."""
    plain = _PARSER.parse_entity(body, key_values)
    if plain is None:
        return _decode_entity(body, key_values)
    if plain.type is None:
        return EntityUpdate(plain.id, DEFAULT_ENTITY_TYPE, plain.attributes)
    return plain


def _decode_entity(body: bytes, key_values: bool) -> EntityUpdate:
    document = load_object(body)
    if "id" not in document:
        raise BadRequest("entity id length: 0, min length supported: 1")
    entity_id = document["id"]
    if type(entity_id) is not str:
        raise BadRequest("Invalid JSON type for entity id")
    check_id(entity_id)
    entity_type = DEFAULT_ENTITY_TYPE
    if "type" in document:
        entity_type = document["type"]
        if type(entity_type) is not str:
            raise BadRequest("Invalid JSON type for entity type")
        entity_type = check_name(entity_type, "entity type")
    attributes = _PLAIN.decode_attributes(document, key_values)
    return EntityUpdate(entity_id, entity_type, attributes)


def decode_attributes(body: bytes, key_values: bool) -> dict[str, AttributeUpdate]:
    """The attributes of POST, PATCH and PUT /v2/entities/{id}/attrs."""
    return _PARSER.parse_attributes(body, key_values) or _decode_attributes(body, key_values)


def parse_plain_attributes(body: bytes, key_values: bool) -> dict[str, AttributeUpdate] | None:
    """As `decode_attributes`, None for what is not plain and for what is wrong."""
    return _PARSER.parse_attributes(body, key_values)


def _decode_attributes(body: bytes, key_values: bool) -> dict[str, AttributeUpdate]:
    document = load_object(body)
    if "id" in document:
        raise BadRequest("entity id specified in payload")
    if "type" in document:
        raise BadRequest("entity type specified in payload")
    if not document:
        raise BadRequest("empty payload")
    return _PLAIN.decode_attributes(document, key_values)


def decode_attribute(name: str, body: bytes) -> AttributeUpdate:
    """The attribute of PUT /v2/entities/{id}/attrs/{name}."""
    document = load_object(body)
    return _decode_attribute(check_name(name, "attribute name"), document)


def decode_attribute_value(body: bytes, content_type: str) -> AttributeUpdate:
    """The value of PUT /v2/entities/{id}/attrs/{name}/value, as JSON or as text."""
    if content_type == "text/plain":
        return AttributeUpdate(None, _decode_text_value(body), None, only_value=True)
    document = load_document(body)
    if type(document) is not dict and type(document) is not list:
        raise BadRequest("Neither JSON Object nor JSON Array for attribute::value")
    return AttributeUpdate(None, normalize(document, unrestricted=False), None, only_value=True)


def decode_plain_batch(body: bytes, key_values: bool) -> tuple[str, list[EntityUpdate]] | None:
    """The action type and the entities of a batch update, if it is a plain one."""
    return _PARSER.parse_batch(body, key_values)


def decode_entity_object(document: Any, key_values: bool) -> EntityUpdate:
    """One entity of a batch update or notification; its type may be missing."""
    return _PLAIN.decode_entity(document, key_values) or _decode_entity_object(document, key_values)


def _decode_entity_object(document: Any, key_values: bool) -> EntityUpdate:
    if type(document) is not dict:
        raise BadRequest("entity is not a JSON object")
    if "id" not in document and "idPattern" not in document:
        raise BadRequest("nor /id/ nor /idPattern/ present")
    if "id" in document and "idPattern" in document:
        raise BadRequest("both /id/ and /idPattern/ present")
    if "idPattern" in document:
        raise NotImplementedByBroker("NotImplemented")
    if "typePattern" in document:
        raise BadRequest("/typePattern/ is not allowed in an update")
    entity_id = document["id"]
    if type(entity_id) is not str:
        raise BadRequest("Invalid JSON type for entity id")
    if not is_identifier(entity_id):
        raise BadRequest("Invalid characters in entity id")
    entity_type = document.get("type")
    if "type" in document:
        if type(entity_type) is not str:
            raise BadRequest("Invalid JSON type for entity type")
        if len(entity_type) <= MAX_IDENTIFIER_LENGTH:
            entity_type = check_name(entity_type, "entity type")
        elif not is_identifier(entity_type):
            raise BadRequest("Invalid characters in entity type")
    attributes = _PLAIN.decode_attributes(document, key_values)
    # As Orion, lengths are judged after the attributes.
    if not entity_id:
        raise BadRequest("id and idPattern cannot be both empty at the same time")
    check_length(entity_id, "entity id")
    if entity_type is not None:
        check_length(entity_type, "entity type")
    return EntityUpdate(entity_id, entity_type, attributes)


def decode_member(name: str, member: Any, key_values: bool) -> AttributeUpdate:
    """The attribute that a member of an entity's document, neither id nor type, stands for."""
    name = check_name(name, "attribute name")
    if key_values:
        return AttributeUpdate(default_type(member), normalize(member, unrestricted=False), None)
    if type(member) is not dict:
        raise BadRequest("attribute must be a JSON object, unless keyValues option is used")
    return _decode_attribute(name, member)


def _decode_attribute(name: str, document: dict[str, Any]) -> AttributeUpdate:
    value: JsonValue = None
    attribute_type: str | None = None
    metadata: Metadata | None = None
    for field, member in document.items():
        if field == "value":
            value = member
        elif field == "type":
            if type(member) is not str:
                raise BadRequest("invalid JSON type for attribute type")
            attribute_type = check_name(member, "attribute type")
        elif field == "metadata":
            metadata = _decode_metadata(member)
        else:
            raise BadRequest("unrecognized property for context attribute")
    if attribute_type is None:
        attribute_type = default_type(value)
    elif attribute_type in DATE_TYPES:
        value = _normalize_date(value)
    elif attribute_type in GEO_TYPES:
        _check_geo_value(attribute_type, value)
    elif name == DATE_EXPIRES:
        raise BadRequest(WRONG_EXPIRY)
    unrestricted = attribute_type == TEXT_UNRESTRICTED or (
        metadata is not None
        and TEXT_UNRESTRICTED in metadata
        and metadata[TEXT_UNRESTRICTED]["value"] is True
    )
    if type(value) is not int:  # which is normal already
        value = normalize(value, unrestricted)
    return AttributeUpdate(attribute_type, value, metadata)


def decode_patch_attribute(name: str, document: Any) -> AttributeUpdate:
    """An attribute of the `ngsi` patch in a custom notification: its value is a template.

    Special types have no meaning before the macros are replaced. Of metadata only
    evalPriority is allowed (Orion API, "Evaluation priority").
    """
    check_name(name, "attribute name")
    if type(document) is not dict:
        raise BadRequest("attribute must be a JSON object, unless keyValues option is used")
    if not document.keys() <= {"type", "value", "metadata"}:
        raise BadRequest("unrecognized property for context attribute")
    value = normalize(document.get("value"), unrestricted=True)
    attribute_type = document.get("type", default_type(value))
    if type(attribute_type) is not str:
        raise BadRequest("invalid JSON type for attribute type")
    metadata = _decode_metadata(document["metadata"]) if "metadata" in document else {}
    for item, fields in metadata.items():
        if item != EVAL_PRIORITY:
            raise BadRequest(
                "only evalPriority metadata is allowed in ngsi field in custom notifications"
            )
        priority = fields["value"]
        if type(priority) is not int and type(priority) is not float:
            raise BadRequest("evalPriority metadata must be a number")
        if priority < 1:
            raise BadRequest("evalPriority metadata minimum priority is 1")
        if priority > LAST_PRIORITY:
            raise BadRequest(f"evalPriority metadata maximum priority is {LAST_PRIORITY}")
    return AttributeUpdate(check_name(attribute_type, "attribute type"), value, metadata)


def _normalize_date(value: JsonValue) -> JsonValue:
    """A DateTime value as canonical text; null and {"$min": d}, {"$max": d} are allowed."""
    if value is None:
        return None
    if type(value) is str:
        text = canonical_instant(value)
    elif type(value) is dict and len(value) == 1 and not _DATE_OPERATORS.isdisjoint(value):
        ((operator, operand),) = value.items()
        text = canonical_instant(operand) if type(operand) is str else None
        if text is not None:
            return {operator: text}
    else:
        text = None
    if text is None:
        raise BadRequest("date has invalid format in attribute value")
    return text


def _check_geo_value(attribute_type: str, value: JsonValue) -> None:
    if attribute_type == "geo:json" and value is not None and type(value) is not dict:
        raise BadRequest("geo:json needs an object or null as value")


def _decode_metadata(document: Any) -> Metadata:
    if type(document) is not dict:
        raise BadRequest("metadata not a JSON object")
    metadata: Metadata = {}
    for name, member in document.items():
        if type(member) is not dict:
            raise BadRequest("metadata must be a JSON object")
        name = check_name(name, "metadata name")
        value: JsonValue = None
        metadata_type: str | None = None
        for field, content in member.items():
            if field == "value":
                value = content
            elif field == "type":
                if type(content) is not str:
                    raise BadRequest("invalid JSON type for attribute metadata type")
                metadata_type = check_name(content, "metadata type")
            else:
                raise BadRequest("invalid JSON field for attribute metadata")
        if metadata_type is None:
            metadata_type = default_type(value)
        elif metadata_type in DATE_TYPES and value is not None:
            value = canonical_instant(value) if type(value) is str else None
            if value is None:
                raise BadRequest("date has invalid format in metadata value")
        if type(value) is str and has_forbidden(value):
            raise BadRequest("Invalid characters in metadata value")
        metadata[name] = {"type": metadata_type, "value": normalize(value, unrestricted=True)}
    return metadata


def _decode_text_value(body: bytes) -> JsonValue:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadRequest("attribute value type not recognized") from None
    if text.startswith('"'):
        if len(text) < 2 or not text.endswith('"'):
            raise BadRequest("Missing citation-mark at end of string")
        text = text[1:-1]
        if has_forbidden(text):
            raise BadRequest("Invalid characters in attribute value")
        return text
    if text in _TEXT_LITERALS:
        return _TEXT_LITERALS[text]
    text = text.strip()
    if not _TEXT_NUMBER.fullmatch(text):
        raise BadRequest("attribute value type not recognized")
    if text.lstrip("+-").isdigit():
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise BadRequest("attribute value type not recognized")
    return normalize_number(number)


# Decodes most attributes as `decode_member` would, and leaves it the others.
_PLAIN: Final = PlainDecoder(
    decode_member=decode_member,
    default_types=DEFAULT_TYPES,
    special_types=DATE_TYPES | GEO_TYPES | {TEXT_UNRESTRICTED},
    special_names=frozenset({DATE_EXPIRES}),
    special_metadata=frozenset({TEXT_UNRESTRICTED}),
    is_identifier=is_identifier,
    has_forbidden=has_forbidden,
    max_length=MAX_IDENTIFIER_LENGTH,
    max_nesting=MAX_NESTING,
)
_PARSER: Final = PlainParser(_PLAIN, load_document)


def check_json_body(content_type: str) -> None:
    """All operations but the update of a value take JSON alone."""
    if content_type != "application/json":
        raise UnsupportedMediaType(f"not supported content type: {content_type}")
