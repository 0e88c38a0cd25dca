"""What a route is: a path, and a handler for each of its methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from broker.http.call import Call

Handler: TypeAlias = Callable[[Call], Awaitable[web.Response]]
# Path, methods in the order of Orion's header Allow, and their handlers.
Routes: TypeAlias = list[tuple[str, dict[str, Handler]]]
