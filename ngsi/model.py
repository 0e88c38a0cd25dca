"""The ONE internal model: entities, attributes and the updates of them.

Every wire format decodes to these and is encoded from them. Values are plain JSON values
(str, int, float, bool, None, list, dict) with three normal forms kept everywhere:
a float without fraction is an int, a DateTime is its canonical text (`ngsi.instants`),
metadata is a dict name -> {"type": ..., "value": ...}.

An Attribute, its value and its metadata are never changed after they were made: an update
replaces the Attribute. So a notification, a previous value or a snapshot needs no copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from ngsi.json_value import JsonValue

if TYPE_CHECKING:
    from ngsi.geometry import Shape
    from ngsi.patterns import Pattern

Metadata: TypeAlias = dict[str, dict[str, JsonValue]]

NO_METADATA: Final[Metadata] = {}  # shared by all attributes without; never written to

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

_DEFAULT_TYPES: Final = {
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
    return _DEFAULT_TYPES[type(value)]


class Attribute:
    """One attribute as it is stored. Never changed after it was made (see the module)."""

    __slots__ = ("created", "metadata", "modified", "type", "value")

    def __init__(
        self,
        type: str,
        value: JsonValue,
        metadata: Metadata,
        created: float,
        modified: float,
    ) -> None:
        self.type = type
        self.value = value
        self.metadata = metadata
        self.created = created  # seconds since 1970
        self.modified = modified

    def __repr__(self) -> str:
        return f"Attribute({self.type!r}, {self.value!r}, {self.metadata!r})"


class Entity:
    """One entity as it is stored. Identity is (id, type, service_path) within a tenant.

    `attributes` keeps the order of creation. `locations` are the names of the attributes that
    are its locations, `shapes` their parsed geometries in the same order (`set_locations`).
    `expires` is set by the attribute dateExpires.
    """

    __slots__ = (
        "attributes",
        "created",
        "expires",
        "id",
        "locations",
        "modified",
        "sequence",
        "service_path",
        "shapes",
        "size",
        "type",
    )

    def __init__(
        self,
        id: str,
        type: str,
        service_path: str,
        attributes: dict[str, Attribute],
        created: float,
        modified: float,
        sequence: int,
    ) -> None:
        self.id = id
        self.type = type
        self.service_path = service_path
        self.attributes = attributes
        self.created = created  # seconds since 1970
        self.modified = modified
        self.sequence = sequence  # order of creation within the tenant, never reused
        self.locations: tuple[str, ...] = ()
        self.shapes: tuple[Shape, ...] = ()
        self.expires: float | None = None
        self.size = 0  # bytes of its stored document, or somewhat less

    def set_locations(self, locations: Mapping[str, Shape]) -> None:
        """Set its locations: shapes by the names of attributes."""
        self.locations = _one_copy(tuple(locations))
        self.shapes = tuple(locations.values())

    def __repr__(self) -> str:
        return f"Entity({self.id!r}, {self.type!r}, {self.service_path!r})"


@lru_cache(maxsize=256)  # most entities call their locations the same; 64 bytes each otherwise
def _one_copy(names: tuple[str, ...]) -> tuple[str, ...]:
    return names


class UpdateAction(Enum):
    """What an update does with the entities and attributes that it names."""

    APPEND = "append"  # create the entity or attribute, or change it
    APPEND_STRICT = "appendStrict"  # only create
    UPDATE = "update"  # only change what exists
    DELETE = "delete"
    REPLACE = "replace"  # exactly these attributes remain


class AttributeUpdate:
    """One attribute of an update request.

    `type` is None where the request gave none. `metadata` is None where the request gave
    none, which is not the same as {} (that clears). `only_value` is the update of a value
    alone, which leaves type and metadata as they are.
    """

    __slots__ = ("metadata", "only_value", "type", "value")

    def __init__(
        self,
        type: str | None,
        value: JsonValue,
        metadata: Metadata | None,
        only_value: bool = False,
    ) -> None:
        self.type = type
        self.value = value
        self.metadata = metadata
        self.only_value = only_value


class EntityUpdate:
    """One entity of an update request; `type` is None where the request gave none."""

    __slots__ = ("attributes", "id", "type")

    def __init__(self, id: str, type: str | None, attributes: dict[str, AttributeUpdate]) -> None:
        self.id = id
        self.type = type
        self.attributes = attributes


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


class AlterationType(Enum):
    """What happened to an entity (Orion API, "Subscriptions based in alteration type")."""

    CREATE = "entityCreate"
    CHANGE = "entityChange"  # an update that changed something, or was forced
    UPDATE = "entityUpdate"  # an update, changing or not
    DELETE = "entityDelete"


@dataclass(slots=True)
class EntityEvent:
    """What one update did to one entity, as subscriptions look at it.

    `updated` are the names in the request, `changed_values` and `changed_metadata` those of
    them that changed. `attributes` is the state to notify (for a deletion: the last one);
    `previous` holds the attributes as they were before, for those in the request.
    """

    entity: Entity
    attributes: dict[str, Attribute]
    alteration: AlterationType
    updated: frozenset[str]
    changed_values: frozenset[str]
    changed_metadata: frozenset[str]
    previous: dict[str, Attribute] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)  # name -> append, update, delete
