from asyncio import Future
from collections.abc import Mapping
from typing import Any, final

@final
class Reply:
    """Status, header fields and body. Whoever sends it adds Content-Length and Date.

    With a `commit` it must not be sent before that is done; when it failed, or else with an
    `error`, that is what the client is told instead.
    """

    status: int
    body: bytes
    commit: Future[None] | None
    error: Any
    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        commit: Future[None] | None = None,
        error: Any = None,
    ) -> None: ...
    @property
    def headers(self) -> dict[str, str]:
        """The header fields, to be read and changed."""

@final
class Composer:
    """Makes the bytes of replies. `reasons`: the reason phrase of each status."""

    def __init__(self, reasons: Mapping[int, str]) -> None: ...
    def compose(self, reply: Reply) -> bytes:
        """A whole reply. Content-Length and Date are added, where aiohttp has them."""
