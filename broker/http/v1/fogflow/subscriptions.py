"""Subscriptions in FogFlow's spelling, and their listing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final

import orjson

from broker.engine import Engine
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from broker.http.routing import Handler
from broker.http.v1.fogflow.contexts import MAX_ELEMENTS, ContextRoutes
from ngsi.errors import BadRequest, NotFound, TooManyResults
from ngsi.model import Entity
from ngsi.service_path import EVERYWHERE
from ngsi.subscription import Subscription
from ngsi.v1.fogflow.notifications import decode_availability, render_notification_answer
from ngsi.v1.fogflow.subscriptions import (
    Subscriber,
    decode_subscription,
    decode_unsubscription,
    make_subscription,
    render_subscribed,
    render_subscription,
    render_unsubscribed,
)
from ngsi.v1.status import STATUS_OK, SUBSCRIPTION_NOT_FOUND, StatusCode
from ngsi.v2.subscriptions import render_subscription as render_v2

DESTINATION: Final = "Destination"
REQUIRE_RELIABILITY: Final = "Require-Reliability"
FIWARE_CORRELATOR: Final = "Fiware-Correlator"

# The state of up to so many entities goes out as one notification each, which later ones of the
# same entity do not overtake. Of more it goes out in batches of so many entities and bytes, since
# the queue of an endpoint holds about a thousand notifications.
MAX_SINGLE: Final = 100
MAX_BATCH_LENGTH: Final = 100
MAX_BATCH_BYTES: Final = 256 * 1024
# Rendered in one go, in some milliseconds; then other clients get their turn.
_SLICE_LENGTH: Final = 500


class SubscriptionRoutes:
    """Handlers over one engine; `contexts` find what a subscription is about."""

    def __init__(self, engine: Engine, contexts: ContextRoutes) -> None:
        self._engine = engine
        self._contexts = contexts

    async def subscribe(self, call: Call) -> Reply:
        """POST /ngsi10/subscribeContext: what matches now is notified at once."""
        request = decode_subscription(call.body)
        subscriber = Subscriber(
            call.header(DESTINATION),
            call.header(REQUIRE_RELIABILITY).lower() == "true",
            call.header(FIWARE_CORRELATOR),
        )
        subscription = make_subscription(
            request, subscriber, self._engine.new_id(), _service_path(call), time.time()
        )
        tenant = call.origin.tenant
        self._engine.put_subscription(tenant, subscription)
        await self._engine.committed()
        for batch in _split(await self._contexts.find_own(call, request.query)):
            if self._engine.tenant(tenant).subscriptions.get(subscription.id) is not subscription:
                break  # it was removed meanwhile
            self._engine.notify_current(call.origin, subscription, batch)
            await asyncio.sleep(0)
        return reply_json(render_subscribed(subscription.id, request.duration, request.throttling))

    async def unsubscribe(self, call: Call) -> Reply:
        """POST /ngsi10/unsubscribeContext."""
        subscription_id = decode_unsubscription(call.body)
        is_done = await self._remove(call, subscription_id)
        status = STATUS_OK if is_done else StatusCode(SUBSCRIPTION_NOT_FOUND)
        return reply_json(render_unsubscribed(subscription_id, status))

    async def delete(self, call: Call) -> Reply:
        """DELETE /ngsi10/subscription/{id} and /v2/subscription/{id}; as in FogFlow, it is no
        error if there is none."""
        await self._remove(call, call.captures["id"])
        return Reply(200)

    async def _remove(self, call: Call, subscription_id: str) -> bool:
        try:
            self._engine.remove_subscription(call.origin.tenant, subscription_id)
        except NotFound:
            return False
        await self._engine.committed()
        return True

    async def list(self, call: Call) -> Reply:
        """GET /ngsi10/subscription: all of the tenant, by their ids."""
        table = self._engine.tenant(call.origin.tenant).subscriptions
        is_paged = "limit" in call.parameters or call.offset
        limit = call.limit if is_paged else MAX_ELEMENTS + 1
        found, _ = table.page(call.offset, limit, None)
        if len(found) > MAX_ELEMENTS:
            raise TooManyResults(f"more than {MAX_ELEMENTS}: ask for pages with limit and offset")
        now = time.time()
        parts: list[bytes] = []
        for start in range(0, len(found), _SLICE_LENGTH):
            if start:
                await asyncio.sleep(0)
            some = found[start : start + _SLICE_LENGTH]
            documents = {item.id: render_subscription(item, now) for item in some}
            parts.append(orjson.dumps(documents)[1:-1])
        return Reply(200, b"{%b}" % b",".join(parts), {"Content-Type": "application/json"})

    def get(self, call: Call) -> Reply:
        """GET /ngsi10/subscription/{id}."""
        return reply_json(render_subscription(self._subscription(call), time.time()))

    def get_v2(self, call: Call) -> Reply:
        """GET /v2/subscription/{id}: as /v2/subscriptions/{id} shows it."""
        return reply_json(render_v2(self._subscription(call), time.time()))

    def notify_availability(self, call: Call) -> Reply:
        """POST /ngsi10/notifyContextAvailability: taken, and of no use to a broker alone."""
        decode_availability(call.body)
        return reply_json(render_notification_answer([]))

    def _subscription(self, call: Call) -> Subscription:
        return self._engine.subscription(call.origin.tenant, call.captures["id"])


def tell_subscription_id(create: Handler) -> Handler:
    """A handler that makes a subscription as `create`, and tells its id in the body, too."""

    async def create_and_tell(call: Call) -> Reply:
        answer = create(call)
        reply = answer if isinstance(answer, Reply) else await answer
        subscription_id = reply.headers["Location"].rpartition("/")[2]
        reply.body = orjson.dumps(render_subscribed(subscription_id))
        reply.headers["Content-Type"] = "application/json"
        return reply

    return create_and_tell


def _service_path(call: Call) -> str:
    paths = call.origin.scope.paths
    if len(paths) > 1:
        raise BadRequest("max one service-path allowed for subscriptions")
    return paths[0] if paths else EVERYWHERE


def _split(entities: list[Entity]) -> Iterator[list[Entity]]:
    """The batches in which the state of entities is notified."""
    length = 1 if len(entities) <= MAX_SINGLE else MAX_BATCH_LENGTH
    batch: list[Entity] = []
    size = 0
    for entity in entities:
        if batch and (len(batch) >= length or size + entity.size > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entity)
        size += entity.size
    if batch:
        yield batch
