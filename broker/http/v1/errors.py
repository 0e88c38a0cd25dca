"""How each operation of NGSIv1 says that a request could not be done.

Most say it with HTTP 200 and a status code in the document; the field that holds it is the
operation's own. A method that an operation does not have is HTTP 405, without a document.
Source: Orion 3.4.
"""

from __future__ import annotations

from typing import Any, Final

from broker.http.replies import Reply, reply_error, reply_json
from broker.http.routing import ErrorReply
from ngsi.errors import (
    ContentLengthRequired,
    InvalidParameter,
    MethodNotAllowed,
    NgsiError,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)
from ngsi.v1.status import StatusCode, status_of
from ngsi.v1.subscriptions import NO_ID, render_subscribe_error, render_unsubscribed

# Their status is also that of HTTP.
_HTTP_ERRORS: Final = (ContentLengthRequired, RequestEntityTooLarge, UnsupportedMediaType)


def render_orion_error(status: StatusCode) -> dict[str, Any]:
    """The document of an error that is no part of an operation's answer."""
    return {"orionError": status.render()}


def refuse(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of an operation that has no form of its own, or of no operation."""
    reply = _reply(error, as_text, render_orion_error(status_of(error)))
    if isinstance(error, InvalidParameter):
        reply.status = error.status
    return reply


def refuse_unknown(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of a path that is no operation's."""
    reply = refuse(error, as_text)
    reply.status = error.status
    return reply


def refuse_with_code(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of updateContext, queryContext and discoverContextAvailability."""
    return _reply(error, as_text, {"errorCode": status_of(error).render()})


def refuse_status(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of a convenience operation whose answer is a status code alone."""
    return _reply(error, as_text, dict(status_of(error).render()))


def refuse_subscription(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of subscribeContext."""
    return _reply(error, as_text, render_subscribe_error(status_of(error)))


def refuse_subscription_update(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of updateContextSubscription."""
    return _reply(error, as_text, render_subscribe_error(status_of(error), NO_ID))


def refuse_unsubscription(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of unsubscribeContext."""
    return _reply(error, as_text, render_unsubscribed(NO_ID, status_of(error)))


def refuse_notification(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of notifyContext."""
    return _reply(error, as_text, {"responseCode": status_of(error).render()})


def refuse_registration(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of registerContext."""
    status = status_of(error).render()
    return _reply(error, as_text, {"errorCode": status, "registrationId": NO_ID})


def refuse_availability(error: NgsiError, as_text: bool = False) -> Reply:
    """The error of subscribeContextAvailability and updateContextAvailabilitySubscription."""
    status = status_of(error).render()
    return _reply(error, as_text, {"subscriptionId": NO_ID, "errorCode": status})


def refuse_in_fogflow(id_field: str, status_field: str) -> ErrorReply:
    """As FogFlow spells the error of an operation of NGSI9; `id_field` is "" for none."""

    def refuse(error: NgsiError, as_text: bool = False) -> Reply:
        status = status_of(error)
        document: dict[str, Any] = {status_field: {**status.render(), "code": status.code}}
        if id_field:
            document[id_field] = ""
        return _reply(error, as_text, document)

    return refuse


def _reply(error: NgsiError, as_text: bool, document: dict[str, Any]) -> Reply:
    if isinstance(error, MethodNotAllowed):
        return Reply(error.status, b"", error.headers())
    if as_text:
        return reply_error(error, as_text)
    reply = reply_json(document)
    if isinstance(error, _HTTP_ERRORS):
        reply.status = error.status
    return reply
