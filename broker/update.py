"""One update of one entity: what its attributes become, computed before anything changes.

Pure functions of the stored attributes and the request. The engine validates the outcome
(`EntityChange`) and applies it as a whole or not at all.
Source: Orion API, sections "Metadata update semantics" and "Update operators".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import orjson

from ngsi.errors import BadRequest
from ngsi.instants import DATE_TYPES, canonical_instant
from ngsi.model import (
    NO_METADATA,
    Attribute,
    AttributeUpdate,
    JsonValue,
    Metadata,
    UpdateAction,
    default_type,
)
from ngsi.operators import ABSENT, apply_operation, initial_value, is_operation

_APPENDED: Final = "append"
_UPDATED: Final = "update"


@dataclass(slots=True, frozen=True)
class UpdateOptions:
    """The options of an update request."""

    override_metadata: bool = False
    forced: bool = False  # forcedUpdate: count as a change what is none


@dataclass(slots=True)
class EntityChange:
    """What an update makes of an entity's attributes.

    `attributes` is the whole new set; `touched` are the attributes to store, `removed` those
    that are gone; `missing` and `existing` are names of the request that do not, or already,
    exist and were left alone because of that.
    """

    attributes: dict[str, Attribute]
    touched: dict[str, Attribute] = field(default_factory=dict)
    removed: dict[str, Attribute] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    existing: list[str] = field(default_factory=list)
    updated: set[str] = field(default_factory=set)
    changed_values: set[str] = field(default_factory=set)
    changed_metadata: set[str] = field(default_factory=set)
    previous: dict[str, Attribute] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)

    @property
    def is_change(self) -> bool:
        """Whether the stored state becomes another."""
        return bool(self.changed_values or self.changed_metadata)


def compute_change(
    current: dict[str, Attribute],
    updates: dict[str, AttributeUpdate],
    action: UpdateAction,
    options: UpdateOptions,
    now: float,
) -> EntityChange:
    """What `action` with `updates` makes of the attributes of an existing entity."""
    if action is UpdateAction.REPLACE:
        return _compute_replacement(current, updates, now)
    change = EntityChange(dict(current))
    for name, update in updates.items():
        attribute = current.get(name)
        if action is UpdateAction.DELETE:
            if attribute is None:
                change.missing.append(name)
                continue
            del change.attributes[name]
            change.removed[name] = change.previous[name] = attribute
            change.changed_values.add(name)
            change.changed_metadata.add(name)
        elif attribute is None:
            change.missing.append(name)
            if action is UpdateAction.UPDATE:
                continue
            created = new_attribute(update, now)
            if created is None:
                continue
            _put(change, name, created, None, _APPENDED)
        elif action is UpdateAction.APPEND_STRICT:
            change.existing.append(name)
            continue
        else:
            # An operation counts as a change whatever comes out: Orion leaves it to the database.
            forced = options.forced or is_operation(update.value)
            merged = _merge(attribute, update, options, forced, now)
            _put(change, name, merged, attribute, _UPDATED, forced)
        change.updated.add(name)
    if action is not UpdateAction.UPDATE and action is not UpdateAction.DELETE:
        change.missing.clear()
    return change


def _compute_replacement(
    current: dict[str, Attribute], updates: dict[str, AttributeUpdate], now: float
) -> EntityChange:
    change = EntityChange({})
    for name, update in updates.items():
        former = current.get(name)
        attribute = new_attribute(update, now)
        if attribute is None:
            continue
        change.attributes[name] = change.touched[name] = attribute
        change.updated.add(name)
        change.changed_values.add(name)
        change.changed_metadata.add(name)
        change.actions[name] = _APPENDED if former is None else _UPDATED
        if former is not None:
            change.previous[name] = former
    for name, former in current.items():
        if name not in change.attributes:
            change.removed[name] = change.previous[name] = former
            change.updated.add(name)
            change.changed_values.add(name)
    return change


def new_attribute(update: AttributeUpdate, now: float) -> Attribute | None:
    """The attribute that an update creates; None for an operation that creates nothing."""
    value = update.value
    if is_operation(value):
        value = initial_value(value, update.type or "")
        if value is ABSENT:
            return None
    return Attribute(
        update.type or default_type(value), value, update.metadata or NO_METADATA, now, now
    )


def _put(
    change: EntityChange,
    name: str,
    attribute: Attribute,
    former: Attribute | None,
    action: str,
    forced: bool = False,
) -> None:
    change.actions[name] = action
    if former is None:
        change.changed_values.add(name)
        change.changed_metadata.add(name)
    else:
        change.previous[name] = former
        if attribute is former:
            return
        if (
            forced
            or attribute.type != former.type
            or not equal_values(attribute.value, former.value)
        ):
            change.changed_values.add(name)
        if attribute.metadata is not former.metadata:
            change.changed_metadata.add(name)
    change.attributes[name] = change.touched[name] = attribute


def _merge(
    attribute: Attribute,
    update: AttributeUpdate,
    options: UpdateOptions,
    forced: bool,
    now: float,
) -> Attribute:
    """The updated attribute; the very same object when nothing changes."""
    value = update.value
    type_ = update.type
    if type_ is None:
        type_ = attribute.type
        if type_ in DATE_TYPES and value is not None:
            value = canonical_instant(value) if type(value) is str else None
            if value is None:
                raise BadRequest("date has invalid format in attribute value")
    if is_operation(value):
        value = apply_operation(attribute.value, value)
    metadata = _merge_metadata(attribute.metadata, update, options)
    if (
        not forced
        and type_ == attribute.type
        and metadata is attribute.metadata
        and equal_values(value, attribute.value)
    ):
        return attribute
    return Attribute(type_, value, metadata, attribute.created, now)


def _merge_metadata(current: Metadata, update: AttributeUpdate, options: UpdateOptions) -> Metadata:
    """The metadata after the update; the very same object when nothing changes."""
    given = update.metadata
    if update.only_value:
        return current
    if options.override_metadata or given == {}:
        merged = given or NO_METADATA
    elif given is None:
        return current
    else:
        merged = {**current, **given}
    if len(merged) == len(current) and equal_values(merged, current):
        return current
    return merged


def equal_values(a: JsonValue, b: JsonValue) -> bool:
    """Equality of JSON values: unlike Python's, true is not 1."""
    if a is b:
        return True
    if a != b or type(a) is not type(b):
        # An int and a float that say the same were made one in the normal form.
        return False
    if type(a) is dict or type(a) is list:
        return orjson.dumps(a, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
            b, option=orjson.OPT_SORT_KEYS
        )
    return True
