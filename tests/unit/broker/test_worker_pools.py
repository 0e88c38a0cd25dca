"""Pools of workers against a way out whose deliveries end when the test says."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import worker_pools
from broker.mqtt import MqttMessage
from broker.notifier import STOPPED, Notification, Outcome, ordered_queue
from broker.settings.values import NotificationMode, ServiceQueue
from broker.worker_pools import FULL, WorkerPools

Message = Notification | MqttMessage

DELIVERED = Outcome(at=1.0, status=200, failure=None)


class Way:
    """A way out: takes messages, ends them on demand, and remembers how each ended."""

    def __init__(self) -> None:
        self.under_way: list[Message] = []
        self.ended: list[tuple[bytes, str | None]] = []
        self.is_open = True

    def deliver(self, message: Message) -> bool:
        if self.is_open:
            self.under_way.append(message)
        return self.is_open

    def end(self, index: int = 0) -> None:
        message = self.under_way.pop(index)
        tell: Any = message.on_result
        tell(message, DELIVERED)

    def note(self, message: Message, outcome: Outcome) -> None:
        self.ended.append((message.body, outcome.failure))

    def message(self, body: str, key: str = "", service: str = "") -> Notification:
        return Notification(
            subscription_id="1",
            tenant=service,
            url="http://localhost/",
            headers={"Fiware-Correlator": "c"},
            body=body.encode(),
            timeout_s=1.0,
            order_key=key or body,
            on_result=self.note,
        )

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for message in self.under_way]


def threadpool(queue_length: int, workers: int, *services: ServiceQueue) -> NotificationMode:
    return NotificationMode("threadpool", queue_length, workers, services)


def test_workers_first_then_the_queue_then_drops(caplog: pytest.LogCaptureFixture) -> None:
    way = Way()
    pools = WorkerPools(way.deliver, threadpool(2, 3))
    assert [pools.send(way.message(str(number))) for number in range(7)] == [True] * 5 + [False] * 2
    assert way.bodies == [b"0", b"1", b"2"]
    assert (pools.queued(""), pools.queued_in_all(), pools.dropped) == (2, 2, 2)
    assert caplog.messages == ["Runtime Error (default notification queue is full)"] * 2
    way.end(1)
    assert way.bodies == [b"0", b"2", b"3"]
    assert pools.send(way.message("7"))
    assert way.ended == [(b"1", None)]


def test_messages_of_all_protocols_share_the_workers() -> None:
    way = Way()
    pools = WorkerPools(way.deliver, threadpool(5, 1))
    pools.send(way.message("1"))
    pools.send(
        MqttMessage(
            subscription_id="2",
            tenant="",
            url="mqtt://localhost",
            topic="t",
            body=b"2",
            qos=0,
            retain=False,
            user=None,
            password=None,
            order_key="2",
            on_result=way.note,
        )
    )
    assert way.bodies == [b"1"]
    way.end()
    assert way.bodies == [b"2"]
    way.end()
    assert way.ended == [(b"1", None), (b"2", None)]


def test_reserved_pools(caplog: pytest.LogCaptureFixture) -> None:
    way = Way()
    pools = WorkerPools(way.deliver, threadpool(1, 1, ServiceQueue("serv1", 2, 1)))
    assert [pools.send(way.message(f"a{n}", service="serv1")) for n in range(4)] == [
        *(True, True, True),
        False,
    ]
    assert [pools.send(way.message(f"b{n}", service="other")) for n in range(3)] == [
        *(True, True),
        False,
    ]
    assert way.bodies == [b"a0", b"b0"]
    assert (pools.queued("serv1"), pools.queued("other"), pools.queued("")) == (2, 1, 1)
    assert pools.queued_in_all() == 3
    assert caplog.messages == [
        "Runtime Error (serv1 notification queue is full)",
        "Runtime Error (default notification queue is full)",
    ]


def test_one_key_takes_one_worker_and_keeps_its_order() -> None:
    way = Way()
    pools = WorkerPools(way.deliver, threadpool(10, 2))
    for number in range(3):
        pools.send(way.message(f"a{number}", key="a"))
    pools.send(way.message("b"))
    assert way.bodies == [b"a0", b"b"]
    way.end(0)
    assert way.bodies == [b"b", b"a1"]
    way.end(1)
    assert way.bodies == [b"b", b"a2"]


async def test_many_of_one_key_do_not_hold_up_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered_queue, "PARKED_AT_ONCE", 3)
    way = Way()
    has_left = asyncio.Event()

    def deliver(message: Message) -> bool:
        if message.order_key == "d":
            has_left.set()
        return way.deliver(message)

    pools = WorkerPools(deliver, threadpool(100, 2))
    pools.send(way.message("a", key="a"))
    pools.send(way.message("b", key="b"))
    pools.send(way.message("c", key="c"))
    for number in range(10):
        pools.send(way.message(f"a{number}", key="a"))
    pools.send(way.message("d", key="d"))
    way.end(1)
    way.end(1)
    assert way.bodies[0] == b"a"
    await has_left.wait()
    assert way.bodies == [b"a", b"d"]


def test_what_is_refused_at_once_is_not_accepted() -> None:
    way = Way()
    way.is_open = False
    pools = WorkerPools(way.deliver, threadpool(1, 1))
    message = way.message("1")
    tell = message.on_result
    assert not pools.send(message)
    assert message.on_result == tell
    assert way.ended == []
    way.is_open = True
    assert pools.send(way.message("1"))
    assert way.bodies == [b"1"]


def test_what_is_refused_later_has_failed() -> None:
    way = Way()
    pools = WorkerPools(way.deliver, threadpool(5, 1))
    for body in ("1", "2", "3"):
        pools.send(way.message(body, key="same"))
    way.is_open = False
    way.end()
    assert way.ended == [(b"1", None), (b"2", FULL), (b"3", FULL)]
    way.is_open = True
    assert pools.send(way.message("4", key="same"))
    assert way.bodies == [b"4"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pools, "OUTSTANDING_BYTES_MAX", 10_000)
    way = Way()
    pools = WorkerPools(way.deliver, threadpool(100, 1))
    assert [pools.send(way.message("x" * 4000, key=str(n))) for n in range(3)] == [
        *(True,),
        False,
        False,
    ]
    way.end()
    assert pools.send(way.message("x" * 4000))


async def test_drain_and_close() -> None:
    way = Way()
    pools = WorkerPools(way.deliver, threadpool(5, 1))
    assert await pools.drain(0) == 0
    for body in ("1", "2", "3"):
        pools.send(way.message(body))
    assert await pools.drain(0) == 3
    draining = asyncio.create_task(pools.drain(30))
    way.end()
    assert way.bodies == [b"2"]
    pools.close()
    assert way.ended == [(b"1", None), (b"3", STOPPED)]
    assert not pools.send(way.message("4"))
    way.end()
    assert await draining == 0
    assert way.ended[-1] == (b"2", None)


def test_an_outcome_that_is_not_taken_does_not_stop_the_others() -> None:
    way = Way()
    pools = WorkerPools(way.deliver, threadpool(5, 1))

    def refuse(message: Notification, outcome: Outcome) -> None:
        raise RuntimeError

    message = way.message("1")
    message.on_result = refuse
    pools.send(message)
    pools.send(way.message("2"))
    with pytest.raises(RuntimeError):
        way.end()
    assert way.bodies == [b"2"]


KEYS = "abc"
STEPS = st.one_of(st.sampled_from(KEYS), st.integers(0, 5), st.booleans())


@given(
    steps=st.lists(STEPS, max_size=60), queue_length=st.integers(1, 4), workers=st.integers(1, 3)
)
def test_every_accepted_message_ends_once_and_in_order(
    steps: list[str | int | bool], queue_length: int, workers: int
) -> None:
    logging.disable()
    try:
        asyncio.run(_check(steps, queue_length, workers))
    finally:
        logging.disable(logging.NOTSET)


async def _check(steps: list[str | int | bool], queue_length: int, workers: int) -> None:
    way = Way()
    pools = WorkerPools(way.deliver, threadpool(queue_length, workers))
    accepted: list[bytes] = []
    for number, step in enumerate(steps):
        if isinstance(step, bool):
            way.is_open = step
        elif isinstance(step, int):
            if way.under_way:
                way.end(step % len(way.under_way))
        else:
            waiting = len(accepted) - len(way.ended)
            message = way.message(f"{step}{number}", key=step)
            took = pools.send(message)
            if took:
                accepted.append(message.body)
            assert took or not way.is_open or waiting == queue_length + workers
        under_way = [body[:1] for body in way.bodies]
        assert len(under_way) <= workers
        assert len(set(under_way)) == len(under_way)
        outstanding = len(accepted) - len(way.ended)
        assert pools.queued_in_all() == max(0, outstanding - workers)
        # A worker rests only when nothing that waits may leave.
        waits = {*accepted} - {body for body, _ in way.ended} - {*way.bodies}
        if len(under_way) < workers:
            assert {body[:1] for body in waits} <= {*under_way}
    way.is_open = True
    while way.under_way:
        way.end()
    assert await pools.drain(0) == 0
    assert sorted(body for body, _ in way.ended) == sorted(accepted)
    for key in KEYS.encode():
        assert [body for body, _ in way.ended if body[0] == key] == [
            body for body in accepted if body[0] == key
        ]
