"""Alarms, their summaries, and the lines about deprecated features.

Source: Orion's administration manual, "Logs", sections "Alarms", "Summary traces" and "Log
deprecated usages"; Orion's cases for issues 1585, 4121 and 4616.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.integration.broker_log import await_lines, read_lines, read_messages
from tests.integration.endpoints import WAIT_TIMEOUT_S, refuse_connections
from tests.integration.subscriptions import document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Api, Receiver, StartBroker

    Start = Callable[..., Api]

CLIENT = "BadInput 127.0.0.1"


@pytest.fixture
def start(start_broker: StartBroker, api: Api) -> Iterator[Start]:
    """Starts a broker with flags; gives a client of it."""
    clients: list[Api] = []

    def start(*flags: str) -> Api:
        clients.append(api.on(start_broker(*flags)))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


class TestBadInput:
    def test_raised_and_released(self, start: Start) -> None:
        api = start()
        api.get("/v2/entities", limit="x")
        api.post("/v2/entities", b"no JSON")  # is raised already
        api.get("/v2/entities")
        api.post("/v2/entities", b"no JSON")
        assert [line.level for line in read_lines(api.broker)] == 3 * ["WARN"]
        assert read_messages(api.broker) == [
            f"Raising alarm {CLIENT}: Bad pagination limit: /x/ [must be a positive integer number]"
            " (GET /v2/entities)",
            f"Releasing alarm {CLIENT}",
            f"Raising alarm {CLIENT}: Errors found in incoming JSON buffer (POST /v2/entities)",
        ]

    def test_repeated(self, start: Start) -> None:
        api = start("-relogAlarms")
        api.get("/nowhere")
        api.delete("/v2/entities")
        api.get("/v2/entities/E")  # 404: the request itself is good
        assert read_messages(api.broker) == [
            f"Raising alarm {CLIENT}: service '/nowhere' not found",
            f"Repeated {CLIENT}: bad verb for url '/v2/entities', method 'DELETE'",
            f"Releasing alarm {CLIENT}",
        ]


class TestNotifications:
    def test_raised_and_released(self, start: Start, receiver: Receiver) -> None:
        api = start("-relogAlarms")
        api.subscribe(document(receiver.url))
        with refuse_connections() as url:
            subject = f"NotificationError {url.removeprefix('http://')}"
            failing = api.subscribe(document(url))
            details = "notification failure for queue worker: Could not connect to server"
            headers = {"Fiware-Correlator": "c1"}
            api.create({"id": "E", "x": {"value": 1}}, headers=headers)
            [line] = await_lines(api.broker, f"Raising alarm {subject}: {details}")
            assert (line.level, line.fields["srv"]) == ("WARN", api.tenant)
            assert line.fields["corr"].startswith("c1; cbnotif=")
            api.put("/v2/entities/E/attrs/x/value", b"2", content_type="text/plain")
            await_lines(api.broker, f"Repeated {subject}: {details}")
        api.patch(f"/v2/subscriptions/{failing}", {"notification": {"http": {"url": receiver.url}}})
        assert receiver.next().data[0]["x"]["value"] == 1
        # Another URL is another alarm: nothing was released.
        assert not [text for text in read_messages(api.broker) if "Releasing" in text]

    def test_released_by_a_delivery(self, start: Start) -> None:
        api = start()
        with socket.socket() as endpoint:
            endpoint.bind(("127.0.0.1", 0))  # connections are refused until it listens
            place = f"127.0.0.1:{endpoint.getsockname()[1]}/notify"
            api.subscribe(document(f"http://{place}"))
            api.create({"id": "E", "x": {"value": 1}})
            await_lines(api.broker, f"Raising alarm NotificationError {place}: ")
            endpoint.listen()
            endpoint.settimeout(WAIT_TIMEOUT_S)
            api.put("/v2/entities/E/attrs/x/value", b"2", content_type="text/plain")
            connection, _ = endpoint.accept()
            with connection:
                assert connection.recv(1)  # a response to nothing would be none
                connection.sendall(
                    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
                )
                # Any response counts as a success, as in Orion.
                await_lines(api.broker, f"Releasing alarm NotificationError {place}")


def test_mqtt_connection(start: Start) -> None:
    api = start()
    with socket.socket() as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{endpoint.getsockname()[1]}"
        subscription = document("")
        subscription["notification"] = {"mqtt": {"url": f"mqtt://{place}", "topic": "t"}}
        api.subscribe(subscription)
        api.create({"id": "E", "x": {"value": 1}})
        await_lines(api.broker, f"Raising alarm MqttConnectionError {place}: ")


class TestSummary:
    def test_lines(self, start: Start) -> None:
        # Written whatever the level is.
        api = start("-logSummary", "1", "-logLevel", "NONE")
        api.get("/nowhere")
        lines = await_lines(api.broker, "Bad input active alarms: 1, raised: (total: 1, new: 1)")
        assert lines[0].level == "SUMMARY"
        summary = "raised: (total: 0, new: 0), released: (total: 0, new: 0)"
        messages = read_messages(api.broker)
        for title in (
            "DB status: ok",
            "Notification failure active alarms: 0",
            "Forwarding failure active alarms: 0",
            "MQTT connection failure active alarms: 0",
        ):
            assert f"{title}, {summary}" in messages
        api.get("/v2/entities")
        await_lines(
            api.broker,
            "Bad input active alarms: 0, raised: (total: 1, new: 0), released: (total: 1, new: 1)",
        )
        assert any(text.startswith("Transactions: ") for text in messages)


class TestDeprecations:
    POINT = "Deprecated usage of geo:point detected in attribute place at entity update, " + (
        "please use geo:json instead"
    )

    def test_logged_where_asked_for(self, start: Start) -> None:
        api = start("-logDeprecate")
        api.create({"id": "E1", "place": {"type": "geo:point", "value": "1,2"}})
        registration = {
            "dataProvided": {"entities": [{"id": "E"}]},
            "provider": {"http": {"url": "http://localhost:1"}, "legacyForwarding": True},
        }
        location = api.post("/v2/registrations", registration).headers["Location"]
        name = location.rpartition("/")[2]
        api.get(location)
        legacy = "Deprecated usage of legacyForwarding mode"
        assert read_messages(api.broker, "WARN") == [
            self.POINT,
            f"{legacy} in registration creation (regId: {name})",
            f"{legacy} detected in existing registration (regId: {name})",
        ]

    def test_switched_while_running(self, start: Start) -> None:
        api = start()
        api.create({"id": "E1", "place": {"type": "geo:point", "value": "1,2"}})
        assert read_messages(api.broker) == []
        api.put("/admin/log", deprecate="true")
        api.create({"id": "E2", "place": {"type": "geo:point", "value": "1,2"}})
        assert read_messages(api.broker) == [self.POINT]
