from asyncio import Future
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, final

WAIT: Final = 0
"""More bytes are needed."""
FOREIGN: Final = 1
"""Bytes for the general server, up to the end of a request or of what was fed."""
UNFRAMED: Final = 2
"""Bytes for the general server, as all that follow: where a request ends is not known here."""

@final
class Head:
    """The header fields that routes look at, with `Accept` and `Content-Type` None where they
    are absent, the others "". `memo` is for whoever looks at it: it lasts as long as the head is
    remembered."""

    accept: Final[str | None]
    content_type: Final[str | None]
    service: Final[str]
    service_path: Final[str]
    auth_token: Final[str]
    real_ip: Final[str]
    forwarded_for: Final[str]
    origin: Final[str]
    attrs_format: Final[str]
    memo: Final[dict[Any, Any]]

    def __init__(
        self,
        accept: str | None = None,
        content_type: str | None = None,
        service: str = "",
        service_path: str = "",
        auth_token: str = "",
        real_ip: str = "",
        forwarded_for: str = "",
        origin: str = "",
        attrs_format: str = "",
    ) -> None: ...

class Request:
    """One request, whoever framed it; to be completed by a class of the server's own.

    `target` is path and query as they were sent, `path` is decoded, `query` is not; `captures`
    are the parameters of the path, decoded. `is_plain`: the path has only letters, digits and
    `- . _ ~ : @ ! $ * + ,`. `length` is the Content-Length, None without one. `started` is in the
    time of `time.perf_counter`. `remote` is the address of the peer, `correlator` "" where none
    was sent.
    """

    method: Final[str]
    target: Final[str]
    path: Final[str]
    query: Final[str]
    captures: Final[dict[str, str]]
    head: Final[Head]
    length: Final[int | None]
    has_body: Final[bool]
    is_plain: Final[bool]
    remote: Final[str]
    started: Final[float]
    @property
    def route(self) -> Any:
        """What the table has for it."""
    @property
    def connection(self) -> Any:
        """The handler of the connection."""
    correlator: str
    body: bytes

    def __init__(
        self,
        method: str,
        target: str,
        path: str,
        query: str,
        captures: dict[str, str],
        head: Head,
        correlator: str,
        length: int | None,
        has_body: bool,
        remote: str,
        route: Any,
        connection: Any,
    ) -> None: ...

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
class CorrelatorIds:
    """Makes texts of the form of a UUID: `prefix`, of 24 characters, then a count."""

    def __init__(self, prefix: str) -> None: ...
    def make(self) -> str:
        """The next one."""

@final
class RouteTable:
    """The routes that scanners recognise, and the heads that they remember.

    `routes`: method, path with `{name}` for parameters, whether requests have a body, and what
    `Request.route` is to be. Requests with a body where there should be none, without one where
    there should be, or with one of more than `max_body` bytes are foreign. `kind` is the class of
    the requests, derived from `Request`; its `__init__` is not called.
    """

    def __init__(
        self,
        routes: Iterable[tuple[str, str, bool, Any]],
        max_body: int,
        kind: type[Request] = Request,
    ) -> None: ...

class Scanner:
    """The requests of one connection, in turn. Costs: about a nanosecond per byte of a head."""

    def __init__(self, table: RouteTable) -> None: ...
    @property
    def is_in_body(self) -> bool:
        """Whether a request for a route of the table is kept whose body is still to come."""
    @property
    def has_rest(self) -> bool:
        """Whether bytes were fed and not taken."""
    def feed(self, data: bytes) -> None:
        """Add bytes that were received."""
    def next(self) -> Request | int:
        """The request that comes next, or WAIT, FOREIGN or UNFRAMED.

        It is found again and again until it is taken by `skip` or `take`.
        """
    def skip(self) -> None:
        """What `next` found is dealt with."""
    def take(self) -> bytes:
        """The bytes of what `next` found, for the general server."""
    def take_unfinished(self) -> bytes:
        """With `is_in_body`: the bytes so far of that request; the rest will be foreign."""

@final
class Composer:
    """Makes the bytes of replies. `reasons`: the reason phrase of each status."""

    def __init__(self, reasons: Mapping[int, str]) -> None: ...
    def compose(self, reply: Reply) -> bytes:
        """A whole reply. Content-Length and Date are added, where aiohttp has them."""

@final
class Tally:
    """What was counted of the requests with one head, for one route, with one status."""

    head: Final[Head]
    method: Final[str]
    route: Final[Any]
    status: Final[int]
    requests: Final[int]
    request_bytes: Final[int]
    response_bytes: Final[int]
    microseconds: Final[int]  # of each request at least one
    seconds: Final[float]

@final
class Tallies:
    """Counts replies. `note` is given the tallies, by `hand_over` or when they are too many."""

    total: Final[int]  # requests ever counted
    def __init__(self, note: Callable[[list[Tally]], None]) -> None: ...
    def hand_over(self) -> None:
        """Have the tallies so far noted; counts begin anew."""

@final
class Lane:
    """What the connections of one server share.

    `answer(request)` does what a request asks and gives its reply, or None for one that the
    general server must do. `conclude(request, reply, commit_error)` gives the reply that is due
    once its commit is done; it is asked only where `is_plain` is False, the commit failed or the
    reply has an error. `max_unanswered` requests and `max_unsent` bytes of bodies of replies are
    kept per connection. `note` is that of `Tallies`.
    """

    is_plain: bool
    tallies: Final[Tallies]
    def __init__(
        self,
        table: RouteTable,
        composer: Composer,
        answer: Callable[[Any], Reply | None],
        conclude: Callable[[Any, Reply, BaseException | None], Reply],
        note: Callable[[list[Tally]], None],
        max_unanswered: int,
        max_unsent: int,
    ) -> None: ...

class LineHandler(Protocol):
    """What a line asks and tells."""

    awaits_answers: bool
    """Whether to tell it when no reply waits, though the line was not held."""

    def is_general_idle(self) -> bool:
        """Whether the general server has answered all that it was given."""
    def hold(self) -> None:
        """Read no more until `Line.release`."""
    def answered(self) -> None:
        """No reply waits for a commit any more."""

class Transport(Protocol):
    """What takes the bytes of replies."""

    def is_closing(self) -> bool: ...
    def write(self, data: bytes, /) -> None: ...

@final
class Line(Scanner):
    """One connection: which bytes are answered here and which `general` is given."""

    is_closed: bool
    """No more is taken: all goes to the general server."""
    is_paused: bool
    """The client does not read, so no more is answered."""

    def __init__(
        self, lane: Lane, handler: LineHandler, general: Callable[[bytes], None]
    ) -> None: ...
    @property
    def is_held(self) -> bool:
        """Whether no more is taken for the time being."""
    @property
    def is_idle(self) -> bool:
        """Whether the general server has answered all that it was given."""
    @property
    def idle_s(self) -> float:
        """Seconds since a reply was sent from here, or since the clock began."""
    @property
    def unanswered(self) -> int:
        """Requests that were done and whose replies wait."""
    def attach(self, transport: Transport, remote: str) -> None:
        """The connection is there."""
    def detach(self) -> None:
        """The connection is gone; what was done waits for its commit all the same."""
    def data_received(self, data: bytes) -> None:
        """Take bytes from the connection."""
    def send_answers(self) -> None:
        """Send the replies whose commits are done; none before one that waits."""
    def pause(self) -> None:
        """Take no more requests until `release`."""
    def release(self) -> bool:
        """Go on; False when it must be held again."""
    def give_unfinished(self) -> None:
        """Leave the request whose body is under way to the general server."""
