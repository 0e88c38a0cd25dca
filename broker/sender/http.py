"""`Sender` over aiohttp: exchanges, redirects, and aiohttp's errors in libcurl's words.

Must not: touch aiohttp's inside (`broker.sender.wire` does). Costs: an exchange is one aiohttp
request, which is most of the CPU of a notification. A connection that was never used costs no
socket.
"""

from __future__ import annotations

import asyncio
import errno
from typing import Final

import aiohttp
from aiohttp import hdrs
from yarl import URL

from broker.sender.endpoint import Endpoint, Location, locate
from broker.sender.exchange import Request, Response
from broker.sender.failures import (
    CERTIFICATE_REFUSED,
    COULD_NOT_CONNECT,
    COULD_NOT_RESOLVE,
    NOTHING_RETURNED,
    PARTIAL_BODY,
    RECEIVE_FAILED,
    REQUEST_MALFORMED,
    SEND_FAILED,
    TIMEOUT,
    TLS_FAILED,
    TOO_MANY_REDIRECTS,
    UNSUPPORTED_PROTOCOL,
    URL_MALFORMED,
    WEIRD_REPLY,
    Undelivered,
)
from broker.sender.resolver import HostResolver
from broker.sender.wire import BrokenConnection, OneWireConnector, Wire, new_session

RESPONSE_READ_MAX_BYTES: Final = 64 * 1024
"""What is read of a response body. Nobody uses it but the log; a receiver that answers with
more loses its connection, which is cheaper than reading an endless body."""

REDIRECTS_MAX: Final = 30
"""Redirects followed in one exchange, libcurl's own bound since 8.3."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# Meant for the receiver of the subscription, not for wherever that one points to. libcurl
# keeps the first three to itself, too; X-Auth-Token is FIWARE's credential.
_CREDENTIAL_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-auth-token"})


class HttpSender:
    """`Sender` over aiohttp."""

    def __init__(self, *, insecure: bool) -> None:
        """`insecure` accepts any certificate (Orion's `-insecureNotif`)."""
        self._tls = not insecure
        self._names: HostResolver | None = None
        self._detour: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._names = HostResolver(asyncio.get_running_loop())
        self._detour = new_session(
            aiohttp.TCPConnector(
                limit=0, use_dns_cache=False, resolver=self._names, ssl=self._tls, force_close=True
            )
        )

    def connect(self, endpoint: Endpoint) -> HttpConnection:
        if self._names is None or self._detour is None:
            raise RuntimeError("HttpSender.start() has not been awaited")
        return HttpConnection(endpoint, self._names, self._detour, self._tls)

    async def close(self) -> None:
        if self._detour is not None:
            await self._detour.close()
        if self._names is not None:
            await self._names.close()


class HttpConnection:
    """`Connection` over an aiohttp session of its own, so that its socket is its own, too."""

    def __init__(
        self, endpoint: Endpoint, names: HostResolver, detour: aiohttp.ClientSession, tls: bool
    ) -> None:
        """`detour` carries redirects to other endpoints; it keeps no connection."""
        self._endpoint = endpoint
        self._detour = detour
        self._connector = OneWireConnector(
            limit=0,
            use_dns_cache=False,
            resolver=names,
            ssl=tls,
            # A connection ages with its lane, which closes it.
            keepalive_timeout=None,
        )
        self._session = new_session(self._connector)

    async def exchange(self, request: Request) -> Response:
        try:
            return await self._follow(request)
        except aiohttp.ClientError as error:
            raise Undelivered(_failure_text(error, self._connector.wire)) from error
        except (ValueError, TypeError) as error:
            raise Undelivered(REQUEST_MALFORMED) from error

    async def close(self) -> None:
        await self._session.close()

    async def _follow(self, request: Request) -> Response:
        """One exchange with its redirects. Method and body are kept, as a notification without
        its body would tell nothing; only 303 asks for a GET (RFC 9110, section 15.4.4)."""
        method, headers, body = request.method, request.headers, request.body
        endpoint, url = locate(request.url)
        for _ in range(REDIRECTS_MAX + 1):
            if endpoint == self._endpoint:
                status, beginning, moved_to = await self._send(method, url, headers, body)
            else:
                status, beginning, moved_to = await _send_over(
                    self._detour, method, url, headers, body
                )
            if moved_to is None:
                return Response(status, beginning)
            if status == 303:
                method, body = hdrs.METH_GET, b""
            came_from = endpoint
            endpoint, url = _redirect(url, moved_to)
            if endpoint != came_from:
                headers = {
                    name: value
                    for name, value in headers.items()
                    if name.lower() not in _CREDENTIAL_HEADERS and name.lower() != "host"
                }
        raise Undelivered(TOO_MANY_REDIRECTS)

    async def _send(
        self, method: str, url: URL, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes, str | None]:
        wire = self._connector.wire
        wire.begin()
        try:
            return await _send_over(self._session, method, url, headers, body)
        except BrokenConnection:
            if wire.fresh or wire.heard:
                raise
            # The peer closed an idle connection while we were writing to it.
            wire.begin()
            return await _send_over(self._session, method, url, headers, body)
        finally:
            wire.waiting = False


def _redirect(url: URL, moved_to: str) -> Location:
    try:
        target = URL(moved_to, encoded=moved_to.isascii())
        return locate(moved_to if target.scheme else str(url.join(target)))
    except ValueError:
        raise Undelivered(URL_MALFORMED) from None


async def _send_over(
    session: aiohttp.ClientSession, method: str, url: URL, headers: dict[str, str], body: bytes
) -> tuple[int, bytes, str | None]:
    """Status, beginning of the body, and where a redirect points to."""
    response = await session.request(
        method, url, data=body or None, headers=headers, allow_redirects=False
    )
    content = response.content
    beginning = b""
    try:
        while not content.at_eof() and len(beginning) < RESPONSE_READ_MAX_BYTES:
            beginning += await content.readany()
    finally:
        if not content.at_eof():
            response.close()
    status = response.status
    moved_to = response.headers.get(hdrs.LOCATION) if status in _REDIRECTS else None
    return status, beginning, moved_to or None


def _failure_text(error: aiohttp.ClientError, wire: Wire) -> str:
    """libcurl's text for what aiohttp found."""
    if isinstance(error, BrokenConnection):
        cause = error.__cause__
        if isinstance(cause, aiohttp.ServerDisconnectedError):
            return NOTHING_RETURNED
        if isinstance(cause, BrokenPipeError | aiohttp.ClientConnectionResetError):
            return SEND_FAILED
        return RECEIVE_FAILED
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return COULD_NOT_RESOLVE
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return CERTIFICATE_REFUSED
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return TLS_FAILED
    if isinstance(error, aiohttp.ClientConnectorError):
        # A peer that hangs up in the middle of the handshake was there to connect to.
        if isinstance(error.os_error, ConnectionResetError | ConnectionAbortedError):
            return TLS_FAILED
        return TIMEOUT if error.os_error.errno == errno.ETIMEDOUT else COULD_NOT_CONNECT
    if isinstance(error, aiohttp.InvalidURL):
        return COULD_NOT_RESOLVE
    if isinstance(error, aiohttp.ClientPayloadError):
        return PARTIAL_BODY
    if isinstance(error, aiohttp.ClientResponseError):
        # libcurl takes bytes that are no status line for HTTP/0.9, which it refuses.
        return WEIRD_REPLY if wire.spoke_http else UNSUPPORTED_PROTOCOL
    return RECEIVE_FAILED
