"""The demo's judgement and what it prints."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from demo.report import (
    PLAIN_WIDTH,
    Finding,
    Report,
    Sent,
    compare,
    compare_entities,
    percentile,
)
from demo.scenario import SUBSCRIPTIONS, Change


def changes(*values: int) -> list[Change]:
    return [Change("E", (value,)) for value in values]


def test_what_agrees_has_no_differences() -> None:
    other = [Change("F", (1,))]
    assert compare({"E": changes(1, 2, 1), "F": other}, {"F": other, "E": changes(1, 2, 1)}) == ()
    assert compare({}, {}) == ()


@pytest.mark.parametrize(
    ("received", "differences"),
    [
        ({"E": changes(1, 2)}, ("1 missing: E 1",)),
        ({}, ("3 missing: E 1; E 2",)),
        ({"E": changes(1, 2, 1, 2)}, ("1 not expected: E 2",)),
        ({"E": changes(1, 1, 3)}, ("1 missing: E 2", "1 not expected: E 3")),
        ({"E": changes(1, 1, 2)}, ("E: out of order",)),
        ({"E": changes(1, 2, 1), "F": [Change("F", (7, 8))]}, ("1 not expected: F 7 8",)),
    ],
)
def test_differences_are_told(
    received: dict[str, list[Change]], differences: Sequence[str]
) -> None:
    assert compare({"E": changes(1, 2, 1)}, received) == differences


def test_few_of_many_differences_are_shown() -> None:
    assert compare({"E": changes(*range(9))}, {}) == ("9 missing: E 0; E 1; E 2; ...",)


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_only_equal_sequences_agree(expected: list[int], received: list[int]) -> None:
    found = compare({"E": changes(*expected)}, {"E": changes(*received)})
    assert (found == ()) == (expected == received)


def test_entities_are_compared_by_their_values() -> None:
    sent = [{"id": "A", "type": "T", "x": {"type": "Number", "value": 1.0}}]
    stored = [{"id": "A", "type": "T", "x": {"type": "Number", "value": 1, "metadata": {}}}]
    assert compare_entities(sent, stored) == ()
    stored[0]["x"] = {"type": "Number", "value": 2, "metadata": {}}
    assert compare_entities(sent, stored) == (
        "1 of 1 not as sent: A is {'id': 'A', 'type': 'T', 'x': 2}, "
        "not {'id': 'A', 'type': 'T', 'x': 1.0}",
    )
    assert compare_entities([], stored) == ("1 stored, 0 sent",)
    assert len(compare_entities(sent, [])) == 2


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 100))
def test_percentile_is_the_nearest_rank(values: list[float], percent: float) -> None:
    values.sort()
    found = percentile(values, percent)
    assert found in values
    at_most = sum(value <= found for value in values)
    below = sum(value < found for value in values)
    # Tolerance for the rounding of percent / 100 * length.
    assert at_most / len(values) >= percent / 100 - 1e-9
    assert below / len(values) <= percent / 100 + 1e-9


def test_maximum_and_median() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 100) == 4.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
    assert percentile([5.0], 99) == 5.0


def plain_report() -> tuple[Report, io.StringIO]:
    written = io.StringIO()
    return Report(Console(file=written, width=PLAIN_WIDTH, highlight=False)), written


async def test_plain_output_is_lines_without_control_characters() -> None:
    report, written = plain_report()
    report.say("Replaying [all] 3 updates ...")
    async with report.progress({"a": 1}, lambda: {"a": 1}):
        pass
    report.show_sent([Sent("readings", 8759, None), Sent("updates", 10_000, 2.0)])
    report.show_findings(
        [
            Finding(subscription.title, 17_208, 17_208, 17_208, [0.001, 0.0025], ())
            for subscription in SUBSCRIPTIONS
        ]
    )
    lines = written.getvalue().split("\n")
    assert lines[0] == "Replaying [all] 3 updates ..."
    assert all(line.isprintable() for line in lines)
    assert all(len(line) <= PLAIN_WIDTH for line in lines)
    for subscription in SUBSCRIPTIONS:  # each on one line, nothing cut off
        (row,) = (line for line in lines if line.strip().startswith(subscription.title))
        cells = row.removeprefix(f" {subscription.title}").split()
        assert cells == ["17,208", "17,208", "17,208", "1.0", "2.5", "2.5", "2.5", "yes"]
    assert any(line.split() == ["updates", "10,000", "2.00", "5,000"] for line in lines)
    assert any(line.split() == ["readings", "8,759"] for line in lines)


def test_a_difference_shows_in_the_row_and_in_the_sum() -> None:
    report, written = plain_report()
    report.show_findings([Finding("subscription", 2, 1, 2, [0.5], ("1 missing: E 1",))])
    rows = [line.split() for line in written.getvalue().split("\n")]
    assert ["subscription", "2", "2", "1", "500.0", "500.0", "500.0", "500.0", "NO"] in rows
    assert ["all", "2", "2", "1", "500.0", "500.0", "500.0", "500.0", "NO"] in rows


async def test_a_terminal_gets_a_bar() -> None:
    written = io.StringIO()
    console = Console(file=written, width=80, force_terminal=True, color_system=None)
    counts = {"updates": 0}
    async with Report(console).progress({"updates": 4}, lambda: counts):
        counts["updates"] = 4
    assert "4/4" in written.getvalue()
