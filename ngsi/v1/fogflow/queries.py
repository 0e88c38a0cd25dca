"""The operation queryContext in FogFlow's spelling: `{"entities", "attributes", "restriction"}`.

An entity with `isPattern` true is asked for by regular expressions, of its id and of its type;
a type that is a plain name is meant as that name, also where FogFlow would find it in others.
Source: FogFlow, common/ngsi and discovery.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from ngsi.errors import BadRequest
from ngsi.model import Entity, EntitySelector
from ngsi.patterns import InvalidPattern, Pattern, compile_pattern
from ngsi.syntax import check_length
from ngsi.v1.fogflow.document import (
    load_request,
    read_flag,
    read_object,
    read_objects,
    read_text,
    read_texts,
    render_status,
)
from ngsi.v1.fogflow.elements import render_element
from ngsi.v1.fogflow.restrictions import Scopes, decode_scopes
from ngsi.v1.status import STATUS_OK

_PLAIN_NAME: Final = re.compile(r"[\w:.-]+")
_ANY: Final = ".*"


@dataclass(slots=True, frozen=True)
class ContextQuery:
    """What queryContext asks for: entities that have all the `attributes`."""

    selectors: tuple[EntitySelector, ...]
    attributes: tuple[str, ...]
    scopes: Scopes


def decode_query(body: bytes) -> ContextQuery:
    """The body of queryContext; raises ParseError and BadRequest."""
    document = load_request(body)
    attributes = read_texts(document, "attributes")
    return ContextQuery(
        decode_selectors(document),
        attributes,
        decode_scopes(read_object(document, "restriction"), attributes),
    )


def decode_selectors(document: dict[str, Any]) -> tuple[EntitySelector, ...]:
    """The field entities of a request, without repetitions; raises ParseError and BadRequest."""
    selectors = {_decode_selector(item): None for item in read_objects(document, "entities")}
    if not selectors:
        raise BadRequest("empty entityId vector")
    return tuple(selectors)


def _decode_selector(document: dict[str, Any]) -> EntitySelector:
    entity_id = read_text(document, "id")
    id_pattern = read_text(document, "idPattern")
    entity_type = read_text(document, "type")
    check_length(entity_type, "entity type")
    is_pattern = read_flag(document, "isPattern") or bool(id_pattern)
    if is_pattern:
        pattern = _compile(id_pattern or entity_id or _ANY, "id")
        if not entity_type or _PLAIN_NAME.fullmatch(entity_type):
            return EntitySelector(None, pattern, entity_type or None)
        return EntitySelector(None, pattern, None, _compile(entity_type, "type"))
    if not entity_id:
        if not entity_type:
            raise BadRequest("empty entityId:id")
        return EntitySelector(None, _compile(_ANY, "id"), entity_type)
    check_length(entity_id, "entity id")
    return EntitySelector(entity_id, None, entity_type or None)


def _compile(text: str, what: str) -> Pattern:
    try:
        return compile_pattern(text)
    except InvalidPattern:
        raise BadRequest(f"invalid regex for entity {what} pattern") from None


def render_selector(selector: EntitySelector) -> dict[str, Any]:
    """An entity that a subscription or registration is about."""
    document: dict[str, Any] = {"id": selector.id or "", "isPattern": selector.id is None}
    if selector.id is None and selector.id_pattern is not None:
        document["id"] = selector.id_pattern.text
    if selector.type is not None:
        document["type"] = selector.type
    elif selector.type_pattern is not None:
        document["type"] = selector.type_pattern.text
    return document


def render_response(entity: Entity, wanted: tuple[str, ...]) -> dict[str, Any]:
    """One of the contextResponses of an answer."""
    element = render_element(entity.id, entity.type, entity.attributes, wanted)
    return {"contextElement": element, "statusCode": render_status(STATUS_OK)}
