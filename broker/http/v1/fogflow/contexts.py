"""Entities in FogFlow's spelling: updateContext, queryContext, notifyContext and the listing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

import orjson

from broker.engine import ENTITY_NOT_FOUND, Engine
from broker.entity_query import EntityQuery, find_entities
from broker.forwarded_query import query_everywhere
from broker.forwarded_update import update_everywhere
from broker.forwarding import Forwarding
from broker.http.call import MAX_LIMIT, Call
from broker.http.replies import Reply, reply_json
from broker.http.routing import Answer
from broker.http.v1.updates import describe_outcome
from broker.nearest import find_nearest
from broker.providers import choose_provider
from broker.update import FOGFLOW_UPDATE, PLAIN_UPDATE
from ngsi.errors import NgsiError, NotFound, TooManyResults
from ngsi.model import AttributeUpdate, Entity, EntityUpdate, UpdateAction
from ngsi.registration import ForwardingMode
from ngsi.v1.fogflow.elements import COMMAND, ContextElement, render_element, render_member
from ngsi.v1.fogflow.notifications import decode_notification, render_notification_answer
from ngsi.v1.fogflow.queries import ContextQuery, decode_query, render_response
from ngsi.v1.fogflow.updates import decode_update, render_update_answer
from ngsi.v1.status import (
    CONTEXT_ELEMENT_NOT_FOUND,
    NOT_IMPLEMENTED,
    STATUS_OK,
    StatusCode,
    status_of,
)
from ngsi.v1.updates import ElementStatus

# FogFlow knows no pages: clients expect all. So many make some 50 MB of an answer.
MAX_ELEMENTS: Final = 100_000
# Rendered in one go, in some milliseconds; then other clients get their turn.
_SLICE_LENGTH: Final = 500
_TOO_MANY: Final = f"more than {MAX_ELEMENTS} entities: ask for pages with limit and offset"

_Split: TypeAlias = tuple[dict[str, AttributeUpdate], dict[str, AttributeUpdate]]


class ContextRoutes:
    """Handlers over one engine and the context providers behind it."""

    def __init__(self, engine: Engine, forwarding: Forwarding) -> None:
        self._engine = engine
        self._forwarding = forwarding

    def update(self, call: Call) -> Answer:
        """POST /ngsi10/updateContext."""
        action, elements = decode_update(call.body)
        return self._run(call, elements, action, render_update_answer)

    def notify(self, call: Call) -> Answer:
        """POST /ngsi10/notifyContext: the notification of another broker, as an update.

        An entity that was deleted there is deleted here.
        """
        elements = decode_notification(call.body)
        changed = [element for element in elements if not element.is_empty]
        deleted = [element for element in elements if element.is_empty]
        for element in deleted:
            self._apply(call, element, UpdateAction.DELETE)
        return self._run(call, changed, UpdateAction.APPEND, render_notification_answer)

    def _run(
        self,
        call: Call,
        elements: list[ContextElement],
        action: UpdateAction,
        render: Callable[[list[ElementStatus]], dict[str, Any]],
    ) -> Answer:
        call.origin.scope.for_update()  # raises for a scope that is none of an update
        if action is UpdateAction.APPEND and self._engine.has_providers(call.origin.tenant):
            return self._run_everywhere(call, elements, render)
        outcomes: list[ElementStatus] = []
        for element in elements:
            outcomes += self._apply(call, element, action)
        return self._reply(render(outcomes))

    async def _run_everywhere(
        self,
        call: Call,
        elements: list[ContextElement],
        render: Callable[[list[ElementStatus]], dict[str, Any]],
    ) -> Reply:
        outcomes: list[ElementStatus] = []
        for element in elements:
            own, others = self._split(call, element.update)
            if others and not element.is_pattern:
                outcomes.append(await self._forward(call, element.update, others))
            if own or not others:
                update = EntityUpdate(element.update.id, element.update.type, own)
                element = element._replace(update=update)
                outcomes += self._apply(call, element, UpdateAction.APPEND)
        return self._reply(render(outcomes))

    def _split(self, call: Call, update: EntityUpdate) -> _Split:
        """The attributes that this broker keeps, and those that providers are registered for."""
        origin = call.origin
        tenant = self._engine.tenant(origin.tenant)
        scope = origin.scope.for_update()
        found = tenant.entities.find(update.id, update.type, scope)
        present = found[0].attributes if found else {}
        registrations = tenant.providers.for_entity(
            update.id,
            found[0].type if found else update.type,
            scope,
            self._forwarding.now(),
            ForwardingMode.UPDATE,
        )
        own: dict[str, AttributeUpdate] = {}
        others: dict[str, AttributeUpdate] = {}
        for name, attribute in update.attributes.items():
            is_own = name in present or choose_provider(registrations, name) is None
            (own if is_own else others)[name] = attribute
        return own, others

    async def _forward(
        self, call: Call, update: EntityUpdate, attributes: dict[str, AttributeUpdate]
    ) -> ElementStatus:
        part = EntityUpdate(update.id, update.type, attributes)
        try:
            is_done = await update_everywhere(
                self._forwarding, call, [part], UpdateAction.UPDATE, PLAIN_UPDATE
            )
        except NgsiError as error:
            return ElementStatus(part, status_of(error))
        if is_done:
            return ElementStatus(part, STATUS_OK)
        return ElementStatus(part, StatusCode(CONTEXT_ELEMENT_NOT_FOUND, update.id))

    def _apply(
        self, call: Call, element: ContextElement, action: UpdateAction
    ) -> list[ElementStatus]:
        update = element.update
        if element.is_pattern:
            return [ElementStatus(update, StatusCode(NOT_IMPLEMENTED))]
        if action is not UpdateAction.DELETE:
            for name, attribute in update.attributes.items():
                if attribute.type == COMMAND:
                    details = f"no context provider is registered for the command /{name}/"
                    return [ElementStatus(update, StatusCode(CONTEXT_ELEMENT_NOT_FOUND, details))]
        if _has_types(update) and self._engine.update_ordinary(call.origin, [update], action):
            return [ElementStatus(update, STATUS_OK)]
        outcomes: list[ElementStatus] = []
        for outcome in self._engine.update_matching(call.origin, update, action, FOGFLOW_UPDATE):
            outcomes += describe_outcome(outcome, update, action)
        return outcomes

    def _reply(self, document: dict[str, Any]) -> Reply:
        reply = reply_json(document)
        reply.commit = self._engine.committed()
        return reply

    async def query(self, call: Call) -> Reply:
        """POST /ngsi10/queryContext."""
        asked = decode_query(call.body)
        everywhere = self._engine.has_providers(call.origin.tenant)
        entities = _check_number(await self._find(call, asked, everywhere))
        responses = await _join(entities, lambda entity: render_response(entity, asked.attributes))
        body = b'{"contextResponses":%b,"errorCode":{"code":200,"reasonPhrase":"OK"}}' % responses
        return _reply_bytes(body)

    async def find_own(self, call: Call, asked: ContextQuery) -> list[Entity]:
        """The entities of this broker that are asked for, at most MAX_ELEMENTS."""
        return (await self._find(call, asked, everywhere=False))[:MAX_ELEMENTS]

    async def _find(self, call: Call, asked: ContextQuery, everywhere: bool) -> list[Entity]:
        restriction = asked.scopes.restriction
        query = _page_of(
            call,
            EntityQuery(
                scope=call.origin.scope,
                selectors=asked.selectors,
                q=restriction.q,
                mq=restriction.mq,
                geo=restriction.geo,
            ),
        )
        tenant = self._engine.tenant(call.origin.tenant)
        nearby = asked.scopes.nearby
        if nearby is not None:
            query = replace(query, limit=min(nearby.limit, query.limit))
            return await find_nearest(tenant.entities, query, nearby.latitude, nearby.longitude)
        if everywhere:
            query = replace(query, limit=min(query.limit, MAX_LIMIT))
            page = await query_everywhere(self._forwarding, call, query, asked.attributes)
        else:
            page = await find_entities(tenant.entities, query)
        return page.entities

    async def list(self, call: Call) -> Reply:
        """GET /ngsi10/entity."""
        query = _page_of(call, EntityQuery(scope=call.origin.scope))
        page = await find_entities(self._engine.tenant(call.origin.tenant).entities, query)
        return _reply_bytes(await _join(_check_number(page.entities), _render))

    def get(self, call: Call) -> Reply:
        """GET /ngsi10/entity/{id}: of several with one id the first."""
        return reply_json(_render(self._entity(call)))

    def get_attribute(self, call: Call) -> Reply:
        """GET /ngsi10/entity/{id}/{name}: an attribute or one of the domain metadata."""
        name = call.captures["name"]
        attribute = self._entity(call).attributes.get(name)
        if attribute is None:
            raise NotFound(ENTITY_NOT_FOUND)
        return reply_json(render_member(name, attribute))

    def delete(self, call: Call) -> Reply:
        """DELETE /ngsi10/entity/{id}."""
        update = EntityUpdate(call.captures["id"], call.type, {})
        for outcome in self._engine.update_matching(call.origin, update, UpdateAction.DELETE):
            if outcome.error is not None:
                raise outcome.error
            if outcome.shortfall is not None:
                raise NotFound(ENTITY_NOT_FOUND)
        return Reply(200, commit=self._engine.committed())

    def _entity(self, call: Call) -> Entity:
        entities = self._engine.tenant(call.origin.tenant).entities
        found = entities.find(call.captures["id"], call.type, call.origin.scope)
        if not found:
            raise NotFound(ENTITY_NOT_FOUND)
        return found[0]


def _has_types(update: EntityUpdate) -> bool:
    return update.type is not None and all(
        attribute.type is not None for attribute in update.attributes.values()
    )


def _render(entity: Entity) -> dict[str, Any]:
    return render_element(entity.id, entity.type, entity.attributes)


def _page_of(call: Call, query: EntityQuery) -> EntityQuery:
    """The query with the limits of the URL; without them for all."""
    limit = call.limit if "limit" in call.parameters else MAX_ELEMENTS + 1
    return replace(query, limit=limit, offset=call.offset)


def _check_number(entities: list[Entity]) -> list[Entity]:
    if len(entities) > MAX_ELEMENTS:
        raise TooManyResults(_TOO_MANY)
    return entities


async def _join(entities: list[Entity], render: Callable[[Entity], dict[str, Any]]) -> bytes:
    """The array of what entities are rendered to, made in slices."""
    parts: list[bytes] = []
    for start in range(0, len(entities), _SLICE_LENGTH):
        if start:
            await asyncio.sleep(0)
        documents = [render(entity) for entity in entities[start : start + _SLICE_LENGTH]]
        parts.append(orjson.dumps(documents)[1:-1])
    return b"[%b]" % b",".join(parts)


def _reply_bytes(body: bytes) -> Reply:
    return Reply(200, body, {"Content-Type": "application/json"})
