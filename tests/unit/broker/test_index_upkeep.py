"""Indexes are made when they are called for, within their bounds, and go when they are not used."""

from __future__ import annotations

import asyncio

import pytest

from broker import index_upkeep
from broker.attribute_index import ENTRY_BYTES
from broker.entity_table import EntityTable
from broker.index_upkeep import MAX_INDEXES, IndexUpkeep
from ngsi.model import Attribute, Entity

COUNT = 100
DEMAND = 100_000


def add(table: EntityTable, names: list[str]) -> Entity:
    """One more entity, with these attributes."""
    sequence = table.take_sequence()
    attributes = {name: Attribute("T", sequence, {}, 0, 0) for name in names}
    entity = Entity(f"E{sequence}", "A", "/", attributes, 0, 0, sequence)
    table.insert(entity)
    return entity


@pytest.fixture
def table() -> EntityTable:
    """A hundred entities with the attributes v and w."""
    table = EntityTable()
    for _ in range(COUNT):
        add(table, ["v", "w"])
    return table


def upkeep_of(table: EntityTable, entries: int = 10_000) -> IndexUpkeep:
    """With room for so many entries."""
    return IndexUpkeep(lambda: [table], entries * ENTRY_BYTES)


def test_nothing_is_made_without_demand(table: EntityTable) -> None:
    asyncio.run(upkeep_of(table).tend(table))
    assert not table.indexes


def test_an_index_is_made_and_counted(table: EntityTable) -> None:
    table.advisor.note(["v"], DEMAND)
    upkeep = upkeep_of(table)
    asyncio.run(upkeep.tend(table))
    assert table.indexes["v"].is_whole
    table.check()
    assert upkeep.counters()["query_indexes_built"] == 1
    assert upkeep.gauges() == {
        "query_indexes": 1,
        "query_index_entries": COUNT,
        "query_index_bytes": COUNT * ENTRY_BYTES,
    }


def test_changes_while_it_is_made(table: EntityTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_upkeep, "SLICE_S", -1.0)
    monkeypatch.setattr(index_upkeep, "PAUSE_S", 0.0)
    table.advisor.note(["v"], DEMAND)
    upkeep = upkeep_of(table)

    async def run() -> None:
        building = asyncio.get_running_loop().create_task(upkeep.tend(table))
        turns = 0
        while not building.done():
            entities = [entity for block in table.all.blocks() for entity in block]
            table.remove(entities[0])
            table.remove(entities[-1])
            if turns < 50:
                add(table, ["v"])
            await asyncio.sleep(0)
            table.check()
            turns += 1
        assert turns > 2

    asyncio.run(run())
    assert table.indexes["v"].is_whole
    table.check()


def test_one_that_finds_no_room_is_given_up(table: EntityTable) -> None:
    table.advisor.note(["v"], DEMAND)
    upkeep = upkeep_of(table, COUNT - 1)
    asyncio.run(upkeep.tend(table))
    assert not table.indexes
    assert upkeep.counters()["query_indexes_built"] == 0


@pytest.mark.parametrize(("demand", "winner"), [(2 * DEMAND, "w"), (DEMAND // 2, "v")])
def test_the_one_of_less_worth_makes_room(table: EntityTable, demand: int, winner: str) -> None:
    upkeep = upkeep_of(table, COUNT + COUNT // 2)
    for name, asked in (("v", DEMAND), ("w", demand)):
        table.advisor.note([name], asked)
        asyncio.run(upkeep.tend(table))
    assert list(table.indexes) == [winner]
    table.check()


def test_growth_is_held_to_the_bound(table: EntityTable) -> None:
    table.advisor.note(["v"], DEMAND)
    upkeep = upkeep_of(table, COUNT)
    asyncio.run(upkeep.tend(table))
    assert table.indexes
    add(table, ["v"])
    asyncio.run(upkeep.tend(table))
    assert not table.indexes
    assert upkeep.counters()["query_indexes_dropped"] == 1


def test_the_number_is_bounded() -> None:
    table = EntityTable()
    names = [f"a{at}" for at in range(MAX_INDEXES + 3)]
    add(table, names)
    upkeep = upkeep_of(table)
    for demand, name in enumerate(names, DEMAND):
        table.advisor.note([name], demand)
        asyncio.run(upkeep.tend(table))
    assert list(table.indexes) == names[3:]


def test_what_is_not_used_goes(table: EntityTable) -> None:
    table.advisor.note(["v"], DEMAND)
    upkeep = upkeep_of(table)
    asyncio.run(upkeep.tend(table))
    for _ in range(20):
        table.indexes["v"].worth += COUNT * 50
        upkeep.age(table)
    assert table.indexes
    for _ in range(20):
        upkeep.age(table)
    assert not table.indexes


def test_the_task_ends_in_the_midst_of_building(
    table: EntityTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_upkeep, "INTERVAL_S", 0.0)
    monkeypatch.setattr(index_upkeep, "SLICE_S", -1.0)
    table.advisor.note(["v"], DEMAND)
    upkeep = upkeep_of(table)

    async def run() -> None:
        upkeep.start()
        for _ in range(10):
            await asyncio.sleep(0)
            if table.indexes:
                break
        else:
            pytest.fail("building did not begin")
        await upkeep.stop()
        assert not table.indexes
        await upkeep.stop()

    asyncio.run(run())


def test_none_are_made_where_they_are_switched_off(table: EntityTable) -> None:
    async def run() -> None:
        upkeep = IndexUpkeep(lambda: [table], 0)
        upkeep.start()
        assert len(asyncio.all_tasks()) == 1  # this one
        await upkeep.stop()

    asyncio.run(run())
