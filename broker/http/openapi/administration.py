"""What operators and their tools call: versions, probes, metrics, statistics, the log."""

from __future__ import annotations

from typing import Final

from broker.http.log_admin import MAX_SIZE_BYTES
from broker.http.openapi.operation import Json, json_content, operation, response, schema_ref
from broker.logs import LOG_LEVELS

_TAG: Final = "administration"
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_SERVED: Final = "Answered without any check of the request, also while data is loaded."
_TRACE_LEVELS: Final[Json] = {
    "name": "level",
    "in": "path",
    "required": True,
    "schema": {
        "type": "string",
        "pattern": "^[0-9]{1,3}(-[0-9]{1,3})?(,[0-9]{1,3}(-[0-9]{1,3})?)*$",
    },
    "description": "Levels of 0 to 255 and ranges of levels, separated by commas.",
    "example": "60,80-90",
}
_LEVELS: Final = [*LOG_LEVELS, "WARNING"]


def _object(**properties: Json) -> Json:
    """An object that has exactly these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_COUNTED: Final[Json] = {
    "type": "object",
    "properties": {
        **{
            f"{direction}Transaction{what}": _COUNT
            for direction in ("incoming", "outgoing")
            for what in ("s", "Errors", "RequestSize", "ResponseSize")
        },
        "serviceTime": {"type": "number", "description": "Seconds, the mean of the requests."},
    },
    "additionalProperties": False,
    "description": "Without those that are zero.",
}

SCHEMAS: Final[Json] = {
    "TransactionCounts": _COUNTED,
    "ServiceCounts": _object(
        subservs={"type": "object", "additionalProperties": schema_ref("TransactionCounts")},
        sum=schema_ref("TransactionCounts"),
    ),
    "ServiceMetrics": _object(
        services={"type": "object", "additionalProperties": schema_ref("ServiceCounts")},
        sum=schema_ref("ServiceCounts"),
    ),
    "Statistics": {
        "type": "object",
        "properties": {
            "counters": {"type": "object", "description": "With -statCounters."},
            "semWait": {"type": "object", "description": "With -statSemWait."},
            "timing": {"type": "object", "description": "With -statTiming."},
            "notifQueue": {"type": "object", "description": "With -statNotifQueue."},
            "uptime_in_secs": _COUNT,
            "measuring_interval_in_secs": _COUNT,
            "simulatedNotifications": _COUNT,
        },
        "required": ["uptime_in_secs", "measuring_interval_in_secs"],
        "additionalProperties": False,
    },
    "IndexStatistics": _object(
        ids={"type": "string"},
        refresh=_COUNT,
        inserts=_COUNT,
        removes=_COUNT,
        updates=_COUNT,
        items=_COUNT,
    ),
    "LogSettings": _object(
        level={"enum": list(LOG_LEVELS)},
        infoPayloadMaxSize=_COUNT,
        lineMaxSize=_COUNT,
        deprecate={"type": "boolean"},
    ),
    "Reset": _object(message={"type": "string"}),
    "Version": _object(
        orion=_object(
            **{
                name: {"type": "string"}
                for name in (
                    "version",
                    "uptime",
                    "git_hash",
                    "compile_time",
                    "compiled_by",
                    "compiled_in",
                    "release_date",
                    "machine",
                    "doc",
                )
            }
        )
    ),
}

_RESET: Final = {"200": response("Reset.", json_content(schema_ref("Reset")))}
_SIZE: Final[Json] = {"type": "integer", "minimum": 1, "maximum": MAX_SIZE_BYTES}


def _probe(operation_id: str, summary: str, responses: Json) -> Json:
    return {
        "get": {
            "operationId": operation_id,
            "tags": [_TAG],
            "summary": summary,
            "description": _SERVED,
            "responses": responses,
        }
    }


def _figures(name: str, of_what: str, shown: str, *parameters: str) -> Json:
    """Statistics that can be read and reset."""
    content = json_content(schema_ref(shown))
    return {
        "get": operation(
            f"retrieve{name}",
            _TAG,
            f"Retrieve {of_what}",
            {"200": response("The figures.", content)},
            parameters=parameters,
        ),
        "delete": operation(f"reset{name}", _TAG, f"Reset {of_what}", _RESET),
    }


def _change_log() -> Json:
    made = operation(
        "changeLog",
        _TAG,
        "Change the log until the next start",
        {"200": response("Done.")},
        description="At least one parameter has to be given. There is no body.",
    )
    changes = {
        "level": ({"enum": _LEVELS}, "In any case. WARNING is WARN."),
        "infoPayloadMaxSize": (_SIZE, "Bytes of a body that are shown."),
        "lineMaxSize": (_SIZE, "Bytes of a line."),
        "deprecate": ({"type": "boolean"}, "Whether uses of deprecated features are logged."),
    }
    made["parameters"] += [
        {"name": name, "in": "query", "schema": schema, "description": description}
        for name, (schema, description) in changes.items()
    ]
    made["parameters"][-len(changes)]["example"] = "WARN"
    return made


def _trace(operation_id: str, summary: str, member: str, *, by_level: bool) -> Json:
    made = operation(
        operation_id,
        _TAG,
        summary,
        {"200": response("Done.", json_content(_object(**{member: {"type": "string"}})))},
    )
    if by_level:
        made["parameters"].insert(0, _TRACE_LEVELS)
    return made


_METRICS_TEXT: Final = "400 with -disableMetrics."
_READY_FAILURE: Final[Json] = {"$ref": "#/components/responses/ServiceUnavailable"}

PATHS: Final[Json] = {
    "/version": {
        "get": operation(
            "retrieveVersion",
            _TAG,
            "Retrieve the version",
            {"200": response("Orion's shape.", json_content(schema_ref("Version")))},
            description="`version` is that of Orion whose API is spoken.",
        )
    },
    "/ready": _probe(
        "retrieveReadiness",
        "Tell whether requests are served",
        {
            "200": response("They are.", json_content(_object(status={"const": "ready"}))),
            "503": _READY_FAILURE,
        },
    ),
    "/metrics": _probe(
        "retrieveMetrics",
        "Retrieve metrics for Prometheus",
        {"200": response("Metrics.", {"text/plain": {"schema": {"type": "string"}}})},
    ),
    "/openapi.json": _probe(
        "retrieveDescription",
        "Retrieve this document",
        {"200": response("An OpenAPI 3.1 document.", json_content({"type": "object"}))},
    ),
    "/admin/metrics": {
        "get": operation(
            "retrieveServiceMetrics",
            _TAG,
            "Retrieve transactions by service and service path",
            {"200": response("The counts.", json_content(schema_ref("ServiceMetrics")))},
            parameters=("reset",),
            description=_METRICS_TEXT,
        ),
        "delete": operation(
            "resetServiceMetrics",
            _TAG,
            "Count transactions anew",
            {"204": response("Done.")},
            description=_METRICS_TEXT,
        ),
    },
    "/admin/sem": {
        "get": operation(
            "retrieveSemaphores",
            _TAG,
            "Retrieve Orion's semaphores, of which none is ever taken",
            {
                "200": response(
                    "By name.",
                    json_content(
                        {
                            "type": "object",
                            "additionalProperties": _object(status={"const": "free"}),
                        }
                    ),
                )
            },
        )
    },
    "/statistics": _figures(
        "Statistics", "what was received and sent", "Statistics", "statisticsOptions"
    ),
    "/cache/statistics": _figures(
        "IndexStatistics", "figures of the index of subscriptions", "IndexStatistics"
    ),
    "/admin/log": {
        "get": operation(
            "retrieveLog",
            _TAG,
            "Retrieve what is logged",
            {"200": response("The settings.", json_content(schema_ref("LogSettings")))},
        ),
        "put": _change_log(),
    },
    "/log/trace": {
        "get": _trace("retrieveTraces", "Retrieve the trace levels", "tracelevels", by_level=False),
        "delete": _trace("clearTraces", "Clear all trace levels", "tracelevels", by_level=False),
    },
    "/log/trace/{level}": {
        "put": _trace("setTraces", "Set the trace levels", "tracelevels", by_level=True),
        "delete": _trace(
            "removeTraces", "Clear trace levels", "tracelevels_removed", by_level=True
        ),
    },
}
