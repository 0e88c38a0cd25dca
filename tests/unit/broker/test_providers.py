"""Which registrations answer for what.

Source: Orion's manual "Context Providers"; Orion API, section "Registration Operations".
"""

from __future__ import annotations

import pytest

from broker.providers import Offer, ProviderIndex, choose_provider
from ngsi.model import EntitySelector
from ngsi.patterns import compile_pattern
from ngsi.registration import (
    ContextProvider,
    ContextRegistration,
    ForwardingMode,
    Provision,
    Registration,
)
from ngsi.service_path import ServicePathScope

NOW = 1_000.0
EVERYWHERE = ServicePathScope()


def by_id(entity_id: str, entity_type: str | None = None) -> EntitySelector:
    return EntitySelector(id=entity_id, type=entity_type)


def by_pattern(pattern: str, entity_type: str | None = None) -> EntitySelector:
    return EntitySelector(id_pattern=compile_pattern(pattern), type=entity_type)


def registration(
    number: int,
    *entities: EntitySelector,
    attributes: tuple[str, ...] = (),
    mode: ForwardingMode = ForwardingMode.ALL,
    service_path: str = "/",
    expires: float | None = None,
    status: str = "active",
) -> Registration:
    provider = ContextProvider(f"http://provider{number}/v2", mode)
    part = ContextRegistration(entities, dict.fromkeys(attributes, ""), provider)
    made = Registration(f"{number:024x}", service_path, (part,))
    made.expires, made.status = expires, status
    return made


def index(*registrations: Registration) -> ProviderIndex:
    made = ProviderIndex()
    for item in registrations:
        made.put(item)
    return made


def for_entity(
    providers: ProviderIndex,
    entity_id: str,
    entity_type: str | None = None,
    scope: ServicePathScope = EVERYWHERE,
    mode: ForwardingMode = ForwardingMode.UPDATE,
) -> list[Registration]:
    found = providers.for_entity(entity_id, entity_type, scope, NOW, mode)
    return [provision.registration for provision in found]


def for_query(
    providers: ProviderIndex, *selectors: EntitySelector, scope: ServicePathScope = EVERYWHERE
) -> list[Offer]:
    return providers.for_query(selectors, scope, NOW)


class TestOneEntity:
    def test_by_id_and_type(self) -> None:
        found = registration(1, by_id("E1", "T1"))
        providers = index(
            found, registration(2, by_id("E1", "T2")), registration(3, by_id("E2", "T1"))
        )
        assert for_entity(providers, "E1", "T1") == [found]
        assert for_entity(providers, "E3", "T1") == []

    def test_any_type(self) -> None:
        providers = index(typed := registration(1, by_id("E1", "T1")))
        providers.put(untyped := registration(2, by_id("E1")))
        assert for_entity(providers, "E1", "T1") == [typed, untyped]
        assert for_entity(providers, "E1", "T2") == [untyped]
        # A request without a type says nothing of the type that a registration insists on.
        assert for_entity(providers, "E1", None) == [untyped]

    def test_patterns(self) -> None:
        providers = index(
            everything := registration(1, by_pattern(".*")),
            typed := registration(2, by_pattern(".*", "Room")),
            rooms := registration(3, by_pattern("^Room", "Room")),
        )
        assert for_entity(providers, "Room1", "Room") == [everything, typed, rooms]
        assert for_entity(providers, "Hall1", "Room") == [everything, typed]
        assert for_entity(providers, "Hall1", "Hall") == [everything]
        found = providers.for_entity(
            "Room1", "Room", EVERYWHERE, NOW, ForwardingMode.QUERY, with_patterns=False
        )
        assert found == []

    def test_type_pattern(self) -> None:
        selector = EntitySelector(
            id_pattern=compile_pattern(".*"), type_pattern=compile_pattern("Room$")
        )
        providers = index(found := registration(1, selector))
        assert for_entity(providers, "E1", "BathRoom") == [found]
        assert for_entity(providers, "E1", "Roommate") == []

    def test_several_selectors_of_one_registration(self) -> None:
        providers = index(found := registration(1, by_id("E1"), by_id("E2"), by_pattern(".*")))
        assert for_entity(providers, "E1", "T") == [found]

    @pytest.mark.parametrize(
        ("mode", "asked", "is_found"),
        [
            (ForwardingMode.ALL, ForwardingMode.QUERY, True),
            (ForwardingMode.ALL, ForwardingMode.UPDATE, True),
            (ForwardingMode.QUERY, ForwardingMode.QUERY, True),
            (ForwardingMode.QUERY, ForwardingMode.UPDATE, False),
            (ForwardingMode.UPDATE, ForwardingMode.QUERY, False),
            (ForwardingMode.UPDATE, ForwardingMode.UPDATE, True),
            (ForwardingMode.NONE, ForwardingMode.QUERY, False),
            (ForwardingMode.NONE, ForwardingMode.UPDATE, False),
        ],
    )
    def test_forwarding_modes(
        self, mode: ForwardingMode, asked: ForwardingMode, is_found: bool
    ) -> None:
        providers = index(registration(1, by_id("E1"), mode=mode))
        assert bool(for_entity(providers, "E1", "T", mode=asked)) is is_found

    def test_expired(self) -> None:
        providers = index(
            registration(1, by_id("E1"), expires=NOW),
            kept := registration(2, by_id("E1"), expires=NOW + 1),
        )
        assert for_entity(providers, "E1") == [kept]

    def test_inactive(self) -> None:
        assert for_entity(index(registration(1, by_id("E1"), status="inactive")), "E1") == []

    def test_service_paths(self) -> None:
        providers = index(
            root := registration(1, by_id("E1")),
            below := registration(2, by_id("E1"), service_path="/a/b"),
        )
        assert for_entity(providers, "E1", scope=ServicePathScope(("/",))) == [root]
        assert for_entity(providers, "E1", scope=ServicePathScope(("/a/#",))) == [below]
        assert for_entity(providers, "E1", scope=ServicePathScope(("/a",))) == []


class TestQuery:
    def test_all_entities(self) -> None:
        providers = index(
            one := registration(1, by_id("E1", "T1")), two := registration(2, by_pattern(".*"))
        )
        found = for_query(providers)
        assert [(offer.provision.registration, offer.asked) for offer in found] == [
            (one, ()),
            (two, ()),
        ]

    def test_by_id(self) -> None:
        providers = index(
            one := registration(1, by_id("E1", "T1")),
            two := registration(2, by_pattern(".*", "T2")),
            registration(3, by_id("E2", "T1")),
        )
        # Without a type those of any type may have it.
        assert [offer.provision.registration for offer in for_query(providers, by_id("E1"))] == [
            one,
            two,
        ]
        assert [
            offer.provision.registration for offer in for_query(providers, by_id("E1", "T1"))
        ] == [one]

    def test_by_type(self) -> None:
        providers = index(
            one := registration(1, by_id("E1", "T1")),
            registration(2, by_id("E2", "T2")),
            three := registration(3, by_id("E3")),
        )
        asked = EntitySelector(type="T1")
        assert [offer.provision.registration for offer in for_query(providers, asked)] == [
            one,
            three,
        ]

    def test_by_patterns(self) -> None:
        providers = index(
            one := registration(1, by_id("Room1", "T1")),
            registration(2, by_id("Hall1", "T1")),
            three := registration(3, by_pattern("1$", "T1")),
        )
        asked = by_pattern("^Room")
        assert [offer.provision.registration for offer in for_query(providers, asked)] == [
            one,
            three,
        ]

    def test_tells_the_selectors_that_meet(self) -> None:
        providers = index(registration(1, by_id("E1"), by_id("E2"), by_id("E3")))
        found = for_query(providers, by_id("E2"), by_id("E1"), by_id("E9"))
        assert [(offer.selector, offer.asked) for offer in found] == [
            (by_id("E1"), (by_id("E1"),)),
            (by_id("E2"), (by_id("E2"),)),
        ]


class TestChanges:
    def test_removed(self) -> None:
        providers = index(one := registration(1, by_id("E1"), by_pattern(".*", "T")))
        providers.remove(one.id)
        providers.remove(one.id)
        assert len(providers.selectors) == 0
        assert for_entity(providers, "E1", "T") == []
        assert for_query(providers) == []

    def test_replaced(self) -> None:
        providers = index(registration(1, by_id("E1")), other := registration(2, by_id("E2")))
        providers.put(changed := registration(1, by_id("E2")))
        assert for_entity(providers, "E1") == []
        assert for_entity(providers, "E2") == [changed, other]


def test_choice_of_a_provider() -> None:
    general, specific = registration(1, by_id("E")), registration(2, by_id("E"), attributes=("A",))
    later = registration(3, by_id("E"), attributes=("A", "B"))
    newest = registration(4, by_id("E"))
    everyone = [Provision(item, item.parts[0]) for item in (general, specific, later, newest)]
    assert choose_provider(everyone, "A") is everyone[1]
    assert choose_provider(everyone, "B") is everyone[2]
    assert choose_provider(everyone, "C") is everyone[3]
    assert choose_provider(everyone[1:3], "C") is None


def test_parts_of_a_registration_have_providers_of_their_own() -> None:
    one = ContextRegistration((by_id("E1"),), {"A": ""}, ContextProvider("http://one"))
    other = ContextRegistration((by_id("E1"), by_id("E2")), {"B": ""}, ContextProvider("http://o"))
    made = Registration(f"{1:024x}", "/", (one, other))
    found = index(made).for_entity("E1", "T", EVERYWHERE, NOW, ForwardingMode.UPDATE)
    assert [provision.part for provision in found] == [one, other]
    chosen = choose_provider(found, "B")
    assert chosen is not None
    assert chosen.part is other
    offers = for_query(index(made), by_id("E2"))
    assert [offer.provision.part for offer in offers] == [other]
