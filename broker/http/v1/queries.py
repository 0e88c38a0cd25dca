"""The operation queryContext of NGSI10."""

from __future__ import annotations

from typing import Any

from broker.engine import Engine
from broker.entity_order import parse_order
from broker.entity_query import EntityPage, EntityQuery, find_entities
from broker.forwarded_query import query_everywhere
from broker.forwarding import Forwarding
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from broker.http.v1.updates import is_as_object
from ngsi.v1.queries import ContextQuery, decode_query, render_element_answer
from ngsi.v1.status import CONTEXT_ELEMENT_NOT_FOUND, OK, StatusCode


class QueryRoutes:
    """Handler of queryContext over one engine and the context providers behind it."""

    def __init__(self, engine: Engine, forwarding: Forwarding) -> None:
        self._engine = engine
        self._forwarding = forwarding

    async def query(self, call: Call) -> Reply:
        """POST /v1/queryContext."""
        asked = decode_query(call.content())
        page = await self.find(call, asked)
        return reply_json(render_page(page, asked.attributes, call))

    async def find(self, call: Call, asked: ContextQuery) -> EntityPage:
        """The page of entities that a query asks for, with what providers hold."""
        tenant = call.origin.tenant
        restriction = asked.restriction
        query = EntityQuery(
            scope=call.origin.scope,
            selectors=asked.selectors,
            q=restriction.q,
            mq=restriction.mq,
            geo=restriction.geo,
            having=asked.attributes,
            order_by=parse_order(call.parameters.get("orderBy", "")),
            limit=call.limit,
            offset=call.offset,
            count=call.parameters.get("details") == "on",
        )
        if self._engine.has_providers(tenant) and "skipForwarding" not in call.options:
            return await query_everywhere(self._forwarding, call, query, asked.attributes)
        return await find_entities(self._engine.tenant(tenant).entities, query)


def render_page(page: EntityPage, wanted: tuple[str, ...], call: Call) -> dict[str, Any]:
    """The answer of queryContext."""
    as_object = is_as_object(call)
    if not page.entities:
        details = ""
        if page.total and call.offset >= page.total:
            details = f"Number of matching entities: {page.total}. Offset is {call.offset}"
        elif not page.is_whole:
            details = "invalid context provider response"
        return {"errorCode": StatusCode(CONTEXT_ELEMENT_NOT_FOUND, details).render()}
    document: dict[str, Any] = {
        "contextResponses": [
            render_element_answer(entity, wanted, as_object) for entity in page.entities
        ]
    }
    if page.total is not None:
        document["errorCode"] = StatusCode(OK, f"Count: {page.total}").render()
    return document
