"""The way to one endpoint: opened when it is needed, and again when it was found closed.

Owns: when a socket is opened, and the one case in which a request is sent a second time. Must
not: know what is sent, or follow redirects. Costs: a task for each opening, nothing beside the
wire's own for an exchange.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context

from _native import wire as native
from _native.response import ResponseParser
from broker.sender.dialer import Dialer
from broker.sender.endpoint import Endpoint
from broker.sender.failures import COULD_NOT_CONNECT, NOTHING_RETURNED, Undelivered
from broker.sender.wire import Wire


class Line(native.Line):
    """At most one socket to an endpoint; one request at a time."""

    def __init__(
        self,
        endpoint: Endpoint,
        dialer: Dialer,
        on_answer: Callable[[ResponseParser], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """One of the two is called once for each request, never from within `ask`. The parser
        holds the response until the next request."""
        self._endpoint = endpoint
        self._dialer = dialer
        self._on_answer = on_answer
        self._on_failure = on_failure
        self._opening: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Closes the socket, if there is one. A request under way is forgotten."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def open(self) -> None:
        """Opens a socket, and sends what is to be asked."""
        # What happens on the socket happens in the context in which it was opened, and that is
        # not the context of the request which caused the first notification.
        self._opening = self._dialer.loop.create_task(self._open_and_send(), context=Context())

    async def _open_and_send(self) -> None:
        wire = Wire(self._on_answer, self._break)
        failure = COULD_NOT_CONNECT
        try:
            await self._dialer.dial(self._endpoint, wire)
            # Not so if the peer hung up at once, or sent something before it was asked.
            failure = "" if wire.is_open else NOTHING_RETURNED
        except asyncio.CancelledError:
            wire.close()
            raise
        except Undelivered as error:
            failure = error.reason
        finally:
            if self._opening is asyncio.current_task():
                self._opening = None
                if failure:
                    self._on_failure(failure)
        if not failure:
            self._wire = wire
            wire.send(self._message, self._is_head)

    def _break(self, wire: Wire, failure: str) -> None:
        self._wire = None
        if wire.may_have_been_stale:
            # The peer closed an idle connection while we were writing to it.
            self.open()
        else:
            self._on_failure(failure)
