"""Durations of ISO 8601, as NGSIv1 has them for registrations, subscriptions and throttling.

A year is 365 days and a month 30, whatever the calendar says. Source: Orion 3.4.
"""

from __future__ import annotations

import re
from typing import Final

_SHAPE: Final = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?"
    r"(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)S)?)?",
    re.ASCII,
)
_UNITS_S: Final = (365 * 86400, 30 * 86400, 7 * 86400, 86400, 3600, 60)
_MAX_LENGTH: Final = 64  # characters; keeps the numbers small
_LAST_S: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that can be shown


def parse_duration(text: str) -> int | None:
    """The seconds of a duration, rounded; None for anything else."""
    match = _SHAPE.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None or not any(match.groups()):
        return None
    *whole, seconds = match.groups()
    total = sum(int(count) * unit for count, unit in zip(whole, _UNITS_S, strict=True) if count)
    return total + int(float((seconds or "0").replace(",", ".")) + 0.5)


def find_end(now: float, duration_s: int) -> float:
    """When a duration that begins now is over, in seconds since 1970."""
    return min(now + duration_s, _LAST_S)
