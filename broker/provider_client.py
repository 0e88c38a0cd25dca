"""The HTTP client of forwarded requests: one POST, one answer, or the reason why not.

Owns: connections to context providers, their reuse, the bounds in time and size, and the words
for what went wrong (libcurl's, as `broker.sender`, because Orion's log has them). Must not:
know NGSI, count or log. Foreign errors never leave this module.

Costs: connections are kept and shared. Their number needs no bound of its own: a client's
request has one forwarded request under way at a time, and clients are bounded.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Final, NamedTuple

import aiohttp
from yarl import URL

from broker.sender import (
    CERTIFICATE_REFUSED,
    COULD_NOT_CONNECT,
    COULD_NOT_RESOLVE,
    NOTHING_RETURNED,
    PARTIAL_BODY,
    RECEIVE_FAILED,
    REQUEST_MALFORMED,
    RESPONSE_LINE_MAX_BYTES,
    TIMEOUT,
    TLS_FAILED,
    WEIRD_REPLY,
    HostResolver,
)

ANSWER_MAX_BYTES: Final = 8 * 1024 * 1024
"""Largest answer that is read: as large as the largest message of a broker with default
settings. A page of a thousand entities is well below it."""

TOO_LARGE_TO_SEND: Final = "total outgoing message size is too big"
TOO_LARGE_TO_READ: Final = "Exceeded the maximum allowed file size"

_IDLE_CONNECTION_S: Final = 15.0  # below what servers usually grant, so that few are found closed


class ProviderFailure(Exception):
    """No answer came. `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProviderAnswer(NamedTuple):
    """What a provider answered; `total` is its Fiware-Total-Count, None without one."""

    status: int
    total: int | None
    body: bytes


class ProviderClient:
    """Sends requests to providers. Answers are taken as they are: redirects are not followed,
    since what is sent (tenant, token) is meant for the provider that was registered."""

    def __init__(self, timeout_s: float, max_message_bytes: int, insecure: bool) -> None:
        """`timeout_s` bounds a whole exchange; `insecure` accepts any certificate."""
        self._timeout_s = timeout_s
        self._max_message_bytes = max_message_bytes
        self._tls = not insecure
        self._session: aiohttp.ClientSession | None = None
        self._names: HostResolver | None = None

    async def start(self) -> None:
        """Make ready; connections open with the first request to a provider."""
        self._names = HostResolver(asyncio.get_running_loop())
        reuse = aiohttp.TraceConfig()
        reuse.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                use_dns_cache=False,
                resolver=self._names,
                ssl=self._tls,
                keepalive_timeout=_IDLE_CONNECTION_S,
            ),
            # A provider's cookies are no business of the other clients of this broker.
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),  # an exchange is bounded as a whole, see `post`
            # Nothing packed was asked for: so there are no zip bombs.
            auto_decompress=False,
            max_line_size=RESPONSE_LINE_MAX_BYTES,
            max_field_size=RESPONSE_LINE_MAX_BYTES,
            skip_auto_headers=("Accept-Encoding",),
            trace_configs=[reuse],
        )

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._names is not None:
            await self._names.close()

    async def post(
        self,
        provider_url: str,
        operation: str,
        parameters: dict[str, str],
        headers: dict[str, str],
        body: bytes,
    ) -> ProviderAnswer:
        """One exchange; raises ProviderFailure. `operation` is a path below the provider's URL.

        A request is sent again only if it went over a connection that had been used before and
        nothing came back: then the provider had closed it between two requests.
        """
        if len(body) > self._max_message_bytes:
            raise ProviderFailure(TOO_LARGE_TO_SEND)
        try:
            url = _locate(provider_url, operation, parameters)
            async with asyncio.timeout(self._timeout_s):
                while True:
                    wire = SimpleNamespace(may_be_stale=False)
                    try:
                        return await self._exchange(url, headers, body, wire)
                    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                        if not wire.may_be_stale:
                            raise
        except TimeoutError:
            raise ProviderFailure(TIMEOUT) from None
        except aiohttp.ClientError as error:
            raise ProviderFailure(_failure_text(error)) from error
        except (ValueError, TypeError) as error:
            raise ProviderFailure(REQUEST_MALFORMED) from error

    async def _exchange(
        self, url: URL, headers: dict[str, str], body: bytes, wire: SimpleNamespace
    ) -> ProviderAnswer:
        if self._session is None:
            raise RuntimeError("ProviderClient.start() has not been awaited")
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=wire
        ) as response:
            wire.may_be_stale = False  # it answered
            if (response.content_length or 0) > ANSWER_MAX_BYTES:
                response.close()
                raise ProviderFailure(TOO_LARGE_TO_READ)
            parts = []
            length = 0
            async for part in response.content.iter_any():
                length += len(part)
                if length > ANSWER_MAX_BYTES:
                    response.close()
                    raise ProviderFailure(TOO_LARGE_TO_READ)
                parts.append(part)
            total = response.headers.get("Fiware-Total-Count", "").strip()
            is_number = total.isascii() and total.isdigit() and len(total) <= 18
            return ProviderAnswer(
                response.status, int(total) if is_number else None, b"".join(parts)
            )


async def _note_reuse(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    parameters: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    context.trace_request_ctx.may_be_stale = True


def _locate(provider_url: str, operation: str, parameters: dict[str, str]) -> URL:
    # As Orion: a URL without a path gives "//op/update", which is where IoT Agents listen.
    base = URL(provider_url)
    path = base.raw_path + operation
    return base.with_path(path, encoded=True).with_query([*base.query.items(), *parameters.items()])


def _failure_text(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return NOTHING_RETURNED
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return COULD_NOT_RESOLVE
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return CERTIFICATE_REFUSED
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return TLS_FAILED
    if isinstance(error, aiohttp.ClientConnectorError):
        return COULD_NOT_CONNECT
    if isinstance(error, aiohttp.ClientPayloadError):
        return PARTIAL_BODY
    if isinstance(error, aiohttp.ClientResponseError):
        return WEIRD_REPLY
    return RECEIVE_FAILED
