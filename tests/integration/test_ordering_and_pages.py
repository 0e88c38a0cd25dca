"""Lists of entities in order and page by page: orderBy, limit, offset, count.

Source: Orion API, sections "Pagination", "Ordering Results", "Ties"; Orion's cases for issues
1103, 1492, 2934 and 4664. The order by distance: test_geo_queries.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Reply

DUPLICATE = (400, "BadRequest", "duplicate orderBy token detected")


def append(api: Api, entities: list[dict[str, Any]], **how: str) -> None:
    """Create the entities, given by their values, with one request."""
    document = {"actionType": "append", "entities": entities}
    reply = api.post("/v2/op/update", document, options="keyValues", **how)
    assert reply.status == 204, reply


def ids(reply: Reply) -> list[str]:
    """The ids of the entities in a reply."""
    assert reply.status == 200, reply
    return [entity["id"] for entity in reply.json]


def ordered(api: Api, order_by: str, **parameters: str | int) -> list[str]:
    """The ids in that order; GET and POST /v2/op/query must agree on it."""
    found = ids(api.get("/v2/entities", orderBy=order_by, **parameters))
    everything = {"entities": [{"idPattern": ".*"}]}
    assert ids(api.post("/v2/op/query", everything, orderBy=order_by, **parameters)) == found
    return found


# From lowest to highest.
MIXED: list[tuple[str, dict[str, Any]]] = [
    ("missing", {}),
    ("minus", {"A": -5}),
    ("zero", {"A": 0}),
    ("half", {"A": 0.5}),
    ("ten", {"A": 10}),
    ("big", {"A": 1e30}),
    ("empty", {"A": ""}),
    ("digits", {"A": "10"}),
    ("upper", {"A": "B"}),
    ("lower", {"A": "a"}),
    ("accent", {"A": "é"}),
    ("astral", {"A": "😀"}),
    ("object", {"A": {"x": 1}}),
    ("array", {"A": [1, 2]}),
    ("false", {"A": False}),
    ("true", {"A": True}),
]


class TestOrder:
    def test_by_creation_unless_asked(self, api: Api) -> None:
        append(api, [{"id": name} for name in ("C", "A", "B")])
        assert ids(api.get("/v2/entities")) == ["C", "A", "B"]
        api.patch("/v2/entities/C/attrs", {"x": {"value": 1}})
        api.delete("/v2/entities/A")
        append(api, [{"id": "A"}])
        assert ids(api.get("/v2/entities")) == ["C", "B", "A"]

    def test_values_of_all_kinds(self, api: Api) -> None:
        names = [name for name, _ in MIXED]
        shuffled = random.Random(4).sample(MIXED, len(MIXED))
        append(api, [{"id": name, **attributes} for name, attributes in shuffled])
        assert ordered(api, "A") == names
        assert ordered(api, "!A") == names[::-1]
        assert ordered(api, "A", limit=5, offset=3) == names[3:8]
        assert ordered(api, "!A", limit=5, offset=3) == names[::-1][3:8]

    def test_null_is_like_missing(self, api: Api) -> None:
        append(api, [{"id": "one", "A": 1}, {"id": "null", "A": None}, {"id": "none"}])
        assert ordered(api, "A,id") == ["none", "null", "one"]

    def test_dates(self, api: Api) -> None:
        for name, date in [
            ("late", "2030-01-01T00:00:00Z"),
            ("early", "2029-12-31T23:30:00-01:00"),  # half past midnight in UTC
            ("first", "1999-05-05"),
        ]:
            api.create({"id": name, "A": {"type": "DateTime", "value": date}})
        assert ordered(api, "A") == ["first", "late", "early"]

    def test_several_tokens(self, api: Api) -> None:
        people = [
            ("U1", "John", 36),
            ("U2", "John", 37),
            ("U3", "Jane", 27),
            ("U4", "Jane", 18),
            ("U5", "Ann", 27),
        ]
        append(api, [{"id": id_, "name": name, "age": age} for id_, name, age in people])
        assert ordered(api, "name,age") == ["U5", "U4", "U3", "U1", "U2"]
        assert ordered(api, "name,!age") == ["U5", "U3", "U4", "U2", "U1"]
        assert ordered(api, "!name,age") == ["U1", "U2", "U4", "U3", "U5"]
        assert ordered(api, "age,!name") == ["U4", "U3", "U5", "U1", "U2"]
        assert ordered(api, "age,name,id") == ["U4", "U5", "U3", "U1", "U2"]
        assert ordered(api, "!age,id", limit=2, offset=1) == ["U1", "U3"]

    def test_by_id_and_type(self, api: Api) -> None:
        pairs = [("E2", "B"), ("E1", "B"), ("E10", "A"), ("E1", "A")]
        append(api, [{"id": id_, "type": type_, "n": n} for n, (id_, type_) in enumerate(pairs)])
        assert ordered(api, "id,type") == ["E1", "E1", "E10", "E2"]
        assert ordered(api, "!id,type") == ["E2", "E10", "E1", "E1"]
        by_type = api.get("/v2/entities", orderBy="type,!id", options="keyValues").json
        assert [(entity["id"], entity["type"]) for entity in by_type] == [
            ("E10", "A"),
            ("E1", "A"),
            ("E2", "B"),
            ("E1", "B"),
        ]

    def test_by_builtin_attributes(self, api: Api) -> None:
        append(api, [{"id": "new"}], service_path="/b")
        append(api, [{"id": "old"}, {"id": "oldest"}], service_path="/a")
        assert ordered(api, "servicePath,id") == ["old", "oldest", "new"]
        assert ordered(api, "!servicePath,id") == ["new", "old", "oldest"]
        # Created within one millisecond or not: never the wrong way round.
        created = [
            entity["dateCreated"]["value"]
            for entity in api.get("/v2/entities", attrs="dateCreated", orderBy="dateCreated").json
        ]
        assert created == sorted(created)
        assert set(ordered(api, "!dateCreated")) == {"new", "old", "oldest"}
        # An update makes it the last modified; the clock counts milliseconds, so that it may
        # take more than one.
        everything = {"attrs": "dateModified", "options": "values"}
        former = max(date for (date,) in api.get("/v2/entities", **everything).json)
        for value in range(100):
            api.post("/v2/entities/old/attrs", {"A": {"value": value}}, service_path="/a")
            if api.get("/v2/entities/old", **everything).json > [former]:
                break
        assert ordered(api, "dateModified")[-1] == "old"
        assert ordered(api, "!dateModified")[0] == "old"

    def test_with_filter(self, api: Api) -> None:
        append(api, [{"id": f"E{n}", "type": f"T{n % 2}", "A": 10 - n} for n in range(6)])
        reply = api.get("/v2/entities", orderBy="A", type="T1", q="A>5", options="count")
        assert (ids(reply), reply.headers["Fiware-Total-Count"]) == (["E3", "E1"], "2")

    @pytest.mark.parametrize(
        "order_by",
        ["A,A", "!A,!A", "A,!A", "!A,A", "A,B,A", "A,!B,!A", "id,id", "type,!type"],
    )
    def test_a_token_may_stand_once(self, api: Api, order_by: str) -> None:
        assert api.get("/v2/entities", orderBy=order_by).refusal == DUPLICATE
        query = {"entities": [{"idPattern": ".*"}]}
        assert api.post("/v2/op/query", query, orderBy=order_by).refusal == DUPLICATE


class TestPages:
    @pytest.fixture(autouse=True)
    def _entities(self, api: Api) -> None:
        append(api, [{"id": f"E{n:02}", "type": f"T{n % 3}", "A": n % 4} for n in range(45)])

    def test_twenty_unless_asked(self, api: Api) -> None:
        reply = api.get("/v2/entities")
        assert ids(reply) == [f"E{n:02}" for n in range(20)]
        assert "Fiware-Total-Count" not in reply.headers
        assert len(api.post("/v2/op/query", {"entities": [{"idPattern": ".*"}]}).json) == 20

    @pytest.mark.parametrize(
        ("limit", "offset", "expected"),
        [
            (10, 0, range(10)),
            (10, 40, range(40, 45)),
            (1, 44, range(44, 45)),
            (1000, 0, range(45)),
            (20, 45, range(0)),
            (20, 1000, range(0)),
            (5, 999999999, range(0)),
            (0, 0, range(0)),
            (0, 10, range(0)),
        ],
    )
    def test_limit_and_offset(self, api: Api, limit: int, offset: int, expected: range) -> None:
        page = {"limit": limit, "offset": offset, "options": "count"}
        query = {"entities": [{"idPattern": ".*"}]}
        for reply in (api.get("/v2/entities", **page), api.post("/v2/op/query", query, **page)):
            assert ids(reply) == [f"E{n:02}" for n in expected]
            assert reply.headers["Fiware-Total-Count"] == "45"

    @pytest.mark.parametrize(
        ("filters", "total"),
        [
            ({"type": "T1"}, 15),
            ({"type": "T1,T2"}, 30),
            ({"idPattern": "^E0"}, 10),
            ({"id": "E01,E40,Nobody"}, 2),
            ({"q": "A==1"}, 11),
            ({"q": "A==1", "type": "T1"}, 4),
            ({"q": "nothing"}, 0),
            ({"type": "Unknown"}, 0),
        ],
    )
    def test_count_is_of_all_pages(self, api: Api, filters: dict[str, str], total: int) -> None:
        for limit in (1000, 2, 0):
            reply = api.get("/v2/entities", options="count", limit=limit, **filters)
            assert reply.headers["Fiware-Total-Count"] == str(total)
            assert len(reply.json) == min(limit, total)

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"type": "T0,T2"},
            {"q": "A>0"},
            {"orderBy": "A"},  # with ties
            {"orderBy": "!A,dateCreated"},
            {"idPattern": "E.[0-7]"},
        ],
    )
    def test_pages_make_the_whole(self, api: Api, parameters: dict[str, str]) -> None:
        whole = ids(api.get("/v2/entities", limit=1000, **parameters))
        pages = [
            ids(api.get("/v2/entities", limit=7, offset=offset, **parameters))
            for offset in range(0, 50, 7)
        ]
        assert [name for page in pages for name in page] == whole
        assert len(set(whole)) == len(whole) >= 30

    @pytest.mark.parametrize("path", ["/v2/entities", "/v2/types", "/v2/registrations"])
    def test_refused(self, api: Api, path: str) -> None:
        for value in ("abc", "-1", "1.5", "0x10", "+1", "1e2", " 1", "²"):
            reply = api.get(path, limit=value)
            description = f"Bad pagination limit: /{value}/ [must be a positive integer number]"
            assert reply.refusal == (400, "BadRequest", description)
            reply = api.get(path, offset=value)
            description = f"Bad pagination offset: /{value}/ [must be a decimal number]"
            assert reply.refusal == (400, "BadRequest", description)
        reply = api.get(path, limit=1001)
        assert reply.refusal == (400, "BadRequest", "Bad pagination limit: /1001/ [max: 1000]")
        for name in ("limit", "offset", "orderBy"):
            reply = api.get(f"{path}?{name}=")
            description = f"Empty right-hand-side for URI param /{name}/"
            assert reply.refusal == (400, "BadRequest", description)


def test_more_than_one_slice(api: Api) -> None:
    """Enough entities that the broker answers in turns with other clients."""
    for start in range(0, 6000, 2000):
        append(
            api,
            [{"id": f"E{n:04}", "A": (n * 7919) % 6000} for n in range(start, start + 2000)],
        )
    reply = api.get("/v2/entities", limit=1000, offset=3500, options="count")
    assert reply.headers["Fiware-Total-Count"] == "6000"
    assert ids(reply) == [f"E{n:04}" for n in range(3500, 4500)]
    reply = api.get("/v2/entities", q="A>=5990", orderBy="!A", options="count,keyValues")
    assert reply.headers["Fiware-Total-Count"] == "10"
    assert [entity["A"] for entity in reply.json] == list(range(5999, 5989, -1))
    reply = api.get("/v2/entities", orderBy="A", limit=3, offset=4000, options="keyValues")
    assert [entity["A"] for entity in reply.json] == [4000, 4001, 4002]
    reply = api.get("/v2/entities", idPattern="^E.*99$", limit=1000, options="count")
    assert reply.headers["Fiware-Total-Count"] == "60"
