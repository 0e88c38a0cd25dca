"""FogFlow's codec with any documents: it reads, or raises what a client may be told."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from ngsi.errors import NgsiError
from ngsi.model import NO_METADATA, Attribute
from ngsi.v1.fogflow.elements import decode_element, render_element
from ngsi.v1.fogflow.notifications import decode_notification
from ngsi.v1.fogflow.queries import decode_query
from ngsi.v1.fogflow.restrictions import decode_scopes
from ngsi.v1.fogflow.subscriptions import decode_subscription, decode_unsubscription
from ngsi.v1.fogflow.updates import decode_update

_FIELDS = st.sampled_from(
    [
        *("contextElements", "updateAction", "entityId", "id", "type", "isPattern", "idPattern"),
        *("attributes", "domainMetadata", "name", "value", "metadata", "metadatas", "location"),
        *("entities", "restriction", "scopes", "scopeType", "scopeValue", "reference", "vertices"),
        *("latitude", "longitude", "limit", "radius", "centerLatitude", "centerLongitude"),
        *("notifyConditions", "condValueList", "duration", "throttling", "contextResponses"),
        *("contextElement", "subscriptionId", "nw_Corner", "se_Corner", "FIWARE::Location"),
    ]
)
_WORDS = st.sampled_from(
    [
        *("UPDATE", "DELETE", "point", "circle", "polygon", "nearby", "stringQuery", "location"),
        *("city=H", "1,2", "http://h", "PT1S", "ONCHANGE", "simplegeolocation", "DateTime", ".*"),
        *("true", "FIWARE::StringQuery", "global"),
    ]
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-200, 200),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    _WORDS,
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(_FIELDS, inner, max_size=6)
    ),
    max_leaves=25,
)
_DOCUMENTS = st.dictionaries(_FIELDS, _JSON, max_size=6)
_DECODERS: tuple[Callable[[bytes], Any], ...] = (
    decode_update,
    decode_query,
    decode_notification,
    decode_subscription,
    decode_unsubscription,
)


@given(_JSON)
def test_any_body_is_read_or_refused(document: Any) -> None:
    body = orjson.dumps(document)
    for decode in _DECODERS:
        with contextlib.suppress(NgsiError):
            decode(body)


@given(_DOCUMENTS)
def test_any_scope_is_read_or_refused(scope: dict[str, Any]) -> None:
    with contextlib.suppress(NgsiError):
        decode_scopes({"scopes": [scope]})


_NAMES = st.text(
    st.characters(categories=["L", "N"], include_characters=".:-_ /"), min_size=1, max_size=9
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def _elements(draw: st.DrawFn) -> dict[str, Any]:
    """A context element as the broker shows it."""
    names = draw(st.lists(_NAMES.filter(lambda name: name != "location"), unique=True, max_size=5))
    attributes: list[dict[str, Any]] = []
    domain: list[dict[str, Any]] = []
    for name in names:
        member = {"name": name, "type": draw(_NAMES), "value": draw(_VALUES)}
        if draw(st.booleans()):
            domain.append(member)
        else:
            if draw(st.booleans()):
                metadata = {"name": draw(_NAMES), "type": draw(_NAMES), "value": draw(_VALUES)}
                if metadata["name"] != "isDomain":
                    member["metadata"] = [metadata]
            attributes.append(member)
    if draw(st.booleans()):
        place = {"latitude": draw(st.integers(-90, 90)), "longitude": draw(st.floats(-180, 180))}
        if place["longitude"] != int(place["longitude"]):
            domain.append({"name": "location", "type": "point", "value": place})
    element: dict[str, Any] = {
        "entityId": {"id": draw(_NAMES), "type": draw(_NAMES), "isPattern": False},
        "attributes": attributes,
    }
    if domain:
        element["domainMetadata"] = domain
    return element


@given(_elements())
def test_an_element_is_shown_as_it_was_given(element: dict[str, Any]) -> None:
    update = decode_element(orjson.loads(orjson.dumps(element))).update
    assert update.type is not None
    attributes = {
        name: Attribute(item.type or "", item.value, item.metadata or NO_METADATA, 0.0, 0.0)
        for name, item in update.attributes.items()
    }
    assert render_element(update.id, update.type, attributes) == element
