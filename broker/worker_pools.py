"""Orion's notification mode `threadpool`: bounded queues with workers, some of one service alone.

Owns: how many notifications are on their way at once and how many may wait, for each pool. A
worker is no thread but a place: it is taken while one notification is being delivered. Stands
before the ways out and knows nothing of protocols. Must not: deliver, or change an order: what
has the same `order_key` leaves one after the other and takes one worker.

Costs: O(1) and a closure per notification. Memory is bounded by the length of each queue and by
`OUTSTANDING_BYTES_MAX`.

Source: Orion's administration manual, "Performance tuning", section "Notification modes and
performance".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from broker.logs import NOT_AVAILABLE, RequestContext, request_context
from broker.mqtt import MqttMessage
from broker.notifier import STOPPED, Notification, OrderedQueue, Outcome
from broker.settings.values import NotificationMode

OUTSTANDING_BYTES_MAX: Final = 512 * 1024 * 1024
"""Bytes of all that waits or is being delivered, over all pools: the longest queue times the
largest message would be more than any machine has. As much as one notifier takes."""

MESSAGE_OVERHEAD_BYTES: Final = 1024
"""What a message costs beside its body and headers, so that a million empty ones count too."""

FULL: Final = "notification queue is full"

_DEFAULT: Final = "default"  # what Orion calls the pool of services that have none of their own

_log = logging.getLogger("rigel.notifier")

_Message: TypeAlias = Notification | MqttMessage


class WorkerPools:
    """The pools of one broker, before `deliver`, which queues a message or refuses it."""

    def __init__(self, deliver: Callable[[_Message], bool], mode: NotificationMode) -> None:
        self._deliver = deliver
        self._default = _Pool(_DEFAULT, mode.queue_length, mode.workers)
        self._reserved = {
            queue.service: _Pool(queue.service, queue.queue_length, queue.workers)
            for queue in mode.services
        }
        self._bytes = 0
        self._outstanding = 0
        self._is_closed = False
        self._drained = asyncio.Event()
        self._drained.set()
        self.dropped = 0

    def send(self, message: _Message) -> bool:
        """Queue a message, or drop it and return False when its pool has no room."""
        pool = self._pool(message.tenant)
        size = _size(message)
        if self._is_closed:
            self.dropped += 1
            return False
        if pool.outstanding >= pool.capacity or self._bytes + size > OUTSTANDING_BYTES_MAX:
            self._drop(pool, message)
            return False
        queue = pool.queue
        has_worker = pool.in_flight < pool.workers
        if has_worker and not queue.waiting and message.order_key not in queue.busy:
            queue.claim(message)
            self._count(pool, size)
            if self._start(pool, message):
                return True
            queue.release(message.order_key)
            self._uncount(pool, size)
            return False
        self._count(pool, size)
        queue.add(message)
        self._fill(pool, None)
        return True

    def queued(self, service: str) -> int:
        """How many wait in the pool of a service, beyond those that its workers could have."""
        return self._pool(service).queued

    def queued_in_all(self) -> int:
        """As `queued`, of all pools together."""
        return self._default.queued + sum(pool.queued for pool in self._reserved.values())

    async def drain(self, timeout_s: float) -> int:
        """Wait until all is delivered; returns how many are not after `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._drained.wait()
        return self._outstanding

    def close(self) -> None:
        """Give up what waits (outcome STOPPED); what is being delivered is its notifier's."""
        self._is_closed = True
        for pool in (self._default, *self._reserved.values()):
            for message in pool.queue.drain():
                self._give_up(pool, message, STOPPED)

    def _pool(self, service: str) -> _Pool:
        return self._reserved.get(service, self._default)

    def _start(self, pool: _Pool, message: _Message) -> bool:
        """Give a message, whose key is claimed, to a worker; False when it is refused."""
        tell: Callable[[Any, Outcome], None] = message.on_result

        def finish(message: _Message, outcome: Outcome) -> None:
            self._finish(pool, message, outcome, tell)

        message.on_result = finish
        pool.in_flight += 1
        if self._deliver(message):
            return True
        pool.in_flight -= 1
        message.on_result = tell
        return False

    def _finish(
        self,
        pool: _Pool,
        message: _Message,
        outcome: Outcome,
        tell: Callable[[Any, Outcome], None],
    ) -> None:
        pool.in_flight -= 1
        following = None if self._is_closed else pool.queue.release(message.order_key)
        try:
            tell(message, outcome)
        finally:
            self._uncount(pool, _size(message))
            self._fill(pool, following)

    def _fill(self, pool: _Pool, following: _Message | None) -> None:
        """Set free workers to work; `following` comes first, and its key is claimed."""
        while not self._is_closed and pool.in_flight < pool.workers:
            message = pool.queue.take() if following is None else following
            if message is None:
                if pool.queue.waiting and not pool.is_to_be_filled:
                    # Others of the queue may leave, but were too far behind to be found at once.
                    pool.is_to_be_filled = True
                    asyncio.get_running_loop().call_soon(self._fill_again, pool)
                return
            if self._start(pool, message):
                following = None
            else:
                following = pool.queue.release(message.order_key)
                self._give_up(pool, message, FULL)

    def _fill_again(self, pool: _Pool) -> None:
        pool.is_to_be_filled = False
        self._fill(pool, None)

    def _give_up(self, pool: _Pool, message: _Message, failure: str) -> None:
        self._uncount(pool, _size(message))
        tell: Callable[[Any, Outcome], None] = message.on_result
        tell(message, Outcome(at=time.time(), status=None, failure=failure))

    def _count(self, pool: _Pool, size: int) -> None:
        pool.outstanding += 1
        self._outstanding += 1
        self._bytes += size
        self._drained.clear()

    def _uncount(self, pool: _Pool, size: int) -> None:
        pool.outstanding -= 1
        self._outstanding -= 1
        self._bytes -= size
        if not self._outstanding:
            self._drained.set()

    def _drop(self, pool: _Pool, message: _Message) -> None:
        """Count and log a drop: a line for each, in Orion's words."""
        self.dropped += 1
        headers = message.headers if isinstance(message, Notification) else {}
        this = request_context.set(
            RequestContext(
                correlator=headers.get("Fiware-Correlator", NOT_AVAILABLE),
                service=message.tenant,
                service_path=headers.get("Fiware-ServicePath", ""),
            )
        )
        try:
            _log.error("Runtime Error (%s %s)", pool.name, FULL)
        finally:
            request_context.reset(this)


class _Pool:
    """A queue and its workers."""

    def __init__(self, name: str, queue_length: int, workers: int) -> None:
        self.name = name
        self.workers = workers
        self.capacity = queue_length + workers
        self.queue: OrderedQueue[_Message] = OrderedQueue()
        self.outstanding = 0  # waits or is being delivered
        self.in_flight = 0
        self.is_to_be_filled = False

    @property
    def queued(self) -> int:
        """What Orion's queue would hold: there, a worker takes whatever comes next."""
        return max(0, self.outstanding - self.workers)


def _size(message: _Message) -> int:
    size = MESSAGE_OVERHEAD_BYTES + len(message.body)
    if isinstance(message, Notification):
        for name, value in message.headers.items():
            size += len(name) + len(value)
    return size
