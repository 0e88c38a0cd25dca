"""Durations of ISO 8601 as NGSIv1 has them. Source: Orion 3.4's unit tests of durations."""

from __future__ import annotations

import pytest

from ngsi.v1.durations import find_end, parse_duration

DAY = 86400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P2Y", 2 * 365 * DAY),
        ("P2M", 2 * 30 * DAY),
        ("P2W", 14 * DAY),
        ("P2D", 2 * DAY),
        ("PT2H", 7200),
        ("PT2M", 120),
        ("PT2S", 2),
        ("P3Y1M1DT1H1M11S", 3 * 365 * DAY + 31 * DAY + 3600 + 60 + 11),
        ("P0YT12.49999S", 12),
        ("P0YT12.50S", 13),
        ("PT1,5S", 2),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "Q1", "P1", "PT2Y", "PT2W", "PT2D", "P2H", "P2S", "1H", "P-1D", "PT1H "],
)
def test_what_is_none(text: str) -> None:
    assert parse_duration(text) is None


def test_the_end_can_be_shown() -> None:
    assert find_end(10.0, 5) == 15.0
    forever = parse_duration("P99999999999999Y")
    assert forever is not None
    assert find_end(10.0, forever) == 253_402_300_799
    assert parse_duration(f"P{'9' * 100}Y") is None
