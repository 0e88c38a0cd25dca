from asyncio import Handle, Transport
from collections.abc import Callable
from typing import Any, Final

from _native.response import ResponseParser

class Wire:
    """A connected socket, and what is read from it while a response is waited for. `refuse` is
    called with the fault of what is no response, `close` where the socket is of no more use."""

    parser: Final[ResponseParser]
    _on_answer: Final[Callable[[ResponseParser], None]]
    is_open: bool
    _transport: Transport
    _is_waiting: bool
    _is_congested: bool
    _sent: Final[int]
    def __init__(
        self, on_answer: Callable[[ResponseParser], None], parser: ResponseParser
    ) -> None: ...
    def attach(self, transport: Transport) -> None:
        """The socket is open. It is not read before something was asked: some peers answer as
        soon as they are connected to."""
    def send(self, message: bytes, is_head: bool) -> None:
        """Sends a request; `is_head`: its response has no body."""
    def data_received(self, data: bytes) -> None:
        """Bytes have come."""

class Line:
    """Asks over a wire that is open; else `open` is called."""

    _wire: Any
    _message: Final[bytes]
    _is_head: Final[bool]
    def ask(self, message: bytes, is_head: bool) -> None:
        """Sends the bytes of a request; `is_head`: its response has no body."""

class Exchanges:
    """Sends requests over `_line` and tells of their ends.

    `make_response` is a class of named tuples of a status and a body. Responses with a status of
    `redirects` and a Location go to `follow`; `compose` gives the bytes of requests that are no
    notifications, or None if they were refused; `refuse` hears of those that are malformed.
    """

    _request: Final[Any]
    _on_end: Final[Any]
    _line: Any
    _refusal: Handle | None
    _redirection: Any
    _detour: Any
    def __init__(
        self, make_response: type[tuple[int, bytes]], redirects: frozenset[int]
    ) -> None: ...
    def exchange(self, request: Any, on_end: Callable[[Any, str | None], None], /) -> None:
        """See `broker.sender.Connection`."""
    def give_up(self) -> None:
        """See `broker.sender.Connection`."""
    def take(self, parser: ResponseParser) -> None:
        """A response has come."""
    def fail(self, reason: str) -> None:
        """No response will come."""
