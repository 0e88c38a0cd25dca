"""When exchanges are given up.

Owns the one timer for all of them. Costs: O(1) for an exchange, O(exchanges under way) when the
timer fires.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final

from broker.notifier.lane import Lane

TIMEOUT_RESOLUTION_S: Final = 0.01
"""How much later than asked for a timeout may come. All timeouts share one timer, and it does
not look at all lanes more often than this."""


class Deadlines:
    """When exchanges are given up. One timer for all of them, set for the earliest deadline at
    the time it was set; most exchanges are over long before it fires."""

    def __init__(self) -> None:
        self._of: dict[Lane, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, lane: Lane, timeout_s: float) -> None:
        deadline = lane.task.get_loop().time() + timeout_s
        self._of[lane] = deadline
        if self._timer is None or deadline < self._timer.when():
            self._set_timer(lane.task.get_loop(), deadline)

    def end(self, lane: Lane) -> None:
        """Also takes back the cancellation by which the lane was told of its timeout."""
        del self._of[lane]
        if lane.timed_out:
            lane.timed_out = False
            lane.task.uncancel()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        self.close()
        self._timer = loop.call_at(when, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        earliest = math.inf
        for lane, deadline in self._of.items():
            if lane.timed_out:
                continue
            if deadline <= now:
                lane.timed_out = True
                lane.task.cancel()
            elif deadline < earliest:
                earliest = deadline
        if earliest < math.inf:
            self._set_timer(loop, max(earliest, now + TIMEOUT_RESOLUTION_S))
