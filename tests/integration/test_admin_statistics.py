"""Statistics: GET and DELETE /statistics and /cache/statistics.

Source: Orion's administration manual, "Statistics"; Orion's cases 0000_statistics_operation.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.endpoints import WAIT_TIMEOUT_S, refuse_connections
from tests.integration.subscriptions import document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Api, Receiver, StartBroker

PATH = "/statistics"
RESET = {"message": "All statistics counter reset"}
SECONDS = ("measuring_interval_in_secs", "uptime_in_secs")
SEMAPHORES = (
    "request",
    "dbConnectionPool",
    "transaction",
    "subCache",
    "connectionContext",
    "timeStat",
    "metrics",
)


@pytest.fixture
def own(start_broker: StartBroker, api: Api) -> Iterator[Api]:
    """A client of a broker of its own that shows all statistics."""
    flags = ("-statCounters", "-statSemWait", "-statTiming", "-statNotifQueue")
    with api.on(start_broker(*flags)) as client:
        yield client


def read(api: Api, **parameters: str) -> dict[str, Any]:
    """The statistics, without the seconds."""
    shown: dict[str, Any] = api.get(PATH, **parameters).json
    assert 0 <= shown["measuring_interval_in_secs"] <= shown["uptime_in_secs"]
    return {name: part for name, part in shown.items() if name not in SECONDS}


def await_read(api: Api, is_reached: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The statistics as soon as they are as wanted: deliveries are counted after they end."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while not is_reached(shown := read(api)):
        assert time.monotonic() < deadline, shown
    return shown


def test_without_switches(api: Api) -> None:
    assert sorted(api.get(PATH).json) == list(SECONDS)


class TestCounters:
    def test_requests(self, own: Api) -> None:
        own.create({"id": "E"})
        own.get("/v2/entities/E")
        own.get("/v2/entities/E/attrs/")
        own.put("/v2/entities/E/attrs/A/value", b"1", content_type="text/plain")
        own.delete("/v2/registrations")  # no such method there
        own.get("/nowhere")
        counters = read(own)["counters"]
        assert counters == {
            "jsonRequests": 1,
            "textRequests": 1,
            "noPayloadRequests": 5,
            "requests": {
                "/v2/entities": {"POST": 1},
                "/v2/entities/{id}[/attrs]": {"GET": 2},
                "/v2/entities/{id}/attrs/{name}/value": {"PUT": 1},
                "/statistics": {"GET": 1},
            },
            "missedVerb": 1,
            "invalidRequests": 1,
        }

    def test_requests_with_a_bad_head_are_not_counted(self, own: Api) -> None:
        assert own.get("/v2/entities", limit=1001).status == 400
        assert read(own)["counters"]["requests"] == {"/statistics": {"GET": 1}}

    def test_probes_are_not_counted(self, own: Api) -> None:
        assert own.get("/ready").status == own.get("/metrics").status == 200
        assert read(own)["counters"]["noPayloadRequests"] == 1

    def test_deprecated_features(self, own: Api) -> None:
        own.create({"id": "E1", "place": {"type": "geo:point", "value": "1,2"}})
        own.create({"id": "E2", "place": {"type": "geo:line", "value": ["1,2", "3,4"]}})
        point = {"type": "Point", "coordinates": [1, 2]}
        own.create({"id": "E3", "place": {"type": "geo:json", "value": point}})
        own.create({"id": "E4", "x": {"value": 1}})
        own.patch("/v2/entities/E1/attrs", {"place": {"type": "geo:point", "value": "3,4"}})
        own.patch("/v2/entities/E1/attrs?options=append", {"x": {"value": 1}})
        registration = {
            "dataProvided": {"entities": [{"id": "E"}]},
            "provider": {"http": {"url": "http://localhost:1"}, "legacyForwarding": True},
        }
        location = own.post("/v2/registrations", registration).headers["Location"]
        for path in (location, "/v2/registrations"):
            own.get(path)
        assert read(own)["counters"]["deprecatedFeatures"] == {
            "geoFormat": 3,
            "ngsiv1Forwarding": 3,
        }

    def test_full(self, own: Api) -> None:
        shown = read(own, options="fullCounters")
        requests = shown["counters"].pop("requests")
        assert requests.pop("/statistics") == {"GET": 1, "DELETE": 0}
        assert len(requests) == 22
        assert {count for methods in requests.values() for count in methods.values()} == {0}
        assert shown["counters"] == {
            "jsonRequests": 0,
            "textRequests": 0,
            "noPayloadRequests": 1,
            "missedVerb": 0,
            "invalidRequests": 0,
            "registrationUpdateErrors": 0,
            "discoveryErrors": 0,
            "notificationsSent": 0,
            "deprecatedFeatures": {"geoFormat": 0, "ngsiv1Forwarding": 0},
        }
        assert shown["simulatedNotifications"] == 0


class TestNotifications:
    def test_queue(self, own: Api, receiver: Receiver) -> None:
        own.subscribe(document(receiver.url))
        with refuse_connections() as url:
            own.subscribe(document(url))
            own.create({"id": "E", "x": {"value": 1}})
            shown = await_read(
                own,
                lambda shown: shown["notifQueue"]["sentOk"] + shown["notifQueue"]["sentError"] > 1,
            )
        queue = shown["notifQueue"]
        waited_s = queue.pop("timeInQueue")
        assert 0 < waited_s < WAIT_TIMEOUT_S
        assert queue.pop("avgTimeInQueue") == pytest.approx(waited_s / 2, abs=1e-8)
        assert queue == {
            "in": 2,
            "out": 2,
            "reject": 0,
            "sentOk": 1,
            "sentError": 1,
            "size": 0,
        }
        assert shown["counters"]["notificationsSent"] == 1

    def test_simulated(self, start_broker: StartBroker, api: Api, receiver: Receiver) -> None:
        with api.on(start_broker("-simulatedNotification", "-statCounters")) as client:
            client.subscribe(document(receiver.url))
            client.create({"id": "E", "x": {"value": 1}})
            shown = await_read(client, lambda shown: "simulatedNotifications" in shown)
            assert shown["simulatedNotifications"] == 1
            assert "notificationsSent" not in shown["counters"]
            client.delete(PATH)
            assert "simulatedNotifications" not in read(client)


class TestTiming:
    def test_times_of_requests(self, own: Api) -> None:
        assert read(own)["timing"] == {}  # only finished requests have a time
        first = read(own)["timing"]
        assert first["last"] == first["accumulated"]
        second = read(own)["timing"]
        total_s = first["last"]["total"] + second["last"]["total"]
        assert second["accumulated"]["total"] == pytest.approx(total_s, abs=1e-8)


def test_semaphores_are_never_waited_for(own: Api) -> None:
    assert read(own)["semWait"] == dict.fromkeys(SEMAPHORES, 0)
    semaphores = own.get("/admin/sem").json
    assert len(semaphores) == 13
    assert all(state == {"status": "free"} for state in semaphores.values())


class TestReset:
    def test_statistics(self, own: Api) -> None:
        own.get("/v2/entities")
        assert own.delete(PATH).json == RESET
        shown = read(own)
        assert shown["counters"] == {
            "noPayloadRequests": 1,
            "requests": {"/statistics": {"GET": 1}},
        }

    def test_index(self, own: Api) -> None:
        assert own.delete("/cache/statistics").json == RESET


class TestIndexOfSubscriptions:
    def test_changes(self, own: Api) -> None:
        first, second, third = (own.subscribe(document("http://localhost:1")) for _ in range(3))
        own.patch(f"/v2/subscriptions/{first}", {"description": "changed"})
        own.delete(f"/v2/subscriptions/{second}")
        shown = {
            "ids": f"{first}, {third}",
            "refresh": 0,
            "inserts": 4,
            "removes": 2,
            "updates": 1,
            "items": 2,
        }
        assert own.get("/cache/statistics").json == shown
        own.delete("/cache/statistics")
        assert own.get("/cache/statistics").json == {
            **shown,
            "inserts": 0,
            "removes": 0,
            "updates": 0,
        }

    def test_too_many_ids(self, own: Api) -> None:
        for _ in range(41):
            own.subscribe(document("http://localhost:1"))
        shown = own.get("/cache/statistics").json
        assert (shown["ids"], shown["items"]) == ("too many subscriptions", 41)


@pytest.mark.parametrize("path", [PATH, "/cache/statistics"])
def test_other_methods(api: Api, path: str) -> None:
    for method in ("POST", "PUT", "PATCH"):
        reply = api.request(method, path, {})
        assert reply.refusal == (405, "MethodNotAllowed", "method not allowed")
        assert reply.headers["Allow"] == "GET, DELETE"
