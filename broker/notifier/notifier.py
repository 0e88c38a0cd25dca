"""`Notifier`: takes notifications and delivers them in the background.

Owns: the queues of the endpoints, the counters, and what a lane does; what is done for every
notification is native (`_native.delivery`). An endpoint (scheme, host,
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

from _native import delivery as native
from _native.delivery import Lane
from broker.logs import LogLimits
from broker.notifier.deadlines import Deadlines
from broker.notifier.delivery_log import DeliveryLog
from broker.notifier.drop_log import DropLog
from broker.notifier.endpoint_queue import EndpointQueue
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


class Notifier(native.Delivery):
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
        delivery_log = DeliveryLog(log_limits)
        super().__init__(
            queue_length=queue_length,
            max_message_bytes=max_message_bytes,
            outstanding_bytes_max=OUTSTANDING_BYTES_MAX,
            overhead_bytes=NOTIFICATION_OVERHEAD_BYTES,
            default_timeout_s=default_timeout_s,
            clock=clock,
            outcome=Outcome,
            locate=locate,
            log=_log,
            log_end=delivery_log.end,
        )
        self._sender: Sender = HttpSender(insecure=insecure) if sender is None else sender
        # Lanes outlive the request whose notification began them; their log lines are not its.
        context = Context()
        self._lanes = Lanes(
            connections_per_endpoint, self._make_lane, self.set_to_work, self._forget, context
        )
        self._drop_log = DropLog(queue_length, context)
        self._deadlines = Deadlines(self._lanes, self._give_up, context)

        self._drained = asyncio.Event()
        self._drained.set()

    async def start(self) -> None:
        """Binds to the running loop. `send` may be called from then on."""
        self._loop = loop = asyncio.get_running_loop()
        self._lanes.start(loop)
        self._deadlines.start(loop)
        await self._sender.start()

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
                following = self.conclude_exchange(lane, None, STOPPED)
                if following is not None:
                    lane.queue.put_back(following)
        for queue in self._queues.values():
            for notification in queue.drain():
                self.finish_unsent(notification, queue, STOPPED)
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

    # What the native part leaves to this one

    def refuse_size(self, notification: Notification) -> bool:
        """A message is too big; that is its outcome."""
        return self._refuse(notification, TOO_BIG)

    def refuse_url(self, notification: Notification, error: Exception) -> bool:
        """No receiver can be found in a URL; that is the outcome."""
        if not isinstance(error, Undelivered):
            raise error
        return self._refuse(notification, error.reason)

    def make_queue(self, endpoint: Endpoint) -> EndpointQueue:
        """The queue of an endpoint that has none."""
        return EndpointQueue(endpoint)

    def log_drop(self, cause: EndpointQueue | None) -> None:
        """A notification was dropped: a queue was full, or, with None, memory."""
        self._drop_log.count(cause, self._outstanding_bytes, self._outstanding)

    def begin_work(self) -> None:
        """There is something to deliver."""
        self._drained.clear()

    def end_work(self) -> None:
        """There is nothing to deliver any more."""
        self._drained.set()

    def fail_later(self, lane: Lane, notification: Notification) -> None:
        """An exchange could not be begun, by an error that is being handled."""
        _log.exception("a notification could not be sent (subId: %s)", notification.subscription_id)
        self._running_loop().call_soon(self._fail, lane, notification)

    def log_untold(self, notification: Notification) -> None:
        """An outcome was not taken, by an error that is being handled."""
        _log.exception(
            "the outcome of a notification was not taken (subId: %s)",
            notification.subscription_id,
        )

    def _refuse(self, notification: Notification, failure: str) -> bool:
        """It is accepted, and its outcome is there in the next turn of the loop."""
        queue = EndpointQueue(_NOWHERE)
        self.take_over(notification, queue)
        self._running_loop().call_soon(self.finish_unsent, notification, queue, failure)
        return True

    def _make_lane(self, queue: EndpointQueue) -> Lane:
        return Lane(queue, self._sender.connect(queue.endpoint), self)

    def _fail(self, lane: Lane, notification: Notification) -> None:
        if lane.notification is notification:
            lane.connection.give_up()
            self.end_exchange(lane, None, INTERNAL_ERROR)

    def _give_up(self, lane: Lane) -> None:
        """The time for an exchange is over."""
        lane.connection.give_up()
        self.end_exchange(lane, None, TIMEOUT)

    def _forget(self, queue: EndpointQueue) -> None:
        if not queue.lanes and not queue.queued and self._queues.get(queue.endpoint) is queue:
            del self._queues[queue.endpoint]
            self._drop_log.end(queue)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop | None = self._loop
        if loop is None:
            raise RuntimeError("Notifier.start() has not been awaited")
        return loop
