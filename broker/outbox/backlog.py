"""The notifications that are kept for one subscription: oldest first, in order per entity.

Owns their order. Must not: know of time, tries or receivers. Every operation is O(1), but for
`oldest`, which looks past those under way.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator

from broker.outbox.kept import KeptNotification


class Backlog:
    """What waits, what is under way and what is held; all of it is still to be delivered.

    Of one entity one notification is under way or held at a time, its oldest.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._all: OrderedDict[int, KeptNotification] = OrderedDict()  # by sequence
        self._of_entity: dict[str, deque[KeptNotification]] = {}
        # Entities whose oldest may be taken; in the order of their turns.
        self._ready: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, kept: KeptNotification) -> bool:
        return kept.sequence in self._all

    def add(self, kept: KeptNotification) -> None:
        """The newest; its sequence is higher than all before."""
        self._all[kept.sequence] = kept
        self.bytes += kept.size_bytes
        chain = self._of_entity.get(kept.entity_id)
        if chain is None:
            self._of_entity[kept.entity_id] = deque((kept,))
            self._ready[kept.entity_id] = None
        else:
            chain.append(kept)

    def take(self) -> KeptNotification | None:
        """The oldest of the entity whose turn it is; it stays in until it is removed."""
        if not self._ready:
            return None
        entity_id, _ = self._ready.popitem(last=False)
        return self._of_entity[entity_id][0]

    def put_back(self, kept: KeptNotification) -> None:
        """What was taken may be taken again, after the entities that wait for their turn."""
        self._ready[kept.entity_id] = None

    def remove(self, kept: KeptNotification) -> None:
        """It is delivered or given up, taken or not."""
        del self._all[kept.sequence]
        self.bytes -= kept.size_bytes
        entity_id = kept.entity_id
        chain = self._of_entity[entity_id]
        was_first = chain[0] is kept
        chain.remove(kept)
        if not chain:
            del self._of_entity[entity_id]
            self._ready.pop(entity_id, None)
        elif was_first and entity_id not in self._ready:
            self._ready[entity_id] = None

    def oldest(self) -> KeptNotification | None:
        """The oldest that is not under way."""
        for kept in self._all.values():
            if not kept.is_under_way:
                return kept
        return None

    def __iter__(self) -> Iterator[KeptNotification]:
        """All of them, oldest first."""
        return iter(self._all.values())

    def check(self) -> None:
        """Raise AssertionError if the structure is not what it should be. Visits everything."""
        in_chains = [kept for chain in self._of_entity.values() for kept in chain]
        assert sorted(kept.sequence for kept in in_chains) == list(self._all)
        assert self.bytes == sum(kept.size_bytes for kept in in_chains)
        for entity_id, chain in self._of_entity.items():
            assert [kept.sequence for kept in chain] == sorted(kept.sequence for kept in chain)
            assert all(kept.entity_id == entity_id for kept in chain)
            assert not any(kept.is_under_way for kept in list(chain)[1:])
        assert self._ready.keys() <= self._of_entity.keys()
