"""The convenience operations of NGSI10 on entities, attributes and entity types.

They are /v1/contextEntities and below, by id or by type and id, and /v1/contextEntityTypes. Each
stands for an updateContext or a queryContext and answers with a part of its answer.
"""

from __future__ import annotations

from typing import Any, Final

from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from broker.http.routing import Answer
from broker.http.v1.queries import QueryRoutes, render_page
from broker.http.v1.updates import UpdateRoutes, is_as_object
from ngsi.errors import BadRequest
from ngsi.model import AttributeUpdate, EntityUpdate, UpdateAction
from ngsi.v1.elements import Element, render_attributes, render_entity_id, render_updated
from ngsi.v1.queries import (
    ContextQuery,
    render_element_answer,
    select,
    select_attributes,
)
from ngsi.v1.restrictions import ENTITY_TYPE, Restriction
from ngsi.v1.status import (
    CONTEXT_ELEMENT_NOT_FOUND,
    OK,
    STATUS_OK,
    StatusCode,
    status_of,
)
from ngsi.v1.updates import ElementStatus, decode_attribute_body, decode_element_body

_NO_TYPE: Final = "entity::type cannot be empty for this request"
_OTHER_TYPE: Final = "non-matching entity::types in URL"
_NO_PAIR: Final = "entityId::type/attribute::name pair not found"
_NOTHING: Final = AttributeUpdate(None, None, None)


class EntityRoutes:
    """Handlers of /v1/contextEntities and /v1/contextEntityTypes over the standard operations."""

    def __init__(self, updates: UpdateRoutes, queries: QueryRoutes) -> None:
        self._updates = updates
        self._queries = queries

    async def list(self, call: Call) -> Reply:
        """GET /v1/contextEntities."""
        asked = _ask(call, id_pattern=".*")
        return reply_json(render_page(await self._queries.find(call, asked), (), call))

    async def list_of_type(self, call: Call) -> Reply:
        """GET /v1/contextEntityTypes/{type}, and .../attributes/{name}."""
        name = call.captures.get("name")
        asked = _ask(call, id_pattern=".*", names=() if name is None else (name,))
        page = await self._queries.find(call, asked)
        document = render_page(page, asked.attributes, call)
        if not page.entities:
            details = f"entityId::type /{call.captures['type']}/ non-existent"
            status = StatusCode(CONTEXT_ELEMENT_NOT_FOUND, details if name is None else _NO_PAIR)
            document = {"errorCode": status.render()}
        return reply_json(document)

    async def get(self, call: Call) -> Reply:
        """GET of one entity, or of its attributes."""
        entity_id = call.captures["id"]
        status = StatusCode(CONTEXT_ELEMENT_NOT_FOUND, f"Entity id: /{entity_id}/")
        try:
            page = await self._queries.find(call, _ask(call, entity_id=entity_id))
        except BadRequest as error:
            status = status_of(error)
        else:
            if page.entities:
                return reply_json(render_element_answer(page.entities[0], (), is_as_object(call)))
        entity_type = call.captures.get("type") or call.parameters.get(ENTITY_TYPE)
        element = render_entity_id(entity_id, entity_type)
        return reply_json({"contextElement": element, "statusCode": status.render()})

    async def get_attribute(self, call: Call) -> Reply:
        """GET of one attribute of an entity."""
        entity_id, name = call.captures["id"], call.captures["name"]
        try:
            asked = _ask(call, entity_id=entity_id, names=(name,))
        except BadRequest as error:
            return reply_json({"statusCode": status_of(error).render()})
        page = await self._queries.find(call, asked)
        if page.entities:
            shown = select_attributes(page.entities[0], (name,))
            return reply_json(
                {
                    "attributes": render_attributes(shown, is_as_object(call)),
                    "statusCode": STATUS_OK.render(),
                }
            )
        details = f"Entity id: /{entity_id}/"
        if "type" in call.captures:
            details = f"Entity-Attribute pair: /{entity_id}-{name}/"
        status = StatusCode(CONTEXT_ELEMENT_NOT_FOUND, details)
        return reply_json({"statusCode": status.render()})

    def append(self, call: Call) -> Answer:
        """POST of an entity or of its attributes."""
        given_id, given_type, update = decode_element_body(call.content())
        entity_id, entity_type = call.captures.get("id", ""), _read_type(call)
        if "type" in call.captures:
            if given_id or given_type:
                raise BadRequest("invalid payload: unknown fields")
        elif given_id and entity_id and given_id != entity_id:
            raise BadRequest("entityId::id differs in URL and payload")
        elif given_type and entity_type and given_type != entity_type:
            raise BadRequest("entityId::type differs in URL and payload")
        entity_id, entity_type = given_id or entity_id, given_type or entity_type
        if not entity_id:
            raise BadRequest("invalid request: mandatory entityId::id missing")
        element = Element(EntityUpdate(entity_id, entity_type or _no_type(call), update.attributes))
        as_object = is_as_object(call)

        def render(outcomes: list[ElementStatus]) -> dict[str, Any]:
            document = _render_responses(outcomes[0], as_object)
            if "errorCode" in document:
                return document
            updated = outcomes[0].update
            return {**render_entity_id(updated.id, updated.type), **document}

        return self._updates.run(call, [element], UpdateAction.APPEND, render)

    def update(self, call: Call) -> Answer:
        """PUT of an entity or of its attributes."""
        _, _, update = decode_element_body(call.content())
        element = Element(
            EntityUpdate(call.captures["id"], _read_type(call) or _no_type(call), update.attributes)
        )
        as_object = is_as_object(call)
        return self._updates.run(
            call,
            [element],
            UpdateAction.UPDATE,
            lambda outcomes: _render_responses(outcomes[0], as_object),
        )

    def delete(self, call: Call) -> Answer:
        """DELETE of an entity."""
        return self._run(call, {}, UpdateAction.DELETE)

    def append_attribute(self, call: Call) -> Answer:
        """POST of one attribute."""
        attribute = decode_attribute_body(call.content())
        return self._run(call, {call.captures["name"]: attribute}, UpdateAction.APPEND)

    def update_attribute(self, call: Call) -> Answer:
        """PUT of one attribute."""
        attribute = decode_attribute_body(call.content())
        return self._run(call, {call.captures["name"]: attribute}, UpdateAction.UPDATE)

    def delete_attribute(self, call: Call) -> Answer:
        """DELETE of one attribute."""
        return self._run(call, {call.captures["name"]: _NOTHING}, UpdateAction.DELETE)

    def _run(
        self, call: Call, attributes: dict[str, AttributeUpdate], action: UpdateAction
    ) -> Answer:
        update = EntityUpdate(call.captures["id"], _read_type(call) or _no_type(call), attributes)

        def render(outcomes: list[ElementStatus]) -> dict[str, Any]:
            status = outcomes[0].status
            if status.code == CONTEXT_ELEMENT_NOT_FOUND and not status.details:
                status = StatusCode(status.code, update.id)
            return status.render()

        return self._updates.run(call, [Element(update)], action, render)


def _render_responses(outcome: ElementStatus, as_object: bool) -> dict[str, Any]:
    """The answer of POST and PUT of an entity; the error alone if there is but one thing."""
    update, status = outcome
    if status.code == CONTEXT_ELEMENT_NOT_FOUND:
        return {"errorCode": StatusCode(CONTEXT_ELEMENT_NOT_FOUND, update.id).render()}
    if status.code != OK:
        return {"errorCode": status.render()}
    response: dict[str, Any] = {}
    if update.attributes:
        response["attributes"] = render_updated(update, as_object)
    response["statusCode"] = status.render()
    return {"contextResponses": [response]}


def _read_type(call: Call) -> str:
    """The type of the entity that a request names, "" for none; raises BadRequest."""
    asked = call.parameters.get(ENTITY_TYPE, "")
    in_path = call.captures.get("type")
    if in_path is None:
        return asked
    if call.parameters.get("!exist") == ENTITY_TYPE:
        raise BadRequest(_NO_TYPE)
    if asked and asked != in_path:
        raise BadRequest(_OTHER_TYPE)
    return in_path


def read_existence(call: Call) -> bool | None:
    """Whether entities must have a type, by the parameters exist and !exist; None: either."""
    if call.parameters.get("!exist") == ENTITY_TYPE:
        return False
    return True if call.parameters.get("exist") == ENTITY_TYPE else None


def _no_type(call: Call) -> str | None:
    """What stands for no type: any, or with !exist=entity::type only none."""
    return "" if call.parameters.get("!exist") == ENTITY_TYPE else None


def _ask(
    call: Call,
    entity_id: str | None = None,
    id_pattern: str | None = None,
    names: tuple[str, ...] = (),
) -> ContextQuery:
    selector = select(_read_type(call), read_existence(call), entity_id, id_pattern)
    return ContextQuery((selector,), names, Restriction())
