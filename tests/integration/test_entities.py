"""Entities as a whole: create, upsert, list, retrieve, remove.

Source: Orion API, sections "Entities Operations", "JSON Entity Representation", "Identifiers
syntax restrictions"; texts of errors from Orion's functional cases.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from broker.launch import BrokerProcess
    from tests.integration.conftest import Api

NOT_FOUND = (404, "NotFound", "The requested entity has not been found. Check type and id")
TOO_MANY = (409, "TooManyResults", "More than one matching entity. Please refine your query")
PARSE_ERROR = (400, "ParseError", "Errors found in incoming JSON buffer")

ROOM = {
    "id": "Room1",
    "type": "Room",
    "temperature": {"type": "Float", "value": 23.5, "metadata": {}},
    "free": {
        "type": "Boolean",
        "value": True,
        "metadata": {"accuracy": {"type": "Number", "value": 0.8}},
    },
}


def ids(api: Api, **parameters: str | int) -> list[str]:
    """The ids that GET /v2/entities lists."""
    reply = api.get("/v2/entities", **parameters)
    assert reply.status == 200, reply
    return [entity["id"] for entity in reply.json]


class TestCreate:
    def test_entity_is_found_as_it_was_given(self, api: Api) -> None:
        reply = api.post("/v2/entities", ROOM)
        assert (reply.status, reply.text) == (201, "")
        assert reply.headers["Location"] == "/v2/entities/Room1?type=Room"
        assert api.get("/v2/entities/Room1").json == ROOM
        assert api.get("/v2/entities").json == [ROOM]

    def test_entity_without_attributes(self, api: Api) -> None:
        api.create({"id": "E", "type": "T"})
        assert api.get("/v2/entities/E").json == {"id": "E", "type": "T"}

    def test_type_is_thing_where_none_is_given(self, api: Api) -> None:
        reply = api.post("/v2/entities", {"id": "E"})
        assert reply.headers["Location"] == "/v2/entities/E?type=Thing"
        assert api.get("/v2/entities/E").json == {"id": "E", "type": "Thing"}

    @pytest.mark.parametrize(
        ("value", "type_name"),
        [
            ("text", "Text"),
            ("", "Text"),
            (12, "Number"),
            (-0.5, "Number"),
            (True, "Boolean"),
            (False, "Boolean"),
            (None, "None"),
            ({}, "StructuredValue"),
            ({"a": [1, {"b": None}]}, "StructuredValue"),
            ([], "StructuredValue"),
            ([1, "x", None], "StructuredValue"),
        ],
    )
    def test_default_types_of_attributes_and_metadata(
        self, api: Api, value: Any, type_name: str
    ) -> None:
        whole = {
            "id": "E",
            "type": "Thing",
            "a": {
                "type": type_name,
                "value": value,
                "metadata": {"m": {"type": type_name, "value": value}},
            },
        }
        api.create({"id": "E", "a": {"value": value, "metadata": {"m": {"value": value}}}})
        assert api.get("/v2/entities/E").json == whole
        api.create({"id": "K", "a": value}, options="keyValues")
        assert api.get("/v2/entities/K/attrs/a").json == {
            "type": type_name,
            "value": value,
            "metadata": {},
        }

    def test_attribute_without_value_is_null(self, api: Api) -> None:
        api.create({"id": "E", "a": {}, "b": {"type": "Celsius"}, "c": {"metadata": {"m": {}}}})
        assert api.get("/v2/entities/E/attrs").json == {
            "a": {"type": "None", "value": None, "metadata": {}},
            "b": {"type": "Celsius", "value": None, "metadata": {}},
            "c": {
                "type": "None",
                "value": None,
                "metadata": {"m": {"type": "None", "value": None}},
            },
        }

    def test_existing_entity_is_refused_and_left_alone(self, api: Api) -> None:
        api.create({"id": "E", "type": "T", "a": {"value": 1}})
        reply = api.post("/v2/entities", {"id": "E", "type": "T", "a": {"value": 2}})
        assert reply.refusal == (422, "Unprocessable", "Already Exists")
        assert api.get("/v2/entities/E", options="keyValues").json["a"] == 1

    def test_another_type_is_another_entity(self, api: Api) -> None:
        api.create({"id": "E", "type": "T1"}, {"id": "E", "type": "T2"}, {"id": "E"})
        assert [entity["type"] for entity in api.get("/v2/entities").json] == ["T1", "T2", "Thing"]

    def test_upsert_creates(self, api: Api) -> None:
        reply = api.post(
            "/v2/entities", {"id": "E", "type": "T", "a": {"value": 1}}, options="upsert"
        )
        # The manual says nothing of it, Orion's case upsert_op_as_create does.
        assert (reply.status, reply.headers["Location"]) == (204, "/v2/entities/E?type=T")
        assert api.get("/v2/entities/E", options="keyValues").json == {
            "id": "E",
            "type": "T",
            "a": 1,
        }

    def test_upsert_updates_and_appends(self, api: Api) -> None:
        api.create({"id": "E", "type": "T", "a": 1, "kept": "x"}, options="keyValues")
        reply = api.post(
            "/v2/entities", {"id": "E", "type": "T", "a": 2, "b": 3}, options="upsert,keyValues"
        )
        assert (reply.status, reply.headers["Location"]) == (204, "/v2/entities/E?type=T")
        assert api.get("/v2/entities", options="keyValues").json == [
            {"id": "E", "type": "T", "a": 2, "kept": "x", "b": 3}
        ]

    def test_refused_upsert_changes_nothing(self, api: Api) -> None:
        api.create({"id": "E", "type": "T", "a": 1}, options="keyValues")
        wrong = {"type": "geo:json", "value": {"type": "Point", "coordinates": [200, 0]}}
        reply = api.post(
            "/v2/entities",
            {"id": "E", "type": "T", "a": {"value": 2}, "p": wrong},
            options="upsert",
        )
        assert reply.status == 400
        assert api.get("/v2/entities/E", options="keyValues").json["a"] == 1

    def test_one_of_many_at_once(
        self, api: Api, connect: Callable[[BrokerProcess, str], Api]
    ) -> None:
        clients = [connect(api.broker, api.tenant) for _ in range(8)]
        with ThreadPoolExecutor(len(clients)) as pool:
            for number in range(20):
                document = {"id": f"E{number}", "type": "T"}
                posts = [pool.submit(client.post, "/v2/entities", document) for client in clients]
                statuses = sorted(post.result().status for post in posts)
                assert statuses == [201] + [422] * (len(clients) - 1)
        assert len(api.get("/v2/entities").json) == 20


class TestRefusedDocuments:
    @pytest.mark.parametrize(
        ("document", "description"),
        [
            ({"type": "T"}, "entity id length: 0, min length supported: 1"),
            ({"id": ""}, "entity id length: 0, min length supported: 1"),
            ({"id": 12}, "Invalid JSON type for entity id"),
            ({"id": True}, "Invalid JSON type for entity id"),
            ({"id": None}, "Invalid JSON type for entity id"),
            ({"id": "E", "type": 19}, "Invalid JSON type for entity type"),
            ({"id": "E", "type": None}, "Invalid JSON type for entity type"),
            ({"id": "E", "type": ""}, "entity type length: 0, min length supported: 1"),
            ({"id": "E", "": {}}, "attribute name length: 0, min length supported: 1"),
            (
                {"id": "E", "a": 1},
                "attribute must be a JSON object, unless keyValues option is used",
            ),
            (
                {"id": "E", "a": [1]},
                "attribute must be a JSON object, unless keyValues option is used",
            ),
            ({"id": "E", "a": {"type": 1}}, "invalid JSON type for attribute type"),
            ({"id": "E", "a": {"type": None}}, "invalid JSON type for attribute type"),
            ({"id": "E", "a": {"type": ""}}, "attribute type length: 0, min length supported: 1"),
            ({"id": "E", "a": {"foo": 1}}, "unrecognized property for context attribute"),
            ({"id": "E", "a": {"metadata": 1}}, "metadata not a JSON object"),
            ({"id": "E", "a": {"metadata": {"m": 1}}}, "metadata must be a JSON object"),
            (
                {"id": "E", "a": {"metadata": {"m": {"type": 1}}}},
                "invalid JSON type for attribute metadata type",
            ),
            (
                {"id": "E", "a": {"metadata": {"m": {"foo": 1}}}},
                "invalid JSON field for attribute metadata",
            ),
            (
                {"id": "E", "a": {"metadata": {"": {}}}},
                "metadata name length: 0, min length supported: 1",
            ),
            (
                {"id": "E", "a": {"metadata": {"m": {"type": ""}}}},
                "metadata type length: 0, min length supported: 1",
            ),
        ],
    )
    def test_field_at_fault_is_named(
        self, api: Api, document: dict[str, Any], description: str
    ) -> None:
        reply = api.post("/v2/entities", document)
        assert reply.refusal == (400, "BadRequest", description)
        assert api.get("/v2/entities").json == []

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b'{"id": "E"',
            b'{"id": "E"} {}',
            b"{'id': 'E'}",
            b'{"id": "E", 6: 1}',
            b'{"id": "E", "a": {"value": NaN}}',
            b'{"id": "E", "a": {"value": 01}}',
            b'{"id": "\xff\xfe"}',
            b'{"id": "E", "a": {"value": "\\ud800"}}',
            b"[]",
            b"12",
            b'"E"',
            b"null",
            b" ",
        ],
    )
    def test_what_is_no_json_object_is_a_parse_error(self, api: Api, body: bytes) -> None:
        assert api.post("/v2/entities", body).refusal == PARSE_ERROR

    @pytest.mark.parametrize(
        ("body", "description"),
        [
            (b'{"id":"E","attr":{},"attr":{"value":2}}', "duplicated attribute /attr/"),
            (b'{"id":"E","a":{"value":1,"value":2}}', "duplicated value key in attribute"),
            (b'{"id":"E","a":{"value":{"x":[{"y":1,"y":2}]}}}', "duplicated attribute /y/"),
            (b'{"id":"E","a":{"metadata":{"m":{},"m":{}}}}', "duplicated attribute /m/"),
            (b'{"id":"E","b":{"value":[{"k":1,"\\u006b":2}]}}', "duplicated attribute /k/"),
        ],
    )
    def test_repeated_members_are_refused(self, api: Api, body: bytes, description: str) -> None:
        # Orion has a case for the first two; the others follow them.
        assert api.post("/v2/entities", body).refusal == (400, "BadRequest", description)
        assert api.get("/v2/entities").json == []

    def test_last_of_repeated_id_and_type_counts(self, api: Api) -> None:
        reply = api.post("/v2/entities", b'{"id":"E1","type":"T1","id":"E2","type":"T2"}')
        assert (reply.status, reply.headers["Location"]) == (201, "/v2/entities/E2?type=T2")
        assert api.get("/v2/entities").json == [{"id": "E2", "type": "T2"}]

    def test_key_values_of_another_level_are_no_repetition(self, api: Api) -> None:
        api.create({"id": "E", "a": {"id": 1, "a": {"a": 2, "id": 3}}}, options="keyValues")
        assert api.get("/v2/entities/E", options="keyValues").json["a"] == {
            "id": 1,
            "a": {"a": 2, "id": 3},
        }

    def test_too_long_identity(self, api: Api) -> None:
        path = "/" + "/".join(["p" * 50] * 10)
        document = {"id": "i" * 256, "type": "t" * 256}
        reply = api.post("/v2/entities", document, service_path=path)
        assert reply.refusal == (
            400,
            "BadRequest",
            "Too long entity id/type/servicePath combination",
        )
        assert api.get("/v2/entities").json == []
        # Each of them alone is within its limit.
        api.create(document)


FIELDS = ["entity id", "entity type", "attribute name", "attribute type", "metadata name"]
FIELDS += ["metadata type"]


def document_with(field: str, text: str) -> dict[str, Any]:
    """An entity where one identifier is `text`."""
    name = dict.fromkeys(FIELDS, "x") | {field: text}
    return {
        "id": name["entity id"],
        "type": name["entity type"],
        name["attribute name"]: {
            "type": name["attribute type"],
            "value": 1,
            "metadata": {
                name["metadata name"]: {"type": name["metadata type"], "value": 1},
            },
        },
    }


class TestIdentifiers:
    @pytest.mark.parametrize("field", FIELDS)
    def test_longest(self, api: Api, field: str) -> None:
        document = document_with(field, "x" * 256)
        api.create(document)
        assert api.get("/v2/entities").json == [document]
        reply = api.post("/v2/entities", document_with(field, "x" * 257))
        description = f"{field} length: 257, max length supported: 256"
        assert reply.refusal == (400, "BadRequest", description)

    @pytest.mark.parametrize("field", FIELDS)
    def test_forbidden_characters(self, api: Api, field: str) -> None:
        for character in "<>\"'=;()?/#& \t\x00\x1f\x7fñ€😀":
            reply = api.post("/v2/entities", document_with(field, f"a{character}b"))
            expected = (400, "BadRequest", f"Invalid characters in {field}")
            assert reply.refusal == expected, character

    def test_all_other_ascii_is_allowed(self, api: Api) -> None:
        allowed = "".join(
            chr(code) for code in range(0x21, 0x7F) if chr(code) not in "<>\"'=;()?/#&"
        )
        for field in FIELDS:
            document = document_with(field, allowed)
            api.create(document)
            path, entity_type = f"/v2/entities/{quote(document['id'], safe='')}", document["type"]
            assert api.get(path, type=entity_type).json == document
            assert api.delete(path, type=entity_type).status == 204

    def test_percent_encoded_id_in_url(self, api: Api) -> None:
        # The id itself holds an encoding, so that its % is encoded once more in the URL.
        reply = api.post("/v2/entities", {"id": "E%3C01%3E", "type": "T"})
        assert reply.headers["Location"] == "/v2/entities/E%3C01%3E?type=T"
        assert api.get("/v2/entities/E%253C01%253E").json == {"id": "E%3C01%3E", "type": "T"}

    def test_url_is_decoded_once(self, api: Api) -> None:
        api.create({"id": "urn:x+y@z", "type": "T", "a:b": {"value": 1}})
        assert api.get("/v2/entities/urn%3Ax%2By%40z").json["id"] == "urn:x+y@z"
        assert api.get("/v2/entities/urn:x+y@z/attrs/a%3Ab").json["value"] == 1
        assert api.delete("/v2/entities/urn%3ax%2by%40z").status == 204


class TestRetrieve:
    def test_unknown(self, api: Api) -> None:
        assert api.get("/v2/entities/E").refusal == NOT_FOUND
        api.create({"id": "E", "type": "T"})
        assert api.get("/v2/entities/E", type="U").refusal == NOT_FOUND
        assert api.get("/v2/entities/e").refusal == NOT_FOUND

    def test_type_tells_entities_of_one_id_apart(self, api: Api) -> None:
        api.create({"id": "E", "type": "T1", "a": {"value": 1}})
        api.create({"id": "E", "type": "T2", "a": {"value": 2}})
        assert api.get("/v2/entities/E").refusal == TOO_MANY
        assert api.get("/v2/entities/E/attrs").refusal == TOO_MANY
        assert api.get("/v2/entities/E", type="T2", options="keyValues").json == {
            "id": "E",
            "type": "T2",
            "a": 2,
        }
        assert api.get("/v2/entities/E/attrs", type="T1", options="keyValues").json == {"a": 1}

    def test_attributes_alone(self, api: Api) -> None:
        api.create(ROOM)
        attributes = {name: ROOM[name] for name in ("temperature", "free")}
        assert api.get("/v2/entities/Room1/attrs").json == attributes
        assert api.get("/v2/entities/Room1/attrs", attrs="free").json == {"free": ROOM["free"]}
        assert api.get("/v2/entities/X/attrs").refusal == NOT_FOUND


class TestRemove:
    def test_removed_entity_is_gone_and_can_come_again(self, api: Api) -> None:
        api.create(ROOM)
        reply = api.delete("/v2/entities/Room1")
        assert (reply.status, reply.text) == (204, "")
        assert api.get("/v2/entities/Room1").refusal == NOT_FOUND
        assert api.get("/v2/entities").json == []
        assert api.delete("/v2/entities/Room1").refusal == NOT_FOUND
        api.create({"id": "Room1", "type": "Room"})
        assert api.get("/v2/entities/Room1").json == {"id": "Room1", "type": "Room"}

    def test_ambiguous_id_needs_the_type(self, api: Api) -> None:
        api.create({"id": "E", "type": "T1"}, {"id": "E", "type": "T2"})
        assert api.delete("/v2/entities/E").refusal == TOO_MANY
        assert api.delete("/v2/entities/E", type="T3").refusal == NOT_FOUND
        assert api.delete("/v2/entities/E", type="T1").status == 204
        assert api.get("/v2/entities").json == [{"id": "E", "type": "T2"}]


class TestList:
    @pytest.fixture(autouse=True)
    def _entities(self, api: Api) -> None:
        api.create(
            {"id": "Room1", "type": "Room"},
            {"id": "Room2", "type": "Room"},
            {"id": "Car1", "type": "Car"},
            {"id": "Car2", "type": "SportsCar"},
            {"id": "Room1", "type": "Hotel"},
        )

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({}, ["Room1", "Room2", "Car1", "Car2", "Room1"]),
            ({"id": "Room1"}, ["Room1", "Room1"]),
            ({"id": "Room2,Car1"}, ["Room2", "Car1"]),
            ({"id": "Car1,Room2,Car1,Nobody"}, ["Room2", "Car1"]),
            ({"id": "Nobody"}, []),
            ({"type": "Room"}, ["Room1", "Room2"]),
            ({"type": "Hotel,Car"}, ["Car1", "Room1"]),
            ({"type": "Nothing"}, []),
            ({"id": "Room1", "type": "Hotel"}, ["Room1"]),
            ({"id": "Room1,Car1", "type": "Room,Car"}, ["Room1", "Car1"]),
            ({"idPattern": "^Room"}, ["Room1", "Room2", "Room1"]),
            ({"idPattern": "2"}, ["Room2", "Car2"]),
            ({"idPattern": "^Car[12]$"}, ["Car1", "Car2"]),
            ({"idPattern": ".*"}, ["Room1", "Room2", "Car1", "Car2", "Room1"]),
            ({"idPattern": "(Room2|Car1)"}, ["Room2", "Car1"]),
            (
                {"idPattern": "[[:digit:]]$", "typePattern": "^[[:upper:]]o"},
                ["Room1", "Room2", "Room1"],
            ),
            ({"idPattern": "^[^R]+$"}, ["Car1", "Car2"]),
            ({"idPattern": "^.{4}$"}, ["Car1", "Car2"]),
            ({"idPattern": r"m\d+"}, ["Room1", "Room2", "Room1"]),
            ({"idPattern": "room"}, []),
            ({"typePattern": "Car"}, ["Car1", "Car2"]),
            ({"typePattern": "^Car$"}, ["Car1"]),
            ({"idPattern": "1$", "typePattern": "^(Room|Car)$"}, ["Room1", "Car1"]),
            ({"idPattern": "1$", "type": "Hotel"}, ["Room1"]),
            ({"id": "Room1", "typePattern": "o"}, ["Room1", "Room1"]),
            ({"id": "Room1", "typePattern": "^H"}, ["Room1"]),
        ],
    )
    def test_selection(self, api: Api, parameters: dict[str, str], expected: list[str]) -> None:
        assert ids(api, **parameters) == expected

    def test_exact_and_pattern_exclude_each_other(self, api: Api) -> None:
        reply = api.get("/v2/entities", id="Room1", idPattern=".*")
        assert reply.refusal == (400, "BadRequest", "Incompatible parameters: id, IdPattern")
        reply = api.get("/v2/entities", type="Room", typePattern=".*")
        assert reply.refusal == (400, "BadRequest", "Incompatible parameters: type, typePattern")

    @pytest.mark.parametrize("pattern", ["*", "(", "[a", "a{2,1}"])
    def test_invalid_patterns(self, api: Api, pattern: str) -> None:
        # Where POSIX leaves "a starred nothing" open, Orion's library refuses it.
        reply = api.get("/v2/entities", idPattern=pattern)
        assert reply.refusal == (400, "BadRequest", "Invalid regex for entity idPattern")
        reply = api.get("/v2/entities", typePattern=pattern)
        assert reply.refusal == (400, "BadRequest", "Invalid regex for entity typePattern")

    def test_hostile_pattern_is_answered(self, api: Api) -> None:
        api.create({"id": "a" * 200, "type": "T"})
        assert ids(api, idPattern="^(a+)+b$") == []
        assert ids(api, idPattern="^(a|aa)+$") == ["a" * 200]
