"""Subscriptions: /v2/subscriptions and /v2/subscriptions/{id}."""

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
from broker.http.openapi.values import UNFORBIDDEN_PATTERN, names
from ngsi.model import AlterationType
from ngsi.subscription import AttrsFormat, SubscriptionStatus
from ngsi.v2.receivers import HTTP_METHODS, MAX_HTTP_TIMEOUT_MS

_TAG: Final = "subscriptions"
_UNFORBIDDEN: Final[Json] = {"type": "string", "pattern": UNFORBIDDEN_PATTERN}
_TIMEOUT: Final[Json] = {
    "type": "integer",
    "minimum": 0,
    "maximum": MAX_HTTP_TIMEOUT_MS,
    "description": "Milliseconds; 0 for the broker's own.",
}
_FORMATS: Final = [item.value for item in AttrsFormat]
_STATUSES: Final = [item.value for item in SubscriptionStatus]
_PAYLOAD: Final[Json] = {
    "payload": {
        "type": ["string", "null"],
        "pattern": UNFORBIDDEN_PATTERN,
        "description": "The body with macros; null for none, empty for the standard one.",
    },
    "json": {"type": ["object", "array"], "description": "The body as JSON with macros."},
    "ngsi": {
        "type": "object",
        "properties": {"id": {"type": "string"}, "type": {"type": "string"}},
        "propertyNames": schema_ref("Identifier"),
        "additionalProperties": schema_ref("PatchAttribute"),
        "description": "A patch of the entity, with macros.",
    },
}
_ONE_PAYLOAD: Final[Json] = {
    "not": {
        "anyOf": [
            {"required": ["payload", "json"]},
            {"required": ["payload", "ngsi"]},
            {"required": ["json", "ngsi"]},
        ]
    }
}


def _pairs(pattern: str) -> Json:
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": UNFORBIDDEN_PATTERN},
        "additionalProperties": {"type": "string", "pattern": pattern},
    }


def _mqtt(**more: Json) -> Json:
    return {
        "type": "object",
        "properties": {
            "url": {
                "type": "string",
                "pattern": "^mqtt://[^<>\"'=;()@/]+/?$",
                "description": "mqtt://host[:port], no path. 400 for what is no URL.",
            },
            "topic": {"type": "string", "pattern": "^[^<>\"'=;()+#]+$"},
            "qos": {"type": "integer", "minimum": 0, "maximum": 2},
            "retain": {"type": "boolean"},
            "user": _UNFORBIDDEN,
            "passwd": {"type": "string", "description": "Shown as *****."},
            **more,
        },
        "required": ["url", "topic"],
        "dependentRequired": {"user": ["passwd"], "passwd": ["user"]},
    }


_NOTIFICATION: Final[Json] = {
    "type": "object",
    "properties": {
        "http": {
            "type": "object",
            "properties": {
                "url": {
                    "type": "string",
                    "pattern": "^https?://[^<>\"'=;()]+$",
                    "description": "400 for what is no URL, or has a user in it.",
                },
                "timeout": _TIMEOUT,
            },
            "required": ["url"],
        },
        "httpCustom": {
            "type": "object",
            "properties": {
                "url": {
                    **_UNFORBIDDEN,
                    "description": "May hold macros; without any, as of http.",
                },
                "method": {
                    "enum": sorted(HTTP_METHODS),
                    "description": "In any case.",
                },
                "headers": _pairs("^[^<>=;()]*$"),
                "qs": _pairs(UNFORBIDDEN_PATTERN),
                "timeout": _TIMEOUT,
                **_PAYLOAD,
            },
            "required": ["url"],
            **_ONE_PAYLOAD,
        },
        "mqtt": _mqtt(),
        "mqttCustom": {**_mqtt(**_PAYLOAD), **_ONE_PAYLOAD},
        "attrs": names("Attributes to notify; empty or missing for all. Not with exceptAttrs."),
        "exceptAttrs": names("Attributes not to notify.", minItems=1),
        "metadata": names("Metadata to notify."),
        "attrsFormat": {"enum": _FORMATS, "default": AttrsFormat.NORMALIZED.value},
        "onlyChangedAttrs": {"type": "boolean"},
        "covered": {
            "type": "boolean",
            "description": "true needs attrs, or exceptAttrs; else 400.",
        },
        "maxFailsLimit": {"type": "integer", "minimum": 1},
        "durable": {
            "type": "boolean",
            "description": "Kept and tried again until the receiver has taken it, in order per "
            "entity. Not with mqtt qos 0: 400.",
        },
    },
    "oneOf": [
        {"required": [receiver]} for receiver in ("http", "httpCustom", "mqtt", "mqttCustom")
    ],
    "not": {"required": ["attrs", "exceptAttrs"]},
    "description": "kafka and kafkaCustom are answered with 501.",
}

_CONDITION: Final[Json] = {
    "type": "object",
    "minProperties": 1,
    "properties": {
        "attrs": names("A change of one of these triggers; empty or missing for any."),
        "expression": schema_ref("Expression"),
        "jexlExpression": {"type": "string", "description": "A JEXL expression; has to be true."},
        "alterationTypes": {
            "type": "array",
            "items": {"enum": [item.value for item in AlterationType]},
            "uniqueItems": True,
        },
        "notifyOnMetadataChange": {"type": "boolean", "default": True},
    },
}

_PROPERTIES: Final[Json] = {
    "description": schema_ref("Description"),
    "subject": {
        "type": "object",
        "properties": {
            "entities": {"type": "array", "minItems": 1, "items": schema_ref("Selector")},
            "condition": _CONDITION,
        },
        "required": ["entities"],
    },
    "notification": schema_ref("NotificationRules"),
    "expires": schema_ref("Expiration"),
    "status": {"enum": _STATUSES},
    "throttling": {
        "type": "integer",
        "description": "Seconds between two notifications; without a fraction, not even 1.0.",
    },
}

_COUNTERS: Final[Json] = {
    "timesSent": {"type": "integer"},
    "lastNotification": schema_ref("Instant"),
    "lastFailure": schema_ref("Instant"),
    "lastFailureReason": {"type": "string"},
    "lastSuccess": schema_ref("Instant"),
    "lastSuccessCode": {"type": "integer"},
    "failsCounter": {"type": "integer"},
}

SCHEMAS: Final[Json] = {
    "PatchAttribute": {
        "type": "object",
        "properties": {
            "type": schema_ref("Identifier"),
            "value": {"description": "Any JSON value, with macros."},
            "metadata": {
                "type": "object",
                "properties": {
                    "evalPriority": {
                        "type": "object",
                        "properties": {
                            "value": {"type": "number", "minimum": 1, "maximum": 100_000},
                            "type": schema_ref("Identifier"),
                        },
                        "required": ["value"],
                        "additionalProperties": False,
                    }
                },
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    },
    "NotificationRules": _NOTIFICATION,
    "Subscription": {
        "type": "object",
        "properties": _PROPERTIES,
        "required": ["subject", "notification"],
        "description": "Members of other names are not looked at.",
    },
    "SubscriptionPatch": {
        "type": "object",
        "properties": _PROPERTIES,
        "minProperties": 1,
        "description": "The parts given replace the former ones as wholes.",
    },
    "ShownSubscription": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
            "description": {"type": "string"},
            "expires": schema_ref("Instant"),
            "status": {"enum": [*_STATUSES, "expired"]},
            "subject": {
                "type": "object",
                "properties": {
                    "entities": {"type": "array", "items": schema_ref("ShownSelector")},
                    "condition": {
                        "type": "object",
                        "properties": {
                            "attrs": {"type": "array", "items": {"type": "string"}},
                            "jexlExpression": {"type": "string"},
                            "expression": schema_ref("Expression"),
                            "alterationTypes": _CONDITION["properties"]["alterationTypes"],
                            "notifyOnMetadataChange": {"type": "boolean"},
                        },
                        "required": ["attrs", "notifyOnMetadataChange"],
                        "additionalProperties": False,
                    },
                },
                "required": ["entities", "condition"],
                "additionalProperties": False,
            },
            "notification": {
                "type": "object",
                "properties": {
                    **{name: {"type": "object"} for name in ("http", "httpCustom")},
                    **{name: {"type": "object"} for name in ("mqtt", "mqttCustom")},
                    "attrs": {"type": "array", "items": {"type": "string"}},
                    "exceptAttrs": {"type": "array", "items": {"type": "string"}},
                    "metadata": {"type": "array", "items": {"type": "string"}},
                    "attrsFormat": {"enum": _FORMATS},
                    "onlyChangedAttrs": {"type": "boolean"},
                    "covered": {"type": "boolean"},
                    "maxFailsLimit": {"type": "integer"},
                    "durable": {"type": "boolean"},
                    "pending": {"type": "integer"},
                    "discarded": {"type": "integer"},
                    **_COUNTERS,
                },
                "required": ["attrsFormat", "onlyChangedAttrs", "covered"],
                "oneOf": _NOTIFICATION["oneOf"],
                "additionalProperties": False,
            },
            "throttling": {"type": "integer"},
        },
        "required": ["id", "status", "subject", "notification"],
        "additionalProperties": False,
    },
}

_EXAMPLE: Final[Json] = {
    "description": "Warm rooms",
    "subject": {
        "entities": [{"idPattern": ".*", "type": "Room"}],
        "condition": {"attrs": ["temperature"], "expression": {"q": "temperature>25"}},
    },
    "notification": {"http": {"url": "http://localhost:5055/notify"}, "attrs": ["temperature"]},
    "expires": "2040-01-01T14:00:00.00Z",
    "throttling": 5,
}
_PATH: Final = ("Fiware-Service", "Fiware-ServicePath.one")
_ERRORS: Final = ("TooLarge", "Unprocessable", "NotImplemented")

PATHS: Final[Json] = {
    "/v2/subscriptions": {
        "get": operation(
            "listSubscriptions",
            _TAG,
            "List subscriptions",
            {
                "200": response(
                    "A page of subscriptions whose service path is the header's.",
                    json_content({"type": "array", "items": schema_ref("ShownSubscription")}),
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
            "createSubscription",
            _TAG,
            "Create a subscription",
            {"201": response("Created.", headers=("Location",))},
            parameters=_PATH,
            body=json_body(schema_ref("Subscription"), warm=_EXAMPLE),
            errors=_ERRORS,
        ),
    },
    "/v2/subscriptions/{id}": {
        "get": operation(
            "retrieveSubscription",
            _TAG,
            "Retrieve a subscription",
            {"200": response("The subscription.", json_content(schema_ref("ShownSubscription")))},
            parameters=("subscriptionId", "Fiware-Service", "Fiware-ServicePath.scope"),
            errors=("NotFound",),
        ),
        "patch": operation(
            "updateSubscription",
            _TAG,
            "Change a subscription",
            {"204": response("Done.")},
            parameters=("subscriptionId", "Fiware-Service", "Fiware-ServicePath"),
            body=json_body(schema_ref("SubscriptionPatch"), pause={"status": "inactive"}),
            errors=("NotFound", *_ERRORS),
        ),
        "delete": operation(
            "deleteSubscription",
            _TAG,
            "Remove a subscription",
            {"204": response("Done.")},
            parameters=("subscriptionId", "Fiware-Service", "Fiware-ServicePath"),
            errors=("NotFound",),
        ),
    },
}
