"""Metadata of attributes: what updates do to it, the builtin ones, and which are shown.

Source: Orion API, sections "Metadata update semantics", "Builtin Metadata", "Filtering out
attributes and metadata", "User attributes or metadata matching builtin name".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Reply

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

UNIT = {"type": "Text", "value": "celsius"}
AVERAGE = {"type": "Number", "value": 25.4}
NEW_AVERAGE = {"type": "Number", "value": 25.6}
ACCURACY = {"type": "Number", "value": 98.7}

Send: TypeAlias = "Callable[[Api, dict[str, Any], str], Reply]"


def batch(action: str) -> Send:
    """POST /v2/op/update of the attribute with that action."""

    def send(api: Api, attribute: dict[str, Any], options: str) -> Reply:
        document = {"actionType": action, "entities": [{"id": "E", "A": attribute}]}
        return api.post("/v2/op/update", document, **_given(options))

    return send


def _given(options: str) -> dict[str, str]:
    return {"options": options} if options else {}


def upsert(api: Api, attribute: dict[str, Any], options: str) -> Reply:
    """POST /v2/entities of the existing entity."""
    return api.post(
        "/v2/entities", {"id": "E", "A": attribute}, options=f"upsert,{options}".rstrip(",")
    )


UPDATES: dict[str, Send] = {
    "upsert": upsert,
    "POST attrs": lambda api, attribute, options: api.post(
        "/v2/entities/E/attrs", {"A": attribute}, **_given(options)
    ),
    "PATCH attrs": lambda api, attribute, options: api.patch(
        "/v2/entities/E/attrs", {"A": attribute}, **_given(options)
    ),
    "PUT attribute": lambda api, attribute, options: api.put(
        "/v2/entities/E/attrs/A", attribute, **_given(options)
    ),
    "batch append": batch("append"),
    "batch update": batch("update"),
}


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
class TestUpdates:
    @pytest.fixture(autouse=True)
    def _entity(self, api: Api) -> None:
        api.create({"id": "E", "A": {"value": 25, "metadata": {"unit": UNIT, "avg": AVERAGE}}})

    @pytest.mark.parametrize(
        ("given", "options", "expected"),
        [
            (
                {"metadata": {"avg": NEW_AVERAGE, "accuracy": ACCURACY}},
                "",
                {"unit": UNIT, "avg": NEW_AVERAGE, "accuracy": ACCURACY},
            ),
            ({}, "", {"unit": UNIT, "avg": AVERAGE}),
            ({"metadata": {}}, "", {}),
            (
                {"metadata": {"avg": {"value": None}}},
                "",
                {"unit": UNIT, "avg": {"type": "None", "value": None}},
            ),
            (
                {"metadata": {"avg": NEW_AVERAGE, "accuracy": ACCURACY}},
                "overrideMetadata",
                {"avg": NEW_AVERAGE, "accuracy": ACCURACY},
            ),
            ({}, "overrideMetadata", {}),
            ({"metadata": {}}, "overrideMetadata", {}),
        ],
        ids=[
            "sticky",
            "not given",
            "empty clears",
            "null is kept",
            "overridden",
            "not given overridden",
            "empty overridden",
        ],
    )
    def test_semantics(
        self,
        api: Api,
        update: Send,
        given: dict[str, Any],
        options: str,
        expected: dict[str, Any],
    ) -> None:
        assert update(api, {"value": 26, **given}, options).status == 204
        assert api.get("/v2/entities/E/attrs/A").json == {
            "type": "Number",
            "value": 26,
            "metadata": expected,
        }

    def test_metadata_alone_is_updated_with_the_same_value(self, api: Api, update: Send) -> None:
        assert update(api, {"value": 25, "metadata": {"accuracy": ACCURACY}}, "").status == 204
        assert api.get("/v2/entities/E/attrs/A").json == {
            "type": "Number",
            "value": 25,
            "metadata": {"unit": UNIT, "avg": AVERAGE, "accuracy": ACCURACY},
        }

    def test_other_attributes_keep_theirs(self, api: Api, update: Send) -> None:
        api.post("/v2/entities/E/attrs", {"B": {"value": 1, "metadata": {"unit": UNIT}}})
        assert update(api, {"value": 26}, "overrideMetadata").status == 204
        assert api.get("/v2/entities/E/attrs/B").json["metadata"] == {"unit": UNIT}


@pytest.mark.parametrize("operation", ["PATCH", "POST"])
def test_key_values_keep_metadata(api: Api, operation: str) -> None:
    api.create({"id": "E", "A": {"value": 25, "metadata": {"unit": UNIT}}})
    api.request(operation, "/v2/entities/E/attrs", {"A": "x"}, options="keyValues")
    assert api.get("/v2/entities/E/attrs/A").json == {
        "type": "Text",
        "value": "x",
        "metadata": {"unit": UNIT},
    }
    api.request(operation, "/v2/entities/E/attrs", {"A": 1}, options="keyValues,overrideMetadata")
    assert api.get("/v2/entities/E/attrs/A").json["metadata"] == {}


def test_values_of_all_kinds(api: Api) -> None:
    metadata: dict[str, dict[str, Any]] = {
        "md_int": {"type": "Number", "value": 1},
        "md_float:": {"type": "Number", "value": 2.01},
        "md_string": {"type": "Text", "value": "STRING"},
        "md_true": {"type": "Boolean", "value": True},
        "md_null": {"type": "None", "value": None},
        "md_object": {"type": "StructuredValue", "value": {"a": {"b": [None, "c"]}}},
        "md_array": {"type": "StructuredValue", "value": [1, {"x": []}]},
        "md_typed": {"type": "Own", "value": False},
        "a.b": {"type": "Text", "value": ""},
    }
    untyped = {name: {"value": member["value"]} for name, member in metadata.items()}
    untyped["md_typed"]["type"] = "Own"
    api.create({"id": "E", "A": {"value": 0, "metadata": untyped}})
    assert api.get("/v2/entities/E/attrs/A").json["metadata"] == metadata


class TestFilter:
    @pytest.fixture(autouse=True)
    def _entity(self, api: Api) -> None:
        api.create({"id": "E", "A": {"value": 1, "metadata": {"unit": UNIT, "avg": AVERAGE}}})

    @pytest.mark.parametrize(
        ("wanted", "names"),
        [
            ("unit", ["unit"]),
            ("avg,unit", ["avg", "unit"]),
            ("unit,unit", ["unit"]),
            ("nothing", []),
            ("*", ["unit", "avg"]),
            ("dateCreated", ["dateCreated"]),
            ("dateModified,dateCreated", ["dateModified", "dateCreated"]),
            ("unit,dateCreated", ["unit", "dateCreated"]),
            ("*,dateModified", ["unit", "avg", "dateModified"]),
            ("dateModified,*", ["unit", "avg", "dateModified"]),
            # Only notifications have these.
            ("previousValue", []),
            ("actionType,avg", ["avg"]),
        ],
    )
    def test_what_is_shown(self, api: Api, wanted: str, names: list[str]) -> None:
        for path in ("/v2/entities/E", "/v2/entities/E/attrs"):
            metadata = api.get(path, metadata=wanted).json["A"]["metadata"]
            assert sorted(metadata) == sorted(names)
        assert api.get("/v2/entities/E/attrs/A", metadata=wanted).json["metadata"] == metadata
        assert api.get("/v2/entities", metadata=wanted).json[0]["A"]["metadata"] == metadata
        query = {"entities": [{"id": "E"}], "metadata": wanted.split(",")}
        assert api.post("/v2/op/query", query).json[0]["A"]["metadata"] == metadata
        for name in ("dateCreated", "dateModified"):
            if name in names:
                assert metadata[name]["type"] == "DateTime"
                assert DATE.fullmatch(metadata[name]["value"])

    def test_builtins_are_not_shown_unasked(self, api: Api) -> None:
        assert api.get("/v2/entities/E").json["A"]["metadata"] == {"unit": UNIT, "avg": AVERAGE}


def dates(api: Api, name: str) -> tuple[str, str]:
    """When an attribute of the entity E was created and modified."""
    reply = api.get(f"/v2/entities/E/attrs/{name}", metadata="dateCreated,dateModified")
    metadata = reply.json["metadata"]
    return metadata["dateCreated"]["value"], metadata["dateModified"]["value"]


def test_dates_of_an_attribute(api: Api) -> None:
    api.create({"id": "E", "A": 0, "B": 0}, options="keyValues")
    created, modified = dates(api, "A")
    assert created == modified
    # The clock counts milliseconds, so it may take more than one update to see it go on.
    for value in range(1, 100):
        api.patch("/v2/entities/E/attrs", {"A": value, "B": 0}, options="keyValues")
        if dates(api, "A") != (created, modified):
            break
    assert dates(api, "A")[0] == created
    assert dates(api, "A")[1] > modified
    # B was in each of these requests but never changed.
    assert dates(api, "B") == (created, modified)


def test_metadata_named_like_a_builtin(api: Api) -> None:
    own = {"type": "Text", "value": "mine"}
    api.create({"id": "E", "A": {"value": 1, "metadata": {"dateModified": own}}})
    assert api.get("/v2/entities/E").json["A"]["metadata"] == {"dateModified": own}
    shown = api.get("/v2/entities/E", metadata="dateModified").json["A"]["metadata"]
    assert shown == {"dateModified": own}
    # Filters look at the builtin all the same.
    assert api.get("/v2/entities", mq="A.dateModified=='mine'").json == []
    assert len(api.get("/v2/entities", mq="A.dateModified>2020-01-01").json) == 1
