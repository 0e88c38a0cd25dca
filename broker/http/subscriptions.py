"""The operations on subscriptions: /v2/subscriptions."""

from __future__ import annotations

import time

from broker.engine import Engine
from broker.http.call import Call
from broker.http.replies import Reply, reply_created, reply_json, reply_no_content
from broker.object_ids import check_subscription_id
from broker.subscriptions import SUBSCRIPTION_NOT_FOUND
from ngsi.errors import BadRequest, NotFound
from ngsi.service_path import EVERYWHERE
from ngsi.v2.document import load_object
from ngsi.v2.subscriptions import decode_subscription, render_subscription, update_subscription


class SubscriptionRoutes:
    """Handlers of /v2/subscriptions over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def list(self, call: Call) -> Reply:
        """GET /v2/subscriptions: those whose service path is exactly the header's."""
        tenant = self._engine.tenant(call.origin.tenant)
        paths = call.origin.scope.paths
        service_path = paths[0] if paths and paths[0] != EVERYWHERE else None
        page, total = tenant.subscriptions.page(call.offset, call.limit, service_path)
        now = time.time()
        return reply_json(
            [render_subscription(subscription, now) for subscription in page],
            total if "count" in call.options else None,
        )

    async def create(self, call: Call) -> Reply:
        """POST /v2/subscriptions."""
        subscription = decode_subscription(
            load_object(call.content()), self._engine.new_id(), _service_path(call) or EVERYWHERE
        )
        self._engine.put_subscription(call.origin.tenant, subscription)
        await self._engine.committed()
        return reply_created(f"/v2/subscriptions/{subscription.id}")

    async def get(self, call: Call) -> Reply:
        """GET /v2/subscriptions/{id}."""
        subscription = self._engine.subscription(call.origin.tenant, _subscription_id(call))
        paths = call.origin.scope.paths
        if paths and paths[0] != subscription.service_path:
            raise NotFound(SUBSCRIPTION_NOT_FOUND)
        return reply_json(render_subscription(subscription, time.time()))

    async def patch(self, call: Call) -> Reply:
        """PATCH /v2/subscriptions/{id}."""
        document = load_object(call.content())
        tenant = call.origin.tenant
        former = self._engine.subscription(tenant, _subscription_id(call))
        changed = update_subscription(document, former, _service_path(call))
        self._engine.put_subscription(tenant, changed)
        await self._engine.committed()
        return reply_no_content()

    async def delete(self, call: Call) -> Reply:
        """DELETE /v2/subscriptions/{id}."""
        self._engine.remove_subscription(call.origin.tenant, _subscription_id(call))
        await self._engine.committed()
        return reply_no_content()


def _subscription_id(call: Call) -> str:
    return check_subscription_id(call.captures["id"])


def _service_path(call: Call) -> str | None:
    paths = call.origin.scope.paths
    if len(paths) > 1:
        raise BadRequest("max one service-path allowed for subscriptions")
    return paths[0] if paths else None
