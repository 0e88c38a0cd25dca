"""`Sender` over HTTP/1.1: exchanges and redirects.

Must not: frame messages (`_native.request`), touch sockets (`wire`, `dialer`), or decide what is
sent a second time (`line`). Costs: see `wire`; a connection that was never used costs no socket.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from yarl import URL

from _native import wire as native
from _native.request import MalformedRequest, compose_request
from broker.sender.dialer import Dialer
from broker.sender.endpoint import Endpoint, Location, locate
from broker.sender.exchange import Request, Response
from broker.sender.failures import (
    REQUEST_MALFORMED,
    TOO_MANY_REDIRECTS,
    URL_MALFORMED,
    Undelivered,
)
from broker.sender.line import Line

REDIRECTS_MAX: Final = 30
"""Redirects followed in one exchange, libcurl's own bound since 8.3."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER: Final = 303

# Meant for the receiver of the subscription, not for wherever that one points to. libcurl
# keeps the first three to itself, too; X-Auth-Token is FIWARE's credential.
_CREDENTIAL_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-auth-token"})


class HttpSender:
    """`Sender` over HTTP/1.1, with TLS where the URL says so."""

    def __init__(self, *, insecure: bool) -> None:
        """`insecure` accepts any certificate (Orion's `-insecureNotif`)."""
        self._insecure = insecure
        self._dialer: Dialer | None = None

    async def start(self) -> None:
        self._dialer = Dialer(asyncio.get_running_loop(), insecure=self._insecure)

    def connect(self, endpoint: Endpoint) -> HttpConnection:
        if self._dialer is None:
            raise RuntimeError("HttpSender.start() has not been awaited")
        return HttpConnection(endpoint, self._dialer)

    async def close(self) -> None:
        if self._dialer is not None:
            await self._dialer.close()


class HttpConnection(native.Exchanges):
    """`Connection` over a line of its own; redirects to elsewhere take lines that are not kept."""

    def __init__(self, endpoint: Endpoint, dialer: Dialer) -> None:
        super().__init__(Response, _REDIRECTS)
        self._endpoint = endpoint
        self._dialer = dialer
        self._line = Line(endpoint, dialer, self.take, self.fail)

    def close(self) -> None:
        self.give_up()
        self._line = None  # it knows this object, too: no cycle is left behind

    def compose(self, request: Request) -> bytes | None:
        """The bytes to send, None for a request that is refused."""
        try:
            return _compose(request, locate(request.url))
        except Undelivered as error:
            self._refuse(error.reason)
            return None

    def refuse(self, error: ValueError) -> None:
        """A request is malformed."""
        if not isinstance(error, MalformedRequest):
            raise error
        self._refuse(REQUEST_MALFORMED)

    def follow(self, status: int, moved_to: bytes) -> None:
        """The response is a redirection."""
        try:
            self._follow(status, moved_to)
        except Undelivered as error:
            self.fail(error.reason)

    def _refuse(self, reason: str) -> None:
        self._refusal = self._dialer.loop.call_soon(self.fail, reason)

    def _follow(self, status: int, moved_to: bytes) -> None:
        now = self._redirection
        if now is None:
            request: Request = self._request
            now = _Redirection(
                0, request.method, locate(request.url), request.headers, request.body
            )
        self._redirection = now = now.follow(status, moved_to)
        if self._detour is not None:
            self._detour.close()
            self._detour = None
        if now.location.endpoint == self._endpoint:
            line = self._line
        else:
            line = self._detour = Line(now.location.endpoint, self._dialer, self.take, self.fail)
        line.ask(_compose(now, now.location), now.method == "HEAD")


class _Redirection(NamedTuple):
    """What is asked for after a number of redirects."""

    followed: int
    method: str
    location: Location
    headers: dict[str, str]
    body: bytes

    def follow(self, status: int, moved_to: bytes) -> _Redirection:
        """Method and body are kept, as a notification without its body would tell nothing; only
        303 asks for a GET (RFC 9110, section 15.4.4)."""
        if self.followed >= REDIRECTS_MAX:
            raise Undelivered(TOO_MANY_REDIRECTS)
        location = _resolve(self.location.url, moved_to.decode("utf-8", "surrogateescape"))
        method, body, headers = self.method, self.body, self.headers
        if status == _SEE_OTHER:
            method, body = "GET", b""
        if location.endpoint != self.location.endpoint:
            headers = {
                name: value
                for name, value in headers.items()
                if name.lower() not in _CREDENTIAL_HEADERS and name.lower() != "host"
            }
        return _Redirection(self.followed + 1, method, location, headers, body)


def _compose(request: Request | _Redirection, location: Location) -> bytes:
    """The bytes to send; raises Undelivered."""
    try:
        return compose_request(
            request.method, location.target, location.host, request.headers, request.body
        )
    except MalformedRequest:
        raise Undelivered(REQUEST_MALFORMED) from None


def _resolve(url: URL, moved_to: str) -> Location:
    try:
        target = URL(moved_to, encoded=moved_to.isascii())
        return locate(moved_to if target.scheme else str(url.join(target)))
    except ValueError:
        raise Undelivered(URL_MALFORMED) from None
