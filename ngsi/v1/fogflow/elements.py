"""Context elements in FogFlow's spelling to the model's updates and back.

    {"entityId": {"id", "type", "isPattern": bool},
     "attributes": [{"name", "type", "value", "metadata": [{"name", "type", "value"}]}],
     "domainMetadata": [{"name", "type", "value"}]}

Domain metadata are attributes of the model, too, which have NGSI9's isDomain for metadata; so all
names of an entity are different. The one called location is a location of the model.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ngsi.errors import BadRequest
from ngsi.geometry import GEO_TYPES
from ngsi.instants import DATE_TYPES, canonical_instant
from ngsi.json_value import JsonValue
from ngsi.model import Attribute, AttributeUpdate, EntityUpdate, Metadata
from ngsi.v1.fogflow.document import (
    read_flag,
    read_identifier,
    read_object,
    read_objects,
)
from ngsi.v1.fogflow.places import GEOJSON, PLACES, from_geojson, to_geojson
from ngsi.v2.document import normalize

IS_DOMAIN: Final = "isDomain"
LOCATION: Final = "location"
DOMAIN_METADATA: Final = "domainMetadata"
COMMAND: Final = "command"  # the type of attributes whose updates are for devices
_DOMAIN: Final[Metadata] = {IS_DOMAIN: {"type": "Boolean", "value": True}}


class ContextElement(NamedTuple):
    """A context element of a request. `update.type` is None for a type that is not given.

    `is_flat`: in Orion's spelling. `is_empty`: without attributes and domain metadata, as FogFlow
    tells of an entity that was deleted.
    """

    update: EntityUpdate
    is_pattern: bool
    is_flat: bool
    is_empty: bool


def decode_element(document: dict[str, Any]) -> ContextElement:
    """A context element; raises ParseError and BadRequest."""
    is_flat = "entityId" not in document
    identity = document if is_flat else read_object(document, "entityId")
    entity_id = read_identifier(identity, "id", "entity id")
    if not entity_id:
        raise BadRequest("empty entityId:id")
    entity_type = read_identifier(identity, "type", "entity type")
    attributes: dict[str, AttributeUpdate] = {}
    for item in read_objects(document, "attributes"):
        _add(attributes, item, _decode_attribute(item))
    for item in read_objects(document, DOMAIN_METADATA):
        _add(attributes, item, _decode_domain_metadata(item))
    update = EntityUpdate(entity_id, entity_type or None, attributes)
    return ContextElement(update, read_flag(identity, "isPattern"), is_flat, not attributes)


def _add(
    attributes: dict[str, AttributeUpdate], document: dict[str, Any], attribute: AttributeUpdate
) -> None:
    name = read_identifier(document, "name", "attribute name")
    if not name:
        raise BadRequest("missing attribute name")
    if name in attributes:
        raise BadRequest(f"duplicated attribute /{name}/")
    attributes[name] = attribute


def _decode_attribute(document: dict[str, Any]) -> AttributeUpdate:
    attribute_type = read_identifier(document, "type", "attribute type")
    value = _read_value(attribute_type, document.get("value"))
    metadata = _decode_metadata(document)
    return AttributeUpdate(attribute_type or None, value, metadata)


def _decode_domain_metadata(document: dict[str, Any]) -> AttributeUpdate:
    kind = read_identifier(document, "type", "attribute type")
    value = document.get("value")
    if document.get("name") == LOCATION and kind.lower() in PLACES and value is not None:
        place = to_geojson(kind.lower(), value, f"domain metadata {LOCATION}")
        return AttributeUpdate(GEOJSON, place, _DOMAIN)
    return AttributeUpdate(kind or None, _read_value(kind, value), _DOMAIN)


def _decode_metadata(document: dict[str, Any]) -> Metadata | None:
    items = read_objects(document, "metadata") or read_objects(document, "metadatas")
    if not items:
        return None
    metadata: Metadata = {}
    for item in items:
        name = read_identifier(item, "name", "metadata name")
        if not name:
            raise BadRequest("missing metadata name")
        kind = read_identifier(item, "type", "metadata type")
        metadata[name] = {"type": kind, "value": _read_value(kind, item.get("value"))}
    return metadata


def _read_value(kind: str, value: Any) -> JsonValue:
    if kind in DATE_TYPES and value is not None:
        text = canonical_instant(value) if type(value) is str else None
        if text is None:
            raise BadRequest("date has invalid format in attribute value")
        return text
    return normalize(value, unrestricted=True)


def is_domain(name: str, attribute: Attribute) -> bool:
    """Whether an attribute is domain metadata: by metadata, or as the location of its entity."""
    mark = attribute.metadata.get(IS_DOMAIN)
    if mark is not None:
        return mark["value"] is True
    return name == LOCATION and attribute.type in GEO_TYPES


def render_entity_id(entity_id: str, entity_type: str | None) -> dict[str, Any]:
    """The field entityId."""
    return {"id": entity_id, "type": entity_type or "", "isPattern": False}


def render_element(
    entity_id: str,
    entity_type: str,
    attributes: dict[str, Attribute],
    wanted: tuple[str, ...] = (),
) -> dict[str, Any]:
    """A context element with the attributes that are `wanted`, all if none is named.

    Domain metadata are always shown, as FogFlow does.
    """
    shown, domain = [], []
    for name, attribute in attributes.items():
        if is_domain(name, attribute):
            domain.append(_render_domain_metadata(name, attribute))
        elif not wanted or name in wanted:
            shown.append(_render_attribute(name, attribute))
    document = {"entityId": render_entity_id(entity_id, entity_type), "attributes": shown}
    if domain:
        document[DOMAIN_METADATA] = domain
    return document


def render_member(name: str, attribute: Attribute) -> dict[str, Any]:
    """One attribute or one of the domain metadata."""
    if is_domain(name, attribute):
        return _render_domain_metadata(name, attribute)
    return _render_attribute(name, attribute)


def _render_attribute(name: str, attribute: Attribute) -> dict[str, Any]:
    document = {"name": name, "type": attribute.type, "value": attribute.value}
    if attribute.metadata:
        document["metadata"] = [
            {"name": item, "type": fields["type"], "value": fields["value"]}
            for item, fields in attribute.metadata.items()
        ]
    return document


def _render_domain_metadata(name: str, attribute: Attribute) -> dict[str, Any]:
    kind, value = attribute.type, attribute.value
    if kind == GEOJSON:
        kind, value = from_geojson(value) or (kind, value)
    return {"name": name, "type": kind, "value": value}
