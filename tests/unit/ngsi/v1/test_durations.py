"""ISO 8601 durations as Orion reads them."""

from __future__ import annotations

import pytest

from ngsi.v1.durations import Duration, find_end, parse_duration

DAY = 24 * 3600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT5S", 5),
        ("PT2M", 120),
        ("PT24H", DAY),
        ("P1D", DAY),
        ("P2W", 14 * DAY),
        ("P1M", 30 * DAY),
        ("P5Y", 5 * 365 * DAY),
        ("P1Y2M3DT4H5M6S", (365 + 60 + 3) * DAY + 4 * 3600 + 5 * 60 + 6),
        ("P1DT", DAY),
        ("PT", 0),
        ("PT0S", 0),
        ("PT1.4S", 1),
        ("PT1,6S", 2),
        ("PT0.5H", 1800),
    ],
)
def test_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == Duration(text, seconds)


@pytest.mark.parametrize(
    "text",
    ["", "P", "5S", "PT5", "P5", "PT5X", "P5H", "PT5D", "p1d", "P1DT5", "P-1D", "P1D ", "P1.D"],
)
def test_no_duration(text: str) -> None:
    assert parse_duration(text) is None


def test_numbers_without_end() -> None:
    assert parse_duration("P" + "9" * 10 + "Y") is None


def test_the_end_can_be_shown() -> None:
    assert find_end(10.0, 5) == 15.0
    forever = parse_duration("P999999999Y")
    assert forever is not None
    assert find_end(10.0, forever.seconds) == 253_402_300_799
    assert parse_duration(f"P{'9' * 100}Y") is None
