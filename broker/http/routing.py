"""What a route is: a method and a path, and what answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from broker.http.replies import Reply, reply_error
from ngsi.errors import NgsiError

if TYPE_CHECKING:
    from broker.http.call import Call

# A handler that has to wait for nothing but a commit gives the reply itself.
Answer: TypeAlias = Reply | Awaitable[Reply]
Handler: TypeAlias = "Callable[[Call], Answer]"
# The reply that tells of an error, as text to a client that takes no JSON.
ErrorReply: TypeAlias = Callable[[NgsiError, bool], Reply]

UNMATCHED: Final = "unmatched"  # the route of paths that no route has
WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class Resource(NamedTuple):
    """A path, its methods in the order of Orion's header Allow, and how it tells of errors."""

    path: str
    handlers: Mapping[str, Handler]
    refuse: ErrorReply = reply_error
    refuse_unjudged: ErrorReply | None = None  # for a bad service path or parameter; as `refuse`
    any_media: bool = False  # whether Content-Type and Accept are not looked at

    def route(self, method: str) -> Route:
        """The route of one of the methods."""
        return Route(method, self, self.handlers[method])


Routes: TypeAlias = list[Resource]


class Route:
    """One method of a path, "" for all others; `path` names it where requests are counted."""

    __slots__ = ("any_media", "handler", "path", "reads_body", "refuse", "refuse_unjudged")

    def __init__(self, method: str, resource: Resource, handler: Handler) -> None:
        self.path = resource.path
        self.handler = handler
        self.reads_body = method in WITH_BODY
        self.refuse = resource.refuse
        self.refuse_unjudged = resource.refuse_unjudged or resource.refuse
        self.any_media = resource.any_media
