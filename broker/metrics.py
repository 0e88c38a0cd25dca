"""Counts of requests and the state of the parts, for GET /metrics in Prometheus' text format.

A request costs two dictionary look-ups; everything else is read when the metrics are asked
for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Gauges: TypeAlias = Callable[[], dict[str, float]]


class Metrics(Collector):
    """Requests by method, route and status, beside the gauges that the parts offer."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[tuple[str, str], float] = {}
        self._sources: list[tuple[Gauges, Gauges]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def add_source(self, counters: Gauges, gauges: Gauges) -> None:
        """Have figures of a part shown; the names are completed with `rigel_`."""
        self._sources.append((counters, gauges))

    def count(self, method: str, route: str, status: int, seconds: float, number: int = 1) -> None:
        """Count a request, or a number of them that took `seconds` together. `route` is the
        pattern, not the path, so the series are few."""
        key = (method, route, status)
        self._requests[key] = self._requests.get(key, 0) + number
        series = (method, route)
        self._seconds[series] = self._seconds.get(series, 0.0) + seconds

    def collect(self) -> Iterator[Metric]:
        """The figures as they stand."""
        requests = CounterMetricFamily(
            "rigel_requests", "Requests answered.", labels=["method", "route", "status"]
        )
        for (method, route, status), number in self._requests.items():
            requests.add_metric([method, route, str(status)], number)
        yield requests
        seconds = CounterMetricFamily(
            "rigel_request_seconds", "Time spent in requests.", labels=["method", "route"]
        )
        for (method, route), spent in self._seconds.items():
            seconds.add_metric([method, route], spent)
        yield seconds
        for counters, gauges in self._sources:
            for name, value in counters().items():
                family = CounterMetricFamily(f"rigel_{name}", name.replace("_", " ").capitalize())
                family.add_metric([], value)
                yield family
            for name, value in gauges().items():
                yield GaugeMetricFamily(
                    f"rigel_{name}", name.replace("_", " ").capitalize(), value=value
                )

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)
