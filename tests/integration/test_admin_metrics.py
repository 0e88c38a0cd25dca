"""Metrics per service and subservice: GET and DELETE /admin/metrics.

Source: Orion's administration manual, "Metrics API"; Orion's cases for issues 2750 and 2846.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.endpoints import WAIT_TIMEOUT_S, refuse_connections
from tests.integration.subscriptions import document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.launch import BrokerProcess
    from tests.integration.conftest import Api, Receiver, StartBroker

PATH = "/admin/metrics"


@pytest.fixture
def own(start_broker: StartBroker, api: Api) -> Iterator[Api]:
    """A client without a tenant of a broker of its own."""
    with api.on(start_broker()) as client:
        client.tenant = ""
        yield client


def read(api: Api) -> dict[str, Any]:
    """The metrics, with service times checked and taken out."""
    reply = api.get(PATH, service_path="/reader")
    assert reply.status == 200, reply

    def strip(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        seconds = node.pop("serviceTime", None)
        assert (seconds is not None) == ("incomingTransactions" in node)
        assert seconds is None or 0 < seconds < 60
        return {name: strip(part) for name, part in node.items() if name != "reader"}

    document: dict[str, Any] = strip(reply.json)
    return document


class TestIncoming:
    def test_counts_of_service_and_subservice(self, own: Api) -> None:
        body = b'{"id":"E1","type":"T1"}'
        assert own.post("/v2/entities", body, service_path="/A/B").status == 201
        # Tenants are switched off, so it is seen; the header counts all the same.
        size = len(
            own.get("/v2/entities", service_path="/A/B", headers={"Fiware-Service": "S1"}).text
        )
        own.get("/v2/entities", service_path="/C", headers={"Fiware-Service": "s1"})
        created = {"incomingTransactionRequestSize": len(body), "incomingTransactions": 1}
        listed = {"incomingTransactionResponseSize": size, "incomingTransactions": 1}
        empty = {"incomingTransactionResponseSize": 2, "incomingTransactions": 1}
        both = {"incomingTransactionResponseSize": size + 2, "incomingTransactions": 2}
        assert read(own) == {
            "services": {
                "default-service": {"subservs": {"A/B": created}, "sum": created},
                "s1": {"subservs": {"A/B": listed, "C": empty}, "sum": both},
            },
            "sum": {
                "subservs": {
                    "A/B": {**created, **listed, "incomingTransactions": 2},
                    "C": empty,
                },
                "sum": {**created, **both, "incomingTransactions": 3},
            },
        }

    @pytest.mark.parametrize(
        ("service_path", "subservice"),
        [
            (None, "root-subserv"),
            ("/", "root-subserv"),
            ("/#", "root-subserv"),
            ("/A1/#", "A1"),
            ("/A2, /B2", "A2"),
            ("/A3/", "A3"),
        ],
    )
    def test_name_of_subservice(self, api: Api, service_path: str | None, subservice: str) -> None:
        api.get("/v2/entities", service_path=service_path)
        shown = api.get(PATH, service_path="/reader").json
        assert list(shown["services"][api.tenant]["subservs"]) == [subservice]

    def test_errors(self, own: Api) -> None:
        sizes = 0
        for path, body in (("/v2/entities", b"no JSON"), ("/v2/entities/E/attrs", b"{}")):
            reply = own.post(path, body, service_path="/A")
            assert reply.status in (400, 404)
            sizes += len(reply.text)
        # Refused for its head, so its body is never read.
        reply = own.post("/v2/entities", b"{}", service_path="/A", content_type="text/html")
        assert reply.status == 415
        assert read(own)["services"]["default-service"]["subservs"]["A"] == {
            "incomingTransactionErrors": 3,
            "incomingTransactionRequestSize": len(b"no JSON" + b"{}"),
            "incomingTransactionResponseSize": sizes + len(reply.text),
            "incomingTransactions": 3,
        }

    @pytest.mark.parametrize(
        "headers",
        [
            {"Fiware-ServicePath": "A"},
            {"Fiware-ServicePath": "/" + 51 * "a"},
            {"Fiware-ServicePath": 11 * "/a"},
            {"Fiware-Service": "a.b"},
            {"Fiware-Service": 51 * "a"},
        ],
    )
    def test_bad_headers_count_nowhere(self, own: Api, headers: dict[str, str]) -> None:
        assert own.get("/v2/entities", headers=headers).status == 400
        assert read(own)["services"] == {}

    def test_probes_are_no_transactions(self, own: Api) -> None:
        for path in ("/ready", "/metrics"):
            assert own.get(path).status == 200
        assert read(own)["sum"] == {"subservs": {}, "sum": {}}


class TestOutgoing:
    def test_notifications(self, own: Api, receiver: Receiver) -> None:
        own.subscribe(document(receiver.url), service_path="/A")
        own.create({"id": "E", "x": {"value": 1}}, service_path="/A")
        size = len(receiver.next().body)
        with refuse_connections() as url:
            own.subscribe(document(url), service_path="/B")
            own.create({"id": "E", "x": {"value": 1}}, service_path="/B")
            sent = await_outgoing(own, "B")
        assert await_outgoing(own, "A") == {
            "outgoingTransactions": 1,
            "outgoingTransactionRequestSize": size,
        }
        assert sent == {
            "outgoingTransactions": 1,
            "outgoingTransactionRequestSize": size,
            "outgoingTransactionErrors": 1,
        }

    def test_forwarded_requests(self, own: Api) -> None:
        with refuse_connections() as url:
            registration = {
                "dataProvided": {"entities": [{"id": "E", "type": "T"}], "attrs": ["x"]},
                "provider": {"http": {"url": url}},
            }
            assert own.post("/v2/registrations", registration, service_path="/A").status == 201
            own.get("/v2/entities/E", type="T", service_path="/A")
        sent = await_outgoing(own, "A")
        assert sent.pop("outgoingTransactionRequestSize") > 0
        assert sent == {"outgoingTransactions": 1, "outgoingTransactionErrors": 1}


def await_outgoing(api: Api, subservice: str) -> dict[str, int]:
    """The figures of what was sent for a subservice, when there are any."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while True:
        shown = read(api)["services"]["default-service"]["subservs"][subservice]
        outgoing = {name: count for name, count in shown.items() if name.startswith("outgoing")}
        if outgoing:
            return outgoing
        assert time.monotonic() < deadline, shown


class TestReset:
    def test_delete(self, own: Api) -> None:
        own.get("/v2/entities", service_path="/A")
        reply = own.delete(PATH, service_path="/D")
        assert (reply.status, reply.text) == (204, "")
        # The one transaction since then is the reset itself.
        assert read(own)["services"]["default-service"]["subservs"] == {
            "D": {"incomingTransactions": 1}
        }

    def test_get_with_reset(self, own: Api) -> None:
        own.get("/v2/entities", service_path="/A")
        for value, left in (("false", ["A", "R"]), ("true", ["R"])):
            assert "A" in own.get(PATH, reset=value, service_path="/R").text
            assert list(read(own)["services"]["default-service"]["subservs"]) == left


def test_switched_off(start_broker: StartBroker, api: Api) -> None:
    broker: BrokerProcess = start_broker("-disableMetrics")
    with api.on(broker) as client:
        for method in ("GET", "DELETE"):
            refusal = client.request(method, PATH).refusal
            assert refusal == (400, "BadRequest", "metrics desactivated")
        assert "rigel_requests_total" in client.get("/metrics").text


def test_other_methods(api: Api) -> None:
    for method in ("POST", "PUT", "PATCH"):
        reply = api.request(method, PATH, {})
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, DELETE")
