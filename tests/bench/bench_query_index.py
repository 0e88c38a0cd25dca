"""Costs of queries over many entities, without and with the index of an attribute.

    python tests/bench/bench_query_index.py [number of entities]

Prints CPU per query, the CPU and the longest turn of building, memory of an entry, and what an
update of the attribute costs with the index. The queries have 10 hits. No part of the test suite.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
import tracemalloc

from broker.attribute_index import AttributeIndex
from broker.entity_query import EntityPage, EntityQuery, find_entities
from broker.entity_table import EntityTable
from broker.index_upkeep import IndexUpkeep
from ngsi.model import Attribute, Entity, EntitySelector
from ngsi.query import parse_query
from ngsi.service_path import ServicePathScope

COUNT = 1_000_000
HITS = 10
INDEXED_REPEATS = 200
UPDATES = 20_000
IDLE_TURN_S = 0.0002
MAX_BYTES = 1024**3
MEASURED = 100_000  # entries of which the memory is measured


def fill(count: int) -> EntityTable:
    """Entities with a measured value and a name, each different."""
    table = EntityTable()
    rng = random.Random(4)
    for at in range(count):
        attributes = {
            "level": Attribute("Number", rng.random(), {}, 0.0, 0.0),
            "name": Attribute("Text", f"sensor {rng.random()}", {}, 0.0, 0.0),
        }
        entity = Entity(f"E{at}", "Sensor", "/", attributes, 0.0, 0.0, table.take_sequence())
        table.insert(entity)
    return table


def ask(table: EntityTable, query: EntityQuery, repeats: int) -> tuple[float, EntityPage]:
    """Milliseconds of CPU per query, and its answer."""

    async def run() -> EntityPage:
        for _ in range(repeats):
            page = await find_entities(table, query)
        return page

    start = time.process_time()
    page = asyncio.run(run())
    return (time.process_time() - start) / repeats * 1000, page


def change(table: EntityTable) -> float:
    """Microseconds of CPU per update of `level` of some entity, in the table alone."""
    rng = random.Random(5)
    entities = [entity for block in table.all.blocks() for entity in block]
    chosen = rng.choices(entities, k=UPDATES)
    updates = [{"level": Attribute("Number", rng.random(), {}, 0.0, 0.0)} for _ in chosen]
    start = time.process_time()
    for entity, touched in zip(chosen, updates, strict=True):
        if table.indexes:
            table.reindex(entity, touched, ())
        entity.attributes.update(touched)
    return (time.process_time() - start) / UPDATES * 1e6


async def build(upkeep: IndexUpkeep, table: EntityTable) -> tuple[float, float]:
    """Seconds of CPU that an index of `level` takes, and the longest turn of the loop in them."""
    table.advisor.note(["level"], 100 * len(table))
    task = asyncio.get_running_loop().create_task(upkeep.tend(table))
    spent = longest = 0.0
    while not task.done():
        start = time.process_time()
        await asyncio.sleep(0)
        turn = time.process_time() - start
        longest = max(longest, turn)
        if turn > IDLE_TURN_S:  # the others did nothing but wait
            spent += turn
    await task
    return spent, longest


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    table = fill(count)
    gc.freeze()
    upkeep = IndexUpkeep(lambda: [table], MAX_BYTES)
    selectors = (EntitySelector(type="Sensor"),)
    scope = ServicePathScope()
    share = HITS / count
    filtered = EntityQuery(
        scope, selectors, q=parse_query(f"level<{share}", "q"), limit=20, count=True
    )
    wide = EntityQuery(
        scope, selectors, q=parse_query(f"level<{2000 / count};name=='x'", "q"), count=True
    )
    ordered = EntityQuery(scope, selectors, order_by=("!level",), limit=HITS)
    print(f"{count} entities")
    plain_update = change(table)
    before, expected = ask(table, filtered, 1)
    ordered_before, expected_order = ask(table, ordered, 1)
    cpu, longest = asyncio.run(build(upkeep, table))
    assert table.indexes["level"].is_whole
    after, page = ask(table, filtered, INDEXED_REPEATS)
    assert page.entities == expected.entities
    assert page.total == expected.total
    ordered_after, page = ask(table, ordered, INDEXED_REPEATS)
    assert page.entities == expected_order.entities
    wide_after, _ = ask(table, wide, INDEXED_REPEATS)
    print(f"filter, {expected.total} hits: {before:.0f} ms; with the index {after * 1000:.0f} us")
    print(f"order, first {HITS}: {ordered_before:.0f} ms; with it {ordered_after * 1000:.0f} us")
    print(f"filter, 2000 candidates: {wide_after * 1000:.0f} us")
    print(f"building: {cpu:.1f} s of CPU; its longest turn {longest * 1000:.2f} ms")
    print(f"update of the attribute: {plain_update:.2f} us; with the index {change(table):.2f} us")
    table = fill(MEASURED)
    tracemalloc.start()
    index = AttributeIndex("level")
    for block in table.all.blocks():
        for entity in block:
            index.insert(entity)
    print(f"memory: {tracemalloc.get_traced_memory()[0] / len(index):.0f} bytes an entry")


if __name__ == "__main__":
    main()
