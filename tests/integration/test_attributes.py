"""Attributes of an entity: append, update, replace, and one attribute by its URL.

Source: Orion API, sections "Update or Append Entity Attributes" to "Remove a Single
Attribute"; texts of errors from Orion's functional cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

ENTITY_NOT_FOUND = (404, "NotFound", "The requested entity has not been found. Check type and id")
ATTRIBUTE_NOT_FOUND = (404, "NotFound", "The entity does not have such an attribute")
TOO_MANY = (409, "TooManyResults", "More than one matching entity. Please refine your query")
EXIST = "one or more of the attributes in the request already exist: "


@pytest.fixture(autouse=True)
def _entity(api: Api) -> None:
    api.create({"id": "E", "type": "T", "A": 1, "B": 2}, options="keyValues")


def values(api: Api, entity_id: str = "E", **parameters: str) -> Any:
    """The attributes of an entity by their values, in order."""
    reply = api.get(f"/v2/entities/{entity_id}/attrs", options="keyValues", **parameters)
    assert reply.status == 200, reply
    return reply.json


class TestAppend:
    def test_updates_and_appends(self, api: Api) -> None:
        reply = api.post("/v2/entities/E/attrs", {"B": {"value": 3}, "C": {"value": "x"}})
        assert (reply.status, reply.text) == (204, "")
        assert api.get("/v2/entities/E").json == {
            "id": "E",
            "type": "T",
            "A": {"type": "Number", "value": 1, "metadata": {}},
            "B": {"type": "Number", "value": 3, "metadata": {}},
            "C": {"type": "Text", "value": "x", "metadata": {}},
        }

    def test_strict_appends_only(self, api: Api) -> None:
        reply = api.post("/v2/entities/E/attrs", {"C": 3, "D": 4}, options="append,keyValues")
        assert reply.status == 204
        assert values(api) == {"A": 1, "B": 2, "C": 3, "D": 4}

    @pytest.mark.parametrize(
        ("parameters", "name"), [({}, "E"), ({"type": "T"}, "E/T")], ids=["by id", "by id and type"]
    )
    def test_strict_with_existing_attributes(
        self, api: Api, parameters: dict[str, str], name: str
    ) -> None:
        how = {"options": "append,keyValues", **parameters}
        reply = api.post("/v2/entities/E/attrs", {"A": 7, "B": 8}, **how)
        assert reply.refusal == (422, "Unprocessable", f"{EXIST}{name} - [ A, B ]")
        assert values(api) == {"A": 1, "B": 2}
        reply = api.post("/v2/entities/E/attrs", {"B": 8, "C": 9}, **how)
        assert reply.refusal == (422, "PartialUpdate", f"{EXIST}{name} - [ B ]")
        assert values(api) == {"A": 1, "B": 2, "C": 9}


class TestUpdate:
    def test_updates_existing(self, api: Api) -> None:
        reply = api.patch("/v2/entities/E/attrs", {"B": {"type": "Level", "value": 3}})
        assert (reply.status, reply.text) == (204, "")
        assert api.get("/v2/entities/E/attrs").json == {
            "A": {"type": "Number", "value": 1, "metadata": {}},
            "B": {"type": "Level", "value": 3, "metadata": {}},
        }

    @pytest.mark.parametrize(
        ("parameters", "name"), [({}, "E"), ({"type": "T"}, "E/T")], ids=["by id", "by id and type"]
    )
    def test_missing_attributes(self, api: Api, parameters: dict[str, str], name: str) -> None:
        how = {"options": "keyValues", **parameters}
        reply = api.patch("/v2/entities/E/attrs", {"C": 3, "D": 4}, **how)
        assert reply.refusal == (422, "Unprocessable", f"do not exist: {name} - [ C, D ]")
        assert values(api) == {"A": 1, "B": 2}
        reply = api.patch("/v2/entities/E/attrs", {"B": 5, "C": 3}, **how)
        assert reply.refusal == (422, "PartialUpdate", f"do not exist: {name} - [ C ]")
        assert values(api) == {"A": 1, "B": 5}

    def test_missing_type_becomes_the_default_of_the_value(self, api: Api) -> None:
        api.patch("/v2/entities/E/attrs", {"A": {"type": "Celsius", "value": 1}})
        api.patch("/v2/entities/E/attrs", {"A": {"value": True}})
        assert api.get("/v2/entities/E/attrs/A").json["type"] == "Boolean"
        api.patch("/v2/entities/E/attrs", {"A": {"type": "Celsius", "value": 1}})
        api.patch("/v2/entities/E/attrs", {"A": [1]}, options="keyValues")
        assert api.get("/v2/entities/E/attrs/A").json == {
            "type": "StructuredValue",
            "value": [1],
            "metadata": {},
        }

    def test_missing_value_becomes_null(self, api: Api) -> None:
        api.patch("/v2/entities/E/attrs", {"A": {"metadata": {"m": {"value": "5678"}}}})
        assert api.get("/v2/entities/E/attrs/A").json == {
            "type": "None",
            "value": None,
            "metadata": {"m": {"type": "Text", "value": "5678"}},
        }


class TestReplace:
    def test_only_given_attributes_remain(self, api: Api) -> None:
        reply = api.put("/v2/entities/E/attrs", {"B": {"value": "x"}, "C": {"value": None}})
        assert (reply.status, reply.text) == (204, "")
        assert api.get("/v2/entities/E").json == {
            "id": "E",
            "type": "T",
            "B": {"type": "Text", "value": "x", "metadata": {}},
            "C": {"type": "None", "value": None, "metadata": {}},
        }

    def test_key_values(self, api: Api) -> None:
        assert api.put("/v2/entities/E/attrs", {"Z": 26}, options="keyValues").status == 204
        assert values(api) == {"Z": 26}

    def test_metadata_is_replaced_too(self, api: Api) -> None:
        api.patch("/v2/entities/E/attrs", {"A": {"value": 1, "metadata": {"m": {"value": 1}}}})
        api.put("/v2/entities/E/attrs", {"A": {"value": 1}})
        assert api.get("/v2/entities/E/attrs/A").json["metadata"] == {}


class TestRefusedDocuments:
    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
    @pytest.mark.parametrize(
        ("document", "description"),
        [
            ({}, "empty payload"),
            ({"id": "E", "A": {"value": 1}}, "entity id specified in payload"),
            ({"type": "T", "A": {"value": 1}}, "entity type specified in payload"),
            ({"A": 1}, "attribute must be a JSON object, unless keyValues option is used"),
            ({"A": {"value": 1, "bad": 2}}, "unrecognized property for context attribute"),
            ({"": {"value": 1}}, "attribute name length: 0, min length supported: 1"),
            ({"A": {"type": ""}}, "attribute type length: 0, min length supported: 1"),
            ({"a b": {}}, "Invalid characters in attribute name"),
            ({"A": {"type": "a/b"}}, "Invalid characters in attribute type"),
            ({"A": {"value": "a(b"}}, "Invalid characters in attribute value"),
            ({"A": {"metadata": {"m=": {}}}}, "Invalid characters in metadata name"),
            ({"A": {"metadata": {"m": {"type": "?"}}}}, "Invalid characters in metadata type"),
            ({"A": {"metadata": {"m": {"value": "<"}}}}, "Invalid characters in metadata value"),
            # The other attributes of a refused document are not touched.
            ({"B": {"value": 9}, "A": {"value": "a;b"}}, "Invalid characters in attribute value"),
        ],
    )
    def test_field_at_fault_is_named(
        self, api: Api, method: str, document: dict[str, Any], description: str
    ) -> None:
        reply = api.request(method, "/v2/entities/E/attrs", document)
        assert reply.refusal == (400, "BadRequest", description)
        assert values(api) == {"A": 1, "B": 2}

    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
    @pytest.mark.parametrize("body", [b"[]", b"{", b"nothing"])
    def test_parse_errors(self, api: Api, method: str, body: bytes) -> None:
        reply = api.request(method, "/v2/entities/E/attrs", body)
        assert reply.refusal == (400, "ParseError", "Errors found in incoming JSON buffer")

    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
    def test_a_name_may_stand_twice_in_no_document(self, api: Api, method: str) -> None:
        reply = api.request(method, "/v2/entities/E/attrs", b'{"A":{"value":5},"A":{"value":6}}')
        assert reply.refusal == (400, "BadRequest", "duplicated attribute /A/")
        assert values(api) == {"A": 1, "B": 2}


class TestOneAttribute:
    def test_get(self, api: Api) -> None:
        reply = api.get("/v2/entities/E/attrs/A")
        assert (reply.status, reply.json) == (200, {"type": "Number", "value": 1, "metadata": {}})

    def test_put(self, api: Api) -> None:
        attribute = {
            "type": "Level",
            "value": {"deep": [1, 2]},
            "metadata": {"unit": {"type": "Text", "value": "m"}},
        }
        reply = api.put("/v2/entities/E/attrs/A", attribute)
        assert (reply.status, reply.text) == (204, "")
        assert api.get("/v2/entities/E/attrs/A").json == attribute
        assert values(api)["B"] == 2

    def test_put_of_nothing(self, api: Api) -> None:
        # As for an attribute without value (Orion's case all_tests_empty_payload).
        assert api.put("/v2/entities/E/attrs/A", {}).status == 204
        assert api.get("/v2/entities/E/attrs/A").json == {
            "type": "None",
            "value": None,
            "metadata": {},
        }

    def test_delete(self, api: Api) -> None:
        reply = api.delete("/v2/entities/E/attrs/A")
        assert (reply.status, reply.text) == (204, "")
        assert values(api) == {"B": 2}
        assert api.delete("/v2/entities/E/attrs/A").refusal == ATTRIBUTE_NOT_FOUND
        assert api.delete("/v2/entities/E/attrs/B").status == 204
        assert api.get("/v2/entities/E").json == {"id": "E", "type": "T"}

    @pytest.mark.parametrize(
        ("document", "description"),
        [
            ({"value": 1, "foo": 2}, "unrecognized property for context attribute"),
            ({"type": 5}, "invalid JSON type for attribute type"),
            ({"type": ""}, "attribute type length: 0, min length supported: 1"),
            ({"type": "x" * 257}, "attribute type length: 257, max length supported: 256"),
            ({"metadata": []}, "metadata not a JSON object"),
            ({"value": "a'b"}, "Invalid characters in attribute value"),
        ],
    )
    def test_refused_documents(self, api: Api, document: dict[str, Any], description: str) -> None:
        reply = api.put("/v2/entities/E/attrs/A", document)
        assert reply.refusal == (400, "BadRequest", description)
        assert values(api) == {"A": 1, "B": 2}

    def test_no_object(self, api: Api) -> None:
        for body in (b"1", b'"x"', b"[]", b"{"):
            reply = api.put("/v2/entities/E/attrs/A", body)
            assert reply.refusal == (400, "ParseError", "Errors found in incoming JSON buffer")

    def test_names_in_the_url_are_decoded(self, api: Api) -> None:
        api.post("/v2/entities/E/attrs", {"a%b": 1, "x+y:z": 2}, options="keyValues")
        assert api.get("/v2/entities/E/attrs/a%25b").json["value"] == 1
        assert api.put("/v2/entities/E/attrs/x%2By%3Az", {"value": 3}).status == 204
        assert api.delete("/v2/entities/E/attrs/a%25b").status == 204
        assert values(api) == {"A": 1, "B": 2, "x+y:z": 3}

    def test_names_that_mongodb_could_not_have(self, api: Api) -> None:
        names = {"a.b": 1, "$price": 2, "a..": 3, "__c": 4, "_id": 5, "value": 6, "metadata": 7}
        api.create({"id": "F", **names}, options="keyValues")
        assert values(api, "F") == names
        assert api.get("/v2/entities/F/attrs/a.b").json["value"] == 1
        assert api.put("/v2/entities/F/attrs/$price", {"value": 9}).status == 204
        assert values(api, "F") == names | {"$price": 9}


def test_an_entity_does_not_grow_without_end(api: Api) -> None:
    big = "x" * 1_000_000
    accepted = 0
    while (reply := api.post("/v2/entities/E/attrs", {f"X{accepted}": {"value": big}})).text == "":
        assert reply.status == 204
        accepted += 1
        assert accepted < 32
    assert accepted >= 8
    status, error, description = reply.refusal
    assert (status, error) == (413, "RequestEntityTooLarge")
    assert "entity size" in description
    # What was refused left no trace; smaller changes go on.
    assert list(values(api, attrs=f"A,X{accepted}")) == ["A"]
    assert api.patch("/v2/entities/E/attrs", {"A": {"value": 2}}).status == 204
    assert api.delete("/v2/entities/E/attrs/X0").status == 204
    assert values(api, attrs="A,B") == {"A": 2, "B": 2}
    assert api.delete("/v2/entities/E").status == 204


# Every operation on the attributes of one entity: method, path below the entity, body.
OPERATIONS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("DELETE", "", None),
    ("GET", "/attrs", None),
    ("POST", "/attrs", {"A": {"value": 5}}),
    ("PATCH", "/attrs", {"A": {"value": 5}}),
    ("PUT", "/attrs", {"A": {"value": 5}}),
    ("GET", "/attrs/A", None),
    ("PUT", "/attrs/A", {"value": 5}),
    ("DELETE", "/attrs/A", None),
    ("GET", "/attrs/A/value", None),
    ("PUT", "/attrs/A/value", [5]),
]
CHANGES = [operation for operation in OPERATIONS if operation[0] != "GET"]


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
class TestWhichEntity:
    def send(self, api: Api, method: str, path: str, body: Any, **how: Any) -> Any:
        """The reply of the operation on the entity E."""
        if body is None:
            return api.request(method, f"/v2/entities/E{path}", **how)
        return api.request(method, f"/v2/entities/E{path}", body, **how)

    def test_unknown_entity(self, api: Api, method: str, path: str, body: Any) -> None:
        api.delete("/v2/entities/E")
        assert self.send(api, method, path, body).refusal == ENTITY_NOT_FOUND

    def test_unknown_type(self, api: Api, method: str, path: str, body: Any) -> None:
        assert self.send(api, method, path, body, type="U").refusal == ENTITY_NOT_FOUND
        assert values(api) == {"A": 1, "B": 2}

    def test_ambiguous_id(self, api: Api, method: str, path: str, body: Any) -> None:
        api.create({"id": "E", "type": "U", "A": 10}, options="keyValues")
        assert self.send(api, method, path, body).refusal == TOO_MANY
        assert values(api, type="T") == {"A": 1, "B": 2}
        assert values(api, type="U") == {"A": 10}

    def test_type_decides(self, api: Api, method: str, path: str, body: Any) -> None:
        api.create({"id": "E", "type": "U", "A": 10}, options="keyValues")
        reply = self.send(api, method, path, body, type="U")
        assert reply.status == (200 if method == "GET" else 204)
        assert values(api, type="T") == {"A": 1, "B": 2}


@pytest.mark.parametrize(
    ("method", "path", "body"), [row for row in OPERATIONS if row[1].startswith("/attrs/")]
)
def test_unknown_attribute(api: Api, method: str, path: str, body: Any) -> None:
    path = path.replace("/A", "/Z")
    how = {} if body is None else {"body": body}
    reply = api.request(method, f"/v2/entities/E{path}", **how)
    assert reply.refusal == ATTRIBUTE_NOT_FOUND
    assert values(api) == {"A": 1, "B": 2}


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
@pytest.mark.parametrize("options", ["forcedUpdate", "flowControl", "forcedUpdate,flowControl"])
def test_options_that_only_concern_notifications(
    api: Api, method: str, path: str, body: Any, options: str
) -> None:
    if body is None:
        reply = api.request(method, f"/v2/entities/E{path}", options=options)
    else:
        reply = api.request(method, f"/v2/entities/E{path}", body, options=options)
    assert reply.status == 204
