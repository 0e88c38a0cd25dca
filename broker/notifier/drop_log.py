"""What the log says of notifications that are dropped: one line when a queue is full and one
when it has room again, however many there were between."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import Final

from broker.notifier.endpoint_queue import EndpointQueue

DROP_LOG_INTERVAL_S: Final = 1.0
"""An endpoint has recovered when it has dropped nothing for so long: bounds the log lines of a
queue that fills and empties quickly."""

_log = logging.getLogger("rigel.notifier")


class DropLog:
    """Counts and tells of drops, by cause: a queue, or None for want of memory."""

    def __init__(self, queue_length: int, context: Context) -> None:
        """`context`: whose log lines those of the timer are."""
        self._queue_length = queue_length
        self._context = context
        self._dropping: dict[EndpointQueue | None, _Drops] = {}
        self._timer: asyncio.TimerHandle | None = None

    def count(self, cause: EndpointQueue | None, outstanding_bytes: int, outstanding: int) -> None:
        """One was dropped; the figures are of all that is accepted and not finished."""
        drops = self._dropping.get(cause)
        if drops is not None:
            drops.count += 1
            return
        self._dropping[cause] = _Drops()
        if cause is None:
            _log.error(
                "notification queues are full (bytes: %d, notifications: %d)",
                outstanding_bytes,
                outstanding,
            )
        else:
            _log.error(
                "notification queue is full (endpoint: %s, waiting: %d)",
                cause.endpoint,
                cause.queued,
            )
        self._watch()

    def end(self, queue: EndpointQueue | None) -> None:
        """A queue has room again, or is no more."""
        drops = self._dropping.pop(queue, None)
        if drops is None:
            return
        if queue is None:
            _log.warning("notification queues have room again (dropped: %d)", drops.count)
        else:
            _log.warning(
                "notification queue has room again (endpoint: %s, dropped: %d)",
                queue.endpoint,
                drops.count,
            )

    def close(self) -> None:
        """Tell of nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(
                DROP_LOG_INTERVAL_S, self._look, context=self._context
            )

    def _look(self) -> None:
        self._timer = None
        for queue, drops in tuple(self._dropping.items()):
            half_empty = queue is None or queue.queued <= self._queue_length // 2
            if half_empty and drops.count == drops.seen:
                self.end(queue)
            drops.seen = drops.count
        if self._dropping:
            self._watch()


class _Drops:
    """Notifications dropped since the log said so, and how many there were at the last look."""

    __slots__ = ("count", "seen")

    def __init__(self) -> None:
        self.count = 1
        self.seen = 0
