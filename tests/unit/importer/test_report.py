"""The report of an import, as the operator reads it."""

from __future__ import annotations

import io

from importer.report import ENTITIES, MAX_NAMED, MAX_REASON_LENGTH, SUBSCRIPTIONS, Report


def test_a_clean_report_has_the_counts_alone() -> None:
    report = Report(io.StringIO())
    for _ in range(3):
        report.read(ENTITIES)
    report.repeat(ENTITIES)
    report.write(ENTITIES, 2)
    assert report.is_clean
    assert [line.split() for line in report.render().splitlines()] == [
        ["read", "written", "refused", "repeated"],
        ["entities", "3", "2", "0", "1"],
        ["subscriptions", "0", "0", "0", "0"],
        ["registrations", "0", "0", "0", "0"],
    ]


def test_a_note_is_no_refusal_and_a_problem_is_one() -> None:
    report = Report(io.StringIO())
    report.add_note("it moved")
    assert report.is_clean
    report.add_problem("half of it")
    assert not report.is_clean
    assert report.render().splitlines()[4:] == [
        "incomplete: 1",
        "  half of it",
        "to note: 1",
        "  it moved",
    ]


def test_reasons_are_short_lines_and_bounded() -> None:
    report = Report(io.StringIO())
    for number in range(MAX_NAMED + 5):
        report.refuse(SUBSCRIPTIONS, str(number), "a\nb" * MAX_REASON_LENGTH)
    lines = report.render().splitlines()[4:]
    assert lines[0] == f"refused: {MAX_NAMED + 5}"
    assert len(lines) == MAX_NAMED + 2
    assert max(map(len, lines)) < MAX_REASON_LENGTH + 20
    assert lines[-1] == "  and 5 more"
