"""Request bodies of NGSIv1: text, unknown fields, and what is wrong in Orion's words."""

from __future__ import annotations

from typing import Any

import pytest

from ngsi.errors import BadRequest
from ngsi.v1.document import COMPOUND, SCOPE_VALUE, TEXT, as_text, load_document

FIELDS = {
    "name": TEXT,
    "value": COMPOUND,
    "scope": SCOPE_VALUE,
    "names": [TEXT],
    "entities": [{"id": TEXT, "attributes": [{"name": TEXT}]}],
    "restriction": {"scopes": [{"type": TEXT}]},
}


def refused(body: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        load_document(body, FIELDS)
    return caught.value.description


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b'"a"', "a"),
        (b"1.50", "1.50"),
        (b"-0", "-0"),
        (b"1e3", "1e3"),
        (b"12345678901234567890", "12345678901234567890"),
        (b"true", "true"),
        (b"null", "null"),
        (b"[]", ""),
        (b"{}", ""),
    ],
)
def test_scalars_are_text_as_written(written: bytes, read: str) -> None:
    assert load_document(b'{"name":%s}' % written, FIELDS) == {"name": read}


def test_compounds_are_made_of_text() -> None:
    body = b'{"value":{"a":[1.50,true,null,{"b":[]}],"c":"x"}}'
    expected = {"value": {"a": ["1.50", "true", "null", {"b": ""}], "c": "x"}}
    assert load_document(body, FIELDS) == expected


def test_a_scope_may_hold_what_is_forbidden_elsewhere() -> None:
    assert load_document(b'{"scope":"a==1"}', FIELDS) == {"scope": "a==1"}
    assert refused(b'{"name":"a=1"}') == "Illegal value for JSON field"
    assert refused(b'{"value":{"x":["a=1"]}}') == "Illegal value for JSON field"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"x":1}', "/x"),
        (b'{"entities":[{"x":1}]}', "/entities/entity/x"),
        (b'{"entities":[{"attributes":[{"x":1}]}]}', "/entities/entity/attributes/attribute/x"),
        (b'{"entities":{"id":"E"}}', "/entities/id"),
        (b'{"name":{"a":"b"}}', "/name/a"),
        (b'{"restriction":{"scopes":[{"x":1}]}}', "/restriction/scopes/scope/x"),
    ],
)
def test_unknown_fields_are_named(body: bytes, path: str) -> None:
    assert refused(body) == f"JSON Parse Error: unknown field: {path}"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a"', b'{"a":NaN}', b'{"name":"\xff"}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert refused(body) == "JSON Parse Error"


def test_depth_is_bounded() -> None:
    body = b'{"value":' + b"[" * 200 + b'"x"' + b"]" * 200 + b"}"
    assert "nesting" in refused(body)


@pytest.mark.parametrize(
    ("value", "text"),
    [(5, "5"), (2.5, "2.5"), (True, "true"), (None, "null"), ({"a": [1]}, {"a": ["1"]}), ([], "")],
)
def test_values_of_other_brokers_become_text(value: Any, text: Any) -> None:
    assert as_text(value) == text
