"""The native document of an entity against the definition of all documents."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from _native.entity_requests import encode_entity
from ngsi.model import NO_METADATA, Attribute, Entity
from ngsi.v2.render import Representation, View, render_entity

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
metadata = st.just(NO_METADATA) | st.dictionaries(
    texts, st.fixed_dictionaries({"type": texts, "value": values}), max_size=2
)
types = st.sampled_from(["Number", "Text", "geo:json", "geo:point", "DateTime", "π"])
names = st.sampled_from(["dateExpires", "location", "a"]) | texts
attributes = st.dictionaries(
    names,
    st.builds(Attribute, types, values, metadata, st.just(1.0), st.just(2.0)),
    max_size=4,
)


@given(id_=texts, type_=texts, attributes=attributes, key_values=st.booleans())
def test_documents(
    id_: str, type_: str, attributes: dict[str, Attribute], key_values: bool
) -> None:
    entity = Entity(id_, type_, "/", attributes, 1.0, 2.0, 0)
    text = encode_entity(entity, key_values)
    has_object = any(
        attribute.type == "geo:json" and type(attribute.value) is dict
        for attribute in attributes.values()
    )
    assert (text is None) is has_object
    if text is None:
        return
    representation = Representation.KEY_VALUES if key_values else Representation.NORMALIZED
    expected: Any = orjson.dumps(render_entity(entity, View(representation)))
    document = orjson.loads(text)
    assert document == orjson.loads(expected)
    assert list(document) == list(orjson.loads(expected))


def test_what_is_no_json_is_left_to_others() -> None:
    for value in ("\ud800", 1 << 70, {1: 2}, object()):
        attribute = Attribute("Text", value, NO_METADATA, 1.0, 2.0)
        entity = Entity("x", "y", "/", {"a": attribute}, 1.0, 2.0, 0)
        assert encode_entity(entity, True) is None
        assert encode_entity(entity, False) is None
