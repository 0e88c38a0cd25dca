"""POST /v2/op/update: all actions, what of a batch is done, and how the rest is told.

Source: Orion API, section "Update operation"; texts and codes from Orion's cases
error_responses_09*, 1715_batch_update and 3499_partial_update_response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Reply

ACTIONS = ["append", "appendStrict", "update", "replace", "delete"]
EXIST = "one or more of the attributes in the request already exist: "


def update(api: Api, action: str, *entities: dict[str, Any], **how: str) -> Reply:
    """The reply to a batch of entities given by their values."""
    document = {"actionType": action, "entities": list(entities)}
    options = ",".join(filter(None, ["keyValues", how.pop("options", "")]))
    return api.post("/v2/op/update", document, options=options, **how)


def state(api: Api) -> list[dict[str, Any]]:
    """All entities by their values."""
    entities: list[dict[str, Any]] = api.get("/v2/entities", options="keyValues", limit=1000).json
    return entities


def entity(name: str, /, **attributes: Any) -> dict[str, Any]:
    """An entity of type T by its values."""
    return {"id": name, "type": "T", **attributes}


class TestActions:
    def test_append(self, api: Api) -> None:
        reply = update(api, "append", entity("E1", A=1), entity("E2", A=2, B=3))
        assert (reply.status, reply.text) == (204, "")
        assert update(api, "append", entity("E2", B=4, C=5), entity("E3")).status == 204
        assert state(api) == [entity("E1", A=1), entity("E2", A=2, B=4, C=5), entity("E3")]

    def test_append_strict(self, api: Api) -> None:
        assert update(api, "appendStrict", entity("E1", A=1), entity("E2")).status == 204
        assert update(api, "appendStrict", entity("E1", B=2), entity("E2", A=1)).status == 204
        assert state(api) == [entity("E1", A=1, B=2), entity("E2", A=1)]

    def test_update(self, api: Api) -> None:
        update(api, "append", entity("E1", A=1, B=2), entity("E2", A=3))
        assert update(api, "update", entity("E1", B=4), entity("E2", A="x")).status == 204
        assert state(api) == [entity("E1", A=1, B=4), entity("E2", A="x")]

    def test_replace(self, api: Api) -> None:
        update(api, "append", entity("E1", A=1, B=2), entity("E2", A=3))
        assert update(api, "replace", entity("E1", C=4), entity("E2")).status == 204
        assert state(api) == [entity("E1", C=4), entity("E2")]

    def test_delete(self, api: Api) -> None:
        update(api, "append", entity("E1", A=1, B=2), entity("E2", A=3), entity("E3"))
        # Entities without attributes go as a whole; values of attributes do not matter.
        reply = update(api, "delete", entity("E1", A="any"), entity("E2"), entity("E3"))
        assert (reply.status, reply.text) == (204, "")
        assert state(api) == [entity("E1", B=2)]
        assert update(api, "delete", entity("E1", B=None), entity("E1")).status == 204
        assert state(api) == []

    @pytest.mark.parametrize(
        ("legacy", "action"),
        [
            ("APPEND", "append"),
            ("APPEND_STRICT", "appendStrict"),
            ("UPDATE", "update"),
            ("REPLACE", "replace"),
            ("DELETE", "delete"),
            ("append_strict", "appendStrict"),  # as ngsi-go writes it
            ("Update", "update"),
        ],
    )
    def test_names_of_ngsi_v1(self, api: Api, legacy: str, action: str) -> None:
        def run(name: str, prefix: str) -> tuple[int, list[dict[str, Any]]]:
            update(api, "append", entity(f"{prefix}1", A=1, B=2), entity(f"{prefix}2", A=1))
            reply = update(api, name, entity(f"{prefix}1", A=3), entity(f"{prefix}3", A=3))
            entities = [item for item in state(api) if item["id"].startswith(prefix)]
            return reply.status, [item | {"id": item["id"][1:]} for item in entities]

        assert run(legacy, "x") == run(action, "y")

    def test_entities_of_normalized_form(self, api: Api) -> None:
        whole = {
            "id": "E",
            "type": "T",
            "A": {"type": "Own", "value": [1], "metadata": {"m": {"type": "Text", "value": "x"}}},
            "B": {"type": "None", "value": None, "metadata": {}},
        }
        document = {"actionType": "append", "entities": [whole | {"B": {}}]}
        assert api.post("/v2/op/update", document).status == 204
        assert api.get("/v2/entities").json == [whole]

    def test_default_type_of_new_entities(self, api: Api) -> None:
        assert update(api, "append", {"id": "E", "A": 1}).status == 204
        assert state(api) == [{"id": "E", "type": "Thing", "A": 1}]

    def test_without_type_any_entity_of_the_id(self, api: Api) -> None:
        update(api, "append", entity("E", A=1))
        assert update(api, "append", {"id": "E", "A": 2}).status == 204
        assert update(api, "update", {"id": "E", "A": 3}).status == 204
        assert state(api) == [entity("E", A=3)]

    def test_one_entity_several_times(self, api: Api) -> None:
        updates = [entity("E", A=1), entity("E", B=2), entity("E", A=3)]
        assert update(api, "append", *updates).status == 204
        assert state(api) == [entity("E", A=3, B=2)]
        # Orion's case removes attributes and the entity itself in one request.
        assert update(api, "delete", entity("E", A=1), entity("E")).status == 204
        assert state(api) == []

    def test_many(self, api: Api) -> None:
        entities = [entity(f"E{n:03}", A=n) for n in range(1000)]
        assert update(api, "append", *entities).status == 204
        assert state(api) == entities

    @pytest.mark.parametrize("options", ["forcedUpdate", "flowControl", "overrideMetadata"])
    @pytest.mark.parametrize("action", ACTIONS)
    def test_options(self, api: Api, action: str, options: str) -> None:
        update(api, "append", entity("E", A=1, B=1))
        name = "C" if action == "appendStrict" else "A"
        assert update(api, action, entity("E", **{name: 2}), options=options).status == 204


class TestPartialFailures:
    """E1 and E2 have the attributes A and B; E3 and E4 do not exist."""

    @pytest.fixture(autouse=True)
    def _entities(self, api: Api) -> None:
        update(api, "append", entity("E1", A=1, B=2), entity("E2", A=1, B=2))

    @pytest.mark.parametrize("action", ["update", "delete"])
    @pytest.mark.parametrize(
        ("entities", "status", "error", "description"),
        [
            (
                {"E3": "AB", "E4": "AB"},
                404,
                "NotFound",
                "E3/T - [entity itself], E4/T [entity itself]",
            ),
            ({"E3": "AB"}, 404, "NotFound", "E3/T - [entity itself]"),
            ({"E1": "AB", "E3": "AB"}, 422, "PartialUpdate", "E3/T - [entity itself]"),
            ({"E1": "AC", "E2": "AB"}, 422, "PartialUpdate", "E1/T - [ C ]"),
            ({"E2": "AB", "E1": "AC"}, 422, "PartialUpdate", "E1/T - [ C ]"),
            (
                {"E1": "AC", "E3": "AB"},
                422,
                "PartialUpdate",
                "E1/T - [ C ], E3/T [entity itself]",
            ),
            (
                {"E1": "AC", "E2": "AC"},
                422,
                "PartialUpdate",
                "E1/T - [ C ], E2/T - [ C ]",
            ),
            ({"E1": "CD"}, 422, "Unprocessable", "E1/T - [ C, D ]"),
            (
                {"E1": "CD", "E3": "A"},
                422,
                "Unprocessable",
                "E1/T - [ C, D ], E3/T [entity itself]",
            ),
            (
                {"E1": "AD", "E3": "A"},
                422,
                "PartialUpdate",
                "E1/T - [ D ], E3/T [entity itself]",
            ),
            (
                {"E1": "CD", "E2": "C"},
                422,
                "Unprocessable",
                "E1/T - [ C, D ], E2/T - [ C ]",
            ),
        ],
    )
    def test_what_does_not_exist(
        self,
        api: Api,
        action: str,
        entities: dict[str, str],
        status: int,
        error: str,
        description: str,
    ) -> None:
        batch = [entity(name, **dict.fromkeys(names, 9)) for name, names in entities.items()]
        reply = update(api, action, *batch)
        assert reply.refusal == (status, error, f"do not exist: {description}")
        # What could be done was done.
        expected = []
        for name in ("E1", "E2"):
            touched = set(entities.get(name, "")) & {"A", "B"}
            attributes = {"A": 1, "B": 2}
            for touched_name in touched:
                if action == "update":
                    attributes[touched_name] = 9
                else:
                    del attributes[touched_name]
            expected.append(entity(name, **attributes))
        assert state(api) == expected

    def test_type_is_told_where_it_was_given(self, api: Api) -> None:
        reply = update(api, "update", {"id": "E1", "C": 1}, {"id": "E3", "A": 1})
        assert reply.refusal == (
            422,
            "Unprocessable",
            "do not exist: E1 - [ C ], E3 [entity itself]",
        )

    @pytest.mark.parametrize(
        ("names", "status", "error", "description"),
        [
            (["E3"], 404, "NotFound", "E3/T - [entity itself]"),
            (["E3", "E4"], 404, "NotFound", "E3/T - [entity itself], E4/T [entity itself]"),
            (["E1", "E3"], 422, "PartialUpdate", "E3/T - [entity itself]"),
            (["E3", "E1"], 422, "PartialUpdate", "E3/T - [entity itself]"),
        ],
    )
    def test_replace(
        self, api: Api, names: list[str], status: int, error: str, description: str
    ) -> None:
        reply = update(api, "replace", *(entity(name, C=3) for name in names))
        assert reply.refusal == (status, error, f"do not exist: {description}")
        first = entity("E1", C=3) if "E1" in names else entity("E1", A=1, B=2)
        assert state(api) == [first, entity("E2", A=1, B=2)]

    @pytest.mark.parametrize(
        ("entities", "error", "description"),
        [
            ({"E1": "AB"}, "Unprocessable", "E1/T - [ A, B ]"),
            ({"E1": "AB", "E2": "AB"}, "Unprocessable", "E1/T - [ A, B ], E2/T - [ A, B ]"),
            ({"E1": "CD", "E2": "AB"}, "PartialUpdate", "E2/T - [ A, B ]"),
            ({"E1": "AC", "E2": "CD"}, "PartialUpdate", "E1/T - [ A ]"),
            ({"E1": "AC", "E2": "AC"}, "PartialUpdate", "E1/T - [ A ], E2/T - [ A ]"),
            ({"E1": "AC", "E2": "AB"}, "PartialUpdate", "E1/T - [ A ], E2/T - [ A, B ]"),
            ({"E3": "AB", "E1": "A"}, "PartialUpdate", "E1/T - [ A ]"),
        ],
    )
    def test_append_strict(
        self, api: Api, entities: dict[str, str], error: str, description: str
    ) -> None:
        batch = [entity(name, **dict.fromkeys(names, 9)) for name, names in entities.items()]
        reply = update(api, "appendStrict", *batch)
        assert reply.refusal == (422, error, f"{EXIST}{description}")
        expected = {"E1": {"A": 1, "B": 2}, "E2": {"A": 1, "B": 2}}
        for name, names in entities.items():
            attributes = dict.fromkeys(names, 9) | expected.get(name, {})
            expected[name] = expected.get(name, {}) | attributes
        assert {item["id"]: item for item in state(api)} == {
            name: entity(name, **attributes) for name, attributes in expected.items()
        }

    def test_removed_entity_is_missing_afterwards(self, api: Api) -> None:
        reply = update(api, "delete", entity("E1"), entity("E1"))
        assert reply.refusal == (422, "PartialUpdate", "do not exist: E1/T - [entity itself]")

    def test_ambiguous_id(self, api: Api) -> None:
        api.create({"id": "E1", "type": "U"})
        reply = update(api, "append", entity("E2", A=5), {"id": "E1", "A": 9})
        assert reply.refusal == (
            409,
            "TooManyResults",
            "More than one matching entity. Please refine your query",
        )
        assert api.get("/v2/entities", type="T", options="keyValues").json == [
            entity("E1", A=1, B=2),
            entity("E2", A=5, B=2),
        ]

    def test_entity_that_cannot_be_as_asked(self, api: Api) -> None:
        def point(lon: int) -> dict[str, Any]:
            value = {"type": "Point", "coordinates": [lon, 0]}
            return {"type": "geo:json", "value": value}

        batch = [
            {"id": "E1", "type": "T", "A": {"value": 7}, "p1": point(1), "p2": point(2)},
            {"id": "E2", "type": "T", "A": {"value": 7}, "p1": point(1)},
        ]
        reply = api.post("/v2/op/update", {"actionType": "append", "entities": batch})
        assert reply.refusal[:2] == (413, "NoResourcesAvailable")
        # Nothing of the one, all of the other.
        assert state(api) == [
            entity("E1", A=1, B=2),
            entity("E2", A=7, B=2, p1={"type": "Point", "coordinates": [1, 0]}),
        ]


class TestRefusedDocuments:
    @pytest.mark.parametrize(
        ("document", "refusal"),
        [
            ({}, (400, "BadRequest", "empty payload")),
            (
                {"entities": [{"id": "E"}]},
                (400, "BadRequest", "Invalid JSON payload, mandatory field /actionType/ not found"),
            ),
            (
                {"actionType": "append"},
                (400, "BadRequest", "Invalid JSON payload, mandatory field /entities/ not found"),
            ),
            (
                {"actionType": "append", "entities": [{"id": "E"}], "foo": 6},
                (400, "BadRequest", "Unrecognized field in JSON payload: /foo/"),
            ),
            (
                {"actionType": "append", "entities": []},
                (400, "BadRequest", "empty entities vector"),
            ),
            (
                {"actionType": "append", "entities": {"id": "E"}},
                (400, "BadRequest", "not a JSON array"),
            ),
            (
                {"actionType": "append", "entities": [{"type": "T"}]},
                (400, "BadRequest", "nor /id/ nor /idPattern/ present"),
            ),
            (
                {"actionType": "append", "entities": [{"id": ""}]},
                (400, "BadRequest", "id and idPattern cannot be both empty at the same time"),
            ),
            (
                {"actionType": "append", "entities": [{"id": 1}]},
                (400, "BadRequest", "Invalid JSON type for entity id"),
            ),
            (
                {"actionType": "append", "entities": [{"id": "E", "type": 1}]},
                (400, "BadRequest", "Invalid JSON type for entity type"),
            ),
            (
                {"actionType": "append", "entities": [{"id": "E", "type": ""}]},
                (400, "BadRequest", "entity type length: 0, min length supported: 1"),
            ),
            (
                {"actionType": "append", "entities": [{"id": "E", "type": "x" * 257}]},
                (400, "BadRequest", "entity type length: 257, max length supported: 256"),
            ),
            (
                {"actionType": "append", "entities": [{"id": "x" * 257}]},
                (400, "BadRequest", "entity id length: 257, max length supported: 256"),
            ),
            (
                {"actionType": "append", "entities": [{"id": "a b"}]},
                (400, "BadRequest", "Invalid characters in entity id"),
            ),
            (
                {"actionType": "append", "entities": [{"id": "E", "type": "ñ"}]},
                (400, "BadRequest", "Invalid characters in entity type"),
            ),
            (
                {"actionType": "append", "entities": [{"id": "E", "A": 9}]},
                (
                    400,
                    "BadRequest",
                    "attribute must be a JSON object, unless keyValues option is used",
                ),
            ),
            (
                {"actionType": "append", "entities": [{"id": "E", "A": {"value": "a(b"}}]},
                (400, "BadRequest", "Invalid characters in attribute value"),
            ),
            (
                {"actionType": "append", "entities": [{"id": "E", "A": {"type": ""}}]},
                (400, "BadRequest", "attribute type length: 0, min length supported: 1"),
            ),
            (
                {"actionType": "append", "entities": [{"id": "E", "A b": {"value": 1}}]},
                (400, "BadRequest", "Invalid characters in attribute name"),
            ),
            (
                {
                    "actionType": "append",
                    "entities": [{"id": "E", "A": {"type": "DateTime", "value": "x"}}],
                },
                (400, "BadRequest", "date has invalid format in attribute value"),
            ),
        ],
    )
    def test_refused_as_a_whole(
        self, api: Api, document: dict[str, Any], refusal: tuple[int, str, str]
    ) -> None:
        assert api.post("/v2/op/update", document).refusal == refusal
        if isinstance(document.get("entities"), list):
            # Even entities before the one at fault are not touched.
            good = {"id": "Good", "A": {"value": 1}}
            whole = document | {"entities": [good, *document["entities"]]}
            if document["entities"]:
                assert api.post("/v2/op/update", whole).refusal == refusal
        assert state(api) == []

    @pytest.mark.parametrize("action", ["foo", "APPENDSTRICT", "append-strict", "", 1, None, []])
    def test_unknown_action(self, api: Api, action: Any) -> None:
        document = {"actionType": action, "entities": [{"id": "E"}]}
        assert api.post("/v2/op/update", document).refusal == (
            400,
            "BadRequest",
            "invalid update action type: right ones are: "
            "append, appendStric, delete, replace, update",
        )
        assert state(api) == []

    @pytest.mark.parametrize("body", [b"invalid JSON payload", b"[]", b'{"actionType":', b"3"])
    def test_no_json_object(self, api: Api, body: bytes) -> None:
        refusal = (400, "ParseError", "Errors found in incoming JSON buffer")
        assert api.post("/v2/op/update", body).refusal == refusal

    def test_entity_that_is_no_object(self, api: Api) -> None:
        for item in (1, "E", None, [], [{"id": "E"}]):
            document = {"actionType": "append", "entities": [item]}
            status, error, _ = api.post("/v2/op/update", document).refusal
            assert (status, error) == (400, "BadRequest")

    @pytest.mark.parametrize("action", ACTIONS)
    def test_patterns(self, api: Api, action: str) -> None:
        update(api, "append", entity("E1", A=1))
        for pattern in (".*", "E.*"):
            document = {
                "actionType": action,
                "entities": [{"idPattern": pattern, "type": "T", "A": {"value": 3}}],
            }
            reply = api.post("/v2/op/update", document)
            assert reply.refusal == (501, "NotImplemented", "NotImplemented")
        assert state(api) == [entity("E1", A=1)]

    def test_get_is_no_batch(self, api: Api) -> None:
        reply = api.get("/v2/op/update")
        assert reply.refusal == (405, "MethodNotAllowed", "method not allowed")
        assert reply.headers["Allow"] == "POST"
