"""When exchanges are given up.

Owns the one timer for all of them. Costs: O(1) for an exchange, O(lanes) when the timer
fires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import Final

from _native import delivery as native
from _native.delivery import NEVER, Lane

TIMEOUT_RESOLUTION_S: Final = 0.01
"""How much later than asked for a timeout may come. All timeouts share one timer, and it does
not look at all lanes more often than this."""

EXPIRED_AT_ONCE: Final = 8
"""Exchanges given up in one turn of the loop (each closes a socket, and another is opened for
what waits), so that thousands of silent receivers do not stall it."""


class Deadlines(native.Deadlines):
    """When exchanges are given up. One timer for all of them, set for the earliest deadline at
    the time it was set; most exchanges are over long before it fires."""

    def __init__(
        self, lanes: Iterable[Lane], give_up: Callable[[Lane], None], context: Context
    ) -> None:
        """`lanes`: all there are. `give_up` must end the lane's exchange, which takes back its
        deadline; `context` is that of its calls."""
        super().__init__()
        self._lanes = lanes
        self._give_up = give_up
        self._context = context
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Binds to the loop."""
        self._loop = loop

    def close(self) -> None:
        """Nothing is given up any more."""
        if self._timer is not None:
            self._timer.cancel()

    def set_timer(self, when: float) -> None:
        """Look at the deadlines at that time of the loop."""
        self.close()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._expire, context=self._context)

    def _expire(self) -> None:
        now = self._loop.time()
        expired = [lane for lane in self._lanes if lane.deadline <= now]
        later = expired[EXPIRED_AT_ONCE:]
        earliest = min(
            (lane.deadline for lane in self._lanes if lane.deadline > now), default=NEVER
        )
        self._timer_at = NEVER
        if later:
            self.set_timer(now)
        elif earliest < NEVER:
            self.set_timer(max(earliest, now + TIMEOUT_RESOLUTION_S))
        for lane in expired[:EXPIRED_AT_ONCE]:
            self._give_up(lane)
