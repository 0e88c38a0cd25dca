"""How the operations in FogFlow's spelling say that a request could not be done.

A body that cannot be read is HTTP 400, a failure of the broker 5xx; what was read and cannot be
done is told with HTTP 200 and a status code, as NGSIv1 does. In each case the document is that of
the operation, so that a client finds the fields that it looks for. A resource that is not there is
HTTP 404 without a document, as FogFlow has it.
"""

from __future__ import annotations

from typing import Any, Final

from broker.http.replies import Reply, reply_json
from ngsi.errors import MethodNotAllowed, NgsiError, NotFound, ParseError
from ngsi.v1.fogflow.document import render_status
from ngsi.v1.status import status_of

_FAILURE: Final = 500


def refuse_update(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of updateContext and queryContext."""
    return _reply(error, {"contextResponses": [], "errorCode": _render(error)})


def refuse_subscription(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of subscribeContext."""
    document = {
        "subscribeResponse": {"subscriptionId": ""},
        "subscribeError": {"subscriptionId": "", "errorCode": _render(error)},
    }
    return _reply(error, document)


def refuse_unsubscription(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of unsubscribeContext."""
    return _reply(error, {"subscriptionId": "", "statusCode": _render(error)})


def refuse_notification(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of notifyContext and notifyContextAvailability."""
    return _reply(error, {"responseCode": _render(error)})


def refuse_resource(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of a resource: HTTP status codes."""
    if isinstance(error, NotFound):
        return Reply(error.status)
    return _with_status(error, {"errorCode": _render(error)})


def _reply(error: NgsiError, document: dict[str, Any]) -> Reply:
    if isinstance(error, ParseError | MethodNotAllowed) or error.status >= _FAILURE:
        return _with_status(error, document)
    return reply_json(document)


def _with_status(error: NgsiError, document: dict[str, Any]) -> Reply:
    if isinstance(error, MethodNotAllowed):
        return Reply(error.status, b"", error.headers())
    reply = reply_json(document)
    reply.status = error.status
    return reply


def _render(error: NgsiError) -> dict[str, Any]:
    return render_status(status_of(error))
