"""Which registrations answer for what, within one tenant.

Owns the index over the registrations: by exact entity id, by type, and the patterns. Pure and
synchronous; it knows nothing of requests, of the network or of other tenants. A look-up for one
entity costs its own postings and the patterns of its type; one for a pattern costs the
registrations of the types that it names, of which each that is found means a request anyway.

Source: Orion API, section "Registration Operations", and its manual "Context Providers". Beyond
Orion: patterns other than ".*", and registrations that are inactive are not asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ngsi.model import EntitySelector
from ngsi.registration import ForwardingMode, Registration
from ngsi.service_path import ServicePathScope

_INACTIVE: Final = "inactive"


@dataclass(slots=True, frozen=True)
class Offer:
    """What one registration can contribute to a query: the entities of one of its selectors.

    `asked` are the selectors of the query that may mean some of these entities, empty when the
    query means all entities.
    """

    registration: Registration
    selector: EntitySelector
    asked: tuple[EntitySelector, ...]


# Registration id and position of the selector: sorts by the time of registration.
_Key: TypeAlias = tuple[str, int]
_Postings: TypeAlias = dict[_Key, tuple[Registration, EntitySelector]]


class ProviderIndex:
    """The registrations of a tenant whose providers take requests; empty without any."""

    def __init__(self) -> None:
        self._registrations: dict[str, Registration] = {}
        # Every selector stands in one of the first two and in the third; None: any type.
        self._by_id: dict[str, _Postings] = {}
        self._patterns_by_type: dict[str | None, _Postings] = {}
        self._all_by_type: dict[str | None, _Postings] = {}

    def __len__(self) -> int:
        return len(self._registrations)

    def put(self, registration: Registration) -> None:
        """Add a registration or replace the one of that id."""
        self.remove(registration.id)
        if registration.provider.mode is ForwardingMode.NONE:
            return
        self._registrations[registration.id] = registration
        for position, selector in enumerate(registration.entities):
            key = (registration.id, position)
            for postings in self._homes(selector):
                postings[key] = (registration, selector)

    def remove(self, registration_id: str) -> None:
        """Forget a registration; nothing happens when it is not here."""
        former = self._registrations.pop(registration_id, None)
        if former is None:
            return
        for position, selector in enumerate(former.entities):
            for postings in self._homes(selector):
                del postings[(registration_id, position)]
            self._drop_empty(selector)

    def for_entity(
        self,
        entity_id: str,
        entity_type: str | None,
        scope: ServicePathScope,
        now: float,
        mode: ForwardingMode,
        with_patterns: bool = True,
    ) -> list[Registration]:
        """The registrations of one entity that take requests of `mode`, oldest first.

        An unknown type (None) is met by registrations of any type only, as Orion has it for
        updates. Without `with_patterns` only those that name the entity's id.
        """
        found = dict(self._by_id.get(entity_id, {}))
        if with_patterns:
            found |= self._patterns_by_type.get(None, {})
            if entity_type is not None:
                found |= self._patterns_by_type.get(entity_type, {})
        if not found:
            return []
        registrations = {
            registration.id: registration
            for _, (registration, selector) in sorted(found.items(), key=_key)
            if _covers(selector, entity_id, entity_type)
            and is_available(registration, mode, scope, now)
        }
        return list(registrations.values())

    def for_query(
        self, selectors: tuple[EntitySelector, ...], scope: ServicePathScope, now: float
    ) -> list[Offer]:
        """What the registrations can contribute to a query of these selectors (none: of all
        entities), by the time of registration."""
        offers = []
        for _, (registration, selector) in sorted(self._candidates(selectors).items(), key=_key):
            asked = tuple(item for item in selectors if _may_meet(item, selector))
            if (asked or not selectors) and is_available(
                registration, ForwardingMode.QUERY, scope, now
            ):
                offers.append(Offer(registration, selector, asked))
        return offers

    def _candidates(self, selectors: tuple[EntitySelector, ...]) -> _Postings:
        found: _Postings = {}
        for selector in selectors:
            if selector.id is not None:
                found |= self._by_id.get(selector.id, {})
                found |= _of_types(self._patterns_by_type, selector.type)
            else:
                found |= _of_types(self._all_by_type, selector.type)
        if not selectors:
            found = _of_types(self._all_by_type, None)
        return found

    def _homes(self, selector: EntitySelector) -> tuple[_Postings, _Postings]:
        by_type = self._all_by_type.setdefault(selector.type, {})
        if selector.id is not None:
            return self._by_id.setdefault(selector.id, {}), by_type
        return self._patterns_by_type.setdefault(selector.type, {}), by_type

    def _drop_empty(self, selector: EntitySelector) -> None:
        if selector.id is not None and not self._by_id[selector.id]:
            del self._by_id[selector.id]
        for postings in (self._patterns_by_type, self._all_by_type):
            if selector.type in postings and not postings[selector.type]:
                del postings[selector.type]


def choose_provider(registrations: Iterable[Registration], attribute: str) -> Registration | None:
    """The registration to ask for one attribute, of those of its entity.

    The oldest that names the attribute; without one, the youngest that names no attributes.
    """
    general = None
    for registration in registrations:
        if attribute in registration.attributes:
            return registration
        if not registration.attributes:
            general = registration
    return general


def is_available(
    registration: Registration, mode: ForwardingMode, scope: ServicePathScope, now: float
) -> bool:
    """Whether requests of `mode` (QUERY or UPDATE) and this scope may be forwarded for it."""
    return (
        registration.provider.mode in (mode, ForwardingMode.ALL)
        and registration.status != _INACTIVE
        and (registration.expires is None or registration.expires > now)
        and scope.covers(registration.service_path)
    )


def _key(item: tuple[_Key, object]) -> _Key:
    return item[0]


def _of_types(postings: dict[str | None, _Postings], entity_type: str | None) -> _Postings:
    """Those of the type or of any type; of all types when the type is open."""
    found: _Postings = {}
    if entity_type is None:
        for some in postings.values():
            found |= some
        return found
    for name in (entity_type, None):
        found |= postings.get(name, {})
    return found


def _covers(selector: EntitySelector, entity_id: str, entity_type: str | None) -> bool:
    if entity_type is not None:
        return selector.matches(entity_id, entity_type)
    has_any_type = selector.type is None and (
        selector.type_pattern is None or selector.type_pattern.matches_everything
    )
    return has_any_type and selector.matches(entity_id, "")


def _may_meet(asked: EntitySelector, registered: EntitySelector) -> bool:
    """Whether some entity can be meant by both; two patterns are taken to meet."""
    if asked.id is not None:
        if registered.id is not None:
            if registered.id != asked.id:
                return False
        elif registered.id_pattern is not None and not registered.id_pattern.search(asked.id):
            return False
    elif (
        registered.id is not None
        and asked.id_pattern is not None
        and not asked.id_pattern.search(registered.id)
    ):
        return False
    if asked.type is not None:
        if registered.type is not None:
            return registered.type == asked.type
        return registered.type_pattern is None or registered.type_pattern.search(asked.type)
    if asked.type_pattern is not None and registered.type is not None:
        return asked.type_pattern.search(registered.type)
    return True
