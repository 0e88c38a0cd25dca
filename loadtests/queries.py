"""Queries on up to a million entities: what they cost, and how long others wait meanwhile.

Each query has about the same number of hits whatever the number of entities. For each kind:

- CPU per query, sent again and again with other values
- the time of the first query, before an index may have been made for it
- the longest response to another client, who asks for single entities 200 times a second

    python loadtests/queries.py --output FILE --plot FILE
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import uvloop

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from broker.launch import BrokerProcess
from loadtests.cpu_time import choose_cpus
from loadtests.generator import send_at_rate
from loadtests.interval import FULL_EFFORT, QUICK_EFFORT, Effort, measure_chunks
from loadtests.load_client import Load, LoadClient, LoadError
from loadtests.results import (
    add_options,
    begin_document,
    check_options,
    resume_document,
    save,
    write_document,
)
from loadtests.seeding import Document, seed_directory
from loadtests.servers import start_broker
from loadtests.workloads import request

SIZES: Final = (1_000, 1_000_000)
QUICK_MAX: Final = 1000
SIZE_MAX: Final = 10_000_000  # gigabytes in any broker
HITS: Final = 10

_CONNECTIONS: Final = 4  # a query on a million entities may take long
_VARIANTS: Final = 16  # of values per connection
_PROBE_RATE: Final = 200.0  # per second: a stall of 5 ms meets one of them
_PROBED_S: Final = 2.0
_QUERIES_PROBED: Final = 20
_SHORT_CHUNK_S: Final = 0.2  # of a chunk that may grow
_CHUNK_MAX: Final = 4096  # queries
_COLUMNS: Final = 1000  # of the grid of places: 0.01 degrees apart, some 1.1 km
_SPACING: Final = 0.01
_RADIUS_M: Final = 1900  # nine places: neighbours, diagonal ones too, and none two steps away


def make_entities(size: int) -> Iterator[Document]:
    """Entities on a grid; `HITS` of each type, and each with a number of its own."""
    types = max(size // HITS, 1)
    for number in range(size):
        yield {
            "id": f"Room{number}",
            "type": f"Type{number % types}",
            "serial": {"type": "Number", "value": number},
            "temperature": {"type": "Number", "value": number % 40},
            "location": {"type": "geo:point", "value": _place(number)},
        }


def _place(number: int) -> str:
    row, column = divmod(number, _COLUMNS)
    return f"{row * _SPACING:.2f},{column * _SPACING:.2f}"


def _by_id(number: int, size: int) -> str:
    return f"/v2/entities/Room{number}"


def _by_type(number: int, size: int) -> str:
    return f"/v2/entities?type=Type{number % max(size // HITS, 1)}&limit={HITS}"


def _by_value(number: int, size: int) -> str:
    return f"/v2/entities?q=serial=={number}..{number + HITS - 1}"


def _by_place(number: int, size: int) -> str:
    where = f"georel=near;maxDistance:{_RADIUS_M}&geometry=point&coords={_place(number)}"
    return f"/v2/entities?{where}"


KINDS: Final[dict[str, Callable[[int, int], str]]] = {
    "id": _by_id,
    "type": _by_type,
    "value": _by_value,
    "place": _by_place,
}


def main(argv: Sequence[str]) -> int:
    """Measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--max", type=int, default=SIZES[-1], help="entities of the last point")
    parser.add_argument("--quick", action="store_true", help="a glance: does it run at all?")
    add_options(parser, resumable=True)
    arguments = parser.parse_args(argv)
    check_options(parser, arguments)
    if not HITS <= arguments.max <= SIZE_MAX:
        parser.error(f"--max: {arguments.max} is not from {HITS} to {SIZE_MAX}")
    largest = min(arguments.max, QUICK_MAX) if arguments.quick else arguments.max
    try:
        document = resume_document(arguments, begin_document("queries", {"quick": arguments.quick}))
        points = document["figures"].setdefault("points", [])
        for size in [*(size for size in SIZES if size < largest), largest]:
            if any(point["entities"] == size for point in points):
                continue
            points.extend(measure_size(size, arguments))
            if arguments.output is not None:
                write_document(arguments.output, document)
    except (LoadError, RuntimeError, ValueError, OSError) as error:
        print(f"queries: {error}", file=sys.stderr)
        return 1
    print(make_table(points))
    save(arguments, document)
    return 0


def measure_size(size: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The figures of all kinds of queries on `size` entities. Raises LoadError, RuntimeError."""
    cpus = choose_cpus()
    effort = QUICK_EFFORT if arguments.quick else FULL_EFFORT
    with (
        tempfile.TemporaryDirectory(prefix="rigel-load-", dir=arguments.directory) as made,
        ExitStack() as running,
    ):
        directory = Path(made) / "broker"
        seed_directory(directory, make_entities(size), ())
        broker = start_broker(running, directory, [], cpus.server)
        calm = uvloop.run(_probe(broker.port, size, None))
        return [
            {
                "kind": kind,
                "entities": size,
                **uvloop.run(_probe(broker.port, size, kind)),
                "others_calm_longest_ms": calm["others_longest_ms"],
                **_measure_cpu(broker, kind, size, effort, cpus.client),
            }
            for kind in KINDS
        ]


def _make_requests(kind: str, size: int) -> list[list[bytes]]:
    # Spread over all entities, away from the ends, so that every query has all its hits.
    step = max((size - 2 * HITS) // (_CONNECTIONS * _VARIANTS), 1)
    numbers = range(HITS, max(size - HITS, HITS + 1), step)[: _CONNECTIONS * _VARIANTS]
    return [
        [request("GET", KINDS[kind](number, size)) for number in numbers[each::_CONNECTIONS]]
        for each in range(min(_CONNECTIONS, len(numbers)))
    ]


async def _probe(port: int, size: int, kind: str | None) -> dict[str, Any]:
    """The longest response to another client, while queries of `kind` are answered."""
    probe = Load(port, _make_requests("id", size), 200, timed=True)
    await probe.connect()
    queries = None
    if kind is not None:
        queries = Load(port, _make_requests(kind, size)[:1], 200, timed=True)
        await queries.connect()
    try:
        await probe.send(_CONNECTIONS)  # connections are accepted, and warm
        del probe.latencies_us[:]
        probing = asyncio.create_task(
            send_at_rate(probe, int(_PROBE_RATE * _PROBED_S), _PROBE_RATE)
        )
        if queries is not None:
            await queries.send(1)
            await queries.send(_QUERIES_PROBED - 1)
        await probing
    finally:
        for load in (probe, queries):
            if load is not None:
                load.close()
    found: dict[str, Any] = {"others_longest_ms": max(probe.latencies_us) / 1000}
    if queries is not None:
        found["first_ms"] = queries.latencies_us[0] / 1000
        later = sorted(queries.latencies_us[1:])
        found["later_p50_ms"] = later[len(later) // 2] / 1000
    return found


def _measure_cpu(
    broker: BrokerProcess, kind: str, size: int, effort: Effort, client_cpu: int | None
) -> dict[str, float]:
    each = _CONNECTIONS
    with LoadClient(broker.port, _make_requests(kind, size), 200, client_cpu) as client:

        def send() -> int:
            nonlocal each
            sent = each
            started = time.monotonic()
            client.send(sent)
            if time.monotonic() - started < _SHORT_CHUNK_S and each < _CHUNK_MAX:
                each *= 2
            return sent

        send()  # warm-up
        spent = measure_chunks(broker.pid, send, effort)
    return {"cpu_us": spent.cpu_us, "queries_per_s": spent.requests / spent.elapsed_s}


def make_table(points: list[dict[str, Any]]) -> str:
    """The points in Markdown."""
    lines = [
        "| query by | entities | CPU us | queries/s | first ms | later p50 ms "
        "| others' longest ms | without queries ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {p['kind']} | {p['entities']} | {p['cpu_us']:.1f} | {p['queries_per_s']:.0f} "
        f"| {p['first_ms']:.2f} | {p['later_p50_ms']:.2f} | {p['others_longest_ms']:.2f} "
        f"| {p['others_calm_longest_ms']:.2f} |"
        for p in points
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
