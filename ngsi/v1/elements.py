"""Context elements of NGSIv1, in Orion's spelling, to the model's updates and back.

A context element is `{"type", "isPattern", "id", "attributes": [{"name", "type", "value",
"metadatas": [{"name", "type", "value"}]}]}`, all scalars text. With attributeFormat=object the
attributes of an answer are an object by their names.
Source: Orion 3.4, NGSIv1 payloads; NGSI-10 1.0, ContextElement.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from ngsi.errors import BadRequest
from ngsi.json_value import JsonValue
from ngsi.model import Attribute, AttributeUpdate, EntityUpdate, Metadata
from ngsi.syntax import check_length
from ngsi.v1.document import COMPOUND, TEXT

METADATA_FIELDS: Final = {"name": TEXT, "type": TEXT, "value": COMPOUND}
ATTRIBUTE_FIELDS: Final = {
    "name": TEXT,
    "type": TEXT,
    "value": COMPOUND,
    "metadatas": [METADATA_FIELDS],
}
ELEMENT_FIELDS: Final = {
    "type": TEXT,
    "isPattern": TEXT,
    "id": TEXT,
    "attributes": [ATTRIBUTE_FIELDS],
}
_MISSPELT: Final = "WSG84"  # how an early Orion wrote the name of the coordinates
EMPTY_ID: Final = "empty entityId:id"


class Element(NamedTuple):
    """A context element of a request. `update.type` is None for a type that is not given.

    `repeated` is the name that two of the attributes have, if any.
    """

    update: EntityUpdate
    is_pattern: bool = False
    repeated: str | None = None


def read_is_pattern(document: dict[str, Any]) -> bool:
    """The field isPattern; raises BadRequest."""
    text = document.get("isPattern", "")
    if text in ("", "false", "False"):
        return False
    if text in ("true", "True"):
        return True
    raise BadRequest(f"invalid isPattern value for entity: /{text}/")


def decode_element(document: dict[str, Any]) -> Element:
    """A context element; raises BadRequest."""
    entity_id = document.get("id", "")
    if not entity_id:
        raise BadRequest(EMPTY_ID)
    is_pattern = read_is_pattern(document)
    check_length(entity_id, "entity id")
    entity_type = document.get("type", "") or None
    if entity_type is not None:
        check_length(entity_type, "entity type")
    attributes, repeated = decode_attributes(document.get("attributes", ()))
    return Element(EntityUpdate(entity_id, entity_type, attributes), is_pattern, repeated)


def decode_attributes(
    documents: Iterable[dict[str, Any]],
) -> tuple[dict[str, AttributeUpdate], str | None]:
    """Attributes by their names, and the name that stands twice, if one does."""
    attributes: dict[str, AttributeUpdate] = {}
    repeated = None
    for document in documents:
        name = document.get("name", "")
        if not name:
            raise BadRequest("missing attribute name")
        check_length(name, "attribute name")
        if name in attributes:
            repeated = name
        attributes[name] = decode_attribute(document)
    return attributes, repeated


def decode_attribute(document: dict[str, Any]) -> AttributeUpdate:
    """An attribute without its name. `type` is None and `value` None for what is not given."""
    attribute_type = document.get("type", "")
    check_length(attribute_type, "attribute type")
    metadatas = document.get("metadatas")
    metadata = decode_metadata(metadatas) if metadatas else None
    return AttributeUpdate(attribute_type or None, document.get("value"), metadata)


def decode_metadata(documents: Iterable[dict[str, Any]]) -> Metadata:
    """Metadata by their names; raises BadRequest."""
    metadata: Metadata = {}
    for document in documents:
        name = document.get("name", "")
        if not name:
            raise BadRequest("missing metadata name")
        check_length(name, "metadata name")
        metadata_type = document.get("type", "")
        check_length(metadata_type, "metadata type")
        value = document.get("value")
        if value is None or value == "":
            raise BadRequest("missing metadata value")
        metadata[name] = {"type": metadata_type, "value": value}
    return metadata


def render_entity_id(entity_id: str, entity_type: str | None) -> dict[str, Any]:
    """The fields that name an entity."""
    return {"type": entity_type or "", "isPattern": "false", "id": entity_id}


def render_attributes(
    attributes: Iterable[tuple[str, Attribute]], as_object: bool
) -> list[dict[str, Any]] | dict[str, Any]:
    """The field attributes of an answer."""
    rendered = (
        (name, render_attribute(attribute.type, attribute.value, sort_metadata(attribute.metadata)))
        for name, attribute in attributes
    )
    if as_object:
        return dict(rendered)
    return [{"name": name, **document} for name, document in rendered]


def sort_metadata(metadata: Metadata) -> Metadata:
    """The metadata by their names, as Orion 3 has them of its database."""
    mark = metadata.get("location")
    if mark is not None and mark["value"] == _MISSPELT:
        metadata = {**metadata, "location": {**mark, "value": "WGS84"}}
    return dict(sorted(metadata.items())) if len(metadata) > 1 else metadata


def render_updated(update: EntityUpdate, as_object: bool) -> list[dict[str, Any]] | dict[str, Any]:
    """The attributes of an update as its answer names them, without their values."""
    if as_object:
        return {
            name: render_attribute(attribute.type or "", "", attribute.metadata)
            for name, attribute in update.attributes.items()
        }
    return [
        {"name": name, **render_attribute(attribute.type or "", "", attribute.metadata)}
        for name, attribute in update.attributes.items()
    ]


def render_attribute(
    attribute_type: str, value: JsonValue, metadata: Metadata | None
) -> dict[str, Any]:
    """An attribute without its name."""
    document: dict[str, Any] = {"type": attribute_type, "value": value}
    if metadata:
        document["metadatas"] = [
            {"name": name, "type": item["type"], "value": item["value"]}
            for name, item in metadata.items()
        ]
    return document
