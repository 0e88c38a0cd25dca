"""NGSI10's updateContext and queryContext, their convenience operations, and NGSIv2 beside them.

Sources: FI-WARE NGSI-10; codes, texts and shapes of Orion 3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

OK = {"code": "200", "reasonPhrase": "OK"}
ROOTS = ["/v1", "/NGSI10"]


def attribute(name: str, value: Any, type: str = "string", **metadata: str) -> dict[str, Any]:
    """An attribute of a context element."""
    document: dict[str, Any] = {"name": name, "type": type, "value": value}
    if metadata:
        document["metadatas"] = [
            {"name": item, "type": "string", "value": text} for item, text in metadata.items()
        ]
    return document


def element(entity: str, *attributes: dict[str, Any], type: str = "T") -> dict[str, Any]:
    """A context element."""
    document: dict[str, Any] = {"type": type, "isPattern": "false", "id": entity}
    if attributes:
        document["attributes"] = list(attributes)
    return document


def update(api: Api, action: str, *elements: dict[str, Any], root: str = "/v1") -> Any:
    """The answer of updateContext."""
    body = {"contextElements": list(elements), "updateAction": action}
    reply = api.post(f"{root}/updateContext", body)
    assert reply.status == 200
    return reply.json


def statuses(answer: Any) -> list[str]:
    """The status codes of an answer."""
    return [response["statusCode"]["code"] for response in answer["contextResponses"]]


def query(api: Api, *, root: str = "/v1", parameters: str = "", **body: Any) -> Any:
    """The answer of queryContext about everything, or what `body` says."""
    body.setdefault("entities", [{"type": "", "isPattern": "true", "id": ".*"}])
    return api.post(f"{root}/queryContext{parameters}", body).json


def found(answer: Any) -> list[str]:
    """The ids of an answer's elements."""
    return [response["contextElement"]["id"] for response in answer.get("contextResponses", [])]


class TestUpdates:
    @pytest.mark.parametrize("root", ROOTS)
    def test_append_and_query(self, api: Api, root: str) -> None:
        room = element("R1", attribute("temperature", "23", "float", unit="C"))
        answer = update(api, "APPEND", room, root=root)
        updated = element("R1", attribute("temperature", "", "float", unit="C"))
        expected = {"contextResponses": [{"contextElement": updated, "statusCode": OK}]}
        assert answer == expected
        assert query(api, root=root) == {
            "contextResponses": [{"contextElement": room, "statusCode": OK}]
        }

    def test_each_element_has_its_own_outcome(self, api: Api) -> None:
        update(api, "APPEND", element("E1", attribute("A", "1")))
        answer = update(
            api,
            "UPDATE",
            element("E1", attribute("A", "2")),
            element("E2", attribute("A", "3")),
            element("E1", attribute("B", "4"), attribute("A", "5")),
        )
        # What exists of the last was updated, and the rest is told apart.
        assert statuses(answer) == ["200", "404", "200", "404"]
        left = answer["contextResponses"][3]["contextElement"]["attributes"]
        assert [item["name"] for item in left] == ["B"]
        assert api.get("/v2/entities/E1/attrs/A/value").text == '"5"'

    def test_without_a_type_all_entities_of_the_id_are_updated(self, api: Api) -> None:
        for kind in ("T1", "T2"):
            update(api, "APPEND", element("E", attribute("A", "1"), type=kind))
        answer = update(api, "UPDATE", {"id": "E", "attributes": [attribute("A", "2")]})
        elements = [response["contextElement"] for response in answer["contextResponses"]]
        assert [item["type"] for item in elements] == ["T1", "T2"]
        values = [item["A"]["value"] for item in api.get("/v2/entities").json]
        assert values == ["2", "2"]

    def test_what_an_attribute_leaves_out_it_keeps(self, api: Api) -> None:
        update(api, "APPEND", element("E", attribute("A", "1", "number")))
        assert statuses(update(api, "UPDATE", element("E", {"name": "A", "value": "2"}))) == ["200"]
        assert statuses(update(api, "UPDATE", element("E", {"name": "A", "type": "n"}))) == ["200"]
        shown = api.get("/v2/entities/E/attrs/A").json
        assert shown == {"type": "n", "value": "2", "metadata": {}}

    def test_strict_append_and_replace_and_delete(self, api: Api) -> None:
        update(api, "APPEND", element("E", attribute("A", "1"), attribute("B", "2")))
        answer = update(
            api, "APPEND_STRICT", element("E", attribute("B", "3"), attribute("C", "4"))
        )
        assert statuses(answer) == ["200", "400"]
        update(api, "REPLACE", element("E", attribute("D", "5")))
        assert list(api.get("/v2/entities/E").json) == ["id", "type", "D"]
        assert statuses(update(api, "DELETE", element("E", {"name": "X"}))) == ["472"]
        assert statuses(update(api, "DELETE", element("E"))) == ["200"]
        assert query(api)["errorCode"]["code"] == "404"

    @pytest.mark.parametrize(
        ("body", "details"),
        [
            ({"updateAction": "APPEND"}, "No context elements"),
            ({"contextElements": [{"type": "T"}], "updateAction": "APPEND"}, "empty entityId:id"),
            ({"contextElements": [{"id": "E"}]}, "empty update action type"),
            ({"contextElements": [{"id": "E"}], "updateAction": "X"}, "invalid update action: /X/"),
            (
                {"contextElements": [{"id": "E", "x": 1}], "updateAction": "APPEND"},
                "JSON Parse Error: unknown field: /contextElements/contextElement/x",
            ),
        ],
    )
    def test_bad_requests(self, api: Api, body: Any, details: str) -> None:
        reply = api.post("/v1/updateContext", body)
        error = {"code": "400", "reasonPhrase": "Bad Request", "details": details}
        assert (reply.status, reply.json) == (200, {"errorCode": error})
        assert api.get("/v2/entities").json == []

    def test_an_attribute_twice_changes_nothing(self, api: Api) -> None:
        answer = update(api, "APPEND", element("E", attribute("A", "1"), attribute("A", "2")))
        assert statuses(answer) == ["422"]
        assert api.get("/v2/entities").json == []


class TestQueries:
    def test_by_type_and_attributes(self, api: Api) -> None:
        update(api, "APPEND", element("E1", attribute("A", "1")), element("E2", type="U"))
        by_type = query(api, entities=[{"type": "U", "isPattern": "true", "id": "E.*"}])
        assert found(by_type) == ["E2"]
        assert found(query(api, attributes=["A"])) == ["E1"]

    def test_pages_and_details(self, api: Api) -> None:
        update(api, "APPEND", *(element(f"E{number}") for number in range(5)))
        answer = query(api, parameters="?limit=2&offset=1&details=on")
        assert found(answer) == ["E1", "E2"]
        assert answer["errorCode"] == {**OK, "details": "Count: 5"}
        answer = query(api, parameters="?offset=9&details=on")
        details = "Number of matching entities: 5. Offset is 9"
        assert answer["errorCode"]["details"] == details

    def test_attributes_as_object(self, api: Api) -> None:
        update(api, "APPEND", element("E", attribute("A", "1")))
        answer = query(api, parameters="?attributeFormat=object")
        shown = answer["contextResponses"][0]["contextElement"]["attributes"]
        assert shown == {"A": {"type": "string", "value": "1"}}

    def test_scopes(self, api: Api) -> None:
        for name, place in (("Madrid", "40.418889, -3.691944"), ("Leganes", "40.316667, -3.75")):
            position = attribute("position", place, "coords", location="WGS84")
            update(api, "APPEND", element(name, position, attribute("size", name), type="City"))

        def within(radius: str, inverted: str = "false") -> list[str]:
            circle = {
                "centerLatitude": "40.418889",
                "centerLongitude": "-3.691944",
                "radius": radius,
                "inverted": inverted,
            }
            scope = {"type": "FIWARE::Location", "value": {"circle": circle}}
            return found(query(api, restriction={"scopes": [scope]}))

        assert within("2000") == ["Madrid"]
        assert within("15000") == ["Madrid", "Leganes"]
        assert within("2000", "true") == ["Leganes"]
        scope = {"type": "FIWARE::StringQuery", "value": "size=='Leganes'"}
        assert found(query(api, restriction={"scopes": [scope]})) == ["Leganes"]
        # NGSIv2 finds the places of NGSIv1.
        near = api.get(
            "/v2/entities",
            georel="near;maxDistance:2000",
            geometry="point",
            coords="40.418889,-3.691944",
        )
        assert [item["id"] for item in near.json] == ["Madrid"]


class TestConvenience:
    def test_entity(self, api: Api) -> None:
        path = "/v1/contextEntities/type/T/id/E"
        created = api.post(path, {"attributes": [attribute("A", "1")]}).json
        attributes = [attribute("A", "")]
        assert created == {
            "type": "T",
            "isPattern": "false",
            "id": "E",
            "contextResponses": [{"attributes": attributes, "statusCode": OK}],
        }
        changed = api.put(path, {"attributes": [attribute("A", "2")]}).json
        assert changed == {"contextResponses": [{"attributes": attributes, "statusCode": OK}]}
        expected = {"contextElement": element("E", attribute("A", "2")), "statusCode": OK}
        assert api.get(path).json == api.get("/v1/contextEntities/E").json == expected
        assert api.delete(path).json == OK
        assert api.get("/v1/contextEntities/E").json["statusCode"]["code"] == "404"

    def test_attribute(self, api: Api) -> None:
        path = "/v1/contextEntities/E/attributes/A"
        assert api.post(path, {"type": "n", "value": "1"}).json == OK
        assert api.put(path, {"value": "2"}).json == OK
        assert api.get(path).json == {"attributes": [attribute("A", "2", "n")], "statusCode": OK}
        assert api.delete(path).json == OK
        assert api.delete(path).json["code"] == "472"

    def test_an_entity_without_attributes(self, api: Api) -> None:
        created = api.post("/v1/contextEntities/type/T/id/E", {}).json
        assert created["contextResponses"] == [{"statusCode": OK}]
        other = api.get("/v1/contextEntities/type/T/id/E/attributes/A?entity::type=U").json
        assert other["statusCode"]["details"] == "non-matching entity::types in URL"

    def test_entities_of_a_type(self, api: Api) -> None:
        update(api, "APPEND", element("E1", attribute("A", "1")), element("E2", type="U"))
        assert found(api.get("/v1/contextEntityTypes/T").json) == ["E1"]
        assert found(api.get("/v1/contextEntityTypes/T/attributes/A").json) == ["E1"]
        missing = api.get("/v1/contextEntityTypes/X").json["errorCode"]
        assert missing["details"] == "entityId::type /X/ non-existent"

    def test_entities_without_a_type(self, api: Api) -> None:
        update(api, "APPEND", element("E", attribute("A", "1"), type=""))
        update(api, "APPEND", element("F", type="T"))
        assert found(api.get("/v1/contextEntities?!exist=entity::type").json) == ["E"]
        assert found(api.get("/v1/contextEntities?exist=entity::type").json) == ["F"]
        assert [item["type"] for item in api.get("/v2/entities").json] == ["Thing", "T"]


class TestInterworking:
    def test_values_of_ngsiv2_keep_their_types(self, api: Api) -> None:
        entity = {"id": "E", "type": "T", "n": 5, "b": True, "z": None, "o": {"x": [1, 2.5]}}
        api.post("/v2/entities", entity, options="keyValues")
        attributes = api.get("/v1/contextEntities/E").json["contextElement"]["attributes"]
        values = {item["name"]: item["value"] for item in attributes}
        assert values == {"b": True, "n": 5, "o": {"x": [1, 2.5]}, "z": None}

    def test_values_of_ngsiv1_are_text(self, api: Api) -> None:
        update(api, "APPEND", element("E", attribute("A", 5), attribute("B", {"x": [1, True]})))
        entity = api.get("/v2/entities/E", options="keyValues").json
        assert entity == {"id": "E", "type": "T", "A": "5", "B": {"x": ["1", "true"]}}

    def test_letters_of_a_path_are_of_either_case(self, api: Api) -> None:
        reply = api.get("/V1/CONTEXTENTITIES")
        assert reply.json["errorCode"]["code"] == "404"
        unknown = api.get("/v1/nothing")
        assert (unknown.status, unknown.json["orionError"]["code"]) == (400, "400")
        assert api.delete("/v1/updateContext").status == 405
