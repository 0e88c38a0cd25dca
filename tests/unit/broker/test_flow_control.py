"""How long answers are held back, with a queue whose length the test says."""

from __future__ import annotations

import asyncio

import pytest

from broker.flow_control import UpdatePace
from broker.origin import Origin
from broker.settings.values import FlowControl

LONG_MS = 1_800_000


class Queue:
    """Looks at the queue see its lengths one after the other, then the last again and again."""

    def __init__(self, *lengths: int) -> None:
        self._lengths = list(lengths)
        self.looks = 0
        self.handed_over = False

    def count(self, service: str) -> int:
        assert service == "serv1"
        assert self.handed_over == (self.looks > 0)
        self.looks += 1
        return self._lengths.pop(0) if len(self._lengths) > 1 else self._lengths[0]

    async def hand_over(self) -> None:
        self.handed_over = True


async def keep(
    queue: Queue, gauge: float, notifications: int, longest_ms: int = LONG_MS, awaited: int = 1000
) -> int:
    """The number of looks at the queue after the update."""
    pace = UpdatePace(FlowControl(gauge, 1, longest_ms), queue.count, queue.hand_over)
    origin = Origin(tenant="serv1")
    left = [awaited]

    async def update() -> str:
        assert queue.looks == 1
        origin.notifications = notifications
        return "answer"

    def is_awaited() -> bool:
        left[0] -= 1
        return left[0] >= 0

    assert await pace.keep(origin, update(), is_awaited) == "answer"
    return queue.looks - 1


@pytest.mark.parametrize(
    ("gauge", "lengths", "looks"),
    [
        (1.0, (3, 13, 8, 4, 3), 4),  # as many as before
        (1.0, (3, 13, 2), 2),
        (0.0, (3, 13), 1),  # all of this update's may wait
        (0.0, (3, 14, 13), 2),  # and others came
        (0.5, (3, 13, 9, 8), 3),
        (0.25, (0, 10, 8, 7), 3),  # the target is rounded down
    ],
)
async def test_targets(gauge: float, lengths: tuple[int, ...], looks: int) -> None:
    assert await keep(Queue(*lengths), gauge, 10) == looks


async def test_without_notifications_nothing_is_held_back() -> None:
    assert await keep(Queue(0, 100), 1.0, 0) == 0


async def test_the_longest_time() -> None:
    assert await keep(Queue(0, 10), 1.0, 10, longest_ms=3) >= 1


async def test_a_client_that_left() -> None:
    assert await keep(Queue(0, 10), 1.0, 10, awaited=2) == 3


async def test_an_update_that_fails_is_not_held_back() -> None:
    queue = Queue(0, 10)
    pace = UpdatePace(FlowControl(1.0, 1, LONG_MS), queue.count, queue.hand_over)

    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await asyncio.wait_for(pace.keep(Origin(tenant="serv1"), fail(), lambda: True), 30)
    assert not queue.handed_over
