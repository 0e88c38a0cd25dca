"""`Notifier`: takes notifications and delivers them in the background.

Owns: the queues of the endpoints, the counters, and what a lane does. An endpoint (scheme, host,
port) has up to `connections_per_endpoint` lanes; a lane is a task with one connection and one
request in flight. Notifications with the same `order_key` leave one after the other, in the
order they came; otherwise the oldest that may leave goes first. Endpoints share nothing, so a
slow or dead one delays nobody else; only when `CONNECTIONS_MAX` connections are busy at once do
they take turns (`broker.notifier.lanes`).

One try per notification, as Orion does. Everything here runs on one event loop, `send`
included.

Costs: `send` is O(1), two to three microseconds; no task and no timer per notification. An
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

from broker.logs import LogLimits
from broker.notifier.deadlines import Deadlines
from broker.notifier.delivery_log import DeliveryLog
from broker.notifier.drop_log import DropLog
from broker.notifier.endpoint_queue import EndpointQueue
from broker.notifier.lane import Lane
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
        self._lanes = Lanes(self._sender, connections_per_endpoint, self._run, context)
        self._drop_log = DropLog(queue_length, context)
        self._deadlines = Deadlines()

        self._sent = 0
        self._failed = 0
        self._dropped = 0
        self._in_flight = 0
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
            queue = self._queues[endpoint] = EndpointQueue(endpoint)
        if not queue.waiting and notification.order_key not in queue.busy:
            lane = self._lanes.free(queue)
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
        """Gives up what is not delivered (outcome STOPPED), closes connections, ends tasks."""
        if self._closing:
            return
        self._closing = True
        self._deadlines.close()
        self._drop_log.close()
        await self._lanes.close()
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

    def _accept(self, notification: Notification, queue: EndpointQueue | None) -> None:
        size = notification.size_bytes + NOTIFICATION_OVERHEAD_BYTES
        self._outstanding += 1
        self._outstanding_bytes += size
        if queue is not None:
            queue.outstanding_bytes += size
        self._drained.clear()

    def _finish(
        self,
        notification: Notification,
        queue: EndpointQueue | None,
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
        self._delivery_log.end(notification, response, failure)
        try:
            notification.on_result(
                notification,
                Outcome(self._clock(), None, failure)
                if response is None
                else Outcome(self._clock(), response.status, failure, len(response.body)),
            )
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

    async def _run(self, lane: Lane) -> None:
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
                if self._lanes.lacks_connections():
                    break
                if (
                    lane.notification is None
                    and not queue.waiting
                    and not await self._lanes.rest(lane)
                ):
                    break
        finally:
            await self._lanes.end(lane)
            self._forget(queue)

    async def _deliver(self, lane: Lane, notification: Notification) -> None:
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
            _log.exception(
                "a notification could not be sent (subId: %s)", notification.subscription_id
            )
            failure = INTERNAL_ERROR
        finally:
            self._deadlines.end(lane)
            self._in_flight -= 1
            queue.in_flight -= 1
            lane.notification = queue.release(notification.order_key)
            self._finish(notification, queue, response, failure)

    def _forget(self, queue: EndpointQueue) -> None:
        if not queue.lanes and not queue.queued and self._queues.get(queue.endpoint) is queue:
            del self._queues[queue.endpoint]
            self._drop_log.end(queue)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("Notifier.start() has not been awaited")
        return self._loop
