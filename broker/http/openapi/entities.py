"""Entities, attributes and values: /v2/entities and below."""

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

_TAG: Final = "entities"
_REPRESENTATION_TEXT: Final = (
    "With options=keyValues a member is the attribute's value, else it is the attribute."
)

_ROOM: Final[Json] = {
    "id": "Room1",
    "type": "Room",
    "temperature": {"value": 21.5, "type": "Number", "metadata": {"accuracy": {"value": 0.1}}},
    "name": {"value": "Kitchen", "type": "Text"},
    "address": {"value": {"street": "Gran Via", "number": 1}, "type": "StructuredValue"},
    "location": {"value": {"type": "Point", "coordinates": [-3.7, 40.42]}, "type": "geo:json"},
}
_SHOWN_ROOM: Final[Json] = {
    "id": "Room1",
    "type": "Room",
    "temperature": {"type": "Number", "value": 21.5, "metadata": {}},
}

_TEXT_VALUE_PATTERN: Final = (
    '^("[^<>"\'=;()]*"'
    "|true|True|TRUE|false|False|FALSE|null|Null|NULL"
    r"|\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?\s*)$"
)

SCHEMAS: Final[Json] = {
    "Metadata": {
        "type": "object",
        "propertyNames": schema_ref("Identifier"),
        "additionalProperties": {
            "type": "object",
            "properties": {
                "type": schema_ref("Identifier"),
                "value": schema_ref("Value"),
            },
            "additionalProperties": False,
        },
        "description": "By name. A type DateTime or ISO8601 needs an ISO 8601 instant as value.",
    },
    "Attribute": {
        "type": "object",
        "properties": {
            "type": schema_ref("Identifier"),
            "value": {
                "description": (
                    "Any JSON value. Unless the type is TextUnrestricted, or the metadata "
                    "TextUnrestricted is true, the rules of Value hold. A type DateTime, ISO8601 "
                    "or geo:... needs a value of that kind, or null. An object with one of $inc, "
                    "$mul, $min, $max, $push, $addToSet, $pull, $pullAll, $set, $unset is an "
                    "update operator, which has to fit the value that is there."
                )
            },
            "metadata": schema_ref("Metadata"),
        },
        "additionalProperties": False,
    },
    "Attributes": {
        "type": "object",
        "minProperties": 1,
        "not": {"anyOf": [{"required": ["id"]}, {"required": ["type"]}]},
        "propertyNames": schema_ref("Identifier"),
        "additionalProperties": schema_ref("Attribute"),
    },
    "AttributeValues": {
        "type": "object",
        "minProperties": 1,
        "not": {"anyOf": [{"required": ["id"]}, {"required": ["type"]}]},
        "propertyNames": schema_ref("Identifier"),
        "additionalProperties": schema_ref("Value"),
    },
    "Entity": {
        "type": "object",
        "properties": {
            "id": schema_ref("Identifier"),
            "type": {**schema_ref("Identifier"), "description": "Thing where it is missing."},
        },
        "required": ["id"],
        "propertyNames": schema_ref("Identifier"),
        "additionalProperties": schema_ref("Attribute"),
    },
    "EntityValues": {
        "type": "object",
        "properties": {"id": schema_ref("Identifier"), "type": schema_ref("Identifier")},
        "required": ["id"],
        "propertyNames": schema_ref("Identifier"),
        "additionalProperties": schema_ref("Value"),
    },
    "ShownAttribute": {
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "value": {"description": "Any JSON value."},
            "metadata": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "properties": {"type": {"type": "string"}, "value": {}},
                    "required": ["type", "value"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["type", "value", "metadata"],
        "additionalProperties": False,
    },
    "ShownEntity": {
        "description": (
            "normalized: an object with attributes. keyValues: an object with values. values and "
            "unique: an array of values."
        ),
        "anyOf": [
            {
                "type": "object",
                "properties": {"id": {"type": "string"}, "type": {"type": "string"}},
                "required": ["id", "type"],
                "additionalProperties": schema_ref("ShownAttribute"),
            },
            {
                "type": "object",
                "properties": {"id": {"type": "string"}, "type": {"type": "string"}},
                "required": ["id", "type"],
            },
            {"type": "array"},
        ],
    },
    "ShownAttributes": {
        "description": "As of an entity, without id and type.",
        "anyOf": [
            {"type": "object", "additionalProperties": schema_ref("ShownAttribute")},
            {"type": "object"},
            {"type": "array"},
        ],
    },
}

_ENTITY_BODY: Final = json_body(
    {
        "anyOf": [schema_ref("Entity"), schema_ref("EntityValues")],
        "description": _REPRESENTATION_TEXT,
    },
    normalized=_ROOM,
)
_ATTRIBUTES_BODY: Final = json_body(
    {
        "anyOf": [schema_ref("Attributes"), schema_ref("AttributeValues")],
        "description": _REPRESENTATION_TEXT,
    },
    normalized={"temperature": {"value": 22, "type": "Number"}},
)
_NO_CONTENT: Final = {"204": response("Done.")}
_CHANGES: Final = ("Fiware-Service", "Fiware-ServicePath", "X-Auth-Token")
_READS: Final = ("Fiware-Service", "Fiware-ServicePath.scope", "X-Auth-Token")
_CHANGE_ERRORS: Final = ("NotFound", "TooManyResults", "TooLarge", "Unprocessable")
_FIND_ERRORS: Final = ("NotFound", "TooManyResults")


def _entities() -> Json:
    filters = ("id", "type", "idPattern", "typePattern", "q", "mq", "georel", "geometry", "coords")
    view = ("attrs", "metadata", "orderBy", "limit", "offset", "cursor", "entitiesOptions")
    shown = {"type": "array", "items": schema_ref("ShownEntity")}
    return {
        "get": operation(
            "listEntities",
            _TAG,
            "List entities",
            {
                "200": response(
                    "A page of entities, in the order of their creation unless orderBy is given.",
                    json_content(shown, normalized=[_SHOWN_ROOM]),
                    headers=("Fiware-Total-Count", "Fiware-Next-Cursor"),
                )
            },
            parameters=(*_READS, *filters, *view),
            errors=("Unprocessable",),
        ),
        "post": operation(
            "createEntity",
            _TAG,
            "Create an entity",
            {
                "201": response("Created.", headers=("Location",)),
                "204": response("With options=upsert: created or changed.", headers=("Location",)),
            },
            parameters=(*_CHANGES, "createOptions"),
            body=_ENTITY_BODY,
            errors=_CHANGE_ERRORS,
            description="An entity that exists is refused with 422, unless options=upsert.",
        ),
    }


def _entity() -> Json:
    return {
        "get": operation(
            "retrieveEntity",
            _TAG,
            "Retrieve an entity",
            {"200": response("The entity.", json_content(schema_ref("ShownEntity")))},
            parameters=("entityId", *_READS, "oneType", "attrs", "metadata", "entityOptions"),
            errors=_FIND_ERRORS,
        ),
        "delete": operation(
            "removeEntity",
            _TAG,
            "Remove an entity",
            _NO_CONTENT,
            parameters=("entityId", *_CHANGES, "oneType"),
            errors=_FIND_ERRORS,
        ),
    }


def _change_attributes(operation_id: str, summary: str, description: str, options: str) -> Json:
    return operation(
        operation_id,
        _TAG,
        summary,
        _NO_CONTENT,
        parameters=("entityId", *_CHANGES, "oneType", options),
        body=_ATTRIBUTES_BODY,
        errors=_CHANGE_ERRORS,
        description=description,
    )


def _attributes() -> Json:
    return {
        "get": operation(
            "retrieveEntityAttributes",
            _TAG,
            "Retrieve the attributes of an entity",
            {"200": response("The attributes.", json_content(schema_ref("ShownAttributes")))},
            parameters=("entityId", *_READS, "oneType", "attrs", "metadata", "entityOptions"),
            errors=_FIND_ERRORS,
        ),
        "post": _change_attributes(
            "appendEntityAttributes",
            "Append or change attributes",
            "With options=append attributes that exist are refused with 422.",
            "appendOptions",
        ),
        "patch": _change_attributes(
            "updateEntityAttributes",
            "Change attributes that exist",
            "Attributes that do not exist are refused; those that do are changed.",
            "updateOptions",
        ),
        "put": _change_attributes(
            "replaceEntityAttributes",
            "Replace all attributes",
            "Exactly these attributes remain.",
            "updateOptions",
        ),
    }


def _attribute() -> Json:
    return {
        "get": operation(
            "retrieveAttribute",
            _TAG,
            "Retrieve an attribute",
            {
                "200": response(
                    "The attribute; with options=keyValues an object of its name and value.",
                    json_content({"anyOf": [schema_ref("ShownAttribute"), {"type": "object"}]}),
                )
            },
            parameters=(
                "entityId",
                "attributeName",
                *_READS,
                "oneType",
                "metadata",
                "attributeOptions",
            ),
            errors=_FIND_ERRORS,
        ),
        "put": operation(
            "replaceAttribute",
            _TAG,
            "Change an attribute that exists",
            _NO_CONTENT,
            parameters=(
                "entityId",
                "attributeName",
                *_CHANGES,
                "oneType",
                "updateAttributeOptions",
            ),
            body=json_body(schema_ref("Attribute"), normalized={"value": 23, "type": "Number"}),
            errors=_CHANGE_ERRORS,
        ),
        "delete": operation(
            "removeAttribute",
            _TAG,
            "Remove an attribute",
            _NO_CONTENT,
            parameters=("entityId", "attributeName", *_CHANGES, "oneType"),
            errors=(*_FIND_ERRORS, "Unprocessable"),
        ),
    }


def _value() -> Json:
    structured = {"type": ["object", "array"]}
    text = {"schema": {"type": "string"}, "example": "21.5"}
    body = json_body(
        {
            **structured,
            "description": "No string in it may hold < > \" ' = ; ( ).",
        },
        object={"street": "Gran Via", "number": 2},
    )
    body["content"]["text/plain"] = {
        "schema": {
            "type": "string",
            "pattern": _TEXT_VALUE_PATTERN,
            "description": (
                "A number, true, false, null, or a string in double quotes. 400 for a number that "
                "is too long or too large for a double."
            ),
        },
        "example": "24",
    }
    return {
        "get": operation(
            "retrieveValue",
            _TAG,
            "Retrieve an attribute's value",
            {
                "200": response(
                    "Objects and arrays as JSON, or as text where Accept prefers it. Other values "
                    "as text, strings in double quotes, dates without; where Accept has no text, "
                    "406.",
                    {**json_content(structured), "text/plain": text},
                )
            },
            parameters=("entityId", "attributeName", *_READS, "oneType", "valueOptions"),
            errors=_FIND_ERRORS,
        ),
        "put": operation(
            "replaceValue",
            _TAG,
            "Change the value of an attribute that exists",
            _NO_CONTENT,
            parameters=(
                "entityId",
                "attributeName",
                *_CHANGES,
                "oneType",
                "updateAttributeOptions",
            ),
            body=body,
            errors=_CHANGE_ERRORS,
            description="Type and metadata stay as they are.",
        ),
    }


PATHS: Final[Json] = {
    "/v2/entities": _entities(),
    "/v2/entities/{id}": _entity(),
    "/v2/entities/{id}/attrs": _attributes(),
    "/v2/entities/{id}/attrs/{name}": _attribute(),
    "/v2/entities/{id}/attrs/{name}/value": _value(),
}
