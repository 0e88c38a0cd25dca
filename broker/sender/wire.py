"""One socket that carries one exchange after the other.

Owns: the transport, what may be read from it and when, and the words for what came instead of a
response. Must not: open sockets, or know what the bytes mean (`_native.response` does). The usual
course of an exchange is native (`_native.wire`), with its costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from _native import wire as native
from _native.response import CHUNK, NOT_HTTP, ResponseParser
from broker.sender.failures import (
    NOTHING_RETURNED,
    PARTIAL_BODY,
    RECEIVE_FAILED,
    SEND_FAILED,
    UNSUPPORTED_PROTOCOL,
    WEIRD_REPLY,
)

RESPONSE_LINE_MAX_BYTES: Final = 64 * 1024
"""Longest status line or header line taken. libcurl takes 100 KB; less would refuse receivers
behind gateways that set large cookies."""

RESPONSE_HEAD_MAX_BYTES: Final = 300 * 1024
"""Longest head, with the interim responses before it: libcurl's bound."""

RESPONSE_READ_MAX_BYTES: Final = 64 * 1024
"""What is read of a response body. Nobody uses it but the log; a receiver that answers with
more loses its connection, which is cheaper than reading an endless body."""

_FAULTS: Final = {
    # libcurl takes bytes that are no status line for HTTP/0.9, which it refuses.
    NOT_HTTP: UNSUPPORTED_PROTOCOL,
    CHUNK: RECEIVE_FAILED,
}


class Wire(native.Wire, asyncio.Protocol):
    """A connected socket. One message is under way at a time, with `send`, and ends in
    `on_answer` or in `on_break`; then the next may be sent, if `is_open`."""

    def __init__(
        self, on_answer: Callable[[ResponseParser], None], on_break: Callable[[Wire, str], None]
    ) -> None:
        super().__init__(
            on_answer,
            ResponseParser(
                line_max=RESPONSE_LINE_MAX_BYTES,
                head_max=RESPONSE_HEAD_MAX_BYTES,
                body_max=RESPONSE_READ_MAX_BYTES,
            ),
        )
        self._on_break = on_break

    @property
    def may_have_been_stale(self) -> bool:
        """Whether the message under way found the connection closed, as far as one can tell:
        it was not the first, and nothing came back."""
        return self._sent > 1 and not self.parser.received

    def close(self) -> None:
        """Closes the socket. Nothing is called afterwards."""
        self._is_waiting = False
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance: uvloop's transports stand outside asyncio's classes.
        self.attach(cast(asyncio.Transport, transport))

    def refuse(self, fault: str) -> None:
        """What has come is no response."""
        self._break(_FAULTS.get(fault, WEIRD_REPLY))

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def pause_writing(self) -> None:
        self._is_congested = True

    def resume_writing(self) -> None:
        self._is_congested = False

    def _end(self, error: Exception | None) -> None:
        if not self._is_waiting:
            self.close()
            return
        parser = self.parser
        if error is None and parser.feed_eof():
            self.close()
            self._on_answer(parser)
        elif parser.in_body:
            self._break(PARTIAL_BODY)
        elif error is None:
            self._break(NOTHING_RETURNED)
        else:
            self._break(SEND_FAILED if isinstance(error, BrokenPipeError) else RECEIVE_FAILED)

    def _break(self, failure: str) -> None:
        self.close()
        self._on_break(self, failure)
