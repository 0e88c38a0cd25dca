"""What an update of NGSIv1 leaves out, and its attributes keep.

Pure functions of the request and of the entity as it is. Source: Orion 3.4, whose updates may
leave out types and values, and its option -ngsiv1Autocast.
"""

from __future__ import annotations

from broker.update import UpdateOptions
from ngsi.model import Attribute, AttributeUpdate, Entity, EntityUpdate
from ngsi.v1.autocast import cast


def complete_update(
    update: EntityUpdate, entity: Entity | None, options: UpdateOptions, casts: bool
) -> EntityUpdate:
    """The update of an entity, None for one that is to be made, with all types and values.

    An attribute without a type or value keeps those that it has; a new one gets "". With
    `options.typed_values` null is a value. `casts` makes of a text what its type says.
    """
    current = {} if entity is None else entity.attributes
    attributes = update.attributes
    is_typed = options.typed_values
    casts = casts and not is_typed
    if casts or any(given.type is None or given.value is None for given in attributes.values()):
        attributes = {
            name: _complete_attribute(given, current.get(name), is_typed, casts)
            for name, given in attributes.items()
        }
    entity_type = (update.type or "") if entity is None else entity.type
    return EntityUpdate(update.id, entity_type, attributes)


def _complete_attribute(
    given: AttributeUpdate, former: Attribute | None, is_typed: bool, casts: bool
) -> AttributeUpdate:
    attribute_type, value = given.type, given.value
    if attribute_type is None:
        attribute_type = "" if former is None else former.type
    if value is None and not is_typed:
        value = "" if former is None else former.value
    elif casts:
        value = cast(attribute_type, value)
    return AttributeUpdate(attribute_type, value, given.metadata)
