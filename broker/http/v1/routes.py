"""The table of the routes of NGSIv1."""

from __future__ import annotations

from broker.engine import Engine
from broker.forwarding import Forwarding
from broker.http.routing import Resource, Routes
from broker.http.v1.errors import refuse_with_code
from broker.http.v1.queries import QueryRoutes
from broker.http.v1.updates import UpdateRoutes


def make_routes(engine: Engine, forwarding: Forwarding) -> Routes:
    """All routes of NGSIv1 over one engine and the context providers behind it."""
    updates = UpdateRoutes(engine, forwarding)
    queries = QueryRoutes(engine, forwarding)
    return [
        Resource("/v1/updateContext", {"POST": updates.update}, refuse_with_code),
        Resource("/v1/queryContext", {"POST": queries.query}, refuse_with_code),
    ]
