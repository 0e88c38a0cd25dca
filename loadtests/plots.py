"""Plots of results files: `python loadtests/plots.py RESULTS.json PLOT.png`.

Needs nothing but matplotlib (the extra `load`), so figures can be drawn where nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("agg")  # files only; there may be no display

from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH_IN: Final = 8.0
HEIGHT_IN: Final = 4.0
DPI: Final = 120  # sharp enough on a page, and small in a repository

# Told apart without colours, too: each line has a marker of its own.
_COLOURS: Final = ("#0b6e99", "#d1495b", "#3a7d44", "#e09f3e", "#6d597a", "#555555")
_MARKERS: Final = "osD^vx"

Document = dict[str, Any]


def main(argv: Sequence[str]) -> int:
    """Draw one file; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="what a command wrote with --output")
    parser.add_argument("plot", type=Path, help="the PNG file to write")
    arguments = parser.parse_args(argv)
    try:
        draw(json.loads(arguments.results.read_text(encoding="utf-8")), arguments.plot)
    except OSError as error:
        print(f"plots: {error}", file=sys.stderr)
        return 1
    except (ValueError, KeyError) as error:
        print(f"plots: {arguments.results} is no results file: {error!r}", file=sys.stderr)
        return 1
    return 0


def draw(document: Document, path: Path) -> None:
    """Draw a results document. Raises KeyError for one of an unknown benchmark."""
    drawer, panels = _DRAWERS[document["benchmark"]]
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    drawer(document, list(axes))
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(visible=True, axis="y", color="#dddddd", linewidth=0.6)
        each.set_axisbelow(True)
    machine = document["machine"]
    figure.supxlabel(
        f"{machine['cores']} x {machine['cpu']}, Linux {machine['kernel']}, "
        f"Python {machine['python']}",
        fontsize=7,
        color="#777777",
    )
    figure.savefig(path, dpi=DPI, format="png", metadata={"Software": None})


def _line(axes: Axes, number: int, xs: Sequence[float], ys: Sequence[float], label: str) -> None:
    axes.plot(
        xs,
        ys,
        color=_COLOURS[number % len(_COLOURS)],
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=4,
        linewidth=1.5,
        label=label,
    )


def _leave_room(axes: Axes) -> None:
    """From zero, and with room for the legend."""
    axes.set_ylim(0, axes.get_ylim()[1] * 1.25)


def _draw_bench(document: Document, axes: list[Axes]) -> None:
    figures = document["figures"]
    names = [name for name in ("nginx", "update", "query", "notify") if name in figures]
    user = [figures[name]["user_us"] for name in names]
    system = [figures[name]["system_us"] for name in names]
    axes[0].bar(names, user, color=_COLOURS[0], label="user")
    axes[0].bar(names, system, bottom=user, color=_COLOURS[3], label="system")
    for place, name in enumerate(names):
        ratio = figures[name]["ratio_to_nginx"]
        if ratio is not None:
            axes[0].annotate(
                f"{ratio:.1f} x",
                (place, user[place] + system[place]),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
            )
    _leave_room(axes[0])
    axes[0].set_ylabel("CPU per request, microseconds")
    axes[0].set_title("What requests cost, beside nginx answering 204")
    axes[0].legend(frameon=False)


def _draw_concurrency(document: Document, axes: list[Axes]) -> None:
    points = document["figures"]["points"]
    depths = sorted({point["pipeline"] for point in points})
    number = 0
    for server in ("rigel", "nginx"):
        for depth in depths:
            mine = sorted(
                (point["connections"], point[server]["cpu_us"])
                for point in points
                if point["pipeline"] == depth and server in point
            )
            if not mine:
                continue
            label = server if depth == 1 else f"{server}, {depth} pipelined"
            _line(axes[0], number, [x for x, _ in mine], [y for _, y in mine], label)
            number += 1
    axes[0].set_xscale("log")
    _leave_room(axes[0])
    axes[0].set_xlabel("connections")
    axes[0].set_ylabel("CPU per update, microseconds")
    axes[0].set_title("Updates by number of clients")
    axes[0].legend(frameon=False)


def _draw_esilbops(document: Document, axes: list[Axes]) -> None:
    points = document["figures"]["ranges"]
    sizes = [point["subscriptions"] for point in points]
    for number, (key, label) in enumerate(
        (
            ("cpu_us_per_update", "per update"),
            ("cpu_us_per_notification", "per notification delivered"),
        )
    ):
        _line(axes[0], number, sizes, [point[key] for point in points], label)
    axes[0].set_title("CPU")
    axes[0].set_ylabel("microseconds")
    _leave_room(axes[0])
    rates = [point["notifications_per_s"] for point in points]
    _line(axes[1], 0, sizes, rates, "Rigel, this machine")
    for number, (name, published) in enumerate(document["published"].items(), start=2):
        axes[1].plot(
            [size for size, _ in published],
            [rate for _, rate in published],
            color=_COLOURS[number],
            marker=_MARKERS[number],
            linestyle="none",
            label=f"{name}, first and last as published"
            if len(published) > 1
            else f"{name}, first as published",
        )
    axes[1].set_yscale("log")
    axes[1].set_title("Notifications per second")
    for each in axes:
        each.set_xscale("log")
        each.set_xlabel("subscriptions")
        each.legend(frameon=False, fontsize=8)


def _draw_scaling(document: Document, axes: list[Axes]) -> None:
    for number, (name, points) in enumerate(document["figures"].items()):
        sizes = [point["subscriptions"] for point in points]
        costs = [point["cpu_us_per_notification"] for point in points]
        _line(axes[0], number, sizes, costs, name)
    axes[0].set_xscale("log")
    _leave_room(axes[0])
    axes[0].set_xlabel("subscriptions, of which each update matches one")
    axes[0].set_ylabel("CPU per update with its notification, microseconds")
    axes[0].set_title("One notification among many subscriptions")
    axes[0].legend(frameon=False)


def _draw_latency(document: Document, axes: list[Axes]) -> None:
    for number, (scene, found) in enumerate(document["figures"].items()):
        quantiles = found["quantiles_us"]
        shares = [100 * place / (len(quantiles) - 1) for place in range(len(quantiles))]
        axes[0].plot(
            shares,
            [each / 1000 for each in quantiles],
            color=_COLOURS[number],
            label=f"{scene}, {found['updates_per_s']:g}/s",
        )
    axes[0].set_yscale("log")
    axes[0].set_xlabel("percentile")
    axes[0].set_ylabel("milliseconds")
    axes[0].set_title("From the update to its notification")
    axes[0].legend(frameon=False)


def _draw_capacity(document: Document, axes: list[Axes]) -> None:
    for number, (kind, points) in enumerate(document["figures"].items()):
        sizes = [point["count"] for point in points]
        _line(axes[0], number, sizes, [point["bytes_each"] for point in points], kind)
        started = [point for point in points if point["start_s"] is not None]
        if started:
            _line(
                axes[1],
                number,
                [point["count"] for point in started],
                [point["start_s"] for point in started],
                kind,
            )
    _leave_room(axes[0])
    axes[0].set_title("Bytes of memory each")
    axes[1].set_yscale("log")
    axes[1].set_title("Start, seconds")
    for each in axes:
        each.set_xscale("log")
        each.set_xlabel("entities or subscriptions")
        each.legend(frameon=False, fontsize=8)


def _draw_queries(document: Document, axes: list[Axes]) -> None:
    points = document["figures"]["points"]
    sizes = sorted({point["entities"] for point in points})
    kinds = list(dict.fromkeys(point["kind"] for point in points))
    width = 0.8 / len(sizes)
    for number, size in enumerate(sizes):
        mine = {point["kind"]: point for point in points if point["entities"] == size}
        places = [place + number * width for place in range(len(kinds))]
        for panel, key in zip(axes, ("cpu_us", "others_longest_ms"), strict=True):
            panel.bar(
                places,
                [mine[kind][key] for kind in kinds],
                width=width,
                color=_COLOURS[number],
                label=f"{size:,} entities",
            )
    for panel, title in zip(
        axes, ("CPU per query, microseconds", "Longest wait of others, ms"), strict=True
    ):
        panel.set_title(title)
        panel.set_xticks([place + width * (len(sizes) - 1) / 2 for place in range(len(kinds))])
        panel.set_xticklabels(kinds)
        panel.set_xlabel("query by")
        panel.legend(frameon=False, fontsize=8)
    axes[0].set_yscale("log")
    _leave_room(axes[1])


_DRAWERS: Final[dict[str, tuple[Callable[[Document, list[Axes]], None], int]]] = {
    "bench": (_draw_bench, 1),
    "concurrency": (_draw_concurrency, 1),
    "esilbops": (_draw_esilbops, 2),
    "scaling": (_draw_scaling, 1),
    "latency": (_draw_latency, 1),
    "capacity": (_draw_capacity, 2),
    "queries": (_draw_queries, 2),
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
