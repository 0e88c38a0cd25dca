"""Availability of context: what is asked for, and what of a registration is the answer.

Pure: no clock, no service paths, no tenants. Source: FI-WARE NGSI-9, operations
discoverContextAvailability and subscribeContextAvailability; Orion 3.4 for what meets what.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ngsi.model import EntitySelector
from ngsi.registration import ContextRegistration, Registration
from ngsi.service_path import ServicePathScope
from ngsi.subscription import Counters


@dataclass(slots=True, frozen=True)
class AvailabilityQuery:
    """What is asked for. `attributes` empty: registrations of any, and of none by name.

    A selector of type "" means registrations that name no type.
    """

    selectors: tuple[EntitySelector, ...]
    attributes: tuple[str, ...] = ()

    def narrow(self, registration: Registration) -> tuple[ContextRegistration, ...]:
        """The parts that are asked for, each with no other entities and attributes than that."""
        parts = []
        for part in registration.parts:
            entities = tuple(
                selector
                for selector in part.entities
                if any(meets(asked, selector) for asked in self.selectors)
            )
            attributes = part.attributes
            if self.attributes:
                attributes = {
                    name: attributes[name] for name in attributes if name in self.attributes
                }
            if entities and (attributes or not self.attributes):
                parts.append(ContextRegistration(entities, attributes, part.provider))
        return tuple(parts)


def meets(asked: EntitySelector, registered: EntitySelector) -> bool:
    """Whether registered entities are among those asked for; two patterns are taken to meet.

    Who asks for a type is not told of entities registered without one.
    """
    if not asked.meets_id_of(registered):
        return False
    if asked.type:
        if registered.type_pattern is not None:
            return registered.type_pattern.search(asked.type)
        return registered.type == asked.type
    if asked.type_pattern is not None:
        if registered.type is not None:
            return asked.type_pattern.search(registered.type)
        return registered.type_pattern is not None
    if asked.type == "":
        return registered.type is None and registered.type_pattern is None
    return True


class AvailabilityChange(Enum):
    """What became of a registration, as one who subscribed sees it."""

    CREATED = "created"
    CHANGED = "changed"
    GONE = "gone"


class Spelling(Enum):
    """How notifications are spelled: as the subscription was."""

    ORION = "orion"
    FOGFLOW = "fogflow"


@dataclass(slots=True, eq=False)
class AvailabilitySubscription:
    """Who wants to be told of registrations, of one tenant. `reference` is the receiver's URL."""

    id: str
    scope: ServicePathScope
    query: AvailabilityQuery
    reference: str
    expires: float | None = None  # seconds since 1970; None: permanent
    spelling: Spelling = Spelling.ORION
    counters: Counters = field(default_factory=Counters)
    pending: int = 0  # notifications not yet taken by the receiver

    def is_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= now

    def narrow(self, registration: Registration) -> tuple[ContextRegistration, ...]:
        """The parts of a registration that it is to be told of."""
        if not self.scope.covers(registration.service_path):
            return ()
        return self.query.narrow(registration)
