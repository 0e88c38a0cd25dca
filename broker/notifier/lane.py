"""A task with one connection, which takes the notifications of one endpoint one by one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.notifier.notification import Notification
from broker.sender import Connection

if TYPE_CHECKING:
    from broker.notifier.endpoint_queue import EndpointQueue


class Lane:
    """A task with one connection to one endpoint and at most one notification in its hands."""

    __slots__ = ("connection", "ending", "notification", "queue", "task", "timed_out", "wake")

    def __init__(self, queue: EndpointQueue, connection: Connection) -> None:
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
