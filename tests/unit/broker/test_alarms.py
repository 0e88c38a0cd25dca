"""Alarms: counts, bounds, and what is traced while an alarm is active."""

from __future__ import annotations

import logging

import pytest

from broker.alarms import ACTIVE_MAX, TRACE_NOTIFIER, Alarms, LogSummary
from broker.logs import SUMMARY, LogLimits


@pytest.fixture
def limits() -> LogLimits:
    return LogLimits(32 * 1024, 5 * 1024)


def test_active_alarms_are_bounded(caplog: pytest.LogCaptureFixture, limits: LogLimits) -> None:
    kind = Alarms(limits).bad_input
    for number in range(ACTIVE_MAX + 3):
        kind.begin(str(number), "bad")
    assert (kind.active, kind.raised) == (ACTIVE_MAX, ACTIVE_MAX)
    assert len(caplog.records) == ACTIVE_MAX + 1  # and one that says so
    kind.end("of nobody")
    kind.end("0")
    kind.begin("another", "bad")
    assert (kind.active, kind.raised, kind.released) == (ACTIVE_MAX, ACTIVE_MAX + 1, 1)


def test_database_alarm_is_an_error_without_subject(
    caplog: pytest.LogCaptureFixture, limits: LogLimits
) -> None:
    kind = Alarms(limits).database
    kind.begin("", "disk full")
    kind.begin("", "disk full")
    kind.end("")
    kind.end("")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "Raising alarm DatabaseError: disk full"),
        (logging.ERROR, "Releasing alarm DatabaseError"),
    ]


def test_repetitions_are_traced(caplog: pytest.LogCaptureFixture, limits: LogLimits) -> None:
    kind = Alarms(limits).notification
    caplog.set_level(logging.DEBUG)
    for _ in range(2):
        kind.begin("host/path", "refused")
    assert len(caplog.records) == 1
    limits.trace_levels = frozenset({TRACE_NOTIFIER})
    kind.begin("host/path", "refused")
    assert caplog.records[-1].getMessage() == "Repeated NotificationError host/path: refused"
    assert caplog.records[-1].levelno == logging.DEBUG


def test_summary_tells_what_is_new(caplog: pytest.LogCaptureFixture, limits: LogLimits) -> None:
    alarms = Alarms(limits)
    transactions = iter([4, 5])
    summary = LogSummary(5, alarms, lambda: next(transactions))
    alarms.forwarding.begin("host/path", "refused")
    alarms.database.begin("", "disk full")
    caplog.clear()
    summary.write()
    none = "raised: (total: 0, new: 0), released: (total: 0, new: 0)"
    one = "raised: (total: 1, new: 1), released: (total: 0, new: 0)"
    assert {record.levelno for record in caplog.records} == {SUMMARY}
    assert caplog.messages == [
        "Transactions: 4 (new: 4)",
        f"DB status: erroneous, {one}",
        f"Notification failure active alarms: 0, {none}",
        f"Forwarding failure active alarms: 1, {one}",
        f"MQTT connection failure active alarms: 0, {none}",
        f"Bad input active alarms: 0, {none}",
    ]
    alarms.forwarding.end("host/path")
    caplog.clear()
    summary.write()
    assert caplog.messages[0] == "Transactions: 5 (new: 1)"
    assert caplog.messages[3] == (
        "Forwarding failure active alarms: 0, raised: (total: 1, new: 0), "
        "released: (total: 1, new: 1)"
    )
