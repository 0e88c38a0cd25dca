"""Makes the indexes that queries call for, and drops those that are not worth their memory.

Owns one task, which looks through the tenants once a second: it ages the demand, drops indexes,
and builds one index after the other, in slices with pauses between, while entities change. A
tenant's indexes take at most `max_bytes`, by estimate, and MAX_INDEXES. It must not answer
queries: `broker.entity_query` uses an index once it is whole.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from broker.attribute_index import AttributeIndex
from broker.entity_table import EntityTable
from broker.index_advisor import NOTED_MIN

_log = logging.getLogger("rigel.indexes")

# Every update of an attribute pays for the index of it alone, but every new entity for all.
MAX_INDEXES: Final = 16
INTERVAL_S: Final = 1.0
AGEING_S: Final = 60.0  # after so long half of an index's worth, and of the demand, is forgotten
SLICE_S: Final = 0.001  # of building before others get their turn
PAUSE_S: Final = 0.001  # so that building takes at most half of the time of a busy broker
_CLOCK_STEP: Final = 32  # entities between two looks at the clock, some 0.1 ms


class IndexUpkeep:
    """The indexes of all tenants; none are made where `max_bytes` is 0."""

    def __init__(self, tables: Callable[[], Iterable[EntityTable]], max_bytes: int) -> None:
        self.built = 0
        self.dropped = 0
        self._tables = tables
        self._max_bytes = max_bytes
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after the indexes."""
        if self._max_bytes:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End it, in the midst of building, too; the indexes that are whole remain in use."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        aged = time.monotonic()
        while True:
            await asyncio.sleep(INTERVAL_S)
            is_ageing = time.monotonic() - aged >= AGEING_S
            if is_ageing:
                aged = time.monotonic()
            for table in self._tables():
                try:
                    if is_ageing:
                        self.age(table)
                    await self.tend(table)
                except Exception:
                    # Queries find the same without an index.
                    _log.exception("an index of a query's attribute could not be made")

    def age(self, table: EntityTable) -> None:
        """Forget half of what was, and drop the indexes that have not been worth it since."""
        table.advisor.age()
        for index in list(table.indexes.values()):
            index.worth //= 2
            if index.worth < NOTED_MIN:
                self._drop(table, index)

    async def tend(self, table: EntityTable) -> None:
        """Hold a tenant to its bound, and build the index that it needs most, if any."""
        while self._taken(table) > self._max_bytes:
            self._drop(table, _least(table.indexes.values()))
        wanted = table.advisor.wanted(len(table), table.indexes)
        if wanted is not None:
            await self._build(table, *wanted)

    async def _build(self, table: EntityTable, name: str, demand: int) -> None:
        table.advisor.settle(name)
        index = AttributeIndex(name, worth=demand)
        table.indexes[name] = index
        try:
            if await self._fill(table, index):
                index.finish()
                self.built += 1
        finally:
            if not index.is_whole:
                del table.indexes[name]
        if not index.is_whole:
            table.advisor.raise_price(name)

    async def _fill(self, table: EntityTable, index: AttributeIndex) -> bool:
        """Take all entities in; False if there is no room for it."""
        started = time.perf_counter()
        is_done = False
        while not is_done:
            is_done = True
            for block in table.all.blocks_after(index.covered):
                is_done = False  # what was created meanwhile is in blocks behind
                for start in range(0, len(block), _CLOCK_STEP):
                    for entity in block[start : start + _CLOCK_STEP]:
                        if table.all.get(entity.sequence) is entity:
                            index.insert(entity)
                        index.covered = entity.sequence
                    if time.perf_counter() - started >= SLICE_S:
                        if not self._make_room(table, index):
                            return False
                        await asyncio.sleep(PAUSE_S)
                        started = time.perf_counter()
        return self._make_room(table, index)

    def _make_room(self, table: EntityTable, index: AttributeIndex) -> bool:
        """Drop indexes that are worth less until the bounds hold; whether that succeeds."""
        while self._taken(table) > self._max_bytes or len(table.indexes) > MAX_INDEXES:
            least = _least(table.indexes.values())
            if least is index:
                return False
            self._drop(table, least)
        return True

    def _drop(self, table: EntityTable, index: AttributeIndex) -> None:
        del table.indexes[index.name]
        table.advisor.raise_price(index.name)
        self.dropped += 1

    def _taken(self, table: EntityTable) -> int:
        return sum(index.size_bytes for index in table.indexes.values())

    def counters(self) -> dict[str, float]:
        """For GET /metrics."""
        return {
            "query_indexes_built": self.built,
            "query_indexes_dropped": self.dropped,
            "query_index_uses": sum(table.advisor.served for table in self._tables()),
        }

    def gauges(self) -> dict[str, float]:
        """For GET /metrics; with the index that is being built."""
        indexes = [index for table in self._tables() for index in table.indexes.values()]
        return {
            "query_indexes": len(indexes),
            "query_index_entries": sum(map(len, indexes)),
            "query_index_bytes": sum(index.size_bytes for index in indexes),
        }


def _least(indexes: Iterable[AttributeIndex]) -> AttributeIndex:
    return min(indexes, key=lambda index: index.worth)
