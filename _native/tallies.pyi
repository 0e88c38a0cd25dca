from collections.abc import Callable
from typing import Any, Final, final

from _native.requests import Head

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
