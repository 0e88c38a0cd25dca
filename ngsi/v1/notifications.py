"""The notification of NGSIv1 that goes out, and the operation notifyContext that takes one.

A notification is `{"subscriptionId", "originator", "contextResponses": [{"contextElement",
"statusCode"}]}`; the broker sends one context element in each.
Source: Orion 3.4; NGSI-10 1.0, NotifyContextRequest.
"""

from __future__ import annotations

from typing import Any, Final

from ngsi.model import AlterationType, EntityEvent
from ngsi.v1.document import TEXT, load_document
from ngsi.v1.elements import (
    ELEMENT_FIELDS,
    Element,
    decode_element,
    render_attribute,
    render_entity_id,
    sort_metadata,
)
from ngsi.v1.subscriptions import check_subscription_id
from ngsi.v2.render import ALL, View, select_shown

# The first %b is the subscription's id, the second the context element.
ENVELOPE: Final = (
    b'{"subscriptionId":"%b","originator":"localhost","contextResponses":[{"contextElement":%b,'
    b'"statusCode":{"code":"200","reasonPhrase":"OK"}}]}'
)
_FIELDS: Final = {
    "subscriptionId": TEXT,
    "originator": TEXT,
    "contextResponses": [
        {
            "contextElement": ELEMENT_FIELDS,
            "statusCode": {"code": TEXT, "reasonPhrase": TEXT, "details": TEXT},
        }
    ],
}


def render_notified(event: EntityEvent, view: View) -> dict[str, Any] | None:
    """The context element of a notification; None if there is no attribute to show.

    Attributes that the view does not name, and metadata, come as from Orion 3: in the order of
    the request that made them, but by their names where they are older.
    """
    entity = event.entity
    shown = select_shown(entity, view, event)
    if not shown:
        return None
    if event.alteration is not AlterationType.CREATE:
        if not view.attributes or ALL in view.attributes:
            shown.sort(key=lambda item: _age_and_name(item[0], event))
        shown = [
            item if item[0] in event.updated else (*item[:2], sort_metadata(item[2]))
            for item in shown
        ]
    return {
        **render_entity_id(entity.id, entity.type),
        "attributes": [
            {"name": name, **render_attribute(attribute.type, attribute.value, metadata)}
            for name, attribute, metadata in shown
        ],
    }


def _age_and_name(name: str, event: EntityEvent) -> tuple[bool, str]:
    is_new = event.actions.get(name) == "append"
    return is_new, "" if is_new else name


def decode_notification(body: bytes) -> list[Element]:
    """The context elements of notifyContext; raises BadRequest."""
    document = load_document(body, _FIELDS)
    check_subscription_id(document.get("subscriptionId", ""))
    return [
        decode_element(response.get("contextElement", {}))
        for response in document.get("contextResponses", ())
    ]
