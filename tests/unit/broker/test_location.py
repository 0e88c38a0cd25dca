"""Locations of entities as a journal gives them back, under both rules."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from broker import records
from broker.location import MAX_LOCATIONS, LocationRule
from broker.update import PLAIN_UPDATE, compute_change
from ngsi.errors import BadRequest
from ngsi.geometry import Point
from ngsi.model import Attribute, Entity, UpdateAction

POINT = {"type": "Point", "coordinates": [1, 2]}
FAR_POINT = {"type": "Point", "coordinates": [3, 4]}
WRONG = {"type": "Point", "coordinates": ["here"]}


def stored(names: Any, **values: Any) -> Entity:
    """The entity of a document whose "l" is `names`, with attributes of type geo:json."""
    attributes = {name: ["geo:json", value, {}, 1.0, 1.0] for name, value in values.items()}
    document = {"s": 0, "c": 1.0, "m": 1.0, "l": names, "a": attributes}
    if names is None:
        del document["l"]
    return records.decode_entity(["/", "E", "T"], orjson.dumps(document))


def restored(entity: Entity, several: bool) -> dict[str, Any]:
    return LocationRule(several).locate_restored(entity)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    ("names", "values", "locations"),
    [
        (None, {}, {}),
        ("a", {"a": POINT}, {"a": Point(1, 2)}),
        (["a", "b"], {"a": POINT, "b": FAR_POINT}, {"a": Point(1, 2), "b": Point(3, 4)}),
    ],
)
def test_those_that_the_document_names(
    several: bool, names: Any, values: dict[str, Any], locations: dict[str, Any]
) -> None:
    assert restored(stored(names, **values), several) == locations


def test_others_count_under_the_rule_of_several() -> None:
    entity = stored("b", a=POINT, b=FAR_POINT, nothing=None)
    assert restored(entity, several=False) == {"b": Point(3, 4)}
    assert restored(entity, several=True) == {"a": Point(1, 2), "b": Point(3, 4)}


def test_a_value_that_was_never_looked_at_keeps_nobody_from_starting() -> None:
    entity = stored("b", a=WRONG, b=FAR_POINT)
    assert restored(entity, several=True) == {"b": Point(3, 4)}


def test_a_location_that_the_document_names_must_be_one() -> None:
    for several in (False, True):
        with pytest.raises(BadRequest):
            restored(stored("a", a=WRONG), several)
        with pytest.raises(KeyError):
            restored(stored(["a", "b"], a=POINT), several)


def test_no_more_than_an_entity_may_have() -> None:
    values = {f"g{number}": POINT for number in range(MAX_LOCATIONS + 5)}
    last = f"g{MAX_LOCATIONS + 4}"
    found = restored(stored(last, **values), several=True)
    assert len(found) == MAX_LOCATIONS
    assert last in found


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b"]])
def test_documents_say_what_they_are_read_for(names: list[str]) -> None:
    attributes = {name: Attribute("geo:json", POINT, {}, 1.0, 1.0) for name in names}
    entity = Entity("E", "T", "/", attributes, 1.0, 1.0, 0)
    document = records.encode_entity(entity, attributes, names, 1.0)
    assert list(records.decode_entity(["/", "E", "T"], document).locations) == names
    # As every version before wrote them: a name, or null.
    written = orjson.loads(document)["l"]
    assert written == {0: None, 1: "a"}.get(len(names), names)
    change = compute_change(attributes, {}, UpdateAction.UPDATE, PLAIN_UPDATE, 1.0)
    patch = orjson.loads(records.encode_change(change, names, 1.0))
    assert patch["l"] == written
