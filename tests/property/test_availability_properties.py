"""Availability against a look at everything; bodies of NGSI9 against anything."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.availability import AvailabilitySubscribers, discover
from broker.availability_records import decode_availability, encode_availability
from broker.providers import ProviderIndex
from broker.registration_records import decode_stored_registration, encode_registration
from ngsi.availability import AvailabilityQuery, AvailabilitySubscription, Spelling
from ngsi.errors import NgsiError
from ngsi.json_value import JsonValue
from ngsi.model import EntitySelector
from ngsi.patterns import compile_pattern
from ngsi.registration import ContextProvider, ContextRegistration, ForwardingMode, Registration
from ngsi.service_path import ServicePathScope
from ngsi.v1.availability import (
    decode_availability_end,
    decode_availability_subscription,
    decode_availability_update,
    decode_discovery,
    render_responses,
)
from ngsi.v1.registrations import decode_provider, decode_registration
from ngsi.v1.status import STATUS_OK

NOW = 100.0
patterns = st.sampled_from((".*", "^E", "1$", "^F1$")).map(compile_pattern)
ids = st.sampled_from(("E1", "E2", "F1"))
types = st.sampled_from(("T1", "T2"))
selectors = st.one_of(
    st.builds(EntitySelector, ids, st.none(), st.one_of(st.none(), types)),
    st.builds(EntitySelector, st.none(), patterns, st.one_of(st.none(), types)),
    st.builds(EntitySelector, st.none(), st.none(), types),
    st.builds(EntitySelector, ids, st.none(), st.none(), patterns),
)
asked_selectors = st.one_of(selectors, st.builds(EntitySelector, ids, st.none(), st.just("")))
parts = st.builds(
    ContextRegistration,
    st.lists(selectors, max_size=3).map(tuple),
    st.dictionaries(st.sampled_from("ABC"), st.sampled_from(("", "x")), max_size=3),
    st.builds(
        ContextProvider,
        st.sampled_from(("http://p", "none")),
        st.sampled_from(ForwardingMode),
        st.booleans(),
    ),
)
registrations = st.builds(
    Registration,
    st.integers(0, 5).map(lambda number: f"{number:024x}"),
    st.sampled_from(("/", "/a")),
    st.lists(parts, min_size=1, max_size=3).map(tuple),
    st.sampled_from(("", "words")),
    st.sampled_from((None, NOW - 1, NOW + 1)),
    st.sampled_from(("active", "inactive")),
)
queries = st.builds(
    AvailabilityQuery,
    st.lists(asked_selectors, max_size=3).map(tuple),
    st.lists(st.sampled_from("ABC"), max_size=2, unique=True).map(tuple),
)
scopes = st.sampled_from((ServicePathScope(), ServicePathScope(("/a/#",))))
subscriptions = st.builds(
    AvailabilitySubscription,
    st.integers(0, 5).map(lambda number: f"{number:024x}"),
    scopes,
    queries,
    st.just("http://r"),
    st.sampled_from((None, NOW - 1, NOW + 1)),
    st.sampled_from(Spelling),
)


def describe(found: tuple[ContextRegistration, ...]) -> list[tuple[object, ...]]:
    return [(part.entities, dict(part.attributes), part.provider) for part in found]


@given(st.lists(registrations, max_size=8), queries, scopes)
def test_discovery(
    given_registrations: list[Registration], query: AvailabilityQuery, scope: ServicePathScope
) -> None:
    index = ProviderIndex()
    for made in given_registrations:
        index.put(made)
    model = {made.id: made for made in given_registrations}
    expected = [
        (made.id, describe(query.narrow(made)))
        for _, made in sorted(model.items())
        if made.status == "active"
        and not made.is_expired(NOW)
        and scope.covers(made.service_path)
        and query.narrow(made)
    ]
    found = discover(index.selectors, query, scope, NOW)
    assert [(item.registration.id, describe(item.parts)) for item in found] == expected


@given(st.lists(st.one_of(subscriptions, st.integers(0, 5)), max_size=8), registrations)
def test_subscribers(steps: list[AvailabilitySubscription | int], made: Registration) -> None:
    subscribers = AvailabilitySubscribers()
    model: dict[str, AvailabilitySubscription] = {}
    for step in steps:
        if isinstance(step, AvailabilitySubscription):
            subscribers.put(step)
            model[step.id] = step
        elif model.pop(f"{step:024x}", None) is not None:
            subscribers.remove(f"{step:024x}")
    assert list(subscribers.concerned(made, NOW)) == [
        subscription
        for _, subscription in sorted(model.items())
        if not subscription.is_expired(NOW) and subscription.narrow(made)
    ]
    assert len(subscribers) == len(model)


@given(registrations)
def test_registrations_are_stored_as_they_are(made: Registration) -> None:
    made.forwarding.times_sent = 3
    stored = decode_stored_registration([made.id], encode_registration(made))
    assert describe(stored.parts) == describe(made.parts)
    assert (stored.service_path, stored.description) == (made.service_path, made.description)
    assert (stored.expires, stored.status) == (made.expires, made.status)
    assert stored.forwarding == made.forwarding


@given(subscriptions)
def test_subscriptions_are_stored_as_they_are(made: AvailabilitySubscription) -> None:
    stored = decode_availability([made.id], encode_availability(made))
    assert (stored.query, stored.scope, stored.reference) == (
        made.query,
        made.scope,
        made.reference,
    )
    assert (stored.expires, stored.spelling) == (made.expires, made.spelling)


names = st.sampled_from(
    (
        "contextRegistrations",
        "entities",
        "attributes",
        "id",
        "type",
        "isPattern",
        "idPattern",
        "name",
        "providingApplication",
        "duration",
        "registrationId",
        "subscriptionId",
        "reference",
        "restriction",
        "scopes",
        "value",
    )
)
anything: st.SearchStrategy[JsonValue] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.sampled_from(("", "E", "true", "(", "PT1H", "0" * 24, "http://r")),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)


@pytest.mark.parametrize("spelling", Spelling)
@given(anything)
def test_any_body_is_read_or_refused(spelling: Spelling, document: JsonValue) -> None:
    try:
        body = orjson.dumps(document)
    except TypeError:  # an integer of more than 64 bits
        return
    for decode in (
        decode_registration,
        decode_discovery,
        decode_availability_subscription,
        decode_availability_update,
        decode_availability_end,
    ):
        try:
            decode(body, spelling)
        except NgsiError:
            continue
    try:
        request = decode_registration(body, spelling)
    except NgsiError:
        pass
    else:
        orjson.dumps(render_responses(request.parts, spelling, STATUS_OK))
    try:
        decode_provider(body, "E", "", "A")
    except NgsiError:
        return


@given(registrations)
def test_what_is_shown_can_be_registered(made: Registration) -> None:
    """Registrations without patterns are the same after a way through Orion's spelling."""
    made.parts = tuple(
        part
        for part in made.parts
        if all(item.id is not None and item.type_pattern is None for item in part.entities)
    )
    shown = [
        response["contextRegistration"]
        for response in render_responses(made.parts, Spelling.ORION, None)
    ]
    if not shown:
        return
    request = decode_registration(orjson.dumps({"contextRegistrations": shown}))
    assert [(part.entities, part.attributes, part.provider.url) for part in request.parts] == [
        (part.entities, part.attributes, part.provider.url) for part in made.parts
    ]
