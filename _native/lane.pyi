from collections.abc import Callable
from typing import Any, Final, Protocol, final

from _native.replies import Composer, Reply
from _native.requests import CorrelatorIds, Counter
from _native.routes import RouteTable
from _native.scanner import Scanner
from _native.tallies import Tallies, Tally

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
    @property
    def current(self) -> Any:
        """The request that is being done, at once and without a break; None between them."""
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
    def trust_heads(
        self,
        correlators: CorrelatorIds,
        transactions: Counter,
        is_elsewhere: Callable[[str], bool],
        read_query: Callable[[str], tuple[dict[str, str], frozenset[str]]] | None,
        fail: Callable[[Any, Exception], Reply],
    ) -> None:
        """Do not ask `answer` where `memo` of a request's head has a `Verdict` for its route.

        The handler of the route is asked at once then, and `fail` when it raises. Requests of a
        tenant that `is_elsewhere` are for the general server. `read_query` gives parameters and
        options of a query; without it requests that have one are not meant.
        """

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
