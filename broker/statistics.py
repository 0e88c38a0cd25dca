"""The figures of GET /statistics: what was received and sent, and how long it took.

Owns: counters by resource and method under Orion's names, times of requests, times that
notifications waited. Must not: know where the figures are shown. Costs: two additions in
dictionaries per request where the counters are on, three additions where the timing is on,
nothing where both are off. Memory: a count per route and method.

Source: Orion's administration manual, "Statistics".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from broker.service_metrics import render_seconds

Document: TypeAlias = dict[str, Any]

# Orion's resources and the methods that it counts of each; others are "missedVerb".
RESOURCES: Final[dict[str, tuple[str, ...]]] = {
    "/v2": ("GET", "OPTIONS"),
    "/v2/entities": ("GET", "POST", "OPTIONS"),
    "/v2/entities/{id}[/attrs]": ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"),
    "/v2/entities/{id}/attrs/{name}": ("GET", "PUT", "DELETE", "OPTIONS"),
    "/v2/entities/{id}/attrs/{name}/value": ("GET", "PUT", "OPTIONS"),
    "/v2/types": ("GET", "OPTIONS"),
    "/v2/types/{type}": ("GET", "OPTIONS"),
    "/v2/subscriptions": ("GET", "POST", "OPTIONS"),
    "/v2/subscriptions/{id}": ("GET", "PATCH", "DELETE", "OPTIONS"),
    "/v2/registrations": ("GET", "POST", "OPTIONS"),
    "/v2/registrations/{id}": ("GET", "PATCH", "DELETE", "OPTIONS"),
    "/v2/op/query": ("POST", "OPTIONS"),
    "/v2/op/update": ("POST", "OPTIONS"),
    "/v2/op/notify": ("POST",),
    "/log/trace[/{level}]": ("GET", "PUT", "DELETE"),
    "/statistics": ("GET", "DELETE"),
    "/cache/statistics": ("GET", "DELETE"),
    "/admin/log": ("GET", "PUT"),
    "/admin/sem": ("GET",),
    "/version": ("GET",),
    "/admin/metrics": ("GET", "DELETE"),
    # Of Orion's debug builds alone; shown by fullCounters, so kept in the shape.
    "/exit[/*]": ("GET",),
    "/leak[/*]": ("GET",),
}
# Routes that Orion counts under another name.
_RESOURCE_OF: Final = {
    "/v2/entities/{id}": "/v2/entities/{id}[/attrs]",
    "/v2/entities/{id}/attrs": "/v2/entities/{id}[/attrs]",
    "/log/trace": "/log/trace[/{level}]",
    "/log/trace/{level}": "/log/trace[/{level}]",
}
# Orion's accumulated waits for its semaphores. Here one thread serves all and waits for none.
_SEMAPHORES: Final = (
    "request",
    "dbConnectionPool",
    "transaction",
    "subCache",
    "connectionContext",
    "timeStat",
    "metrics",
)


class Statistics:
    """What one broker counts; all but the state of queues begins anew with `reset`."""

    def __init__(
        self,
        *,
        counters: bool = False,
        sem_wait: bool = False,
        timing: bool = False,
        notif_queue: bool = False,
        simulated: Callable[[], int] = int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The switches say which blocks are shown; what is not shown is not measured.

        `simulated` tells how many notifications were counted and not sent since the start.
        """
        self.has_counters = counters
        self.has_timing = timing
        self.has_notif_queue = notif_queue
        self._has_sem_wait = sem_wait
        self._simulated = simulated
        self._clock = clock
        self._started = clock()
        self._last_total_s = 0.0
        self._simulated_before = 0
        self._begin()

    def _begin(self) -> None:
        self._since = self._clock()
        self._requests: dict[tuple[str, str], int] = {}
        self._bodies: dict[str, int] = {}  # by media type, "" without a body
        self._total_s = 0.0
        self.notifications_sent = 0
        self.geo_format = 0
        self.legacy_forwarding = 0
        self.queue = QueueFigures()

    def reset(self) -> None:
        """Count from now on. The last request's time stays, as in Orion."""
        self._begin()
        self._simulated_before = self._simulated()

    def count_request(self, route: str, method: str, media_type: str) -> None:
        """Count a request whose head was found good; `media_type` "" if it has no body."""
        key = (route, method)
        self._requests[key] = self._requests.get(key, 0) + 1
        self._bodies[media_type] = self._bodies.get(media_type, 0) + 1

    def add_time(self, seconds: float) -> None:
        """The time that a request took."""
        self._last_total_s = seconds
        self._total_s += seconds

    def render(self, *, full: bool, queue_length: int) -> Document:
        """The document of GET /statistics; `full` also shows the counters that are zero."""
        now = self._clock()
        document: Document = {}
        if self.has_counters:
            document["counters"] = self._render_counters(full)
        if self._has_sem_wait:
            document["semWait"] = dict.fromkeys(_SEMAPHORES, 0)
        if self.has_timing:
            document["timing"] = self._render_timing()
        if self.has_notif_queue:
            document["notifQueue"] = self.queue.render(queue_length)
        document["uptime_in_secs"] = int(now - self._started)
        document["measuring_interval_in_secs"] = int(now - self._since)
        simulated = self._simulated() - self._simulated_before
        if full or simulated:
            document["simulatedNotifications"] = simulated
        return document

    def _render_counters(self, full: bool) -> Document:
        resources: dict[str, dict[str, int]] = {
            name: dict.fromkeys(methods, 0) if full else {} for name, methods in RESOURCES.items()
        }
        missed = invalid = 0
        for (route, method), count in self._requests.items():
            name = _RESOURCE_OF.get(route, route)
            if name not in RESOURCES:
                invalid += count
            elif method in RESOURCES[name]:
                shown = resources[name]
                shown[method] = shown.get(method, 0) + count
            else:
                missed += count
        requests = {name: methods for name, methods in resources.items() if methods}
        deprecated = {"ngsiv1Forwarding": self.legacy_forwarding, "geoFormat": self.geo_format}
        counters: Document = {
            "jsonRequests": self._bodies.get("application/json", 0),
            "textRequests": self._bodies.get("text/plain", 0),
            "noPayloadRequests": self._bodies.get("", 0),
            "requests": requests,
            "missedVerb": missed,
            "invalidRequests": invalid,
            # Orion's figures of operations that it lost with NGSIv1.
            "registrationUpdateErrors": 0,
            "discoveryErrors": 0,
            "notificationsSent": self.notifications_sent,
            "deprecatedFeatures": {
                name: count for name, count in deprecated.items() if full or count
            },
        }
        return counters if full else {name: count for name, count in counters.items() if count}

    def _render_timing(self) -> Document:
        times = {"accumulated": self._total_s, "last": self._last_total_s}
        return {
            name: {"total": render_seconds(seconds)} for name, seconds in times.items() if seconds
        }


class QueueFigures:
    """Notifications on their way through the queues."""

    __slots__ = ("accepted", "failed", "left", "rejected", "sent", "waited_s")

    def __init__(self) -> None:
        self.accepted = 0
        self.left = 0  # got out of the queue
        self.rejected = 0
        self.sent = 0
        self.failed = 0
        self.waited_s = 0.0

    def render(self, length: int) -> Document:
        """The block notifQueue; `length` is what waits now."""
        average_s = self.waited_s / self.left if self.left else 0.0
        return {
            "in": self.accepted,
            "out": self.left,
            "reject": self.rejected,
            "sentOk": self.sent,
            "sentError": self.failed,
            "timeInQueue": render_seconds(self.waited_s),
            "avgTimeInQueue": render_seconds(average_s),
            "size": length,
        }
