"""Costs of an update between its body and the journal, and what entities take of memory.

    python tests/bench/bench_update.py [number of entities to hold]

Prints microseconds of CPU, beside those of `orjson.loads` of the same bodies: an update of two
attributes (PATCH /v2/entities/X/attrs) as 64 of a turn of the loop, a batch (POST /v2/op/update)
of 1000 entities with three attributes, and the document of an entity (GET /v2/entities/X). No
HTTP is in it. No part of the test suite.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import uvloop

from broker.deprecations import Deprecations
from broker.engine import Engine
from broker.journal import Durability, Journal
from broker.logs import LogLimits
from broker.messages import MessageRules
from broker.origin import Origin
from broker.outbox import DeliveryRules
from broker.statistics import Statistics
from broker.update import PLAIN_UPDATE
from ngsi.model import EntityUpdate, UpdateAction
from ngsi.v2.batch import decode_batch_update
from ngsi.v2.entities import decode_attributes, decode_entity
from ngsi.v2.render import WHOLE, render_entity

UPDATES_A_TICK = 64
TURNS = 600
BATCHES = 200
VARIANTS = 8  # of values: an update that changes nothing is not stored
ENTITIES = 1000  # of the hot updates, and of a batch
DEFAULT_HELD = 200_000


class NoNotifier:
    """Nobody has subscribed."""

    def send(self, message: object) -> bool:
        """Takes no message."""
        raise AssertionError(message)


def make_engine(journal: Journal) -> Engine:
    """An engine that has everything but subscriptions."""
    journal.start(asyncio.get_running_loop())
    return Engine(
        journal,
        NoNotifier(),
        time.time,
        MessageRules(timeout_s=1.0, max_length=1000),
        DeliveryRules(1, 1, 1, 1),
        Deprecations(LogLimits(1000, 1000), Statistics()),
    )


def make_entity(number: int, variant: int) -> dict[str, Any]:
    """A room with three attributes."""
    return {
        "id": f"Room{number}",
        "type": "Room",
        "temperature": {"value": 18.5 + variant / 4 + number % 7, "type": "Number"},
        "humidity": {"value": 30 + variant + number % 13, "type": "Number"},
        "name": {"value": f"room {number} {variant}", "type": "Text"},
    }


def make_update(number: int) -> bytes:
    """A body with two attributes."""
    return orjson.dumps(
        {
            "temperature": {"value": 18.5 + number % 97 / 4, "type": "Number"},
            "humidity": {"value": number % 89, "type": "Number"},
        }
    )


def make_batch(variant: int) -> bytes:
    """A body with a thousand entities of three attributes."""
    entities = [make_entity(number, variant) for number in range(ENTITIES)]
    return orjson.dumps({"actionType": "append", "entities": entities})


class Costs:
    """What operations cost, measured in turns so that a busy machine troubles all alike."""

    def __init__(self) -> None:
        self._costs_ns: dict[str, list[float]] = {}
        self._start = 0

    def start(self) -> None:
        """An operation begins."""
        self._start = time.process_time_ns()

    def stop(self, name: str, repeats: int = 1) -> None:
        """It has ended, done `repeats` times."""
        cost = (time.process_time_ns() - self._start) / repeats
        self._costs_ns.setdefault(name, []).append(cost)

    def us(self, name: str) -> float:
        """Microseconds of CPU of an operation: what a tenth of the turns stayed below."""
        costs = sorted(self._costs_ns[name])
        return costs[len(costs) // 10] / 1000


async def measure_updates(engine: Engine) -> None:
    """Print what an update costs, in parts."""
    origin = Origin()
    for number in range(ENTITIES):
        body = orjson.dumps(make_entity(number, 0))
        engine.create_entity(origin, decode_entity(body, False), False, PLAIN_UPDATE)
    await engine.committed()
    ids = [f"Room{number}" for number in range(ENTITIES)]
    entity = engine.tenant("").entities.with_id(ids[1])[0]
    costs = Costs()
    for turn in range(TURNS):
        numbers = range(turn * UPDATES_A_TICK, (turn + 1) * UPDATES_A_TICK)
        bodies = [make_update(number) for number in numbers]
        costs.start()
        for body in bodies:
            orjson.loads(body)
        costs.stop("parse", UPDATES_A_TICK)
        costs.start()
        updates = [decode_attributes(body, False) for body in bodies]
        costs.stop("decode", UPDATES_A_TICK)
        costs.start()
        for number, attributes in zip(numbers, updates, strict=True):
            update = EntityUpdate(ids[number % ENTITIES], None, attributes)
            engine.update_entity(origin, update, UpdateAction.UPDATE, PLAIN_UPDATE)
        await engine.committed()
        costs.stop("engine", UPDATES_A_TICK)
        costs.start()
        for _ in bodies:
            orjson.dumps(render_entity(entity, WHOLE))
        costs.stop("read", UPDATES_A_TICK)
    decode_us, engine_us = costs.us("decode"), costs.us("engine")
    print(
        f"update   orjson.loads {costs.us('parse'):.2f}, body to update {decode_us:.2f}, engine and"
    )
    print(f"         journal {engine_us:.2f}, together {decode_us + engine_us:.2f}")
    print(f"read     entity to body {costs.us('read'):.2f}")


async def measure_batches(engine: Engine) -> None:
    """Print what a batch costs, in parts and beside its parsing."""
    origin = Origin()
    bodies = [make_batch(variant) for variant in range(VARIANTS)]
    costs = Costs()
    for turn in range(BATCHES):
        body = bodies[turn % VARIANTS]
        costs.start()
        orjson.loads(body)
        costs.stop("parse")
        costs.start()
        decode_batch_update(body, False)
        costs.stop("decode")
        costs.start()
        action, updates = decode_batch_update(body, False)
        engine.update(origin, updates, action, PLAIN_UPDATE)
        await engine.committed()
        costs.stop("all")
    parse_us, whole_us = costs.us("parse"), costs.us("all")
    print(f"batch    orjson.loads {parse_us:.0f}, body to updates {costs.us('decode'):.0f}, all")
    print(f"         {whole_us:.0f}: {whole_us / parse_us:.2f} times orjson.loads")


def read_resident_bytes() -> int:
    """What of this process is in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


async def measure_memory(count: int) -> None:
    """Print the bytes of an entity, and how long a full garbage collection takes."""
    engine = make_engine(Journal.open(None, Durability.NONE))
    origin = Origin()
    gc.collect()
    before = read_resident_bytes()
    start = time.process_time()
    for number in range(count):
        document = make_entity(number, number) | {"id": f"urn:ngsi-ld:Room:{number:07}"}
        update = decode_entity(orjson.dumps(document), False)
        engine.create_entity(origin, update, False, PLAIN_UPDATE)
        if number % UPDATES_A_TICK == 0:
            await engine.committed()
    create_us = (time.process_time() - start) / count * 1e6
    each = (read_resident_bytes() - before) / count
    start = time.process_time()
    gc.collect()
    collect_ms = (time.process_time() - start) * 1e3
    print(f"memory   {count} entities of three attributes: {each:.0f} bytes each")
    print(f"         created in {create_us:.2f}, full garbage collection {collect_ms:.1f} ms")


async def measure(count: int) -> None:
    """Print all."""
    gc.set_threshold(50_000, 20, 100)  # as the broker
    print("microseconds of CPU")
    with tempfile.TemporaryDirectory() as directory:
        journal = Journal.open(Path(directory) / "data", Durability.PROCESS)
        engine = make_engine(journal)
        await measure_updates(engine)
        await measure_batches(engine)
        await journal.close()
    await measure_memory(count)


if __name__ == "__main__":
    uvloop.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_HELD))
