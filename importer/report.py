"""What an import read, wrote and refused, for the operator.

Owns the counts, the reasons (named up to a bound), progress on standard error and the report at
the end. Must not: decide what is refused.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Final, TextIO

KINDS: Final = ("entities", "subscriptions", "registrations")
ENTITIES, SUBSCRIPTIONS, REGISTRATIONS = KINDS

MAX_NAMED: Final = 100  # of each list: enough to see what is wrong, short enough to be read
MAX_REASON_LENGTH: Final = 300  # characters: an error may quote a whole body
PROGRESS_INTERVAL_S: Final = 5.0  # a line now and then shows that it goes on

_ROW: Final = "{:<15}{:>12}{:>12}{:>12}{:>12}"


class Stopped(Exception):
    """The import cannot go on; the text says why, for the operator."""


@dataclass(slots=True)
class Counts:
    """How many of one kind. `repeated`: read once more, the later state counts."""

    read: int = 0
    written: int = 0
    refused: int = 0
    repeated: int = 0


class Report:
    """Counts and reasons of one import. Cost of each call: constant."""

    def __init__(self, progress: TextIO = sys.stderr) -> None:
        self.counts = {kind: Counts() for kind in KINDS}
        self._refusals = _Reasons()
        self._problems = _Reasons()
        self._notes = _Reasons()
        self._progress = progress
        self._next_line = time.monotonic() + PROGRESS_INTERVAL_S

    @property
    def is_clean(self) -> bool:
        """Whether nothing was refused and the source was read whole."""
        return not self._refusals.total and not self._problems.total

    def read(self, kind: str) -> None:
        """Count one that was read."""
        self.counts[kind].read += 1
        self._tick("read", kind, self.counts[kind].read)

    def repeat(self, kind: str) -> None:
        """Count one that had been read before."""
        self.counts[kind].repeated += 1

    def write(self, kind: str, number: int = 1) -> None:
        """Count those that were written."""
        self.counts[kind].written += number
        self._tick("written", kind, self.counts[kind].written)

    def refuse(self, kind: str, name: str, reason: str) -> None:
        """Count one that cannot be taken over; `name` is how the source knows it."""
        self.counts[kind].refused += 1
        self._refusals.add(f"{name}: {_shorten(reason)}")

    def add_problem(self, text: str) -> None:
        """What makes the import incomplete beside refusals."""
        self._problems.add(_shorten(text))

    def add_note(self, text: str) -> None:
        """What is taken over, but not as it was."""
        self._notes.add(_shorten(text))

    def render(self) -> str:
        """The report, with a line end."""
        lines = [_ROW.format("", "read", "written", "refused", "repeated")]
        for kind, count in self.counts.items():
            lines.append(
                _ROW.format(kind, count.read, count.written, count.refused, count.repeated)
            )
        for title, reasons in (
            ("refused", self._refusals),
            ("incomplete", self._problems),
            ("to note", self._notes),
        ):
            lines += reasons.render(title)
        return "\n".join(lines) + "\n"

    def _tick(self, verb: str, kind: str, number: int) -> None:
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + PROGRESS_INTERVAL_S
            print(f"rigel import: {number} {kind} {verb}", file=self._progress, flush=True)


class _Reasons:
    """Texts up to a bound, and how many there were."""

    def __init__(self) -> None:
        self.total = 0
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        self.total += 1
        if len(self._texts) < MAX_NAMED:
            self._texts.append(text)

    def render(self, title: str) -> list[str]:
        if not self.total:
            return []
        lines = [f"{title}: {self.total}", *(f"  {text}" for text in self._texts)]
        if self.total > len(self._texts):
            lines.append(f"  and {self.total - len(self._texts)} more")
        return lines


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_REASON_LENGTH else text[: MAX_REASON_LENGTH - 3] + "..."
