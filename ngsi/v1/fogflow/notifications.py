"""Notifications in FogFlow's spelling, sent and taken.

    {"subscriptionId", "contextResponses": [{"contextElement", "statusCode": {"code": 200, ...}}]}

An entity that was deleted is a context element with nothing but its entityId.
Source: FogFlow, common/ngsi and broker.
"""

from __future__ import annotations

from typing import Any

from ngsi.errors import ParseError
from ngsi.v1.fogflow.document import load_request, read_objects, read_text, render_status
from ngsi.v1.fogflow.elements import ContextElement, decode_element
from ngsi.v1.status import STATUS_OK
from ngsi.v1.updates import ElementStatus


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
