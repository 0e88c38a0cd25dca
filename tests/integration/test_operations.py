"""What operators and their tools ask of a broker: version, readiness, metrics, correlators.

Source: Orion's administration manual, "Sanity check procedures" and "Logs" (correlator);
Orion's functional cases 0000_version_operation, 0501 and 1916; Prometheus' text format.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.subscriptions import WAIT_TIMEOUT_S, create, document, force_update

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Receiver, StartBroker

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
METHOD_NOT_ALLOWED = (405, "MethodNotAllowed", "method not allowed")
UNKNOWN_ID = "000011112222333344445555"


class TestVersion:
    def test_fields(self, api: Api) -> None:
        document = api.get("/version").json
        assert list(document) == ["orion"]
        fields = document["orion"]
        assert list(fields) == [
            "version",
            "uptime",
            "git_hash",
            "compile_time",
            "compiled_by",
            "compiled_in",
            "release_date",
            "machine",
            "doc",
        ]
        assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
        assert re.fullmatch(r"\d+ d, \d+ h, \d+ m, \d+ s", fields["uptime"])
        assert re.fullmatch(r"[0-9a-f]{40}|nogitversion", fields["git_hash"])
        assert all(isinstance(text, str) and text for text in fields.values())

    def test_lines(self, api: Api) -> None:
        # Scripts read it line by line.
        lines = api.get("/version").text.splitlines()
        assert lines[:2] + lines[-2:] == ["{", '"orion" : {', "}", "}"]
        assert all(re.fullmatch(r'  "\w+" : ".*",?', line) for line in lines[2:-2])


class TestProbes:
    def test_ready(self, api: Api) -> None:
        reply = api.get("/ready")
        assert (reply.status, reply.json) == (200, {"status": "ready"})

    def test_any_client_may_ask(self, api: Api) -> None:
        # Probes and scrapers send headers of their own.
        headers = {"Accept": "text/plain", "Fiware-Service": "<", "Fiware-ServicePath": "no path"}
        for path in ("/ready", "/metrics"):
            assert api.get(path, headers=headers).status == 200


class TestMetrics:
    @staticmethod
    def read(api: Api) -> dict[str, dict[tuple[str, ...], float]]:
        """The figures: name, then the labels' values, to the figure."""
        reply = api.get("/metrics")
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        figures: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(reply.text):
            assert family.documentation, family
            assert family.type in ("counter", "gauge"), family
            for sample in family.samples:
                labels = tuple(sample.labels.values())
                figures.setdefault(sample.name, {})[labels] = sample.value
        return figures

    def test_what_the_broker_holds(
        self, start_broker: StartBroker, connect: Connect, receiver: Receiver
    ) -> None:
        broker = start_broker("-multiservice")
        api, other = connect(broker, "t"), connect(broker, "u")
        api.subscribe(document(receiver.url))
        for index in range(3):
            create(api, f"E{index}", A=1)
        create(other, A=1)
        registration = {
            "dataProvided": {"entities": [{"id": "R"}]},
            "provider": {"http": {"url": "http://localhost:1/v2"}},
        }
        assert api.post("/v2/registrations", registration).status == 201
        assert api.delete("/v2/entities/E0").status == 204
        for _ in range(3):
            receiver.next()
        assert api.broker.stop() == 0
        # A restart: what is held is counted again, what was done is not.
        api = connect(start_broker("-multiservice", directory=broker.directory), "t")
        figures = self.read(api)
        held = {
            name: figures[f"rigel_{name}"][()]
            for name in (
                "tenants",
                "entities",
                "subscriptions",
                "registrations",
                "notifications_queued",
            )
        }
        assert held == {
            "tenants": 2,
            "entities": 3,
            "subscriptions": 1,
            "registrations": 1,
            "notifications_queued": 0,
        }
        assert figures["rigel_notifications_sent_total"][()] == 0

    def test_what_it_did(
        self, start_broker: StartBroker, connect: Connect, receiver: Receiver
    ) -> None:
        broker = start_broker("-multiservice", "--notification-connections", "1")
        api = connect(broker, "t")
        before = self.read(api)
        api.subscribe(document(receiver.url))
        create(api, A=1)
        for _ in range(4):
            force_update(api)
        assert api.get("/v2/entities/Nobody").status == 404
        assert api.get("/nowhere").status == 400
        assert len(receiver.take_until_fence(api)) == 5
        # The fence is received a moment before the broker hears of it.
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while self.read(api)["rigel_notifications_sent_total"][()] < 6:
            assert time.monotonic() < deadline
        after = self.read(api)
        requests = after["rigel_requests_total"]
        # Paths are counted by their pattern, so that there are few of them.
        assert requests[("PATCH", "/v2/entities/{id}/attrs", "204")] == 4
        assert requests[("GET", "/v2/entities/{id}", "404")] == 1
        assert requests[("GET", "unmatched", "400")] == 1
        assert requests[("POST", "/v2/subscriptions", "201")] == 2  # the fence's, too
        assert requests[("GET", "/metrics", "200")] >= 2
        assert requests[("GET", "/ready", "200")] >= 1
        for series, seconds in after["rigel_request_seconds_total"].items():
            assert seconds > 0, series
        assert after["rigel_notifications_sent_total"][()] == 6
        for name in ("rigel_journal_records_total", "rigel_journal_bytes_total"):
            assert after[name][()] > before[name][()]
        for name in (
            "rigel_notifications_failed_total",
            "rigel_notifications_dropped_total",
            "rigel_journal_compactions_failed_total",
        ):
            assert after[name][()] == 0
        assert after["rigel_journal_segments"][()] >= 1


class TestCorrelator:
    REQUESTS: list[tuple[str, str, dict[str, Any], int]] = [  # noqa: RUF012
        ("GET", "/v2/entities", {}, 200),
        ("POST", "/v2/entities", {"body": {"id": "E"}}, 201),
        ("POST", "/v2/op/update", {"body": {"actionType": "append", "entities": []}}, 400),
        ("DELETE", "/v2/entities/Nobody", {}, 404),
        ("GET", f"/v2/subscriptions/{UNKNOWN_ID}", {}, 404),
        ("POST", "/v2/subscriptions", {"body": b"{"}, 400),
        ("GET", "/v2/entities?limit=x", {}, 400),
        ("PUT", "/v2/entities", {"body": {}}, 405),
        ("OPTIONS", "/v2/entities", {}, 405),
        ("GET", "/v2/entities", {"headers": {"Accept": "text/html"}}, 406),
        ("POST", "/v2/entities", {}, 411),
        ("POST", "/v2/entities", {"body": b"x" * (1024 * 1024 + 1)}, 413),
        ("POST", "/v2/entities", {"body": b"x", "content_type": "text/html"}, 415),
        ("GET", "/nowhere", {}, 400),
        ("GET", "/version", {}, 200),
        ("GET", "/ready", {}, 200),
        ("GET", "/metrics", {}, 200),
    ]
    NAMES = [f"{method} {path} {status}" for method, path, _, status in REQUESTS]  # noqa: RUF012

    @pytest.mark.parametrize(("method", "path", "how", "status"), REQUESTS, ids=NAMES)
    def test_of_the_request_comes_back(
        self, api: Api, method: str, path: str, how: dict[str, Any], status: int
    ) -> None:
        correlator = f"mine {uuid.uuid4()}; cbnotif=3"
        headers = {"Fiware-Correlator": correlator, **how.get("headers", {})}
        reply = api.request(method, path, **{**how, "headers": headers})
        assert reply.status == status
        assert reply.headers.get_all("Fiware-Correlator") == [correlator]

    @pytest.mark.parametrize(("method", "path", "how", "status"), REQUESTS, ids=NAMES)
    def test_is_made_where_there_is_none(
        self, api: Api, method: str, path: str, how: dict[str, Any], status: int
    ) -> None:
        reply = api.request(method, path, **how)
        assert reply.status == status
        [correlator] = reply.headers.get_all("Fiware-Correlator") or [""]
        assert UUID.fullmatch(correlator)

    def test_every_request_has_its_own(self, api: Api) -> None:
        made = [api.get("/v2/entities").headers["Fiware-Correlator"] for _ in range(20)]
        assert len(set(made)) == 20

    @pytest.mark.parametrize(
        "request_bytes",
        [
            b"GARBAGE\r\n\r\n",
            b"GET /v2/entities HTTP/9.9\r\nHost: broker\r\n\r\n",
            b"GET /v2/entities HTTP/1.1\r\nHost: broker\r\nno colon\r\n\r\n",
            b"POST /v2/entities HTTP/1.1\r\nHost: broker\r\nContent-Length: x\r\n\r\n",
        ],
    )
    def test_of_what_is_no_request(self, api: Api, request_bytes: bytes) -> None:
        reply = api.send_bytes(request_bytes)
        status, error, _ = reply.refusal
        assert (status, error) == (400, "BadRequest")
        assert UUID.fullmatch(reply.headers["Fiware-Correlator"])
        # Whose parser it was is nobody's business.
        assert "Server" not in reply.headers


class TestMethods:
    """Of the resources of subscriptions and operators; entities are tried elsewhere."""

    RESOURCES = (
        ("/v2", "GET"),
        ("/v2/subscriptions", "POST, GET"),
        (f"/v2/subscriptions/{UNKNOWN_ID}", "GET, DELETE, PATCH"),
        ("/version", "GET"),
        ("/ready", "GET"),
        ("/metrics", "GET"),
    )

    @pytest.mark.parametrize(("path", "allowed"), RESOURCES)
    @pytest.mark.parametrize("method", ["PUT", "OPTIONS", "HEAD", "TRACE", "BADVERB"])
    def test_those_nobody_has(self, api: Api, path: str, allowed: str, method: str) -> None:
        reply = api.put(path, {}) if method == "PUT" else api.request(method, path)
        assert reply.status == 405
        assert reply.headers["Allow"] == allowed
        if method == "HEAD":
            assert reply.text == ""
        else:
            assert reply.refusal == METHOD_NOT_ALLOWED
        # The connection is still in step.
        assert api.get("/v2").status == 200

    def test_collection_and_member(self, api: Api) -> None:
        part = {"throttling": 1}
        for reply in (
            api.delete("/v2/subscriptions"),
            api.patch("/v2/subscriptions", part),
            api.post(f"/v2/subscriptions/{UNKNOWN_ID}", part),
        ):
            assert reply.refusal == METHOD_NOT_ALLOWED

    def test_entry_points(self, api: Api) -> None:
        assert api.get("/v2").json == {
            "entities_url": "/v2/entities",
            "types_url": "/v2/types",
            "subscriptions_url": "/v2/subscriptions",
            "registrations_url": "/v2/registrations",
        }
