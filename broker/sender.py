"""The HTTP client of notifications: one exchange at a time over one kept-alive connection.

Owns: sockets, TLS, name lookups, redirects, what counts as a response, and the words for
what went wrong. Those words are libcurl's (`curl_easy_strerror`, libcurl 8), because Orion
shows them as `lastFailureReason` and clients compare them.

Must not: queue, order, count or log anything, nor keep a timer (broker/notifier.py does).
Foreign errors never leave this module: an exchange ends in a `Response` or in `Undelivered`.

Costs: an exchange is one aiohttp request, which is most of the CPU of a notification. A
connection that was never used costs no socket. A name is looked up once in
`NAMES_KEPT_S`, each lookup in a thread of its own so that no slow name server stands in the
way of another endpoint (or of the loop's executor, which others use).

The door is `Sender` and `Connection`; a native sender fits behind the same door.

Four things lean on aiohttp's inside, and the tests of this module notice when they move:
`TCPConnector._factory` (to see whether a connection is new and whether it has answered),
`ResponseHandler._payload` (to end the wait for a malformed body), `_skip_auto_headers` of
`ClientRequest` with `update_auto_headers` (to send the caller's headers and no others), and
that an error of our own from a middleware is not retried.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import socket
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict
from yarl import URL

RESPONSE_READ_MAX_BYTES: Final = 64 * 1024
"""What is read of a response body. Nobody uses it but the log; a receiver that answers with
more loses its connection, which is cheaper than reading an endless body."""

RESPONSE_LINE_MAX_BYTES: Final = 64 * 1024
"""Longest status line or header line taken. libcurl takes 100 KB; aiohttp's own bound of
8 KB refuses receivers behind gateways that set large cookies."""

REDIRECTS_MAX: Final = 30
"""Redirects followed in one exchange, libcurl's own bound since 8.3."""

NAMES_KEPT_S: Final = 10.0
"""How long an answered name lookup is used. Short, as containers change address often."""

NAMES_MAX: Final = 4096
"""Names kept; more distinct receivers than that have connections of their own anyway."""

LOOKUPS_MAX: Final = 32
"""Name lookups under way at once, each a thread with a small stack. A dead name server
holds one thread per name for some seconds, so this is how many dead names are harmless."""

LOCATIONS_MAX: Final = 16384
"""Parsed URLs kept. URLs with macros may be all different, so the memo must be bounded."""

COULD_NOT_CONNECT: Final = "Could not connect to server"
COULD_NOT_RESOLVE: Final = "Could not resolve hostname"
TIMEOUT: Final = "Timeout was reached"
NOTHING_RETURNED: Final = "Server returned nothing (no headers, no data)"
SEND_FAILED: Final = "Failed sending data to the peer"
RECEIVE_FAILED: Final = "Failure when receiving data from the peer"
PARTIAL_BODY: Final = "Transferred a partial file"
WEIRD_REPLY: Final = "Weird server reply"
TLS_FAILED: Final = "SSL connect error"
CERTIFICATE_REFUSED: Final = "SSL peer certificate or SSH remote key was not OK"
TOO_MANY_REDIRECTS: Final = "Number of redirects hit maximum amount"
URL_MALFORMED: Final = "URL using bad/illegal format or missing URL"
UNSUPPORTED_PROTOCOL: Final = "Unsupported protocol"
# libcurl has no word for this one: it would send such a request.
REQUEST_MALFORMED: Final = "HTTP method or header with characters that HTTP does not allow"

_SCHEMES = frozenset({"http", "https"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# What frames a message is the sender's affair. A Content-Length of a subscription's own would
# let it write a second request into a connection that other tenants use, too; an Expect would
# make a receiver that does not know it wait for the body until the timeout (Orion never
# sends one either).
_FRAMING_HEADERS = (hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, hdrs.EXPECT)

# Meant for the receiver of the subscription, not for wherever that one points to. libcurl
# keeps the first three to itself, too; X-Auth-Token is FIWARE's credential.
_CREDENTIAL_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-auth-token"})

# The notifier bounds an exchange as a whole; aiohttp's timers, made anew for every request,
# would cost a tenth of it.
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


class Undelivered(Exception):
    """No response came. `reason` is the text for `lastFailureReason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Endpoint(NamedTuple):
    """Who shares connections: scheme (`http` or `https`), host in lower case, port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class Location(NamedTuple):
    """A URL taken apart: whom to connect to, and what to ask for there."""

    endpoint: Endpoint
    url: URL


class Request(Protocol):
    """What an exchange sends. `headers` go out in this order and spelling; Host (unless it is
    among them) and Content-Length are added, headers that frame the message are left out."""

    url: str
    method: str
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    """The final status after redirects, and the body's beginning (for the log)."""

    status: int
    body: bytes


class Connection(Protocol):
    """At most one kept-alive connection to one endpoint, used by one exchange at a time."""

    async def exchange(self, request: Request) -> Response:
        """Sends once and waits for the response. A request goes out a second time only if it
        went over a connection that had been used before and not a byte came back: then the
        receiver had closed that connection between requests.

        Raises Undelivered. It may be cancelled at any time; the connection is then closed.
        """

    async def close(self) -> None:
        """Closes the socket, if there is one. The object is of no use afterwards."""


class Sender(Protocol):
    """Makes connections. Nothing is shared between them but name lookups and TLS settings."""

    async def start(self) -> None: ...

    def connect(self, endpoint: Endpoint) -> Connection:
        """A connection that opens its socket at the first exchange."""

    async def close(self) -> None: ...


@functools.lru_cache(maxsize=LOCATIONS_MAX)
def locate(url: str) -> Location:
    """Takes a URL apart. It is sent as it is written (no requoting, as libcurl does), except
    that characters outside ASCII are percent-encoded.

    Raises Undelivered when there is no http or https URL in `url`.
    """
    if not url.isprintable() or " " in url:
        raise Undelivered(URL_MALFORMED)
    try:
        parsed = URL(url, encoded=url.isascii())
    except ValueError:
        raise Undelivered(URL_MALFORMED) from None
    if parsed.scheme and parsed.scheme not in _SCHEMES:
        raise Undelivered(UNSUPPORTED_PROTOCOL)
    if not parsed.scheme or not parsed.raw_host or not parsed.port:
        raise Undelivered(URL_MALFORMED)
    return Location(Endpoint(parsed.scheme, parsed.raw_host.lower(), parsed.port), parsed)


class HttpSender:
    """`Sender` over aiohttp."""

    def __init__(self, *, insecure: bool) -> None:
        """`insecure` accepts any certificate (Orion's `-insecureNotif`)."""
        self._tls = not insecure
        self._names: HostResolver | None = None
        self._detour: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._names = HostResolver(asyncio.get_running_loop())
        self._detour = _new_session(
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
        self._connector = _OneWireConnector(
            limit=0,
            use_dns_cache=False,
            resolver=names,
            ssl=tls,
            # A connection ages with its lane, which closes it.
            keepalive_timeout=None,
        )
        self._session = _new_session(self._connector)

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
        except _Broken:
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


def _failure_text(error: aiohttp.ClientError, wire: _Wire) -> str:
    """libcurl's text for what aiohttp found."""
    if isinstance(error, _Broken):
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


def _new_session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
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


class _Broken(aiohttp.ClientError):
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
        raise _Broken from error


class _PlainRequest(aiohttp.ClientRequest):
    """A request with the caller's headers, Host and Content-Length, and no others."""

    _skip_auto_headers = CIMultiDict({hdrs.CONTENT_TYPE: None})

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        for name in _FRAMING_HEADERS:
            self.headers.popall(name, None)


class _Wire:
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

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: _Wire) -> None:
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


def _new_handler(loop: asyncio.AbstractEventLoop, wire: _Wire) -> ResponseHandler:
    return _Handler(loop, wire)


class _OneWireConnector(aiohttp.TCPConnector):
    """A connector whose connections report to one `_Wire`."""

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
        self.wire = _Wire()
        self._factory = functools.partial(_new_handler, self._loop, self.wire)


class HostResolver(AbstractResolver):
    """Name lookups shared by all connections of a sender.

    Answers are kept for `NAMES_KEPT_S`; failures are not, so a receiver that comes up is
    reached at the next notification. Lookups of one name under way at once are one lookup.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known: OrderedDict[str, tuple[float, list[_Address]]] = OrderedDict()
        self._lookups: dict[str, _Lookup] = {}
        # Those of `_lookups` that wait for a thread, in the order they came.
        self._waiting: dict[str, _Lookup] = {}
        self._threads = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of `host` in the order of preference (RFC 6724). Raises OSError."""
        addresses = await self._addresses(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=found_family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, address in addresses
            if family in (socket.AF_UNSPEC, found_family)
        ]

    async def close(self) -> None:
        """Leaves lookups under way to themselves; their threads do not hold up the process."""
        for lookup in self._lookups.values():
            lookup.answer.cancel()
        self._lookups.clear()
        self._waiting.clear()

    async def _addresses(self, host: str) -> list[_Address]:
        known = self._known.get(host)
        if known is not None:
            if known[0] > self._loop.time():
                return known[1]
            del self._known[host]
        lookup = self._lookups.get(host)
        if lookup is None:
            lookup = self._lookups[host] = _Lookup(self._loop.create_future())
            if self._threads < LOOKUPS_MAX:
                self._start(host)
            else:
                self._waiting[host] = lookup
        lookup.waiters += 1
        try:
            answer = await asyncio.shield(lookup.answer)
        finally:
            lookup.waiters -= 1
            # Nobody waits any more (timeouts): then there is no use in waiting for a thread.
            if not lookup.waiters and self._waiting.pop(host, None) is not None:
                del self._lookups[host]
        if isinstance(answer, OSError):
            raise answer
        return answer

    def _start(self, host: str) -> None:
        self._threads += 1
        # A daemon thread: an executor would wait for a dead name server when the process ends.
        threading.Thread(
            target=self._look_up, args=(host,), name=f"lookup {host}", daemon=True
        ).start()

    def _look_up(self, host: str) -> None:
        """In a thread."""
        answer: list[_Address] | OSError
        try:
            answer = _look_up(host)
        except OSError as error:
            answer = error
        except ValueError:
            # getaddrinfo raises UnicodeError for labels that IDNA does not allow.
            answer = socket.gaierror(socket.EAI_NONAME, "not a host name")
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._settle, host, answer)

    def _settle(self, host: str, answer: list[_Address] | OSError) -> None:
        self._threads -= 1
        lookup = self._lookups.pop(host, None)
        if lookup is not None and not lookup.answer.done():
            lookup.answer.set_result(answer)
            if not isinstance(answer, OSError):
                self._known[host] = (self._loop.time() + NAMES_KEPT_S, answer)
                if len(self._known) > NAMES_MAX:
                    self._known.popitem(last=False)
        if self._waiting:
            waiting = next(iter(self._waiting))
            del self._waiting[waiting]
            self._start(waiting)


_Address = tuple[socket.AddressFamily, str]


class _Lookup:
    """A name lookup and how many wait for it. Failures are results, not exceptions, so that
    one that nobody waits for is no "exception never retrieved"."""

    __slots__ = ("answer", "waiters")

    def __init__(self, answer: asyncio.Future[list[_Address] | OSError]) -> None:
        self.answer = answer
        self.waiters = 0


def _look_up(host: str) -> list[_Address]:
    found: list[_Address] = []
    for family, _, _, _, address in socket.getaddrinfo(
        host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    ):
        if family in (socket.AF_INET, socket.AF_INET6):
            # Through getnameinfo, as a link-local address is of no use without its scope.
            numeric, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
            found.append((family, numeric))
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    return found
