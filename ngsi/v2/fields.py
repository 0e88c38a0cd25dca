"""Readers for the fields of NGSIv2 documents, with Orion's words for what is wrong."""

from __future__ import annotations

from typing import Any

from ngsi.errors import BadRequest
from ngsi.geometry import GeoQuery
from ngsi.instants import parse_instant
from ngsi.model import EntitySelector
from ngsi.patterns import InvalidPattern, Pattern, compile_pattern
from ngsi.query import Query, parse_query
from ngsi.syntax import MAX_IDENTIFIER_LENGTH, has_forbidden, is_identifier

MAX_DESCRIPTION_LENGTH = 1024  # characters, as Orion


def read_string(document: dict[str, Any], field: str, what: str = "") -> str | None:
    """The text of an optional field, None when it is missing."""
    value = document.get(field)
    if type(value) is str or field not in document:
        return value
    raise BadRequest(f"{what or field} is not a string")


def read_mandatory_string(document: dict[str, Any], field: str, what: str) -> str:
    """The text of a field that must be there."""
    value = read_string(document, field, what)
    if value is None:
        raise BadRequest(f"{what} is missing")
    return value


def read_integer(document: dict[str, Any], field: str) -> int | None:
    """The integer of an optional field, None when it is missing."""
    value = document.get(field)
    if type(value) is int or field not in document:
        return value
    raise BadRequest(f"{field} is not an int")


def read_boolean(document: dict[str, Any], field: str, default: bool) -> bool:
    """The boolean of an optional field."""
    value = document.get(field, default)
    if type(value) is not bool:
        raise BadRequest(f"{field} is not a bool")
    return value


def read_description(document: dict[str, Any]) -> str | None:
    """`description`, None when it is missing."""
    description = read_string(document, "description")
    if description is not None:
        if len(description) > MAX_DESCRIPTION_LENGTH:
            raise BadRequest("max description length exceeded")
        if has_forbidden(description):
            raise BadRequest("forbidden characters in description")
    return description


def read_expires(text: str, message: str) -> float | None:
    """Seconds since 1970 of an expiration; the empty text means never (None)."""
    if not text:
        return None
    seconds = parse_instant(text)
    if seconds is None:
        raise BadRequest(message)
    return seconds


def read_names(document: dict[str, Any], field: str, lenient: bool = False) -> tuple[str, ...]:
    """A list of attribute or metadata names, without repetitions.

    `lenient` allows for what NGSIv1 takes and NGSIv2 does not.
    """
    names = document[field]
    if type(names) is not list:
        raise BadRequest(f"the field /{field}/ must be a JSON array")
    seen: dict[str, None] = {}
    for name in names:
        if type(name) is not str:
            raise BadRequest(f"only JSON Strings allowed in string vector /{field}/")
        if name in seen:
            raise BadRequest(f"duplicated item /{name}/ in array")
        if not lenient and not is_identifier(name):
            raise BadRequest("forbidden characters in attribute name")
        if not name:
            raise BadRequest(f"empty string found in string vector /{field}/")
        seen[name] = None
    return tuple(seen)


def read_selectors(entities: Any, lenient: bool = False) -> tuple[EntitySelector, ...]:
    """`entities` of a subscription or registration, without repetitions.

    `lenient` allows for what NGSIv1 takes and NGSIv2 does not: other characters, and "" for the
    type of entities that have none.
    """
    if type(entities) is not list:
        raise BadRequest("/entities/ is not an array")
    selectors = []
    for item in entities:
        if type(item) is not dict:
            raise BadRequest("/entities/ vector item is not an object")
        if "id" not in item and "idPattern" not in item:
            raise BadRequest("/entities/ vector item does not have /id/ nor /idPattern/")
        if "id" in item and "idPattern" in item:
            raise BadRequest("/entities/ vector item has both /id/ and /idPattern/")
        if "type" in item and "typePattern" in item:
            raise BadRequest("/entities/ element has both /type/ and /typePattern/")
        selectors.append(
            EntitySelector(
                _read_identifier(item["id"], "id", lenient) if "id" in item else None,
                _read_item_pattern(item["idPattern"], "idPattern") if "idPattern" in item else None,
                _read_identifier(item["type"], "type", lenient) if "type" in item else None,
                _read_item_pattern(item["typePattern"], "typePattern")
                if "typePattern" in item
                else None,
            )
        )
    return tuple(selectors if len(selectors) == 1 else dict.fromkeys(selectors))


def _read_identifier(value: Any, field: str, lenient: bool) -> str:
    if type(value) is not str:
        what = "/id/" if field == "id" else "type"
        raise BadRequest(f"/entities/ vector item {what} is not a string")
    if lenient and (value or field == "type"):
        return value
    if not value:
        raise BadRequest(
            "/entities/ element id is empty"
            if field == "id"
            else "entity type length: 0, min length supported: 1"
        )
    if not is_identifier(value):
        raise BadRequest(f"forbidden characters in /entities/ vector item /{field}/")
    if len(value) > MAX_IDENTIFIER_LENGTH:
        raise BadRequest(f"max {field} length exceeded in /entities/ vector item /{field}/")
    return value


def _read_item_pattern(text: Any, field: str) -> Pattern:
    if type(text) is not str:
        raise BadRequest(f"/entities/ vector item /{field}/ is not a string")
    if not text:
        raise BadRequest(f"/entities/ vector item /{field}/ is empty")
    return read_pattern(text, field)


def read_pattern(text: str, field: str) -> Pattern:
    """A compiled idPattern or typePattern."""
    try:
        return compile_pattern(text)
    except InvalidPattern:
        raise BadRequest(f"Invalid regex for entity {field}") from None


def render_selector(selector: EntitySelector) -> dict[str, str]:
    """A selector as a document."""
    document = {}
    if selector.id is not None:
        document["id"] = selector.id
    if selector.id_pattern is not None:
        document["idPattern"] = selector.id_pattern.text
    if selector.type is not None:
        document["type"] = selector.type
    if selector.type_pattern is not None:
        document["typePattern"] = selector.type_pattern.text
    return document


def read_expression(document: Any) -> tuple[Query | None, Query | None, GeoQuery | None]:
    """`expression` of a subscription or batch query: q, mq and the geographical query."""
    if type(document) is not dict:
        raise BadRequest("expression is not an object")
    if not document:
        raise BadRequest("expression is empty")
    texts: dict[str, str] = {}
    for field in ("q", "mq", "geometry", "coords", "georel"):
        if field in document:
            text = document[field]
            if type(text) is not str:
                raise BadRequest(f"{field} is not a string")
            if not text:
                raise BadRequest(f"{field} is empty")
            texts[field] = text
    q = parse_query(texts["q"], "q") if "q" in texts else None
    mq = parse_query(texts["mq"], "mq") if "mq" in texts else None
    geo = None
    given = texts.keys() & {"geometry", "coords", "georel"}
    if given:
        if len(given) < 3:
            raise BadRequest(
                "partial geo expression: geometry, georel and coords have to be provided together"
            )
        try:
            geo = GeoQuery.parse(texts["georel"], texts["geometry"], texts["coords"])
        except BadRequest as error:
            raise BadRequest(f"error parsing geo-query fields: {error.description}") from None
    return q, mq, geo
