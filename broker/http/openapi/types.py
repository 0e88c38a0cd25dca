"""Entity types: /v2/types and /v2/types/{type}; and the entry points, /v2."""

from __future__ import annotations

from typing import Final

from broker.http.openapi.operation import Json, json_content, operation, response, schema_ref

_TAG: Final = "types"
_TYPE: Final[Json] = {
    "attrs": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": {"types": {"type": "array", "items": {"type": "string"}}},
            "required": ["types"],
            "additionalProperties": False,
        },
        "description": "The attributes, and the types that each has; with noAttrDetail none.",
    },
    "count": {"type": "integer", "minimum": 1, "description": "Entities of the type."},
}
_ENTRY_POINTS: Final = ("entities", "types", "subscriptions", "registrations")

SCHEMAS: Final[Json] = {
    "EntityType": {
        "type": "object",
        "properties": _TYPE,
        "required": ["attrs", "count"],
        "additionalProperties": False,
    },
    "NamedEntityType": {
        "type": "object",
        "properties": {"type": {"type": "string"}, **_TYPE},
        "required": ["type", "attrs", "count"],
        "additionalProperties": False,
    },
}
_READS: Final = ("Fiware-Service", "Fiware-ServicePath.scope")
_EXAMPLE: Final[Json] = {"attrs": {"temperature": {"types": ["Number"]}}, "count": 1}

PATHS: Final[Json] = {
    "/v2": {
        "get": operation(
            "listEntryPoints",
            _TAG,
            "List the entry points of the API",
            {
                "200": response(
                    "The paths of the collections.",
                    json_content(
                        {
                            "type": "object",
                            "properties": {
                                f"{name}_url": {"const": f"/v2/{name}"} for name in _ENTRY_POINTS
                            },
                            "required": [f"{name}_url" for name in _ENTRY_POINTS],
                            "additionalProperties": False,
                        }
                    ),
                )
            },
        )
    },
    "/v2/types": {
        "get": operation(
            "listTypes",
            _TAG,
            "List the types of entities",
            {
                "200": response(
                    "A page of types in alphabetical order; with options=values their names.",
                    json_content(
                        {
                            "type": "array",
                            "items": {"anyOf": [schema_ref("NamedEntityType"), {"type": "string"}]},
                        },
                        types=[{"type": "Room", **_EXAMPLE}],
                    ),
                    headers=("Fiware-Total-Count",),
                )
            },
            parameters=(*_READS, "limit", "offset", "typesOptions"),
        )
    },
    "/v2/types/{type}": {
        "get": operation(
            "retrieveType",
            _TAG,
            "Retrieve a type of entities",
            {"200": response("The type.", json_content(schema_ref("EntityType"), type=_EXAMPLE))},
            parameters=("entityType", *_READS, "typeOptions"),
            errors=("NotFound",),
        )
    },
}
