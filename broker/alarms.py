"""Alarms: conditions that are logged when they begin and when they end, as Orion has them.

    Raising alarm NotificationError localhost:1028/accumulate: notification failure for queue
    worker: Could not connect to server
    Releasing alarm NotificationError localhost:1028/accumulate

Owns: which alarms are active, their counts (for the summary) and the wording of their lines.
Must not: decide what is a failure. Costs: a dictionary look-up; a line only where a condition
begins or ends (with -relogAlarms at each failure). Memory is bounded by ACTIVE_MAX per kind.

Source: Orion's administration manual, "Logs", sections "Alarms" and "Summary traces".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from broker.logs import SUMMARY, LogLimits

_log = logging.getLogger("rigel.alarms")

ACTIVE_MAX: Final = 10_000
"""Alarms of one kind active at once. Beyond that (a client that forges addresses, receivers that
are gone by the thousands) further ones are neither raised nor counted; about 2 MB per kind."""

TRACE_DATABASE: Final = 100
TRACE_NOTIFIER: Final = 160
TRACE_MQTT: Final = 163
TRACE_FORWARDING: Final = 186


class AlarmKind:
    """The alarms of one kind, by what they are about (a client's address, a URL, or "").

    `trace` is the trace level at which a failure is told while its alarm is active already.
    """

    def __init__(
        self,
        name: str,
        limits: LogLimits,
        *,
        relog: bool,
        level: int = logging.WARNING,
        trace: int | None = None,
    ) -> None:
        self.name = name
        self.raised = 0
        self.released = 0
        self._limits = limits
        self._relog = relog
        self._level = level
        self._trace = trace
        self.subjects: set[str] = set()  # of the active ones
        self._is_full = False

    @property
    def active(self) -> int:
        """How many are active."""
        return len(self.subjects)

    def begin(self, subject: str, details: str) -> None:
        """A failure: raises the alarm unless it is active already."""
        if subject in self.subjects:
            if self._relog:
                _log.log(self._level, "Repeated %s: %s", self._about(subject), details)
            elif self._trace is not None and self._limits.traces(self._trace):
                _log.debug("Repeated %s: %s", self._about(subject), details)
            return
        if len(self.subjects) >= ACTIVE_MAX:
            if not self._is_full:
                self._is_full = True
                _log.warning("%d alarms %s: no more are raised", ACTIVE_MAX, self.name)
            return
        self.subjects.add(subject)
        self.raised += 1
        _log.log(self._level, "Raising alarm %s: %s", self._about(subject), details)

    def end(self, subject: str) -> None:
        """A success: releases the alarm if it is active."""
        if subject in self.subjects:
            self.subjects.remove(subject)
            self._is_full = False
            self.released += 1
            _log.log(self._level, "Releasing alarm %s", self._about(subject))

    def _about(self, subject: str) -> str:
        return f"{self.name} {subject}" if subject else self.name


class Alarms:
    """The kinds of alarms of one broker. `relog` is Orion's -relogAlarms."""

    def __init__(self, limits: LogLimits, *, relog: bool = False) -> None:
        self.database = AlarmKind(
            "DatabaseError", limits, relog=relog, level=logging.ERROR, trace=TRACE_DATABASE
        )
        self.bad_input = AlarmKind("BadInput", limits, relog=relog)
        self.notification = AlarmKind(
            "NotificationError", limits, relog=relog, trace=TRACE_NOTIFIER
        )
        self.forwarding = AlarmKind("ForwardingError", limits, relog=relog, trace=TRACE_FORWARDING)
        self.mqtt = AlarmKind("MqttConnectionError", limits, relog=relog, trace=TRACE_MQTT)


class LogSummary:
    """Writes the state of the alarms to the log every `period_s` (Orion's -logSummary)."""

    def __init__(self, period_s: int, alarms: Alarms, transactions: Callable[[], int]) -> None:
        """`transactions` tells how many requests there were since the start."""
        self._period_s = period_s
        self._transactions = transactions
        self._seen_transactions = 0
        self._database = _Difference(alarms.database)
        self._lines = [
            ("Notification failure", _Difference(alarms.notification)),
            ("Forwarding failure", _Difference(alarms.forwarding)),
            ("MQTT connection failure", _Difference(alarms.mqtt)),
            ("Bad input", _Difference(alarms.bad_input)),
        ]
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Write the first summary after a period; a period of 0 writes none."""
        if self._period_s:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._period_s, self._write, loop)

    def stop(self) -> None:
        """Write no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._timer is not None
        # From when it was due, so that lateness does not add up.
        self._timer = loop.call_at(self._timer.when() + self._period_s, self._write, loop)
        self.write()

    def write(self) -> None:
        """Write a summary now; what is new counts from the one before."""
        transactions = self._transactions()
        new = transactions - self._seen_transactions
        self._seen_transactions = transactions
        _log.log(SUMMARY, "Transactions: %d (new: %d)", transactions, new)
        status = "erroneous" if self._database.kind.active else "ok"
        _log.log(SUMMARY, "DB status: %s, %s", status, self._database.take())
        for title, difference in self._lines:
            active = difference.kind.active
            _log.log(SUMMARY, "%s active alarms: %d, %s", title, active, difference.take())


class _Difference:
    """The counts of a kind, and what is new in them."""

    def __init__(self, kind: AlarmKind) -> None:
        self.kind = kind
        self._raised = 0
        self._released = 0

    def take(self) -> str:
        kind = self.kind
        raised, released = kind.raised - self._raised, kind.released - self._released
        self._raised, self._released = kind.raised, kind.released
        return (
            f"raised: (total: {kind.raised}, new: {raised}), "
            f"released: (total: {kind.released}, new: {released})"
        )
