"""The batch operations: POST /v2/op/update, /v2/op/query, /v2/op/notify."""

from __future__ import annotations

from aiohttp import web

from broker.engine import Engine
from broker.entity_query import EntityQuery, find_entities, parse_order
from broker.forwarded_query import query_everywhere
from broker.forwarded_update import FORWARDED_ACTIONS, update_everywhere
from broker.forwarding import Forwarding
from broker.http.call import Call
from broker.http.entities import read_representation, read_update_options
from broker.http.paging import read_cursor, reply_page
from broker.http.replies import Reply, reply_no_content
from broker.update import UpdateOptions
from ngsi.model import EntityUpdate, UpdateAction
from ngsi.v2 import batch as codec
from ngsi.v2.render import View


class BatchRoutes:
    """Handlers of /v2/op over one engine and the context providers behind it."""

    def __init__(self, engine: Engine, forwarding: Forwarding) -> None:
        self._engine = engine
        self._forwarding = forwarding

    async def update(self, call: Call) -> web.Response:
        """POST /v2/op/update."""
        action, updates = codec.decode_batch_update(await call.body(), "keyValues" in call.options)
        await self._apply(call, updates, action, read_update_options(call))
        return reply_no_content()

    async def notify(self, call: Call) -> web.Response:
        """POST /v2/op/notify: the notification of another broker, as an update."""
        attrs_format = call.request.headers.get("Ngsiv2-AttrsFormat", "")
        updates = codec.decode_notification(await call.body(), attrs_format)
        await self._apply(call, updates, UpdateAction.APPEND, UpdateOptions())
        return Reply(status=200)

    async def query(self, call: Call) -> web.Response:
        """POST /v2/op/query."""
        asked = codec.decode_batch_query(await call.body())
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

    async def _apply(
        self,
        call: Call,
        updates: list[EntityUpdate],
        action: UpdateAction,
        options: UpdateOptions,
    ) -> None:
        if (
            self._engine.has_providers(call.origin.tenant)
            and action in FORWARDED_ACTIONS
            and await update_everywhere(self._forwarding, call, updates, action, options)
        ):
            return
        error = self._engine.update(call.origin, updates, action, options)
        # What was done of it is kept before the rest is reported.
        await self._engine.committed()
        if error is not None:
            raise error
