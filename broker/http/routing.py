"""What a route is: a method and a path, and what answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from broker.http.replies import Reply

if TYPE_CHECKING:
    from broker.http.call import Call

# A handler that has to wait for nothing but a commit gives the reply itself.
Answer: TypeAlias = Reply | Awaitable[Reply]
Handler: TypeAlias = "Callable[[Call], Answer]"
# Path, methods in the order of Orion's header Allow, and their handlers.
Routes: TypeAlias = list[tuple[str, dict[str, Handler]]]

UNMATCHED: Final = "unmatched"  # the route of paths that no route has
WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class Route:
    """One method of a path, "" for all others; `path` names it where requests are counted."""

    __slots__ = ("handler", "path", "reads_body")

    def __init__(self, method: str, path: str, handler: Handler) -> None:
        self.path = path
        self.handler = handler
        self.reads_body = method in WITH_BODY
