"""The ONE internal model: entities, attributes and the updates of them.

Every wire format decodes to these and is encoded from them. Values are plain JSON values
(str, int, float, bool, None, list, dict) with three normal forms kept everywhere:
a float without fraction is an int, a DateTime is its canonical text (`ngsi.instants`),
metadata is a dict name -> {"type": ..., "value": ...}.

An Attribute, its value and its metadata are never changed after they were made: an update
replaces the Attribute. So a notification, a previous value or a snapshot needs no copy.

The objects that a broker holds by the million are native (`_native.model`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from _native.events import EntityEvent as EntityEvent
from _native.model import Attribute as Attribute
from _native.model import AttributeUpdate as AttributeUpdate
from _native.model import Entity as Entity
from _native.model import EntityUpdate as EntityUpdate
from _native.model import no_metadata
from ngsi.json_value import JsonValue

if TYPE_CHECKING:
    from ngsi.patterns import Pattern

Metadata: TypeAlias = dict[str, dict[str, JsonValue]]

NO_METADATA: Final[Metadata] = no_metadata  # shared by all attributes without; never written to

DEFAULT_ENTITY_TYPE: Final = "Thing"
ROOT_SERVICE_PATH: Final = "/"

# Builtin attributes and metadata (Orion API, sections "Builtin Attributes" and "Builtin
# Metadata"): rendered only when asked for by name.
DATE_CREATED: Final = "dateCreated"
DATE_MODIFIED: Final = "dateModified"
DATE_EXPIRES: Final = "dateExpires"
ALTERATION_TYPE: Final = "alterationType"
SERVICE_PATH: Final = "servicePath"
PREVIOUS_VALUE: Final = "previousValue"
ACTION_TYPE: Final = "actionType"

DEFAULT_TYPES: Final[dict[type, str]] = {
    str: "Text",
    int: "Number",
    float: "Number",
    bool: "Boolean",
    list: "StructuredValue",
    dict: "StructuredValue",
    type(None): "None",
}


def default_type(value: JsonValue) -> str:
    """The attribute or metadata type of a value that came without one."""
    return DEFAULT_TYPES[type(value)]


class UpdateAction(Enum):
    """What an update does with the entities and attributes that it names."""

    APPEND = "append"  # create the entity or attribute, or change it
    APPEND_STRICT = "appendStrict"  # only create
    UPDATE = "update"  # only change what exists
    DELETE = "delete"
    REPLACE = "replace"  # exactly these attributes remain


@dataclass(slots=True, frozen=True)
class EntitySelector:
    """Which entities are meant: by id or idPattern, by type or typePattern.

    None means that the selector does not look at that side.
    """

    id: str | None = None
    id_pattern: Pattern | None = None
    type: str | None = None
    type_pattern: Pattern | None = None

    def matches(self, entity_id: str, entity_type: str) -> bool:
        """Whether an entity of that id and type is meant."""
        if self.id is not None:
            if self.id != entity_id:
                return False
        elif self.id_pattern is not None and not self.id_pattern.search(entity_id):
            return False
        if self.type is not None:
            return self.type == entity_type
        return self.type_pattern is None or self.type_pattern.search(entity_type)

    def meets_id_of(self, other: EntitySelector) -> bool:
        """Whether some id can be meant by both; two patterns are taken to meet."""
        if self.id is not None and other.id is not None:
            return self.id == other.id
        if self.id is not None:
            return other.id_pattern is None or other.id_pattern.search(self.id)
        if other.id is not None:
            return self.id_pattern is None or self.id_pattern.search(other.id)
        return True


class AlterationType(Enum):
    """What happened to an entity (Orion API, "Subscriptions based in alteration type")."""

    CREATE = "entityCreate"
    CHANGE = "entityChange"  # an update that changed something, or was forced
    UPDATE = "entityUpdate"  # an update, changing or not
    DELETE = "entityDelete"
