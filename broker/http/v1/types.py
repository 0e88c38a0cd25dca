"""The operations on entity types that Orion added to NGSIv1: /v1/contextTypes."""

from __future__ import annotations

from typing import Any

from broker.engine import Engine
from broker.entity_query import list_type_names, list_types
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from ngsi.v1.status import CONTEXT_ELEMENT_NOT_FOUND, OK, StatusCode


class TypeRoutes:
    """Handlers of /v1/contextTypes over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def list(self, call: Call) -> Reply:
        """GET /v1/contextTypes: with `collapse` without the names of the attributes."""
        table = self._engine.tenant(call.origin.tenant).entities
        scope = call.origin.scope
        names = await list_type_names(table, scope)
        code = OK if names else CONTEXT_ELEMENT_NOT_FOUND
        details = ""
        if call.parameters.get("details") == "on":
            details = f"Count: {len(names)}"
            if not names:
                details = f"Number of types: 0. Offset is {call.offset}"
        document: dict[str, Any] = {}
        page = names[call.offset : call.offset + call.limit]
        if page and call.parameters.get("collapse") == "true":
            document["types"] = [{"name": name} for name in page]
        elif page:
            listed = await list_types(table, scope, page, detail=False)
            document["types"] = [_render(entity_type) for entity_type in listed]
        document["statusCode"] = StatusCode(code, details).render()
        return reply_json(document)

    async def get(self, call: Call) -> Reply:
        """GET /v1/contextTypes/{type}: a page of the names of its attributes."""
        table = self._engine.tenant(call.origin.tenant).entities
        name = call.captures["type"]
        listed = await list_types(table, call.origin.scope, [name], detail=False)
        attributes = sorted(listed[0]["attrs"]) if listed else []
        document: dict[str, Any] = {"name": name}
        page = attributes[call.offset : call.offset + call.limit]
        status = StatusCode(OK if page else CONTEXT_ELEMENT_NOT_FOUND)
        if page:
            document["attributes"] = page
        if attributes and call.parameters.get("details", "").lower() == "on":
            details = f"Count: {len(attributes)}"
            if not page:
                details = f"Number of attributes: {len(attributes)}. Offset is {call.offset}"
            status = StatusCode(status.code, details)
        document["statusCode"] = status.render()
        return reply_json(document)


def _render(entity_type: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {"name": entity_type["type"]}
    if entity_type["attrs"]:
        document["attributes"] = sorted(entity_type["attrs"])
    return document
