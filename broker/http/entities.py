"""The operations on entities, attributes and values: /v2/entities and below."""

from __future__ import annotations

from typing import Final

import orjson
from aiohttp import web

from broker.engine import ENTITY_NOT_FOUND, Engine
from broker.entity_query import EntityQuery, find_entities, parse_order
from broker.forwarded_query import find_everywhere, query_everywhere
from broker.forwarded_update import FORWARDED_ACTIONS, update_everywhere
from broker.forwarding import Forwarding
from broker.http.call import Call
from broker.http.paging import read_cursor, reply_page
from broker.http.replies import reply_created, reply_json, reply_no_content, reply_text
from broker.update import PLAIN_UPDATE, UpdateOptions
from ngsi.errors import BadRequest, NgsiError, NotAcceptable, NotFound, TooManyResults
from ngsi.geometry import GeoQuery
from ngsi.instants import DATE_TYPES
from ngsi.model import (
    Attribute,
    AttributeUpdate,
    Entity,
    EntitySelector,
    EntityUpdate,
    UpdateAction,
)
from ngsi.patterns import Pattern
from ngsi.query import parse_query
from ngsi.v2 import entities as codec
from ngsi.v2.fields import read_pattern
from ngsi.v2.render import (
    ALL,
    WHOLE,
    Representation,
    View,
    render_attribute,
    render_entity,
    shown_value,
)

_MAX_SELECTORS: Final = 10_000  # a long URL could name a hundred million combinations


class EntityRoutes:
    """Handlers of /v2/entities over one engine and the context providers behind it."""

    def __init__(self, engine: Engine, forwarding: Forwarding) -> None:
        self._engine = engine
        self._forwarding = forwarding

    async def list(self, call: Call) -> web.Response:
        """GET /v2/entities."""
        query = read_query(call)
        view = read_view(call)
        if query.after is None and self._asks_providers(call):
            page = await query_everywhere(self._forwarding, call, query, view.attributes)
        else:
            page = await find_entities(self._engine.tenant(call.origin.tenant).entities, query)
        return reply_page(page, view)

    async def create(self, call: Call) -> web.Response:
        """POST /v2/entities."""
        upsert = "upsert" in call.options
        update = codec.decode_entity(await call.body(), "keyValues" in call.options)
        options = read_update_options(call)
        await self._settle(self._engine.create_entity(call.origin, update, upsert, options))
        response = reply_created(f"/v2/entities/{update.id}?type={update.type}")
        if upsert:
            response.set_status(204)
        return response

    async def get(self, call: Call) -> web.Response:
        """GET /v2/entities/{id}."""
        view = read_view(call)
        if self._asks_providers(call):
            entity = await self._find_everywhere(call, view.attributes)
        else:
            entity = self._find(call)
        return reply_json(render_entity(entity, view))

    async def get_attributes(self, call: Call) -> web.Response:
        """GET /v2/entities/{id}/attrs."""
        view = read_view(call)
        if self._asks_providers(call):
            entity = await self._find_everywhere(call, view.attributes)
        else:
            entity = self._find(call)
        document = render_entity(entity, view)
        if type(document) is dict:
            del document["id"], document["type"]
        return reply_json(document)

    async def append(self, call: Call) -> web.Response:
        """POST /v2/entities/{id}/attrs."""
        strict = "append" in call.options
        return await self._update(
            call, UpdateAction.APPEND_STRICT if strict else UpdateAction.APPEND
        )

    async def patch(self, call: Call) -> web.Response:
        """PATCH /v2/entities/{id}/attrs."""
        return await self._update(call, UpdateAction.UPDATE)

    async def replace(self, call: Call) -> web.Response:
        """PUT /v2/entities/{id}/attrs."""
        return await self._update(call, UpdateAction.REPLACE)

    async def delete(self, call: Call) -> web.Response:
        """DELETE /v2/entities/{id}."""
        update = EntityUpdate(call.identifier("id"), call.type, {})
        options = UpdateOptions()
        await self._settle(
            self._engine.update_entity(call.origin, update, UpdateAction.DELETE, options)
        )
        return reply_no_content()

    async def get_attribute(self, call: Call) -> web.Response:
        """GET /v2/entities/{id}/attrs/{name}."""
        name, attribute = await self._find_attribute(call)
        if "keyValues" in call.options:
            return reply_json({name: shown_value(attribute)})
        return reply_json(render_attribute(name, attribute, call.names("metadata")))

    async def put_attribute(self, call: Call) -> web.Response:
        """PUT /v2/entities/{id}/attrs/{name}."""
        # As Orion, the body is judged before the URL.
        name = call.request.match_info["name"]
        attribute = codec.decode_attribute(name, await call.body())
        update = EntityUpdate(call.identifier("id"), call.type, {name: attribute})
        return await self._update_attribute(call, update, UpdateAction.UPDATE)

    async def delete_attribute(self, call: Call) -> web.Response:
        """DELETE /v2/entities/{id}/attrs/{name}."""
        entity_id, name = call.identifier("id"), call.identifier("name")
        nothing = AttributeUpdate(None, None, None)
        update = EntityUpdate(entity_id, call.type, {name: nothing})
        return await self._update_attribute(call, update, UpdateAction.DELETE)

    async def get_value(self, call: Call) -> web.Response:
        """GET /v2/entities/{id}/attrs/{name}/value."""
        _, attribute = await self._find_attribute(call)
        value = shown_value(attribute)
        if type(value) is dict or type(value) is list:
            if call.accepted.prefers_text:
                return reply_text(orjson.dumps(value).decode())
            return reply_json(value)
        if not call.accepted.text:
            raise NotAcceptable("accepted MIME types: text/plain")
        if attribute.type in DATE_TYPES and type(value) is str:
            return reply_text(value)
        if type(value) is str:
            return reply_text(f'"{value}"')
        return reply_text(orjson.dumps(value).decode())

    async def put_value(self, call: Call) -> web.Response:
        """PUT /v2/entities/{id}/attrs/{name}/value."""
        entity_id, name = call.identifier("id"), call.identifier("name")
        body = await call.body(allow_text=True)
        attribute = codec.decode_attribute_value(body, call.content_type)
        update = EntityUpdate(entity_id, call.type, {name: attribute})
        return await self._update_attribute(call, update, UpdateAction.UPDATE)

    async def _update(self, call: Call, action: UpdateAction) -> web.Response:
        attributes = codec.decode_attributes(await call.body(), "keyValues" in call.options)
        update = EntityUpdate(call.identifier("id"), call.type, attributes)
        options = read_update_options(call)
        if self._engine.has_providers(call.origin.tenant) and await self._update_everywhere(
            call, update, action, options
        ):
            return reply_no_content()
        await self._settle(self._engine.update_entity(call.origin, update, action, options))
        return reply_no_content()

    async def _update_attribute(
        self, call: Call, update: EntityUpdate, action: UpdateAction
    ) -> web.Response:
        options = read_update_options(call)
        if self._engine.has_providers(call.origin.tenant) and await self._update_everywhere(
            call, update, action, options
        ):
            return reply_no_content()
        await self._settle(self._engine.update_attribute(call.origin, update, action, options))
        return reply_no_content()

    async def _settle(self, error: NgsiError | None) -> None:
        """Wait until what was done is kept, then tell of the rest."""
        await self._engine.committed()
        if error is not None:
            raise error

    async def _update_everywhere(
        self, call: Call, update: EntityUpdate, action: UpdateAction, options: UpdateOptions
    ) -> bool:
        return action in FORWARDED_ACTIONS and await update_everywhere(
            self._forwarding, call, [update], action, options
        )

    def _asks_providers(self, call: Call) -> bool:
        return (
            self._engine.has_providers(call.origin.tenant) and "skipForwarding" not in call.options
        )

    async def _find_everywhere(self, call: Call, names: tuple[str, ...]) -> Entity:
        selector = EntitySelector(id=call.identifier("id"), type=call.type)
        return await find_everywhere(self._forwarding, call, selector, names)

    def _find(self, call: Call) -> Entity:
        table = self._engine.tenant(call.origin.tenant).entities
        found = table.find(call.identifier("id"), call.type, call.origin.scope)
        if not found:
            raise NotFound(ENTITY_NOT_FOUND)
        if len(found) > 1:
            raise TooManyResults
        return found[0]

    async def _find_attribute(self, call: Call) -> tuple[str, Attribute]:
        name = call.identifier("name")
        if self._asks_providers(call):
            entity = await self._find_everywhere(call, (name,))
        else:
            entity = self._find(call)
        attribute = entity.attributes.get(name)
        if attribute is None:
            raise NotFound("The entity does not have such an attribute")
        return name, attribute


def read_update_options(call: Call) -> UpdateOptions:
    """The options of an update."""
    if not call.options:
        return PLAIN_UPDATE
    return UpdateOptions(
        override_metadata="overrideMetadata" in call.options,
        forced="forcedUpdate" in call.options,
    )


def read_representation(call: Call) -> Representation:
    """The representation that the options ask for."""
    if not call.options:
        return Representation.NORMALIZED
    for representation in (
        Representation.KEY_VALUES,
        Representation.VALUES,
        Representation.UNIQUE,
    ):
        if representation.value in call.options:
            return representation
    return Representation.NORMALIZED


def read_view(call: Call) -> View:
    """What the parameters attrs, metadata and options ask to be shown."""
    if not call.parameters:
        return WHOLE
    attributes = call.names("attrs")
    for name in ("dateCreated", "dateModified"):
        if name in call.options and name not in attributes:
            attributes = (*(attributes or (ALL,)), name)
    return View(read_representation(call), attributes, call.names("metadata"))


def read_query(call: Call) -> EntityQuery:
    """The query of GET /v2/entities."""
    parameters = call.parameters
    if "id" in parameters and "idPattern" in parameters:
        raise BadRequest("Incompatible parameters: id, IdPattern")
    if "type" in parameters and "typePattern" in parameters:
        raise BadRequest("Incompatible parameters: type, typePattern")
    geo = _read_geo_query(parameters)
    q = parse_query(parameters["q"], "q") if "q" in parameters else None
    mq = parse_query(parameters["mq"], "mq") if "mq" in parameters else None
    return EntityQuery(
        scope=call.origin.scope,
        selectors=_read_selectors(call),
        q=q,
        mq=mq,
        geo=geo,
        order_by=parse_order(parameters.get("orderBy", "")),
        limit=call.limit,
        offset=call.offset,
        after=read_cursor(call),
        count="count" in call.options,
    )


def _read_selectors(call: Call) -> tuple[EntitySelector, ...]:
    ids: tuple[str | None, ...] = call.names("id") or (None,)
    types: tuple[str | None, ...] = call.names("type") or (None,)
    id_pattern = _read_pattern(call, "idPattern")
    type_pattern = _read_pattern(call, "typePattern")
    if ids == types == (None,) and id_pattern is type_pattern is None:
        return ()
    if len(ids) * len(types) > _MAX_SELECTORS:
        raise BadRequest(f"more than {_MAX_SELECTORS} combinations of /id/ and /type/")
    return tuple(
        EntitySelector(entity_id, id_pattern, entity_type, type_pattern)
        for entity_id in ids
        for entity_type in types
    )


def _read_pattern(call: Call, name: str) -> Pattern | None:
    text = call.parameters.get(name)
    return None if text is None else read_pattern(text, name)


def _read_geo_query(parameters: dict[str, str]) -> GeoQuery | None:
    geometry, coords = parameters.get("geometry", ""), parameters.get("coords", "")
    georel = parameters.get("georel", "")
    if coords and not geometry:
        raise BadRequest("Invalid query: URI param /coords/ used without /geometry/")
    if geometry and not coords:
        raise BadRequest("Invalid query: URI param /geometry/ used without /coords/")
    if georel and not geometry:
        raise BadRequest("Invalid query: URI param /georel/ used without /geometry/")
    if not geometry:
        return None
    try:
        return GeoQuery.parse(georel, geometry, coords)
    except BadRequest as error:
        raise BadRequest(f"Invalid query: {error.description}") from None
