"""What expressions see of an event: the identifiers of macros and of jexlExpression.

Source: Orion API, sections "Macro substitution" and "Metadata support".
"""

from __future__ import annotations

from typing import Any

from broker.origin import Origin
from ngsi.instants import format_instant
from ngsi.model import (
    ACTION_TYPE,
    ALTERATION_TYPE,
    DATE_CREATED,
    DATE_MODIFIED,
    PREVIOUS_VALUE,
    SERVICE_PATH,
    Attribute,
    EntityEvent,
)


def build_context(event: EntityEvent, origin: Origin) -> dict[str, Any]:
    """id, type, service, servicePath, authToken, builtins, attributes and their metadata.

    An attribute wins over what the broker adds, `metadata` over an attribute of that name.
    """
    entity = event.entity
    context: dict[str, Any] = {
        "service": origin.service_header,
        SERVICE_PATH: entity.service_path,
        "authToken": origin.auth_token,
        DATE_CREATED: format_instant(entity.created),
        DATE_MODIFIED: format_instant(entity.modified),
        ALTERATION_TYPE: event.alteration.value,
        "id": entity.id,
        "type": entity.type,
    }
    metadata: dict[str, dict[str, Any]] = {}
    for name, attribute in event.attributes.items():
        context[name] = attribute.value
        metadata[name] = _metadata_values(name, attribute, event)
    context["metadata"] = metadata
    return context


def _metadata_values(name: str, attribute: Attribute, event: EntityEvent) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if attribute.created:
        values[DATE_CREATED] = format_instant(attribute.created)
        values[DATE_MODIFIED] = format_instant(attribute.modified)
    if name in event.actions:
        values[ACTION_TYPE] = event.actions[name]
    if name in event.previous:
        values[PREVIOUS_VALUE] = event.previous[name].value
    for item, fields in attribute.metadata.items():
        values[item] = fields["value"]
    return values
