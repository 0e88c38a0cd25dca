"""Which attributes are the locations of an entity, and the shapes that they hold.

An attribute is a candidate when its type is a geo type, its value is not null and it has no
ignoreType. Orion's rule lets an entity have one location: a second candidate is refused, or
takes the place of the first, as the kind of update says. The rule of several counts every
candidate, up to MAX_LOCATIONS. A rule is applied to what an update touches: it costs nothing for
the other attributes, and their shapes are not parsed again.

Source: Orion API, section "Geospatial properties of entities"; its case of an update that names
another location is that of Orion 4.7.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final, TypeAlias

from broker.update import EntityChange
from ngsi.errors import BadRequest, NoResourcesAvailable
from ngsi.geometry import (
    GEO_TYPES,
    LocationError,
    Shape,
    parse_geojson,
    parse_simple_location,
)
from ngsi.model import Attribute, Entity, UpdateAction
from ngsi.v2.render import ignores_type

Locations: TypeAlias = dict[str, Shape]  # by the names of the attributes

# A query tests every location of a candidate and the index keeps their boxes, so that their
# number is a factor of both. An entity has a position, an area, entrances; no route of stops.
MAX_LOCATIONS: Final = 16

_SECOND_LOCATION: Final = (
    "You cannot use more than one geo location attribute when creating an entity. "
    "Use ignoreType metadata if you want to add additional informative locations."
)
_TOO_MANY_LOCATIONS: Final = (
    f"You cannot use more than {MAX_LOCATIONS} geo location attributes in an entity. "
    "Use ignoreType metadata if you want to add additional informative locations."
)
# Metadata that made an attribute a location, a point, before there were geo types (Orion 3.4,
# "Geolocation capabilities"); the second is how an early Orion misspelt it.
_MARK: Final = "location"
_MARKED: Final = ("WGS84", "WSG84")
_MARKED_TYPE: Final = "geo:point"
# A member of an enumeration costs ten times as much to reach as a global (Python 3.11).
_UPDATE: Final = UpdateAction.UPDATE
_REPLACE: Final = UpdateAction.REPLACE


class LocationRule:
    """Orion's rule of one location an entity, or that of `several`.

    Its methods raise NoResourcesAvailable for a location too many and BadRequest for a value
    that is no geometry; the entity is left alone.
    """

    def __init__(self, several: bool) -> None:
        self._several = several

    def locate_new(self, attributes: dict[str, Attribute], by_metadata: bool = False) -> Locations:
        """The locations of an entity with these attributes; `by_metadata` as in UpdateOptions."""
        if self._several:
            return _change_several({}, attributes, by_metadata)
        return find_location(attributes, by_metadata=by_metadata)

    def locate_changed(
        self,
        entity: Entity,
        change: EntityChange,
        action: UpdateAction,
        by_metadata: bool = False,
    ) -> Locations:
        """The locations of the entity after a change that `touches_location`."""
        if action is _REPLACE:
            return self.locate_new(change.attributes, by_metadata)
        touched = change.touched
        kept = {
            name: shape
            for name, shape in zip(entity.locations, entity.shapes, strict=True)
            if name not in change.removed
            and (name not in touched or is_candidate(touched[name], by_metadata=True))
        }
        if self._several:
            return _change_several(kept, touched, by_metadata)
        return _change_one(kept, change, action, bool(entity.locations), by_metadata)

    def locate_restored(self, entity: Entity) -> Locations:
        """The locations of an entity of the journal, which names those it had.

        They are kept under either rule. The rule of several adds the other candidates that can
        be parsed: those that were no location while Orion's rule was in force.
        """
        attributes = entity.attributes
        found = {name: parse_location(attributes[name]) for name in entity.locations}
        if self._several:
            for name, attribute in attributes.items():
                if len(found) >= MAX_LOCATIONS:
                    break
                if name not in found and is_candidate(attribute):
                    try:
                        found[name] = _parse(attribute)
                    except BadRequest:
                        continue  # it was never looked at
        return found


def touches_location(entity: Entity, change: EntityChange, by_metadata: bool = False) -> bool:
    """Whether the locations of the entity may be others after the change.

    It looks at the attributes touched, and for an entity with locations at their names.
    """
    touched = change.touched
    return (
        any(attribute.type in GEO_TYPES for attribute in touched.values())
        or any(map(change.names, entity.locations))
        or (by_metadata and any(map(_is_marked, touched.values())))
    )


def is_candidate(attribute: Attribute, by_metadata: bool = False) -> bool:
    """Whether the attribute can be a location, by its type, value and metadata.

    `by_metadata` lets in NGSIv1's locations, which are those with metadata location=WGS84.
    """
    if attribute.value is None:
        return False
    if attribute.type in GEO_TYPES:
        return not ignores_type(attribute)
    return by_metadata and _is_marked(attribute)


def _is_marked(attribute: Attribute) -> bool:
    mark = attribute.metadata.get(_MARK)
    return mark is not None and mark["value"] in _MARKED


def find_location(
    attributes: dict[str, Attribute],
    preferred: Container[str] = (),
    by_metadata: bool = False,
) -> Locations:
    """The one location among all attributes of an entity; empty without one.

    Of several candidates the last in `preferred` is taken; without that a second is refused.
    """
    names = [name for name, attribute in attributes.items() if is_candidate(attribute, by_metadata)]
    if len(names) > 1:
        names = [name for name in names if name in preferred]
        if not names:
            raise NoResourcesAvailable(_SECOND_LOCATION)
    return {name: parse_location(attributes[name]) for name in names[-1:]}


def parse_location(attribute: Attribute, subject: str = "") -> Shape:
    """The shape of a location; raises BadRequest with Orion's words, about the `subject`."""
    try:
        return _parse(attribute)
    except LocationError as error:
        raise BadRequest(
            f"error parsing location attribute{subject}: {error.description}"
        ) from None


def _parse(attribute: Attribute) -> Shape:
    if attribute.type == "geo:json":
        return parse_geojson(attribute.value)
    kind = attribute.type if attribute.type in GEO_TYPES else _MARKED_TYPE
    return parse_simple_location(kind, attribute.value)


def _change_several(
    kept: Locations, touched: Mapping[str, Attribute], by_metadata: bool
) -> Locations:
    for name, attribute in touched.items():
        if is_candidate(attribute, by_metadata or name in kept):
            try:
                kept[name] = _parse(attribute)
            except BadRequest as error:
                # Unlike Orion's words these name the attribute: there may be others.
                raise BadRequest(
                    f"error parsing location attribute {name}: {error.description}"
                ) from None
    if len(kept) > MAX_LOCATIONS:
        raise NoResourcesAvailable(_TOO_MANY_LOCATIONS)
    return kept


def _change_one(
    kept: Locations,
    change: EntityChange,
    action: UpdateAction,
    has_location: bool,
    by_metadata: bool,
) -> Locations:
    """Orion's rule: a candidate becomes the location, or is one too many.

    An update moves the location to the attribute; what appends may only give an entity its
    first one or change the one it has. `kept` may hold several, written under the other rule:
    then the one that is changed is the only one from there on.
    """
    for name, attribute in change.touched.items():
        if not is_candidate(attribute, by_metadata or name in kept):
            continue
        subject = ""
        if action is not _UPDATE:
            if kept and name not in kept:
                raise NoResourcesAvailable(_SECOND_LOCATION)
            if change.actions.get(name) == "append":
                subject = " for new attribute"
            elif not has_location:
                subject = " for existing attribute"
        kept = {name: parse_location(attribute, subject)}
    return kept
