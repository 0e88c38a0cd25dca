"""The operations registerContext and discoverContextAvailability of NGSI9, and those on parts.

registry/contextEntities and registry/contextEntityTypes and what is below stand for the first
with POST, and for the second with GET. Source: Orion 3.4.
"""

from __future__ import annotations

import time
from typing import Any, Final

from broker.engine import Engine
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from broker.http.v1.errors import refuse_registration
from ngsi.availability import AvailabilityQuery, Spelling
from ngsi.errors import BadRequest, NotFound
from ngsi.registration import Registration
from ngsi.v1.availability import decode_discovery, render_discovery, render_status
from ngsi.v1.durations import find_end
from ngsi.v1.queries import select
from ngsi.v1.registrations import RegistrationRequest, decode_provider, decode_registration
from ngsi.v1.restrictions import ENTITY_TYPE
from ngsi.v1.status import CONTEXT_ELEMENT_NOT_FOUND, OK, StatusCode

_NO_TYPE: Final = "entity::type cannot be empty for this request"
_OTHER_TYPE: Final = "non-matching entity::types in URL"


class RegistrationRoutes:
    """Handlers of the registry over one engine, in one spelling of the answers."""

    def __init__(self, engine: Engine, spelling: Spelling) -> None:
        self._engine = engine
        self._spelling = spelling

    async def register(self, call: Call) -> Reply:
        """POST .../registerContext."""
        return await self._put(call, decode_registration(call.content(), self._spelling))

    async def register_entity(self, call: Call) -> Reply:
        """POST of an entity, an entity type, or one of their attributes."""
        captures = call.captures
        request = decode_provider(
            call.content(),
            captures.get("id", ""),
            captures.get("type", ""),
            captures.get("name", ""),
        )
        try:
            _check_type(call)
        except BadRequest as error:
            return refuse_registration(error)
        return await self._put(call, request)

    async def discover(self, call: Call) -> Reply:
        """POST .../discoverContextAvailability."""
        return self._find(call, decode_discovery(call.content(), self._spelling))

    async def discover_entity(self, call: Call) -> Reply:
        """GET of an entity or one of its attributes."""
        _check_type(call)
        has_type = None
        if call.parameters.get("!exist") == ENTITY_TYPE:
            has_type = False
        elif call.parameters.get("exist") == ENTITY_TYPE:
            has_type = True
        captures = call.captures
        selector = select(captures.get("type", ""), has_type, entity_id=captures["id"])
        return self._find(call, AvailabilityQuery((selector,), _names(call)))

    async def discover_type(self, call: Call) -> Reply:
        """GET of an entity type or one of its attributes."""
        selector = select(call.captures["type"], id_pattern=".*")
        return self._find(call, AvailabilityQuery((selector,), _names(call)))

    async def _put(self, call: Call, request: RegistrationRequest) -> Reply:
        engine, spelling = self._engine, self._spelling
        if len(call.origin.scope.paths) > 1:
            raise BadRequest("more than one service path for notification")
        home = call.origin.scope.for_update().home
        registration_id = request.registration_id
        if registration_id is None:
            registration_id = engine.new_id()
        elif not self._is_known(call, registration_id, home) and spelling is Spelling.ORION:
            status = StatusCode(CONTEXT_ELEMENT_NOT_FOUND, f"registration id: /{registration_id}/")
            return reply_json(
                {
                    "registrationId": registration_id,
                    "errorCode": render_status(status, spelling),
                }
            )
        registration = Registration(
            registration_id,
            home,
            request.parts,
            expires=find_end(time.time(), request.duration_s),
        )
        engine.registry.put(call.origin, registration)
        await engine.committed()
        document: dict[str, Any] = {
            "duration": request.duration,
            "registrationId": registration_id,
        }
        if spelling is Spelling.FOGFLOW:
            document["errorCode"] = render_status(StatusCode(OK), spelling)
        return reply_json(document)

    def _is_known(self, call: Call, registration_id: str, service_path: str) -> bool:
        try:
            former = self._engine.registry.get(call.origin.tenant, registration_id)
        except NotFound:
            return False
        return former.service_path == service_path

    def _find(self, call: Call, query: AvailabilityQuery) -> Reply:
        found = self._engine.registry.discover(call.origin, query)
        page = found[call.offset : call.offset + call.limit]
        if self._spelling is Spelling.FOGFLOW and "limit" not in call.parameters:
            page = found[call.offset :]  # FogFlow knows no pages
        status = None
        if call.parameters.get("details", "").lower() == "on":
            if page:
                status = StatusCode(OK, f"Count: {len(found)}")
            elif found:
                details = f"Number of matching registrations: {len(found)}. Offset is {call.offset}"
                status = StatusCode(CONTEXT_ELEMENT_NOT_FOUND, details)
        parts = [part for available in page for part in available.parts]
        return reply_json(render_discovery(parts, status, self._spelling))


def _check_type(call: Call) -> None:
    """Raise BadRequest where the parameters contradict the type in the path."""
    in_path = call.captures.get("type")
    if in_path is None or "id" not in call.captures:
        return
    if call.parameters.get("!exist") == ENTITY_TYPE:
        raise BadRequest(_NO_TYPE)
    if call.parameters.get(ENTITY_TYPE, in_path) != in_path:
        raise BadRequest(_OTHER_TYPE)


def _names(call: Call) -> tuple[str, ...]:
    name = call.captures.get("name")
    return () if name is None else (name,)
