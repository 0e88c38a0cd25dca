"""Registrations of context providers: /v2/registrations and /v2/registrations/{id}."""

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
from broker.http.openapi.values import names
from ngsi.registration import ForwardingMode

_TAG: Final = "registrations"
_MODES: Final = [item.value for item in ForwardingMode]
_STATUSES: Final = ["active", "inactive"]

_PROPERTIES: Final[Json] = {
    "description": schema_ref("Description"),
    "dataProvided": {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "entities": {
                "type": "array",
                "items": schema_ref("Selector"),
                "description": (
                    "Without `--registration-patterns`, typePattern and any idPattern but .* are "
                    "refused with 501."
                ),
            },
            "attrs": names("Attributes; empty or missing for all."),
        },
    },
    "provider": {
        "type": "object",
        "properties": {
            "http": {
                "type": "object",
                "properties": {
                    "url": {
                        "type": "string",
                        "pattern": "^https?://.",
                        "description": "The NGSI endpoint, /v2 included. 400 for what is no URL.",
                    }
                },
                "required": ["url"],
            },
            "supportedForwardingMode": {"enum": _MODES, "default": ForwardingMode.ALL.value},
            "legacyForwarding": {
                "type": "boolean",
                "default": False,
                "description": "NGSIv1 towards the provider.",
            },
        },
        "required": ["http"],
    },
    "expires": schema_ref("Expiration"),
    "status": {"enum": _STATUSES},
}

SCHEMAS: Final[Json] = {
    "Registration": {
        "type": "object",
        "properties": _PROPERTIES,
        "required": ["dataProvided", "provider"],
        "description": "Members of other names are not looked at.",
    },
    "RegistrationPatch": {
        "type": "object",
        "properties": _PROPERTIES,
        "minProperties": 1,
        "description": "The parts given replace the former ones as wholes.",
    },
    "ShownRegistration": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
            "description": {"type": "string"},
            "expires": schema_ref("Instant"),
            "dataProvided": {
                "type": "object",
                "properties": {
                    "entities": {"type": "array", "items": schema_ref("ShownSelector")},
                    "attrs": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["entities", "attrs"],
                "additionalProperties": False,
            },
            "provider": {
                "type": "object",
                "properties": {
                    "http": {
                        "type": "object",
                        "properties": {"url": {"type": "string"}},
                        "required": ["url"],
                        "additionalProperties": False,
                    },
                    "supportedForwardingMode": {"enum": _MODES},
                    "legacyForwarding": {"type": "boolean"},
                },
                "required": ["http", "supportedForwardingMode", "legacyForwarding"],
                "additionalProperties": False,
            },
            "status": {"enum": _STATUSES},
            "forwardingInformation": {
                "type": "object",
                "properties": {
                    "timesSent": {"type": "integer", "minimum": 1},
                    "lastForwarding": schema_ref("Instant"),
                    "lastSuccess": schema_ref("Instant"),
                    "lastFailure": schema_ref("Instant"),
                },
                "required": ["timesSent"],
                "additionalProperties": False,
            },
        },
        "required": ["id", "dataProvided", "provider", "status"],
        "additionalProperties": False,
    },
}

_EXAMPLE: Final[Json] = {
    "description": "Weather of the roofs",
    "dataProvided": {
        "entities": [{"idPattern": ".*", "type": "Roof"}],
        "attrs": ["humidity"],
    },
    "provider": {"http": {"url": "http://localhost:5056/v2"}},
}

PATHS: Final[Json] = {
    "/v2/registrations": {
        "get": operation(
            "listRegistrations",
            _TAG,
            "List registrations",
            {
                "200": response(
                    "A page of registrations whose service path is the header's.",
                    json_content({"type": "array", "items": schema_ref("ShownRegistration")}),
                    headers=("Fiware-Total-Count",),
                )
            },
            parameters=(
                "Fiware-Service",
                "Fiware-ServicePath.scope",
                "limit",
                "offset",
                "countOptions",
            ),
            description="Without Fiware-ServicePath, or with /#, those of all service paths.",
        ),
        "post": operation(
            "createRegistration",
            _TAG,
            "Create a registration",
            {"201": response("Created.", headers=("Location",))},
            parameters=("Fiware-Service", "Fiware-ServicePath.scope"),
            body=json_body(schema_ref("Registration"), weather=_EXAMPLE),
            errors=("NotImplemented",),
            description="The first of the service paths is the registration's.",
        ),
    },
    "/v2/registrations/{id}": {
        "get": operation(
            "retrieveRegistration",
            _TAG,
            "Retrieve a registration",
            {"200": response("The registration.", json_content(schema_ref("ShownRegistration")))},
            parameters=("registrationId", "Fiware-Service", "Fiware-ServicePath.scope"),
            errors=("NotFound",),
        ),
        "patch": operation(
            "updateRegistration",
            _TAG,
            "Change a registration",
            {"204": response("Done.")},
            parameters=("registrationId", "Fiware-Service", "Fiware-ServicePath"),
            body=json_body(schema_ref("RegistrationPatch"), pause={"status": "inactive"}),
            errors=("NotFound", "NotImplemented"),
        ),
        "delete": operation(
            "deleteRegistration",
            _TAG,
            "Remove a registration",
            {"204": response("Done.")},
            parameters=("registrationId", "Fiware-Service", "Fiware-ServicePath"),
            errors=("NotFound",),
        ),
    },
}
