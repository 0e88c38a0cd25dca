"""GET /openapi.json: the whole HTTP API as a document of OpenAPI 3.1.

Owns the description of what `broker.http` serves, one module per noun; serves it and does
nothing else. Bounds and names come from the code that enforces them; tests compare its paths
with the router's, and let a client made from it try the broker. Costs: built once, some
milliseconds; about 90 kB.

Source: OpenAPI Specification 3.1; JSON Schema 2020-12.
"""

from __future__ import annotations

from typing import Final

import orjson

from broker.http.call import Call
from broker.http.cors import is_shared
from broker.http.openapi import (
    administration,
    batch,
    components,
    entities,
    registrations,
    subscriptions,
    types,
    values,
)
from broker.http.openapi.operation import Json, response
from broker.http.replies import Reply
from broker.http.routing import Resource, Routes

PATH: Final = "/openapi.json"
_DESCRIPTION: Final = """\
A context broker that speaks NGSIv2 as FIWARE Orion 4.7 does.

- Every path may end in a slash.
- A path that does not exist is answered with 400 BadRequest, a method that its resource does not
  have with 405 MethodNotAllowed and the header Allow. A request is checked before that: a POST, PUT
  or PATCH without a body is answered with 411.
- A parameter that a resource does not have is not looked at, but it must have a value, and name
  and value must be free of < > " ' = ; ( ). Of a parameter that stands twice the last one counts.
- GET and DELETE need no body. With Content-Type and without a body they are refused with 400; a
  body that is there must be of a media type and a size that are allowed.
- POST, PUT and PATCH with a body need Content-Type, parameters of which are not looked at.
- A malformed Accept is refused with 400. An error is text/plain for a client that accepts that
  alone; its text is JSON all the same.
- No object in a body may have two members of one name, but for id and type.
- Until the data is loaded all paths are answered with 503, but for /version, /ready, /metrics and
  /openapi.json.
"""
_TAGS: Final = ("entities", "types", "batch", "subscriptions", "registrations", "administration")


def make_document(version: str, has_preflight: bool) -> Json:
    """The document; `has_preflight` with the OPTIONS that CORS brings."""
    paths: Json = {
        **administration.PATHS,
        **types.PATHS,
        **entities.PATHS,
        **batch.PATHS,
        **subscriptions.PATHS,
        **registrations.PATHS,
    }
    if has_preflight:
        paths = {
            path: {**item, "options": _preflight(path)} if is_shared(path) else item
            for path, item in paths.items()
        }
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "Rigel",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in _TAGS],
        "paths": paths,
        "components": {
            "schemas": {
                **values.SCHEMAS,
                **entities.SCHEMAS,
                **types.SCHEMAS,
                **batch.SCHEMAS,
                **subscriptions.SCHEMAS,
                **registrations.SCHEMAS,
                **administration.SCHEMAS,
            },
            "parameters": components.PARAMETERS,
            "headers": components.HEADERS,
            "responses": components.RESPONSES,
        },
    }


def _preflight(path: str) -> Json:
    item: Json = {
        "summary": "Answer a browser's preflight",
        "tags": ["administration"],
        "responses": {"200": response("The headers Access-Control-... if the Origin is allowed.")},
    }
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    if names:
        item["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ]
    return item


class OpenApiRoutes:
    """The handler of the document of one broker."""

    def __init__(self, version: str, has_preflight: bool) -> None:
        self._body = orjson.dumps(make_document(version, has_preflight))

    def table(self) -> Routes:
        """The routes that are served here."""
        return [Resource(PATH, {"GET": self.show})]

    async def show(self, call: Call) -> Reply:
        """GET /openapi.json."""
        return Reply(body=self._body, headers={"Content-Type": "application/json"})
