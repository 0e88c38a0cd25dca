"""What is registered for one entity, as FogFlow asks for it: registration/{entity id}.

Source: FogFlow, discovery and broker.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from broker.engine import Engine
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from ngsi.availability import AvailabilityQuery
from ngsi.model import EntitySelector
from ngsi.registration import ContextRegistration


class EntityRegistrationRoutes:
    """Handlers of registration/{entity id} over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def get(self, call: Call) -> Reply:
        """GET: all that is registered for the entity; 404 with null where nothing is."""
        selector = EntitySelector(call.captures["id"])
        found = self._engine.registry.discover(call.origin, AvailabilityQuery((selector,)))
        if not found:
            reply = reply_json(None)
            reply.status = 404
            return reply
        attributes: dict[str, dict[str, Any]] = {}
        entity_type = ""
        for available in found:
            for part in available.parts:
                entity_type = entity_type or part.entities[0].type or ""
                for name, type_ in part.attributes.items():
                    attributes.setdefault(name, {"name": name, "type": type_, "isDomain": False})
        first = found[0]
        return reply_json(
            {
                "ID": selector.id,
                "Type": entity_type,
                "AttributesList": attributes,
                "MetadataList": {},
                "ProvidingApplication": first.parts[0].provider.url,
                "FiwareServicePath": first.registration.service_path,
                "MsgFormat": "",
                "FiwareService": call.origin.service_header,
            }
        )

    async def delete(self, call: Call) -> Reply:
        """DELETE: take the entity out of the registrations that name it."""
        entity_id = call.captures["id"]
        registry = self._engine.registry
        query = AvailabilityQuery((EntitySelector(entity_id),))
        for registration, _ in registry.discover(call.origin, query):
            parts = _without(registration.parts, entity_id)
            if not parts:
                registry.remove(call.origin, registration.id)
            elif parts != registration.parts:
                registry.put(call.origin, replace(registration, parts=parts))
        await self._engine.committed()
        return Reply(200, b"", {})


def _without(
    parts: tuple[ContextRegistration, ...], entity_id: str
) -> tuple[ContextRegistration, ...]:
    """The parts with all other entities; those that are as they were are the same."""
    left = []
    for part in parts:
        entities = tuple(selector for selector in part.entities if selector.id != entity_id)
        if len(entities) == len(part.entities):
            left.append(part)
        elif entities:
            left.append(ContextRegistration(entities, part.attributes, part.provider))
    return tuple(left)
