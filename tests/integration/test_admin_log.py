"""Change of the log while the broker runs: /admin/log and /log/trace; what lines it writes.

Source: Orion's administration manual, "Management REST interface" and "Logs"; Orion's cases
0000_log_operation, 1913, 2352, 2419, 2420, 3694, 3707, 4449 and 4756.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.broker_log import await_lines, read_lines, read_messages
from tests.integration.endpoints import refuse_connections
from tests.integration.subscriptions import document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Api, Receiver, StartBroker

PATH = "/admin/log"
INITIAL = {"level": "WARN", "infoPayloadMaxSize": 5120, "lineMaxSize": 32768, "deprecate": False}


@pytest.fixture
def own(start_broker: StartBroker, api: Api) -> Iterator[Api]:
    """A client of a broker whose log the test may change."""
    with api.on(start_broker("-multiservice")) as client:
        yield client


@pytest.fixture
def talking(start_broker: StartBroker, api: Api) -> Iterator[Api]:
    """A client of a broker that logs at level INFO, with excerpts of 70 bytes."""
    with api.on(
        start_broker("-multiservice", "-logLevel", "INFO", "-logInfoPayloadMaxSize", "70")
    ) as client:
        yield client


def bad(description: str) -> tuple[int, str, str]:
    """The refusal of a bad request."""
    return 400, "BadRequest", description


class TestConfiguration:
    def test_change_and_show(self, own: Api) -> None:
        expected: dict[str, Any] = dict(INITIAL)
        assert own.get(PATH).json == expected
        for name, given, shown in (
            ("level", "none", "NONE"),
            ("level", "Fatal", "FATAL"),
            ("level", "ERROR", "ERROR"),
            ("level", "wArNiNg", "WARN"),
            ("level", "warn", "WARN"),
            ("level", "DEBUG", "DEBUG"),
            ("level", "Info", "INFO"),
            ("infoPayloadMaxSize", "5000", 5000),
            ("lineMaxSize", "400000", 400000),
            ("deprecate", "TRUE", True),
            ("deprecate", "false", False),
        ):
            reply = own.put(PATH, **{name: given})
            assert (reply.status, reply.text) == (200, ""), reply
            expected[name] = shown
            assert own.get(PATH).json == expected

    @pytest.mark.parametrize(
        ("query", "description"),
        [
            ("", "log config missing"),
            ("?other=1", "log config missing"),
            ("?level=", "Empty right-hand-side for URI param /level/"),
            ("?level=xyz", "invalid log level"),
            ("?deprecate=maybe", "invalid deprecate, deprecate should be true or false"),
            *(
                (f"?{name}={size}", f"invalid {name}, {name} should be an integer number > 0")
                for name in ("lineMaxSize", "infoPayloadMaxSize")
                for size in ("0", "-1", "3.1416", "nonumber", "9999999999")
            ),
            (
                "?lineMaxSize=16777217",
                "invalid lineMaxSize, lineMaxSize should be at most 16777216",
            ),
            # Nothing of a bad request is done.
            ("?level=INFO&lineMaxSize=1000&infoPayloadMaxSize=x", None),
            ("?lineMaxSize=1000&deprecate=true&level=xyz", None),
        ],
    )
    def test_bad(self, api: Api, query: str, description: str | None) -> None:
        refusal = api.put(PATH + query).refusal
        assert refusal[:2] == (400, "BadRequest")
        assert description is None or refusal[2] == description
        assert api.get(PATH).json == INITIAL

    def test_takes_effect(self, own: Api) -> None:
        own.put(PATH, level="INFO", infoPayloadMaxSize="5")
        own.post("/v2/entities", b'{"id": "E"}')
        [line] = await_lines(own.broker, "Request received: POST /v2/entities")
        assert 'request payload (11 bytes): {"id"(...), response code: 201' in line.message
        own.put(PATH, lineMaxSize="50")
        await_lines(own.broker, "LINE TOO LONG")
        own.put(PATH, level="NONE")
        before = len(read_lines(own.broker))
        own.get("/v2/entities")
        own.get("/nowhere")
        assert len(read_lines(own.broker)) == before

    def test_other_methods(self, api: Api) -> None:
        for method in ("POST", "DELETE", "PATCH"):
            reply = api.request(method, PATH)
            assert (reply.status, reply.headers["Allow"]) == (405, "PUT")


class TestTraceLevels:
    def test_set_and_remove(self, own: Api) -> None:
        for method, levels, reply, left in (
            ("GET", "", {"tracelevels": "empty"}, "empty"),
            ("PUT", "/5-10", {"tracelevels": "5-10"}, "5-10"),
            ("PUT", "/19,21-25", {"tracelevels": "19,21-25"}, "19, 21-25"),
            ("DELETE", "/23", {"tracelevels_removed": "23"}, "19, 21-22, 24-25"),
            ("DELETE", "/0-20,25", {"tracelevels_removed": "0-20,25"}, "21-22, 24"),
            ("PUT", "/0-255", {"tracelevels": "0-255"}, "0-255"),
            ("DELETE", "", {"tracelevels": "all trace levels off"}, "empty"),
        ):
            assert own.request(method, f"/log/trace{levels}").json == reply
            assert own.get("/log/trace").json == {"tracelevels": left}

    @pytest.mark.parametrize("levels", ["x", "5-", "256", "10-5", ",", "-1"])
    def test_bad(self, api: Api, levels: str) -> None:
        for method in ("PUT", "DELETE"):
            reply = api.request(method, f"/log/trace/{levels}")
            assert reply.refusal == bad("poorly formatted trace level string")

    def test_initial(self, start_broker: StartBroker, api: Api) -> None:
        with api.on(start_broker("-logLevel", "DEBUG", "-t", "180-181")) as client:
            assert client.get("/log/trace").json == {"tracelevels": "180-181"}
            client.create({"id": "E"})
            await_lines(client.broker, 'Request payload: {"id": "E"}')
            client.delete("/log/trace")
            client.create({"id": "F"})
            assert 'Request payload: {"id": "F"}' not in read_messages(client.broker)

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("POST", "/log/trace", "GET, DELETE"),
            ("PUT", "/log/trace", "GET, DELETE"),
            ("POST", "/log/trace/1", "PUT, DELETE"),
            ("GET", "/log/trace/1", "PUT, DELETE"),
            ("DELETE", "/admin/sem", "GET"),
            ("DELETE", "/version", "GET"),
        ],
    )
    def test_other_methods(self, api: Api, method: str, path: str, allowed: str) -> None:
        reply = api.request(method, path)
        assert reply.refusal == (405, "MethodNotAllowed", "method not allowed")
        assert reply.headers["Allow"] == allowed


class TestLinesOfRequests:
    def test_without_payload(self, talking: Api) -> None:
        headers = {"Fiware-Correlator": "c1", "X-Real-IP": "10.0.0.9"}
        talking.get("/v2/entities?type=T", service_path="/A", headers=headers)
        [line] = read_lines(talking.broker)[-1:]
        assert line.message == "Request received: GET /v2/entities?type=T, response code: 200"
        assert re.fullmatch(r"\d+-\d{3}-\d{11}", line.fields.pop("trans"))
        del line.fields["time"], line.fields["op"]
        assert line.fields == {
            "lvl": "INFO",
            "corr": "c1",
            "from": "10.0.0.9",
            "srv": talking.tenant,
            "subsrv": "/A",
            "comp": "Orion",
        }

    @pytest.mark.parametrize("length", [69, 70, 71, 80])
    def test_payload(self, talking: Api, length: int) -> None:
        body = b'{"id":"E"}'.ljust(length)
        talking.post("/v2/entities", body)
        shown = body.decode() if length <= 70 else body[:70].decode() + "(...)"
        assert read_messages(talking.broker)[-1] == (
            f"Request received: POST /v2/entities, request payload ({length} bytes): {shown}, "
            "response code: 201"
        )

    def test_response_payload_of_errors(self, talking: Api) -> None:
        reply = talking.get("/v2/entities/E")
        assert read_messages(talking.broker)[-1] == (
            "Request received: GET /v2/entities/E, response code: 404, response payload "
            f"({len(reply.text)} bytes): {reply.text[:70]}(...)"
        )


class TestLinesOfNotifications:
    def test_delivered(self, talking: Api, receiver: Receiver) -> None:
        subscription = talking.subscribe(document(receiver.url))
        headers = {"Fiware-Correlator": "c1"}
        talking.create({"id": "E", "x": {"value": 1}}, service_path="/A", headers=headers)
        body = receiver.next().body.decode()
        [line] = await_lines(talking.broker, "Notif delivered")
        place = receiver.url.removeprefix("http://")
        assert line.message == (
            f"Notif delivered (subId: {subscription}): POST {place}, payload ({len(body)} bytes): "
            f"{body[:70]}(...), response code: 200"
        )
        assert line.fields["corr"] == "c1; cbnotif=1"
        assert (line.fields["srv"], line.fields["subsrv"]) == (talking.tenant, "/A")

    def test_refused(self, talking: Api, receiver: Receiver) -> None:
        receiver.status = 404
        subscription = talking.subscribe(document(receiver.url))
        talking.create({"id": "E", "x": {"value": 1}})
        [line] = await_lines(talking.broker, "response NOT OK")
        assert line.level == "WARN"
        assert line.message == (
            f"Notification (subId: {subscription}) response NOT OK, http code: 404"
        )

    def test_not_delivered(self, talking: Api) -> None:
        with refuse_connections() as url:
            talking.subscribe(document(url))
            talking.create({"id": "E", "x": {"value": 1}})
            [line] = await_lines(talking.broker, "Notif delivered")
        assert line.message.endswith("response code: Could not connect to server")
