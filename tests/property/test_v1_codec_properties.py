"""The codec of NGSIv1: plain elements as the definition has them, and no error but NgsiError.

`decode_update` and `render_update_answer` are the definitions of `decode_plain_update` and
`encode_plain_answer`.
"""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from ngsi.errors import NgsiError
from ngsi.model import EntityUpdate
from ngsi.v1.queries import decode_query
from ngsi.v1.status import STATUS_OK
from ngsi.v1.updates import (
    ElementStatus,
    decode_attribute_body,
    decode_element_body,
    decode_plain_update,
    decode_update,
    encode_plain_answer,
    render_update_answer,
)

TEXTS = st.sampled_from(
    ["", "a", "T", "23", "true", "x=1", "a;b", "é", "Ω𝄞", "a" * 256, "a" * 257, "false", '\\"\n']
)
SCALARS = TEXTS | st.sampled_from([None, True, False, 0, -1, 10**15, 1.5, -2e300])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
FIELDS = st.sampled_from(
    [
        "id",
        "type",
        "isPattern",
        "attributes",
        "name",
        "value",
        "metadatas",
        "entities",
        "scopes",
        "contextElements",
        "updateAction",
        "restriction",
        "circle",
        "polygon",
        "other",
    ]
)
ATTRIBUTES = st.fixed_dictionaries(
    {"name": TEXTS}, optional={"type": TEXTS, "value": VALUES, "metadatas": VALUES}
)
ELEMENTS = st.fixed_dictionaries(
    {"id": TEXTS},
    optional={
        "type": TEXTS,
        "isPattern": st.sampled_from(["false", "true", "", "x", False]),
        "attributes": st.lists(ATTRIBUTES, max_size=3),
    },
)
UPDATES = st.fixed_dictionaries(
    {
        "contextElements": st.lists(ELEMENTS, max_size=3),
        "updateAction": st.sampled_from(["APPEND", "update", "DELETE", "", "Other"]),
    }
)
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)


def facts(update: EntityUpdate) -> Any:
    """An update as plain values, to compare."""
    attributes = {
        name: (attribute.type, attribute.value, attribute.metadata)
        for name, attribute in update.attributes.items()
    }
    return update.id, update.type, attributes


@given(UPDATES)
@example({"contextElements": [{"id": "E", "attributes": [{"name": "A", "type": "T"}]}]})
def test_plain_elements_are_decoded_as_all(document: dict[str, Any]) -> None:
    body = orjson.dumps(document)
    plain = decode_plain_update(body)
    if plain is None:
        return
    action, elements = decode_update(body)
    assert plain[0] is action
    assert [facts(update) for update in plain[1]] == [facts(item.update) for item in elements]
    assert not any(element.is_pattern or element.repeated for element in elements)


@given(UPDATES)
def test_the_answer_to_plain_elements_is_that_to_all(document: dict[str, Any]) -> None:
    plain = decode_plain_update(orjson.dumps(document))
    if plain is None:
        return
    outcomes = [ElementStatus(update, STATUS_OK) for update in plain[1]]
    assert encode_plain_answer(plain[1]) == orjson.dumps(render_update_answer(outcomes, False))


@given(DOCUMENTS)
def test_whatever_the_document_only_ngsi_errors_are_raised(document: Any) -> None:
    body = orjson.dumps(document)
    for decode in (decode_update, decode_query, decode_element_body, decode_attribute_body):
        try:
            decode(body)
        except NgsiError:
            continue


@given(st.binary(max_size=40))
def test_whatever_the_bytes_only_ngsi_errors_are_raised(body: bytes) -> None:
    for decode in (decode_update, decode_query, decode_element_body, decode_attribute_body):
        try:
            decode(body)
        except NgsiError:
            continue
