"""Request bodies of NGSIv1 to documents whose scalars are text.

NGSIv1 knows values that are strings and compounds of strings: a number is the text that the
client wrote, `true` and `null` are those words, an empty array or object is an empty string.
Each operation has a table of the fields that it takes; any other is an error that names it.
Source: Orion 3.4, NGSIv1 payloads.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import orjson

from ngsi.errors import BadRequest
from ngsi.syntax import MAX_NESTING, has_forbidden

JSON_PARSE_ERROR: Final = "JSON Parse Error"
ILLEGAL_VALUE: Final = "Illegal value for JSON field"
_TOO_DEEP: Final = "compound attribute value has overpassed maximum nesting limit"

# What a field may hold: TEXT any scalar, COMPOUND any value, SCOPE_VALUE any value with
# characters that are forbidden elsewhere, a dict an object with these fields, a list of one dict
# an array of such objects, a list of TEXT an array of scalars.
TEXT: Final = "text"
COMPOUND: Final = "compound"
SCOPE_VALUE: Final = "scope value"


def load_document(body: bytes, fields: dict[str, Any]) -> dict[str, Any]:
    """The JSON object of a request body, with no other fields than those of the table.

    Raises BadRequest with the words of Orion 3.4.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest(JSON_PARSE_ERROR) from None
    if type(document) is not dict:
        raise BadRequest(JSON_PARSE_ERROR)
    if _has_number(document, 0):
        document = _load_as_written(body)
    return read_object(document, fields, "")


def _has_number(value: Any, depth: int) -> bool:
    """Whether a number is in it, whose text orjson would not keep."""
    if depth > MAX_NESTING + 10:
        raise BadRequest(_TOO_DEEP)
    kind = type(value)
    if kind is str:
        return False
    if kind is dict:
        return any(_has_number(member, depth + 1) for member in value.values())
    if kind is list:
        return any(_has_number(item, depth + 1) for item in value)
    return kind is int or kind is float


def _load_as_written(body: bytes) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(
            body, parse_int=str, parse_float=str, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        raise BadRequest(JSON_PARSE_ERROR) from None
    return document


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(text)


def read_object(document: dict[str, Any], fields: dict[str, Any], path: str) -> dict[str, Any]:
    """The fields of an object at a path of a document; raises BadRequest for one not known."""
    read = {}
    for name, member in document.items():
        field = fields.get(name)
        if field is None:
            if name == _element_name(path):
                raise BadRequest(JSON_PARSE_ERROR)
            raise BadRequest(f"{JSON_PARSE_ERROR}: unknown field: {path}/{name}")
        read[name] = _read_member(member, field, f"{path}/{name}")
    return read


def _read_member(member: Any, field: Any, path: str) -> Any:
    if field is COMPOUND:
        return read_value(member)
    if field is TEXT:
        return _read_text(member, path)
    if field is SCOPE_VALUE:
        return member if type(member) in (dict, list) else _as_text(member)
    if type(field) is dict:
        if type(member) is dict:
            return read_object(member, field, path)
        if type(member) is list:
            raise _unknown(path)
        return {}
    if type(member) is list:
        return [_read_item(item, field[0], path) for item in member]
    if type(member) is dict and member:
        name = next(iter(member))
        if name == _element_name(path):
            raise BadRequest(JSON_PARSE_ERROR)
        raise BadRequest(f"{JSON_PARSE_ERROR}: unknown field: {path}/{name}")
    return []


def _read_item(item: Any, field: Any, path: str) -> Any:
    path = f"{path}/{_element_name(path)}"
    if type(field) is dict and type(item) is not dict:
        if type(item) is list and item:
            raise _unknown(path)
        return {}
    return _read_member(item, field, path)


def _read_text(member: Any, path: str) -> str:
    if type(member) is dict or type(member) is list:
        if member:
            raise _unknown(path if type(member) is list else f"{path}/{next(iter(member))}")
        return ""
    text = _as_text(member)
    if has_forbidden(text):
        raise BadRequest(ILLEGAL_VALUE)
    return text


def read_value(value: Any) -> Any:
    """The value of an attribute or metadata: a string, or a compound of strings."""
    if type(value) is str:
        if has_forbidden(value):
            raise BadRequest(ILLEGAL_VALUE)
        return value
    return _read_compound(value, 0)


def as_text(value: Any) -> Any:
    """The value as NGSIv1 has it, from one that another broker wrote: of strings alone."""
    if type(value) is dict and value:
        return {name: as_text(member) for name, member in value.items()}
    if type(value) is list and value:
        return [as_text(item) for item in value]
    if type(value) is int or type(value) is float:
        return orjson.dumps(value).decode()
    return "" if type(value) is dict or type(value) is list else _as_text(value)


def _read_compound(value: Any, depth: int) -> Any:
    if depth > MAX_NESTING:
        raise BadRequest(_TOO_DEEP)
    if type(value) is dict and value:
        return {name: _read_compound(member, depth + 1) for name, member in value.items()}
    if type(value) is list and value:
        return [_read_compound(item, depth + 1) for item in value]
    text = "" if type(value) is dict or type(value) is list else _as_text(value)
    if has_forbidden(text):
        raise BadRequest(ILLEGAL_VALUE)
    return text


def _as_text(scalar: Any) -> str:
    if type(scalar) is str:
        return scalar
    if scalar is None:
        return "null"
    return "true" if scalar else "false"


def _element_name(path: str) -> str:
    """The name of the elements of an array, which NGSI's XML had: entities, entity."""
    name = path.rpartition("/")[2][:-1]
    return f"{name[:-2]}y" if len(name) > 2 and name.endswith("ie") else name


def _unknown(path: str) -> BadRequest:
    return BadRequest(f"{JSON_PARSE_ERROR}: unknown field: {path}")
