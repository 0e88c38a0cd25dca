"""How entities are shown: representations, the choice of attributes, builtin attributes.

Source: Orion API, sections "Simplified Entity Representation", "Filtering out attributes and
metadata", "Builtin Attributes"; Orion's cases for issues 0876, 1049, 1050, 2596 and 3311.
The choice of metadata: test_metadata.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
BAD_OPTIONS = (400, "BadRequest", "Invalid value for URI param /options/")


def number(value: float) -> dict[str, Any]:
    """An attribute as it is shown."""
    return {"type": "Number", "value": value, "metadata": {}}


class TestRepresentations:
    @pytest.fixture(autouse=True)
    def _entity(self, api: Api) -> None:
        values = {"C": 2, "A": [1, {"x": None}], "B": "text", "D": 2, "F": [1, {"x": None}]}
        api.create({"id": "E", "type": "T", **values}, options="keyValues")

    @pytest.mark.parametrize(
        ("options", "attrs", "expected"),
        [
            (
                "keyValues",
                "",
                '{"C":2,"A":[1,{"x":null}],"B":"text","D":2,"F":[1,{"x":null}]}',
            ),
            ("keyValues", "B,C", '{"B":"text","C":2}'),
            ("keyValues", "X,B", '{"B":"text"}'),
            ("values", "", '[[1,{"x":null}],"text",2,2,[1,{"x":null}]]'),
            ("values", "D,B,A", '[2,"text",[1,{"x":null}]]'),
            ("values", "X", "[]"),
            ("unique", "", '[[1,{"x":null}],"text",2]'),
            ("unique", "D,B,C", '[2,"text"]'),
            (
                "normalized",
                "D,B",
                '{"D":{"type":"Number","value":2,"metadata":{}},'
                '"B":{"type":"Text","value":"text","metadata":{}}}',
            ),
        ],
    )
    def test_of_one_entity(self, api: Api, options: str, attrs: str, expected: str) -> None:
        parameters = {"options": options} | ({"attrs": attrs} if attrs else {})
        whole = expected
        if expected.startswith("{"):
            whole = f'{{"id":"E","type":"T",{expected[1:]}'
        assert api.get("/v2/entities/E", **parameters).text == whole
        assert api.get("/v2/entities", **parameters).text == f"[{whole}]"
        assert api.get("/v2/entities/E/attrs", **parameters).text == expected
        query: dict[str, Any] = {"entities": [{"id": "E"}]}
        if attrs:
            query["attrs"] = attrs.split(",")
        assert api.post("/v2/op/query", query, options=options).text == f"[{whole}]"

    def test_unique_tells_kinds_apart(self, api: Api) -> None:
        values = {"a": 1, "b": True, "c": "1", "d": 1.0, "e": None, "f": False, "g": 0, "h": None}
        api.create({"id": "F", **values}, options="keyValues")
        reply = api.get("/v2/entities/F", options="unique")
        assert reply.text == '[1,true,"1",null,false,0]'

    def test_attributes_in_the_order_of_their_creation(self, api: Api) -> None:
        api.post("/v2/entities/E/attrs", {"0": 1, "C": 3}, options="keyValues")
        assert list(api.get("/v2/entities/E").json) == ["id", "type", *"CABDF0"]

    @pytest.mark.parametrize(
        "options", ["keyValues,values", "keyValues,unique", "values,unique,count", "unique,values"]
    )
    def test_one_at_a_time(self, api: Api, options: str) -> None:
        for path in ("/v2/entities", "/v2/entities/E", "/v2/entities/E/attrs"):
            assert api.get(path, options=options).refusal == BAD_OPTIONS
        query = {"entities": [{"id": "E"}]}
        assert api.post("/v2/op/query", query, options=options).refusal == BAD_OPTIONS

    @pytest.mark.parametrize("options", ["foo", "keyvalues", "keyValues,foo", "keyValues;count"])
    def test_unknown_options(self, api: Api, options: str) -> None:
        for path in ("/v2/entities", "/v2/entities/E"):
            status, error, _ = api.get(path, options=options).refusal
            assert (status, error) == (400, "BadRequest")

    def test_key_values_of_one_attribute(self, api: Api) -> None:
        assert api.get("/v2/entities/E/attrs/B", options="keyValues").json == {"B": "text"}

    def test_options_add_up(self, api: Api) -> None:
        reply = api.get("/v2/entities", options="count,keyValues,skipForwarding")
        assert reply.headers["Fiware-Total-Count"] == "1"
        assert reply.json[0]["B"] == "text"

    def test_several_entities(self, api: Api) -> None:
        api.create({"id": "F", "type": "U", "B": 7}, {"id": "G"}, options="keyValues")
        assert api.get("/v2/entities", options="values", attrs="B").json == [["text"], [7], []]
        assert api.get("/v2/entities", options="keyValues", attrs="B").json == [
            {"id": "E", "type": "T", "B": "text"},
            {"id": "F", "type": "U", "B": 7},
            {"id": "G", "type": "Thing"},
        ]


class TestChoiceOfAttributes:
    @pytest.fixture(autouse=True)
    def _entity(self, api: Api) -> None:
        api.create({"id": "E", "type": "T", "A": 1, "B": 2, "C": 3}, options="keyValues")

    @pytest.mark.parametrize(
        ("attrs", "names"),
        [
            ("B", "B"),
            ("C,A", "CA"),
            ("A,A,A", "A"),
            ("*", "ABC"),
            ("blabla", ""),
            ("blabla,B", "B"),
            ("a", ""),
        ],
    )
    def test_user_attributes(self, api: Api, attrs: str, names: str) -> None:
        expected: dict[str, Any] = {"id": "E", "type": "T"}
        expected |= {name: number("ABC".index(name) + 1) for name in names}
        for reply in (
            api.get("/v2/entities/E", attrs=attrs).json,
            api.get("/v2/entities", attrs=attrs).json[0],
            api.post("/v2/op/query", {"entities": [{"id": "E"}], "attrs": attrs.split(",")}).json[
                0
            ],
        ):
            assert reply == expected
            assert list(reply) == list(expected)

    @pytest.mark.parametrize(
        ("attrs", "names"),
        [
            ("dateCreated", ["dateCreated"]),
            ("dateModified,A", ["dateModified", "A"]),
            ("dateModified,*", ["A", "B", "C", "dateModified"]),
            ("*,dateCreated,servicePath", ["A", "B", "C", "dateCreated", "servicePath"]),
            ("servicePath", ["servicePath"]),
            # Not set, and only for notifications.
            ("dateExpires", []),
            ("alterationType,B", ["B"]),
        ],
    )
    def test_builtin_attributes(self, api: Api, attrs: str, names: list[str]) -> None:
        query = {"entities": [{"id": "E"}], "attrs": attrs.split(",")}
        for entity in (
            api.get("/v2/entities/E", attrs=attrs).json,
            api.get("/v2/entities", attrs=attrs).json[0],
            api.post("/v2/op/query", query).json[0],
            {"id": "E", "type": "T"} | api.get("/v2/entities/E/attrs", attrs=attrs).json,
        ):
            assert set(entity) == {"id", "type", *names}
            for name in ("dateCreated", "dateModified"):
                if name in names:
                    date = entity[name]
                    assert (date["type"], date["metadata"]) == ("DateTime", {})
                    assert DATE.fullmatch(date["value"])
            if "servicePath" in names:
                assert entity["servicePath"] == {"type": "Text", "value": "/", "metadata": {}}

    def test_builtin_attributes_by_value(self, api: Api) -> None:
        entity = api.get("/v2/entities/E", attrs="dateCreated,B", options="keyValues").json
        assert list(entity) == ["id", "type", "dateCreated", "B"]
        assert DATE.fullmatch(entity["dateCreated"])
        created, b = api.get("/v2/entities/E", attrs="dateCreated,B", options="values").json
        assert (created, b) == (entity["dateCreated"], 2)

    def test_builtin_attributes_have_no_url(self, api: Api) -> None:
        not_found = (404, "NotFound", "The entity does not have such an attribute")
        assert api.get("/v2/entities/E/attrs/dateCreated").refusal == not_found
        assert api.get("/v2/entities/E/attrs/servicePath/value").refusal == not_found

    def test_dates_as_options(self, api: Api) -> None:
        # Deprecated, and still there.
        entity = api.get("/v2/entities/E", options="dateCreated,dateModified").json
        assert set(entity) == {"id", "type", "A", "B", "C", "dateCreated", "dateModified"}
        assert set(api.get("/v2/entities", options="dateModified", attrs="A").json[0]) == {
            "id",
            "type",
            "A",
            "dateModified",
        }

    def test_user_attribute_wins_when_shown(self, api: Api) -> None:
        api.post("/v2/entities/E/attrs", {"servicePath": "mine"}, options="keyValues")
        mine = {"type": "Text", "value": "mine", "metadata": {}}
        assert api.get("/v2/entities/E").json["servicePath"] == mine
        assert api.get("/v2/entities/E", attrs="servicePath").json["servicePath"] == mine
        assert api.get("/v2/entities/E/attrs/servicePath").json == mine


def test_dates_of_an_entity(api: Api) -> None:
    def dates() -> tuple[str, str]:
        entity = api.get("/v2/entities/E", attrs="dateCreated,dateModified").json
        return entity["dateCreated"]["value"], entity["dateModified"]["value"]

    api.create({"id": "E", "A": {"value": 0}})
    created, modified = dates()
    assert created == modified
    # The clock counts milliseconds, so it may take more than one update to see it go on.
    for value in range(1, 100):
        api.patch("/v2/entities/E/attrs", {"A": {"value": value}})
        if dates() != (created, modified):
            break
    assert dates()[0] == created
    assert dates()[1] > modified
    # What changes nothing is no modification.
    modified = dates()[1]
    for _ in range(5):
        api.patch("/v2/entities/E/attrs", {"A": {"value": value}})
    assert dates() == (created, modified)


def test_values_keep_the_order_of_their_members(api: Api) -> None:
    value = '{"z":1,"a":{"y":[3,1,2],"b":2},"m":null}'
    api.create({"id": "E", "A": json.loads(value)}, options="keyValues")
    assert f'"A":{value}' in api.get("/v2/entities/E", options="keyValues").text
