"""Points in time: ISO 8601 text to seconds since 1970 (UTC) and back.

Source: Orion API, section "Datetime support". Inside the model a DateTime value is kept in
its canonical text `YYYY-MM-DDThh:mm:ss.sssZ`, which orders as time does.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

DATE_TYPES: Final = frozenset({"DateTime", "ISO8601"})

# Only <date>, <date>T<time> and <date>T<time><zone> are allowed; datetime.fromisoformat
# takes more (weeks, a space for the T, dates without dashes), so the shape is checked first.
_SHAPE: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:T(\d\d(?::?\d\d(?::?\d\d(?:\.\d+)?)?)?)(Z|[+-]\d\d(?:[:.]?\d\d)?)?)?",
    re.ASCII,
)
_FIRST_YEAR: Final = "1900"  # as Orion
_LAST_MILLISECOND: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
LAST_INSTANT: Final = _LAST_MILLISECOND / 1000  # seconds since 1970


def parse_instant(text: str) -> float | None:
    """Seconds since 1970 for one of the standard's patterns, None for anything else.

    A missing time means midnight, a missing zone UTC; milliseconds are kept.
    """
    match = _SHAPE.fullmatch(text)
    if match is None or text[:4] < _FIRST_YEAR:
        return None
    date, time, zone = match.groups()
    try:
        moment = datetime.fromisoformat(date if time is None else f"{date}T{time}")
        if zone is None or zone == "Z":
            moment = moment.replace(tzinfo=UTC)
        else:
            # Orion takes a dot for the colon.
            moment = datetime.fromisoformat(f"{date}T{time}{zone.replace('.', ':')}")
    except ValueError:
        return None
    seconds = moment.timestamp()
    # A zone west of Greenwich can lead out of the years that have four digits.
    return seconds if round(seconds * 1000) <= _LAST_MILLISECOND else None


@lru_cache(maxsize=4096)
def canonical_instant(text: str) -> str | None:
    """The canonical text of an ISO 8601 instant, None if `text` is no instant."""
    seconds = parse_instant(text)
    return None if seconds is None else format_instant(seconds)


def format_instant(seconds: float) -> str:
    """`YYYY-MM-DDThh:mm:ss.sssZ` of seconds since 1970 (milliseconds rounded)."""
    whole, millis = divmod(round(seconds * 1000), 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"
