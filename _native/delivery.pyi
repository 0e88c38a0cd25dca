import logging
from asyncio import AbstractEventLoop, Handle, TimerHandle
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, Protocol, TypeVar, final

from _native.notification import Notification

NEVER: Final[float]
"""The deadline of a lane that has nothing under way."""

class Ordered(Protocol):
    """What can stand in a queue."""

    @property
    def order_key(self) -> object:
        """Hashable; names what must stay in order."""

Item = TypeVar("Item", bound=Ordered)

class OrderedQueue(Generic[Item]):
    """Items in order of arrival; those whose key is being delivered are passed over. `take`
    passes over up to `parked_at_once` in one call. Every operation is O(1) (amortised)."""

    @property
    def waiting(self) -> deque[Item]:
        """In order of arrival. May hold keys that are in delivery; `take` passes them over."""
    @property
    def busy(self) -> dict[object, deque[Item] | None]:
        """Keys in delivery, with what has to wait for them (None: nothing). All of these are
        older than what is in `waiting` with the same key."""
    queued: int
    def __init__(self, parked_at_once: int) -> None: ...
    def claim(self, item: Item) -> None:
        """An item is taken without its having waited."""
    def add(self, item: Item) -> None:
        """An item waits for its turn."""
    def take(self) -> Item | None:
        """The oldest that may leave. None: there is none, or none among the first
        `parked_at_once` (`waiting` is not empty then)."""
    def release(self, order_key: object) -> Item | None:
        """After a delivery: the next with the same key, which stays busy; else None."""
    def put_back(self, item: Item) -> None:
        """Undoes `take`, `claim` or `release`: what was taken is the oldest again."""
    def drain(self) -> Iterator[Item]:
        """Everything that waits; the queue is empty afterwards."""

class EndpointQueue(OrderedQueue[Notification]):
    """What waits for one endpoint, its lanes and its counters."""

    endpoint: Final[Any]
    idle: Final[list[Lane]]
    outstanding_bytes: int
    lanes: int
    sent: int
    failed: int
    dropped: int
    def __init__(self, endpoint: object, parked_at_once: int) -> None: ...

@final
class Lane:
    """One connection to one endpoint with at most one notification under way.

    It is idle, has a notification under way, or is about to look for the next. It is called with
    the response, or with None and a failure, when an exchange has ended. `deadline` is the loop's
    time at which the exchange is given up.
    """

    queue: Final[Any]
    connection: Final[Any]
    notification: Notification | None
    deadline: float
    has_ended: bool
    def __init__(self, queue: EndpointQueue, connection: Any, delivery: Delivery) -> None: ...
    def __call__(self, response: tuple[int, bytes] | None, failure: str | None) -> None: ...

class IdleLanes:
    """Lanes without work, and how many may be set to work in this turn of the loop."""

    _idle: Final[dict[Lane, float]]  # longest idle first, with the loop's time since when
    _rousings_left: int
    _turn_timer: Handle | None
    _idle_timer: TimerHandle | None
    _loop: AbstractEventLoop
    starving: Final[dict[Any, None]]
    """Endpoints with work and no lane, as all connections are taken; in order of arrival."""
    def take_free(self, queue: EndpointQueue) -> Lane | None:
        """An idle lane of the endpoint, which is idle no more, or a new one; None when there is
        none to be had, or not in this turn of the loop."""
    def rest(self, lane: Lane) -> None:
        """A lane is idle from now on."""

class Deadlines:
    """Sets the deadline of a lane as its exchange begins, and calls `set_timer` with one that
    is earlier than the timer."""

    _timer_at: float
    _loop: AbstractEventLoop

class Delivery:
    """The course of a notification that nothing stands in the way of.

    `outcome` is the class of outcomes, `locate` gives the location of a URL. `log_end` hears of
    each end where `log` takes level INFO, and of responses that are errors. The class derived
    from it has the methods that are called for everything else.
    """

    _lanes: Any
    _deadlines: Any
    _loop: Any
    _closing: bool
    _queues: Final[dict[Any, Any]]
    _sent: Final[int]
    _failed: Final[int]
    _dropped: Final[int]
    _outstanding: Final[int]
    _outstanding_bytes: Final[int]
    def __init__(
        self,
        *,
        queue_length: int,
        max_message_bytes: int,
        outstanding_bytes_max: int,
        overhead_bytes: int,
        default_timeout_s: float,
        clock: Callable[[], float],
        outcome: type[tuple[Any, ...]],
        locate: Callable[[str], Any],
        log: logging.Logger,
        log_end: Callable[[Notification, Any, str | None], None],
    ) -> None: ...
    def send(self, notification: Notification, /) -> bool:
        """Takes a notification for delivery, or drops it and returns False when the endpoint's
        queue or the memory for all queues is full (or the notifier is closed).

        Never waits and never raises for what is in the notification: a URL that is none and a
        message that is too big are outcomes.
        """
    def take_over(self, notification: Notification, queue: EndpointQueue) -> None:
        """It is accepted, though no lane will deliver it."""
    def end_exchange(self, lane: Lane, response: Any, failure: str | None) -> None:
        """As the lane's own call."""
    def conclude_exchange(
        self, lane: Lane, response: Any, failure: str | None
    ) -> Notification | None:
        """The end of an exchange which no other follows; returns the next with the same key."""
    def finish_unsent(self, notification: Notification, queue: EndpointQueue, failure: str) -> None:
        """The end of an accepted notification that no lane has in hand."""
    def set_to_work(self, lane: Lane) -> None:
        """A lane has nothing in hand: it takes what waits, or rests."""
