"""The documents of POST /v2/op/update, /v2/op/query and /v2/op/notify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ngsi.errors import BadRequest
from ngsi.model import EntitySelector, EntityUpdate, UpdateAction
from ngsi.syntax import check_id, check_name, is_identifier
from ngsi.v2.document import load_object
from ngsi.v2.entities import decode_entity_object, decode_plain_batch
from ngsi.v2.fields import read_expression, read_pattern

if TYPE_CHECKING:
    from ngsi.geometry import GeoQuery
    from ngsi.query import Query

# The upper-case names are those of NGSIv1, which Orion still takes, in any mix of cases.
ACTIONS: Final = {action.value: action for action in UpdateAction} | {
    "APPEND": UpdateAction.APPEND,
    "APPEND_STRICT": UpdateAction.APPEND_STRICT,
    "UPDATE": UpdateAction.UPDATE,
    "DELETE": UpdateAction.DELETE,
    "REPLACE": UpdateAction.REPLACE,
}


@dataclass(slots=True)
class BatchQuery:
    """A decoded POST /v2/op/query. `having` asks for entities with one of these attributes."""

    selectors: tuple[EntitySelector, ...] = ()
    attributes: tuple[str, ...] = ()
    having: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    q: Query | None = None
    mq: Query | None = None
    geo: GeoQuery | None = None


def decode_batch_update(body: bytes, key_values: bool) -> tuple[UpdateAction, list[EntityUpdate]]:
    """The action and the entities of POST /v2/op/update."""
    plain = decode_plain_batch(body, key_values)
    if plain is not None:
        action = _find_action(plain[0])
        if action is not None:
            return action, plain[1]
    return _decode_batch_update(body, key_values)


def _find_action(text: str) -> UpdateAction | None:
    return ACTIONS.get(text) or ACTIONS.get(text.upper())


def _decode_batch_update(body: bytes, key_values: bool) -> tuple[UpdateAction, list[EntityUpdate]]:
    document = load_object(body)
    if not document:
        raise BadRequest("empty payload")
    for field in ("entities", "actionType"):
        if field not in document:
            raise BadRequest(f"Invalid JSON payload, mandatory field /{field}/ not found")
    action = UpdateAction.APPEND
    updates: list[EntityUpdate] = []
    for field, member in document.items():
        if field == "entities":
            if type(member) is not list:
                raise BadRequest("not a JSON array")
            updates = [decode_entity_object(item, key_values) for item in member]
        elif field == "actionType":
            known = _find_action(member) if type(member) is str else None
            if known is None:
                raise BadRequest(
                    "invalid update action type: right ones are: "
                    "append, appendStric, delete, replace, update"
                )
            action = known
        else:
            raise BadRequest(f"Unrecognized field in JSON payload: /{field}/")
    if not updates:
        raise BadRequest("empty entities vector")
    return action, updates


def decode_batch_query(body: bytes) -> BatchQuery:
    """The query of POST /v2/op/query."""
    document = load_object(body)
    if not document:
        raise BadRequest("empty payload")
    if document.keys().isdisjoint(("entities", "attributes", "attrs", "expression")):
        raise BadRequest("Invalid JSON payload, no relevant fields found")
    query = BatchQuery()
    for field, member in document.items():
        if field == "entities":
            if type(member) is not list:
                raise BadRequest("not a JSON array")
            query.selectors = tuple(_decode_selector(item) for item in member)
        elif field == "attrs":
            query.attributes = _decode_strings(member, field)
        elif field == "attributes":
            query.having = _decode_strings(member, field)
        elif field == "metadata":
            query.metadata = _decode_strings(member, field)
        elif field == "expression":
            query.q, query.mq, query.geo = read_expression(member)
        else:
            raise BadRequest(f"Unrecognized field in JSON payload: /{field}/")
    return query


def decode_notification(body: bytes, attrs_format: str) -> list[EntityUpdate]:
    """The entities of POST /v2/op/notify; `attrs_format` is the header Ngsiv2-AttrsFormat."""
    if attrs_format not in ("", "normalized"):
        if attrs_format in ("keyValues", "uniqueValues", "custom"):
            raise BadRequest(
                f"attribute render format /{attrs_format}/ not supported for notifications"
            )
        raise BadRequest("invalid render format for notifications")
    document = load_object(body)
    if not document:
        raise BadRequest("empty payload")
    for field in ("subscriptionId", "data"):
        if field not in document:
            quoted = "invalid" if field == "subscriptionId" else "Invalid"
            raise BadRequest(f"{quoted} JSON payload, mandatory field /{field}/ not found")
    updates: list[EntityUpdate] = []
    for field, member in document.items():
        if field == "subscriptionId":
            if type(member) is not str:
                raise BadRequest("/subscriptionId/ must be a JSON string")
        elif field == "data":
            if type(member) is not list:
                raise BadRequest("notification field /data/ must be a JSON array")
            for item in member:
                if type(item) is not dict:
                    raise BadRequest("notification data vector item must be a JSON object")
                updates.append(decode_entity_object(item, key_values=False))
        else:
            raise BadRequest(f"Unrecognized field in JSON payload: /{field}/")
    return updates


def _decode_selector(document: Any) -> EntitySelector:
    if type(document) is not dict:
        raise BadRequest("entity is not a JSON object")
    if "id" not in document and "idPattern" not in document:
        raise BadRequest("nor /id/ nor /idPattern/ present")
    if "id" in document and "idPattern" in document:
        raise BadRequest("both /id/ and /idPattern/ present")
    entity_id = entity_type = id_pattern = type_pattern = None
    for field, member in document.items():
        if field not in ("id", "idPattern", "type", "typePattern"):
            raise BadRequest("no attributes allowed in Entity in this payload")
        if type(member) is not str:
            raise BadRequest(f"Invalid JSON type for entity {field}")
        if field == "id":
            if not is_identifier(member):
                raise BadRequest("Invalid characters in entity id")
            if not member:
                raise BadRequest("id and idPattern cannot be both empty at the same time")
            entity_id = check_id(member)
        elif field == "type":
            entity_type = check_name(member, "entity type")
        elif not member:
            raise BadRequest(f"entity {field} length: 0, min length supported: 1")
        elif field == "idPattern":
            id_pattern = read_pattern(member, field)
        else:
            type_pattern = read_pattern(member, field)
    if entity_type is not None and type_pattern is not None:
        raise BadRequest("type and typePattern cannot be both filled at the same time")
    return EntitySelector(entity_id, id_pattern, entity_type, type_pattern)


def _decode_strings(document: Any, field: str) -> tuple[str, ...]:
    if type(document) is not list:
        raise BadRequest(f"the field /{field}/ must be a JSON array")
    if not all(type(item) is str for item in document):
        raise BadRequest(f"only JSON Strings allowed in {field} list")
    return tuple(dict.fromkeys(document))
