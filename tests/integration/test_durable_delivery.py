"""Durable delivery: kept until the receiver has taken it, over failures and restarts.

Source: docs/orion-compatibility.md, section "Durable delivery". Without `durable` it is Orion's
one try (test_delivery.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.endpoints import AnsweringReceiver, Arrival, refuse_connections
from tests.integration.subscriptions import (
    await_state,
    change,
    create,
    document,
    number,
    patch,
    show,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, StartBroker

_KEPT = re.compile(r"^rigel_notifications_kept (\S+)$", re.MULTILINE)


def durable(url: str, **parts: Any) -> dict[str, Any]:
    """A durable subscription to all entities."""
    given = document(url, **parts)
    given["notification"]["durable"] = True
    return given


def accept(entity: dict[str, Any]) -> int:
    return 204


def refuse_all(entity: dict[str, Any]) -> int:
    return 503


def values(arrivals: list[Arrival]) -> list[Any]:
    return [arrival.entity["A"]["value"] for arrival in arrivals]


def kept(api: Api) -> float:
    found = _KEPT.search(api.get("/metrics").text)
    assert found is not None
    return float(found[1])


def has_pending(count: int) -> Callable[[dict[str, Any]], bool]:
    """A condition of `await_state`."""
    return lambda shown: shown["notification"].get("pending", 0) == count


def has_failed_once(shown: dict[str, Any]) -> bool:
    return bool(shown["notification"].get("failsCounter", 0) >= 1)


class TestFailingReceivers:
    def test_everything_arrives_in_order_after_an_outage(self, api: Api) -> None:
        with AnsweringReceiver(refuse_all) as receiver:
            subscription_id = api.subscribe(durable(receiver.url))
            create(api, A=0)
            create(api, "F", A=100)
            await_state(api, subscription_id, has_failed_once)
            for count in range(1, 20):
                patch(api, A=number(count))
            shown = await_state(api, subscription_id, has_pending(21))
            assert shown["notification"]["lastFailureReason"] == "response code 503"
            assert shown["notification"]["timesSent"] == 21
            assert "lastSuccess" not in shown["notification"]
            receiver.judge = accept
            arrivals = receiver.take_accepted(21)
            assert values([item for item in arrivals if item.entity["id"] == "E"]) == list(
                range(20)
            )
            shown = await_state(api, subscription_id, has_pending(0))
            assert shown["notification"]["lastSuccessCode"] == 204
            assert "failsCounter" not in shown["notification"]
            assert "discarded" not in shown["notification"]
            assert kept(api) == 0

    def test_duplicates_are_flagged(self, api: Api) -> None:
        with AnsweringReceiver(refuse_all) as receiver:
            api.subscribe(durable(receiver.url))
            create(api, A=0)
            first = receiver.next()
            receiver.judge = accept
            [second] = receiver.take_accepted(1)
            patch(api, A=number(1))
            [third] = receiver.take_accepted(1)
        assert "Rigel-Redelivery" not in first.headers
        assert int(second.headers["Rigel-Redelivery"]) >= 2
        assert "Rigel-Redelivery" not in third.headers
        assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
        assert first.headers["Idempotency-Key"] != third.headers["Idempotency-Key"]
        assert first.entity == second.entity

    def test_a_refused_notification_holds_its_entity_alone(self, api: Api) -> None:
        refused = ["E"]
        with AnsweringReceiver(lambda entity: 422 if entity["id"] in refused else 200) as receiver:
            subscription_id = api.subscribe(durable(receiver.url))
            create(api, A=0)
            assert receiver.next().status == 422
            patch(api, A=number(1))
            create(api, "F", A=10)
            [other] = receiver.take_accepted(1)
            assert other.entity["id"] == "F"
            await_state(api, subscription_id, has_pending(2))
            refused.clear()
            assert values(receiver.take_accepted(2)) == [0, 1]
            await_state(api, subscription_id, has_pending(0))

    def test_a_closed_port_and_a_better_url(self, api: Api) -> None:
        with refuse_connections() as dead, AnsweringReceiver(accept) as receiver:
            subscription_id = api.subscribe(durable(dead))
            create(api, A=0)
            await_state(api, subscription_id, has_failed_once)
            patch(api, A=number(1))
            # What waits goes where the subscription points now; durable it stays.
            change(api, subscription_id, notification={"http": {"url": receiver.url}})
            assert values(receiver.take_accepted(2)) == [0, 1]
            shown = await_state(api, subscription_id, has_pending(0))
            assert shown["notification"]["durable"] is True

    def test_what_was_triggered_is_delivered_whatever_the_status(self, api: Api) -> None:
        with AnsweringReceiver(refuse_all) as receiver:
            subscription_id = api.subscribe(durable(receiver.url, status="oneshot"))
            create(api, A=0)
            patch(api, A=number(1))
            shown = await_state(api, subscription_id, has_failed_once)
            assert shown["status"] == "inactive"
            receiver.judge = accept
            assert values(receiver.take_accepted(1)) == [0]
            await_state(api, subscription_id, has_pending(0))

    def test_removal_forgets_them(self, api: Api) -> None:
        with AnsweringReceiver(refuse_all) as receiver:
            before = kept(api)
            subscription_id = api.subscribe(durable(receiver.url))
            create(api, A=0)
            await_state(api, subscription_id, has_failed_once)
            assert kept(api) == before + 1
            assert api.delete(f"/v2/subscriptions/{subscription_id}").status == 204
            assert kept(api) == before


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_they_outlive_the_process(start_broker: StartBroker, connect: Connect, end: str) -> None:
    with AnsweringReceiver(refuse_all) as receiver:
        broker = start_broker("-multiservice", "--shutdown-timeout-s", "0")
        api = connect(broker, "t")
        subscription_id = api.subscribe(durable(receiver.url))
        create(api, A=0)
        first = receiver.next()
        for count in range(1, 5):
            patch(api, A=number(count))
        await_state(api, subscription_id, has_failed_once)
        getattr(broker, end)()
        api = connect(start_broker("-multiservice", directory=broker.directory), "t")
        receiver.judge = accept
        arrivals = receiver.take_accepted(5)
        assert values(arrivals) == [0, 1, 2, 3, 4]
        assert all("Rigel-Redelivery" in arrival.headers for arrival in arrivals)
        assert arrivals[0].headers["Idempotency-Key"] == first.headers["Idempotency-Key"]
        assert arrivals[0].entity == first.entity
        await_state(api, subscription_id, has_pending(0))
        # Delivered is delivered: the next start has nothing to send.
        last = start_broker("-multiservice", directory=_stopped(api))
        api = connect(last, "t")
        assert kept(api) == 0
        assert receiver.arrivals.empty()


def _stopped(api: Api) -> Any:
    assert api.broker.stop() == 0
    return api.broker.directory


class TestBounds:
    def test_the_oldest_give_way(self, start_broker: StartBroker, connect: Connect) -> None:
        api = connect(start_broker("--durable-max-length", "3"), "")
        with AnsweringReceiver(refuse_all) as receiver:
            subscription_id = api.subscribe(durable(receiver.url))
            create(api, A=0)
            await_state(api, subscription_id, has_failed_once)
            for count in range(1, 6):
                patch(api, A=number(count))
            shown = await_state(api, subscription_id, has_pending(3))
            assert shown["notification"]["discarded"] == 3
            receiver.judge = accept
            assert values(receiver.take_accepted(3)) == [3, 4, 5]
            shown = await_state(api, subscription_id, has_pending(0))
            assert shown["notification"]["discarded"] == 3
            assert "rigel_notifications_given_up_total 3.0" in api.get("/metrics").text

    def test_bytes(self, start_broker: StartBroker, connect: Connect) -> None:
        api = connect(start_broker("--durable-max-bytes", "10000"), "")
        with AnsweringReceiver(refuse_all) as receiver:
            subscription_id = api.subscribe(durable(receiver.url))
            create(api, A=0)
            await_state(api, subscription_id, has_failed_once)
            for letter in "abc":
                patch(api, A={"value": letter * 4000, "type": "Text"})
            shown = await_state(api, subscription_id, has_pending(1))
            assert shown["notification"]["discarded"] == 3
            receiver.judge = accept
            assert values(receiver.take_accepted(1)) == ["c" * 4000]

    def test_age(self, start_broker: StartBroker, connect: Connect) -> None:
        api = connect(start_broker("--durable-max-age-s", "1"), "")
        with AnsweringReceiver(refuse_all) as receiver:
            subscription_id = api.subscribe(durable(receiver.url))
            create(api, A=0)
            shown = await_state(
                api, subscription_id, lambda item: bool(item["notification"].get("discarded"))
            )
            assert "pending" not in shown["notification"]
            assert shown["notification"]["lastFailureReason"] == "given up: too old"
            receiver.judge = accept
            patch(api, A=number(1))
            assert values(receiver.take_accepted(1)) == [1]


class TestDocuments:
    def test_it_is_off_unless_asked_for(self, api: Api) -> None:
        with refuse_connections() as url:
            plain = api.subscribe(document(url))
            assert "durable" not in show(api, plain)["notification"]
            asked = api.subscribe(durable(url))
            assert show(api, asked)["notification"]["durable"] is True
            change(api, asked, notification={"http": {"url": url}, "durable": False})
            assert "durable" not in show(api, asked)["notification"]

    @pytest.mark.parametrize("value", ["true", 1, None, {}])
    def test_what_is_no_boolean(self, api: Api, value: object) -> None:
        given = document("http://127.0.0.1:1/notify")
        given["notification"]["durable"] = value
        reply = api.post("/v2/subscriptions", given)
        assert reply.refusal == (400, "BadRequest", "durable is not a bool")

    def test_mqtt_needs_receipts(self, api: Api) -> None:
        given = document("http://127.0.0.1:1/notify")
        given["notification"] = {
            "mqtt": {"url": "mqtt://127.0.0.1:1", "topic": "t"},
            "durable": True,
        }
        status, error, description = api.post("/v2/subscriptions", given).refusal
        assert (status, error) == (400, "BadRequest")
        assert "qos 0" in description
        given["notification"]["mqtt"]["qos"] = 1
        assert api.post("/v2/subscriptions", given).status == 201
