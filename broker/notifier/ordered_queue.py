"""A queue in which what has the same key leaves one after the other.

Owns what waits, and which keys are in the hands of somebody who delivers. Must not: know who
that is. Every operation is O(1) (amortised).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

PARKED_AT_ONCE: Final = 512
"""Items that `take` passes over in one call because their order_key is being delivered; some
0.1 ms."""


class Ordered(Protocol):
    """What can stand in such a queue."""

    @property
    def order_key(self) -> object:
        """Hashable; names what must stay in order."""


Item = TypeVar("Item", bound=Ordered)


class OrderedQueue(Generic[Item]):
    """Items in order of arrival; those whose key is being delivered are passed over."""

    __slots__ = ("busy", "queued", "waiting")

    def __init__(self) -> None:
        # In order of arrival. May hold keys that are in delivery; `take` passes them over.
        self.waiting: deque[Item] = deque()
        # Keys in delivery, with what has to wait for them (None: nothing). All of these are
        # older than what is in `waiting` with the same key.
        self.busy: dict[object, deque[Item] | None] = {}
        self.queued = 0

    def claim(self, item: Item) -> None:
        """An item is taken without its having waited."""
        self.busy[item.order_key] = None

    def add(self, item: Item) -> None:
        self.queued += 1
        if not self.waiting and item.order_key in self.busy:
            self._park(item)
        else:
            self.waiting.append(item)

    def take(self) -> Item | None:
        """The oldest that may leave. None: there is none, or none among the first PARKED_AT_ONCE
        (`waiting` is not empty then)."""
        for _ in range(min(PARKED_AT_ONCE, len(self.waiting))):
            item = self.waiting.popleft()
            if item.order_key not in self.busy:
                self.claim(item)
                self.queued -= 1
                return item
            self._park(item)
        return None

    def release(self, order_key: object) -> Item | None:
        """After a delivery: the next with the same key, which stays busy; else None."""
        parked = self.busy[order_key]
        if parked:
            self.queued -= 1
            return parked.popleft()
        del self.busy[order_key]
        return None

    def put_back(self, item: Item) -> None:
        """Undoes `take`, `claim` or `release`: what was taken is the oldest again."""
        parked = self.busy.pop(item.order_key)
        if parked:
            self.waiting.extendleft(reversed(parked))
        self.waiting.appendleft(item)
        self.queued += 1

    def drain(self) -> Iterator[Item]:
        """Everything that waits; the queue is empty afterwards."""
        everything = [*(n for parked in self.busy.values() if parked for n in parked)]
        everything += self.waiting
        self.busy.clear()
        self.waiting.clear()
        self.queued = 0
        return iter(everything)

    def _park(self, item: Item) -> None:
        parked = self.busy[item.order_key]
        if parked is None:
            self.busy[item.order_key] = deque((item,))
        else:
            parked.append(item)
