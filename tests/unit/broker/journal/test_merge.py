"""JSON Merge Patch: the examples of RFC 7386, appendix A, and what surrounds them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from broker.journal.merge import merge_patch


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_examples_of_the_standard(target: Any, patch: Any, result: Any) -> None:
    before = copy.deepcopy(patch)
    assert merge_patch(target, patch) == result
    assert patch == before


def test_a_missing_target_is_an_empty_object() -> None:
    assert merge_patch(None, {"a": {"b": None, "c": 1}}) == {"a": {"c": 1}}


def test_nulls_inside_an_array_stay() -> None:
    assert merge_patch({"a": 1}, {"a": [None, {"b": None}]}) == {"a": [None, {"b": None}]}


def test_members_keep_their_order() -> None:
    assert list(merge_patch({"a": 1, "b": 2}, {"c": 3, "a": 4})) == ["a", "b", "c"]


def test_a_patch_can_be_deeper_than_the_stack_of_calls() -> None:
    patch: dict[str, Any] = {"leaf": 1, "gone": None}
    for _ in range(5000):
        patch = {"a": patch}
    result = merge_patch({}, patch)
    for _ in range(5000):
        result = result["a"]
    assert result == {"leaf": 1}
