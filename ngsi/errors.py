"""The error tree: what a client may be told, with Orion's HTTP codes and names.

Source: Orion API, section "Error Responses". Codecs and the broker raise these; a
transport turns one into `status`, `payload()` and `headers()` and needs to know no more.
Foreign errors (JSON, regular expressions, files) never leave a module as themselves.
"""

from __future__ import annotations

from typing import ClassVar

# Orion escapes these in error texts, so that a browser never runs what a client sent.
_HTML_ESCAPES = str.maketrans(
    {
        "<": "&lt;",
        ">": "&gt;",
        "(": "&#40;",
        ")": "&#41;",
        "=": "&#61;",
        "'": "&#39;",
        '"': "&quot;",
        ";": "&#59;",
    }
)


class NgsiError(Exception):
    """An answer other than success. `description` is for people, `error` for programs."""

    status: ClassVar[int] = 500
    error: str = "InternalServerError"

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description

    def payload(self) -> dict[str, str]:
        """The JSON body, `{"error": ..., "description": ...}`."""
        description = self.description.translate(_HTML_ESCAPES)
        # What came in a header and is no UTF-8 cannot go out as JSON.
        return {
            "error": self.error,
            "description": description.encode(errors="replace").decode(),
        }

    def headers(self) -> dict[str, str]:
        """Response headers that belong to the error, beside the content type."""
        return {}


class ParseError(NgsiError):
    """The body is not the JSON that the operation takes."""

    status = 400
    error = "ParseError"

    def __init__(self, description: str = "Errors found in incoming JSON buffer") -> None:
        super().__init__(description)


class BadRequest(NgsiError):
    """The request is wrong by itself, whatever the state of the broker."""

    status = 400
    error = "BadRequest"


class InvalidParameter(BadRequest):
    """A parameter of the URI is wrong."""


class NotFound(NgsiError):
    """What the request names does not exist."""

    status = 404
    error = "NotFound"


class MethodNotAllowed(NgsiError):
    """The resource exists, the method does not. `allow` lists those that do."""

    status = 405
    error = "MethodNotAllowed"

    def __init__(self, allow: str) -> None:
        super().__init__("method not allowed")
        self.allow = allow

    def headers(self) -> dict[str, str]:
        return {"Allow": self.allow}


class NotAcceptable(NgsiError):
    """None of the media types that the client accepts can be produced."""

    status = 406
    error = "NotAcceptable"


class TooManyResults(NgsiError):
    """The request is about one entity, and several match."""

    status = 409
    error = "TooManyResults"

    def __init__(
        self, description: str = "More than one matching entity. Please refine your query"
    ) -> None:
        super().__init__(description)


class ContentLengthRequired(NgsiError):
    """A body is needed and its length is missing or zero."""

    status = 411
    error = "ContentLengthRequired"


class RequestEntityTooLarge(NgsiError):
    """The body is larger than `inReqPayloadMaxSize`."""

    status = 413
    error = "RequestEntityTooLarge"


class NoResourcesAvailable(NgsiError):
    """A second location for an entity (Orion's limit of one geo attribute)."""

    status = 413
    error = "NoResourcesAvailable"


class UnsupportedMediaType(NgsiError):
    """The body is neither application/json nor, where allowed, text/plain."""

    status = 415
    error = "UnsupportedMediaType"


class Unprocessable(NgsiError):
    """The request is fine, the state of the broker does not allow it."""

    status = 422
    error = "Unprocessable"


class PartialUpdate(Unprocessable):
    """Part of the update was done; the description names the rest."""

    error = "PartialUpdate"


class NotSupportedQuery(NgsiError):
    """A geographical query that cannot be resolved."""

    status = 422
    error = "NotSupportedQuery"


class InternalServerError(NgsiError):
    """The broker cannot do it now (full disk, failed write); nothing was changed."""

    status = 500
    error = "InternalServerError"


class NotImplementedByBroker(NgsiError):
    """A part of the standard that this broker does not offer."""

    status = 501
    error = "NotImplemented"


class ServiceUnavailable(NgsiError):
    """The broker is loading or shutting down; try again."""

    status = 503
    error = "ServiceUnavailable"

    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}
