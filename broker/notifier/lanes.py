"""The lanes of all endpoints: how many there are, who gets the next, who has to go.

Owns: the bounds on connections, and the turns that endpoints take when connections are short or
when many are to be set to work at once. Must not: deliver (the task of a lane is given). Costs:
O(1) for each lane that is set to work or ends. A lane costs a task, a connection and some 20 KB;
it ends after `LANE_IDLE_S` without work.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import resource
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final

from broker.notifier.endpoint_queue import EndpointQueue
from broker.notifier.lane import Lane
from broker.sender import Sender

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
LANES_ROUSED_AT_ONCE: Final = 32
"""Lanes set to work in one turn of the loop. A new one costs most of a millisecond, for its
connection; one that has a connection, some 0.1 ms. An update that notifies thousands of
endpoints is thus spread over many turns, and clients wait milliseconds for theirs, not a
second; and many new endpoints do not delay those that are connected."""

_log = logging.getLogger("rigel.notifier")


class Lanes:
    """Starts, rouses and ends lanes. Everything runs on the loop given to `start`."""

    def __init__(
        self,
        sender: Sender,
        per_endpoint: int,
        run: Callable[[Lane], Coroutine[Any, Any, None]],
        context: Context,
    ) -> None:
        """`run` is the task of a lane, which must end with `end`; `context` is theirs."""
        self._sender = sender
        self._per_endpoint = per_endpoint
        self._run = run
        self._context = context
        self._loop: asyncio.AbstractEventLoop
        self._closing = False
        self._lanes: set[Lane] = set()
        self._connections_max = CONNECTIONS_MAX
        # Lanes without work, longest idle first, with the loop time since when.
        self._idle: dict[Lane, float] = {}
        # Endpoints with work and no lane, as all connections are taken; in order of arrival.
        self._starving: dict[EndpointQueue, None] = {}
        # Lanes on their way out, each of which makes place for a starving endpoint.
        self._ending = 0
        # Endpoints that get an idle lane, or a new one, in a later turn of the loop.
        self._to_rouse: dict[EndpointQueue, None] = {}
        self._to_start: dict[EndpointQueue, None] = {}
        self._rousings_left = LANES_ROUSED_AT_ONCE
        self._starts_left = LANES_STARTED_AT_ONCE
        self._turn_timer: asyncio.Handle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._lanes)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Binds to the loop and to what the process may open."""
        self._loop = loop
        files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files_max != resource.RLIM_INFINITY:
            self._connections_max = max(1, min(CONNECTIONS_MAX, files_max // 2))

    async def close(self) -> None:
        """Ends all lanes; what they held goes back to its queue."""
        self._closing = True
        for timer in (self._idle_timer, self._turn_timer):
            if timer is not None:
                timer.cancel()
        tasks = [lane.task for lane in self._lanes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Lanes that were cancelled before their first step.
        for lane in tuple(self._lanes):
            await self.end(lane)
        self._starving.clear()
        self._to_rouse.clear()
        self._to_start.clear()
        self._idle.clear()

    async def end(self, lane: Lane) -> None:
        """The end of a lane's task: its place goes to another endpoint."""
        self._leave(lane)
        await self._disconnect(lane)
        self._feed_starving()

    def free(self, queue: EndpointQueue) -> Lane | None:
        """An idle lane of the endpoint, now awake, or a new one; None when there is none to be
        had, or not in this turn of the loop."""
        if queue.idle:
            if not self._rousings_left:
                return None
            self._rousings_left -= 1
            self._expect_turn()
            lane = queue.idle.pop()
            del self._idle[lane]
            lane.rouse(to_work=True)
            return lane
        return self._start_lane(queue) if self._may_start_lane(queue) else None

    def _may_have_more_lanes(self, queue: EndpointQueue) -> bool:
        return queue.lanes < self._per_endpoint and len(self._lanes) < self._connections_max

    def _may_start_lane(self, queue: EndpointQueue) -> bool:
        return self._starts_left > 0 and self._may_have_more_lanes(queue)

    def help(self, queue: EndpointQueue) -> None:
        """Sees to it that what waits is taken: by a further lane if there may be one, else by
        those at work. An endpoint without any gets one in its turn: an idle lane elsewhere goes,
        or a busy one does after its present exchange (`lacks_connections`)."""
        if self.free(queue) is None and not self._postpone(queue) and not queue.lanes:
            self._starving[queue] = None
            if self._idle and self.lacks_connections():
                self._dismiss(next(iter(self._idle)))

    def _postpone(self, queue: EndpointQueue) -> bool:
        """Leaves an endpoint that may have another lane to a later turn of the loop."""
        if queue.idle:
            self._to_rouse[queue] = None
        elif self._may_have_more_lanes(queue):
            self._to_start[queue] = None
        else:
            return False
        return True

    def lacks_connections(self) -> bool:
        """Whether more endpoints starve than connections are free or about to be."""
        free = self._connections_max - len(self._lanes)
        return len(self._starving) > free + self._ending

    def _expect_turn(self) -> None:
        if self._turn_timer is None:
            self._turn_timer = self._loop.call_soon(self._next_turn, context=self._context)

    def _next_turn(self) -> None:
        """In a turn of the loop after one in which lanes were set to work."""
        self._turn_timer = None
        self._rousings_left = LANES_ROUSED_AT_ONCE
        self._starts_left = LANES_STARTED_AT_ONCE
        self._feed_starving()
        while self._to_rouse and self._rousings_left:
            self._help_next(self._to_rouse)
        while self._to_start and self._starts_left:
            self._help_next(self._to_start)

    def _help_next(self, postponed: dict[EndpointQueue, None]) -> None:
        queue = next(iter(postponed))
        del postponed[queue]
        if queue.waiting:
            self.help(queue)
            if len(queue.waiting) > 1:
                self._postpone(queue)

    def _start_lane(self, queue: EndpointQueue) -> Lane:
        lane = Lane(queue, self._sender.connect(queue.endpoint))
        self._starts_left -= 1
        self._expect_turn()
        queue.lanes += 1
        self._lanes.add(lane)
        self._starving.pop(queue, None)
        lane.task = self._loop.create_task(self._run(lane), context=self._context)
        return lane

    async def rest(self, lane: Lane) -> bool:
        """Waits for work; False when the lane is to end."""
        loop = self._loop
        lane.wake = loop.create_future()
        lane.queue.idle.append(lane)
        self._idle[lane] = loop.time()
        if self._idle_timer is None:
            self._idle_timer = loop.call_later(LANE_IDLE_S, self._end_idle)
        return await lane.wake

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
            self._idle_timer = loop.call_at(oldest + LANE_IDLE_S, self._end_idle)

    def _dismiss(self, lane: Lane) -> None:
        """Tells an idle lane to end."""
        lane.queue.idle.remove(lane)
        del self._idle[lane]
        self._mark_ending(lane)
        lane.rouse(to_work=False)

    def _mark_ending(self, lane: Lane) -> None:
        if not lane.ending:
            lane.ending = True
            self._ending += 1

    def _leave(self, lane: Lane) -> None:
        """Takes a lane off its endpoint, with what it holds going back to the queue."""
        queue = lane.queue
        self._mark_ending(lane)
        queue.lanes -= 1
        if lane.notification is not None:
            queue.put_back(lane.notification)
            lane.notification = None
        if queue.waiting and not self._closing:
            self.help(queue)

    async def _disconnect(self, lane: Lane) -> None:
        try:
            await lane.connection.close()
        except Exception:
            _log.exception("closing a connection failed (endpoint: %s)", lane.queue.endpoint)
        finally:
            self._lanes.discard(lane)
            self._ending -= 1

    def _feed_starving(self) -> None:
        while self._starving and not self._closing:
            queue = next(iter(self._starving))
            if not self._may_start_lane(queue):
                break
            self._start_lane(queue)
