"""Notification modes and flow control: queues with workers, and answers that wait for them.

Source: Orion's administration manual, "Performance tuning", sections "Notification modes and
performance" and "Updates flow control mechanism". The figures of full queues are those of
Orion's functional test per_service_notif_queue_full_queues.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.broker_log import await_lines, read_messages
from tests.integration.endpoints import WAIT_TIMEOUT_S, HoldingReceiver, never_answer
from tests.integration.subscriptions import (
    await_state,
    create,
    document,
    force_update,
    has_ended,
    has_failed,
    number,
    show,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Receiver, Reply, StartBroker

HALF_AN_HOUR_MS = 1_800_000  # the longest there is
STOP_AT_ONCE = ("--shutdown-timeout-s", "0")


def patient(url: str) -> dict[str, Any]:
    """A subscription whose notifications wait for an answer for as long as there may be."""
    given = document(url)
    given["notification"]["http"]["timeout"] = HALF_AN_HOUR_MS
    return given


def metric(api: Api, name: str) -> float:
    """A figure of GET /metrics that has no labels."""
    reply = api.get("/metrics")
    found = re.search(rf"^{name} (\S+)$", reply.text, re.MULTILINE)
    assert found is not None, reply
    return float(found[1])


def entities(count: int) -> dict[str, Any]:
    """The body of a batch that creates or updates E0, E1 and so on."""
    return {
        "actionType": "append",
        "entities": [{"id": f"E{index}", "type": "T", "A": number(1)} for index in range(count)],
    }


class TestThreadpool:
    def test_full_queues(self, start_broker: StartBroker, connect: Connect) -> None:
        flags = ("-multiservice", "-notificationMode", "threadpool:3:2,serv1:1:2,serv2:2:2")
        broker = start_broker(*flags, *STOP_AT_ONCE)
        with never_answer() as silent:
            for service, updates in (("serv1", 4), ("serv2", 5), ("serv3", 6)):
                api = connect(broker, service)
                create(api, A=1)
                subscription_id = api.subscribe(patient(silent))
                for _ in range(updates):
                    force_update(api)
                shown = await_state(api, subscription_id, has_failed(1))
                assert shown["notification"]["timesSent"] == updates
            await_lines(broker, "notification queue is full", 3)
            assert read_messages(broker, "ERROR") == [
                "Runtime Error (serv1 notification queue is full)",
                "Runtime Error (serv2 notification queue is full)",
                "Runtime Error (default notification queue is full)",
            ]
            assert metric(api, "rigel_notifications_dropped_total") == 3
            assert metric(api, "rigel_notifications_queued") == 1 + 2 + 3
            assert broker.stop() == 0

    def test_a_full_queue_is_no_harm_to_other_services(
        self, start_broker: StartBroker, connect: Connect, receiver: Receiver
    ) -> None:
        broker = start_broker(
            "-multiservice", "-notificationMode", "threadpool:1:1,serv1:1:1", *STOP_AT_ONCE
        )
        stuck, live = connect(broker, "serv1"), connect(broker, "serv2")
        with never_answer() as silent:
            stuck.subscribe(patient(silent))
            for index in range(5):
                create(stuck, f"E{index}", A=1)
            await_lines(broker, "(serv1 notification queue is full)", 3)
            live.subscribe(document(receiver.url))
            for index in range(5):
                create(live, f"E{index}", A=1)
                [entity] = receiver.next().data
                assert entity["id"] == f"E{index}"
            assert broker.stop() == 0

    def test_as_many_deliveries_at_once_as_workers(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        api = connect(start_broker("-notificationMode", "threadpool:10:6"), "")
        held = [f"E{index}" for index in range(8)]
        with HoldingReceiver(*held) as endpoint:
            subscription_id = api.subscribe(patient(endpoint.url))
            assert api.post("/v2/op/update", entities(8)).status == 204
            first = {endpoint.next()["id"] for _ in range(6)}
            assert first == set(held[:6])
            # The other two can only arrive when one of these has ended.
            assert metric(api, "rigel_notifications_queued") == 2
            endpoint.let_go("E3")
            assert endpoint.next()["id"] == "E6"
            assert metric(api, "rigel_notifications_queued") == 1
            endpoint.let_go("E0")
            assert endpoint.next()["id"] == "E7"
            endpoint.let_go()
            await_state(api, subscription_id, has_ended(8, "lastSuccess"))
            assert metric(api, "rigel_notifications_queued") == 0

    def test_workers_serve_all_receivers(
        self, start_broker: StartBroker, connect: Connect, receiver: Receiver
    ) -> None:
        api = connect(start_broker("-notificationMode", "threadpool:10:1"), "")
        with HoldingReceiver("E") as endpoint:
            api.subscribe(patient(endpoint.url))
            create(api, A=1)
            assert endpoint.next()["id"] == "E"
            waiting = api.subscribe(document(receiver.url))
            force_update(api)
            assert metric(api, "rigel_notifications_queued") == 2
            assert "lastSuccess" not in show(api, waiting)["notification"]
            endpoint.let_go()
            assert receiver.next().data[0]["A"] == number(1)

    def test_order_of_one_entity(
        self, start_broker: StartBroker, connect: Connect, receiver: Receiver
    ) -> None:
        api = connect(start_broker("-notificationMode", "threadpool:1000:10"), "")
        api.subscribe(document(receiver.url))
        create(api, A=0)
        for count in range(1, 100):
            assert api.patch("/v2/entities/E/attrs", {"A": number(count)}).status == 204
        values = [receiver.next().data[0]["A"]["value"] for _ in range(100)]
        assert values == list(range(100))

    def test_what_is_queued_is_delivered_before_the_end(
        self, start_broker: StartBroker, connect: Connect, receiver: Receiver
    ) -> None:
        broker = start_broker("-notificationMode", "threadpool:100:1")
        api = connect(broker, "")
        api.subscribe(document(receiver.url))
        assert api.post("/v2/op/update", entities(50)).status == 204
        assert broker.stop() == 0
        arrived = [receiver.next().data[0]["id"] for _ in range(50)]
        assert arrived == [f"E{index}" for index in range(50)]

    def test_what_is_left_at_the_end_is_told(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        broker = start_broker("-notificationMode", "threadpool:100:1", *STOP_AT_ONCE)
        api = connect(broker, "")
        with never_answer() as silent:
            subscription_id = api.subscribe(patient(silent))
            assert api.post("/v2/op/update", entities(5)).status == 204
            assert broker.stop() == 0
        assert "5 notifications were not delivered before the end" in broker.log.read_text()
        api = connect(start_broker(directory=broker.directory), "")
        assert show(api, subscription_id)["notification"]["failsCounter"] == 5


@pytest.mark.parametrize("mode", ["transient", "persistent"])
def test_other_modes_have_no_queue_for_all(
    mode: str, start_broker: StartBroker, connect: Connect, receiver: Receiver
) -> None:
    broker = start_broker("-notificationMode", mode, *STOP_AT_ONCE)
    api = connect(broker, "")
    with never_answer() as silent:
        api.subscribe(patient(silent))
        api.subscribe(document(receiver.url))
        assert api.post("/v2/op/update", entities(500)).status == 204
        arrived = {receiver.next().data[0]["id"] for _ in range(500)}
        assert len(arrived) == 500
        assert metric(api, "rigel_notifications_dropped_total") == 0
        assert broker.stop() == 0
    assert "queue is full" not in broker.log.read_text()


class Updating:
    """A request in a thread, whose answer may be long in coming."""

    def __init__(self, api: Api, send: Callable[[Api], Reply]) -> None:
        self._answered = threading.Event()
        self._replies: list[Reply] = []

        def run() -> None:
            self._replies.append(send(api))
            self._answered.set()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    @property
    def is_answered(self) -> bool:
        return self._answered.is_set()

    def status(self) -> int:
        """Wait for the answer."""
        assert self._answered.wait(WAIT_TIMEOUT_S)
        self._thread.join()
        return self._replies[0].status


def batch(count: int) -> Callable[[Api], Reply]:
    return lambda api: api.post("/v2/op/update", entities(count), options="flowControl")


@contextmanager
def flow(
    start_broker: StartBroker, connect: Connect, rule: str, mode: str = "threadpool:100:1"
) -> Iterator[tuple[Api, Api, HoldingReceiver]]:
    """A client that updates, one that looks on, and a receiver that holds E0 to E4."""
    flags = ("-notificationMode", mode, "-notifFlowControl", rule, "-logLevel", "INFO")
    broker = start_broker(*flags, "-multiservice", *STOP_AT_ONCE)
    with ExitStack() as stack:
        endpoint = stack.enter_context(HoldingReceiver(*(f"E{index}" for index in range(5))))
        api = connect(broker, "serv1")
        api.subscribe(patient(endpoint.url))
        yield api, connect(broker, "serv1"), endpoint


class TestFlowControl:
    PATIENT = f"10:{HALF_AN_HOUR_MS}"

    def test_the_answer_waits_for_the_queue(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        with flow(start_broker, connect, f"1:{self.PATIENT}") as (api, other, endpoint):
            updating = Updating(api, batch(5))
            # E0 is with the one worker, four wait; each that ends makes place for the next.
            for index in range(4):
                assert endpoint.next()["id"] == f"E{index}"
                # The broker goes on with other requests.
                assert other.get(f"/v2/entities/E{index}").status == 200
                assert metric(other, "rigel_notifications_queued") == 4 - index
                assert not updating.is_answered
                endpoint.let_go(f"E{index}")
            # The queue is empty when the last has left it, though it is not delivered.
            assert endpoint.next()["id"] == "E4"
            assert updating.status() == 204

    def test_half_of_the_notifications(self, start_broker: StartBroker, connect: Connect) -> None:
        with flow(start_broker, connect, f"0.5:{self.PATIENT}") as (api, other, endpoint):
            updating = Updating(api, batch(5))
            assert endpoint.next()["id"] == "E0"
            for index in (1, 2):
                assert not updating.is_answered
                endpoint.let_go(f"E{index - 1}")
                assert endpoint.next()["id"] == f"E{index}"
            # Two of five may wait.
            assert updating.status() == 204
            assert metric(other, "rigel_notifications_queued") == 2

    def test_gauge_0_waits_for_nothing(self, start_broker: StartBroker, connect: Connect) -> None:
        with flow(start_broker, connect, f"0:{self.PATIENT}") as (api, other, _):
            assert batch(5)(api).status == 204
            assert metric(other, "rigel_notifications_queued") == 4

    def test_what_waited_before_does_not_count(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        with flow(start_broker, connect, f"1:{self.PATIENT}") as (api, other, endpoint):
            assert other.post("/v2/op/update", entities(4)).status == 204
            assert endpoint.next()["id"] == "E0"
            reply = Updating(
                api,
                lambda api: api.post(
                    "/v2/entities",
                    {"id": "E4", "type": "T", "A": number(1)},
                    options="flowControl",
                ),
            )
            # Three waited before; E4 is the fourth until E1 leaves the queue.
            await_queued(other, 4)
            assert not reply.is_answered
            endpoint.let_go("E0")
            assert endpoint.next()["id"] == "E1"
            assert reply.status() == 201

    def test_the_longest_wait(self, start_broker: StartBroker, connect: Connect) -> None:
        with flow(start_broker, connect, "1:10:50") as (api, other, _):
            assert batch(5)(api).status == 204
            assert metric(other, "rigel_notifications_queued") == 4

    def test_a_step_ends_with_the_longest_wait(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        with flow(start_broker, connect, f"1:{HALF_AN_HOUR_MS}:50") as (api, _, _):
            assert batch(5)(api).status == 204

    def test_only_who_asks_waits(self, start_broker: StartBroker, connect: Connect) -> None:
        with flow(start_broker, connect, f"1:{self.PATIENT}") as (api, _, endpoint):
            assert api.post("/v2/op/update", entities(5)).status == 204
            assert endpoint.next()["id"] == "E0"
            # Queries notify nobody.
            assert api.get("/v2/entities", options="flowControl").status == 200
            # Nor does an update of what nobody subscribed to.
            with_none = connect(api.broker, "serv9")
            assert batch(5)(with_none).status == 204

    def test_a_failed_update_does_not_wait(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        with flow(start_broker, connect, f"1:{self.PATIENT}") as (api, _, endpoint):
            mixed = entities(3)
            mixed["actionType"] = "update"
            create(api, "E0", A=0)
            assert endpoint.next()["id"] == "E0"
            reply = api.post("/v2/op/update", mixed, options="flowControl")
            assert (reply.status, reply.json["error"]) == (422, "PartialUpdate")

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/v2/entities/E0/attrs", {"B": number(1)}),
            ("PATCH", "/v2/entities/E0/attrs", {"A": number(2)}),
            ("PUT", "/v2/entities/E0/attrs", {"A": number(2)}),
            ("PUT", "/v2/entities/E0/attrs/A", number(2)),
            ("PUT", "/v2/entities/E0/attrs/A/value", {"of": 2}),
        ],
    )
    def test_every_update(
        self, method: str, path: str, body: Any, start_broker: StartBroker, connect: Connect
    ) -> None:
        with flow(start_broker, connect, f"1:{self.PATIENT}") as (api, other, endpoint):
            create(other, "E0", A=0)
            assert endpoint.next()["id"] == "E0"
            updating = Updating(
                api, lambda api: api.request(method, path, body, options="flowControl")
            )
            await_queued(other, 1)
            assert not updating.is_answered
            endpoint.let_go()
            assert updating.status() == 204

    def test_the_queue_is_that_of_the_service(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        mode = "threadpool:100:1,serv2:100:5"
        with flow(start_broker, connect, f"1:{self.PATIENT}", mode) as (api, _, endpoint):
            assert api.post("/v2/op/update", entities(5)).status == 204
            wide = connect(api.broker, "serv2")
            wide.subscribe(patient(endpoint.url))
            # Five workers: nothing of it waits, whatever waits in the default queue.
            assert batch(5)(wide).status == 204

    def test_a_client_that_leaves_is_not_waited_for(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        with flow(start_broker, connect, f"1:{self.PATIENT}") as (api, other, endpoint):
            leaving = http.client.HTTPConnection("127.0.0.1", api.broker.port)
            headers = {"Content-Type": "application/json", "Fiware-Service": "serv1"}
            leaving.request(
                "POST", "/v2/op/update?options=flowControl", json.dumps(entities(5)), headers
            )
            assert endpoint.next()["id"] == "E0"
            line = "Request received: POST /v2/op/update?options=flowControl"
            assert line not in api.broker.log.read_text()
            leaving.close()
            # The request is over, and said so, while the queue is as long as it was.
            await_lines(api.broker, line)
            assert metric(other, "rigel_notifications_queued") == 4


def await_queued(api: Api, count: int) -> None:
    """Wait until so many notifications are in the queues."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while metric(api, "rigel_notifications_queued") != count:
        assert time.monotonic() < deadline
