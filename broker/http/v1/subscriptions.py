"""The subscription operations of NGSI10, standard and convenience."""

from __future__ import annotations

import time
from typing import Any

from broker.engine import Engine
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from broker.http.v1.entities import read_existence
from ngsi.errors import BadRequest, NgsiError, NotFound
from ngsi.service_path import EVERYWHERE
from ngsi.subscription import Subscription
from ngsi.v1.status import CONTEXT_ELEMENT_NOT_FOUND, STATUS_OK, StatusCode, status_of
from ngsi.v1.subscriptions import (
    DEFAULT_DURATION,
    NO_ID,
    SubscriptionChange,
    SubscriptionRequest,
    change_subscription,
    decode_subscription,
    decode_unsubscription,
    decode_update,
    load_update,
    make_subscription,
    render_subscribe_error,
    render_subscribed,
    render_unsubscribed,
)


class SubscriptionRoutes:
    """Handlers of subscribeContext and what belongs to it, over one engine.

    `add`, `change` and `remove` are the operations without a spelling.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def subscribe(self, call: Call) -> Reply:
        """POST /v1/subscribeContext."""
        return await self._subscribe(call, decode_subscription(call.content()))

    async def create(self, call: Call) -> Reply:
        """POST /v1/contextSubscriptions."""
        return await self._subscribe(
            call, decode_subscription(call.content(), read_existence(call))
        )

    async def _subscribe(self, call: Call, request: SubscriptionRequest) -> Reply:
        subscription = await self.add(call, request)
        change = request.change
        return reply_json(
            render_subscribed(
                subscription.id, change.duration or DEFAULT_DURATION, change.throttling
            )
        )

    async def update(self, call: Call) -> Reply:
        """POST /v1/updateContextSubscription."""
        subscription_id, document = load_update(call.content())
        return await self._update(call, subscription_id, document)

    async def put(self, call: Call) -> Reply:
        """PUT /v1/contextSubscriptions/{id}."""
        subscription_id, document = load_update(call.content())
        named = call.captures["id"]
        if named != subscription_id:
            raise BadRequest(
                f"unmatching subscriptionId URI/payload: /{named}/ vs /{subscription_id}/"
            )
        return await self._update(call, subscription_id, document)

    async def _update(self, call: Call, subscription_id: str, document: dict[str, Any]) -> Reply:
        try:
            change = decode_update(document)
            await self.change(call, subscription_id, change)
        except NotFound:
            status = StatusCode(CONTEXT_ELEMENT_NOT_FOUND)
        except NgsiError as error:
            status = status_of(error)
        else:
            return reply_json(
                render_subscribed(subscription_id, change.duration, change.throttling)
            )
        return reply_json(render_subscribe_error(status, subscription_id or NO_ID))

    async def unsubscribe(self, call: Call) -> Reply:
        """POST /v1/unsubscribeContext."""
        return await self._unsubscribe(call, decode_unsubscription(call.content()))

    async def delete(self, call: Call) -> Reply:
        """DELETE /v1/contextSubscriptions/{id}."""
        return await self._unsubscribe(call, call.captures["id"])

    async def _unsubscribe(self, call: Call, subscription_id: str) -> Reply:
        try:
            await self.remove(call, subscription_id)
        except NotFound:
            status = StatusCode(CONTEXT_ELEMENT_NOT_FOUND)
        except NgsiError as error:
            status = status_of(error)
        else:
            status = STATUS_OK
        return reply_json(render_unsubscribed(subscription_id, status))

    async def add(self, call: Call, request: SubscriptionRequest) -> Subscription:
        """The new subscription, once it is kept; raises NgsiError."""
        if len(call.origin.scope.paths) > 1:
            raise BadRequest("max one service-path allowed for subscriptions")
        subscription = make_subscription(
            request, self._engine.new_id(), _service_path(call), time.time()
        )
        self._engine.put_subscription(call.origin.tenant, subscription)
        await self._engine.committed()
        return subscription

    async def change(self, call: Call, subscription_id: str, change: SubscriptionChange) -> None:
        """Change a subscription; raises NotFound, and other NgsiError."""
        tenant = call.origin.tenant
        former = self._engine.subscription(tenant, subscription_id)
        changed = change_subscription(former, change, _service_path(call), time.time())
        self._engine.put_subscription(tenant, changed)
        await self._engine.committed()

    async def remove(self, call: Call, subscription_id: str) -> None:
        """Remove a subscription; raises NotFound, and other NgsiError."""
        self._engine.remove_subscription(call.origin.tenant, subscription_id)
        await self._engine.committed()


def _service_path(call: Call) -> str:
    """That of the request; as Orion, the first of several."""
    paths = call.origin.scope.paths
    return paths[0] if paths else EVERYWHERE
