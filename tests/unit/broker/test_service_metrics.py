"""What the counting per service promises beyond what a client sees: bounds and rendering."""

from __future__ import annotations

import logging

import orjson
import pytest

from broker.service_metrics import HEADERS_MAX, PAIRS_MAX, ServiceMetrics, render_seconds


def count(metrics: ServiceMetrics, service: str, path: str = "") -> None:
    metrics.count_incoming(service, path, 0, 0, False, 0.001)


def test_pairs_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    metrics = ServiceMetrics()
    with caplog.at_level(logging.WARNING, "rigel.metrics"):
        for number in range(PAIRS_MAX + 3):
            count(metrics, f"s{number}")
    count(metrics, "s0")  # those that are known go on
    document = orjson.loads(orjson.dumps(metrics.render()))
    assert len(document["services"]) == PAIRS_MAX
    assert document["services"]["s0"]["sum"]["incomingTransactions"] == 2
    assert document["sum"]["sum"]["incomingTransactions"] == PAIRS_MAX + 1
    assert len(caplog.records) == 1
    metrics.reset()
    count(metrics, "another")
    assert list(metrics.render()["services"]) == ["another"]


def test_remembered_headers_are_bounded() -> None:
    metrics = ServiceMetrics()
    for number in range(HEADERS_MAX + 10):
        count(metrics, "s", f"not a path {number}")
        count(metrics, "S")
        count(metrics, "s", "/")
    document = metrics.render()
    assert document["services"]["s"]["sum"]["incomingTransactions"] == 2 * (HEADERS_MAX + 10)
    assert len(metrics._by_headers) <= HEADERS_MAX


def test_switched_off() -> None:
    metrics = ServiceMetrics(is_on=False)
    count(metrics, "s")
    metrics.count_outgoing("s", "/", 1, 1, False)
    assert metrics.render() == {"services": {}, "sum": {"subservs": {}, "sum": {}}}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, b"0"), (1.0, b"1"), (10.0, b"10"), (0.000087, b"0.000087"), (1 / 3, b"0.333333333")],
)
def test_seconds_have_no_exponent(seconds: float, text: bytes) -> None:
    assert orjson.dumps(render_seconds(seconds)) == text
