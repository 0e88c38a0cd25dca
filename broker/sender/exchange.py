"""What passes through the door of a sender: requests, responses, and who exchanges them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from broker.sender.endpoint import Endpoint


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


OnEnd: TypeAlias = Callable[[Response | None, str | None], None]
"""Told how an exchange ended: the response, or None and why there is none (`failures`)."""


class Connection(Protocol):
    """At most one kept-alive connection to one endpoint, used by one exchange at a time."""

    def exchange(self, request: Request, on_end: OnEnd, /) -> None:
        """Sends once and waits for the response. A request goes out a second time only if it
        went over a connection that had been used before and not a byte came back: then the
        receiver had closed that connection between requests.

        `request.url` leads to the endpoint. `on_end` is called once, on the loop, never from
        within this call; it may begin the next exchange. An error that is raised here (a bug)
        takes its place.
        """

    def give_up(self) -> None:
        """Ends the exchange under way, of which `on_end` hears nothing more, and closes the
        socket; the next exchange opens another."""

    def close(self) -> None:
        """As `give_up`. The object is of no use afterwards."""


class Sender(Protocol):
    """Makes connections. Nothing is shared between them but name lookups and TLS settings."""

    async def start(self) -> None: ...

    def connect(self, endpoint: Endpoint) -> Connection:
        """A connection that opens its socket at the first exchange."""

    async def close(self) -> None: ...
