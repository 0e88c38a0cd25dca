"""A curve over the number of subscriptions: points, measured one after the other, and shown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from loadtests.end_to_end import Method, measure_point
from loadtests.load_client import LoadError
from loadtests.populations import Population
from loadtests.results import (
    add_options,
    begin_document,
    check_options,
    resume_document,
    save,
    write_document,
)
from loadtests.seeding import WAYS

SUBSCRIPTIONS_MAX: Final = 10_000_000  # gigabytes in any broker
QUICK_MAX: Final = 1000

_COLUMNS: Final = (
    ("subscriptions", "subscriptions", "{:.0f}"),
    ("notifications_per_update", "hits", "{:.2f}"),
    ("cpu_us_per_update", "CPU us/update", "{:.1f}"),
    ("cpu_us_per_notification", "CPU us/notification", "{:.1f}"),
    ("ratio_to_nginx", "x nginx", "{:.2f}"),
    ("notifications_per_s", "notifications/s", "{:.0f}"),
    ("server_busy", "server busy", "{:.0%}"),
    ("start_s", "start s", "{:.1f}"),
    ("resident_bytes", "RSS MB", "{:.1f}"),
)


def parse_arguments(
    description: str | None, argv: list[str], sizes: tuple[int, ...]
) -> tuple[argparse.Namespace, list[int]]:
    """The command line of a curve, and the sizes of its points."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--max",
        type=int,
        default=sizes[-1],
        metavar="N",
        help=f"subscriptions of the last point (default: {sizes[-1]})",
    )
    parser.add_argument(
        "--load",
        choices=WAYS,
        default="journal",
        help="how subscriptions get into the broker: by `rigel journal import`, or over HTTP",
    )
    parser.add_argument("--quick", action="store_true", help="a glance: does it run at all?")
    add_options(parser, resumable=True)
    arguments = parser.parse_args(argv)
    check_options(parser, arguments)
    if not 1 <= arguments.max <= SUBSCRIPTIONS_MAX:
        parser.error(f"--max: {arguments.max} is not from 1 to {SUBSCRIPTIONS_MAX}")
    largest = min(arguments.max, QUICK_MAX) if arguments.quick else arguments.max
    below = [size for size in sizes if size < largest]
    return arguments, [*below, largest]


def run(
    benchmark: str,
    arguments: argparse.Namespace,
    sizes: list[int],
    populations: Mapping[str, Callable[[int], Population]],
    extra: Mapping[str, Any],
) -> int:
    """Measure all points that are not there yet, print them; returns the exit code."""
    parameters = {"load": arguments.load, "quick": arguments.quick}
    method = Method(arguments.load, arguments.quick, arguments.directory)
    try:
        document = resume_document(arguments, begin_document(benchmark, parameters))
        document["published"] = dict(extra)
        for name, make in populations.items():
            points = document["figures"].setdefault(name, [])
            for size in sizes:
                if any(point["subscriptions"] == size for point in points):
                    continue
                points.append(measure_point(make(size), method))
                points.sort(key=lambda point: point["subscriptions"])
                if arguments.output is not None:
                    write_document(arguments.output, document)
    except (LoadError, RuntimeError, ValueError) as error:
        print(f"{benchmark}: {error}", file=sys.stderr)
        return 1
    for name, points in document["figures"].items():
        print(f"{name}\n\n{make_table(points)}\n")
    save(arguments, document)
    return 0


def make_table(points: list[dict[str, Any]]) -> str:
    """The points in Markdown."""
    lines = [
        "| " + " | ".join(title for _, title, _ in _COLUMNS) + " |",
        "|" + "---|" * len(_COLUMNS),
    ]
    for point in points:
        shown = {**point, "resident_bytes": point["resident_bytes"] / 1e6}
        cells = [
            "-" if shown[key] is None else form.format(shown[key]) for key, _, form in _COLUMNS
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
