"""Forwarding itself: headers, tenants and service paths, limits, time, loops, counters.

Source: Orion's manuals "Context Providers" and "Logs"; Orion API, section
"registration.forwardingInformation"; Orion's cases for issues 1016 and 3694.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from broker.launch import BrokerProcess
from tests.integration.endpoints import refuse_connections
from tests.integration.provider import Answer, Forwarded, ScriptedProvider, register, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.conftest import Api, Reply, StartBroker

NOT_FOUND = (404, "NotFound", "The requested entity has not been found. Check type and id")
E1 = {"id": "E1", "type": "T"}
E1_PATH = "/v2/entities/E1/attrs?type=T"
NEW = {"A": {"type": "Text", "value": "new"}}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    """Gives entity E1 to queries, and does every update."""
    with ScriptedProvider() as scripted:
        scripted.answer = give_e1
        yield scripted


def give_e1(request: Forwarded) -> Answer:
    if "query" in request.path:
        return Answer([shown("E1", A="a")])
    return Answer(status=204)


def information(api: Api, registration: str) -> dict[str, Any]:
    """The forwarding information that is shown with a registration."""
    document = api.get(f"/v2/registrations/{registration}").json
    shown_information: dict[str, Any] = document["forwardingInformation"]
    return shown_information


class TestHeaders:
    def test_passed_on(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1, service_path="/a")
        headers = {"X-Auth-Token": "secret", "Fiware-Correlator": "corr-1", "X-Other": "o"}
        api.get("/v2/entities/E1", headers=headers, service_path="/a")
        api.patch(E1_PATH, NEW, headers=headers, service_path="/a")
        for request in provider.take_all():
            assert dict(request.headers) == {
                "User-Agent": request.headers["User-Agent"],
                "Host": provider.url.split("/")[2],
                "Fiware-Service": api.tenant,
                "Fiware-ServicePath": "/a",
                "X-Auth-Token": "secret",
                "Accept": "application/json",
                "Content-Type": "application/json; charset=utf-8",
                "Content-Length": str(len(request.body)),
                "Fiware-Correlator": "corr-1; cbfwd=1",
            }
            assert request.headers["User-Agent"].startswith("orion/")

    def test_left_out(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1)
        api.get("/v2/entities/E1")
        headers = provider.next().headers
        assert headers["Fiware-ServicePath"] == "/"
        assert "X-Auth-Token" not in headers
        assert re.fullmatch(r"[0-9a-f-]{36}; cbfwd=1", headers["Fiware-Correlator"])

    def test_numbered_by_the_client_request(self, api: Api, provider: ScriptedProvider) -> None:
        for name in ("E1", "E2", "E3"):
            register(api, provider.url, {"id": name, "type": "T"})
        for _ in range(2):
            api.get("/v2/entities", headers={"Fiware-Correlator": "c"})
            numbers = [r.headers["Fiware-Correlator"] for r in provider.take_all()]
            assert numbers == ["c; cbfwd=1", "c; cbfwd=2", "c; cbfwd=3"]

    def test_client_keeps_its_own_correlator(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1)
        reply = api.get("/v2/entities/E1", headers={"Fiware-Correlator": "c"})
        assert reply.headers["Fiware-Correlator"] == "c"

    def test_url_of_the_provider(self, api: Api, provider: ScriptedProvider) -> None:
        base = provider.url.removesuffix("/v2")
        for path in ("", "/", "/deep/path/", "/p?key=1"):
            with_type = {"id": f"E{len(path)}", "type": "T"}
            register(api, base + path, with_type)
            api.get(f"/v2/entities/{with_type['id']}")
        page = "limit=20&offset=0&options=count"
        assert [request.path for request in provider.take_all()] == [
            f"//op/query?{page}",  # where IoT Agents listen
            f"//op/query?{page}",
            f"/deep/path//op/query?{page}",
            f"/p/op/query?key=1&{page}",
        ]


class TestWhose:
    def test_tenants(
        self,
        api: Api,
        provider: ScriptedProvider,
        connect: Callable[[BrokerProcess, str], Api],
    ) -> None:
        register(api, provider.url, E1)
        other = connect(api.broker, f"{api.tenant}x")
        assert other.get("/v2/entities/E1").refusal == NOT_FOUND
        assert other.patch(E1_PATH, NEW).refusal == NOT_FOUND
        assert provider.take_all() == []

    def test_service_paths(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1, service_path="/a/b")
        for path, is_asked in (("/a/b", True), ("/a", False), ("/a/#", True), (None, True)):
            reply = api.get("/v2/entities/E1", service_path=path)
            assert reply.status == (200 if is_asked else 404), path
            assert bool(provider.take_all()) is is_asked
        # An update without the header is about the root.
        for path, is_asked in (("/a/b", True), ("/a", False), (None, False)):
            reply = api.patch(E1_PATH, NEW, service_path=path)
            assert reply.status == (204 if is_asked else 404), path
            assert bool(provider.take_all()) is is_asked


class TestLimit:
    def ask_for_three(
        self, start_broker: StartBroker, connect: Callable[[BrokerProcess, str], Api], limit: str
    ) -> tuple[Reply, Reply, list[str]]:
        """A query and an update that three providers have a part in; who was asked."""
        names = ("A", "B", "C")
        asked: list[str] = []
        api = connect(start_broker("-cprForwardLimit", limit), "")
        with ScriptedProvider() as first, ScriptedProvider() as second, ScriptedProvider() as third:
            for name, one in zip(names, (first, second, third), strict=True):
                value = {name: name.lower()}
                one.answer = lambda request, value=value: (
                    Answer([shown("E1", **value)])
                    if "query" in request.path
                    else Answer(status=204)
                )
                register(api, one.url, E1, attributes=(name,))
            query = api.get("/v2/entities/E1", options="keyValues")
            update = {name: {"value": "new"} for name in names}
            changed = api.patch(E1_PATH, update)
            for one in (first, second, third):
                asked.extend(r.headers["Fiware-Correlator"][-1] for r in one.take_all())
        return query, changed, asked

    def test_none(
        self, start_broker: StartBroker, connect: Callable[[BrokerProcess, str], Api]
    ) -> None:
        query, changed, asked = self.ask_for_three(start_broker, connect, "0")
        assert query.refusal == NOT_FOUND
        assert changed.refusal == NOT_FOUND
        assert asked == []

    def test_some(
        self, start_broker: StartBroker, connect: Callable[[BrokerProcess, str], Api]
    ) -> None:
        query, changed, asked = self.ask_for_three(start_broker, connect, "2")
        assert query.json == {**E1, "A": "a", "B": "b"}
        assert changed.refusal == (
            404,
            "PartialUpdate",
            "Some of the following attributes were not updated: { E1-T : [C] }",
        )
        assert asked == ["1", "1", "2", "2"]


class TestTime:
    def test_provider_that_hangs_delays_its_own_request_only(
        self,
        api: Api,
        provider: ScriptedProvider,
        connect: Callable[[BrokerProcess, str], Api],
    ) -> None:
        register(api, provider.url, E1)
        provider.gate.clear()
        replies: list[Reply] = []
        waiting = connect(api.broker, api.tenant)
        thread = threading.Thread(target=lambda: replies.append(waiting.get("/v2/entities/E1")))
        thread.start()
        provider.next()  # it is being waited for
        api.create(shown("E2", A="b"))
        assert api.patch("/v2/entities/E2/attrs", NEW).status == 204
        assert api.get("/v2/entities/E2").status == 200
        with ScriptedProvider() as other:
            other.answer = Answer([shown("E3", A="c")])
            register(api, other.url, {"id": "E3"})
            assert api.get("/v2/entities/E3").json == shown("E3", A="c")
        assert replies == []
        provider.gate.set()
        thread.join()
        assert replies[0].json == shown("E1", A="a")

    def test_provider_that_never_answers(
        self,
        provider: ScriptedProvider,
        start_broker: StartBroker,
        connect: Callable[[BrokerProcess, str], Api],
    ) -> None:
        api = connect(start_broker("-httpTimeout", "100"), "")
        registration = register(api, provider.url, E1)
        provider.gate.clear()
        assert api.get("/v2/entities/E1").refusal == NOT_FOUND
        assert api.patch(E1_PATH, NEW).refusal == NOT_FOUND
        assert "lastFailure" in information(api, registration)
        provider.gate.set()
        assert api.get("/v2/entities/E1").json == shown("E1", A="a")

    def test_connection_that_the_provider_closed(
        self, api: Api, provider: ScriptedProvider
    ) -> None:
        provider.answer = Answer([shown("E1", A="a")], headers={"Connection": "close"})
        register(api, provider.url, E1)
        for _ in range(3):
            assert api.get("/v2/entities/E1").status == 200


class TestSize:
    def test_answer_that_is_too_large(self, api: Api, provider: ScriptedProvider) -> None:
        provider.answer = Answer(b" " * (8 * 1024 * 1024 + 1))
        registration = register(api, provider.url, E1)
        assert api.get("/v2/entities/E1").refusal == NOT_FOUND
        assert "lastFailure" in information(api, registration)

    def test_request_that_is_too_large(
        self,
        provider: ScriptedProvider,
        start_broker: StartBroker,
        connect: Callable[[BrokerProcess, str], Api],
    ) -> None:
        api = connect(start_broker("-outReqMsgMaxSize", "1000"), "")
        register(api, provider.url, E1)
        assert api.patch(E1_PATH, {"A": {"value": "x" * 1000}}).refusal == NOT_FOUND
        assert provider.take_all() == []
        assert api.patch(E1_PATH, {"A": {"value": "x"}}).status == 204


class TestLoops:
    def test_broker_that_is_its_own_provider(self, api: Api) -> None:
        own = f"{api.broker.url}/v2"
        registration = register(api, own, {"idPattern": ".*", "type": "T"})
        api.create(shown("E1", A="a"))
        assert api.get("/v2/entities/E1").json == shown("E1", A="a")
        assert api.get("/v2/entities/E2").refusal == NOT_FOUND
        assert api.patch(E1_PATH, NEW).status == 204
        assert api.patch("/v2/entities/E2/attrs?type=T", NEW).refusal == NOT_FOUND
        # Once each for the three that went out; none for what came back.
        assert information(api, registration)["timesSent"] == 3

    def test_two_brokers_that_provide_for_each_other(
        self,
        api: Api,
        start_broker: StartBroker,
        connect: Callable[[BrokerProcess, str], Api],
    ) -> None:
        other = connect(start_broker("-multiservice"), api.tenant)
        there = register(api, f"{other.broker.url}/v2", {"idPattern": ".*", "type": "T"})
        back = register(other, f"{api.broker.url}/v2", {"idPattern": ".*", "type": "T"})
        api.create(shown("E1", A="here"))
        other.create(shown("E2", A="there"))
        assert api.get("/v2/entities/E2").json == shown("E2", A="there")
        assert other.get("/v2/entities/E1").json == shown("E1", A="here")
        assert api.get("/v2/entities/E3").refusal == NOT_FOUND
        assert information(api, there)["timesSent"] <= 4
        assert information(other, back)["timesSent"] <= 4

    def test_many_brokers_in_a_row(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1)
        hops = "c" + "; cbfwd=1" * 11
        reply = api.get("/v2/entities/E1", headers={"Fiware-Correlator": hops})
        assert reply.refusal == NOT_FOUND
        assert provider.take_all() == []


class TestCounters:
    def test_counted(self, api: Api, provider: ScriptedProvider) -> None:
        registration = register(api, provider.url, E1)
        document = api.get(f"/v2/registrations/{registration}").json
        assert "forwardingInformation" not in document
        api.get("/v2/entities/E1")
        first = information(api, registration)
        assert sorted(first) == ["lastForwarding", "lastSuccess", "timesSent"]
        assert first["timesSent"] == 1
        assert INSTANT.fullmatch(first["lastForwarding"])
        provider.answer = Answer(status=500)
        api.patch(E1_PATH, NEW)
        second = information(api, registration)
        assert second["timesSent"] == 2
        assert second["lastSuccess"] == first["lastSuccess"]
        assert INSTANT.fullmatch(second["lastFailure"])
        assert api.get("/v2/registrations").json[0]["forwardingInformation"] == second

    def test_kept_over_a_restart(
        self,
        tmp_path: Path,
        provider: ScriptedProvider,
        start_broker: StartBroker,
        connect: Callable[[BrokerProcess, str], Api],
    ) -> None:
        directory = tmp_path / "data"
        first = start_broker(directory=directory)
        api = connect(first, "")
        registration = register(api, provider.url, E1)
        for _ in range(3):
            api.get("/v2/entities/E1")
        before = information(api, registration)
        first.stop()
        api = connect(start_broker(directory=directory), "")
        assert information(api, registration) == before
        assert api.get("/v2/entities/E1").json == shown("E1", A="a")
        assert information(api, registration)["timesSent"] == 4

    def test_registration_that_was_removed_meanwhile(
        self, api: Api, provider: ScriptedProvider, connect: Callable[[BrokerProcess, str], Api]
    ) -> None:
        registration = register(api, provider.url, E1)
        provider.gate.clear()
        replies: list[Reply] = []
        waiting = connect(api.broker, api.tenant)
        thread = threading.Thread(target=lambda: replies.append(waiting.get("/v2/entities/E1")))
        thread.start()
        provider.next()
        assert api.delete(f"/v2/registrations/{registration}").status == 204
        provider.gate.set()
        thread.join()
        assert replies[0].json == shown("E1", A="a")
        assert api.get("/v2/entities/E1").refusal == NOT_FOUND


class TestLog:
    def test_lines(
        self,
        provider: ScriptedProvider,
        start_broker: StartBroker,
        connect: Callable[[BrokerProcess, str], Api],
    ) -> None:
        broker = start_broker("-logLevel", "INFO")
        api = connect(broker, "")
        registration = register(api, provider.url, E1)
        api.get("/v2/entities/E1", headers={"Fiware-Correlator": "c"})
        with refuse_connections() as dead:
            register(api, dead, {"id": "E2"})
            api.get("/v2/entities/E2")
            api.get("/v2/entities/E2")
        broker.stop()
        lines = broker.log.read_text().splitlines()
        assert any("msg=Starting forwarding for GET /v2/entities/E1" in line for line in lines)
        [line] = [line for line in lines if f"Request forwarded (regId: {registration})" in line]
        assert "| corr=c; cbfwd=1 |" in line
        request = b'{"entities":[{"id":"E1","type":"T"}],"attrs":[]}'
        assert f": POST {provider.url}/op/query, request payload ({len(request)} bytes)" in line
        assert line.endswith("response code: 200")
        failed = [
            line for line in lines if "Request forwarded" in line and "payload (0 bytes)" in line
        ]
        assert len(failed) == 2
        assert all(line.endswith("response code: Could not connect to server") for line in failed)
        alarms = [line for line in lines if "alarm ForwardingError" in line]
        assert len(alarms) == 1
        assert "/notify/op/query: forwarding failure" in alarms[0]
