"""The lanes of all endpoints: how many there are, who gets the next, who has to go.

Owns: the bounds on connections, and the turns that endpoints take when connections are short or
when many are to be set to work at once. Must not: deliver (what a lane does is given). Costs:
O(1) for each lane that is set to work or ends. A lane costs a connection and some 10 KB; it ends
after `LANE_IDLE_S` without work.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import resource
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Final

from _native import delivery as native
from _native.delivery import Lane
from broker.notifier.endpoint_queue import EndpointQueue

CONNECTIONS_MAX: Final = 8192
"""Connections of all endpoints together. The other bound is half of the file descriptors that
the process may open, whichever is less: more would leave none to accept clients with."""

LANE_IDLE_S: Final = 30.0
"""How long a lane keeps its connection open without work: longer than between the readings of
most devices. Receivers that close earlier are no harm (`Connection.exchange`)."""

IDLE_LANES_ENDED_AT_ONCE: Final = 64
"""Lanes ended in one turn of the loop (each closes a socket), so that thousands of lanes that
become idle together do not stall it."""

LANES_STARTED_AT_ONCE: Final = 4
LANES_ROUSED_AT_ONCE: Final = 128
"""Lanes set to work in one turn of the loop. A new one costs some 0.1 ms, for its connection; one
that has a connection, some 0.01 ms. An update that notifies thousands of endpoints is thus spread
over many turns, and clients wait milliseconds for theirs, not a second; and many new endpoints do
not delay those that are connected."""

_log = logging.getLogger("rigel.notifier")


class Lanes(native.IdleLanes):
    """Starts, rouses and ends lanes. Everything runs on the loop given to `start`."""

    def __init__(
        self,
        per_endpoint: int,
        make: Callable[[EndpointQueue], Lane],
        work: Callable[[Lane], None],
        forget: Callable[[EndpointQueue], None],
        context: Context,
    ) -> None:
        """`make` gives a lane with a connection; `work` sets one to work on what waits; `forget`
        hears of each endpoint that lost a lane; `context` is that of calls from timers."""
        super().__init__()
        self._per_endpoint = per_endpoint
        self._make = make
        self._work = work
        self._forget = forget
        self._context = context
        self._closing = False
        self._lanes: set[Lane] = set()
        self._connections_max = CONNECTIONS_MAX
        # Endpoints that get an idle lane, or a new one, in a later turn of the loop.
        self._to_rouse: dict[EndpointQueue, None] = {}
        self._to_start: dict[EndpointQueue, None] = {}
        self._rousings_left = LANES_ROUSED_AT_ONCE
        self._starts_left = LANES_STARTED_AT_ONCE

    def __len__(self) -> int:
        return len(self._lanes)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes)

    def count_sending(self) -> int:
        """How many have a notification under way."""
        return sum(lane.notification is not None for lane in self._lanes)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Binds to the loop and to what the process may open."""
        self._loop = loop
        files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files_max != resource.RLIM_INFINITY:
            self._connections_max = max(1, min(CONNECTIONS_MAX, files_max // 2))

    def close(self) -> list[Lane]:
        """Ends all lanes and returns them; what they have under way is not ended by this."""
        self._closing = True
        for timer in (self._idle_timer, self._turn_timer):
            if timer is not None:
                timer.cancel()
        self.starving.clear()
        self._to_rouse.clear()
        self._to_start.clear()
        self._idle.clear()
        lanes = list(self._lanes)
        for lane in lanes:
            self.end(lane)
        return lanes

    def end(self, lane: Lane) -> None:
        """Closes the connection of a lane with nothing in hand; its place goes to another
        endpoint, in a later turn of the loop."""
        queue = lane.queue
        lane.has_ended = True
        self._lanes.discard(lane)
        queue.lanes -= 1
        try:
            lane.connection.close()
        except Exception:
            _log.exception("closing a connection failed (endpoint: %s)", queue.endpoint)
        if self._closing:
            return
        if queue.waiting and not self._postpone(queue) and not queue.lanes:
            self.starving[queue] = None
        if self.starving:
            self.expect_turn()
        self._forget(queue)

    def start_lane(self, queue: EndpointQueue) -> Lane | None:
        """A new lane; None when there may be none, or not in this turn of the loop."""
        return self._start_lane(queue) if self._may_start_lane(queue) else None

    def expect_idle_end(self) -> None:
        """Look in time for lanes that have been idle too long."""
        self._idle_timer = self._loop.call_later(LANE_IDLE_S, self._end_idle, context=self._context)

    def help(self, queue: EndpointQueue) -> None:
        """Sees to it that what waits is taken: by a further lane if there may be one, else by
        those at work. An endpoint without any gets one in its turn: an idle lane elsewhere goes,
        or a busy one does after its present exchange (`lacks_connections`)."""
        lane = self.take_free(queue)
        if lane is not None:
            self._work(lane)
        elif not self._postpone(queue) and not queue.lanes:
            self.starving[queue] = None
            if self._idle and self.lacks_connections():
                self._dismiss(next(iter(self._idle)))

    def lacks_connections(self) -> bool:
        """Whether more endpoints starve than connections are free."""
        return len(self.starving) > self._connections_max - len(self._lanes)

    def _may_have_more_lanes(self, queue: EndpointQueue) -> bool:
        return queue.lanes < self._per_endpoint and len(self._lanes) < self._connections_max

    def _may_start_lane(self, queue: EndpointQueue) -> bool:
        return self._starts_left > 0 and self._may_have_more_lanes(queue)

    def _postpone(self, queue: EndpointQueue) -> bool:
        """Leaves an endpoint that may have another lane to a later turn of the loop."""
        if queue.idle:
            self._to_rouse[queue] = None
        elif self._may_have_more_lanes(queue):
            self._to_start[queue] = None
        else:
            return False
        self.expect_turn()
        return True

    def expect_turn(self) -> None:
        """Allow more lanes to be set to work from the next turn of the loop on."""
        if self._turn_timer is None:
            self._turn_timer = self._loop.call_soon(self._next_turn, context=self._context)

    def _next_turn(self) -> None:
        """In a turn of the loop after one in which lanes were set to work."""
        self._turn_timer = None
        self._rousings_left = LANES_ROUSED_AT_ONCE
        self._starts_left = LANES_STARTED_AT_ONCE
        while self.starving:
            queue = next(iter(self.starving))
            if not self._may_start_lane(queue):
                break
            self._work(self._start_lane(queue))
        while self._to_rouse and self._rousings_left:
            self._help_next(self._to_rouse)
        while self._to_start and self._starts_left:
            self._help_next(self._to_start)

    def _help_next(self, postponed: dict[EndpointQueue, None]) -> None:
        queue = next(iter(postponed))
        del postponed[queue]
        if queue.waiting:
            self.help(queue)
            if queue.waiting:
                self._postpone(queue)

    def _start_lane(self, queue: EndpointQueue) -> Lane:
        lane = self._make(queue)
        self._starts_left -= 1
        self.expect_turn()
        queue.lanes += 1
        self._lanes.add(lane)
        self.starving.pop(queue, None)
        return lane

    def _end_idle(self) -> None:
        loop = self._loop
        self._idle_timer = None
        long_ago = loop.time() - LANE_IDLE_S
        for lane in list(itertools.islice(self._idle, IDLE_LANES_ENDED_AT_ONCE)):
            if self._idle[lane] > long_ago:
                break
            self._dismiss(lane)
        if self._idle:
            oldest = next(iter(self._idle.values()))
            self._idle_timer = loop.call_at(
                oldest + LANE_IDLE_S, self._end_idle, context=self._context
            )

    def _dismiss(self, lane: Lane) -> None:
        """Ends an idle lane."""
        lane.queue.idle.remove(lane)
        del self._idle[lane]
        self.end(lane)
