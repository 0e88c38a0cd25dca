"""The table of the routes of NGSI9."""

from __future__ import annotations

from typing import Final, NamedTuple

from broker.engine import Engine
from broker.http.routing import ErrorReply, Handler, Resource, Routes
from broker.http.v1.availability import AvailabilityRoutes
from broker.http.v1.entity_registrations import EntityRegistrationRoutes
from broker.http.v1.errors import (
    refuse,
    refuse_availability,
    refuse_in_fogflow,
    refuse_registration,
    refuse_unsubscription,
    refuse_with_code,
)
from broker.http.v1.registrations import RegistrationRoutes
from ngsi.availability import Spelling


class _Refusals(NamedTuple):
    """How the operations tell of errors."""

    register: ErrorReply
    discover: ErrorReply
    subscribe: ErrorReply
    unsubscribe: ErrorReply


_REFUSALS: Final = {
    Spelling.ORION: _Refusals(
        refuse_registration, refuse_with_code, refuse_availability, refuse_unsubscription
    ),
    Spelling.FOGFLOW: _Refusals(
        refuse_in_fogflow("registrationId", "errorCode"),
        refuse_in_fogflow("", "errorCode"),
        refuse_in_fogflow("subscribeId", "errorCode"),
        refuse_in_fogflow("subscriptionId", "statusCode"),
    ),
}


def make_registry_routes(engine: Engine) -> Routes:
    """All routes of NGSI9 over one engine; FogFlow's brokers have one of theirs in upper case."""
    by_entity = EntityRegistrationRoutes(engine)
    of_entity: dict[str, Handler] = {"GET": by_entity.get, "DELETE": by_entity.delete}
    return [
        Resource("/NGSI9/registration/{id}", of_entity, refuse),
        Resource("/ngsi9/registration/{id}", of_entity, refuse),
        *_registry_routes("/v1/registry", engine, Spelling.ORION),
        *_registry_routes("/NGSI9", engine, Spelling.ORION),
        *_registry_routes("/ngsi9", engine, Spelling.FOGFLOW),
    ]


def _registry_routes(root: str, engine: Engine, spelling: Spelling) -> Routes:
    """The routes below a root path; FogFlow has no convenience operations: they are Orion's."""
    standard = RegistrationRoutes(engine, spelling)
    availability = AvailabilityRoutes(engine, spelling)
    refusals = _REFUSALS[spelling]
    convenience = RegistrationRoutes(engine, Spelling.ORION)
    of_entity = {"POST": convenience.register_entity, "GET": convenience.discover_entity}
    of_type = {"POST": convenience.register_entity, "GET": convenience.discover_type}
    typed = f"{root}/contextEntities/type/{{type}}/id/{{id}}"
    named = f"{root}/contextEntities/{{id}}"
    types = f"{root}/contextEntityTypes/{{type}}"
    operations = (
        ("registerContext", standard.register, refusals.register),
        ("discoverContextAvailability", standard.discover, refusals.discover),
        ("subscribeContextAvailability", availability.subscribe, refusals.subscribe),
        ("updateContextAvailabilitySubscription", availability.update, refusals.subscribe),
        ("unsubscribeContextAvailability", availability.unsubscribe, refusals.unsubscribe),
    )
    return [
        *(
            Resource(f"{root}/{name}", {"POST": handler}, tell, refuse)
            for name, handler, tell in operations
        ),
        *(
            Resource(f"{path}{below}", handlers, refuse_with_code, refuse)
            for path, handlers in ((typed, of_entity), (named, of_entity), (types, of_type))
            for below in ("/attributes/{name}", "/attributes", "")
        ),
    ]
