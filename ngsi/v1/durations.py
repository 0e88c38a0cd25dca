"""Lengths of time in the documents of NGSIv1: ISO 8601 durations.

A year is 365 days and a month 30, as in Orion. Fractions are taken in any part, and the whole is
rounded to seconds. Source: ISO 8601, "Durations"; Orion 3.4.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_HOUR_S: Final = 3600
_DAY_S: Final = 24 * _HOUR_S
_DATE_UNITS_S: Final = {"Y": 365 * _DAY_S, "M": 30 * _DAY_S, "W": 7 * _DAY_S, "D": _DAY_S}
_TIME_UNITS_S: Final = {"H": _HOUR_S, "M": 60, "S": 1}
# Nine digits: in years that is far beyond the last instant, and no number gets long.
_NUMBER: Final = r"[0-9]{1,9}(?:[.,][0-9]{1,9})?"
# As Orion, in any order and maybe without any part after the T.
_SHAPE: Final = re.compile(rf"P(?=.)((?:{_NUMBER}[YMWD])*)(?:T((?:{_NUMBER}[HMS])*))?")
_LAST_S: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that can be shown
_PART: Final = re.compile(rf"({_NUMBER})([A-Z])")


class Duration(NamedTuple):
    """A length of time as the client wrote it, and in seconds."""

    text: str
    seconds: int


def parse_duration(text: str) -> Duration | None:
    """The duration that a text says, None if it says none."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    dates, times = match.groups()
    seconds = _sum(dates, _DATE_UNITS_S) + _sum(times or "", _TIME_UNITS_S)
    return Duration(text, int(seconds + 0.5))


def find_end(now: float, duration_s: int) -> float:
    """When a duration that begins now is over, in seconds since 1970."""
    return min(now + duration_s, _LAST_S)


def _sum(parts: str, units_s: dict[str, int]) -> float:
    return sum(
        float(number.replace(",", ".")) * units_s[unit] for number, unit in _PART.findall(parts)
    )
