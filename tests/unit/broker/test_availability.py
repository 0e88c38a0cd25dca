"""Which registrations answer a question, and who is told of a registration.

Source: FI-WARE NGSI-9; Orion 3.4, discoverContextAvailability.
"""

from __future__ import annotations

import pytest

from broker.availability import AvailabilitySubscribers, discover
from broker.providers import ProviderIndex
from ngsi.availability import AvailabilityQuery, AvailabilitySubscription, meets
from ngsi.model import EntitySelector
from ngsi.patterns import compile_pattern
from ngsi.registration import ContextProvider, ContextRegistration, Registration
from ngsi.service_path import ServicePathScope

NOW = 1_000.0
EVERYWHERE = ServicePathScope()
ANY = EntitySelector(id_pattern=compile_pattern(".*"))


def one(entity_id: str, entity_type: str | None = None) -> EntitySelector:
    return EntitySelector(entity_id, None, entity_type)


def some(pattern: str, entity_type: str | None = None) -> EntitySelector:
    return EntitySelector(None, compile_pattern(pattern), entity_type)


def part(*entities: EntitySelector, attributes: tuple[str, ...] = ()) -> ContextRegistration:
    provider = ContextProvider("http://p")
    return ContextRegistration(entities, dict.fromkeys(attributes, ""), provider)


def registration(
    number: int,
    *parts: ContextRegistration,
    service_path: str = "/",
    expires: float | None = None,
    status: str = "active",
) -> Registration:
    return Registration(f"{number:024x}", service_path, parts, "", expires, status)


class TestMeeting:
    @pytest.mark.parametrize(
        ("asked", "registered", "is_met"),
        [
            (one("E"), one("E", "T"), True),
            (one("E", "T"), one("E", "T"), True),
            (one("E", "T"), one("E", "U"), False),
            (one("E", "T"), one("E"), False),  # as Orion: the type is not known to be T
            (one("E", ""), one("E"), True),
            (one("E", ""), one("E", "T"), False),
            (one("E"), one("F"), False),
            (some("^E"), one("E1"), True),
            (some("^E"), one("F1"), False),
            (one("E1"), some("^E"), True),
            (one("F1"), some("^E"), False),
            (some("^F"), some("^E"), True),  # nobody knows
            (one("E"), EntitySelector(type="T"), True),
            (one("E", "T"), EntitySelector(type="T"), True),
            (one("E", "U"), EntitySelector(type="T"), False),
            (one("E", "Tx"), EntitySelector("E", type_pattern=compile_pattern("^T")), True),
            (one("E", "Ux"), EntitySelector("E", type_pattern=compile_pattern("^T")), False),
            (EntitySelector("E", type_pattern=compile_pattern(".+")), one("E", "T"), True),
            (EntitySelector("E", type_pattern=compile_pattern(".+")), one("E"), False),
        ],
    )
    def test_selectors(
        self, asked: EntitySelector, registered: EntitySelector, is_met: bool
    ) -> None:
        assert meets(asked, registered) is is_met


class TestNarrowing:
    def test_entities_attributes_and_parts(self) -> None:
        made = registration(
            1, part(one("E1"), one("E2"), attributes=("A", "B")), part(one("E1")), part(one("E3"))
        )
        (narrowed,) = AvailabilityQuery((one("E1"),), ("B", "C")).narrow(made)
        assert narrowed.entities == (one("E1"),)
        assert narrowed.attributes == {"B": ""}
        both = AvailabilityQuery((one("E1"),)).narrow(made)
        assert [item.attributes for item in both] == [{"A": "", "B": ""}, {}]
        assert AvailabilityQuery((one("E9"),)).narrow(made) == ()


def test_discovery_leaves_out_what_is_not_available() -> None:
    index = ProviderIndex()
    for made in (
        registration(2, part(one("E"))),
        registration(1, part(ANY)),
        registration(3, part(one("E")), service_path="/a"),
        registration(4, part(one("E")), expires=NOW),
        registration(5, part(one("E")), status="inactive"),
    ):
        index.put(made)
    query = AvailabilityQuery((one("E"),))

    def ids(scope: ServicePathScope) -> list[int]:
        found = discover(index.selectors, query, scope, NOW)
        return [int(available.registration.id, 16) for available in found]

    assert ids(EVERYWHERE) == [1, 2, 3]
    assert ids(ServicePathScope(("/a",))) == [3]


def test_subscribers() -> None:
    def subscription(number: int, *selectors: EntitySelector) -> AvailabilitySubscription:
        query = AvailabilityQuery(selectors)
        return AvailabilitySubscription(str(number), EVERYWHERE, query, "http://r")

    subscribers = AvailabilitySubscribers()
    by_id = subscription(1, one("E", "T"), one("E2"))
    by_pattern = subscription(2, some("^E"))
    by_type = subscription(3, EntitySelector(type="T"))
    ended = subscription(4, ANY)
    ended.expires = NOW
    elsewhere = subscription(5, ANY)
    elsewhere.scope = ServicePathScope(("/a/#",))
    for item in (by_id, by_pattern, by_type, ended, elsewhere):
        subscribers.put(item)
    made = registration(1, part(one("E", "T"), one("F", "U")))
    concerned = subscribers.concerned(made, NOW)
    assert list(concerned) == [by_id, by_pattern, by_type]
    assert [item.entities for item in concerned[by_type].parts] == [(one("E", "T"),)]
    assert list(subscribers.concerned(registration(2, part(one("F", "U"))), NOW)) == []
    subscribers.put(subscription(2, one("G")))
    subscribers.remove("3")
    assert list(subscribers.concerned(made, NOW)) == [by_id]
    assert len(subscribers) == 4
