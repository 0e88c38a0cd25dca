"""The model to NGSIv2 documents: representations, attribute and metadata filters, builtins.

Source: Orion API, sections "Simplified Entity Representation", "Filtering out attributes and
metadata", "Builtin Attributes", "Builtin Metadata", "User attributes or metadata matching
builtin name". A document is made of plain dicts and lists for orjson; it shares values with
the model and must not be changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import orjson

from _native.rendering import EntityEncoder
from ngsi.geometry import rendered_geometry
from ngsi.instants import format_instant
from ngsi.json_value import JsonValue
from ngsi.model import (
    ACTION_TYPE,
    ALTERATION_TYPE,
    DATE_CREATED,
    DATE_EXPIRES,
    DATE_MODIFIED,
    DEFAULT_ENTITY_TYPE,
    NO_METADATA,
    PREVIOUS_VALUE,
    SERVICE_PATH,
    AlterationType,
    Attribute,
    Entity,
    EntityEvent,
    Metadata,
    default_type,
)

ALL: Final = "*"
_BUILTIN_METADATA: Final = frozenset({DATE_CREATED, DATE_MODIFIED, PREVIOUS_VALUE, ACTION_TYPE})
_UPDATES: Final = frozenset({AlterationType.CHANGE, AlterationType.UPDATE})


class Representation(Enum):
    """How entities are shown; the values are the names in `options` and `attrsFormat`."""

    NORMALIZED = "normalized"
    KEY_VALUES = "keyValues"
    VALUES = "values"
    UNIQUE = "unique"
    LEGACY = "legacy"  # NGSIv1's, which `ngsi.v1.notifications` renders
    FOGFLOW = "fogflow"  # FogFlow's, which `ngsi.v1.fogflow.notifications` renders


# A member of an enumeration costs ten times as much to reach as a global (Python 3.11).
_NORMALIZED: Final = Representation.NORMALIZED
_KEY_VALUES: Final = Representation.KEY_VALUES
_ARRAYS: Final = (Representation.VALUES, Representation.UNIQUE)


@dataclass(slots=True, frozen=True)
class View:
    """What of an entity is shown, and how.

    `attributes` and `metadata` are lists of names in the order asked for; empty means all
    that users made, "*" stands for them beside builtins.
    """

    representation: Representation = Representation.NORMALIZED
    attributes: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    except_attributes: frozenset[str] = frozenset()


WHOLE: Final = View()


def render_entity(entity: Entity, view: View, event: EntityEvent | None = None) -> Any:
    """The document of an entity; with `event`, of its state in a notification."""
    attributes = entity.attributes if event is None else event.attributes
    shown = _select_attributes(entity, attributes, view, event)
    if view.representation is _NORMALIZED:
        document: dict[str, Any] = {"id": entity.id, "type": entity.type or DEFAULT_ENTITY_TYPE}
        if not view.metadata:
            for name, attribute in shown:
                document[name] = {
                    "type": attribute.type or default_type(attribute.value),
                    "value": _shown_value(attribute),
                    "metadata": attribute.metadata,
                }
        else:
            for name, attribute in shown:
                document[name] = render_attribute(name, attribute, view.metadata, event)
        return document
    if view.representation is _KEY_VALUES:
        document = {"id": entity.id, "type": entity.type or DEFAULT_ENTITY_TYPE}
        for name, attribute in shown:
            document[name] = _shown_value(attribute)
        return document
    values = [_shown_value(attribute) for _, attribute in shown]
    if view.representation is Representation.VALUES:
        return values
    unique = {orjson.dumps(value, option=orjson.OPT_SORT_KEYS): value for value in values}
    return list(unique.values())


def encode_entity(entity: Entity, view: View, event: EntityEvent | None = None) -> bytes:
    """The JSON text of the document of `render_entity`."""
    if has_plain_text(view):
        is_normalized = view.representation is _NORMALIZED
        text = ENCODER.encode(entity, event, view.attributes, view.except_attributes, is_normalized)
        if text is not None:
            return text
    return orjson.dumps(render_entity(entity, view, event))


def has_plain_text(view: View) -> bool:
    """Whether the native encoder can show it."""
    wanted = view.attributes
    return (
        (view.representation is _NORMALIZED and not view.metadata)
        or view.representation is _KEY_VALUES
    ) and (not wanted or (ALL not in wanted and len(set(wanted)) == len(wanted)))


def select_shown(
    entity: Entity, view: View, event: EntityEvent | None = None
) -> list[tuple[str, Attribute, Metadata]]:
    """What a view shows of an entity, as in `render_entity`, for other spellings of it."""
    attributes = entity.attributes if event is None else event.attributes
    return [
        (
            name,
            attribute,
            _select_metadata(name, attribute, view.metadata, event)
            if view.metadata
            else attribute.metadata,
        )
        for name, attribute in _select_attributes(entity, attributes, view, event)
    ]


def render_attribute(
    name: str,
    attribute: Attribute,
    metadata_filter: Sequence[str] = (),
    event: EntityEvent | None = None,
) -> dict[str, Any]:
    """The normalized document of one attribute."""
    metadata = attribute.metadata
    if metadata_filter:
        metadata = _select_metadata(name, attribute, metadata_filter, event)
    return {
        "type": attribute.type or default_type(attribute.value),
        "value": _shown_value(attribute),
        "metadata": metadata,
    }


def _shown_value(attribute: Attribute) -> JsonValue:
    value = attribute.value
    if attribute.type == "geo:json" and type(value) is dict and not ignores_type(attribute):
        return rendered_geometry(value)
    return value


def shown_value(attribute: Attribute) -> JsonValue:
    """The value as responses show it (of a GeoJSON Feature only the geometry)."""
    return _shown_value(attribute)


def ignores_type(attribute: Attribute) -> bool:
    """Whether the metadata ignoreType takes the special meaning from the type."""
    metadata = attribute.metadata
    return "ignoreType" in metadata and metadata["ignoreType"]["value"] is True


def _select_attributes(
    entity: Entity,
    attributes: dict[str, Attribute],
    view: View,
    event: EntityEvent | None,
) -> list[tuple[str, Attribute]]:
    wanted = view.attributes
    if not wanted:
        excluded = view.except_attributes
        selected = [
            item
            for item in attributes.items()
            if item[0] != DATE_EXPIRES and item[0] not in excluded
        ]
        # The arrays of the values representations follow the names, for want of another order.
        if view.representation in _ARRAYS:
            selected.sort(key=lambda item: item[0])
        return selected
    selected = []
    if ALL in wanted:
        selected = [item for item in attributes.items() if item[0] != DATE_EXPIRES]
        if view.representation in _ARRAYS:
            selected.sort(key=lambda item: item[0])
        present = {name for name, _ in selected}
        for name in wanted:
            if name not in present and name != ALL:
                attribute = attributes.get(name) or builtin_attribute(entity, name, event)
                if attribute is not None:
                    selected.append((name, attribute))
        return selected
    for name in wanted:
        attribute = attributes.get(name) or builtin_attribute(entity, name, event)
        if attribute is not None:
            selected.append((name, attribute))
    return selected


def builtin_attribute(
    entity: Entity, name: str, event: EntityEvent | None = None
) -> Attribute | None:
    """The builtin attribute of that name, None if there is none."""
    if not entity.created and event is None:
        return None  # it lives at a context provider, which keeps its dates and path to itself
    if name == DATE_CREATED:
        return _date_attribute(entity.created)
    if name == DATE_MODIFIED:
        return _date_attribute(entity.modified)
    if name == SERVICE_PATH:
        return Attribute("Text", entity.service_path, NO_METADATA, 0.0, 0.0)
    if name == ALTERATION_TYPE and event is not None:
        return Attribute("Text", event.alteration.value, NO_METADATA, 0.0, 0.0)
    return None


ENCODER: Final = EntityEncoder(
    builtin_attribute=builtin_attribute,
    builtins=frozenset({DATE_CREATED, DATE_MODIFIED, SERVICE_PATH, ALTERATION_TYPE}),
    shown_value=shown_value,
    place_type="geo:json",
    hidden=DATE_EXPIRES,
    default_type=default_type,
    default_entity_type=DEFAULT_ENTITY_TYPE,
)


def _date_attribute(seconds: float) -> Attribute:
    return Attribute("DateTime", format_instant(seconds), NO_METADATA, 0.0, 0.0)


def _select_metadata(
    name: str, attribute: Attribute, wanted: Sequence[str], event: EntityEvent | None
) -> Metadata:
    own = attribute.metadata
    selected: Metadata = dict(own) if ALL in wanted else {}
    for item in wanted:
        if item in own:
            selected[item] = own[item]
        elif item in _BUILTIN_METADATA:
            builtin = _builtin_metadata(name, attribute, item, event)
            if builtin is not None:
                selected[item] = builtin
    return selected


def _builtin_metadata(
    name: str, attribute: Attribute, item: str, event: EntityEvent | None
) -> dict[str, JsonValue] | None:
    if item in (DATE_CREATED, DATE_MODIFIED):
        seconds = attribute.created if item == DATE_CREATED else attribute.modified
        # Builtin attributes have no dates of their own.
        return {"type": "DateTime", "value": format_instant(seconds)} if seconds else None
    if event is None:
        return None
    if item == ACTION_TYPE:
        action = event.actions.get(name)
        return None if action is None else {"type": "Text", "value": action}
    previous = event.previous.get(name)
    is_update = event.alteration in _UPDATES and name in event.attributes
    if previous is None and is_update and name not in event.actions:
        previous = attribute  # not in the request, so it was what it is
    return None if previous is None else {"type": previous.type, "value": previous.value}
