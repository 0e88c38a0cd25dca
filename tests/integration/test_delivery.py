"""Delivery: bad receivers beside good ones, order, bounded queues, the end of the broker.

Source: Orion API, section "subscription.notification"; Orion's administration manual,
"Performance tuning" (notification modes) and "Command line options"; failure texts are those of
libcurl, as Orion shows them.
"""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.endpoints import (
    WAIT_TIMEOUT_S,
    HoldingReceiver,
    RawEndpoint,
    await_closed_port,
    never_answer,
    refuse_connections,
)
from tests.integration.subscriptions import (
    await_state,
    change,
    create,
    document,
    force_update,
    has_ended,
    has_failed,
    number,
    patch,
    received,
    show,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Receiver, StartBroker

HALF_AN_HOUR_MS = 1_800_000  # the longest timeout there is
FULL = "notification queue is full"


def metric(api: Api, name: str) -> float:
    """A figure of GET /metrics that has no labels."""
    found = re.search(rf"^{name} (\S+)$", api.get("/metrics").text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def patient(url: str, **parts: Any) -> dict[str, Any]:
    """A subscription whose notifications wait for an answer for as long as there may be."""
    given = document(url, **parts)
    given["notification"]["http"]["timeout"] = HALF_AN_HOUR_MS
    return given


class TestBadReceivers:
    def test_nobody_else_waits_for_them(self, api: Api, receiver: Receiver) -> None:
        create(api, A=0)
        with refuse_connections() as dead, never_answer() as silent:
            subscriptions = [
                api.subscribe(item)
                for item in (document(dead), patient(silent), document(receiver.url))
            ]
            for count in range(1, 101):
                patch(api, A=number(count))
            assert [entity["A"]["value"] for entity in received(api, receiver)] == list(
                range(1, 101)
            )
            shown = [show(api, subscription_id) for subscription_id in subscriptions]
            assert [item["notification"]["timesSent"] for item in shown] == [100, 100, 100]
            await_state(api, subscriptions[0], has_failed(100))
            # What has no answer yet is neither a success nor a failure.
            assert shown[1]["notification"].keys().isdisjoint({"lastSuccess", "failsCounter"})
        for subscription_id in subscriptions:
            assert api.delete(f"/v2/subscriptions/{subscription_id}").status == 204

    def test_one_try_for_each_notification(self, api: Api, receiver: Receiver) -> None:
        with refuse_connections() as dead:
            subscription_id = api.subscribe(document(dead))
            create(api, A=1)
            await_state(api, subscription_id, has_failed(1))
            change(api, subscription_id, notification={"http": {"url": receiver.url}})
            patch(api, A=number(2))
            await_state(api, subscription_id, has_failed(0))
        assert [entity["A"] for entity in received(api, receiver)] == [number(2)]

    @pytest.mark.parametrize(
        ("reply", "code"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
            (b"HTTP/1.0 202 Accepted\r\n\r\nuntil the end", 202),
            (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", 204),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
                201,
            ),
            (
                b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                200,
            ),
            (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nlate", 503),
        ],
    )
    def test_responses(self, api: Api, reply: bytes, code: int) -> None:
        with RawEndpoint(reply) as endpoint:
            subscription_id = api.subscribe(document(endpoint.url))
            create(api, A=1)
            shown = await_state(api, subscription_id, has_ended(1, "lastSuccess"))
            assert shown["notification"]["lastSuccessCode"] == code
            assert "failsCounter" not in shown["notification"]

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            (b"", "Server returned nothing (no headers, no data)"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "Transferred a partial file"),
        ],
    )
    def test_no_responses(self, api: Api, reply: bytes, reason: str) -> None:
        with RawEndpoint(reply) as endpoint:
            subscription_id = api.subscribe(document(endpoint.url))
            create(api, A=1)
            shown = await_state(api, subscription_id, has_failed(1))
            assert shown["notification"]["lastFailureReason"] == reason
            assert "lastSuccess" not in shown["notification"]

    def test_connection_that_was_closed_behind_our_back(self, api: Api) -> None:
        # The response promises to keep it open; the next notification finds it closed.
        with RawEndpoint(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as endpoint:
            api.subscribe(document(endpoint.url))
            create(api, A=0)
            for count in range(5):
                body = json.loads(endpoint.bodies.get(timeout=WAIT_TIMEOUT_S))
                assert body["data"][0]["A"] == number(count)
                patch(api, A=number(count + 1))

    def test_message_that_is_too_big(
        self, start_broker: StartBroker, connect: Connect, receiver: Receiver
    ) -> None:
        api = connect(start_broker("-outReqMsgMaxSize", "2000"), "")
        subscription_id = api.subscribe(document(receiver.url))
        create(api, A="x" * 2000)
        shown = await_state(api, subscription_id, has_failed(1))
        reason = "total outgoing message size is too big"
        assert shown["notification"]["lastFailureReason"] == reason
        patch(api, A=number(1))
        assert receiver.next().data[0]["A"] == number(1)

    def test_default_timeout(self, start_broker: StartBroker, connect: Connect) -> None:
        api = connect(start_broker("-httpTimeout", "100"), "")
        with never_answer() as url:
            subscription_id = api.subscribe(document(url))
            create(api, A=1)
            shown = await_state(api, subscription_id, has_failed(1))
        assert shown["notification"]["lastFailureReason"] == "Timeout was reached"


class TestOrder:
    def test_of_subscription_and_entity(
        self, start_broker: StartBroker, connect: Connect, receiver: Receiver
    ) -> None:
        # Several connections, so that entities may overtake each other.
        api = connect(start_broker("--notification-connections", "4"), "")
        ids = [api.subscribe(document(receiver.url)) for _ in range(2)]
        entities = [f"E{index}" for index in range(5)]
        for step in range(20):
            for entity_id in entities:
                entity = {"id": entity_id, "step": number(step)}
                reply = api.post("/v2/entities", entity, options="upsert")
                assert reply.status in (201, 204)
        seen: dict[tuple[str, str], list[int]] = {}
        for _ in range(len(ids) * len(entities) * 20):
            message = receiver.next().json
            [entity] = message["data"]
            key = (message["subscriptionId"], entity["id"])
            seen.setdefault(key, []).append(entity["step"]["value"])
        assert seen == {
            (subscription_id, entity_id): list(range(20))
            for subscription_id in ids
            for entity_id in entities
        }

    def test_entity_that_is_not_answered_holds_back_itself_alone(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        api = connect(start_broker("--notification-connections", "4"), "")
        with HoldingReceiver("Held") as endpoint:
            api.subscribe(patient(endpoint.url))
            create(api, "Held", step=0)
            assert endpoint.next()["id"] == "Held"
            for step in (1, 2):
                reply = api.patch("/v2/entities/Held/attrs", {"step": number(step)})
                assert reply.status == 204
            others = [f"E{index}" for index in range(20)]
            for entity_id in others:
                create(api, entity_id, step=0)
            assert sorted(endpoint.next()["id"] for _ in others) == sorted(others)
            endpoint.let_go()
            held = [endpoint.next() for _ in range(2)]
            assert [(entity["id"], entity["step"]) for entity in held] == [
                ("Held", number(1)),
                ("Held", number(2)),
            ]

    def test_entity_is_passed_over_as_long_as_it_is_not_answered(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        api = connect(start_broker("--notification-connections", "2"), "")
        with HoldingReceiver("H1", "H2") as endpoint:
            api.subscribe(patient(endpoint.url))
            for entity_id in ("H1", "H2"):
                create(api, entity_id, step=0)
                assert endpoint.next()["id"] == entity_id
            # Both connections are taken: these wait, in this order.
            create(api, "E1", step=0)
            assert api.patch("/v2/entities/H1/attrs", {"step": number(1)}).status == 204
            create(api, "E2", step=0)
            endpoint.let_go("H2")
            assert [endpoint.next()["id"] for _ in range(2)] == ["E1", "E2"]
            endpoint.let_go("H1")
            assert endpoint.next()["step"] == number(1)


class TestFullQueue:
    FLAGS = (
        "--notification-queue-length",
        "5",
        "--notification-connections",
        "1",
        "--shutdown-timeout-s",
        "0",
    )

    def test_overflow_is_counted(
        self, start_broker: StartBroker, connect: Connect, receiver: Receiver
    ) -> None:
        broker = start_broker(*self.FLAGS)
        api = connect(broker, "")
        create(api, A=0)
        with never_answer() as silent:
            stuck = api.subscribe(patient(silent))
            live = api.subscribe(document(receiver.url))
            for _ in range(20):
                force_update(api)
                receiver.next()
            # One is under way, five wait.
            shown = await_state(api, stuck, has_failed(14))
            assert shown["notification"]["timesSent"] == 20
            assert shown["notification"]["lastFailureReason"] == FULL
            assert "lastSuccess" not in shown["notification"]
            assert show(api, live)["notification"]["timesSent"] == 20
            assert metric(api, "rigel_notifications_dropped_total") == 14
            assert metric(api, "rigel_notifications_queued") == 5
            assert broker.stop() == 0
        log = broker.log.read_text()
        assert FULL in log
        assert "6 notifications were not delivered before the end" in log

    def test_overflow_leads_to_the_limit_of_failures(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        api = connect(start_broker(*self.FLAGS), "")
        create(api, A=0)
        with never_answer() as silent:
            stuck = api.subscribe(patient(silent, notification={"maxFailsLimit": 2}))
            for _ in range(6 + 5):
                force_update(api)
            shown = await_state(api, stuck, lambda item: item["status"] == "inactive")
            assert shown["notification"]["failsCounter"] == 3

    def test_room_again(self, start_broker: StartBroker, connect: Connect) -> None:
        api = connect(start_broker(*self.FLAGS), "")
        create(api, "Held", step=0)
        with HoldingReceiver("Held") as endpoint:
            subscription_id = api.subscribe(patient(endpoint.url))
            for step in range(1, 9):
                reply = api.patch("/v2/entities/Held/attrs", {"step": number(step)})
                assert reply.status == 204
            await_state(api, subscription_id, has_failed(2))
            endpoint.let_go()
            # The oldest were kept, the newest dropped.
            steps = [endpoint.next()["step"]["value"] for _ in range(6)]
            assert steps == [1, 2, 3, 4, 5, 6]
            await_state(api, subscription_id, has_failed(0))
            create(api, "E", step=0)
            assert endpoint.next()["id"] == "E"


class TestEndOfTheBroker:
    def test_what_is_queued_is_delivered_first(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        broker = start_broker("--notification-connections", "1")
        api = connect(broker, "")
        with HoldingReceiver("E0") as endpoint:
            api.subscribe(patient(endpoint.url))
            for index in range(20):
                create(api, f"E{index}", A=index)
            assert endpoint.next()["id"] == "E0"
            codes: list[int] = []
            stopping = threading.Thread(target=lambda: codes.append(broker.stop()))
            stopping.start()
            await_closed_port(broker.port)
            endpoint.let_go()
            assert [endpoint.next()["id"] for _ in range(19)] == [
                f"E{index}" for index in range(1, 20)
            ]
            stopping.join()
        assert codes == [0]

    def test_outcomes_of_the_last_notifications_are_kept(
        self, start_broker: StartBroker, connect: Connect, receiver: Receiver
    ) -> None:
        broker = start_broker()
        api = connect(broker, "")
        subscription_id = api.subscribe(document(receiver.url))
        create(api, A=1)
        assert broker.stop() == 0
        api = connect(start_broker(directory=broker.directory), "")
        notification = show(api, subscription_id)["notification"]
        assert (notification["timesSent"], notification["lastSuccessCode"]) == (1, 200)
