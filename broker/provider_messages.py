"""What goes to a context provider and what comes back, in NGSIv2 and in NGSIv1.

Pure functions between the model and bytes. Errors of a provider's answer are those of
`ngsi.errors` (ParseError, BadRequest); they tell what was wrong with the answer and never
reach a client.

Source: Orion API, sections "Query operation" and "Update operation"; for registrations with
legacyForwarding FIWARE NGSI version 1, operations queryContext and updateContext.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from ngsi.errors import BadRequest, ParseError
from ngsi.model import (
    DEFAULT_ENTITY_TYPE,
    NO_METADATA,
    Attribute,
    AttributeUpdate,
    Entity,
    EntitySelector,
    EntityUpdate,
    Metadata,
    default_type,
)
from ngsi.v1.document import as_text
from ngsi.v2.document import normalize
from ngsi.v2.entities import decode_entity_object
from ngsi.v2.fields import render_selector

QUERY: Final = "/op/query"
UPDATE: Final = "/op/update"
LEGACY_QUERY: Final = "/queryContext"
LEGACY_UPDATE: Final = "/updateContext"

# Status codes of an NGSIv2 provider that did its part of an update, and that did not all of it
# (404 no entity, 422 no such attribute).
UPDATED: Final = 204
NOT_UPDATED: Final = frozenset({404, 422})
_OK: Final = "200"
_NOTHING_FOUND: Final = "404"


def encode_query(
    selectors: Iterable[EntitySelector], attributes: Iterable[str], legacy: bool
) -> bytes:
    """The body that asks a provider for entities; no `attributes` means all."""
    if not legacy:
        entities = [render_selector(selector) for selector in selectors]
        return orjson.dumps({"entities": entities, "attrs": list(attributes)})
    entities = [_render_legacy_selector(selector) for selector in selectors]
    return orjson.dumps({"entities": entities, "attributes": list(attributes)})


def encode_update(updates: Iterable[EntityUpdate], legacy: bool) -> bytes:
    """The body that has a provider update attributes of its entities."""
    if not legacy:
        return orjson.dumps(
            {"entities": [_render_update(update) for update in updates], "actionType": "update"}
        )
    return orjson.dumps(
        {
            "contextElements": [_render_legacy_update(update) for update in updates],
            "updateAction": "UPDATE",
        }
    )


def iterate_entities(body: bytes, legacy: bool) -> Iterator[Entity]:
    """The entities of a provider's answer to a query, made one by one.

    They have no dates and no service path: those are the provider's own affair.
    """
    document = _load(body)
    if legacy:
        yield from _iterate_legacy_entities(document)
        return
    if type(document) is not list:
        raise ParseError("the answer is not a JSON array")
    for item in document:
        update = decode_entity_object(item, key_values=False)
        attributes = {
            name: Attribute(
                attribute.type or default_type(attribute.value),
                attribute.value,
                attribute.metadata or NO_METADATA,
                0.0,
                0.0,
            )
            for name, attribute in update.attributes.items()
        }
        yield make_entity(update.id, update.type or DEFAULT_ENTITY_TYPE, attributes)


def find_refused(body: bytes, updates: Iterable[EntityUpdate]) -> list[tuple[str, str]]:
    """What a legacy provider says that it did not update, as (entity id, attribute name)."""
    document = _load(body)
    if type(document) is not dict:
        raise ParseError("the answer is not a JSON object")
    sent: dict[str, list[str]] = {}
    for update in updates:
        sent.setdefault(update.id, []).extend(update.attributes)
    if "errorCode" in document:
        return [(entity_id, name) for entity_id, names in sent.items() for name in names]
    refused: list[tuple[str, str]] = []
    for element, code in _iterate_responses(document):
        entity_id = element.get("id")
        if code == _OK or type(entity_id) is not str or entity_id not in sent:
            continue
        listed = [item.get("name") for item in _dicts(element.get("attributes", []))]
        names = [name for name in sent[entity_id] if name in listed]
        refused.extend((entity_id, name) for name in names or sent[entity_id])
    return refused


def make_entity(
    entity_id: str, entity_type: str | None, attributes: dict[str, Attribute]
) -> Entity:
    """An entity that lives at a provider; without a type it has ""."""
    return Entity(entity_id, entity_type or "", "", attributes, 0.0, 0.0, -1)


def is_foreign(entity: Entity) -> bool:
    """Whether an entity of a page lives at a provider, and here not at all."""
    return not entity.created


def _load(body: bytes) -> Any:
    if not body:
        raise ParseError("the answer is empty")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ParseError("the answer is not JSON") from None


def _render_update(update: EntityUpdate) -> dict[str, Any]:
    document: dict[str, Any] = {"id": update.id}
    if update.type is not None:
        document["type"] = update.type
    for name, attribute in update.attributes.items():
        document[name] = {
            "type": _type(attribute),
            "value": attribute.value,
            "metadata": attribute.metadata or NO_METADATA,
        }
    return document


def _type(attribute: AttributeUpdate) -> str:
    return attribute.type or default_type(attribute.value)


def _render_legacy_selector(selector: EntitySelector) -> dict[str, str]:
    pattern = selector.id_pattern
    return {
        "id": (selector.id or "") if pattern is None else pattern.text,
        "isPattern": "false" if pattern is None else "true",
        "type": selector.type or "",
    }


def _render_legacy_update(update: EntityUpdate) -> dict[str, Any]:
    attributes = []
    for name, attribute in update.attributes.items():
        # NGSIv1 knows attributes without a type; a client of NGSIv2 that gives none means another.
        named_type = _type(attribute) if attribute.type is None else attribute.type
        document = {"name": name, "type": named_type, "value": attribute.value}
        if attribute.metadata:
            document["metadatas"] = [
                {"name": item, "type": content["type"], "value": content["value"]}
                for item, content in attribute.metadata.items()
            ]
        attributes.append(document)
    return {
        "id": update.id,
        "isPattern": "false",
        "type": update.type or "",
        "attributes": attributes,
    }


def _iterate_legacy_entities(document: Any) -> Iterator[Entity]:
    if type(document) is not dict:
        raise ParseError("the answer is not a JSON object")
    if "errorCode" in document:
        code = _read_code(document["errorCode"])
        if code != _NOTHING_FOUND:
            raise BadRequest(f"errorCode {code}")
        return
    for element, code in _iterate_responses(document):
        if code != _OK:
            continue
        attributes = {}
        for item in _dicts(element.get("attributes", [])):
            name = _read_text(item, "name", "attribute")
            value = as_text(item.get("value", ""))
            attributes[name] = Attribute(
                _read_type(item) or "", value, _read_metadata(item), 0.0, 0.0
            )
        yield make_entity(_read_text(element, "id", "entity"), _read_type(element), attributes)


def _iterate_responses(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """The contextElements of contextResponses with their status codes."""
    if "contextResponses" not in document:
        raise BadRequest("contextResponses is missing")
    for response in _dicts(document["contextResponses"]):
        element = response.get("contextElement")
        if type(element) is not dict:
            raise BadRequest("contextElement is not an object")
        yield element, _read_code(response.get("statusCode", {"code": _OK}))


def _read_code(status: Any) -> str:
    if type(status) is not dict or type(status.get("code")) is not str:
        raise BadRequest("code is not a string")
    code: str = status["code"]
    return code


def _read_metadata(attribute: dict[str, Any]) -> Metadata:
    items = _dicts(attribute.get("metadatas", []))
    metadata: Metadata = {}
    for item in items:
        value = normalize(item.get("value"), unrestricted=True)
        metadata[_read_text(item, "name", "metadata")] = {
            "type": _read_type(item) or default_type(value),
            "value": value,
        }
    return metadata or NO_METADATA


def _read_text(document: dict[str, Any], field: str, what: str) -> str:
    text = document.get(field)
    if type(text) is not str or not text:
        raise BadRequest(f"{what} {field} is missing or not a string")
    return text


def _read_type(document: dict[str, Any]) -> str | None:
    text = document.get("type")
    if text is not None and type(text) is not str:
        raise BadRequest("type is not a string")
    return text


def _dicts(items: Any) -> list[dict[str, Any]]:
    if type(items) is not list or not all(type(item) is dict for item in items):
        raise BadRequest("not an array of objects")
    return items
