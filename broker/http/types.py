"""The operations on entity types: /v2/types."""

from __future__ import annotations

from broker.engine import Engine
from broker.entity_query import list_type_names, list_types
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from ngsi.errors import NotFound


class TypeRoutes:
    """Handlers of /v2/types over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def list(self, call: Call) -> Reply:
        """GET /v2/types."""
        table = self._engine.tenant(call.origin.tenant).entities
        scope = call.origin.scope
        names = await list_type_names(table, scope)
        total = len(names) if "count" in call.options else None
        page = names[call.offset : call.offset + call.limit]
        if "values" in call.options:
            return reply_json(page, total)
        detail = "noAttrDetail" not in call.options
        return reply_json(await list_types(table, scope, page, detail), total)

    async def get(self, call: Call) -> Reply:
        """GET /v2/types/{type}."""
        table = self._engine.tenant(call.origin.tenant).entities
        detail = "noAttrDetail" not in call.options
        name = call.captures["type"]
        listed = await list_types(table, call.origin.scope, [name], detail)
        if not listed:
            raise NotFound("Entity type not found")
        del listed[0]["type"]
        return reply_json(listed[0])
