"""Who holds an entity selector that an entity, or another selector, can meet.

Owns an index over selectors: by exact entity id, by type, and the patterns. Pure; it knows
nothing of what is indexed, be it registrations or those who wait for them. A look-up for one
entity costs its own postings and the patterns of its type. One for a pattern costs a search in
each of the ids that begin as it does, or of its type where its beginning is open. What is found
may meet; whether it does is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeAlias, TypeVar

from sortedcontainers import SortedDict

from ngsi.model import EntitySelector
from ngsi.patterns import Pattern

Holder = TypeVar("Holder")

# Key of the owner and position of the selector: sorts by the age of the owner where keys grow.
_Key: TypeAlias = tuple[str, int]
Entry: TypeAlias = tuple[EntitySelector, Holder]
_Postings: TypeAlias = dict[_Key, Entry[Holder]]


class SelectorIndex(Generic[Holder]):
    """Selectors and who holds them; several stand under one key, and go with it."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Entry[Holder], ...]] = {}
        # Every selector stands in one of the first two and in the third; None: any type.
        self._by_id: SortedDict[str, _Postings[Holder]] = SortedDict()
        self._patterns_by_type: dict[str | None, _Postings[Holder]] = {}
        self._all_by_type: dict[str | None, _Postings[Holder]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: str, entries: Iterable[Entry[Holder]]) -> None:
        """Add selectors, instead of those that the key has."""
        self.remove(key)
        self._entries[key] = kept = tuple(entries)
        for position, entry in enumerate(kept):
            for postings in self._homes(entry[0]):
                postings[(key, position)] = entry

    def remove(self, key: str) -> None:
        """Forget the selectors of a key; nothing happens when it has none."""
        for position, (selector, _) in enumerate(self._entries.pop(key, ())):
            for postings in self._homes(selector):
                del postings[(key, position)]
            self._drop_empty(selector)

    def about(
        self, entity_id: str, entity_type: str | None, with_patterns: bool = True
    ) -> list[Entry[Holder]]:
        """What may mean one entity, by key; an unknown type (None) is met by any type only.

        Without `with_patterns` only what names the entity's id.
        """
        found = dict(self._by_id.get(entity_id, {}))
        if with_patterns:
            found |= self._patterns_by_type.get(None, {})
            if entity_type is not None:
                found |= self._patterns_by_type.get(entity_type, {})
        return _in_order(found)

    def meeting(self, selectors: Iterable[EntitySelector]) -> list[Entry[Holder]]:
        """What may mean entities that one of the selectors means, by key."""
        found: _Postings[Holder] = {}
        for selector in selectors:
            if selector.id is not None:
                found |= self._by_id.get(selector.id, {})
                found |= _of_types(self._patterns_by_type, selector.type)
            elif selector.id_pattern is not None:
                found |= self._like(selector.id_pattern, selector.type)
            else:
                found |= _of_types(self._all_by_type, selector.type)
        return _in_order(found)

    def _like(self, pattern: Pattern, entity_type: str | None) -> _Postings[Holder]:
        """Those with an id that the pattern finds, and all with patterns."""
        prefix, search = pattern.literal_prefix, pattern.search
        found: _Postings[Holder] = {}
        if prefix:
            for entity_id in self._by_id.irange(prefix):
                if not entity_id.startswith(prefix):
                    break
                if search(entity_id):
                    found |= self._by_id[entity_id]
            return found | _of_types(self._patterns_by_type, entity_type)
        candidates = _of_types(self._all_by_type, entity_type)
        if pattern.matches_everything:
            return candidates
        return {
            key: entry
            for key, entry in candidates.items()
            if entry[0].id is None or search(entry[0].id)
        }

    def all(self) -> list[Entry[Holder]]:
        """Everything, by key."""
        return _in_order(_of_types(self._all_by_type, None))

    def _homes(self, selector: EntitySelector) -> tuple[_Postings[Holder], _Postings[Holder]]:
        by_type = self._all_by_type.setdefault(selector.type, {})
        if selector.id is not None:
            return self._by_id.setdefault(selector.id, {}), by_type
        return self._patterns_by_type.setdefault(selector.type, {}), by_type

    def _drop_empty(self, selector: EntitySelector) -> None:
        if selector.id is not None and not self._by_id[selector.id]:
            del self._by_id[selector.id]
        for postings in (self._patterns_by_type, self._all_by_type):
            if selector.type in postings and not postings[selector.type]:
                del postings[selector.type]


def _in_order(found: _Postings[Holder]) -> list[Entry[Holder]]:
    return [entry for _, entry in sorted(found.items(), key=_key)]


def _key(item: tuple[_Key, object]) -> _Key:
    return item[0]


def _of_types(
    postings: dict[str | None, _Postings[Holder]], entity_type: str | None
) -> _Postings[Holder]:
    """Those of the type or of any type; of all types when the type is open."""
    found: _Postings[Holder] = {}
    if entity_type is None:
        for some in postings.values():
            found |= some
        return found
    for name in (entity_type, None):
        found |= postings.get(name, {})
    return found
