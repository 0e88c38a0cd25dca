"""The availability subscriptions of NGSI9: to be told of registrations.

Source: FI-WARE NGSI-9, which Orion 3.4 had left; FogFlow.
"""

from __future__ import annotations

import time
from typing import Any

from broker.engine import Engine
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from ngsi.availability import AvailabilitySubscription, Spelling
from ngsi.errors import NotFound
from ngsi.v1.availability import (
    Lifetime,
    decode_availability_end,
    decode_availability_subscription,
    decode_availability_update,
    render_status,
)
from ngsi.v1.durations import find_end
from ngsi.v1.status import CONTEXT_ELEMENT_NOT_FOUND, OK, StatusCode


class AvailabilityRoutes:
    """Handlers of availability subscriptions over one engine, in one spelling."""

    def __init__(self, engine: Engine, spelling: Spelling) -> None:
        self._engine = engine
        self._spelling = spelling

    async def subscribe(self, call: Call) -> Reply:
        """POST .../subscribeContextAvailability."""
        request = decode_availability_subscription(call.content(), self._spelling)
        subscription = AvailabilitySubscription(
            self._engine.new_id(),
            call.origin.scope,
            request.query,
            request.reference,
            find_end(time.time(), request.lifetime.seconds),
            self._spelling,
        )
        self._engine.registry.subscribe(call.origin, subscription)
        await self._engine.committed()
        name = "subscribeId" if self._spelling is Spelling.FOGFLOW else "subscriptionId"
        return self._confirm(name, subscription.id, request.lifetime)

    async def update(self, call: Call) -> Reply:
        """POST .../updateContextAvailabilitySubscription: what is given is replaced."""
        request = decode_availability_update(call.content(), self._spelling)
        subscription_id = request.subscription_id
        registry = self._engine.registry
        try:
            former = registry.subscription(call.origin.tenant, subscription_id)
        except NotFound:
            status = self._not_found(subscription_id)
            return reply_json({"subscriptionId": subscription_id, "errorCode": status})
        changed = AvailabilitySubscription(
            former.id,
            former.scope,
            request.query or former.query,
            request.reference or former.reference,
            find_end(time.time(), request.lifetime.seconds),
            self._spelling,
            former.counters,
            former.pending,
        )
        registry.subscribe(call.origin, changed)
        await self._engine.committed()
        return self._confirm("subscriptionId", changed.id, request.lifetime)

    async def unsubscribe(self, call: Call) -> Reply:
        """POST .../unsubscribeContextAvailability."""
        subscription_id = decode_availability_end(call.content(), self._spelling)
        status: dict[str, Any]
        try:
            self._engine.registry.unsubscribe(call.origin.tenant, subscription_id)
        except NotFound:
            status = self._not_found(subscription_id)
        else:
            status = render_status(StatusCode(OK), self._spelling)
            await self._engine.committed()
        return reply_json({"subscriptionId": subscription_id, "statusCode": status})

    def _confirm(self, name: str, subscription_id: str, lifetime: Lifetime) -> Reply:
        document: dict[str, Any] = {name: subscription_id, "duration": lifetime.duration}
        if self._spelling is Spelling.FOGFLOW:
            document["errorCode"] = render_status(StatusCode(OK), self._spelling)
        return reply_json(document)

    def _not_found(self, subscription_id: str) -> dict[str, Any]:
        details = f"subscriptionId: /{subscription_id}/"
        return render_status(StatusCode(CONTEXT_ELEMENT_NOT_FOUND, details), self._spelling)
