"""Opens sockets: name lookup, TCP, TLS, and the words for what goes wrong on the way.

Must not: send or read. Costs: some 0.1 ms for a connection, a few milliseconds of which TLS
takes most; the certificates are loaded with the first receiver behind TLS, in a thread.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import ipaddress
import socket
import ssl
from collections import deque
from typing import Final

import aiohappyeyeballs

from broker.sender.endpoint import Endpoint
from broker.sender.failures import (
    CERTIFICATE_REFUSED,
    COULD_NOT_CONNECT,
    COULD_NOT_RESOLVE,
    TIMEOUT,
    TLS_FAILED,
    Undelivered,
)
from broker.sender.resolver import HostResolver

NEXT_ADDRESS_DELAY_S: Final = 0.25
"""After how long the next address of a name is tried beside those before it (RFC 8305)."""

ADDRESSES_MAX: Final = 4096
"""Hosts of which it is remembered whether they are addresses."""

DIALS_AT_ONCE: Final = 2
"""Connections begun in one turn of the loop. Each costs some 0.1 ms, so that hundreds of
receivers that are down, all of which are notified of an update, would otherwise delay those
that are connected by as many tenths."""


class Dialer:
    """Opens sockets for one sender."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, insecure: bool) -> None:
        """`insecure` accepts any certificate."""
        self.loop = loop
        self._insecure = insecure
        self._names = HostResolver(loop)
        self._tls: ssl.SSLContext | None = None
        self._tls_lock = asyncio.Lock()
        self._dials_left = DIALS_AT_ONCE
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._turn: asyncio.Handle | None = None

    async def dial(self, endpoint: Endpoint, protocol: asyncio.Protocol) -> None:
        """Connects `protocol` to the endpoint; raises Undelivered."""
        tls = await self._load_tls() if endpoint.scheme == "https" else None
        server_name = endpoint.host.rstrip(".") if tls is not None else None
        addresses = await self._find(endpoint.host)
        await self._wait_for_turn()
        try:
            if len(addresses) == 1:
                (_, address) = addresses[0]
                await self.loop.create_connection(
                    lambda: protocol, address, endpoint.port, ssl=tls, server_hostname=server_name
                )
                return
            connected = await aiohappyeyeballs.start_connection(
                [
                    (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, endpoint.port))
                    for family, address in addresses
                ],
                happy_eyeballs_delay=NEXT_ADDRESS_DELAY_S,
                interleave=1,
                loop=self.loop,
            )
            await self.loop.create_connection(
                lambda: protocol, sock=connected, ssl=tls, server_hostname=server_name
            )
        except (OSError, ValueError) as error:
            raise Undelivered(_describe(error)) from error

    async def close(self) -> None:
        """No more name lookups."""
        if self._turn is not None:
            self._turn.cancel()
        await self._names.close()

    async def _wait_for_turn(self) -> None:
        if self._turn is None:
            self._turn = self.loop.call_soon(self._next_turn)
        if self._dials_left and not self._waiting:
            self._dials_left -= 1
            return
        turn = self.loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_turn(self) -> None:
        self._turn = None
        self._dials_left = DIALS_AT_ONCE
        while self._waiting and self._dials_left:
            turn = self._waiting.popleft()
            if not turn.done():  # given up
                turn.set_result(None)
                self._dials_left -= 1
        if self._waiting:
            self._turn = self.loop.call_soon(self._next_turn)

    async def _find(self, host: str) -> list[tuple[int, str]]:
        """Addresses with their families, in the order of preference."""
        if _is_address(host):
            return [(socket.AF_UNSPEC, host)]
        try:
            found = await self._names.resolve(host)
        except OSError as error:
            raise Undelivered(COULD_NOT_RESOLVE) from error
        return [(address["family"], address["host"]) for address in found]

    async def _load_tls(self) -> ssl.SSLContext:
        async with self._tls_lock:
            if self._tls is None:
                self._tls = await asyncio.to_thread(_make_tls, self._insecure)
        return self._tls


@functools.lru_cache(maxsize=ADDRESSES_MAX)
def _is_address(host: str) -> bool:
    """Whether it is an address and not a name. Raises Undelivered for what is neither."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host.replace(".", "").isdigit():
            # Such as 127.1: systems take it for an address, but no rule for what must not be
            # reached does.
            raise Undelivered(COULD_NOT_RESOLVE) from None
        return False
    return True


def _make_tls(insecure: bool) -> ssl.SSLContext:
    if insecure:
        # Without the system's certificates, which take most of a tenth of a second to load.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _describe(error: Exception) -> str:
    """libcurl's text."""
    if isinstance(error, ssl.CertificateError):
        return CERTIFICATE_REFUSED
    # A peer that hangs up in the middle of the handshake was there to connect to.
    if isinstance(error, ssl.SSLError | ConnectionResetError | ConnectionAbortedError | ValueError):
        return TLS_FAILED
    if isinstance(error, OSError) and error.errno == errno.ETIMEDOUT:
        return TIMEOUT
    return COULD_NOT_CONNECT
