"""Entity types: /v2/types and /v2/types/{type}.

Source: Orion API, section "Types"; Orion's cases for issues 1027, 1028, 1170, 2073, 2115,
4216 and 4451.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

NOT_FOUND = (404, "NotFound", "Entity type not found")


def attribute_types(**attributes: list[str]) -> dict[str, Any]:
    """The attributes of a type as they are shown."""
    return {name: {"types": types} for name, types in attributes.items()}


@pytest.fixture
def entities(api: Api) -> None:
    """Entities of the types T1, T2, T3 and Thing, not created in that order."""
    api.create(
        {"id": "E3", "type": "T3", "A2": {"type": "Int"}, "A4": {"type": "String"}},
        {"id": "E0", "A": {"value": 1}},
        {"id": "E1", "type": "T1", "A1": {"type": "String"}, "A2": {"type": "Int"}},
        {"id": "E2", "type": "T2"},
        {"id": "E4", "type": "T3", "A4": {"type": "Cadena"}, "A3": {"type": "Bool"}},
    )


T1 = {"attrs": attribute_types(A1=["String"], A2=["Int"]), "count": 1}
T2 = {"attrs": {}, "count": 1}
T3 = {"attrs": attribute_types(A2=["Int"], A3=["Bool"], A4=["Cadena", "String"]), "count": 2}
THING = {"attrs": attribute_types(A=["Number"]), "count": 1}
ALL = [
    {"type": "T1", **T1},
    {"type": "T2", **T2},
    {"type": "T3", **T3},
    {"type": "Thing", **THING},
]


class TestList:
    def test_none(self, api: Api) -> None:
        reply = api.get("/v2/types", options="count")
        assert (reply.json, reply.headers["Fiware-Total-Count"]) == ([], "0")
        assert api.get("/v2/types", options="values").json == []

    @pytest.mark.usefixtures("entities")
    def test_in_alphabetical_order(self, api: Api) -> None:
        reply = api.get("/v2/types")
        assert reply.json == ALL
        assert "Fiware-Total-Count" not in reply.headers

    @pytest.mark.usefixtures("entities")
    def test_names_alone(self, api: Api) -> None:
        assert api.get("/v2/types", options="values").json == ["T1", "T2", "T3", "Thing"]

    @pytest.mark.usefixtures("entities")
    @pytest.mark.parametrize(
        ("limit", "offset", "expected"), [(2, 0, ALL[:2]), (2, 3, ALL[3:]), (0, 0, []), (5, 9, [])]
    )
    def test_pages(self, api: Api, limit: int, offset: int, expected: list[Any]) -> None:
        reply = api.get("/v2/types", limit=limit, offset=offset, options="count")
        assert (reply.json, reply.headers["Fiware-Total-Count"]) == (expected, "4")
        reply = api.get("/v2/types", limit=limit, offset=offset, options="count,values")
        assert reply.json == [item["type"] for item in expected]
        assert reply.headers["Fiware-Total-Count"] == "4"

    @pytest.mark.usefixtures("entities")
    def test_without_detail(self, api: Api) -> None:
        listed = api.get("/v2/types", options="noAttrDetail").json
        assert listed[0] == {"type": "T1", "attrs": attribute_types(A1=[], A2=[]), "count": 1}
        assert listed[2]["attrs"] == attribute_types(A2=[], A3=[], A4=[])

    def test_many(self, api: Api) -> None:
        names = [f"T{n:02}" for n in range(25)]
        document = {"actionType": "append", "entities": [{"id": "E", "type": n} for n in names]}
        api.post("/v2/op/update", document)
        assert api.get("/v2/types", options="values").json == names[:20]
        assert api.get("/v2/types", options="values", offset=20).json == names[20:]


@pytest.mark.usefixtures("entities")
class TestOne:
    @pytest.mark.parametrize(
        ("name", "expected"), [("T1", T1), ("T2", T2), ("T3", T3), ("Thing", THING)]
    )
    def test_known(self, api: Api, name: str, expected: dict[str, Any]) -> None:
        assert api.get(f"/v2/types/{name}").json == expected

    def test_without_detail(self, api: Api) -> None:
        expected = {"attrs": attribute_types(A1=[], A2=[]), "count": 1}
        assert api.get("/v2/types/T1", options="noAttrDetail").json == expected

    def test_unknown(self, api: Api) -> None:
        assert api.get("/v2/types/T4").refusal == NOT_FOUND
        assert api.get("/v2/types/t1").refusal == NOT_FOUND

    def test_name_in_the_url_is_decoded(self, api: Api) -> None:
        api.create({"id": "E", "type": "urn:a+b%3C"})
        assert api.get("/v2/types/urn%3Aa%2Bb%253C").json == {"attrs": {}, "count": 1}


class TestChanges:
    def test_types_come_and_go_with_entities(self, api: Api) -> None:
        api.create({"id": "E", "type": "T", "A": {"value": 1}}, {"id": "F", "type": "T"})
        assert api.get("/v2/types/T").json == {
            "attrs": attribute_types(A=["Number"]),
            "count": 2,
        }
        api.patch("/v2/entities/E/attrs", {"A": {"type": "Own", "value": 1}})
        api.post("/v2/entities/F/attrs", {"A": {"value": "x"}})
        assert api.get("/v2/types/T").json["attrs"] == attribute_types(A=["Own", "Text"])
        api.delete("/v2/entities/E/attrs/A")
        assert api.get("/v2/types/T").json["attrs"] == attribute_types(A=["Text"])
        api.delete("/v2/entities/F")
        assert api.get("/v2/types/T").json == {"attrs": {}, "count": 1}
        api.delete("/v2/entities/E")
        assert api.get("/v2/types/T").refusal == NOT_FOUND
        assert api.get("/v2/types").json == []

    def test_expiry_is_no_attribute(self, api: Api) -> None:
        date = {"type": "DateTime", "value": "2100-01-01"}
        api.create({"id": "E", "type": "T", "A": {"value": 1}, "dateExpires": date})
        attributes = attribute_types(A=["Number"])
        assert api.get("/v2/types/T").json["attrs"] == attributes
        assert api.get("/v2/types").json[0]["attrs"] == attributes
        assert "dateExpires" not in api.get("/v2/types", options="noAttrDetail").text

    def test_service_paths(self, api: Api) -> None:
        api.create({"id": "E", "type": "T1", "A": {"value": 1}}, service_path="/a")
        api.create({"id": "F", "type": "T1", "B": {"value": 1}}, service_path="/a/b")
        api.create({"id": "G", "type": "T2"}, service_path="/c")
        assert api.get("/v2/types", options="values").json == ["T1", "T2"]
        assert api.get("/v2/types", service_path="/a").json == [
            {"type": "T1", "attrs": attribute_types(A=["Number"]), "count": 1}
        ]
        both = {"attrs": attribute_types(A=["Number"], B=["Number"]), "count": 2}
        assert api.get("/v2/types/T1", service_path="/a/#").json == both
        reply = api.get("/v2/types", service_path="/c,/a/b", options="count,values")
        assert (reply.json, reply.headers["Fiware-Total-Count"]) == (["T1", "T2"], "2")
        assert api.get("/v2/types/T1", service_path="/c").refusal == NOT_FOUND
        assert api.get("/v2/types", service_path="/d").json == []
