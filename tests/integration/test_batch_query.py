"""POST /v2/op/query: entities, attrs, attributes, metadata, expression.

Source: Orion API, section "Query operation"; Orion's cases for issues 1080, 2604, 2706, 2819
and 2991. Filters, orders, pages and representations are the same as those of GET
/v2/entities; the tests of these send both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

EVERYTHING = {"entities": [{"idPattern": ".*"}]}


def bad(description: str) -> tuple[int, str, str]:
    """The refusal of a bad request."""
    return 400, "BadRequest", description


def query(api: Api, document: dict[str, Any], **how: Any) -> Any:
    """The entities that the query finds."""
    reply = api.post("/v2/op/query", document, **how)
    assert reply.status == 200, reply
    return reply.json


def names(api: Api, document: dict[str, Any]) -> list[str]:
    """ "id/type" of the entities that the query finds."""
    return [f"{entity['id']}/{entity['type']}" for entity in query(api, document)]


def number(value: float) -> dict[str, Any]:
    """An attribute as it is shown."""
    return {"type": "Number", "value": value, "metadata": {}}


@pytest.fixture
def entities(api: Api) -> None:
    """Five entities of two types."""
    api.create(
        {"id": "E", "type": "T", "A1": 11, "A4": 14, "A5": 15},
        {"id": "E", "type": "T2", "A2": 22, "A5": 25},
        {"id": "E3", "type": "T", "A3": 33, "A4": 34, "A5": 35},
        {"id": "F4", "type": "T", "A1": "x"},
        {"id": "F5", "type": "T2"},
        options="keyValues",
    )


@pytest.mark.usefixtures("entities")
class TestEntities:
    @pytest.mark.parametrize(
        ("selectors", "expected"),
        [
            ([{"id": "E"}], ["E/T", "E/T2"]),
            ([{"id": "E", "type": "T"}], ["E/T"]),
            ([{"id": "E", "typePattern": "2$"}], ["E/T2"]),
            ([{"id": "Nobody"}], []),
            ([{"idPattern": "E.*"}], ["E/T", "E/T2", "E3/T"]),
            ([{"idPattern": "^E$", "type": "T2"}], ["E/T2"]),
            ([{"idPattern": ".*", "typePattern": ".*"}], ["E/T", "E/T2", "E3/T", "F4/T", "F5/T2"]),
            ([{"idPattern": "[45]$", "typePattern": "^T$"}], ["F4/T"]),
            ([{"id": "F5"}, {"id": "E", "type": "T"}], ["E/T", "F5/T2"]),
            ([{"id": "E"}, {"idPattern": "^E"}, {"id": "E"}], ["E/T", "E/T2", "E3/T"]),
            ([{"id": "E3", "type": "T2"}, {"idPattern": "F", "type": "T"}], ["F4/T"]),
            ([], ["E/T", "E/T2", "E3/T", "F4/T", "F5/T2"]),
        ],
    )
    def test_selectors(
        self, api: Api, selectors: list[dict[str, str]], expected: list[str]
    ) -> None:
        assert names(api, {"entities": selectors}) == expected

    def test_whole_entities(self, api: Api) -> None:
        assert query(api, {"entities": [{"id": "E", "type": "T2"}]}) == [
            {"id": "E", "type": "T2", "A2": number(22), "A5": number(25)}
        ]

    def test_reply_is_json_even_if_empty(self, api: Api) -> None:
        reply = api.post("/v2/op/query", {"entities": [{"id": "Nobody"}]}, options="count")
        assert (reply.status, reply.json) == (200, [])
        assert reply.headers["Fiware-Total-Count"] == "0"


@pytest.mark.usefixtures("entities")
class TestChoice:
    def test_attrs_choose_what_is_shown(self, api: Api) -> None:
        assert query(api, {**EVERYTHING, "attrs": ["A5", "A1"]}, options="keyValues") == [
            {"id": "E", "type": "T", "A5": 15, "A1": 11},
            {"id": "E", "type": "T2", "A5": 25},
            {"id": "E3", "type": "T", "A5": 35},
            {"id": "F4", "type": "T", "A1": "x"},
            {"id": "F5", "type": "T2"},
        ]

    def test_attrs_alone_are_a_query(self, api: Api) -> None:
        assert len(query(api, {"attrs": ["A1"]})) == 5

    def test_attributes_choose_entities_too(self, api: Api) -> None:
        # Deprecated: attrs and a unary q in one.
        assert query(api, {"attributes": ["A1"]}, options="keyValues") == [
            {"id": "E", "type": "T", "A1": 11},
            {"id": "F4", "type": "T", "A1": "x"},
        ]
        document = {"entities": [{"idPattern": "E.*"}], "attributes": ["A1", "A2"]}
        assert query(api, document) == [
            {"id": "E", "type": "T", "A1": number(11)},
            {"id": "E", "type": "T2", "A2": number(22)},
        ]

    def test_attributes_with_attrs(self, api: Api) -> None:
        document = {"attributes": ["A1"], "attrs": ["A4"]}
        assert query(api, document, options="keyValues") == [
            {"id": "E", "type": "T", "A4": 14},
            {"id": "F4", "type": "T"},
        ]

    @pytest.mark.parametrize(
        ("attrs", "q", "expected"),
        [
            (["A1"], "A1", [{"id": "E", "A1": 11}, {"id": "F4", "A1": "x"}]),
            (["A5"], "A1", [{"id": "E", "A5": 15}, {"id": "F4"}]),
            (["A1"], "!A1", [{"id": "E"}, {"id": "E3"}, {"id": "F5"}]),
            (["A2"], "A5>20;A4", [{"id": "E3"}]),
        ],
    )
    def test_attrs_with_q(
        self, api: Api, attrs: list[str], q: str, expected: list[dict[str, Any]]
    ) -> None:
        document = {**EVERYTHING, "attrs": attrs, "expression": {"q": q}}
        found = query(api, document, options="keyValues")
        assert [{k: v for k, v in entity.items() if k != "type"} for entity in found] == expected

    def test_metadata(self, api: Api) -> None:
        metadata = {"m": {"value": 1}, "n": {"value": 2}}
        api.create({"id": "M", "A": {"value": 0, "metadata": metadata}})
        document = {"entities": [{"id": "M"}], "metadata": ["n"]}
        assert query(api, document)[0]["A"]["metadata"] == {"n": {"type": "Number", "value": 2}}


@pytest.mark.usefixtures("entities")
class TestExpression:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ({"q": "A5>20"}, ["E/T2", "E3/T"]),
            ({"q": "A5>20;A4"}, ["E3/T"]),
            ({"q": "A1==x", "mq": "A1.dateCreated>2020-01-01"}, ["F4/T"]),
            ({"mq": "A1.unit"}, []),
        ],
    )
    def test_filters(self, api: Api, expression: dict[str, str], expected: list[str]) -> None:
        assert names(api, {"expression": expression}) == expected

    def test_with_entities(self, api: Api) -> None:
        document = {"entities": [{"idPattern": "^E", "type": "T"}], "expression": {"q": "A5>1"}}
        assert names(api, document) == ["E/T", "E3/T"]

    def test_unknown_members_are_passed_over(self, api: Api) -> None:
        assert len(names(api, {"expression": {"foo": "bar"}})) == 5


class TestRefused:
    @pytest.mark.parametrize(
        ("document", "description"),
        [
            ({}, "empty payload"),
            ({"nonSupported": []}, "Invalid JSON payload, no relevant fields found"),
            ({"metadata": ["m"]}, "Invalid JSON payload, no relevant fields found"),
            ({**EVERYTHING, "foo": 1}, "Unrecognized field in JSON payload: /foo/"),
            ({"entities": {"id": "E"}}, "not a JSON array"),
            ({"entities": ["E"]}, "entity is not a JSON object"),
            ({"entities": [{"type": "T"}]}, "nor /id/ nor /idPattern/ present"),
            ({"entities": [{"id": "E", "idPattern": "E"}]}, "both /id/ and /idPattern/ present"),
            ({"entities": [{"id": 1}]}, "Invalid JSON type for entity id"),
            ({"entities": [{"id": "a b"}]}, "Invalid characters in entity id"),
            ({"entities": [{"idPattern": 1}]}, "Invalid JSON type for entity idPattern"),
            ({"entities": [{"idPattern": "("}]}, "Invalid regex for entity idPattern"),
            ({"entities": [{"id": "E", "type": 1}]}, "Invalid JSON type for entity type"),
            (
                {"entities": [{"id": "E", "type": ""}]},
                "entity type length: 0, min length supported: 1",
            ),
            ({"entities": [{"id": "E", "type": "ñ"}]}, "Invalid characters in entity type"),
            (
                {"entities": [{"id": "E", "typePattern": 1}]},
                "Invalid JSON type for entity typePattern",
            ),
            (
                {"entities": [{"id": "E", "typePattern": "["}]},
                "Invalid regex for entity typePattern",
            ),
            (
                {"entities": [{"id": "E", "type": "T", "typePattern": "T"}]},
                "type and typePattern cannot be both filled at the same time",
            ),
            ({"entities": [{"id": ""}]}, "id and idPattern cannot be both empty at the same time"),
            (
                {"entities": [{"id": "E", "A": {"value": 1}}]},
                "no attributes allowed in Entity in this payload",
            ),
            ({"attributes": {"A1": 0}}, "the field /attributes/ must be a JSON array"),
            ({"attributes": [1, 2]}, "only JSON Strings allowed in attributes list"),
            ({"attrs": "A1"}, "the field /attrs/ must be a JSON array"),
            ({"attrs": [None]}, "only JSON Strings allowed in attrs list"),
            ({**EVERYTHING, "metadata": 1}, "the field /metadata/ must be a JSON array"),
            ({**EVERYTHING, "metadata": [1]}, "only JSON Strings allowed in metadata list"),
            ({"expression": [1, 2, 3]}, "expression is not an object"),
            ({"expression": {}}, "expression is empty"),
            *(
                ({"expression": {name: 42}}, f"{name} is not a string")
                for name in ("q", "mq", "georel", "geometry", "coords")
            ),
            *(
                ({"expression": {name: ""}}, f"{name} is empty")
                for name in ("q", "mq", "georel", "geometry", "coords")
            ),
            (
                {"expression": {"geometry": "point", "coord": "20,10"}},
                "partial geo expression: geometry, georel and coords have to be provided together",
            ),
            (
                {"expression": {"georel": "equals", "coords": "20,10"}},
                "partial geo expression: geometry, georel and coords have to be provided together",
            ),
        ],
    )
    def test_field_at_fault_is_named(
        self, api: Api, document: dict[str, Any], description: str
    ) -> None:
        assert api.post("/v2/op/query", document).refusal == bad(description)

    @pytest.mark.parametrize("body", [b"nothing", b"[]", b'{"entities":', b"3"])
    def test_no_json_object(self, api: Api, body: bytes) -> None:
        refusal = (400, "ParseError", "Errors found in incoming JSON buffer")
        assert api.post("/v2/op/query", body).refusal == refusal

    def test_geography(self, api: Api) -> None:
        expression = {"georel": "equals", "geometry": "point", "coords": "1,2;3,4"}
        status, error, description = api.post("/v2/op/query", {"expression": expression}).refusal
        assert (status, error) == (400, "BadRequest")
        assert description.endswith("invalid number of coordinates for /point/")
