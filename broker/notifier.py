"""Delivery of notifications: bounded queues per endpoint, order, counters, failures.

Owns: what waits to be sent, who sends it and when it is given up. An endpoint (scheme, host,
port) has up to `connections_per_endpoint` lanes; a lane is a task with one connection and one
request in flight. Notifications with the same `order_key` leave one after the other, in the
order they came; otherwise the oldest that may leave goes first. Endpoints share nothing, so a
slow or dead one delays nobody else; only when `CONNECTIONS_MAX` connections are busy at once do
they take turns.

Must not: block, or know what a notification is about (payload, subscription state: the caller
has `on_result`). HTTP itself is broker/sender.py; another protocol is another `Sender`.

One try per notification, as Orion does. Everything here runs on one event loop, `send`
included.

Costs: `send` is O(1), two to three microseconds; no task and no timer per notification. A
lane costs a task, a connection and some 20 KB; it ends after `LANE_IDLE_S` without work, and
an endpoint is forgotten with its last lane.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import math
import resource
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final

from broker.logs import NOT_AVAILABLE, LogLimits, RequestContext, request_context
from broker.sender import (
    TIMEOUT,
    Connection,
    Endpoint,
    HttpSender,
    Response,
    Sender,
    Undelivered,
    locate,
)

OUTSTANDING_BYTES_MAX: Final = 512 * 1024 * 1024
"""Bytes of all notifications accepted and not finished, over all endpoints. The bounds of the
queues alone would allow queue_length times the largest message, for each dead endpoint. One
endpoint may hold as much as is free: half of all if it is the only one that is slow, a third
each if there are two, so that something is left for those that are not. Counted as if no two
notifications shared a body, so real memory is less."""

NOTIFICATION_OVERHEAD_BYTES: Final = 1024
"""What a waiting notification costs beside its body and headers (objects, its place in a queue
and in an endpoint). OUTSTANDING_BYTES_MAX over this is how many endpoints may have work."""

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

PARKED_AT_ONCE: Final = 512
"""Notifications that a lane passes over in one turn of the loop because their order_key is in
flight elsewhere; some 0.1 ms."""

TIMEOUT_RESOLUTION_S: Final = 0.01
"""How much later than asked for a timeout may come. All timeouts share one timer, and it does
not look at all lanes more often than this."""

DROP_LOG_INTERVAL_S: Final = 1.0
"""An endpoint has recovered when it has dropped nothing for so long: bounds the log lines of a
queue that fills and empties quickly."""

TOP_ENDPOINTS_MAX: Final = 20
"""Endpoints listed in the statistics, those with most waiting first."""

LOG_LINE_MAX_BYTES: Final = 32 * 1024
LOG_PAYLOAD_MAX_BYTES: Final = 5 * 1024
"""Orion's defaults of -logLineMaxSize and -logInfoPayloadMaxSize, where none are given."""

TOO_BIG: Final = "total outgoing message size is too big"
STOPPED: Final = "broker stopped before the notification could be delivered"
INTERNAL_ERROR: Final = "internal error"

logger = logging.getLogger("rigel.notifier")


@dataclass(slots=True, frozen=True)
class Outcome:
    """How a notification ended. Exactly one of `status` and `failure` is there.

    at: epoch seconds. status: the HTTP status, whatever it is (Orion counts any response as a
    success). failure: why there was no response, in libcurl's words (`lastFailureReason`).
    response_bytes: what was read of the response's body.
    """

    at: float
    status: int | None
    failure: str | None
    response_bytes: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Notification:
    """One request to one receiver.

    `headers` are sent in this order and spelling; the sender adds Host and Content-Length.
    `timeout_s` bounds the whole exchange, name lookup, connecting and redirects included; zero
    or less means the notifier's default. `order_key` (hashable) names what must stay in order
    towards one endpoint: subscription and entity. `on_result` is called exactly once for every
    notification that `Notifier.send` accepted, on the loop, never from within `send`.
    """

    subscription_id: str
    tenant: str
    url: str
    method: str = "POST"
    headers: dict[str, str]
    body: bytes
    timeout_s: float
    order_key: object
    on_result: Callable[[Notification, Outcome], None]
    size_bytes: int = field(init=False, default=0)
    """Headers and body, set by `Notifier.send`."""


@dataclass(slots=True, frozen=True)
class EndpointStatistics:
    """One endpoint since its oldest lane began. `endpoint` is `scheme://host:port`."""

    endpoint: str
    queued: int
    in_flight: int
    connections: int
    sent: int
    failed: int
    dropped: int


@dataclass(slots=True, frozen=True)
class NotifierStatistics:
    """Counters since the start (sent: got a response; failed: got none; dropped: not accepted)
    and gauges of this moment. `top` lists up to TOP_ENDPOINTS_MAX endpoints."""

    sent: int
    failed: int
    dropped: int
    queued: int
    in_flight: int
    outstanding_bytes: int
    endpoints: int
    connections: int
    top: tuple[EndpointStatistics, ...]


class Notifier:
    """Takes notifications from the engine and sends them in the background."""

    def __init__(
        self,
        *,
        queue_length: int,
        connections_per_endpoint: int,
        default_timeout_s: float,
        max_message_bytes: int,
        insecure: bool,
        log_limits: LogLimits | None = None,
        sender: Sender | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`queue_length`: notifications that may wait for one endpoint, beside those in flight.
        `max_message_bytes`: headers and body together (Orion's `-outReqMsgMaxSize`).
        `insecure`: accept any TLS certificate. `log_limits`: how much of a payload the log shows,
        None for Orion's default. `clock`: epoch seconds, for `Outcome.at`.
        """
        if queue_length < 1 or connections_per_endpoint < 1:
            raise ValueError("queue_length and connections_per_endpoint must be at least 1")
        if default_timeout_s <= 0:
            raise ValueError("default_timeout_s must be positive")
        self._queue_length = queue_length
        self._lanes_per_endpoint = connections_per_endpoint
        self._default_timeout_s = default_timeout_s
        self._max_message_bytes = max_message_bytes
        self._log_limits = log_limits or LogLimits(
            line_max_bytes=LOG_LINE_MAX_BYTES,
            payload_max_bytes=LOG_PAYLOAD_MAX_BYTES,
            deprecate=False,
        )
        self._sender: Sender = HttpSender(insecure=insecure) if sender is None else sender
        self._clock = clock

        self._queues: dict[Endpoint, _Queue] = {}
        self._lanes: set[_Lane] = set()
        self._connections_max = CONNECTIONS_MAX
        # Lanes without work, longest idle first, with the loop time since when.
        self._idle: dict[_Lane, float] = {}
        # Endpoints with work and no lane, as all connections are taken; in order of arrival.
        self._starving: dict[_Queue, None] = {}
        # Lanes on their way out, each of which makes place for a starving endpoint.
        self._ending = 0
        # Endpoints that get an idle lane, or a new one, in a later turn of the loop.
        self._to_rouse: dict[_Queue, None] = {}
        self._to_start: dict[_Queue, None] = {}
        self._rousings_left = LANES_ROUSED_AT_ONCE
        self._starts_left = LANES_STARTED_AT_ONCE
        self._turn_timer: asyncio.Handle | None = None
        # What is being dropped, per queue that is full; None: for want of memory.
        self._dropping: dict[_Queue | None, _Drops] = {}

        self._sent = 0
        self._failed = 0
        self._dropped = 0
        self._in_flight = 0
        self._outstanding = 0
        self._outstanding_bytes = 0

        self._closing = False
        # Lanes outlive the request whose notification began them; their log lines are not its.
        self._context = Context()
        self._drained = asyncio.Event()
        self._drained.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deadlines = _Deadlines()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._drop_timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Binds to the running loop. `send` may be called from then on."""
        self._loop = asyncio.get_running_loop()
        files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files_max != resource.RLIM_INFINITY:
            self._connections_max = max(1, min(CONNECTIONS_MAX, files_max // 2))
        await self._sender.start()

    def send(self, notification: Notification) -> bool:
        """Takes a notification for delivery, or drops it and returns False when the endpoint's
        queue or the memory for all queues is full (or the notifier is closed).

        Never waits and never raises for what is in the notification: a URL that is none and a
        message that is too big are outcomes.
        """
        loop = self._running_loop()
        if self._closing:
            self._dropped += 1
            return False
        size = len(notification.body)
        for name, value in notification.headers.items():
            size += len(name) + len(value) + 2
        notification.size_bytes = size
        if size > self._max_message_bytes:
            self._accept(notification, None)
            loop.call_soon(self._finish, notification, None, None, TOO_BIG)
            return True
        try:
            endpoint = locate(notification.url).endpoint
        except Undelivered as error:
            self._accept(notification, None)
            loop.call_soon(self._finish, notification, None, None, error.reason)
            return True

        queue = self._queues.get(endpoint)
        held_bytes = 0 if queue is None else queue.outstanding_bytes
        needed_bytes = self._outstanding_bytes + size + NOTIFICATION_OVERHEAD_BYTES
        if held_bytes + needed_bytes > OUTSTANDING_BYTES_MAX:
            self._drop(queue, for_memory=True)
            return False
        if queue is None:
            queue = self._queues[endpoint] = _Queue(endpoint)
        if not queue.waiting and notification.order_key not in queue.busy:
            lane = self._free_lane(queue)
            if lane is not None:
                self._accept(notification, queue)
                queue.claim(notification)
                lane.notification = notification
                return True
        if queue.queued >= self._queue_length:
            self._drop(queue, for_memory=False)
            return False
        self._accept(notification, queue)
        queue.add(notification)
        if queue.waiting:
            self._help(queue)
        return True

    async def drain(self, timeout_s: float) -> int:
        """Waits until everything accepted is finished; returns how many are not after
        `timeout_s`. Notifications may be accepted meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._drained.wait()
        return self._outstanding

    async def close(self) -> None:
        """Gives up what is not delivered (outcome STOPPED), closes connections, ends tasks."""
        if self._closing:
            return
        self._closing = True
        self._deadlines.close()
        for timer in (self._idle_timer, self._drop_timer, self._turn_timer):
            if timer is not None:
                timer.cancel()
        tasks = [lane.task for lane in self._lanes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Lanes that were cancelled before their first step.
        for lane in tuple(self._lanes):
            self._leave(lane)
            await self._disconnect(lane)
        for queue in self._queues.values():
            for notification in queue.drain():
                self._finish(notification, queue, None, STOPPED)
        self._queues.clear()
        self._starving.clear()
        self._to_rouse.clear()
        self._to_start.clear()
        self._idle.clear()
        # Outcomes that `send` left to the next turn of the loop.
        await asyncio.sleep(0)
        await self._sender.close()

    def statistics(self) -> NotifierStatistics:
        """O(endpoints) for the list of the busiest."""
        busiest = heapq.nlargest(
            TOP_ENDPOINTS_MAX, self._queues.values(), key=lambda queue: queue.queued
        )
        return NotifierStatistics(
            sent=self._sent,
            failed=self._failed,
            dropped=self._dropped,
            queued=self._outstanding - self._in_flight,
            in_flight=self._in_flight,
            outstanding_bytes=self._outstanding_bytes,
            endpoints=len(self._queues),
            connections=len(self._lanes),
            top=tuple(queue.statistics() for queue in busiest),
        )

    def _accept(self, notification: Notification, queue: _Queue | None) -> None:
        size = notification.size_bytes + NOTIFICATION_OVERHEAD_BYTES
        self._outstanding += 1
        self._outstanding_bytes += size
        if queue is not None:
            queue.outstanding_bytes += size
        self._drained.clear()

    def _finish(
        self,
        notification: Notification,
        queue: _Queue | None,
        response: Response | None,
        failure: str | None,
    ) -> None:
        """Counts, logs and reports the end of an accepted notification."""
        size = notification.size_bytes + NOTIFICATION_OVERHEAD_BYTES
        self._outstanding -= 1
        self._outstanding_bytes -= size
        got_response = response is not None
        self._sent += got_response
        self._failed += not got_response
        if queue is not None:
            queue.outstanding_bytes -= size
            queue.sent += got_response
            queue.failed += not got_response
        if logger.isEnabledFor(logging.INFO) or (
            response is not None and not 200 <= response.status < 300
        ):
            self._log_end(notification, response, failure)
        try:
            notification.on_result(
                notification,
                Outcome(self._clock(), None, failure)
                if response is None
                else Outcome(self._clock(), response.status, failure, len(response.body)),
            )
        except Exception:
            logger.exception(
                "the outcome of a notification was not taken (subId: %s)",
                notification.subscription_id,
            )
        if not self._outstanding:
            self._drained.set()

    def _log_end(
        self, notification: Notification, response: Response | None, failure: str | None
    ) -> None:
        """One line per notification, under its own correlator, as Orion writes it."""
        headers = notification.headers
        this = request_context.set(
            RequestContext(
                correlator=headers.get("Fiware-Correlator", NOT_AVAILABLE),
                service=notification.tenant,
                service_path=headers.get("Fiware-ServicePath", ""),
            )
        )
        try:
            if response is not None and not 200 <= response.status < 300:
                logger.warning(
                    "Notification (subId: %s) response NOT OK, http code: %d",
                    notification.subscription_id,
                    response.status,
                )
            if not logger.isEnabledFor(logging.INFO):
                return
            text = "Notif delivered (subId: %s): %s %s, payload (%d bytes): %s, response code: %s"
            values: tuple[object, ...] = (
                notification.subscription_id,
                notification.method,
                notification.url.partition("://")[2],
                len(notification.body),
                self._log_limits.excerpt(notification.body),
                failure if response is None else response.status,
            )
            if response is not None and response.status >= 300 and response.body:
                text += ", response payload (%d bytes): %s"
                values += (len(response.body), self._log_limits.excerpt(response.body))
            logger.info(text, *values)
        finally:
            request_context.reset(this)

    def _drop(self, queue: _Queue | None, *, for_memory: bool) -> None:
        self._dropped += 1
        if queue is not None:
            queue.dropped += 1
        cause = None if for_memory else queue
        drops = self._dropping.get(cause)
        if drops is not None:
            drops.count += 1
            return
        self._dropping[cause] = _Drops()
        if cause is None:
            logger.error(
                "notification queues are full (bytes: %d, notifications: %d)",
                self._outstanding_bytes,
                self._outstanding,
            )
        else:
            logger.error(
                "notification queue is full (endpoint: %s, waiting: %d)",
                cause.endpoint,
                cause.queued,
            )
        self._watch_drops()

    def _watch_drops(self) -> None:
        if self._drop_timer is None:
            self._drop_timer = self._running_loop().call_later(
                DROP_LOG_INTERVAL_S, self._look_at_drops, context=self._context
            )

    def _look_at_drops(self) -> None:
        self._drop_timer = None
        for queue, drops in tuple(self._dropping.items()):
            half_empty = queue is None or queue.queued <= self._queue_length // 2
            if half_empty and drops.count == drops.seen:
                self._say_recovered(queue)
            drops.seen = drops.count
        if self._dropping:
            self._watch_drops()

    def _say_recovered(self, queue: _Queue | None) -> None:
        drops = self._dropping.pop(queue, None)
        if drops is None:
            return
        if queue is None:
            logger.warning("notification queues have room again (dropped: %d)", drops.count)
        else:
            logger.warning(
                "notification queue has room again (endpoint: %s, dropped: %d)",
                queue.endpoint,
                drops.count,
            )

    def _free_lane(self, queue: _Queue) -> _Lane | None:
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

    def _may_have_more_lanes(self, queue: _Queue) -> bool:
        return queue.lanes < self._lanes_per_endpoint and len(self._lanes) < self._connections_max

    def _may_start_lane(self, queue: _Queue) -> bool:
        return self._starts_left > 0 and self._may_have_more_lanes(queue)

    def _help(self, queue: _Queue) -> None:
        """Sees to it that what waits is taken: by a further lane if there may be one, else by
        those at work. An endpoint without any gets one in its turn: an idle lane elsewhere goes,
        or a busy one does after its present exchange (`_run`)."""
        if self._free_lane(queue) is None and not self._postpone(queue) and not queue.lanes:
            self._starving[queue] = None
            if self._idle and self._lacks_connections():
                self._dismiss(next(iter(self._idle)))

    def _postpone(self, queue: _Queue) -> bool:
        """Leaves an endpoint that may have another lane to a later turn of the loop."""
        if queue.idle:
            self._to_rouse[queue] = None
        elif self._may_have_more_lanes(queue):
            self._to_start[queue] = None
        else:
            return False
        return True

    def _lacks_connections(self) -> bool:
        """Whether more endpoints starve than connections are free or about to be."""
        free = self._connections_max - len(self._lanes)
        return len(self._starving) > free + self._ending

    def _expect_turn(self) -> None:
        if self._turn_timer is None:
            self._turn_timer = self._running_loop().call_soon(
                self._next_turn, context=self._context
            )

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

    def _help_next(self, postponed: dict[_Queue, None]) -> None:
        queue = next(iter(postponed))
        del postponed[queue]
        if queue.waiting:
            self._help(queue)
            if len(queue.waiting) > 1:
                self._postpone(queue)

    def _start_lane(self, queue: _Queue) -> _Lane:
        lane = _Lane(queue, self._sender.connect(queue.endpoint))
        self._starts_left -= 1
        self._expect_turn()
        queue.lanes += 1
        self._lanes.add(lane)
        self._starving.pop(queue, None)
        lane.task = self._running_loop().create_task(self._run(lane), context=self._context)
        return lane

    async def _run(self, lane: _Lane) -> None:
        queue = lane.queue
        try:
            while True:
                if lane.notification is None:
                    lane.notification = queue.take()
                if lane.notification is not None:
                    await self._deliver(lane, lane.notification)
                elif queue.waiting:
                    await asyncio.sleep(0)
                    continue
                # One exchange at least, or endpoints would only pass their turn on.
                if self._lacks_connections():
                    break
                if lane.notification is None and not queue.waiting and not await self._rest(lane):
                    break
        finally:
            self._leave(lane)
            await self._disconnect(lane)
            self._feed_starving()
            self._forget(queue)

    async def _deliver(self, lane: _Lane, notification: Notification) -> None:
        """One exchange. Leaves the next notification with the same key in `lane`, if any: it is
        older than all that wait."""
        queue = lane.queue
        response: Response | None = None
        failure: str | None = None
        timeout_s = notification.timeout_s
        self._deadlines.begin(lane, timeout_s if timeout_s > 0 else self._default_timeout_s)
        self._in_flight += 1
        queue.in_flight += 1
        try:
            response = await lane.connection.exchange(notification)
        except Undelivered as error:
            failure = error.reason
        except asyncio.CancelledError:
            if self._closing or not lane.timed_out:
                failure = STOPPED
                raise
            failure = TIMEOUT
        except Exception:
            logger.exception(
                "a notification could not be sent (subId: %s)", notification.subscription_id
            )
            failure = INTERNAL_ERROR
        finally:
            self._deadlines.end(lane)
            self._in_flight -= 1
            queue.in_flight -= 1
            lane.notification = queue.release(notification.order_key)
            self._finish(notification, queue, response, failure)

    async def _rest(self, lane: _Lane) -> bool:
        """Waits for work; False when the lane is to end."""
        loop = self._running_loop()
        lane.wake = loop.create_future()
        lane.queue.idle.append(lane)
        self._idle[lane] = loop.time()
        if self._idle_timer is None:
            self._idle_timer = loop.call_later(LANE_IDLE_S, self._end_idle)
        return await lane.wake

    def _end_idle(self) -> None:
        loop = self._running_loop()
        self._idle_timer = None
        long_ago = loop.time() - LANE_IDLE_S
        for lane in list(itertools.islice(self._idle, IDLE_LANES_ENDED_AT_ONCE)):
            if self._idle[lane] > long_ago:
                break
            self._dismiss(lane)
        if self._idle:
            oldest = next(iter(self._idle.values()))
            self._idle_timer = loop.call_at(oldest + LANE_IDLE_S, self._end_idle)

    def _dismiss(self, lane: _Lane) -> None:
        """Tells an idle lane to end."""
        lane.queue.idle.remove(lane)
        del self._idle[lane]
        self._mark_ending(lane)
        lane.rouse(to_work=False)

    def _mark_ending(self, lane: _Lane) -> None:
        if not lane.ending:
            lane.ending = True
            self._ending += 1

    def _leave(self, lane: _Lane) -> None:
        """Takes a lane off its endpoint, with what it holds going back to the queue."""
        queue = lane.queue
        self._mark_ending(lane)
        queue.lanes -= 1
        if lane.notification is not None:
            queue.put_back(lane.notification)
            lane.notification = None
        if queue.waiting and not self._closing:
            self._help(queue)

    async def _disconnect(self, lane: _Lane) -> None:
        try:
            await lane.connection.close()
        except Exception:
            logger.exception("closing a connection failed (endpoint: %s)", lane.queue.endpoint)
        finally:
            self._lanes.discard(lane)
            self._ending -= 1

    def _feed_starving(self) -> None:
        while self._starving and not self._closing:
            queue = next(iter(self._starving))
            if not self._may_start_lane(queue):
                break
            self._start_lane(queue)

    def _forget(self, queue: _Queue) -> None:
        if not queue.lanes and not queue.queued and self._queues.get(queue.endpoint) is queue:
            del self._queues[queue.endpoint]
            self._say_recovered(queue)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("Notifier.start() has not been awaited")
        return self._loop


class _Drops:
    """Notifications dropped since the log said so, and how many there were at the last look."""

    __slots__ = ("count", "seen")

    def __init__(self) -> None:
        self.count = 1
        self.seen = 0


class _Lane:
    """A task with one connection to one endpoint and at most one notification in its hands."""

    __slots__ = ("connection", "ending", "notification", "queue", "task", "timed_out", "wake")

    def __init__(self, queue: _Queue, connection: Connection) -> None:
        self.queue = queue
        self.connection = connection
        self.notification: Notification | None = None
        self.task: asyncio.Task[None]
        self.wake: asyncio.Future[bool] | None = None
        self.timed_out = False
        self.ending = False

    def rouse(self, *, to_work: bool) -> None:
        """Wakes an idle lane, to work or to end."""
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(to_work)


class _Queue:
    """What waits for one endpoint, and its counters. Every operation is O(1) (amortised)."""

    __slots__ = (
        "busy",
        "dropped",
        "endpoint",
        "failed",
        "idle",
        "in_flight",
        "lanes",
        "outstanding_bytes",
        "queued",
        "sent",
        "waiting",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        # In order of arrival. May hold keys that are in flight; `take` passes them over.
        self.waiting: deque[Notification] = deque()
        # Keys in the hands of a lane, with what has to wait for them (None: nothing). All of
        # these are older than what is in `waiting` with the same key.
        self.busy: dict[object, deque[Notification] | None] = {}
        self.idle: list[_Lane] = []
        self.queued = 0
        self.outstanding_bytes = 0
        self.lanes = 0
        self.in_flight = 0
        self.sent = 0
        self.failed = 0
        self.dropped = 0

    def claim(self, notification: Notification) -> None:
        """A lane takes a notification without its having waited."""
        self.busy[notification.order_key] = None

    def add(self, notification: Notification) -> None:
        self.queued += 1
        if not self.waiting and notification.order_key in self.busy:
            self._park(notification)
        else:
            self.waiting.append(notification)

    def take(self) -> Notification | None:
        """The oldest that may leave. None: there is none, or none among the first PARKED_AT_ONCE
        (`waiting` is not empty then)."""
        for _ in range(min(PARKED_AT_ONCE, len(self.waiting))):
            notification = self.waiting.popleft()
            if notification.order_key not in self.busy:
                self.claim(notification)
                self.queued -= 1
                return notification
            self._park(notification)
        return None

    def release(self, order_key: object) -> Notification | None:
        """After an exchange: the next with the same key, which stays busy; else None."""
        parked = self.busy[order_key]
        if parked:
            self.queued -= 1
            return parked.popleft()
        del self.busy[order_key]
        return None

    def put_back(self, notification: Notification) -> None:
        """Undoes `take`, `claim` or `release`: what the lane held is the oldest again."""
        parked = self.busy.pop(notification.order_key)
        if parked:
            self.waiting.extendleft(reversed(parked))
        self.waiting.appendleft(notification)
        self.queued += 1

    def drain(self) -> Iterator[Notification]:
        """Everything that waits; the queue is empty afterwards."""
        everything = [*(n for parked in self.busy.values() if parked for n in parked)]
        everything += self.waiting
        self.busy.clear()
        self.waiting.clear()
        self.queued = 0
        return iter(everything)

    def statistics(self) -> EndpointStatistics:
        return EndpointStatistics(
            endpoint=str(self.endpoint),
            queued=self.queued,
            in_flight=self.in_flight,
            connections=self.lanes,
            sent=self.sent,
            failed=self.failed,
            dropped=self.dropped,
        )

    def _park(self, notification: Notification) -> None:
        parked = self.busy[notification.order_key]
        if parked is None:
            self.busy[notification.order_key] = deque((notification,))
        else:
            parked.append(notification)


class _Deadlines:
    """When exchanges are given up. One timer for all of them, set for the earliest deadline at
    the time it was set; most exchanges are over long before it fires."""

    def __init__(self) -> None:
        self._of: dict[_Lane, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, lane: _Lane, timeout_s: float) -> None:
        deadline = lane.task.get_loop().time() + timeout_s
        self._of[lane] = deadline
        if self._timer is None or deadline < self._timer.when():
            self._set_timer(lane.task.get_loop(), deadline)

    def end(self, lane: _Lane) -> None:
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
