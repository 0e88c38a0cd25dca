"""The batch operations: POST /v2/op/update, /v2/op/query, /v2/op/notify."""

from __future__ import annotations

from broker.engine import Engine
from broker.entity_order import parse_order
from broker.entity_query import EntityQuery, find_entities
from broker.forwarded_query import query_everywhere
from broker.forwarded_update import FORWARDED_ACTIONS, update_everywhere
from broker.forwarding import Forwarding
from broker.http.call import Call
from broker.http.entities import read_representation, read_update_options
from broker.http.paging import read_cursor, reply_page
from broker.http.replies import Reply
from broker.http.routing import Answer
from broker.update import PLAIN_UPDATE, UpdateOptions
from ngsi.model import EntityUpdate, UpdateAction
from ngsi.v2 import batch as codec
from ngsi.v2.render import View


class BatchRoutes:
    """Handlers of /v2/op over one engine and the context providers behind it."""

    def __init__(self, engine: Engine, forwarding: Forwarding) -> None:
        self._engine = engine
        self._forwarding = forwarding

    def update(self, call: Call) -> Answer:
        """POST /v2/op/update."""
        action, updates = codec.decode_batch_update(call.content(), "keyValues" in call.options)
        return self._apply(call, updates, action, read_update_options(call), 204)

    def notify(self, call: Call) -> Answer:
        """POST /v2/op/notify: the notification of another broker, as an update."""
        attrs_format = call.head.attrs_format
        updates = codec.decode_notification(call.content(), attrs_format)
        return self._apply(call, updates, UpdateAction.APPEND, PLAIN_UPDATE, 200)

    async def query(self, call: Call) -> Reply:
        """POST /v2/op/query."""
        asked = codec.decode_batch_query(call.content())
        query = EntityQuery(
            scope=call.origin.scope,
            selectors=asked.selectors,
            q=asked.q,
            mq=asked.mq,
            geo=asked.geo,
            having=asked.having,
            order_by=parse_order(call.parameters.get("orderBy", "")),
            limit=call.limit,
            offset=call.offset,
            after=read_cursor(call),
            count="count" in call.options,
        )
        view = View(read_representation(call), asked.attributes or asked.having, asked.metadata)
        tenant = call.origin.tenant
        asks_providers = query.after is None and "skipForwarding" not in call.options
        if asks_providers and self._engine.has_providers(tenant):
            page = await query_everywhere(self._forwarding, call, query, view.attributes)
        else:
            page = await find_entities(self._engine.tenant(tenant).entities, query)
        return reply_page(page, view)

    def _apply(
        self,
        call: Call,
        updates: list[EntityUpdate],
        action: UpdateAction,
        options: UpdateOptions,
        status: int,
    ) -> Answer:
        if action in FORWARDED_ACTIONS and self._engine.has_providers(call.origin.tenant):
            return self._apply_everywhere(call, updates, action, options, status)
        error = self._engine.update(call.origin, updates, action, options)
        # What was done of it is kept before the rest is reported.
        return Reply(status, commit=self._engine.committed(), error=error)

    async def _apply_everywhere(
        self,
        call: Call,
        updates: list[EntityUpdate],
        action: UpdateAction,
        options: UpdateOptions,
        status: int,
    ) -> Reply:
        if await update_everywhere(self._forwarding, call, updates, action, options):
            return Reply(status)
        error = self._engine.update(call.origin, updates, action, options)
        return Reply(status, commit=self._engine.committed(), error=error)
