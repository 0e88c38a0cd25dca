"""One operation of the document: what all share, put together in one place.

Owns what every operation of a kind has: the headers of the Fiware services, the errors that any
checked request can meet, the header Fiware-Correlator of every response.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

# What `broker.http.call.Call.check` and a broker in trouble answer, whatever the operation.
_ALWAYS: Final = ("BadRequest", "NotAcceptable", "InternalServerError", "ServiceUnavailable")
_WITH_BODY: Final = ("ContentLengthRequired", "TooLarge", "UnsupportedMediaType")
STATUS_OF: Final = {
    "BadRequest": "400",
    "NotFound": "404",
    "MethodNotAllowed": "405",
    "NotAcceptable": "406",
    "TooManyResults": "409",
    "ContentLengthRequired": "411",
    "TooLarge": "413",
    "UnsupportedMediaType": "415",
    "Unprocessable": "422",
    "InternalServerError": "500",
    "NotImplemented": "501",
    "ServiceUnavailable": "503",
}


def schema_ref(name: str) -> Json:
    """A reference to a schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def header_ref(name: str) -> Json:
    """A reference to a response header of the components."""
    return {"$ref": f"#/components/headers/{name}"}


def json_content(schema: Json, **examples: Any) -> Json:
    """The `content` of JSON; examples by name."""
    media: Json = {"schema": schema}
    if examples:
        media["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"application/json": media}


def json_body(schema: Json, **examples: Any) -> Json:
    """A request body that must be there; examples by name."""
    return {"required": True, "content": json_content(schema, **examples)}


def response(description: str, content: Json | None = None, headers: Sequence[str] = ()) -> Json:
    """A response; `headers` are those of the components beside the correlator."""
    names = ("Fiware-Correlator", *headers)
    made: Json = {
        "description": description,
        "headers": {name.partition(".")[0]: header_ref(name) for name in names},
    }
    if content is not None:
        made["content"] = content
    return made


def operation(
    operation_id: str,
    tag: str,
    summary: str,
    responses: Mapping[str, Json],
    *,
    parameters: Sequence[str] = (),
    body: Json | None = None,
    errors: Sequence[str] = (),
    description: str = "",
) -> Json:
    """An operation that is checked as `broker.http.call.Call.check` does.

    `parameters` and `errors` are names of the components; `responses` are those of success, by
    status.
    """
    names = [*_ALWAYS, *errors, *(_WITH_BODY if body is not None else ())]
    failures = {STATUS_OF[name]: {"$ref": f"#/components/responses/{name}"} for name in names}
    made: Json = {"operationId": operation_id, "tags": [tag], "summary": summary}
    if description:
        made["description"] = description
    made["parameters"] = [
        {"$ref": f"#/components/parameters/{name}"} for name in (*parameters, "Fiware-Correlator")
    ]
    if body is not None:
        made["requestBody"] = body
    made["responses"] = {**responses, **dict(sorted(failures.items()))}
    return made
