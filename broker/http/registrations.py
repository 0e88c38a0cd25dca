"""The operations on registrations: /v2/registrations."""

from __future__ import annotations

from itertools import islice
from typing import Any

from broker.engine import Engine
from broker.http.call import Call
from broker.http.replies import Reply, reply_created, reply_json, reply_no_content
from broker.registry import REGISTRATION_NOT_FOUND
from ngsi.errors import BadRequest, NotFound, ParseError
from ngsi.registration import Registration
from ngsi.service_path import EVERYWHERE
from ngsi.v2.document import load_document
from ngsi.v2.registrations import (
    decode_registration,
    render_registration,
    update_registration,
)


class RegistrationRoutes:
    """Handlers of /v2/registrations over one engine."""

    def __init__(self, engine: Engine, any_pattern: bool) -> None:
        """`any_pattern` allows for what Orion refuses: other patterns than the idPattern ".*"."""
        self._engine = engine
        self._any_pattern = any_pattern

    async def list(self, call: Call) -> Reply:
        """GET /v2/registrations: those whose service path is exactly the header's."""
        tenant = self._engine.tenant(call.origin.tenant)
        paths = call.origin.scope.paths
        found = [
            registration
            for registration in tenant.registrations.values()
            if not paths or paths[0] in (EVERYWHERE, registration.service_path)
        ]
        page = list(islice(found, call.offset, call.offset + call.limit))
        for registration in page:
            self._engine.deprecations.note_registration(registration)
        return reply_json(
            [render_registration(registration) for registration in page],
            len(found) if "count" in call.options else None,
        )

    async def create(self, call: Call) -> Reply:
        """POST /v2/registrations."""
        registration = decode_registration(
            _read_document(call),
            self._engine.new_id(),
            call.origin.scope.home,
            self._any_pattern,
        )
        self._engine.registry.put(call.origin, registration)
        self._engine.deprecations.note_new_registration(registration)
        await self._engine.committed()
        return reply_created(f"/v2/registrations/{registration.id}")

    async def get(self, call: Call) -> Reply:
        """GET /v2/registrations/{id}."""
        registration = self._find(call)
        self._engine.deprecations.note_registration(registration)
        return reply_json(render_registration(registration))

    async def patch(self, call: Call) -> Reply:
        """PATCH /v2/registrations/{id}, which the standard has and Orion has not."""
        document = _read_document(call)
        changed = update_registration(document, self._find(call), self._any_pattern)
        self._engine.registry.put(call.origin, changed)
        await self._engine.committed()
        return reply_no_content()

    async def delete(self, call: Call) -> Reply:
        """DELETE /v2/registrations/{id}."""
        self._engine.registry.remove(call.origin, call.captures["id"])
        await self._engine.committed()
        return reply_no_content()

    def _find(self, call: Call) -> Registration:
        registration = self._engine.registry.get(call.origin.tenant, call.captures["id"])
        paths = call.origin.scope.paths
        if paths and paths[0] != registration.service_path:
            raise NotFound(REGISTRATION_NOT_FOUND)
        return registration


def _read_document(call: Call) -> Any:
    try:
        return load_document(call.content())
    except ParseError as error:
        # Here alone Orion gives it another name.
        raise BadRequest(error.description) from None
