"""Which attribute is the location of an entity, and the shape that it holds.

Source: Orion API, section "Geospatial properties of entities": one location an entity;
attributes of a geo type with null value or ignoreType do not count.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final

from ngsi.errors import BadRequest, NoResourcesAvailable
from ngsi.geometry import (
    GEO_TYPES,
    LocationError,
    Shape,
    parse_geojson,
    parse_simple_location,
)
from ngsi.model import Attribute
from ngsi.v2.render import ignores_type

_NO_SUBJECTS: Final[Mapping[str, str]] = {}
_SECOND_LOCATION: Final = (
    "You cannot use more than one geo location attribute when creating an entity. "
    "Use ignoreType metadata if you want to add additional informative locations."
)


def find_location(
    attributes: dict[str, Attribute],
    preferred: Container[str] = (),
    subjects: Mapping[str, str] = _NO_SUBJECTS,
) -> tuple[str | None, Shape | None]:
    """The name of the location attribute and its shape; (None, None) without one.

    Of several, the one in `preferred` is taken (an update moves the location to another
    attribute); without that a second location is refused. `subjects`: words about attributes,
    for the error of a bad location.
    """
    names = [
        name
        for name, attribute in attributes.items()
        if attribute.type in GEO_TYPES
        and attribute.value is not None
        and not ignores_type(attribute)
    ]
    if not names:
        return None, None
    if len(names) > 1:
        names = [name for name in names if name in preferred]
        if not names:
            raise NoResourcesAvailable(_SECOND_LOCATION)
    name = names[-1]
    return name, parse_location(attributes[name], subjects.get(name, ""))


def describe_subjects(actions: Mapping[str, str], has_location: bool) -> dict[str, str]:
    """What Orion's errors say of the attributes that an update appends ("append", "update")."""
    return {
        name: " for new attribute" if action == "append" else " for existing attribute"
        for name, action in actions.items()
        if action == "append" or not has_location
    }


def parse_location(attribute: Attribute, subject: str = "") -> Shape:
    """The shape of a location attribute; raises BadRequest, about the `subject`."""
    try:
        if attribute.type == "geo:json":
            return parse_geojson(attribute.value)
        return parse_simple_location(attribute.type, attribute.value)
    except LocationError as error:
        raise BadRequest(
            f"error parsing location attribute{subject}: {error.description}"
        ) from None
