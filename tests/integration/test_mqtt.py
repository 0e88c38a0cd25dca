"""Notifications over MQTT, to a real mosquitto.

Source: Orion's user manual, "MQTT notifications"; Orion API, sections
"subscription.notification.mqtt" and "mqttCustom"; Orion's functional cases 3001, 3541, 3914,
4388. Errors of subscription documents are in test_subscription_errors.py.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.endpoints import never_answer, refuse_connections
from tests.integration.mosquitto import (
    EXECUTABLE,
    PASSWORDS,
    WAIT_TIMEOUT_S,
    Listener,
    Mosquitto,
)
from tests.integration.subscriptions import (
    await_state,
    change,
    counters,
    create,
    force_update,
    has_ended,
    has_failed,
    number,
    patch,
    show,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, StartBroker

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="mosquitto is not installed")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """An MQTT broker for all tests that do not stop it; each has a topic of its own."""
    with Mosquitto(tmp_path_factory.mktemp("mqtt") / "mosquitto") as broker:
        yield broker


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Mosquitto]:
    """An MQTT broker of the test's own, not started yet."""
    broker = Mosquitto(tmp_path / "mosquitto")
    yield broker
    broker.stop()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    """Open listeners; they are closed with the test."""
    with ExitStack() as stack:

        def open_listener(*arguments: Any, **options: Any) -> Listener:
            listener = Listener(*arguments, **options)
            stack.callback(listener.close)
            return listener

        yield open_listener


@pytest.fixture
def heard(shared: Mosquitto, api: Api, listen: Callable[..., Listener]) -> Listener:
    """A listener to the topics below the test's tenant."""
    return listen(shared.port, topic=f"{api.tenant}/#")


def subscribe(api: Api, kind: str = "mqtt", **fields: Any) -> str:
    """A subscription to every entity; `fields` of mqtt or mqttCustom, without url: refused."""
    notification = fields.pop("notification", {})
    return api.subscribe(
        {
            "subject": {"entities": [{"idPattern": ".*"}]},
            "notification": {kind: fields, **notification},
        }
    )


def await_condition(is_met: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while not is_met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stripped(url: str) -> str:
    """An http URL as the URL of an MQTT broker at the same place."""
    return url.replace("http://", "mqtt://").removesuffix("/notify")


class TestMessages:
    def test_standard_body(self, api: Api, shared: Mosquitto, heard: Listener) -> None:
        topic = f"{api.tenant}/sub"
        subscription_id = subscribe(api, url=shared.url, topic=topic)
        create(api, A=1)
        message = heard.next()
        assert (message.topic, message.qos, message.retain) == (topic, 0, False)
        assert json.loads(message.payload) == {
            "subscriptionId": subscription_id,
            "data": [{"id": "E", "type": "T", "A": number(1)}],
        }

    def test_representations(self, api: Api, shared: Mosquitto, heard: Listener) -> None:
        subscribe(
            api,
            url=shared.url,
            topic=f"{api.tenant}/sub",
            notification={"attrs": ["A"], "attrsFormat": "simplifiedKeyValues"},
        )
        create(api, A=1, B=2)
        assert json.loads(heard.next().payload) == {"id": "E", "type": "T", "A": 1}

    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_quality_of_service(
        self, api: Api, shared: Mosquitto, heard: Listener, qos: int
    ) -> None:
        subscription_id = subscribe(api, url=shared.url, topic=f"{api.tenant}/s", qos=qos)
        create(api, A=0)
        for count in range(1, 50):
            patch(api, A=number(count))
        messages = [heard.next() for _ in range(50)]
        assert {message.qos for message in messages} == {qos}
        values = [json.loads(item.payload)["data"][0]["A"]["value"] for item in messages]
        assert values == list(range(50))
        shown = await_state(api, subscription_id, has_ended(50, "lastSuccess"))
        assert shown["notification"]["mqtt"]["qos"] == qos

    @pytest.mark.parametrize("retain", [True, False])
    def test_retain(
        self,
        api: Api,
        shared: Mosquitto,
        heard: Listener,
        listen: Callable[..., Listener],
        retain: bool,
    ) -> None:
        topic = f"{api.tenant}/sub"
        subscribe(api, url=shared.url, topic=topic, retain=retain)
        subscribe(api, url=shared.url, topic=f"{topic}/other", retain=True)
        create(api, A=1)
        heard.next()
        heard.next()
        late = listen(shared.port, topic=f"{topic}/#")
        kept = {late.next().topic for _ in range(1 + retain)}
        assert kept == ({topic, f"{topic}/other"} if retain else {f"{topic}/other"})

    def test_custom_text_and_topic(self, api: Api, shared: Mosquitto, heard: Listener) -> None:
        subscribe(
            api,
            "mqttCustom",
            url=shared.url,
            topic="${service}/${id}/${A}",
            payload="{ %22A%22: %22${A}%22, ${none} }",
        )
        create(api, "E1", A=1)
        create(api, "E2", A="two")
        messages = [heard.next() for _ in range(2)]
        assert [(item.topic, item.payload) for item in messages] == [
            (f"{api.tenant}/E1/1", b'{ "A": "1", null }'),
            (f"{api.tenant}/E2/two", b'{ "A": "two", null }'),
        ]

    def test_macros_are_for_custom_ones_alone(
        self, api: Api, shared: Mosquitto, heard: Listener
    ) -> None:
        topic = f"{api.tenant}/${{id}}"
        subscribe(api, url=shared.url, topic=topic)
        create(api, A=1)
        assert heard.next().topic == topic

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"payload": None}, b""),
            ({"json": {"a": "${A}", "b": ["${none}", "x${A}"]}}, b'{"a":1,"b":[null,"x1"]}'),
            ({"json": ["${A + 1}"]}, b"[2]"),
        ],
    )
    def test_custom_payloads(
        self, api: Api, shared: Mosquitto, heard: Listener, fields: Any, expected: bytes
    ) -> None:
        subscribe(api, "mqttCustom", url=shared.url, topic=f"{api.tenant}/x", **fields)
        create(api, A=1)
        assert heard.next().payload == expected

    def test_ngsi_patch(self, api: Api, shared: Mosquitto, heard: Listener) -> None:
        patch_ = {"id": "new:${id}", "B": {"value": "${A * 2}", "type": "Calculated"}}
        subscribe(api, "mqttCustom", url=shared.url, topic=f"{api.tenant}/x", ngsi=patch_)
        create(api, A=4)
        [entity] = json.loads(heard.next().payload)["data"]
        assert (entity["id"], entity["B"]["value"], entity["A"]) == ("new:E", 8, number(4))

    @pytest.mark.parametrize("value", ["", "a+b", "a#", "x" * 70_000])
    def test_topic_that_becomes_none(
        self, api: Api, shared: Mosquitto, heard: Listener, value: str
    ) -> None:
        bad = subscribe(api, "mqttCustom", url=shared.url, topic="${A}", payload="x")
        good = subscribe(api, url=shared.url, topic=f"{api.tenant}/x")
        create(api, A=value)
        await_state(api, bad, has_failed(1))
        await_state(api, good, has_ended(1, "lastSuccess"))
        heard.next()
        # The connection serves on.
        patch(api, A={"value": f"{api.tenant}/fine"})
        assert {heard.next().topic, heard.next().topic} == {
            f"{api.tenant}/x",
            f"{api.tenant}/fine",
        }
        await_state(api, bad, has_failed(0))

    def test_template_without_end(self, api: Api, shared: Mosquitto, heard: Listener) -> None:
        bad = subscribe(api, "mqttCustom", url=shared.url, topic="x", payload="${A")
        subscribe(api, url=shared.url, topic=f"{api.tenant}/x")
        create(api, A=1)
        heard.next()
        await_state(api, bad, has_failed(1))

    def test_long_message(self, api: Api, shared: Mosquitto, heard: Listener) -> None:
        subscribe(api, url=shared.url, topic=f"{api.tenant}/x", qos=1)
        create(api, A="x" * 900_000)
        assert len(heard.next().payload) > 900_000


class TestCounters:
    def test_success_and_failure(self, api: Api, own: Mosquitto) -> None:
        subscription_id = subscribe(api, url=own.url, topic="x")
        create(api, A=1)
        shown = await_state(api, subscription_id, has_failed(1))
        # A reason and a code are for HTTP alone.
        assert counters(shown) == {
            "timesSent": 1,
            "lastNotification": True,
            "lastFailure": True,
            "failsCounter": 1,
        }
        force_update(api)
        await_state(api, subscription_id, has_failed(2))
        own.start()
        force_update(api)
        shown = await_state(api, subscription_id, has_failed(0))
        assert counters(shown) == {
            "timesSent": 3,
            "lastNotification": True,
            "lastFailure": True,
            "lastSuccess": True,
        }

    def test_limit_of_failures(self, api: Api) -> None:
        with refuse_connections() as url:
            subscription_id = subscribe(
                api, url=stripped(url), topic="x", notification={"maxFailsLimit": 2}
            )
            create(api, A=1)
            for count in (1, 2, 3):
                await_state(api, subscription_id, has_failed(count))
                force_update(api)
            shown = await_state(api, subscription_id, lambda item: item["status"] == "inactive")
            assert shown["notification"]["failsCounter"] == 3
            assert shown["notification"]["timesSent"] == 3

    def test_alarm(self, start_broker: StartBroker, connect: Connect, own: Mosquitto) -> None:
        broker = start_broker()
        api = connect(broker, "")
        subscription_id = subscribe(api, url=own.url, topic="x")
        create(api, A=1)
        for count in (1, 2):
            await_state(api, subscription_id, has_failed(count))
            force_update(api)
        await_state(api, subscription_id, has_failed(3))
        own.start()
        force_update(api)
        await_state(api, subscription_id, has_failed(0))
        broker.stop()
        log = broker.log.read_text()
        subject = f"MqttConnectionError 127.0.0.1:{own.port}"
        assert log.count(f"Raising alarm {subject}: ") == 1
        assert log.count(f"Releasing alarm {subject}") == 1


@pytest.mark.skipif(PASSWORDS is None, reason="mosquitto_passwd is not installed")
class TestPasswords:
    @pytest.fixture
    def closed(self, tmp_path: Path) -> Iterator[Mosquitto]:
        with Mosquitto(tmp_path / "closed", {"ann": "s3cret ñ", "bob": "b0b"}) as broker:
            yield broker

    def test_right_and_wrong(
        self, api: Api, closed: Mosquitto, listen: Callable[..., Listener]
    ) -> None:
        heard = listen(closed.port, ("bob", "b0b"))
        logins = {
            "right": {"user": "ann", "passwd": "s3cret ñ"},
            "custom": {"user": "bob", "passwd": "b0b"},
            "wrong": {"user": "ann", "passwd": "b0b"},
            "unknown": {"user": "eve", "passwd": "x"},
            "none": {},
        }
        ids = {
            topic: subscribe(
                api,
                "mqttCustom" if topic == "custom" else "mqtt",
                url=closed.url,
                topic=topic,
                **login,
            )
            for topic, login in logins.items()
        }
        create(api, A=1)
        for topic in ("right", "custom"):
            await_state(api, ids[topic], has_ended(1, "lastSuccess"))
        for topic in ("wrong", "unknown", "none"):
            shown = await_state(api, ids[topic], has_failed(1))
            assert "lastSuccess" not in shown["notification"]
        assert {heard.next().topic, heard.next().topic} == {"right", "custom"}
        assert heard.is_empty
        shown = show(api, ids["right"])
        assert shown["notification"]["mqtt"]["user"] == "ann"
        assert shown["notification"]["mqtt"]["passwd"] == "*****"

    def test_patched_password(
        self, api: Api, closed: Mosquitto, listen: Callable[..., Listener]
    ) -> None:
        heard = listen(closed.port, ("bob", "b0b"))
        fields = {"url": closed.url, "topic": "x", "user": "ann"}
        subscription_id = subscribe(api, passwd="wrong", **fields)
        create(api, A=1)
        await_state(api, subscription_id, has_failed(1))
        change(api, subscription_id, notification={"mqtt": {**fields, "passwd": "s3cret ñ"}})
        force_update(api)
        heard.next()
        await_state(api, subscription_id, has_failed(0))
        # Without the two, nobody logs in any more, although a connection is open.
        change(api, subscription_id, notification={"mqtt": {"url": closed.url, "topic": "x"}})
        force_update(api)
        await_state(api, subscription_id, has_failed(1))


class TestConnections:
    def test_one_for_each_broker_and_user(
        self, api: Api, own: Mosquitto, listen: Callable[..., Listener]
    ) -> None:
        heard = listen(own.start().port)
        subscribe(api, url=own.url, topic="a")
        subscribe(api, url=own.url, topic="b", qos=2)
        subscribe(api, url=own.url, topic="c", user="u", passwd="p")
        create(api, A=1)
        for _ in range(3):
            force_update(api)
        topics = sorted(heard.next().topic for _ in range(12))
        assert topics == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
        assert own.count_logins() == 2
        assert own.count_goodbyes() == 0

    def test_unused_one_is_closed(
        self,
        start_broker: StartBroker,
        connect: Connect,
        own: Mosquitto,
        listen: Callable[..., Listener],
    ) -> None:
        heard = listen(own.start().port)
        api = connect(start_broker("-mqttMaxAge", "0"), "")
        subscription_id = subscribe(api, url=own.url, topic="x")
        create(api, A=1)
        heard.next()
        await_condition(lambda: own.count_goodbyes() == 1)
        force_update(api)
        heard.next()
        await_condition(lambda: own.count_goodbyes() == 2)
        assert own.count_logins() == 2
        await_state(api, subscription_id, has_ended(2, "lastSuccess"))

    def test_broker_that_goes_and_returns(
        self, api: Api, own: Mosquitto, listen: Callable[..., Listener]
    ) -> None:
        heard = listen(own.start().port)
        subscription_id = subscribe(api, url=own.url, topic="x", qos=1)
        create(api, A=1)
        heard.next()
        own.stop()
        force_update(api)
        await_state(api, subscription_id, has_failed(1))
        heard = listen(own.start().port)
        force_update(api)
        heard.next()
        await_state(api, subscription_id, has_failed(0))

    def test_restart_between_two_messages_costs_none(
        self, api: Api, own: Mosquitto, listen: Callable[..., Listener]
    ) -> None:
        heard = listen(own.start().port)
        subscription_id = subscribe(api, url=own.url, topic="x")
        create(api, A=1)
        heard.next()
        own.stop()
        heard = listen(own.start().port)
        force_update(api)
        heard.next()
        shown = await_state(api, subscription_id, has_ended(2, "lastSuccess"))
        assert "lastFailure" not in shown["notification"]

    def test_dead_ones_delay_nobody(
        self, start_broker: StartBroker, connect: Connect, own: Mosquitto, listen: Any
    ) -> None:
        """Neither brokers that refuse nor those that never answer, however many there are."""
        heard = listen(own.start().port)
        flags = ("-mqttTimeout", "1000000", "--shutdown-timeout-s", "0")
        api = connect(start_broker(*flags), "")
        with ExitStack() as stack:
            for _ in range(40):
                subscribe(api, url=stripped(stack.enter_context(never_answer())), topic="x")
            refused = subscribe(
                api, url=stripped(stack.enter_context(refuse_connections())), topic="x"
            )
            subscription_id = subscribe(api, url=own.url, topic="x")
            create(api, A=1)
            heard.next()
            await_state(api, refused, has_failed(1))
            await_state(api, subscription_id, has_ended(1, "lastSuccess"))

    def test_broker_that_never_answers(self, start_broker: StartBroker, connect: Connect) -> None:
        api = connect(start_broker("-mqttTimeout", "200"), "")
        with never_answer() as silent:
            subscription_id = subscribe(api, url=stripped(silent), topic="x")
            create(api, A=1)
            for _ in range(9):
                force_update(api)
            await_state(api, subscription_id, has_failed(10))

    def test_broker_that_never_answers_is_left(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        api = connect(start_broker("-mqttTimeout", "200"), "")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(WAIT_TIMEOUT_S)
            url = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
            subscription_id = subscribe(api, url=url, topic="x")
            create(api, A=1)
            connection, _ = silent.accept()
            with connection, connection.makefile("rb") as stream:
                said = stream.read()
            assert said[4:8] == b"MQTT"
            assert said.endswith(b"\xe0\x00")  # DISCONNECT
            await_state(api, subscription_id, has_failed(1))

    def test_host_that_drops_all_packets(self, start_broker: StartBroker, connect: Connect) -> None:
        api = connect(start_broker("-mqttTimeout", "200"), "")
        with ExitStack() as stack:
            # The system answers no more when the queue of connections is full.
            full = stack.enter_context(socket.socket())
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            url = f"mqtt://127.0.0.1:{full.getsockname()[1]}"
            subscription_id = subscribe(api, url=url, topic="x")
            create(api, A=1)
            await_state(api, subscription_id, has_failed(1))
            force_update(api)
            await_state(api, subscription_id, has_failed(2))

    def test_unknown_host(self, api: Api) -> None:
        subscription_id = subscribe(api, url="mqtt://no-such-host.invalid", topic="x")
        create(api, A=1)
        await_state(api, subscription_id, has_failed(1))


class TestBounds:
    FLAGS = ("--notification-queue-length", "5", "--shutdown-timeout-s", "0")

    def test_overflow_is_counted(self, start_broker: StartBroker, connect: Connect) -> None:
        broker = start_broker(*self.FLAGS, "-mqttTimeout", "1000000")
        api = connect(broker, "")
        create(api, A=0)
        with never_answer() as silent:
            subscription_id = subscribe(api, url=stripped(silent), topic="x")
            for _ in range(20):
                force_update(api)
            shown = await_state(api, subscription_id, has_failed(15))
            assert shown["notification"]["timesSent"] == 20
            figures = api.get("/metrics").text.splitlines()
            assert "rigel_notifications_dropped_total 15.0" in figures
            assert "rigel_notifications_queued 5.0" in figures
            assert broker.stop() == 0
        log = broker.log.read_text()
        # Told once, not for each.
        assert log.count("notification queue of 127.0.0.1") == 1
        assert "5 notifications were not delivered before the end" in log


class TestEndOfTheBroker:
    def test_what_is_queued_is_published_first(
        self,
        start_broker: StartBroker,
        connect: Connect,
        own: Mosquitto,
        listen: Callable[..., Listener],
        tmp_path: Path,
    ) -> None:
        heard = listen(own.start().port)
        broker = start_broker(directory=tmp_path / "data")
        api = connect(broker, "")
        subscription_id = subscribe(api, url=own.url, topic="x", qos=2)
        create(api, A=0)
        for count in range(1, 200):
            patch(api, A=number(count))
        assert broker.stop() == 0
        values = [json.loads(heard.next().payload)["data"][0]["A"]["value"] for _ in range(200)]
        assert values == list(range(200))
        await_condition(lambda: own.count_goodbyes() == 1)
        again = connect(start_broker(directory=tmp_path / "data"), "")
        shown = show(again, subscription_id)
        assert shown["notification"]["timesSent"] == 200
        assert "failsCounter" not in shown["notification"]


class TestPatchedSubscriptions:
    def test_all_settings(
        self, api: Api, shared: Mosquitto, own: Mosquitto, listen: Any, heard: Listener
    ) -> None:
        subscription_id = subscribe(
            api, "mqttCustom", url=shared.url, topic=f"{api.tenant}/1", qos=2, payload="${A}"
        )
        create(api, A=1)
        first = heard.next()
        assert (first.payload, first.qos) == (b"1", 2)

        other = listen(own.start().port)
        fields: dict[str, Any] = {
            "url": own.url,
            "topic": "there/${id}",
            "payload": None,
            "retain": True,
        }
        change(api, subscription_id, notification={"mqttCustom": fields})
        assert show(api, subscription_id)["notification"]["mqttCustom"] == {**fields, "qos": 0}
        force_update(api)
        second = other.next()
        assert (second.topic, second.payload, second.qos) == ("there/E", b"", 0)

        fields = {"url": shared.url, "topic": f"{api.tenant}/3", "qos": 1}
        change(api, subscription_id, notification={"mqtt": fields})
        assert show(api, subscription_id)["notification"]["mqtt"] == {**fields, "retain": False}
        force_update(api)
        third = heard.next()
        assert (third.topic, third.qos) == (f"{api.tenant}/3", 1)
        assert json.loads(third.payload)["data"][0]["A"] == number(1)
        assert other.is_empty

    def test_to_http_and_back(
        self, api: Api, shared: Mosquitto, heard: Listener, receiver: Any
    ) -> None:
        subscription_id = subscribe(api, url=shared.url, topic=f"{api.tenant}/1")
        create(api, A=1)
        heard.next()
        change(api, subscription_id, notification={"http": {"url": receiver.url}})
        force_update(api)
        assert receiver.next().data[0]["id"] == "E"
        fields = {"url": shared.url, "topic": f"{api.tenant}/2"}
        change(api, subscription_id, notification={"mqtt": fields})
        force_update(api)
        assert heard.next().topic == f"{api.tenant}/2"
        assert "http" not in show(api, subscription_id)["notification"]


def test_durable_delivery_waits_for_the_mqtt_broker(api: Api, own: Mosquitto, listen: Any) -> None:
    fields = {"url": own.url, "topic": "durable", "qos": 1, "retain": True}
    subscription_id = subscribe(api, url=own.url, topic="durable")
    change(api, subscription_id, notification={"mqtt": fields, "durable": True})
    create(api, A=1)
    shown = await_state(api, subscription_id, has_failed(1))
    assert shown["notification"]["pending"] == 1
    heard = listen(own.start().port)
    assert json.loads(heard.next().payload)["data"][0]["A"] == number(1)
    await_state(api, subscription_id, lambda item: "pending" not in item["notification"])
