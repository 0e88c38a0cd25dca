"""A connection that takes the notifications of one endpoint one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from broker.notifier.notification import Notification
from broker.sender import Connection, OnEnd, Response

if TYPE_CHECKING:
    from broker.notifier.endpoint_queue import EndpointQueue

NEVER: Final = math.inf


class Lane:
    """One connection to one endpoint with at most one notification under way.

    It is idle (with `Lanes`), has a notification under way, or is about to look for the next.
    """

    __slots__ = ("connection", "deadline", "has_ended", "notification", "on_end", "queue")

    def __init__(
        self,
        queue: EndpointQueue,
        connection: Connection,
        end: Callable[[Lane, Response | None, str | None], None],
    ) -> None:
        """`end` hears how each exchange ended."""
        self.queue = queue
        self.connection = connection
        self.notification: Notification | None = None
        self.deadline = NEVER  # loop time at which the exchange is given up
        self.has_ended = False
        self.on_end: OnEnd = partial(end, self)
