"""What is noted of every request: counts, times, alarms and its line in the log.

The transport calls `count` when a request's head was found good, `refuse` or `accept` when it
is decided, `finish` when it is answered, and `log` then if lines of level INFO are written;
whoever answers requests in another way calls the same. Costs: some dictionary operations per
request, one to two microseconds; the line costs more than all of them.

Source: Orion's administration manual, "Logs", sections "INFO level in detail" and "Alarms".
"""

from __future__ import annotations

import logging
from typing import Final

from _native.tallies import Tally
from broker.alarms import Alarms
from broker.http.routing import UNMATCHED
from broker.logs import LogLimits
from broker.metrics import Metrics
from broker.service_metrics import ServiceMetrics
from broker.statistics import Statistics
from ngsi.errors import (
    BadRequest,
    ContentLengthRequired,
    MethodNotAllowed,
    NgsiError,
    NotAcceptable,
    ParseError,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)

_log = logging.getLogger("rigel.http")

# For probes, scrapers and other tools, which send headers of their own and are no transactions
# of a service.
FOR_OPERATORS: Final = frozenset({"/ready", "/metrics", "/openapi.json"})
TRACE_REQUEST: Final = 38
TRACE_INPUT_PAYLOAD: Final = 180
TRACE_OUTPUT_PAYLOAD: Final = 181

# What the client did wrong, whatever the state of the broker.
_BAD_INPUT: Final = (
    BadRequest,
    ParseError,
    MethodNotAllowed,
    NotAcceptable,
    ContentLengthRequired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)


class RequestWatch:
    """Notes the requests of one broker."""

    def __init__(
        self,
        metrics: Metrics,
        services: ServiceMetrics,
        statistics: Statistics,
        alarms: Alarms,
        limits: LogLimits,
    ) -> None:
        self._metrics = metrics
        self._services = services
        self._statistics = statistics
        self._bad_input = alarms.bad_input
        self._limits = limits

    @property
    def counts_heads(self) -> bool:
        """Whether `count` is to be called; it does not change."""
        return self._statistics.has_counters

    def count(self, route: str, method: str, media_type: str) -> None:
        """A request whose head was found good; `media_type` "" if it has no body."""
        self._statistics.count_request(route, method, media_type)

    def accept(self, client: str) -> None:
        """A client's request was found good: ends the alarm about the client."""
        if self._bad_input.active:
            self._bad_input.end(client)

    def refuse(self, error: NgsiError, client: str, route: str, method: str, path: str) -> None:
        """A client's request was refused: begins the alarm about it if the client is at fault."""
        if not isinstance(error, _BAD_INPUT):
            self.accept(client)
        elif isinstance(error, MethodNotAllowed):
            self._bad_input.begin(client, f"bad verb for url '{path}', method '{method}'")
        elif route == UNMATCHED:
            self._bad_input.begin(client, f"service '{path}' not found")
        else:
            self._bad_input.begin(client, f"{error.description} ({method} {path})")

    def finish(
        self,
        route: str,
        method: str,
        service: str,
        service_path: str,
        body_length: int,
        status: int,
        reply_length: int,
        seconds: float,
    ) -> None:
        """A request was answered. `service` and `service_path` are its headers as received, ""
        without them; `body_length` is of what was read of it."""
        self._metrics.count(method, route, status, seconds)
        if route not in FOR_OPERATORS:
            self._services.count_incoming(
                service, service_path, body_length, reply_length, status >= 400, seconds
            )
            if self._statistics.has_timing:
                self._statistics.add_time(seconds)

    def finish_many(self, route: str, tally: Tally) -> None:
        """Requests were answered; as many calls of `finish`."""
        is_error = tally.status >= 400
        self._metrics.count(tally.method, route, tally.status, tally.seconds, tally.requests)
        self._services.count_incoming_many(
            tally.head.service, tally.head.service_path, is_error, tally
        )

    def notes_each(self) -> bool:
        """Whether good requests are of interest one by one when they are answered."""
        return bool(self._bad_input.active) or self._statistics.has_timing

    def log(self, method: str, url: str, body: bytes, status: int, reply: bytes) -> None:
        """Write the line about a request that was answered; where the log is at level INFO."""
        text = "Request received: %s %s"
        values: list[object] = [method, url]
        if body:
            text += ", request payload (%d bytes): %s"
            values += (len(body), self._limits.excerpt(body))
        text += ", response code: %d"
        values.append(status)
        if reply and status >= 300:
            text += ", response payload (%d bytes): %s"
            values += (len(reply), self._limits.excerpt(reply))
        _log.info(text, *values)
        if self._limits.trace_levels:
            self._trace(method, url, body, status, reply)

    def _trace(self, method: str, url: str, body: bytes, status: int, reply: bytes) -> None:
        """Lines of Orion's trace levels; payloads are whole here."""
        if self._limits.traces(TRACE_REQUEST):
            _log.debug("Served request %s %s", method, url)
        if body and self._limits.traces(TRACE_INPUT_PAYLOAD):
            _log.debug("Request payload: %s", body.decode("utf-8", "replace"))
        if self._limits.traces(TRACE_OUTPUT_PAYLOAD):
            _log.debug(
                "Response: %d bytes, status code %d: %s",
                len(reply),
                status,
                reply.decode("utf-8", "replace"),
            )
