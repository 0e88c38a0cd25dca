"""What an update makes of attributes (Orion API, "Metadata update semantics")."""

from __future__ import annotations

import pytest

from broker.update import UpdateOptions, compute_change, equal_values
from ngsi.errors import BadRequest
from ngsi.model import Attribute, AttributeUpdate, UpdateAction

BEFORE, NOW = 100.0, 200.0
UNIT = {"unit": {"type": "Text", "value": "celsius"}}
AVERAGE = {"avg": {"type": "Number", "value": 25}}
PLAIN = UpdateOptions()


def stored() -> dict[str, Attribute]:
    return {
        "temperature": Attribute("Number", 20, UNIT, BEFORE, BEFORE),
        "name": Attribute("Text", "kitchen", {}, BEFORE, BEFORE),
    }


def test_update_changes_value_and_keeps_metadata_and_creation() -> None:
    update = {"temperature": AttributeUpdate("Number", 21, None)}
    change = compute_change(stored(), update, UpdateAction.UPDATE, PLAIN, NOW)
    attribute = change.attributes["temperature"]
    assert (attribute.value, attribute.metadata) == (21, UNIT)
    assert (attribute.created, attribute.modified) == (BEFORE, NOW)
    assert change.changed_values == {"temperature"}
    assert change.changed_metadata == set()
    assert change.previous["temperature"].value == 20


def test_same_value_touches_nothing() -> None:
    current = stored()
    update = {"temperature": AttributeUpdate("Number", 20, None)}
    change = compute_change(current, update, UpdateAction.UPDATE, PLAIN, NOW)
    assert not change.is_change
    assert not change.touched
    assert change.attributes["temperature"] is current["temperature"]
    assert change.updated == {"temperature"}


def test_forced_update_counts_as_change() -> None:
    update = {"temperature": AttributeUpdate("Number", 20, None)}
    change = compute_change(stored(), update, UpdateAction.UPDATE, UpdateOptions(forced=True), NOW)
    assert change.changed_values == {"temperature"}
    assert change.attributes["temperature"].modified == NOW


@pytest.mark.parametrize(
    ("given", "override", "expected"),
    [
        (None, False, UNIT),
        (AVERAGE, False, {**UNIT, **AVERAGE}),
        ({}, False, {}),
        (None, True, {}),
        (AVERAGE, True, AVERAGE),
    ],
)
def test_metadata(given: dict | None, override: bool, expected: dict) -> None:  # type: ignore[type-arg]
    update = {"temperature": AttributeUpdate("Number", 20, given)}
    options = UpdateOptions(override_metadata=override)
    change = compute_change(stored(), update, UpdateAction.UPDATE, options, NOW)
    assert change.attributes["temperature"].metadata == expected
    assert change.changed_metadata == (set() if expected == UNIT else {"temperature"})
    assert change.changed_values == set()


def test_update_leaves_out_what_does_not_exist() -> None:
    update = {
        "temperature": AttributeUpdate("Number", 21, None),
        "pressure": AttributeUpdate("Number", 700, None),
    }
    change = compute_change(stored(), update, UpdateAction.UPDATE, PLAIN, NOW)
    assert change.missing == ["pressure"]
    assert "pressure" not in change.attributes
    assert change.updated == {"temperature"}


def test_append_strict_leaves_out_what_exists() -> None:
    update = {
        "temperature": AttributeUpdate("Number", 21, None),
        "pressure": AttributeUpdate("Number", 700, None),
    }
    change = compute_change(stored(), update, UpdateAction.APPEND_STRICT, PLAIN, NOW)
    assert change.existing == ["temperature"]
    assert change.missing == []
    assert change.attributes["temperature"].value == 20
    assert change.actions == {"pressure": "append"}


def test_replace_leaves_exactly_the_given_attributes() -> None:
    update = {"pressure": AttributeUpdate("Number", 700, None)}
    change = compute_change(stored(), update, UpdateAction.REPLACE, PLAIN, NOW)
    assert set(change.attributes) == {"pressure"}
    assert set(change.removed) == {"temperature", "name"}
    assert change.attributes["pressure"].created == NOW


def test_delete_removes_and_reports() -> None:
    update = {name: AttributeUpdate(None, None, None) for name in ("name", "pressure")}
    change = compute_change(stored(), update, UpdateAction.DELETE, PLAIN, NOW)
    assert set(change.attributes) == {"temperature"}
    assert change.missing == ["pressure"]
    assert change.changed_values == {"name"}


def test_value_alone_keeps_type_and_metadata() -> None:
    update = {"temperature": AttributeUpdate(None, "warm", None, only_value=True)}
    change = compute_change(
        stored(), update, UpdateAction.UPDATE, UpdateOptions(override_metadata=True), NOW
    )
    attribute = change.attributes["temperature"]
    assert (attribute.type, attribute.value, attribute.metadata) == ("Number", "warm", UNIT)


def test_value_alone_of_a_date_must_be_a_date() -> None:
    current = {"at": Attribute("DateTime", "2024-01-01T00:00:00.000Z", {}, BEFORE, BEFORE)}
    good = {"at": AttributeUpdate(None, "2025-02-03", None, only_value=True)}
    change = compute_change(current, good, UpdateAction.UPDATE, PLAIN, NOW)
    assert change.attributes["at"].value == "2025-02-03T00:00:00.000Z"
    bad = {"at": AttributeUpdate(None, "tomorrow", None, only_value=True)}
    with pytest.raises(BadRequest, match="date has invalid format"):
        compute_change(current, bad, UpdateAction.UPDATE, PLAIN, NOW)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1, True),
        (1, True, False),
        ([1], [True], False),
        ({"a": {"b": [0]}}, {"a": {"b": [False]}}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ("1", 1, False),
        (None, False, False),
        ([], {}, False),
    ],
)
def test_equality_of_json_values(a: object, b: object, equal: bool) -> None:
    assert equal_values(a, b) is equal
