"""`Notifier`: takes notifications and delivers them in the background.

Owns: the queues of the endpoints, the counters, and what a lane does. An endpoint (scheme, host,
port) has up to `connections_per_endpoint` lanes; a lane is a connection with one request in
flight, and the end of an exchange begins the next. Notifications with the same `order_key` leave
one after the other, in the order they came; otherwise the oldest that may leave goes first.
Endpoints share nothing, so a slow or dead one delays nobody else; only when `CONNECTIONS_MAX`
connections are busy at once do they take turns (`broker.notifier.lanes`).

One try per notification, as Orion does. Everything here runs on one event loop, `send`
included.

Costs: O(1) and some microseconds at each end of a notification; no task, future or timer. An
endpoint is forgotten with its last lane.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import time
from collections.abc import Callable
from contextvars import Context
from typing import Final

from _native.request import measure_headers
from broker.logs import LogLimits
from broker.notifier.deadlines import Deadlines
from broker.notifier.delivery_log import DeliveryLog
from broker.notifier.drop_log import DropLog
from broker.notifier.endpoint_queue import EndpointQueue
from broker.notifier.lane import NEVER, Lane
from broker.notifier.lanes import Lanes
from broker.notifier.notification import (
    INTERNAL_ERROR,
    STOPPED,
    TOO_BIG,
    Notification,
    Outcome,
)
from broker.notifier.statistics import TOP_ENDPOINTS_MAX, NotifierStatistics
from broker.sender import (
    TIMEOUT,
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

_NOWHERE: Final = Endpoint("", "", 0)

_log = logging.getLogger("rigel.notifier")


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
        self._default_timeout_s = default_timeout_s
        self._max_message_bytes = max_message_bytes
        self._delivery_log = DeliveryLog(log_limits)
        self._sender: Sender = HttpSender(insecure=insecure) if sender is None else sender
        self._clock = clock

        self._queues: dict[Endpoint, EndpointQueue] = {}
        # Lanes outlive the request whose notification began them; their log lines are not its.
        context = Context()
        self._lanes = Lanes(
            connections_per_endpoint, self._make_lane, self._go_on, self._forget, context
        )
        self._drop_log = DropLog(queue_length, context)
        self._deadlines = Deadlines(self._lanes, self._give_up, context)

        self._sent = 0
        self._failed = 0
        self._dropped = 0
        self._outstanding = 0
        self._outstanding_bytes = 0

        self._closing = False
        self._drained = asyncio.Event()
        self._drained.set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Binds to the running loop. `send` may be called from then on."""
        self._loop = asyncio.get_running_loop()
        self._lanes.start(self._loop)
        self._deadlines.start(self._loop)
        await self._sender.start()

    def send(self, notification: Notification) -> bool:
        """Takes a notification for delivery, or drops it and returns False when the endpoint's
        queue or the memory for all queues is full (or the notifier is closed).

        Never waits and never raises for what is in the notification: a URL that is none and a
        message that is too big are outcomes.
        """
        if self._closing:
            self._dropped += 1
            return False
        message_bytes = len(notification.body) + measure_headers(notification.headers)
        size = notification.size_bytes = message_bytes + NOTIFICATION_OVERHEAD_BYTES
        if message_bytes > self._max_message_bytes:
            return self._refuse(notification, TOO_BIG)
        try:
            endpoint = locate(notification.url).endpoint
        except Undelivered as error:
            return self._refuse(notification, error.reason)

        queue = self._queues.get(endpoint)
        if queue is None:
            if self._outstanding_bytes + size > OUTSTANDING_BYTES_MAX:
                self._drop(None, for_memory=True)
                return False
            queue = self._queues[endpoint] = EndpointQueue(endpoint)
        elif queue.outstanding_bytes + self._outstanding_bytes + size > OUTSTANDING_BYTES_MAX:
            self._drop(queue, for_memory=True)
            return False
        if not queue.waiting and notification.order_key not in queue.busy:
            lane = self._lanes.free(queue)
            if lane is not None:
                self._accept(size, queue)
                queue.claim(notification)
                self._begin(lane, notification)
                return True
        if queue.queued >= self._queue_length:
            self._drop(queue, for_memory=False)
            return False
        self._accept(size, queue)
        queue.add(notification)
        if queue.waiting:
            self._lanes.help(queue)
        return True

    async def drain(self, timeout_s: float) -> int:
        """Waits until everything accepted is finished; returns how many are not after
        `timeout_s`. Notifications may be accepted meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._drained.wait()
        return self._outstanding

    async def close(self) -> None:
        """Gives up what is not delivered (outcome STOPPED) and closes connections."""
        if self._closing:
            return
        self._closing = True
        self._deadlines.close()
        self._drop_log.close()
        for lane in self._lanes.close():
            if lane.notification is not None:
                following = self._conclude(lane, None, STOPPED)
                if following is not None:
                    lane.queue.put_back(following)
        for queue in self._queues.values():
            for notification in queue.drain():
                self._finish(notification, queue, None, STOPPED)
        self._queues.clear()
        # Outcomes that `send` left to the next turn of the loop.
        await asyncio.sleep(0)
        await self._sender.close()

    def statistics(self) -> NotifierStatistics:
        """O(endpoints) for the list of the busiest."""
        busiest = heapq.nlargest(
            TOP_ENDPOINTS_MAX, self._queues.values(), key=lambda queue: queue.queued
        )
        in_flight = self._lanes.count_sending()
        return NotifierStatistics(
            sent=self._sent,
            failed=self._failed,
            dropped=self._dropped,
            queued=self._outstanding - in_flight,
            in_flight=in_flight,
            outstanding_bytes=self._outstanding_bytes,
            endpoints=len(self._queues),
            connections=len(self._lanes),
            top=tuple(queue.statistics() for queue in busiest),
        )

    def _accept(self, size: int, queue: EndpointQueue) -> None:
        if not self._outstanding:
            self._drained.clear()
        self._outstanding += 1
        self._outstanding_bytes += size
        queue.outstanding_bytes += size

    def _refuse(self, notification: Notification, failure: str) -> bool:
        """It is accepted, and its outcome is there in the next turn of the loop."""
        queue = EndpointQueue(_NOWHERE)
        self._accept(notification.size_bytes, queue)
        self._running_loop().call_soon(self._finish, notification, queue, None, failure)
        return True

    def _finish(
        self,
        notification: Notification,
        queue: EndpointQueue,
        response: Response | None,
        failure: str | None,
    ) -> None:
        """Counts, logs and reports the end of an accepted notification."""
        size = notification.size_bytes
        self._outstanding -= 1
        self._outstanding_bytes -= size
        queue.outstanding_bytes -= size
        if response is not None:
            self._sent += 1
            queue.sent += 1
            outcome = Outcome(self._clock(), response.status, None, len(response.body))
        else:
            self._failed += 1
            queue.failed += 1
            outcome = Outcome(self._clock(), None, failure)
        self._delivery_log.end(notification, response, failure)
        try:
            notification.on_result(notification, outcome)
        except Exception:
            _log.exception(
                "the outcome of a notification was not taken (subId: %s)",
                notification.subscription_id,
            )
        if not self._outstanding:
            self._drained.set()

    def _drop(self, queue: EndpointQueue | None, *, for_memory: bool) -> None:
        self._dropped += 1
        if queue is not None:
            queue.dropped += 1
        self._drop_log.count(
            None if for_memory else queue, self._outstanding_bytes, self._outstanding
        )

    def _make_lane(self, queue: EndpointQueue) -> Lane:
        return Lane(queue, self._sender.connect(queue.endpoint), self._end)

    def _begin(self, lane: Lane, notification: Notification) -> None:
        """One exchange, of a notification whose key is claimed."""
        lane.notification = notification
        timeout_s = notification.timeout_s
        self._deadlines.begin(lane, timeout_s if timeout_s > 0 else self._default_timeout_s)
        try:
            lane.connection.exchange(notification, lane.on_end)
        except Exception:
            _log.exception(
                "a notification could not be sent (subId: %s)", notification.subscription_id
            )
            self._running_loop().call_soon(self._fail, lane, notification)

    def _fail(self, lane: Lane, notification: Notification) -> None:
        if lane.notification is notification:
            lane.connection.give_up()
            self._end(lane, None, INTERNAL_ERROR)

    def _give_up(self, lane: Lane) -> None:
        """The time for an exchange is over."""
        lane.connection.give_up()
        self._end(lane, None, TIMEOUT)

    def _end(self, lane: Lane, response: Response | None, failure: str | None) -> None:
        """The end of an exchange is the beginning of the next."""
        following = self._conclude(lane, response, failure)
        # After one exchange at least, or endpoints would only pass their turn on.
        if self._lanes.starving and self._lanes.lacks_connections():
            if following is not None:
                lane.queue.put_back(following)
            self._lanes.end(lane)
        elif following is not None:
            self._begin(lane, following)
        elif failure is not None and not lane.queue.waiting:
            # Its connection is closed, so that a new lane is as good: those take turns.
            self._lanes.end(lane)
        else:
            self._go_on(lane)

    def _conclude(
        self, lane: Lane, response: Response | None, failure: str | None
    ) -> Notification | None:
        """Counts and reports. Returns the next notification with the same key, if any: it is
        older than all that wait."""
        queue = lane.queue
        notification = lane.notification
        assert notification is not None
        lane.notification = None
        lane.deadline = NEVER
        following = queue.release(notification.order_key)
        self._finish(notification, queue, response, failure)
        return following

    def _go_on(self, lane: Lane) -> None:
        """Sets a lane with nothing in hand to work on what waits, or to rest."""
        if lane.has_ended:
            return
        queue = lane.queue
        notification = queue.take() if queue.waiting else None
        if notification is not None:
            self._begin(lane, notification)
        elif queue.waiting:
            # Others may leave, but were too far behind to be found at once.
            self._running_loop().call_soon(self._go_on, lane)
        else:
            self._lanes.rest(lane)

    def _forget(self, queue: EndpointQueue) -> None:
        if not queue.lanes and not queue.queued and self._queues.get(queue.endpoint) is queue:
            del self._queues[queue.endpoint]
            self._drop_log.end(queue)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("Notifier.start() has not been awaited")
        return self._loop
