from collections.abc import Iterable
from typing import Any, final

from _native.requests import Request

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
