"""Transactions per service and subservice, for GET /admin/metrics.

Owns: the counts, and Orion's names and rules for them. A request counts for its service
(Fiware-Service, also where tenants are switched off) and the first of its service paths; one
with a header that is not valid counts nowhere. Must not: know HTTP beyond these headers. Costs:
a look-up and five additions per transaction, nothing where metrics are off. Memory is bounded by
PAIRS_MAX.

Source: Orion's administration manual, "Metrics API".
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final, TypeAlias

import orjson

from _native.tallies import Tally
from ngsi.errors import BadRequest
from ngsi.service_path import parse_scope

_log = logging.getLogger("rigel.metrics")

PAIRS_MAX: Final = 10_000
"""Pairs of service and subservice that are counted; transactions of further ones are not. About
4 MB; a broker with more of them is better watched by GET /metrics."""

HEADERS_MAX: Final = 2 * PAIRS_MAX
"""Spellings of the two headers that are remembered, before they are looked at anew."""

DEFAULT_SERVICE: Final = "default-service"
ROOT_SUBSERVICE: Final = "root-subserv"

_SERVICE: Final = re.compile(r"[a-z0-9_]{0,50}", re.ASCII)

Document: TypeAlias = dict[str, Any]


class Counts:
    """The counts of one service and subservice, or sums of such."""

    __slots__ = (
        "errors",
        "failures",
        "received_bytes",
        "request_bytes",
        "requests",
        "response_bytes",
        "sent",
        "sent_bytes",
        "service_us",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.request_bytes = 0
        self.response_bytes = 0
        self.errors = 0
        self.service_us = 0  # time spent in requests
        self.sent = 0
        self.sent_bytes = 0
        self.received_bytes = 0
        self.failures = 0

    def add(self, other: Counts) -> None:
        """Add the counts of another."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def render(self) -> Document:
        """Orion's fields; those that are zero are left out."""
        fields: Document = {
            "incomingTransactionErrors": self.errors,
            "incomingTransactionRequestSize": self.request_bytes,
            "incomingTransactionResponseSize": self.response_bytes,
            "incomingTransactions": self.requests,
            "outgoingTransactionErrors": self.failures,
            "outgoingTransactionRequestSize": self.sent_bytes,
            "outgoingTransactionResponseSize": self.received_bytes,
            "outgoingTransactions": self.sent,
        }
        rendered = {name: count for name, count in fields.items() if count}
        if self.requests and self.service_us:
            rendered["serviceTime"] = render_seconds(self.service_us / self.requests / 1e6)
        return rendered


class ServiceMetrics:
    """Counts transactions; with `is_on` False (Orion's -disableMetrics) it does nothing."""

    def __init__(self, is_on: bool = True) -> None:
        self.is_on = is_on
        # By service and subservice as shown; by the headers as received, None: not counted.
        self._counts: dict[tuple[str, str], Counts] = {}
        self._by_headers: dict[tuple[str, str], Counts | None] = {}
        self._is_full = False

    def count_incoming(
        self,
        service: str,
        service_path: str,
        request_bytes: int,
        response_bytes: int,
        is_error: bool,
        seconds: float,
    ) -> None:
        """Count a request that was answered; the names are those of its headers."""
        if not self.is_on:
            return
        counts = self._find(service, service_path)
        if counts is not None:
            counts.requests += 1
            counts.request_bytes += request_bytes
            counts.response_bytes += response_bytes
            counts.errors += is_error
            counts.service_us += int(seconds * 1e6) or 1  # a time was taken, however short

    def count_incoming_many(
        self, service: str, service_path: str, is_error: bool, tally: Tally
    ) -> None:
        """Count requests that were answered, of one pair of headers."""
        if not self.is_on:
            return
        counts = self._find(service, service_path)
        if counts is not None:
            counts.requests += tally.requests
            counts.request_bytes += tally.request_bytes
            counts.response_bytes += tally.response_bytes
            counts.errors += tally.requests if is_error else 0
            counts.service_us += tally.microseconds

    def count_outgoing(
        self,
        service: str,
        service_path: str,
        sent_bytes: int,
        received_bytes: int,
        is_failure: bool,
    ) -> None:
        """Count a notification or forwarded request that has ended."""
        if not self.is_on:
            return
        counts = self._find(service, service_path)
        if counts is not None:
            counts.sent += 1
            counts.sent_bytes += sent_bytes
            counts.received_bytes += received_bytes
            counts.failures += is_failure

    def reset(self) -> None:
        """Begin anew."""
        self._counts.clear()
        self._by_headers.clear()
        self._is_full = False

    def render(self) -> Document:
        """The document of GET /admin/metrics."""
        services: dict[str, tuple[Document, Counts]] = {}
        subservices: dict[str, Counts] = {}
        total = Counts()
        for (service, subservice), counts in sorted(self._counts.items()):
            shown, of_service = services.setdefault(service, ({}, Counts()))
            shown[subservice] = counts.render()
            for sums in (of_service, subservices.setdefault(subservice, Counts()), total):
                sums.add(counts)
        return {
            "services": {
                service: {"subservs": shown, "sum": of_service.render()}
                for service, (shown, of_service) in services.items()
            },
            "sum": {
                "subservs": {name: counts.render() for name, counts in subservices.items()},
                "sum": total.render(),
            },
        }

    def _find(self, service: str, service_path: str) -> Counts | None:
        headers = (service, service_path)
        try:
            return self._by_headers[headers]
        except KeyError:
            if len(self._by_headers) >= HEADERS_MAX:
                self._by_headers.clear()
            counts = self._by_headers[headers] = self._look_up(service, service_path)
            return counts

    def _look_up(self, service: str, service_path: str) -> Counts | None:
        service = service.lower()
        if _SERVICE.fullmatch(service) is None:
            return None
        try:
            paths = parse_scope(service_path.partition(",")[0]).paths
        except BadRequest:
            return None
        subservice = paths[0].removesuffix("#").strip("/") if paths else ""
        pair = (service or DEFAULT_SERVICE, subservice or ROOT_SUBSERVICE)
        counts = self._counts.get(pair)
        if counts is None:
            if len(self._counts) >= PAIRS_MAX:
                if not self._is_full:
                    self._is_full = True
                    _log.warning("%d pairs of service and subservice: no more counted", PAIRS_MAX)
                return None
            counts = self._counts[pair] = Counts()
        return counts


def render_seconds(seconds: float) -> orjson.Fragment:
    """A time as Orion writes it: up to nine decimals, never an exponent."""
    return orjson.Fragment(f"{seconds:.9f}".rstrip("0").removesuffix("."))
