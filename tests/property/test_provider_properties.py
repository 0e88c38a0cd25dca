"""The index of registrations against a look at every registration."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.providers import ProviderIndex, is_available
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

NOW = 100.0
IDS = ("E1", "E2", "F1")
TYPES = ("T1", "T2", "U")

patterns = st.sampled_from((".*", "^E", "1$", "^F1$", "2")).map(compile_pattern)
type_patterns = st.sampled_from((".*", "^T", "^U$")).map(compile_pattern)


@st.composite
def selectors(draw: st.DrawFn) -> EntitySelector:
    id_side = draw(st.one_of(st.sampled_from(IDS), patterns))
    type_side = draw(st.one_of(st.none(), st.sampled_from(TYPES), type_patterns))
    return EntitySelector(
        id=id_side if isinstance(id_side, str) else None,
        id_pattern=None if isinstance(id_side, str) else id_side,
        type=type_side if isinstance(type_side, str) else None,
        type_pattern=None if type_side is None or isinstance(type_side, str) else type_side,
    )


@st.composite
def registrations(draw: st.DrawFn) -> Registration:
    parts = st.builds(
        ContextRegistration,
        st.lists(selectors(), max_size=3, unique=True).map(tuple),
        st.just({}),
        st.builds(ContextProvider, st.just("http://p"), st.sampled_from(ForwardingMode)),
    )
    made = Registration(
        f"{draw(st.integers(0, 9)):024x}",
        draw(st.sampled_from(("/", "/a", "/a/b"))),
        tuple(draw(st.lists(parts, min_size=1, max_size=2))),
    )
    made.expires = draw(st.sampled_from((None, NOW - 1, NOW + 1)))
    made.status = draw(st.sampled_from(("active", "active", "inactive")))
    return made


scopes = st.sampled_from(
    (ServicePathScope(), ServicePathScope(("/",)), ServicePathScope(("/a/#",)))
)
changes = st.lists(st.one_of(registrations(), st.integers(0, 9)), max_size=12)


def build(steps: list[Registration | int]) -> tuple[ProviderIndex, list[Provision]]:
    """The index after these additions and removals, and what it must hold."""
    providers = ProviderIndex()
    model: dict[str, Registration] = {}
    for step in steps:
        if isinstance(step, Registration):
            providers.put(step)
            model[step.id] = step
        else:
            providers.remove(f"{step:024x}")
            model.pop(f"{step:024x}", None)
    return providers, [
        Provision(item, part) for _, item in sorted(model.items()) for part in item.parts
    ]


@given(
    changes,
    st.sampled_from(IDS),
    st.sampled_from(TYPES),
    scopes,
    st.sampled_from((ForwardingMode.QUERY, ForwardingMode.UPDATE)),
)
def test_one_entity(
    steps: list[Registration | int],
    entity_id: str,
    entity_type: str,
    scope: ServicePathScope,
    mode: ForwardingMode,
) -> None:
    providers, model = build(steps)
    assert providers.for_entity(entity_id, entity_type, scope, NOW, mode) == [
        item
        for item in model
        if is_available(item, mode, scope, NOW)
        and any(selector.matches(entity_id, entity_type) for selector in item.part.entities)
    ]


@given(changes, st.lists(selectors(), max_size=3).map(tuple), scopes)
def test_query(
    steps: list[Registration | int], asked: tuple[EntitySelector, ...], scope: ServicePathScope
) -> None:
    """Every entity that is asked for and registered is offered, with who asked for it."""
    providers, model = build(steps)
    offers = providers.for_query(asked, scope, NOW)
    found = {(offer.provision, offer.selector): offer for offer in offers}
    assert len(found) == len(offers)
    ids = [offer.provision.registration.id for offer in offers]
    assert ids == sorted(ids)
    for offer in offers:
        assert is_available(offer.provision, ForwardingMode.QUERY, scope, NOW)
    for item in model:
        if not is_available(item, ForwardingMode.QUERY, scope, NOW):
            continue
        for selector in item.part.entities:
            offered = found.get((item, selector))
            for entity_id in IDS:
                for entity_type in TYPES:
                    if not selector.matches(entity_id, entity_type):
                        continue
                    who = [one for one in asked if one.matches(entity_id, entity_type)]
                    if who or not asked:
                        assert offered is not None
                        assert set(who) <= set(offered.asked)


@given(changes)
def test_nothing_is_left_behind(steps: list[Registration | int]) -> None:
    providers, model = build(steps)
    for item in model:
        providers.remove(item.registration.id)
    selectors = providers.selectors
    assert len(selectors) == 0
    assert not selectors._by_id
    assert not selectors._patterns_by_type
    assert not selectors._all_by_type
