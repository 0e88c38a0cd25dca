from collections.abc import Mapping
from typing import Any, Final, TypeAlias, final

# As ngsi.json_value and ngsi.model have them; nothing of ours stands below this.
_JsonValue: TypeAlias = Any
_Metadata: TypeAlias = dict[str, dict[str, _JsonValue]]
_Shape: TypeAlias = Any  # ngsi.geometry.Shape

# Shared by all attributes without metadata; never written to.
no_metadata: Final[_Metadata]

@final
class Attribute:
    """One attribute as it is stored. Never changed after it was made (ngsi.model)."""

    def __init__(
        self, type: str, value: _JsonValue, metadata: _Metadata, created: float, modified: float
    ) -> None: ...
    @property
    def type(self) -> str: ...
    @property
    def value(self) -> _JsonValue: ...
    @property
    def metadata(self) -> _Metadata: ...
    @property
    def created(self) -> float:
        """Seconds since 1970."""
    @property
    def modified(self) -> float:
        """Seconds since 1970."""

@final
class AttributeUpdate:
    """One attribute of an update request.

    `type` is None where the request gave none. `metadata` is None where the request gave
    none, which is not the same as {} (that clears). `only_value` is the update of a value
    alone, which leaves type and metadata as they are.
    """

    def __init__(
        self,
        type: str | None,
        value: _JsonValue,
        metadata: _Metadata | None,
        only_value: bool = False,
    ) -> None: ...
    @property
    def type(self) -> str | None: ...
    @property
    def value(self) -> _JsonValue: ...
    @property
    def metadata(self) -> _Metadata | None: ...
    @property
    def only_value(self) -> bool: ...

@final
class EntityUpdate:
    """One entity of an update request; `type` is None where the request gave none."""

    def __init__(
        self, id: str, type: str | None, attributes: dict[str, AttributeUpdate]
    ) -> None: ...
    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str | None: ...
    @property
    def attributes(self) -> dict[str, AttributeUpdate]: ...

@final
class Entity:
    """One entity as it is stored. Identity is (id, type, service_path) within a tenant.

    `attributes` keeps the order of creation. An update may change this dict in place: who needs
    it as it is now, and waits for something meanwhile, takes a copy. `locations` are the names
    of the attributes that are its locations, `shapes` their parsed geometries in the same order
    (`set_locations`). `expires` is set by the attribute dateExpires. 120 bytes, beside the
    objects that it refers to.
    """

    def __init__(
        self,
        id: str,
        type: str,
        service_path: str,
        attributes: dict[str, Attribute],
        created: float,
        modified: float,
        sequence: int,
    ) -> None: ...
    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def service_path(self) -> str: ...
    @property
    def created(self) -> float:
        """Seconds since 1970."""
    attributes: dict[str, Attribute]
    modified: float  # seconds since 1970
    sequence: int  # order of creation within the tenant, never reused
    locations: tuple[str, ...]
    shapes: tuple[_Shape, ...]
    expires: float | None  # seconds since 1970
    size: int  # bytes of its stored document, or somewhat less
    def set_locations(self, locations: Mapping[str, _Shape]) -> None:
        """Set its locations: shapes by the names of attributes."""
