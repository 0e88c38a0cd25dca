from typing import Final, final

NOT_HTTP: Final[str]
STATUS_LINE: Final[str]
HEADER_LINE: Final[str]
CONTENT_LENGTH: Final[str]
HEAD_TOO_LONG: Final[str]
CHUNK: Final[str]

@final
class MalformedResponse(ValueError):
    """Bytes that are no response; `fault` is one of the names above."""

    fault: str

    def __init__(self, fault: str) -> None: ...

@final
class ResponseParser:
    """Reads the responses of one connection from bytes, in whatever parts they come.

    `line_max`: bytes of the longest line of a head. `head_max`: bytes of a head, with those of
    the interim responses (1xx) before it; also of the lines between two chunks. `body_max`: how
    much of a body is kept; a longer one is not read to its end. For one thread only.
    """

    def __init__(self, *, line_max: int, head_max: int, body_max: int) -> None: ...
    @property
    def status(self) -> int:
        """The status of the response, once its status line was read; else 0."""
    @property
    def location(self) -> bytes | None:
        """The first Location header, as it came."""
    @property
    def body(self) -> bytes:
        """What came of the body, without its framing, at most `body_max` bytes."""
    @property
    def keep_alive(self) -> bool:
        """After a complete response: whether the connection may carry another exchange. False
        also if bytes followed that nobody asked for, or if the body was not read to its end."""
    @property
    def received(self) -> int:
        """Bytes that came since `begin`."""
    @property
    def in_body(self) -> bool:
        """Whether the head is complete and the body is not."""
    def begin(self, answers_head: bool = False) -> None:
        """Expect a response; `answers_head`: to a HEAD request, so that it has no body."""
    def feed(self, data: bytes) -> bool:
        """Take the next bytes; True when the response is complete (or its body is too long).

        Raises MalformedResponse; ValueError before `begin`, after a complete response.
        """
    def feed_eof(self) -> bool:
        """The connection ended; True when that completes the response."""
