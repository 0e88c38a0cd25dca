"""Notifications in FogFlow's spelling, sent and taken.

    {"subscriptionId", "contextResponses": [{"contextElement", "statusCode": {"code": 200, ...}}]}

An entity that was deleted is a context element with nothing but its entityId.
Source: FogFlow, common/ngsi and broker.
"""

from __future__ import annotations

from typing import Any, Final

from ngsi.errors import ParseError
from ngsi.model import AlterationType, EntityEvent
from ngsi.v1.fogflow.document import load_request, read_objects, read_text, render_status
from ngsi.v1.fogflow.elements import (
    ContextElement,
    decode_element,
    render_element,
    render_entity_id,
)
from ngsi.v1.status import STATUS_OK
from ngsi.v1.updates import ElementStatus
from ngsi.v2.render import View

# The first %b is the subscription's id, the second the contextResponses.
ENVELOPE: Final = b'{"subscriptionId":"%b","originator":"","contextResponses":[%b]}'
_STATUS: Final = render_status(STATUS_OK)
_DELETE: Final = AlterationType.DELETE


def render_notified(event: EntityEvent, view: View) -> dict[str, Any]:
    """One of the contextResponses of a notification; the view's attributes are shown."""
    entity = event.entity
    element: dict[str, Any]
    if event.alteration is _DELETE:
        element = {"entityId": render_entity_id(entity.id, entity.type)}
    else:
        element = render_element(entity.id, entity.type, event.attributes, view.attributes)
    return {"contextElement": element, "statusCode": _STATUS}


def decode_notification(body: bytes) -> list[ContextElement]:
    """The context elements of notifyContext; raises ParseError and BadRequest."""
    elements = []
    for response in read_objects(load_request(body), "contextResponses"):
        element = response.get("contextElement")
        if type(element) is not dict:
            raise ParseError("contextElement is not an object")
        elements.append(decode_element(element))
    return elements


def decode_availability(body: bytes) -> str:
    """The id of the subscription that notifyContextAvailability is about; raises ParseError."""
    document = load_request(body)
    read_objects(document, "contextRegistrationResponses")
    return read_text(document, "subscribeId") or read_text(document, "subscriptionId")


def render_notification_answer(outcomes: list[ElementStatus]) -> dict[str, Any]:
    """The answer of notifyContext, whatever became of its elements: it was taken."""
    return {"responseCode": render_status(STATUS_OK)}
