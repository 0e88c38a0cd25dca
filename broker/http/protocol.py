"""Connections: how many there may be, and what a client hears that speaks no proper HTTP.

aiohttp's own handler with two changes: malformed requests get Orion's error payload instead of
plain text, and connections beyond the limit are closed at once. It leans on aiohttp 3.14.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from broker.http.replies import reply_error
from ngsi.errors import BadRequest, InternalServerError, NgsiError

_log = logging.getLogger("rigel.http")


class BrokerHandler(RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what could not be read as a request; closes the connection."""
        error: NgsiError
        if 400 <= status < 500:
            first_line = (message or "malformed HTTP request").splitlines()[0]
            _log.info("malformed request from %s: %s", request.remote, first_line)
            error = BadRequest(first_line)
        else:
            _log.error("error in a connection from %s", request.remote, exc_info=exc)
            error = InternalServerError("internal error, see the broker's log")
        response = reply_error(error)
        response.force_close()
        return response


class BrokerServer(Server):
    """Makes the handlers of connections, `max_connections` at a time."""

    def __init__(self, server: Server, max_connections: int) -> None:
        super().__init__(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            loop=server._loop,
            **server._kwargs,
        )
        self._max_connections = max_connections
        self._is_full = False

    def __call__(self) -> RequestHandler:
        return BrokerHandler(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection, or close it when there are too many."""
        super().connection_made(handler, transport)
        is_full = len(self._connections) > self._max_connections
        if is_full:
            transport.abort()
        if is_full is not self._is_full:
            self._is_full = is_full
            if is_full:
                _log.warning("%d connections: further ones are refused", self._max_connections)


class BrokerRunner(web.AppRunner):
    """Runs the application on BrokerServer."""

    __slots__ = ("_max_connections",)

    def __init__(self, application: web.Application, max_connections: int, **options: Any) -> None:
        super().__init__(application, **options)
        self._max_connections = max_connections

    async def _make_server(self) -> Server:
        return BrokerServer(await super()._make_server(), self._max_connections)
