"""What all request bodies in FogFlow's spelling are made of.

Raises ParseError for a body that is not of the operation's form, naming the field at fault, and
BadRequest for one that is and says something that cannot be.
"""

from __future__ import annotations

import re
from sys import intern
from typing import Any, Final

from ngsi.errors import BadRequest, ParseError
from ngsi.syntax import check_length, has_forbidden
from ngsi.v1.status import StatusCode
from ngsi.v2.document import load_object

# The journal's keys are made of ids, types and names with control characters between them.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_FLAGS: Final = {"true": True, "false": False, "": False}


def load_request(body: bytes) -> dict[str, Any]:
    """The JSON object of a request body; raises ParseError."""
    return load_object(body)


def read_objects(document: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """A field that is a list of objects; empty where it is missing or null."""
    items = document.get(field)
    if items is None:
        return []
    if type(items) is not list:
        raise ParseError(f"{field} is not an array")
    for item in items:
        if type(item) is not dict:
            raise ParseError(f"an item of {field} is not an object")
    return items


def read_texts(document: dict[str, Any], field: str) -> tuple[str, ...]:
    """A field that is a list of strings, without repetitions; empty where it is missing."""
    items = document.get(field)
    if items is None:
        return ()
    if type(items) is not list or not all(type(item) is str for item in items):
        raise ParseError(f"{field} is not an array of strings")
    if not all(items):
        raise BadRequest(f"{field} has an empty name")
    return tuple(dict.fromkeys(items))


def read_object(document: dict[str, Any], field: str) -> dict[str, Any]:
    """A field that is an object; empty where it is missing or null."""
    member = document.get(field)
    if member is None:
        return {}
    if type(member) is not dict:
        raise ParseError(f"{field} is not an object")
    return member


def read_text(document: dict[str, Any], field: str) -> str:
    """A field that is a string; "" where it is missing or null."""
    text = document.get(field)
    if text is None:
        return ""
    if type(text) is not str:
        raise ParseError(f"{field} is not a string")
    return text


def read_flag(document: dict[str, Any], field: str) -> bool:
    """A field that is a boolean, or its text as in Orion's spelling; False where it is missing."""
    flag = document.get(field)
    if flag is None:
        return False
    if type(flag) is str:
        flag = _FLAGS.get(flag.lower())
    if type(flag) is not bool:
        raise ParseError(f"{field} is not a boolean")
    return flag


def read_identifier(document: dict[str, Any], field: str, what: str) -> str:
    """A field that is an id, type or name; "" where it is missing. `what` is for the error."""
    text = read_text(document, field)
    if not text:
        return ""
    if has_forbidden(text) or _CONTROL.search(text):
        raise BadRequest(f"Invalid characters in {what}")
    check_length(text, what)
    return intern(text)


def read_number(document: dict[str, Any], field: str, where: str) -> float:
    """A field that is a number; `where` is what it is a field of."""
    number = document.get(field)
    if type(number) is not int and type(number) is not float:
        raise BadRequest(f"{field} of {where} is not a number")
    return number


def render_status(status: StatusCode) -> dict[str, Any]:
    """A status code: as Orion's, with a number for a code."""
    document: dict[str, Any] = {"code": status.code, "reasonPhrase": status.phrase}
    if status.details:
        document["details"] = status.details
    return document
