"""Connections: how many there may be, and what a client hears that speaks no proper HTTP.

aiohttp's own handler with three changes: malformed requests get Orion's error payload instead of
plain text, connections beyond the limit are closed at once, and a request whose body is under
way when the broker stops is read to its end. It leans on aiohttp 3.14.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any, Final

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from ngsi.errors import BadRequest, InternalServerError, MethodNotAllowed, NgsiError

_log = logging.getLogger("rigel.http")

Refusal = Callable[[NgsiError], web.Response]
AllowedMethods = Callable[[str], str]  # of a path, as the header Allow has them

MAX_HEAD_BYTES: Final = 65536  # of the request line, and of one header, as Orion's
_UNKNOWN_METHOD: Final = re.compile(r"Invalid method encountered:\s+b'[!-~]+ ([^\s?]+)")


class BrokerHandler(RequestHandler):
    """One connection."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Take bytes, also after the stop has begun if they belong to an accepted request."""
        if (self._close or self._force_close) and self._is_reading_body():
            state = self._close, self._force_close
            self._close = self._force_close = False
            try:
                super().data_received(data)
            finally:
                self._close, self._force_close = state
        else:
            super().data_received(data)

    def _is_reading_body(self) -> bool:
        request = self._current_request
        if request is not None and not request.content.is_eof():
            return True
        return any(not payload.is_eof() for _, payload in self._messages)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what could not be read as a request; closes the connection."""
        assert isinstance(self._manager, BrokerServer)
        request._version = HttpVersion11  # not known from what was no request
        response = self._manager.refuse(self._make_error(request, status, exc, message or ""))
        response.force_close()
        return response

    def _make_error(
        self, request: web.BaseRequest, status: int, exc: BaseException | None, message: str
    ) -> NgsiError:
        if not 400 <= status < 500:
            _log.error("error in a connection from %s", request.remote, exc_info=exc)
            return InternalServerError("internal error, see the broker's log")
        first_line = message.partition("\n")[0]
        _log.info("malformed request from %s: %s", request.remote, first_line)
        unknown = _UNKNOWN_METHOD.match(message)
        if unknown is not None:
            assert isinstance(self._manager, BrokerServer)
            allowed = self._manager.allowed_methods(unknown[1])
            if allowed:
                return MethodNotAllowed(allowed)
        if isinstance(exc, LineTooLong):
            return BadRequest(f"request line or header of more than {MAX_HEAD_BYTES} bytes")
        return BadRequest(first_line.rstrip(":") or "malformed HTTP request")


class BrokerServer(Server):
    """Makes the handlers of connections, `max_connections` at a time.

    `refuse` makes the response of an error, `allowed_methods` knows the methods of a path.
    """

    def __init__(
        self,
        server: Server,
        max_connections: int,
        refuse: Refusal,
        allowed_methods: AllowedMethods,
    ) -> None:
        super().__init__(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            loop=server._loop,
            **server._kwargs,
        )
        self.refuse = refuse
        self.allowed_methods = allowed_methods
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

    __slots__ = ("_arguments",)

    def __init__(
        self,
        application: web.Application,
        max_connections: int,
        refuse: Refusal,
        allowed_methods: AllowedMethods,
        **options: Any,
    ) -> None:
        super().__init__(
            application, max_line_size=MAX_HEAD_BYTES, max_field_size=MAX_HEAD_BYTES, **options
        )
        self._arguments = (max_connections, refuse, allowed_methods)

    async def _make_server(self) -> Server:
        return BrokerServer(await super()._make_server(), *self._arguments)
