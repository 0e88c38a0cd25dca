"""ISO 8601 as Orion takes it (Orion API, "Datetime support")."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngsi.instants import canonical_instant, format_instant, parse_instant


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2017-06-17", "2017-06-17T00:00:00.000Z"),
        ("2017-06-17T07", "2017-06-17T07:00:00.000Z"),
        ("2017-06-17T07:21", "2017-06-17T07:21:00.000Z"),
        ("2017-06-17T0721", "2017-06-17T07:21:00.000Z"),
        ("2017-06-17T07:21:24", "2017-06-17T07:21:24.000Z"),
        ("2017-06-17T072124", "2017-06-17T07:21:24.000Z"),
        ("2017-06-17T07:21:24.238Z", "2017-06-17T07:21:24.238Z"),
        ("2017-06-17T07:21:24.2Z", "2017-06-17T07:21:24.200Z"),
        ("2017-06-17T07:21:24+02:00", "2017-06-17T05:21:24.000Z"),
        ("2017-06-17T07:21:24-0230", "2017-06-17T09:51:24.000Z"),
        ("2017-06-17T07:21:24+01", "2017-06-17T06:21:24.000Z"),
        ("2016-02-29", "2016-02-29T00:00:00.000Z"),
        ("1969-07-20T20:17:40Z", "1969-07-20T20:17:40.000Z"),
    ],
)
def test_patterns(text: str, canonical: str) -> None:
    assert canonical_instant(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2017",
        "2017-06",
        "20170617",
        "2017-06-17Z",
        "2017-06-17+01:00",
        "2017-06-17 07:21",
        "2017-06-17T",
        "2017-13-01",
        "2017-02-29",
        "2017-06-17T24:00",
        "2017-06-17T07:60",
        "2017-06-17T07:21:24X",
        "2017-W25-6",
        "1899-12-31",
        "\uff12017-06-17",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:59.9999Z",
    ],
)
def test_anything_else_is_no_instant(text: str) -> None:
    assert parse_instant(text) is None


@given(st.integers(-2_208_988_800_000, 4_102_444_800_000))
def test_milliseconds_survive_a_round_trip(milliseconds: int) -> None:
    text = format_instant(milliseconds / 1000)
    seconds = parse_instant(text)
    assert seconds is not None
    assert round(seconds * 1000) == milliseconds
    assert canonical_instant(text) == text
