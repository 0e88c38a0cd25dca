"""Status codes of NGSIv1: what became of a request or of one element of it.

NGSIv1 answers most errors with HTTP 200 and says in the document what was wrong.
Source: FI-WARE NGSI-10 and NGSI-9, "Error codes"; phrases of Orion 3.4.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ngsi.errors import NgsiError

OK: Final = 200
BAD_REQUEST: Final = 400
CONTEXT_ELEMENT_NOT_FOUND: Final = 404
SUBSCRIPTION_NOT_FOUND: Final = 470
MISSING_PARAMETER: Final = 471
INVALID_PARAMETER: Final = 472
INVALID_MODIFICATION: Final = 422
RECEIVER_INTERNAL_ERROR: Final = 500
NOT_IMPLEMENTED: Final = 501

_PHRASES: Final = {
    200: "OK",
    201: "Created",
    400: "Bad Request",
    403: "Forbidden",
    404: "No context element found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Too Many Results",
    410: "Gone",
    411: "Content Length Required",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    422: "Invalid Modification",
    470: "subscriptionId does not correspond to an active subscription",
    471: "parameter missing in the request",
    472: "request parameter is invalid/not allowed",
    473: "Generic error in metadata",
    480: "Regular Expression for EntityId is not allowed by receiver",
    481: "EntityType required by the receiver",
    482: "Attribute List required by the receiver",
    500: "Internal Server Error",
    501: "Not Implemented",
}


class StatusCode(NamedTuple):
    """A code and what it means in this case, "" for no more than its phrase."""

    code: int
    details: str = ""

    @property
    def phrase(self) -> str:
        """The standard's words for the code."""
        return _PHRASES.get(self.code, "Undefined")

    def render(self) -> dict[str, str]:
        """As the field statusCode or errorCode."""
        if self.details:
            return {
                "code": str(self.code),
                "details": self.details,
                "reasonPhrase": self.phrase,
            }
        return {"code": str(self.code), "reasonPhrase": self.phrase}


STATUS_OK: Final = StatusCode(OK)


def status_of(error: NgsiError) -> StatusCode:
    """The status code that says the same as an error of the model."""
    return StatusCode(error.status, error.description)
