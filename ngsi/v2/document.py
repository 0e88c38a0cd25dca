"""A request body to a JSON document, and the normal form of the values in it.

orjson keeps the last of two members with one name; Orion refuses such bodies. Looking for
them costs one count of the members in the text against those in the document, and only a
body where the two differ is read again, slowly, to name the member.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

from _native.members import repeats_member
from ngsi.errors import BadRequest, ParseError
from ngsi.json_value import JsonValue
from ngsi.syntax import MAX_NESTING, has_forbidden

# Beyond this a double no longer holds every integer, so 1e300 stays a float.
_TOO_DEEP: Final = (
    f"attribute or metadata value has overpassed maximum nesting limit: {MAX_NESTING}"
)
_JSON_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET: Final = re.compile(rb"[][{}]")
_OPENING: Final = {b"]": ord("["), b"}": ord("{")}
_EXACT_INTEGERS: Final = 2.0**53


def load_document(body: bytes) -> Any:
    """The JSON document of a request body.

    Raises ParseError when it is not JSON, BadRequest when an object repeats a name.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # The parser gives up at its depth, whether what follows is JSON or not.
        if "depth limit" in error.msg and _closes_what_it_opens(body):
            raise ParseError(_TOO_DEEP) from None
        raise ParseError from None
    if repeats_member(body, document):
        _refuse_repeated_member(body)
    return document


def _closes_what_it_opens(body: bytes) -> bool:
    open_brackets = bytearray()
    for bracket in _BRACKET.findall(_JSON_STRING.sub(b"", body)):
        if bracket in b"[{":
            open_brackets += bracket
        elif not open_brackets or open_brackets.pop() != _OPENING[bracket]:
            return False
    return not open_brackets


def load_object(body: bytes) -> dict[str, Any]:
    """As `load_document`; anything but a JSON object is a ParseError."""
    document = load_document(body)
    if type(document) is not dict:
        raise ParseError
    return document


def _refuse_repeated_member(body: bytes) -> None:
    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name, value in pairs:
            if name == "value" and name in seen:
                raise BadRequest("duplicated value key in attribute")
            # Orion lets the last id and type count.
            if name in seen and name not in ("id", "type"):
                raise BadRequest(f"duplicated attribute /{name}/")
            seen[name] = value
        return seen

    try:
        json.loads(body, object_pairs_hook=check)
    except RecursionError:
        raise ParseError(_TOO_DEEP) from None


def normalize(value: JsonValue, unrestricted: bool, depth: int = 0) -> JsonValue:
    """The value in the model's normal form, checked for forbidden characters and depth.

    Floats without fraction become ints. Strings anywhere in it must be free of forbidden
    characters unless `unrestricted` (attribute type or metadata TextUnrestricted).
    """
    kind = type(value)
    if kind is str:
        if not unrestricted and has_forbidden(value):
            raise BadRequest("Invalid characters in attribute value")
        return value
    if kind is float:
        return normalize_number(value)
    if kind is dict or kind is list:
        if depth > MAX_NESTING:
            raise ParseError(_TOO_DEEP)
        if kind is dict:
            return {
                name: normalize(member, unrestricted, depth + 1) for name, member in value.items()
            }
        return [normalize(item, unrestricted, depth + 1) for item in value]
    return value


def normalize_number(value: float) -> float:
    """A float without fraction as an int, where an int says the same."""
    return int(value) if value.is_integer() and abs(value) <= _EXACT_INTEGERS else value
