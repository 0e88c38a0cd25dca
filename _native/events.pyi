from typing import Any, final

from _native.changes import EntityChange
from _native.model import Attribute, Entity

@final
class EntityEvent:
    """What one update did to one entity, as subscriptions look at it.

    `updated` are the names in the request, `changed_values` and `changed_metadata` those of
    them that changed. `attributes` is the state to notify (for a deletion: the last one);
    `previous` holds the attributes as they were before, for those in the request; `actions` says
    append, update or delete for each name.
    """

    @property
    def entity(self) -> Entity: ...
    @property
    def attributes(self) -> dict[str, Attribute]: ...
    @property
    def alteration(self) -> Any: ...
    @property
    def updated(self) -> frozenset[str]: ...
    @property
    def changed_values(self) -> frozenset[str]: ...
    @property
    def changed_metadata(self) -> frozenset[str]: ...
    @property
    def previous(self) -> dict[str, Attribute]: ...
    @property
    def actions(self) -> dict[str, str]: ...
    def __init__(
        self,
        entity: Entity,
        attributes: dict[str, Attribute],
        alteration: object,
        updated: frozenset[str],
        changed_values: frozenset[str],
        changed_metadata: frozenset[str],
        previous: dict[str, Attribute] | None = None,
        actions: dict[str, str] | None = None,
    ) -> None: ...
    def with_attributes(
        self, attributes: dict[str, Attribute], entity: Entity | None = None
    ) -> EntityEvent:
        """The same but for the state to notify, and maybe the entity."""

def event_of(entity: Entity, change: EntityChange, alteration: object) -> EntityEvent:
    """The event of a change of the entity that was applied; `change.keep_former` was called
    before. Costs less than a microsecond."""
