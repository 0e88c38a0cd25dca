"""The operation updateContext in FogFlow's spelling: `{"contextElements", "updateAction"}`.

UPDATE creates what is missing, as APPEND does. DELETE of an element with entityId is about the
whole entity, whatever attributes stand with it; one in Orion's spelling about those that it names.
Source: FogFlow, broker.
"""

from __future__ import annotations

from typing import Any

from ngsi.errors import BadRequest
from ngsi.model import EntityUpdate, UpdateAction
from ngsi.v1.fogflow.document import load_request, read_objects, read_text, render_status
from ngsi.v1.fogflow.elements import ContextElement, decode_element, render_entity_id
from ngsi.v1.updates import ElementStatus, read_action


def decode_update(body: bytes) -> tuple[UpdateAction, list[ContextElement]]:
    """The action and the context elements of updateContext; raises ParseError and BadRequest.

    The action is never UPDATE.
    """
    document = load_request(body)
    elements = [decode_element(item) for item in read_objects(document, "contextElements")]
    if not elements:
        raise BadRequest("No context elements")
    action = read_action(read_text(document, "updateAction"))
    if action is UpdateAction.UPDATE:
        return UpdateAction.APPEND, elements
    if action is UpdateAction.DELETE:
        elements = [item if item.is_flat else _without_attributes(item) for item in elements]
    return action, elements


def _without_attributes(element: ContextElement) -> ContextElement:
    update = element.update
    return element._replace(update=EntityUpdate(update.id, update.type, {}))


def render_update_answer(outcomes: list[ElementStatus]) -> dict[str, Any]:
    """The answer of updateContext."""
    return {
        "contextResponses": [
            {
                "contextElement": {
                    "entityId": render_entity_id(outcome.update.id, outcome.update.type)
                },
                "statusCode": render_status(outcome.status),
            }
            for outcome in outcomes
        ]
    }
