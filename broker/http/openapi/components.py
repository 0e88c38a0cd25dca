"""What operations refer to by name: parameters, response headers, errors."""

from __future__ import annotations

from typing import Any, Final

from broker.http.call import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET, MAX_TENANT_LENGTH
from broker.http.openapi.operation import Json, header_ref, schema_ref
from broker.http.openapi.values import UNFORBIDDEN_PATTERN
from ngsi import errors
from ngsi.patterns import MAX_PATTERN_LENGTH
from ngsi.service_path import MAX_LEVEL_LENGTH, MAX_LEVELS, MAX_PATHS

_LEVEL: Final = f"/[0-9A-Za-z_]{{1,{MAX_LEVEL_LENGTH}}}"
# Nothing, the root, or levels; a slash at the end is not looked at.
_ONE_PATH: Final = f"(//?|({_LEVEL}){{1,{MAX_LEVELS}}}/?)?"
_OPEN_PATH: Final = f"({_ONE_PATH}|({_LEVEL}){{0,{MAX_LEVELS - 1}}}/#/?)"
ONE_PATH_PATTERN: Final = f"^{_ONE_PATH}$"
OPEN_PATH_PATTERN: Final = f"^{_OPEN_PATH}$"
SCOPE_PATTERN: Final = f"^ *{_OPEN_PATH} *(, *{_OPEN_PATH} *){{0,{MAX_PATHS - 1}}}$"
TENANT_PATTERN: Final = f"^[0-9A-Za-z_]{{0,{MAX_TENANT_LENGTH}}}$"

_LIST_PATTERN: Final = UNFORBIDDEN_PATTERN.replace("*$", "+$")
_GEO: Final = "georel, geometry and coords belong together"


def _header(name: str, schema: Json, description: str, example: str) -> Json:
    return {
        "name": name,
        "in": "header",
        "schema": schema,
        "description": description,
        "example": example,
    }


def _query(name: str, schema: Json, description: str, example: Any = None) -> Json:
    made = {"name": name, "in": "query", "schema": schema, "description": description}
    if example is not None:
        made["example"] = example
    return made


def _in_path(name: str, description: str, example: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema_ref("Identifier"),
        "description": description,
        "example": example,
    }


def _list_of(name: str, what: str, example: str) -> Json:
    schema = {"type": "string", "pattern": _LIST_PATTERN}
    return _query(name, schema, f"{what}, separated by commas.", example)


def _free(name: str, description: str, example: str, max_length: int | None = None) -> Json:
    schema: Json = {"type": "string", "minLength": 1}
    if max_length is not None:
        schema["maxLength"] = max_length
    return _query(name, schema, description, example)


def _options(*values: str) -> Json:
    return {
        "name": "options",
        "in": "query",
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "minItems": 1, "items": {"enum": list(values)}},
        "description": (
            "Options, separated by commas. At most one of keyValues, values and unique. Options "
            "that belong to other operations are taken and not looked at."
        ),
    }


def _service_path(pattern: str, description: str) -> Json:
    schema = {"type": "string", "pattern": pattern}
    return _header("Fiware-ServicePath", schema, description, "/")


_LEVELS_TEXT: Final = (
    f"At most {MAX_LEVELS} levels of {MAX_LEVEL_LENGTH} letters, digits and underscores."
)

PARAMETERS: Final[Json] = {
    "Fiware-Service": _header(
        "Fiware-Service",
        {"type": "string", "pattern": TENANT_PATTERN},
        "The tenant, in any case. Without `-multiservice` it is checked and has no effect.",
        "city",
    ),
    "Fiware-ServicePath": _service_path(
        ONE_PATH_PATTERN,
        f"The service path of what is changed, / without it. {_LEVELS_TEXT} PATCH and DELETE "
        "refuse several paths and one that ends in /#; POST and PUT of entities do so too.",
    ),
    "Fiware-ServicePath.one": _service_path(
        OPEN_PATH_PATTERN,
        f"One service path, everything below it with /# at its end. {_LEVELS_TEXT}",
    ),
    "Fiware-ServicePath.scope": _service_path(
        SCOPE_PATTERN,
        f"Which service paths are looked at, all without it: up to {MAX_PATHS} separated by "
        f"commas, each with /# at its end for everything below it. {_LEVELS_TEXT}",
    ),
    "Fiware-Correlator": _header(
        "Fiware-Correlator",
        {"type": "string"},
        "Handed on to receivers and context providers, logged, and given back. Made up without it.",
        "955e1b68-5df3-4364-b231-000000000001",
    ),
    "X-Auth-Token": _header(
        "X-Auth-Token",
        {"type": "string"},
        "Handed on to receivers and context providers. The broker itself does not look at it.",
        "secret",
    ),
    "Ngsiv2-AttrsFormat": _header(
        "Ngsiv2-AttrsFormat",
        {"enum": ["", "normalized"]},
        "How the entities are represented. keyValues, uniqueValues and custom are refused.",
        "normalized",
    ),
    "entityId": _in_path("id", "The entity's id.", "Room1"),
    "attributeName": _in_path("name", "The attribute's name.", "temperature"),
    "entityType": {
        "name": "type",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "pattern": UNFORBIDDEN_PATTERN},
        "description": "The type. What can be no type is simply not found.",
        "example": "Room",
    },
    "subscriptionId": {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{24}$"},
        "description": "The subscription's id.",
        "example": "6b00e916596b5eef8940aec4",
    },
    "registrationId": {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "pattern": UNFORBIDDEN_PATTERN},
        "description": "The registration's id: 24 hexadecimal digits. Others are not found.",
        "example": "6b00e916596b5eef8940aec5",
    },
    "limit": _query(
        "limit",
        {"type": "integer", "minimum": 0, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "The most results in a page; 0 gives none, for the count alone.",
    ),
    "offset": _query(
        "offset",
        {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
        "The results to skip.",
    ),
    "cursor": _query(
        "cursor",
        {"type": "string", "pattern": "^(start|c(0|[1-9][0-9]{0,17}))$"},
        "`start`, then what Fiware-Next-Cursor gave: pages that neither skip nor repeat. Not "
        "together with offset or orderBy. Context providers are not asked.",
        "start",
    ),
    "orderBy": _list_of(
        "orderBy",
        "Attributes, id, type, dateCreated, dateModified, geo:distance; ! before one for "
        "descending. None twice",
        "temperature",
    ),
    "id": _list_of("id", "Ids of entities (not with idPattern)", "Room1"),
    "type": _list_of("type", "Types of entities (not with typePattern)", "Room"),
    "oneType": _query(
        "type",
        {"type": "string", "pattern": _LIST_PATTERN},
        "The entity's type, where several entities have its id.",
        "Room",
    ),
    "idPattern": _free(
        "idPattern",
        "A regular expression for the id. One that cannot be read is refused with 400.",
        "^Room",
        MAX_PATTERN_LENGTH,
    ),
    "typePattern": _free(
        "typePattern",
        "A regular expression for the type. One that cannot be read is refused with 400.",
        "^Room$",
        MAX_PATTERN_LENGTH,
    ),
    "q": _free(
        "q",
        "A query over attributes, in the Simple Query Language; else 400.",
        "temperature>20",
    ),
    "mq": _free(
        "mq",
        "A query over metadata, in the Simple Query Language; else 400.",
        "temperature.accuracy<1",
    ),
    "georel": _query(
        "georel",
        {"type": "string", "pattern": "^[^<>\"'()]+$"},
        f"near with minDistance or maxDistance, coveredBy, intersects, equals, disjoint; {_GEO}.",
        "near;maxDistance:1000",
    ),
    "geometry": _query(
        "geometry",
        {"type": "string", "pattern": "^(point|line|polygon|box)$"},
        f"What coords describe; {_GEO}.",
        "point",
    ),
    "coords": _query(
        "coords",
        {"type": "string", "pattern": "^[-+0-9.eE,; ]+$"},
        f"Latitude, longitude; pairs separated by semicolons; {_GEO}.",
        "40.42,-3.7",
    ),
    "attrs": _list_of("attrs", "Attributes to show, * for all and builtins by name", "temperature"),
    "metadata": _list_of(
        "metadata", "Metadata to show, * for all and builtins by name", "accuracy"
    ),
    "entitiesOptions": _options(
        "count",
        "keyValues",
        "values",
        "unique",
        "normalized",
        "dateCreated",
        "dateModified",
        "skipForwarding",
    ),
    "entityOptions": _options(
        "keyValues",
        "values",
        "unique",
        "normalized",
        "dateCreated",
        "dateModified",
        "skipForwarding",
    ),
    "attributeOptions": _options("keyValues", "normalized", "skipForwarding"),
    "valueOptions": _options("skipForwarding"),
    "createOptions": _options(
        "keyValues", "upsert", "overrideMetadata", "forcedUpdate", "flowControl"
    ),
    "appendOptions": _options(
        "keyValues", "append", "overrideMetadata", "forcedUpdate", "flowControl"
    ),
    "updateOptions": _options("keyValues", "overrideMetadata", "forcedUpdate", "flowControl"),
    "updateAttributeOptions": _options("overrideMetadata", "forcedUpdate", "flowControl"),
    "queryOptions": _options(
        "count", "keyValues", "values", "unique", "normalized", "skipForwarding"
    ),
    "typesOptions": _options("count", "values", "noAttrDetail"),
    "typeOptions": _options("noAttrDetail"),
    "countOptions": _options("count"),
    "statisticsOptions": _options("fullCounters"),
    "reset": _query(
        "reset",
        {"type": "string", "pattern": _LIST_PATTERN},
        "true: count anew after this answer; anything else has no effect.",
    ),
}

HEADERS: Final[Json] = {
    "Fiware-Correlator": {
        "required": True,
        "schema": {"type": "string"},
        "description": "As the request had it, or made up.",
    },
    "Fiware-Total-Count": {
        "schema": {"type": "integer", "minimum": 0},
        "description": "With options=count: how many there are in all.",
    },
    "Fiware-Next-Cursor": {
        "schema": {"type": "string", "pattern": "^c(0|[1-9][0-9]{0,17})$"},
        "description": "With the parameter cursor: the cursor of the next page, if there is one.",
    },
    "Location": {
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
        "description": "The path of what was made.",
    },
    "Allow": {
        "required": True,
        "schema": {"type": "string"},
        "description": "The methods of the resource.",
    },
    "Retry-After": {
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "description": "Seconds.",
    },
}


def _failure(description: str, *kinds: type[errors.NgsiError], header: str = "") -> Json:
    names = [kind.error for kind in kinds]
    schema: Json = {
        "allOf": [schema_ref("Error"), {"properties": {"error": {"enum": names}}}],
    }
    headers = {"Fiware-Correlator": header_ref("Fiware-Correlator")}
    if header:
        headers[header] = header_ref(header)
    example = {"error": names[0], "description": "what is wrong"}
    return {
        "description": description,
        "headers": headers,
        "content": {
            "application/json": {"schema": schema, "example": example},
            # The same text, for a client that accepts nothing else.
            "text/plain": {"schema": {"type": "string"}},
        },
    }


RESPONSES: Final[Json] = {
    "BadRequest": _failure(
        "The request is wrong by itself (BadRequest), or its body is not the JSON that the "
        "operation takes (ParseError).",
        errors.BadRequest,
        errors.ParseError,
    ),
    "NotFound": _failure(
        "What the request names does not exist (NotFound), or context providers did part of an "
        "update (PartialUpdate).",
        errors.NotFound,
        errors.PartialUpdate,
    ),
    "MethodNotAllowed": _failure(
        "The resource does not have the method.", errors.MethodNotAllowed, header="Allow"
    ),
    "NotAcceptable": _failure(
        "The header Accept has none of the media types that the operation gives.",
        errors.NotAcceptable,
    ),
    "TooManyResults": _failure(
        "The request is about one entity, and several match.", errors.TooManyResults
    ),
    "ContentLengthRequired": _failure("There is no body.", errors.ContentLengthRequired),
    "TooLarge": _failure(
        "The body or the entity is too large (RequestEntityTooLarge), or the entity would have "
        "a location too many (NoResourcesAvailable).",
        errors.RequestEntityTooLarge,
        errors.NoResourcesAvailable,
    ),
    "UnsupportedMediaType": _failure(
        "The body is not of a media type that the operation takes.", errors.UnsupportedMediaType
    ),
    "Unprocessable": _failure(
        "The state of the broker does not allow it (Unprocessable), part of an update was done "
        "(PartialUpdate), or a geographical query cannot be resolved (NotSupportedQuery).",
        errors.Unprocessable,
        errors.PartialUpdate,
        errors.NotSupportedQuery,
    ),
    "InternalServerError": _failure(
        "The broker cannot do it now (a full disk), or an update operator does not fit the value "
        "that is there. Nothing was changed.",
        errors.InternalServerError,
    ),
    "NotImplemented": _failure(
        "A part of the standard that this broker does not offer.", errors.NotImplementedByBroker
    ),
    "ServiceUnavailable": _failure(
        "The broker is loading its data or shutting down.",
        errors.ServiceUnavailable,
        header="Retry-After",
    ),
}
