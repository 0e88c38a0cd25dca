"""What passes through the door of a sender: requests, responses, and who exchanges them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

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
