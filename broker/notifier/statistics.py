"""The figures of a notifier, of all and of the busiest endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TOP_ENDPOINTS_MAX: Final = 20
"""Endpoints listed in the statistics, those with most waiting first."""


@dataclass(slots=True, frozen=True)
class EndpointStatistics:
    """One endpoint since its oldest lane began. `endpoint` is `scheme://host:port`."""

    endpoint: str
    queued: int
    in_flight: int
    connections: int
    sent: int
    failed: int
    dropped: int


@dataclass(slots=True, frozen=True)
class NotifierStatistics:
    """Counters since the start (sent: got a response; failed: got none; dropped: not accepted)
    and gauges of this moment. `top` lists up to TOP_ENDPOINTS_MAX endpoints."""

    sent: int
    failed: int
    dropped: int
    queued: int
    in_flight: int
    outstanding_bytes: int
    endpoints: int
    connections: int
    top: tuple[EndpointStatistics, ...]
