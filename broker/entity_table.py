"""The entities of one tenant with their indexes: id, type, creation order, place, expiry, and
those of attributes that queries called for (`broker.index_upkeep`).

Owns the Entity objects; only the engine changes them, through this table where an index is
concerned. Look-ups by id cost O(1), indexes are kept at every insert, removal and move.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from sortedcontainers import SortedKeyList

from _native.location_index import LocationIndex
from broker.attribute_index import AttributeIndex
from broker.creation_order import CreationOrder
from broker.index_advisor import IndexAdvisor
from ngsi.geometry import Box, Shape
from ngsi.model import Attribute, Entity
from ngsi.service_path import ServicePathScope


class EntityTable:
    """All entities of a tenant."""

    def __init__(self) -> None:
        self.all = CreationOrder()
        self.indexes: dict[str, AttributeIndex] = {}  # by attribute; mostly none
        self.advisor = IndexAdvisor()
        self.by_id: dict[str, Entity | list[Entity]] = {}  # to be read; several share an id
        self._by_type: dict[str, CreationOrder] = {}
        self._places = LocationIndex()
        self._expiring: SortedKeyList[Entity, float] = SortedKeyList(key=_expiry)
        self._next_sequence = 0

    def __len__(self) -> int:
        return len(self.all)

    def take_sequence(self) -> int:
        """A sequence number for a new entity, higher than any before."""
        sequence = self._next_sequence
        self._next_sequence += 1
        return sequence

    def find(
        self, entity_id: str, entity_type: str | None, scope: ServicePathScope
    ) -> list[Entity]:
        """The entities of that id, of that type if given, within the scope."""
        found = self.by_id.get(entity_id)
        if found is None:
            return []
        if isinstance(found, list):
            return [entity for entity in found if _is_meant(entity, entity_type, scope)]
        return [found] if _is_meant(found, entity_type, scope) else []

    def with_id(self, entity_id: str) -> list[Entity]:
        """All entities of that id."""
        found = self.by_id.get(entity_id)
        if found is None:
            return []
        return list(found) if isinstance(found, list) else [found]

    def with_type(self, entity_type: str) -> CreationOrder:
        """The entities of that type; a view that follows later changes."""
        return self._by_type.get(entity_type) or CreationOrder()

    def types(self) -> list[str]:
        """The types that have entities, in alphabetical order."""
        return sorted(self._by_type)

    def near(self, bounds: tuple[Box, ...], limit: int) -> list[Entity] | None:
        """The entities whose bounding boxes meet `bounds`, in the order of their creation.

        None when there are more than `limit`, which costs no more than finding so many.
        """
        sequences = self._places.search(bounds, limit=limit)
        if sequences is None:
            return None
        found = map(self.all.get, sequences)
        return [entity for entity in found if entity is not None]

    def insert(self, entity: Entity) -> None:
        """Add a new entity; its sequence comes from `take_sequence` or from the journal."""
        self._next_sequence = max(self._next_sequence, entity.sequence + 1)
        self.all.add(entity)
        found = self.by_id.get(entity.id)
        if found is None:
            self.by_id[entity.id] = entity
        elif isinstance(found, list):
            found.append(entity)
        else:
            self.by_id[entity.id] = [found, entity]
        of_type = self._by_type.get(entity.type)
        if of_type is None:
            of_type = self._by_type[entity.type] = CreationOrder()
        of_type.add(entity)
        if entity.shapes:
            self._places.insert(entity.sequence, _bounds(entity.shapes))
        if entity.expires is not None:
            self._expiring.add(entity)
        for index in self.indexes.values():
            if index.is_whole:  # else the building will come to it
                index.insert(entity)

    def remove(self, entity: Entity) -> None:
        """Remove an entity of this table."""
        self.all.remove(entity)
        found = self.by_id[entity.id]
        if isinstance(found, list):
            found.remove(entity)
            if len(found) == 1:
                self.by_id[entity.id] = found[0]
        else:
            del self.by_id[entity.id]
        of_type = self._by_type[entity.type]
        of_type.remove(entity)
        if not of_type:
            del self._by_type[entity.type]
        if entity.shapes:
            self._places.remove(entity.sequence)
        if entity.expires is not None:
            self._expiring.remove(entity)
        for index in self.indexes.values():
            index.remove(entity)

    def reindex(
        self, entity: Entity, touched: Mapping[str, Attribute], removed: Container[str]
    ) -> None:
        """Attributes of an entity of this table are about to become others, or to go.

        To be called before they do; needless while there are no `indexes`.
        """
        for name, index in self.indexes.items():
            if name in touched or name in removed:
                index.replace(entity, touched.get(name))

    def move(self, entity: Entity, locations: Mapping[str, Shape]) -> None:
        """Set the locations of an entity of this table: shapes by the names of attributes."""
        was_placed = bool(entity.shapes)
        entity.set_locations(locations)
        if not entity.shapes:
            if was_placed:
                self._places.remove(entity.sequence)
        elif was_placed:
            self._places.replace(entity.sequence, _bounds(entity.shapes))
        else:
            self._places.insert(entity.sequence, _bounds(entity.shapes))

    def set_expiry(self, entity: Entity, expires: float | None) -> None:
        """Set when an entity of this table expires (seconds since 1970, None never)."""
        if entity.expires is not None:
            self._expiring.remove(entity)
        entity.expires = expires
        if expires is not None:
            self._expiring.add(entity)

    def expired(self, now: float) -> Iterator[Entity]:
        """The entities whose time is over, earliest first; they may be removed meanwhile."""
        while self._expiring and _expiry(self._expiring[0]) <= now:
            yield self._expiring[0]

    def check(self) -> None:
        """Assert that the indexes agree with each other; for tests."""
        self.all.check()
        self._places.check()
        entities = [entity for block in self.all.blocks() for entity in block]
        by_id = [entity for entity_id in self.by_id for entity in self.with_id(entity_id)]
        by_type = [
            entity
            for order in self._by_type.values()
            for block in order.blocks()
            for entity in block
        ]
        assert sorted(map(id, by_id)) == sorted(map(id, by_type)) == sorted(map(id, entities))
        assert len(self._places) == sum(bool(entity.shapes) for entity in entities)
        assert all(len(entity.shapes) == len(entity.locations) for entity in entities)
        assert len(self._expiring) == sum(entity.expires is not None for entity in entities)
        for name, index in self.indexes.items():
            assert index.name == name
            index.check(entities)


def _bounds(shapes: tuple[Shape, ...]) -> tuple[Box, ...]:
    """The boxes that shapes (one or more) lie in."""
    if len(shapes) == 1:
        return shapes[0].bounds
    return tuple(box for shape in shapes for box in shape.bounds)


def _is_meant(entity: Entity, entity_type: str | None, scope: ServicePathScope) -> bool:
    return (entity_type is None or entity.type == entity_type) and scope.covers(entity.service_path)


def _expiry(entity: Entity) -> float:
    assert entity.expires is not None
    return entity.expires
