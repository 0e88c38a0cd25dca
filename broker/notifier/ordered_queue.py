"""A queue in which what has the same key leaves one after the other.

Owns what waits, and which keys are in the hands of somebody who delivers. Must not: know who
that is. Every operation is O(1) (amortised).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from _native import delivery as native

if TYPE_CHECKING:
    from _native.delivery import Ordered

PARKED_AT_ONCE: Final = 512
"""Items that `take` passes over in one call because their order_key is being delivered; some
0.1 ms."""

Item = TypeVar("Item", bound="Ordered")


class OrderedQueue(native.OrderedQueue[Item]):
    """Items in order of arrival; those whose key is being delivered are passed over."""

    def __init__(self) -> None:
        super().__init__(PARKED_AT_ONCE)
