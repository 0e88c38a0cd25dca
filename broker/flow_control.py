"""Flow control: updates that ask for it are answered when their notifications have left.

Owns: how long an answer is held back. Must not: hold back anything else; the loop serves other
clients meanwhile. Costs: a look at the length of a queue for each step.

Source: Orion's administration manual, "Performance tuning", section "Updates flow control
mechanism".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.origin import Origin
from broker.settings.values import FlowControl

Answer = TypeVar("Answer")


class UpdatePace:
    """Holds back the answers of updates as long as the queue of notifications is too long."""

    def __init__(
        self,
        rules: FlowControl,
        queued: Callable[[str], int],
        hand_over: Callable[[], Awaitable[None]],
    ) -> None:
        """`queued` tells how many notifications wait for a service; `hand_over` waits until
        those of all changes so far are in the queue."""
        self._gauge = rules.gauge
        self._step_s = rules.step_delay_ms / 1000
        self._longest_s = rules.max_interval_ms / 1000
        self._queued = queued
        self._hand_over = hand_over

    async def keep(
        self, origin: Origin, update: Awaitable[Answer], is_awaited: Callable[[], bool]
    ) -> Answer:
        """The answer of an update that has not begun, in its time.

        An update that fails, or that notifies nobody, is answered at once; so is one whose
        client is gone.
        """
        before = self._queued(origin.tenant)
        answer = await update
        if not origin.notifications:
            return answer
        target = before + int((1 - self._gauge) * origin.notifications)
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._longest_s
        await self._hand_over()
        while self._queued(origin.tenant) > target and is_awaited():
            left_s = deadline - clock()
            if left_s <= 0:
                break
            await asyncio.sleep(min(self._step_s, left_s))
        return answer
