"""The text of an entity by the native encoder against its document by orjson."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from ngsi.model import (
    NO_METADATA,
    AlterationType,
    Attribute,
    Entity,
    EntityEvent,
)
from ngsi.v2.render import Representation, View, encode_entity, has_plain_text, render_entity

texts = st.text(st.sampled_from('ab"\\/\n\t\0\x1f\x7fé☃𝄞'), max_size=6)
numbers = (
    st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1e15, 1e16, 1e17, 1.5e-5, 1e-5, 1e-6, 20.5, 5e-324, 1e300])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
features = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Feature", "FeatureCollection", "Point", 1]),
        "geometry": values,
        "features": st.lists(st.fixed_dictionaries({"geometry": values}), max_size=2),
    }
)
metadata = st.just(NO_METADATA) | st.dictionaries(
    texts | st.sampled_from(["ignoreType", "unit"]),
    st.fixed_dictionaries({"type": texts, "value": st.just(True) | values}),
    max_size=2,
)
attributes = st.builds(
    lambda kind, value, about: Attribute(kind, value, about, 1.5, 2.5),
    texts | st.sampled_from(["geo:json", "Number"]),
    values | features,
    metadata,
)
names = st.sampled_from(
    ["a", "b", "é", "id", "type", "dateExpires", "dateCreated", "dateModified", "servicePath"]
)
wanted = st.lists(names | st.sampled_from(["*", "alterationType"]), max_size=4).map(tuple)


def outcome(render: Any, *arguments: Any) -> bytes | None:
    """The text, None where JSON cannot say it."""
    try:
        text: bytes = render(*arguments)
    except (TypeError, ValueError, OverflowError):
        return None
    return text


@given(
    st.dictionaries(names, attributes, max_size=4),
    st.sampled_from(list(Representation)),
    wanted,
    st.frozensets(names, max_size=2),
    st.sampled_from([(), ("dateModified",), ("*", "previousValue")]),
    st.booleans(),
    texts,
    st.sampled_from([0.0, 1_700_000_000.25]),
)
@example({}, Representation.NORMALIZED, (), frozenset(), (), False, "\ud800", 1.0)
@example({}, Representation.KEY_VALUES, ("dateCreated",), frozenset(), (), True, "Room", 0.0)
def test_the_text_is_that_of_the_document(
    own: dict[str, Attribute],
    representation: Representation,
    wanted: tuple[str, ...],
    excluded: frozenset[str],
    about: tuple[str, ...],
    is_notified: bool,
    text: str,
    created: float,
) -> None:
    entity = Entity(text, f"T{text}", "/city", own, created, created + 1, 1)
    event = None
    if is_notified:
        shown = frozenset(own)
        event = EntityEvent(
            entity, dict(own), AlterationType.CHANGE, shown, shown, frozenset(), dict(own), {}
        )
    view = View(representation, wanted, about, excluded)
    expected = outcome(lambda: orjson.dumps(render_entity(entity, view, event)))
    assert outcome(encode_entity, entity, view, event) == expected


def test_what_the_native_encoder_shows() -> None:
    assert has_plain_text(View())
    assert has_plain_text(View(Representation.KEY_VALUES, ("a", "b"), ("unit",)))
    assert not has_plain_text(View(Representation.NORMALIZED, (), ("unit",)))
    assert not has_plain_text(View(Representation.VALUES))
    assert not has_plain_text(View(Representation.NORMALIZED, ("a", "a")))
    assert not has_plain_text(View(Representation.NORMALIZED, ("a", "*")))
