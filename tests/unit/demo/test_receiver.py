"""The demo's receiver: what it keeps, whom it wakes, what it refuses."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from demo.receiver import Receiver
from demo.scenario import CROSSING, HOT, SUBSCRIPTIONS, Change, Subscription

NEVER_S = math.inf  # the silence that no test waits for
SHORT_S = 0.01  # a silence that is waited for: nothing is sent meanwhile


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(SUBSCRIPTIONS, "127.0.0.1") as server:
        yield server


Post = Callable[[str, Any], Awaitable[int]]


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with aiohttp.ClientSession() as session:

        async def send(url: str, body: Any) -> int:
            async with session.post(url, json=body) as response:
                await response.read()
                return response.status

        yield send


def entity(hour: int, temperature: float = 80.0) -> dict[str, Any]:
    return {
        "id": "WeatherObserved:Seattle",
        "type": "WeatherObserved",
        "dateObserved": {"type": "DateTime", "value": f"2010-01-01T0{hour}:00:00.000Z"},
        "temperature": {"type": "Number", "value": temperature},
        "level": {"type": "Text", "value": "hot"},
        "location": {"type": "geo:json", "value": {"type": "Point", "coordinates": [1, 2]}},
    }


def change(hour: int, temperature: float = 80.0) -> Change:
    return Change("WeatherObserved:Seattle", (f"2010-01-01T0{hour}:00:00.000Z", temperature, "hot"))


def body(*entities: dict[str, Any]) -> dict[str, Any]:
    return {"subscriptionId": "0123456789abcdef01234567", "data": list(entities)}


def latencies(receiver: Receiver, subscription: Subscription) -> list[float]:
    return receiver.latencies_s[subscription.name]


async def test_changes_are_kept_by_subscription_in_order(receiver: Receiver, post: Post) -> None:
    assert await post(receiver.url(HOT), body(entity(1))) == 204
    assert await post(receiver.url(HOT), body(entity(3), entity(2))) == 204
    assert await post(receiver.url(CROSSING), body(entity(4))) == 204
    assert receiver.received[HOT.name] == {
        "WeatherObserved:Seattle": [change(1), change(3), change(2)]
    }
    assert receiver.received[CROSSING.name] == {"WeatherObserved:Seattle": [change(4)]}
    assert receiver.count == 4
    assert receiver.faults == []


async def test_latency_is_measured_of_what_was_sent(receiver: Receiver, post: Post) -> None:
    receiver.note_sent(change(1))
    await post(receiver.url(HOT), body(entity(1)))
    await post(receiver.url(HOT), body(entity(2)))
    assert len(latencies(receiver, HOT)) == 1
    assert latencies(receiver, HOT)[0] > 0
    assert latencies(receiver, CROSSING) == []
    assert receiver.count == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        {"data": 1},
        {"data": [{"id": "X"}]},
        {"data": [{**entity(1), "level": "hot"}]},
        {"data": [{**entity(1), "level": {"value": ["hot"]}}]},
    ],
)
async def test_what_is_no_notification_is_refused(
    receiver: Receiver, post: Post, wrong: Any
) -> None:
    assert await post(receiver.url(HOT), wrong) == 400
    assert receiver.count == 0
    assert len(receiver.faults) == 1
    assert receiver.faults[0].startswith(f"{HOT.name}: not a notification")


async def test_nobodys_notification_is_refused(receiver: Receiver, post: Post) -> None:
    assert await post(receiver.url(HOT) + "er", body(entity(1))) == 404
    assert receiver.count == 0
    assert len(receiver.faults) == 1


async def test_waiters_wake_when_their_count_is_reached(receiver: Receiver, post: Post) -> None:
    assert await receiver.await_count(0, NEVER_S)
    waiters = {count: asyncio.create_task(receiver.await_count(count, 30.0)) for count in (3, 1, 2)}
    for count in (1, 2, 3):
        await post(receiver.url(HOT), body(entity(count)))
        assert await waiters.pop(count)
        assert not any(waiter.done() for waiter in waiters.values())
    assert await receiver.await_count(3, NEVER_S)


async def test_silence_ends_the_wait(receiver: Receiver, post: Post) -> None:
    await post(receiver.url(HOT), body(entity(1)))
    assert not await receiver.await_count(2, SHORT_S)
    waiting = asyncio.create_task(receiver.await_count(2, 30.0))
    await post(receiver.url(HOT), body(entity(2)))
    assert await waiting
