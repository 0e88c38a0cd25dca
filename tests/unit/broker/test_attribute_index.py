"""What an index of an attribute gives for a statement, and in which order it is walked."""

from __future__ import annotations

from typing import Any

import pytest

from broker.attribute_index import (
    ENTRY_BYTES,
    MAX_ELEMENTS,
    MAX_TEXT_LENGTH,
    AttributeIndex,
    calls_for_index,
    is_served,
)
from ngsi.model import Attribute, Entity
from ngsi.query import Statement, parse_query

DAY = "2020-01-01T00:00:00.000Z"  # 1577836800 s


def statement(text: str) -> Statement:
    """The statement of a query."""
    [only] = parse_query(text, "q").statements
    return only


def entity(sequence: int, value: Any, type_: str = "T") -> Entity:
    """An entity with the attribute v."""
    return Entity(
        f"E{sequence}", "A", "/", {"v": Attribute(type_, value, {}, 0, 0)}, 0, 0, sequence
    )


def index_of(*values: Any, type_: str = "T") -> AttributeIndex:
    """A whole index of entities with these values, sequence numbers from 0."""
    index = AttributeIndex("v")
    index.finish()
    for sequence, value in enumerate(values):
        index.insert(entity(sequence, value, type_))
    return index


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v<2", [0, 1]),
        ("v<=2", [0, 1, 2]),
        ("v>1.5", [2]),
        ("v>=1.5", [1, 2]),
        ("v==1..2", [0, 1, 2]),
        ("v==2,1", [0, 2]),
        ("v=='1'", [3]),
        ("v>'1'", [4]),
        ("v==b,null", [4, 5]),
        ("v==true", [6]),
        ("v==false", []),
        ("v==null", [5]),
        ("v>2019-01-01", []),
        ("v", [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_values_of_each_kind(text: str, expected: list[int]) -> None:
    index = index_of(1, 1.5, 2, "1", "b", None, True, {"x": 1})
    assert index.find(statement(text)) == expected
    assert index.count(statement(text)) == len(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(f"v=={DAY}", [0]), ("v>2020-01-01", [1]), ("v<=1577836800", [0]), (f"v=='{DAY}'", [])],
)
def test_dates_are_found_as_dates_and_as_numbers(text: str, expected: list[int]) -> None:
    index = index_of(DAY, "2020-01-02T00:00:00.000Z", type_="DateTime")
    assert index.find(statement(text)) == expected


def test_an_array_is_found_by_each_element_and_once() -> None:
    index = index_of([1, "a", 1, 3, [7], {"x": 7}], [])
    assert len(index) == 4
    assert index.find(statement("v>0")) == [0]
    assert index.find(statement("v==a")) == [0]
    assert index.find(statement("v==7")) == []
    assert index.find(statement("v")) == [0, 1]


def test_what_it_cannot_tell_is_found_always() -> None:
    index = index_of([5] * (MAX_ELEMENTS + 1), "x" * (MAX_TEXT_LENGTH + 1), 1)
    assert len(index) == 3
    assert index.find(statement("v==2")) == [0, 1]
    assert index_of("soon", type_="DateTime").find(statement("v>2020-01-01")) == [0]


@pytest.mark.parametrize(
    "text", ["v!=1", "!v", "v~=a", "v.x==1", "dateCreated>1", "dateExpires>1", "servicePath==a"]
)
def test_statements_that_are_not_for_an_index(text: str) -> None:
    assert not is_served(statement(text))
    assert not calls_for_index(statement(text))
    assert index_of(1).count(statement(text)) is None


def test_existence_is_answered_but_is_no_reason_for_an_index() -> None:
    assert is_served(statement("v"))
    assert not calls_for_index(statement("v"))
    assert calls_for_index(statement("v>1"))


def test_changes_are_followed() -> None:
    index = AttributeIndex("v")
    index.finish()
    changing = entity(0, 1)
    index.insert(changing)
    index.replace(changing, Attribute("T", [2, 3], {}, 0, 0))
    changing.attributes["v"] = Attribute("T", [2, 3], {}, 0, 0)
    index.check([changing])
    assert index.size_bytes == 2 * ENTRY_BYTES
    assert not index.is_ordered
    index.replace(changing, None)
    del changing.attributes["v"]
    index.check([changing])
    assert len(index) == 0
    assert index.is_ordered


def test_changes_behind_what_is_built_wait() -> None:
    index = AttributeIndex("v")
    first, second = entity(0, 1), entity(1, 1)
    index.insert(first)
    index.covered = first.sequence
    index.replace(second, Attribute("T", 5, {}, 0, 0))
    index.remove(second)
    index.check([first, second])


def test_order_is_that_of_order_by() -> None:
    index = index_of("b", True, 2, None, "a", 1, False)
    assert index.is_ordered
    assert [sequence for _, sequence in index.walk(False, True)] == [3, 5, 2, 4, 0, 6, 1]
    assert [sequence for _, sequence in index.walk(True, False)] == [1, 6, 0, 4, 2, 5]
    assert index.count_entities(None) == index.count_entities(["A", "B"]) == 7
    assert index.count_entities(["B"]) == 0


def test_texts_and_dates_together_are_not_in_order() -> None:
    index = index_of("a")
    index.insert(entity(1, DAY, "DateTime"))
    assert not index.is_ordered
