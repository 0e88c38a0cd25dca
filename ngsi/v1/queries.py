"""The operation queryContext of NGSIv1, and what its convenience operations answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ngsi.errors import BadRequest
from ngsi.model import Attribute, Entity, EntitySelector
from ngsi.patterns import InvalidPattern, compile_pattern
from ngsi.syntax import check_length
from ngsi.v1.document import TEXT, load_document
from ngsi.v1.elements import EMPTY_ID, read_is_pattern, render_attributes, render_entity_id
from ngsi.v1.restrictions import RESTRICTION_FIELDS, Restriction, decode_restriction
from ngsi.v1.status import STATUS_OK

ENTITY_FIELDS: Final = {"id": TEXT, "type": TEXT, "isPattern": TEXT}
_QUERY_FIELDS: Final = {
    "entities": [ENTITY_FIELDS],
    "attributes": [TEXT],
    "restriction": RESTRICTION_FIELDS,
}
_ANY_TYPE: Final = compile_pattern(".+")


@dataclass(slots=True, frozen=True)
class ContextQuery:
    """What queryContext asks for; `attributes` empty: all."""

    selectors: tuple[EntitySelector, ...]
    attributes: tuple[str, ...]
    restriction: Restriction


def decode_query(body: bytes) -> ContextQuery:
    """The body of queryContext; raises BadRequest."""
    document = load_document(body, _QUERY_FIELDS)
    restriction = decode_restriction(document.get("restriction"))
    return ContextQuery(
        decode_selectors(document.get("entities", ()), restriction.has_type),
        decode_names(document.get("attributes", ())),
        restriction,
    )


def decode_selectors(
    documents: Iterable[dict[str, Any]], has_type: bool | None = None
) -> tuple[EntitySelector, ...]:
    """The field entities of a request; raises BadRequest. `has_type` as in Restriction."""
    selectors = tuple(_decode_selector(document, has_type) for document in documents)
    if not selectors:
        raise BadRequest("No entities")
    return selectors


def decode_names(names: Iterable[str]) -> tuple[str, ...]:
    """A list of names of attributes, without repetitions; raises BadRequest for an empty one."""
    if not all(names):
        raise BadRequest("empty attribute name")
    return tuple(dict.fromkeys(names))


def _decode_selector(document: dict[str, Any], has_type: bool | None) -> EntitySelector:
    entity_id = document.get("id", "")
    if not entity_id:
        raise BadRequest(EMPTY_ID)
    entity_type = document.get("type", "")
    check_length(entity_type, "entity type")
    if read_is_pattern(document):
        return select(entity_type, has_type, id_pattern=entity_id)
    check_length(entity_id, "entity id")
    return select(entity_type, has_type, entity_id=entity_id)


def select(
    entity_type: str,
    has_type: bool | None = None,
    entity_id: str | None = None,
    id_pattern: str | None = None,
) -> EntitySelector:
    """The selector of a request; an `entity_type` of "" is any. Raises BadRequest."""
    pattern = None
    if id_pattern is not None:
        try:
            pattern = compile_pattern(id_pattern)
        except InvalidPattern:
            raise BadRequest("invalid regex for entity id pattern") from None
    if entity_type:
        return EntitySelector(entity_id, pattern, entity_type)
    if has_type is None:
        return EntitySelector(entity_id, pattern)
    if has_type:
        return EntitySelector(entity_id, pattern, None, _ANY_TYPE)
    return EntitySelector(entity_id, pattern, "")


def select_attributes(entity: Entity, wanted: tuple[str, ...]) -> Iterable[tuple[str, Attribute]]:
    """The attributes of an entity that are asked for, all if none is named.

    Those of this broker come in the order of their names, as Orion 3 has them of its database.
    """
    shown = [item for item in entity.attributes.items() if not wanted or item[0] in wanted]
    shown.sort(key=_database_order)
    return shown


def _database_order(item: tuple[str, Attribute]) -> tuple[bool, str]:
    name, attribute = item
    is_foreign = not attribute.created  # of a context provider
    return is_foreign, "" if is_foreign else name


def render_element_answer(
    entity: Entity, wanted: tuple[str, ...], as_object: bool
) -> dict[str, Any]:
    """One context element of an answer and its status."""
    element = render_entity_id(entity.id, entity.type)
    attributes = list(select_attributes(entity, wanted))
    if attributes:
        element["attributes"] = render_attributes(attributes, as_object)
    return {"contextElement": element, "statusCode": STATUS_OK.render()}
