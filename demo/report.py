"""What the demo shows: its progress, the comparison with the expectation, and the tables.

Owns the judgement whether what arrived is what had to arrive, and every word on the terminal.
Must not: send or receive anything. Where the output is no terminal there is no progress bar and
no colour, only lines.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.scenario import Change

PERCENTILES: Final = (50.0, 95.0, 99.0, 100.0)
PLAIN_WIDTH: Final = 100  # columns where the output is no terminal; the widest table fits
_REFRESH_INTERVAL_S: Final = 0.25  # drawing takes milliseconds of the loop that is measured
_EXAMPLES_MAX: Final = 3  # of each kind of difference


class Sent(NamedTuple):
    """One line of what was sent; `seconds` None where it has no time of its own."""

    what: str
    number: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one subscription was told, beside what the files say it had to be told.

    `triggered` is what the broker counted (timesSent), `differences` are sentences, none when
    all agrees.
    """

    title: str
    expected: int
    received: int
    triggered: int
    latencies_s: Sequence[float]
    differences: tuple[str, ...]


def compare(
    expected: Mapping[str, Sequence[Change]], received: Mapping[str, Sequence[Change]]
) -> tuple[str, ...]:
    """The differences, in words: changes missing, surplus (also: twice), or out of order.

    Both are changes in order by entity id; the order between entities does not count.
    """
    wanted = Counter(chain.from_iterable(expected.values()))
    got = Counter(chain.from_iterable(received.values()))
    differences = []
    if missing := wanted - got:
        differences.append(f"{missing.total()} missing: {_examples(missing)}")
    if surplus := got - wanted:
        differences.append(f"{surplus.total()} not expected: {_examples(surplus)}")
    if not differences:
        differences += [
            f"{entity_id}: out of order"
            for entity_id, changes in expected.items()
            if list(changes) != list(received[entity_id])
        ]
    return tuple(differences)


def compare_entities(
    sent: Sequence[Mapping[str, Any]], stored: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """The differences between entities as they were sent and as they are read back."""
    read_back = {entity.get("id"): _values(entity) for entity in stored}
    wanted = {entity["id"]: _values(entity) for entity in sent}
    different = [
        f"{entity_id} is {read_back.get(entity_id)}, not {values}"
        for entity_id, values in wanted.items()
        if read_back.get(entity_id) != values
    ]
    differences = []
    if different:
        differences.append(
            f"{len(different)} of {len(wanted)} not as sent: "
            + "; ".join(different[:_EXAMPLES_MAX])
        )
    if len(stored) != len(sent):
        differences.append(f"{len(stored)} stored, {len(sent)} sent")
    return tuple(differences)


def _values(entity: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: attribute.get("value") if isinstance(attribute, dict) else attribute
        for name, attribute in entity.items()
    }


def _examples(changes: Counter[Change]) -> str:
    shown = [
        f"{change.entity_id} {' '.join(map(str, change.values))}"
        for change in list(changes)[:_EXAMPLES_MAX]
    ]
    return "; ".join(shown) + ("; ..." if len(changes) > _EXAMPLES_MAX else "")


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of sorted `values`, at least one; `percent` in 0..100."""
    rank = math.ceil(percent / 100 * len(values))
    return values[max(rank, 1) - 1]


def _new_table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )


class Report:
    """Writes to one console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @classmethod
    def to_standard_output(cls) -> Report:
        """As wide as the terminal, else PLAIN_WIDTH columns."""
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=PLAIN_WIDTH)
        return cls(console)

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, markup=False, soft_wrap=True)

    @asynccontextmanager
    async def progress(
        self, totals: Mapping[str, int], read: Callable[[], Mapping[str, int]]
    ) -> AsyncIterator[None]:
        """Bars up to `totals` while the block runs, of what `read` returns; none if plain."""
        if not self._console.is_terminal:
            yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, auto_refresh=False) as bars:
            tasks = {name: bars.add_task(name, total=total) for name, total in totals.items()}

            def draw() -> None:
                for name, count in read().items():
                    bars.update(tasks[name], completed=count)
                bars.refresh()

            async def keep_drawing() -> None:
                while True:
                    draw()
                    await asyncio.sleep(_REFRESH_INTERVAL_S)

            drawing = asyncio.create_task(keep_drawing())
            try:
                yield
            finally:
                drawing.cancel()
                draw()

    def show_sent(self, lines: Sequence[Sent]) -> None:
        """The table of what was sent and how fast."""
        table = _new_table("Sent and received")
        table.add_column("")
        for name in ("count", "seconds", "per second"):
            table.add_column(name, justify="right")
        for line in lines:
            rate = f"{line.number / line.seconds:,.0f}" if line.seconds else ""
            seconds = "" if line.seconds is None else f"{line.seconds:.2f}"
            table.add_row(line.what, f"{line.number:,}", seconds, rate)
        self._console.print(table)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """The table of what was notified, beside what the files say."""
        table = _new_table("Notified; from update sent to notification received, in ms")
        table.add_column("subscription")
        for name in ("expected", "triggered", "received"):
            table.add_column(name, justify="right")
        for percent in PERCENTILES:
            name = "max" if percent == 100 else f"p{percent:g}"
            table.add_column(name, justify="right", min_width=5)
        table.add_column("agrees")
        for finding in findings:
            table.add_row(*self._cells(finding))
        table.add_section()
        table.add_row(
            *self._cells(
                Finding(
                    "all",
                    sum(finding.expected for finding in findings),
                    sum(finding.received for finding in findings),
                    sum(finding.triggered for finding in findings),
                    [latency for finding in findings for latency in finding.latencies_s],
                    tuple(chain.from_iterable(finding.differences for finding in findings)),
                )
            )
        )
        self._console.print(table)

    def _cells(self, finding: Finding) -> list[str]:
        latencies = sorted(finding.latencies_s)
        return [
            finding.title,
            f"{finding.expected:,}",
            f"{finding.triggered:,}",
            f"{finding.received:,}",
            *(
                f"{percentile(latencies, percent) * 1000:.1f}" if latencies else ""
                for percent in PERCENTILES
            ),
            "[red]NO[/red]" if finding.differences else "yes",
        ]
