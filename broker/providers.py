"""Which registrations answer for what, within one tenant.

Pure and synchronous; it knows nothing of requests, of the network or of other tenants. Costs are
those of `broker.selector_index`; of the registrations of a type that a query names each that is
found means a request anyway.

Source: Orion API, section "Registration Operations", and its manual "Context Providers". Beyond
Orion: patterns other than ".*", and registrations that are inactive are not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from broker.selector_index import SelectorIndex
from ngsi.model import EntitySelector
from ngsi.registration import ForwardingMode, Provision, Registration
from ngsi.service_path import ServicePathScope

_INACTIVE: Final = "inactive"


@dataclass(slots=True, frozen=True)
class Offer:
    """What a part of a registration can contribute to a query: the entities of one selector.

    `asked` are the selectors of the query that may mean some of these entities, empty when the
    query means all entities.
    """

    provision: Provision
    selector: EntitySelector
    asked: tuple[EntitySelector, ...]


class ProviderIndex:
    """The registrations of a tenant."""

    def __init__(self) -> None:
        self.selectors: SelectorIndex[Provision] = SelectorIndex()

    def put(self, registration: Registration) -> None:
        """Add a registration or replace the one of that id."""
        self.selectors.put(registration.id, _entries(registration))

    def remove(self, registration_id: str) -> None:
        """Forget a registration; nothing happens when it is not here."""
        self.selectors.remove(registration_id)

    def for_entity(
        self,
        entity_id: str,
        entity_type: str | None,
        scope: ServicePathScope,
        now: float,
        mode: ForwardingMode,
        with_patterns: bool = True,
    ) -> list[Provision]:
        """What is registered for one entity and takes requests of `mode`, oldest first.

        An unknown type (None) is met by registrations of any type only, as Orion has it for
        updates. Without `with_patterns` only those that name the entity's id.
        """
        found = {
            provision: None
            for selector, provision in self.selectors.about(entity_id, entity_type, with_patterns)
            if _covers(selector, entity_id, entity_type)
            and is_available(provision, mode, scope, now)
        }
        return list(found)

    def for_query(
        self, selectors: tuple[EntitySelector, ...], scope: ServicePathScope, now: float
    ) -> list[Offer]:
        """What the registrations can contribute to a query of these selectors (none: of all
        entities), by the time of registration."""
        found = self.selectors.meeting(selectors) if selectors else self.selectors.all()
        offers = []
        for selector, provision in found:
            asked = tuple(item for item in selectors if _may_meet(item, selector))
            if (asked or not selectors) and is_available(
                provision, ForwardingMode.QUERY, scope, now
            ):
                offers.append(Offer(provision, selector, asked))
        return offers


def _entries(registration: Registration) -> Iterator[tuple[EntitySelector, Provision]]:
    for part in registration.parts:
        provision = Provision(registration, part)
        for selector in part.entities:
            yield selector, provision


def choose_provider(provisions: Iterable[Provision], attribute: str) -> Provision | None:
    """Whom to ask for one attribute, of those registered for its entity.

    The oldest that names the attribute; without one, the youngest that names no attributes.
    """
    general = None
    for provision in provisions:
        if attribute in provision.attributes:
            return provision
        if not provision.attributes:
            general = provision
    return general


def is_available(
    provision: Provision, mode: ForwardingMode, scope: ServicePathScope, now: float
) -> bool:
    """Whether requests of `mode` (QUERY or UPDATE) and this scope may be forwarded for it."""
    registration = provision.registration
    return (
        provision.provider.mode in (mode, ForwardingMode.ALL)
        and registration.status != _INACTIVE
        and not registration.is_expired(now)
        and scope.covers(registration.service_path)
    )


def _covers(selector: EntitySelector, entity_id: str, entity_type: str | None) -> bool:
    if entity_type is not None:
        return selector.matches(entity_id, entity_type)
    has_any_type = selector.type is None and (
        selector.type_pattern is None or selector.type_pattern.matches_everything
    )
    return has_any_type and selector.matches(entity_id, "")


def _may_meet(asked: EntitySelector, registered: EntitySelector) -> bool:
    """Whether some entity can be meant by both; two patterns are taken to meet."""
    if not asked.meets_id_of(registered):
        return False
    if asked.type is not None:
        if registered.type is not None:
            return registered.type == asked.type
        return registered.type_pattern is None or registered.type_pattern.search(asked.type)
    if asked.type_pattern is not None and registered.type is not None:
        return asked.type_pattern.search(registered.type)
    return True
