"""Values of settings that are more than a number, a word or a text: their types and their reading.

Owns: the syntax of Orion's compound values and its special timeouts. Must not: know which
setting takes them. Costs: read once at start.

A reader takes the text that was given and raises ValueError on anything that is not allowed; the
row that names it puts the error in words. Source: Orion's administration manual, "Command line
options".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from broker.settings.row import read_whole

DEFAULT_TIMEOUT_MS: Final = 5_000  # Orion's -1
MAX_TIMEOUT_MS: Final = 1_800_000  # half an hour, as Orion; also stands for Orion's "for ever"
MAX_QUEUE_LENGTH: Final = 1_000_000  # queued notifications: about a gigabyte of small ones
MAX_WORKERS: Final = 1_000  # connections at once; below the usual limit of open files (1024)
MAX_TRACE_LEVEL: Final = 255

_SERVICE: Final = re.compile(r"[A-Za-z0-9_]{1,50}")


class ServiceQueue(NamedTuple):
    """A queue and workers reserved for one service (Orion's `service:q:n`)."""

    service: str
    queue_length: int
    workers: int


@dataclass(frozen=True, slots=True)
class NotificationMode:
    """`-notificationMode`; all but its kind counts for `threadpool` alone."""

    kind: Literal["transient", "persistent", "threadpool"] = "transient"
    queue_length: int = 100  # Orion's default for a bare "threadpool"
    workers: int = 10  # likewise
    services: tuple[ServiceQueue, ...] = ()

    @property
    def all_workers(self) -> int:
        """The workers of all pools together; 0 where there are none."""
        if self.kind != "threadpool":
            return 0
        return self.workers + sum(queue.workers for queue in self.services)

    def __str__(self) -> str:
        if self.kind != "threadpool":
            return self.kind
        queues = [f"threadpool:{self.queue_length}:{self.workers}"]
        queues += [f"{name}:{length}:{workers}" for name, length, workers in self.services]
        return ",".join(queues)


class FlowControl(NamedTuple):
    """`-notifFlowControl`: target gauge (0..1), pause between looks, longest delay in all."""

    gauge: float
    step_delay_ms: int
    max_interval_ms: int

    def __str__(self) -> str:
        return f"{self.gauge:g}:{self.step_delay_ms}:{self.max_interval_ms}"


def _read_between(text: str, low: int, high: int) -> int:
    number = read_whole(text)
    if not low <= number <= high:
        raise ValueError
    return number


def read_timeout_ms(text: str) -> int:
    """Milliseconds; -1 stands for the default and 0 for the longest there is."""
    number = _read_between(text, -1, MAX_TIMEOUT_MS)
    return {-1: DEFAULT_TIMEOUT_MS, 0: MAX_TIMEOUT_MS}.get(number, number)


def read_address(text: str) -> str:
    """An IPv4 or IPv6 address in its canonical form."""
    return str(ipaddress.ip_address(text))


def read_trace_levels(text: str) -> frozenset[int]:
    """Levels and ranges of levels, as in `60,80-90`."""
    levels: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low = _read_between(first, 0, MAX_TRACE_LEVEL)
        high = _read_between(last, low, MAX_TRACE_LEVEL) if dash else low
        levels.update(range(low, high + 1))
    return frozenset(levels)


def read_notification_mode(text: str) -> NotificationMode:
    """`transient`, `persistent` or `threadpool[:q:n[,service:q:n...]]`."""
    if text == "persistent":
        return NotificationMode("persistent")
    if text == "transient":
        return NotificationMode("transient")
    pool, *reserved = text.split(",")
    services = tuple(_read_queue(part) for part in reserved)
    if len({queue.service for queue in services}) != len(services):
        raise ValueError
    if pool == "threadpool":
        return NotificationMode("threadpool", services=services)
    if not pool.startswith("threadpool:"):
        raise ValueError
    _, length, workers = _read_queue(pool)
    return NotificationMode("threadpool", length, workers, services)


def _read_queue(text: str) -> ServiceQueue:
    service, length, workers = text.split(":")
    if _SERVICE.fullmatch(service) is None:
        raise ValueError
    return ServiceQueue(
        service.lower(),
        _read_between(length, 1, MAX_QUEUE_LENGTH),
        _read_between(workers, 1, MAX_WORKERS),
    )


def read_flow_control(text: str) -> FlowControl:
    """`gauge:stepDelay:maxInterval`, the times in milliseconds."""
    gauge_text, step, interval = text.split(":")
    gauge = float(gauge_text)
    if not 0 <= gauge <= 1:
        raise ValueError
    return FlowControl(
        gauge, _read_between(step, 1, MAX_TIMEOUT_MS), _read_between(interval, 1, MAX_TIMEOUT_MS)
    )


# The columns of a row that holds a timeout of Orion's.
TIMEOUT: Final[Mapping[str, Any]] = {
    "bounds": (1, MAX_TIMEOUT_MS),
    "parse": read_timeout_ms,
    "form": f"a whole number of milliseconds from 1 to {MAX_TIMEOUT_MS}, "
    f"0 for {MAX_TIMEOUT_MS} or -1 for {DEFAULT_TIMEOUT_MS}",
}
