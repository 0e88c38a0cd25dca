"""A row of the table of settings: what it is called, which values it takes, how they are read.

Owns: the columns of a row, the reading of a text and the check of a value. Must not: know a
particular setting. Costs: a few comparisons per value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeVar

MAX_TEXT_LENGTH: Final = 4096  # characters; the longest path that Linux takes

_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "min": "minutes", "bytes": "bytes"}
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")  # at most 18 digits: fits 64 bits
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

T = TypeVar("T")


class SettingsError(Exception):
    """A flag or variable that is unknown or not allowed; the text names it and what is.

    A program that gets one prints it and exits with code 2.
    """


class State(Enum):
    """What giving a setting brings about in this release. Changing it is one word per row."""

    ACTIVE = "works"
    LATER = "accepted, no effect yet"
    IGNORED = "accepted, never has an effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the table."""

    default: object
    help: str
    group: str = ""  # begins a section of the documentation; "" goes on with the one before
    name: str = ""  # the field's; "" where only Orion has the setting
    orion: str = ""  # Orion's flag and environment variable, "-port ORION_PORT"
    bounds: tuple[int | None, int | None] = (None, None)  # of whole numbers, both included
    unit: str = ""  # where the end of the name does not tell
    choices: tuple[str, ...] = ()
    parse: Callable[[str], object] | None = None  # raises ValueError on anything not in `form`
    form: str = ""  # what `parse` takes, in words
    reloadable: bool = False
    state: State = State.ACTIVE

    @property
    def is_switch(self) -> bool:
        return isinstance(self.default, bool)

    @property
    def flags(self) -> tuple[str, ...]:
        """Orion's spelling first, as far as there are both."""
        own = ("--" + self.name.replace("_", "-"),) if self.name else ()
        return (*self.orion.split()[:1], *own)

    @property
    def negation(self) -> tuple[str, ...]:
        """The flag that puts a switch off again, against the environment."""
        return (f"--no-{self.name.replace('_', '-')}",) if self.name and self.is_switch else ()

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables, the winning one first."""
        own = (f"RIGEL_{self.name.upper()}",) if self.name else ()
        return (*own, *self.orion.split()[1:])

    @property
    def measure(self) -> str:
        """What a number counts; names end in their unit where it is a physical one."""
        return self.unit or _UNITS.get(self.name.rpartition("_")[2], "")

    @property
    def allowed(self) -> str:
        """The values allowed, in words, to end a sentence with."""
        if self.form:
            return self.form
        if self.is_switch:
            return "TRUE, true, FALSE or false"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if not isinstance(self.default, int):
            return f"text of at most {MAX_TEXT_LENGTH} characters without control characters"
        low, high = self.bounds
        kind = f"a whole number of {self.measure}" if self.measure else "a whole number"
        return f"{kind}, {low} or more" if high is None else f"{kind} from {low} to {high}"

    def read(self, text: str, source: str) -> object:
        """The value of `text`, or SettingsError naming `source`, `text` and the bounds."""
        try:
            value = self._parse(text)
            if self._is_allowed(value):
                return value
        except ValueError:
            pass  # worded below
        hint = ""
        if text.startswith("tcp://"):
            hint = " (set by Kubernetes for a Service of that name? see enableServiceLinks)"
        raise SettingsError(f"{source}: {text[:200]!r} is not {self.allowed}{hint}")

    def check(self, value: object) -> None:
        """Raise SettingsError if a value given by a program is out of bounds."""
        if not self._is_allowed(value):
            raise SettingsError(f"{self.name}: {value!r} is not {self.allowed}")

    def show(self, value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return "none" if value in ("", None, frozenset()) else str(value)

    def _parse(self, text: str) -> object:
        if self.parse is not None:
            return self.parse(text)
        if self.is_switch:
            return {"TRUE": True, "true": True, "FALSE": False, "false": False}.get(text)
        if isinstance(self.default, int):
            return read_whole(text)
        if self.choices:
            return next((c for c in self.choices if c.lower() == text.lower()), None)
        return text

    def _is_allowed(self, value: object) -> bool:
        if self.is_switch:
            return isinstance(value, bool)
        if isinstance(self.default, int):
            low, high = self.bounds
            return (
                type(value) is int
                and (low is None or value >= low)
                and (high is None or value <= high)
            )
        if self.choices:
            return value in self.choices
        if isinstance(self.default, str):
            return (
                isinstance(value, str)
                and len(value) <= MAX_TEXT_LENGTH
                and _CONTROL.search(value) is None
            )
        return value is not None


def setting(default: T, help: str, **columns: Any) -> T:
    """A dataclass field that is a row of the table; `columns` are those of `Setting`."""
    row = Setting(default=default, help=help, **columns)
    made: T = field(default=default, metadata={"setting": row})
    return made


def read_whole(text: str) -> int:
    """A whole number in ASCII digits; ValueError on anything else."""
    if _WHOLE.fullmatch(text) is None:
        raise ValueError
    return int(text)
