"""One aiohttp session with one connection that can be watched.

Owns everything that leans on aiohttp's inside; the tests of the sender notice when it moves:
`TCPConnector._factory` (to see whether a connection is new and whether it has answered),
`ResponseHandler._payload` (to end the wait for a malformed body), `_skip_auto_headers` of
`ClientRequest` with `update_auto_headers` (to send the caller's headers and no others), and
that an error of our own from a middleware is not retried.

Must not: know what is sent. Costs: nothing beside aiohttp's own.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable
from typing import Final

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict

RESPONSE_LINE_MAX_BYTES: Final = 64 * 1024
"""Longest status line or header line taken. libcurl takes 100 KB; aiohttp's own bound of
8 KB refuses receivers behind gateways that set large cookies."""

# What frames a message is the sender's affair. A Content-Length of a subscription's own would
# let it write a second request into a connection that other tenants use, too; an Expect would
# make a receiver that does not know it wait for the body until the timeout (Orion never
# sends one either).
_FRAMING_HEADERS = (hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, hdrs.EXPECT)

# The notifier bounds an exchange as a whole; aiohttp's timers, made anew for every request,
# would cost a tenth of it.
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


def new_session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        # A receiver's cookies are no business of the subscriptions that share it.
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=_NO_TIMEOUT,
        # What is read is discarded or logged: no use in unpacking it, and no zip bombs.
        auto_decompress=False,
        request_class=_PlainRequest,
        max_line_size=RESPONSE_LINE_MAX_BYTES,
        max_field_size=RESPONSE_LINE_MAX_BYTES,
        middlewares=(_try_once,),
    )


class BrokenConnection(aiohttp.ClientError):
    """The connection went away under a request; the cause says how."""


async def _try_once(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keeps aiohttp from sending PUT, DELETE and GET a second time, even on new connections;
    for POST it never does. `HttpConnection` decides for all methods alike."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientConnectionError, OSError) as error:
        raise BrokenConnection from error


class _PlainRequest(aiohttp.ClientRequest):
    """A request with the caller's headers, Host and Content-Length, and no others."""

    _skip_auto_headers = CIMultiDict({hdrs.CONTENT_TYPE: None})

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        for name in _FRAMING_HEADERS:
            self.headers.popall(name, None)


class Wire:
    """What happened on a connection since the exchange began."""

    __slots__ = ("fresh", "heard", "spoke_http", "waiting")

    def __init__(self) -> None:
        self.fresh = False
        self.heard = False
        self.spoke_http = False
        self.waiting = False

    def begin(self) -> None:
        self.fresh = False
        self.heard = False
        self.spoke_http = False
        self.waiting = True


class _Handler(ResponseHandler):
    """aiohttp's protocol, noting what a retry and the failure text depend on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: Wire) -> None:
        super().__init__(loop)
        self._wire = wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire.fresh = True
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        wire = self._wire
        if not wire.waiting:
            # Nobody asked: aiohttp would take it for the answer to the next request.
            self.close()
            return
        if not wire.heard:
            wire.heard = True
            wire.spoke_http = data.startswith(b"HTTP/")
        payload = self._payload
        super().data_received(data)
        # aiohttp does not tell the reader of a body that what followed could not be parsed.
        if payload is not None and self.exception() is not None and not payload.is_eof():
            payload.set_exception(aiohttp.ClientPayloadError("malformed body"))


def _new_handler(loop: asyncio.AbstractEventLoop, wire: Wire) -> ResponseHandler:
    return _Handler(loop, wire)


class OneWireConnector(aiohttp.TCPConnector):
    """A connector whose connections report to one `Wire`."""

    def __init__(
        self,
        *,
        limit: int,
        use_dns_cache: bool,
        resolver: AbstractResolver,
        ssl: bool,
        keepalive_timeout: float | None,
    ) -> None:
        super().__init__(
            limit=limit,
            use_dns_cache=use_dns_cache,
            resolver=resolver,
            ssl=ssl,
            keepalive_timeout=keepalive_timeout,
        )
        self.wire = Wire()
        self._factory = functools.partial(_new_handler, self._loop, self.wire)
