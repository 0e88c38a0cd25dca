"""Memory and start of a broker with up to a million of anything.

Per point a broker of its own: first empty, then with so many entities of three attributes, or so
many subscriptions. Memory is the resident set of all its processes beyond that of the empty one,
so what the allocator keeps for itself counts too. Of subscriptions the broker tells how much of
it is the index, and how much the documents; the rest is ids, tables and the allocator's. The CPU
of a start is that beyond the start of the empty one.

    python loadtests/capacity.py --output FILE --plot FILE
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from loadtests.cpu_time import choose_cpus, read_cpu_time, read_resident_bytes
from loadtests.load_client import LoadError
from loadtests.populations import Devices, Ranges, Thresholds
from loadtests.results import (
    add_options,
    begin_document,
    check_options,
    resume_document,
    save,
    write_document,
)
from loadtests.seeding import (
    WAYS,
    Document,
    post_entities,
    post_subscriptions,
    seed_directory,
)
from loadtests.servers import read_metric, start_broker
from loadtests.workloads import make_entity

SIZES: Final = (10_000, 100_000, 1_000_000)
QUICK_MAX: Final = 1000
SIZE_MAX: Final = 10_000_000  # gigabytes in any broker
_NOWHERE: Final = "http://127.0.0.1:9/notify"  # nobody is notified here

Make = Callable[[int], Iterator[Document]]


def make_rooms(size: int) -> Iterator[Document]:
    """Entities of three attributes."""
    return (make_entity(number) for number in range(size))


# Kinds of things; the second tells whether they are entities.
KINDS: Final[dict[str, tuple[Make, bool]]] = {
    "entities": (make_rooms, True),
    "devices": (lambda size: Devices(size).subscriptions(_NOWHERE), False),
    "thresholds": (lambda size: Thresholds(size).subscriptions(_NOWHERE), False),
    "ranges": (lambda size: Ranges(size).subscriptions(_NOWHERE), False),
}


def main(argv: Sequence[str]) -> int:
    """Measure, print; returns the exit code."""
    arguments = parse_arguments(argv)
    largest = min(arguments.max, QUICK_MAX) if arguments.quick else arguments.max
    sizes = [*(size for size in SIZES if size < largest), largest]
    try:
        document = resume_document(
            arguments,
            begin_document("capacity", {"load": arguments.load, "quick": arguments.quick}),
        )
        for kind in arguments.kinds or KINDS:
            points = document["figures"].setdefault(kind, [])
            for size in sizes:
                if any(point["count"] == size for point in points):
                    continue
                with tempfile.TemporaryDirectory(
                    prefix="rigel-load-", dir=arguments.directory
                ) as made:
                    points.append(measure(kind, size, arguments.load, Path(made)))
                points.sort(key=lambda point: point["count"])
                if arguments.output is not None:
                    write_document(arguments.output, document)
    except (LoadError, RuntimeError, ValueError) as error:
        print(f"capacity: {error}", file=sys.stderr)
        return 1
    print(make_table(document["figures"]))
    save(arguments, document)
    return 0


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"some of {', '.join(KINDS)}")
    parser.add_argument("--max", type=int, default=SIZES[-1], help="the last point")
    parser.add_argument(
        "--load", choices=WAYS, default="journal", help="how they get into the broker"
    )
    parser.add_argument("--quick", action="store_true", help="a glance: does it run at all?")
    add_options(parser, resumable=True)
    arguments = parser.parse_args(argv)
    check_options(parser, arguments)
    for kind in arguments.kinds:
        if kind not in KINDS:
            parser.error(f"KIND: {kind} is none of {', '.join(KINDS)}")
    if not 1 <= arguments.max <= SIZE_MAX:
        parser.error(f"--max: {arguments.max} is not from 1 to {SIZE_MAX}")
    return arguments


def measure(kind: str, size: int, way: str, directory: Path) -> dict[str, Any]:
    """Memory of, and start with, `size` things. Raises LoadError and RuntimeError."""
    make, are_entities = KINDS[kind]
    cpu = choose_cpus()
    made = make(size)
    entities, subscriptions = (made, iter(())) if are_entities else (iter(()), made)
    with ExitStack() as running:
        empty = start_broker(running, directory / "empty", [], cpu.server)
        empty_bytes = read_resident_bytes(empty.pid)
        empty_cpu = read_cpu_time(empty.pid)
    with ExitStack() as running:
        if way == "journal":
            seed_directory(directory / "full", entities, subscriptions)
        started = time.monotonic()
        broker = start_broker(running, directory / "full", [], cpu.server)
        start_s = time.monotonic() - started
        before = read_cpu_time(broker.pid)
        if way == "http":
            post_entities(broker.url, entities)
            post_subscriptions(broker.port, subscriptions, cpu.client)
        spent = read_cpu_time(broker.pid).since(before)
        resident = read_resident_bytes(broker.pid)
        index_bytes = read_metric(broker.url, "rigel_subscription_index_bytes")
        document_bytes = read_metric(broker.url, "rigel_subscription_document_bytes")
    return {
        "count": size,
        "empty_resident_bytes": empty_bytes,
        "resident_bytes": resident,
        "bytes_each": (resident - empty_bytes) / size,
        "index_bytes_each": None if are_entities else index_bytes / size,
        "document_bytes_each": None if are_entities else document_bytes / size,
        "start_s": start_s if way == "journal" else None,
        "start_cpu_s": max(0.0, before.since(empty_cpu).total_s) if way == "journal" else None,
        "create_cpu_us": spent.total_s / size * 1e6 if way == "http" else None,
    }


def make_table(figures: dict[str, list[dict[str, Any]]]) -> str:
    """The points in Markdown."""
    lines = [
        "| what | count | bytes each | index | document | rest "
        "| RSS MB | start s | start CPU s | CPU us to create |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, points in figures.items():
        for point in points:
            each, index, document = (
                point["bytes_each"],
                point["index_bytes_each"],
                point["document_bytes_each"],
            )
            cells = [
                kind,
                str(point["count"]),
                f"{each:.0f}",
                _show(index, 0),
                _show(document, 0),
                _show(None if index is None else each - index - document, 0),
                f"{point['resident_bytes'] / 1e6:.1f}",
                _show(point["start_s"], 1),
                _show(point["start_cpu_s"], 1),
                _show(point["create_cpu_us"], 1),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _show(figure: float | None, digits: int) -> str:
    return "-" if figure is None else f"{figure:.{digits}f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
