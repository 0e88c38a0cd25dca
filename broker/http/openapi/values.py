"""Schemas of what stands in many documents: identifiers, values, selectors, expressions, errors.

Bounds are taken from the code that enforces them. JSON Schema's patterns are those of ECMA-262.
"""

from __future__ import annotations

from typing import Final

from broker.http.openapi.operation import Json, schema_ref
from ngsi.patterns import MAX_PATTERN_LENGTH
from ngsi.syntax import MAX_IDENTIFIER_LENGTH, MAX_NESTING
from ngsi.v2.fields import MAX_DESCRIPTION_LENGTH

# As ngsi.syntax has them; a test compares the two character by character.
IDENTIFIER_PATTERN: Final = "^[!$%*-.0-:@-~]+$"
UNFORBIDDEN_PATTERN: Final = "^[^<>\"'=;()]*$"

_PATTERN_TEXT: Final = (
    "A POSIX extended regular expression, searched for anywhere in the text. Back-references, "
    "look-around and more than 1000 repetitions by braces are refused with 400."
)


def selector(*, is_closed: bool, unique_type: bool = True) -> Json:
    """A selector of entities; closed if other members are refused."""
    schema: Json = {
        "type": "object",
        "properties": {
            "id": schema_ref("Identifier"),
            "idPattern": schema_ref("Pattern"),
            "type": schema_ref("Identifier"),
            "typePattern": schema_ref("Pattern"),
        },
        "oneOf": [{"required": ["id"]}, {"required": ["idPattern"]}],
    }
    if unique_type:
        schema["not"] = {"required": ["type", "typePattern"]}
    if is_closed:
        schema["additionalProperties"] = False
    return schema


def names(description: str, **bounds: object) -> Json:
    """A list of names of attributes or metadata as subscriptions and registrations hold it."""
    return {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "pattern": IDENTIFIER_PATTERN},
        "uniqueItems": True,
        "description": description,
        **bounds,
    }


_EXPRESSION: Final[Json] = {
    "type": "object",
    "minProperties": 1,
    "description": (
        "Other members are not looked at. The grammars of q, mq and of the geographical query are "
        "those of Orion's API; JSON Schema cannot express them."
    ),
    "properties": {
        "q": {"type": "string", "minLength": 1},
        "mq": {"type": "string", "minLength": 1},
        "georel": {"type": "string", "minLength": 1},
        "geometry": {"type": "string", "minLength": 1},
        "coords": {"type": "string", "minLength": 1},
    },
    "dependentRequired": {
        "georel": ["geometry", "coords"],
        "geometry": ["georel", "coords"],
        "coords": ["georel", "geometry"],
    },
}

SCHEMAS: Final[Json] = {
    "Identifier": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_IDENTIFIER_LENGTH,
        "pattern": IDENTIFIER_PATTERN,
        "description": (
            "An id, type or name: printable ASCII without space and without "
            "& ? / # < > \" ' = ; ( )"
        ),
    },
    "Pattern": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_PATTERN_LENGTH,
        "description": _PATTERN_TEXT,
    },
    "Value": {
        # Without a type, so that it binds strings alone.
        "pattern": UNFORBIDDEN_PATTERN,
        "description": (
            "Any JSON value. No string anywhere in it may hold < > \" ' = ; ( ), and it is nested "
            f"at most {MAX_NESTING} levels. Numbers are kept as 64-bit integers or doubles."
        ),
    },
    "Description": {
        "type": "string",
        "maxLength": MAX_DESCRIPTION_LENGTH,
        "pattern": UNFORBIDDEN_PATTERN,
    },
    "Expiration": {
        "type": "string",
        "description": "An ISO 8601 instant after which it has no effect; empty for never.",
        "examples": ["2040-01-01T14:00:00.00Z"],
    },
    "Instant": {"type": "string", "format": "date-time"},
    "Expression": _EXPRESSION,
    "Selector": {
        **selector(is_closed=False),
        "description": "Which entities are meant. Other members are not looked at.",
    },
    "ShownSelector": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "idPattern": {"type": "string"},
            "type": {"type": "string"},
            "typePattern": {"type": "string"},
        },
        "additionalProperties": False,
    },
    "Error": {
        "type": "object",
        "properties": {
            "error": {"type": "string", "description": "For programs."},
            "description": {
                "type": "string",
                "description": "For people; < > ( ) = ' \" ; are escaped as in HTML.",
            },
        },
        "required": ["error", "description"],
        "additionalProperties": False,
    },
}
