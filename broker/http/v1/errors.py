"""How each operation of NGSIv1 says that a request could not be done.

Most say it with HTTP 200 and a status code in the document; the field that holds it is the
operation's own. A method that an operation does not have is HTTP 405, without a document.
Source: Orion 3.4.
"""

from __future__ import annotations

from typing import Any, Final

from broker.http.replies import Reply, reply_error, reply_json
from ngsi.errors import InvalidParameter, MethodNotAllowed, NgsiError
from ngsi.v1.status import StatusCode, status_of

NO_ID: Final = "000000000000000000000000"


def render_orion_error(status: StatusCode) -> dict[str, Any]:
    """The document of an error that is no part of an operation's answer."""
    return {"orionError": status.render()}


def refuse(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of an operation that has no form of its own, or of no operation."""
    reply = _reply(error, as_text, render_orion_error(status_of(error)))
    if isinstance(error, InvalidParameter):
        reply.status = error.status
    return reply


def refuse_with_code(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of updateContext, queryContext and discoverContextAvailability."""
    return _reply(error, as_text, {"errorCode": status_of(error).render()})


def refuse_status(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of a convenience operation whose answer is a status code alone."""
    return _reply(error, as_text, dict(status_of(error).render()))


def refuse_subscription(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of subscribeContext and updateContextSubscription."""
    return _reply(error, as_text, {"subscribeError": {"errorCode": status_of(error).render()}})


def refuse_unsubscription(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of unsubscribeContext."""
    status = status_of(error).render()
    return _reply(error, as_text, {"subscriptionId": NO_ID, "statusCode": status})


def refuse_notification(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of notifyContext."""
    return _reply(error, as_text, {"responseCode": status_of(error).render()})


def refuse_registration(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of registerContext."""
    status = status_of(error).render()
    return _reply(error, as_text, {"registrationId": NO_ID, "errorCode": status})


def _reply(error: NgsiError, as_text: bool, document: dict[str, Any]) -> Reply:
    if isinstance(error, MethodNotAllowed):
        return Reply(error.status, b"", error.headers())
    if as_text:
        return reply_error(error, as_text)
    return reply_json(document)
