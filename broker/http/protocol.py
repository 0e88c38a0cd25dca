"""Connections: how many there may be, and what a client hears that speaks no proper HTTP.

aiohttp's own handler with four changes: malformed requests get Orion's error payload instead of
plain text, connections beyond the limit are closed at once, a request whose body is under way
when the broker stops is read to its end, and a client that has said all (a half-closed
connection) still hears the answers. It leans on aiohttp 3.14.
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

from broker.http.replies import Reply
from broker.http.responses import make_response
from ngsi.errors import BadRequest, InternalServerError, MethodNotAllowed, NgsiError

_log = logging.getLogger("rigel.http")

Refusal = Callable[[NgsiError, str], Reply]  # of an error and the path, "" if there is none
AllowedMethods = Callable[[str], str]  # of a path, as the header Allow has them

MAX_HEAD_BYTES: Final = 65536  # of the request line, and of one header, as Orion's
_UNKNOWN_METHOD: Final = re.compile(r"Invalid method encountered:\s+b'[!-~]+ ([^\s?]+)")


class BrokerHandler(RequestHandler):
    """One connection."""

    __slots__ = ("is_half_closed",)

    def __init__(self, manager: Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self.is_half_closed = False  # the client sends no more

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

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more; whether the connection stays open for what it has asked."""
        self.is_half_closed = True
        # TLS knows no half-closed connections.
        if self.ssl_context is not None or self._is_idle() or self._is_reading_body():
            return False
        if not self._messages:
            self._close = True  # after the request under way, which may be all but answered
        return True

    def _is_idle(self) -> bool:
        """Whether aiohttp has answered all that it was given."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            # Not even begun, or with a request.
            return not self._request_count
        return not (self._messages or self._upgraded or self._payload_parser is not None)

    def _process_keepalive(self) -> None:
        if self.is_half_closed and self._is_reading_body():
            self.force_close()  # what is missing never comes
        else:
            super()._process_keepalive()

    def is_heard(self) -> bool:
        """Whether the client may still be there."""
        return self.transport is not None and not self.is_half_closed

    def has_more(self) -> bool:
        """Whether there may be another request after the one that is being answered."""
        return not self.is_half_closed or bool(self._messages)

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
        unknown = _UNKNOWN_METHOD.match(message or "")
        path = "" if unknown is None else unknown[1]
        error = self._make_error(request, status, exc, message or "", path)
        reply = self._manager.refuse(error, path)
        response = make_response(reply)
        response.force_close()
        return response

    def _make_error(
        self,
        request: web.BaseRequest,
        status: int,
        exc: BaseException | None,
        message: str,
        path: str,
    ) -> NgsiError:
        if not 400 <= status < 500:
            _log.error("error in a connection from %s", request.remote, exc_info=exc)
            return InternalServerError("internal error, see the broker's log")
        first_line = message.partition("\n")[0]
        _log.info("malformed request from %s: %s", request.remote, first_line)
        if path:
            assert isinstance(self._manager, BrokerServer)
            allowed = self._manager.allowed_methods(path)
            if allowed:
                return MethodNotAllowed(allowed)
        if isinstance(exc, LineTooLong):
            return BadRequest(f"request line or header of more than {MAX_HEAD_BYTES} bytes")
        return BadRequest(first_line.rstrip(":") or "malformed HTTP request")


class BrokerServer(Server):
    """Makes the handlers of connections, `max_connections` at a time.

    `refuse` makes the reply of an error, `allowed_methods` knows the methods of a path.
    """

    def __init__(
        self,
        server: Server,
        max_connections: int,
        refuse: Refusal,
        allowed_methods: AllowedMethods,
        make_handler: Callable[..., BrokerHandler],
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
        self._make_handler = make_handler
        self._max_connections = max_connections
        self._is_full = False

    def __call__(self) -> RequestHandler:
        return self._make_handler(self, loop=self._loop, **self._kwargs)

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
        make_handler: Callable[..., BrokerHandler] = BrokerHandler,
        **options: Any,
    ) -> None:
        super().__init__(
            application, max_line_size=MAX_HEAD_BYTES, max_field_size=MAX_HEAD_BYTES, **options
        )
        self._arguments = (max_connections, refuse, allowed_methods, make_handler)

    async def _make_server(self) -> Server:
        return BrokerServer(await super()._make_server(), *self._arguments)
