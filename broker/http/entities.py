"""The operations on entities, attributes and values: /v2/entities and below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import orjson

from broker.engine import ENTITY_NOT_FOUND, Engine
from broker.entity_order import parse_order
from broker.entity_query import EntityQuery, find_entities
from broker.forwarded_query import find_everywhere, query_everywhere
from broker.forwarded_update import FORWARDED_ACTIONS, update_everywhere
from broker.forwarding import Forwarding
from broker.http.call import Call
from broker.http.paging import read_cursor, reply_page
from broker.http.replies import Reply, reply_created, reply_json, reply_no_content, reply_text
from broker.http.routing import Answer
from broker.update import PLAIN_UPDATE, UpdateOptions
from ngsi.errors import BadRequest, NotAcceptable, NotFound, TooManyResults
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
    ENCODER,
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
        # Whoever asks for what is ordinary, which is most, is answered by these.
        self._ordinary = engine.entity_requests(codec.parse_plain_attributes, ENCODER)

    async def list(self, call: Call) -> Reply:
        """GET /v2/entities."""
        query = read_query(call)
        view = read_view(call)
        if query.after is None and self._asks_providers(call):
            page = await query_everywhere(self._forwarding, call, query, view.attributes)
        else:
            page = await find_entities(self._engine.tenant(call.origin.tenant).entities, query)
        return reply_page(page, view)

    def create(self, call: Call) -> Reply:
        """POST /v2/entities."""
        upsert = "upsert" in call.options
        update = codec.decode_entity(call.content(), "keyValues" in call.options)
        options = read_update_options(call)
        error = self._engine.create_entity(call.origin, update, upsert, options)
        reply = reply_created(f"/v2/entities/{update.id}?type={update.type}")
        if upsert:
            reply.status = 204
        reply.commit, reply.error = self._engine.committed(), error
        return reply

    def get(self, call: Call) -> Answer:
        """GET /v2/entities/{id}."""
        reply = self._ordinary.read(call)
        if reply is not None:
            return reply
        view = read_view(call)
        if self._asks_providers(call):
            return self._get_everywhere(call, view)
        return reply_json(render_entity(self._find(call), view))

    async def _get_everywhere(self, call: Call, view: View) -> Reply:
        entity = await self._find_everywhere(call, view.attributes)
        return reply_json(render_entity(entity, view))

    async def get_attributes(self, call: Call) -> Reply:
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

    def append(self, call: Call) -> Answer:
        """POST /v2/entities/{id}/attrs."""
        reply = self._ordinary.update(call, True)
        if reply is not None:
            return reply
        strict = "append" in call.options
        return self._update(call, UpdateAction.APPEND_STRICT if strict else UpdateAction.APPEND)

    def patch(self, call: Call) -> Answer:
        """PATCH /v2/entities/{id}/attrs."""
        reply = self._ordinary.update(call, False)
        if reply is not None:
            return reply
        return self._update(call, UpdateAction.UPDATE)

    def replace(self, call: Call) -> Answer:
        """PUT /v2/entities/{id}/attrs."""
        return self._update(call, UpdateAction.REPLACE)

    def delete(self, call: Call) -> Reply:
        """DELETE /v2/entities/{id}."""
        update = EntityUpdate(call.identifier("id"), call.type, {})
        return self._update_here(call, update, UpdateAction.DELETE, PLAIN_UPDATE)

    async def get_attribute(self, call: Call) -> Reply:
        """GET /v2/entities/{id}/attrs/{name}."""
        name = call.identifier("name")
        if self._asks_providers(call):
            entity = await self._find_everywhere(call, (name,))
        else:
            entity = self._find(call)
        attribute = _find_attribute(entity, name)
        if "keyValues" in call.options:
            return reply_json({name: shown_value(attribute)})
        return reply_json(render_attribute(name, attribute, call.names("metadata")))

    def put_attribute(self, call: Call) -> Answer:
        """PUT /v2/entities/{id}/attrs/{name}."""
        # As Orion, the body is judged before the URL.
        name = call.captures["name"]
        attribute = codec.decode_attribute(name, call.content())
        update = EntityUpdate(call.identifier("id"), call.type, {name: attribute})
        return self._update_attribute(call, update, UpdateAction.UPDATE)

    def delete_attribute(self, call: Call) -> Answer:
        """DELETE /v2/entities/{id}/attrs/{name}."""
        entity_id, name = call.identifier("id"), call.identifier("name")
        nothing = AttributeUpdate(None, None, None)
        update = EntityUpdate(entity_id, call.type, {name: nothing})
        return self._update_attribute(call, update, UpdateAction.DELETE)

    def get_value(self, call: Call) -> Answer:
        """GET /v2/entities/{id}/attrs/{name}/value."""
        name = call.identifier("name")
        if self._asks_providers(call):
            return self._get_value_everywhere(call, name)
        return _reply_value(call, _find_attribute(self._find(call), name))

    async def _get_value_everywhere(self, call: Call, name: str) -> Reply:
        entity = await self._find_everywhere(call, (name,))
        return _reply_value(call, _find_attribute(entity, name))

    def put_value(self, call: Call) -> Answer:
        """PUT /v2/entities/{id}/attrs/{name}/value."""
        entity_id, name = call.identifier("id"), call.identifier("name")
        body = call.content(allow_text=True)
        attribute = codec.decode_attribute_value(body, call.content_type)
        update = EntityUpdate(entity_id, call.type, {name: attribute})
        return self._update_attribute(call, update, UpdateAction.UPDATE)

    def _update(self, call: Call, action: UpdateAction) -> Answer:
        attributes = codec.decode_attributes(call.content(), "keyValues" in call.options)
        update = EntityUpdate(call.identifier("id"), call.type, attributes)
        options = read_update_options(call)
        if action in FORWARDED_ACTIONS and self._engine.has_providers(call.origin.tenant):
            return self._update_everywhere(call, update, action, options, self._update_here)
        return self._update_here(call, update, action, options)

    def _update_here(
        self, call: Call, update: EntityUpdate, action: UpdateAction, options: UpdateOptions
    ) -> Reply:
        error = self._engine.update_entity(call.origin, update, action, options)
        # What was done is kept before the client is told of the rest.
        return reply_no_content(self._engine.committed(), error)

    def _update_attribute(self, call: Call, update: EntityUpdate, action: UpdateAction) -> Answer:
        options = read_update_options(call)
        if action in FORWARDED_ACTIONS and self._engine.has_providers(call.origin.tenant):
            here = self._update_attribute_here
            return self._update_everywhere(call, update, action, options, here)
        return self._update_attribute_here(call, update, action, options)

    def _update_attribute_here(
        self, call: Call, update: EntityUpdate, action: UpdateAction, options: UpdateOptions
    ) -> Reply:
        error = self._engine.update_attribute(call.origin, update, action, options)
        return reply_no_content(self._engine.committed(), error)

    async def _update_everywhere(
        self,
        call: Call,
        update: EntityUpdate,
        action: UpdateAction,
        options: UpdateOptions,
        here: Callable[[Call, EntityUpdate, UpdateAction, UpdateOptions], Reply],
    ) -> Reply:
        if await update_everywhere(self._forwarding, call, [update], action, options):
            return reply_no_content()
        return here(call, update, action, options)

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


def _find_attribute(entity: Entity, name: str) -> Attribute:
    attribute = entity.attributes.get(name)
    if attribute is None:
        raise NotFound("The entity does not have such an attribute")
    return attribute


def _reply_value(call: Call, attribute: Attribute) -> Reply:
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


def _read_geo_query(parameters: Mapping[str, str]) -> GeoQuery | None:
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
