"""Batch operations: /v2/op/update, /v2/op/query, /v2/op/notify."""

from __future__ import annotations

from typing import Final

from broker.http.openapi.operation import (
    Json,
    json_body,
    json_content,
    operation,
    response,
    schema_ref,
)
from broker.http.openapi.values import selector
from ngsi.v2.batch import ACTIONS

_TAG: Final = "batch"
_CHANGES: Final = ("Fiware-Service", "Fiware-ServicePath", "X-Auth-Token")
_CHANGE_ERRORS: Final = (
    "NotFound",
    "TooManyResults",
    "TooLarge",
    "Unprocessable",
    "NotImplemented",
)
_PATTERN_TEXT: Final = (
    "An entity with idPattern is refused with 501, one with typePattern with 400."
)
_NAMES: Final[Json] = {"type": "array", "items": {"type": "string"}}

SCHEMAS: Final[Json] = {
    "BatchUpdate": {
        "type": "object",
        "properties": {
            "actionType": {
                "enum": list(ACTIONS),
                "description": "The names in capitals are those of NGSIv1.",
            },
            "entities": {
                "type": "array",
                "minItems": 1,
                "items": {"anyOf": [schema_ref("Entity"), schema_ref("EntityValues")]},
                "description": (
                    "With options=keyValues members are values, else they are attributes. "
                    "For delete attributes may be left out. " + _PATTERN_TEXT
                ),
            },
        },
        "required": ["actionType", "entities"],
        "additionalProperties": False,
    },
    "BatchQuery": {
        "type": "object",
        "properties": {
            "entities": {"type": "array", "items": selector(is_closed=True)},
            "attrs": {**_NAMES, "description": "Attributes to show, * for all."},
            "attributes": {
                **_NAMES,
                "description": (
                    "Only entities with one of these attributes are meant. These are shown where "
                    "attrs is missing."
                ),
            },
            "metadata": {**_NAMES, "description": "Metadata to show, * for all."},
            "expression": schema_ref("Expression"),
        },
        "anyOf": [
            {"required": [name]} for name in ("entities", "attrs", "attributes", "expression")
        ],
        "additionalProperties": False,
    },
    "Notification": {
        "type": "object",
        "properties": {
            "subscriptionId": {"type": "string"},
            "data": {
                "type": "array",
                "items": schema_ref("Entity"),
                "description": _PATTERN_TEXT,
            },
        },
        "required": ["subscriptionId", "data"],
        "additionalProperties": False,
    },
}

_SENSOR: Final[Json] = {
    "id": "Sensor1",
    "type": "Sensor",
    "level": {"value": 3, "type": "Number"},
}

PATHS: Final[Json] = {
    "/v2/op/update": {
        "post": operation(
            "batchUpdate",
            _TAG,
            "Change several entities",
            {"204": response("Done.")},
            parameters=(*_CHANGES, "updateOptions"),
            body=json_body(
                schema_ref("BatchUpdate"), append={"actionType": "append", "entities": [_SENSOR]}
            ),
            errors=_CHANGE_ERRORS,
            description="Each entity by itself: what can be done is done, also if others fail.",
        )
    },
    "/v2/op/query": {
        "post": operation(
            "batchQuery",
            _TAG,
            "Query entities",
            {
                "200": response(
                    "A page of entities.",
                    json_content({"type": "array", "items": schema_ref("ShownEntity")}),
                    headers=("Fiware-Total-Count", "Fiware-Next-Cursor"),
                )
            },
            parameters=(
                "Fiware-Service",
                "Fiware-ServicePath.scope",
                "X-Auth-Token",
                "orderBy",
                "limit",
                "offset",
                "cursor",
                "queryOptions",
            ),
            body=json_body(
                schema_ref("BatchQuery"),
                rooms={
                    "entities": [{"idPattern": ".*", "type": "Room"}],
                    "attrs": ["temperature"],
                    "expression": {"q": "temperature>20"},
                },
            ),
            errors=("Unprocessable",),
        )
    },
    "/v2/op/notify": {
        "post": operation(
            "notify",
            _TAG,
            "Take the notification of another broker",
            {"200": response("Done.")},
            parameters=(*_CHANGES, "Ngsiv2-AttrsFormat"),
            body=json_body(
                schema_ref("Notification"),
                sensor={"subscriptionId": "6b00e916596b5eef8940aec4", "data": [_SENSOR]},
            ),
            errors=_CHANGE_ERRORS,
            description="As /v2/op/update with the action append.",
        )
    },
}
