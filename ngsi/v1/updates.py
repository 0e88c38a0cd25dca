"""The operation updateContext of NGSIv1, and the bodies of its convenience operations."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from _native.context_elements import ElementDecoder, encode_answer
from ngsi.errors import BadRequest
from ngsi.model import AttributeUpdate, EntityUpdate, UpdateAction
from ngsi.syntax import MAX_IDENTIFIER_LENGTH, has_forbidden
from ngsi.v1.document import COMPOUND, TEXT, load_document
from ngsi.v1.elements import (
    ATTRIBUTE_FIELDS,
    ELEMENT_FIELDS,
    METADATA_FIELDS,
    Element,
    decode_attributes,
    decode_element,
    decode_metadata,
    render_entity_id,
    render_updated,
)
from ngsi.v1.status import StatusCode

_UPDATE_FIELDS: Final = {"contextElements": [ELEMENT_FIELDS], "updateAction": TEXT}
_ATTRIBUTES_FIELDS: Final = {
    "type": TEXT,
    "isPattern": TEXT,
    "id": TEXT,
    "attributes": [ATTRIBUTE_FIELDS],
}
_VALUE_FIELDS: Final = {"type": TEXT, "value": COMPOUND, "metadatas": [METADATA_FIELDS]}
_ACTIONS: Final = {
    "UPDATE": UpdateAction.UPDATE,
    "APPEND": UpdateAction.APPEND,
    "DELETE": UpdateAction.DELETE,
    "APPEND_STRICT": UpdateAction.APPEND_STRICT,
    "REPLACE": UpdateAction.REPLACE,
}
_PLAIN: Final = ElementDecoder(has_forbidden=has_forbidden, max_length=MAX_IDENTIFIER_LENGTH)
# The answer to updates of `decode_plain_update` that were all done.
encode_plain_answer: Final = encode_answer
ACTION_NAMES: Final = {action: name for name, action in _ACTIONS.items()}


def decode_plain_update(body: bytes) -> tuple[UpdateAction, list[EntityUpdate]] | None:
    """The action and the updates of updateContext, if it is a plain one: each element has an id
    and each attribute a name, a type and a text, and no metadata."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(document) is not dict or document.keys() != _UPDATE_FIELDS.keys():
        return None
    name = document["updateAction"]
    action = _ACTIONS.get(name) if type(name) is str else None
    updates = _PLAIN.decode(document["contextElements"])
    if action is None or not updates:
        return None
    return action, updates


def decode_update(body: bytes) -> tuple[UpdateAction, list[Element]]:
    """The action and the context elements of updateContext; raises BadRequest."""
    document = load_document(body, _UPDATE_FIELDS)
    elements = document.get("contextElements")
    if not elements:
        raise BadRequest("No context elements")
    decoded = [decode_element(element) for element in elements]
    return read_action(document.get("updateAction", "")), decoded


def read_action(name: str) -> UpdateAction:
    """The action of that name, in any case; raises BadRequest."""
    action = _ACTIONS.get(name.upper())
    if action is None:
        raise BadRequest(f"invalid update action: /{name}/" if name else "empty update action type")
    return action


def decode_element_body(body: bytes) -> tuple[str, str, EntityUpdate]:
    """The body of POST and PUT of an entity: its id and type, "" where the URL has them, and
    the update without them; raises BadRequest."""
    document = load_document(body, _ATTRIBUTES_FIELDS)
    attributes, repeated = decode_attributes(document.get("attributes", ()))
    if repeated is not None:
        raise BadRequest(f"duplicated attribute /{repeated}/")
    return document.get("id", ""), document.get("type", ""), EntityUpdate("", None, attributes)


def decode_attribute_body(body: bytes) -> AttributeUpdate:
    """The body of POST and PUT of one attribute; raises BadRequest."""
    document = load_document(body, _VALUE_FIELDS)
    metadatas = document.get("metadatas")
    metadata = decode_metadata(metadatas) if metadatas else None
    return AttributeUpdate(document.get("type", "") or None, document.get("value"), metadata)


class ElementStatus(NamedTuple):
    """What became of a context element: the entity that it was about, and the status."""

    update: EntityUpdate
    status: StatusCode


def render_update_answer(outcomes: list[ElementStatus], as_object: bool) -> dict[str, Any]:
    """The answer of updateContext."""
    return {
        "contextResponses": [
            {
                "contextElement": _render_element(outcome.update, as_object),
                "statusCode": outcome.status.render(),
            }
            for outcome in outcomes
        ]
    }


def _render_element(update: EntityUpdate, as_object: bool) -> dict[str, Any]:
    document = render_entity_id(update.id, update.type)
    if update.attributes:
        document["attributes"] = render_updated(update, as_object)
    return document
