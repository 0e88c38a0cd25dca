"""The Simple Query Language over HTTP: q over attributes, mq over metadata.

Source: Orion API, section "Simple Query Language"; what a match means, and the texts of
errors, from Orion's functional cases (issues 1156, 1592, 1595, 1607, 1705, 2359, 2446, 2452,
2496, 2805, 4120). The grammar has unit and property tests of its own; here it is seen that
both GET /v2/entities and POST /v2/op/query speak it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

# Entities by what their attribute A (in q) or the metadata M of A (in mq) holds.
VALUES: dict[str, Any] = {
    "ten": 10,
    "twenty": 20,
    "half": 30.5,
    "text10": "10",
    "abc": "abc",
    "green": "light,green",
    "spaced": "deep blue",
    "yes": True,
    "no": False,
    "null": None,
    "list": [10, "abc", None],
    "object": {"x": {"y": 5}, "z": "abc", "n": None, "list": [{"k": 1}, {"k": 2}]},
    "empty": "",
}
DATE = {"type": "DateTime", "value": "2020-06-15T12:00:00.000Z"}
NUMBERS = ["ten", "twenty", "half"]
EVERY = [*VALUES, "date"]

# (operator and right side, the entities that match)
MATCHES: list[tuple[str, list[str]]] = [
    ("==10", ["ten", "list"]),
    (":10", ["ten", "list"]),
    ("==10.0", ["ten", "list"]),
    ("=='10'", ["text10"]),
    ("==abc", ["abc", "list"]),
    ("=='abc'", ["abc", "list"]),
    ("=='light,green'", ["green"]),
    ("=='light,green',abc", ["abc", "green", "list"]),
    ("==deep blue", ["spaced"]),
    ("==10,20", ["ten", "twenty", "list"]),
    ("==true", ["yes"]),
    ("==false", ["no"]),
    ("=='true'", []),
    ("==null", ["null", "list"]),
    ("==abc,null", ["abc", "null", "list"]),
    ("==null,abc", ["abc", "null", "list"]),
    ("==10..20", ["ten", "twenty", "list"]),
    ("==10.5..30.5", ["twenty", "half"]),
    ("==20..10", []),
    ("==abc..m", ["abc", "green", "spaced", "list"]),
    ("!=10", [name for name in EVERY if name not in ("ten", "list")]),
    ("!='10'", [name for name in EVERY if name != "text10"]),
    ("!=10,20", [name for name in EVERY if name not in ("ten", "twenty", "list")]),
    ("!=null", [name for name in EVERY if name not in ("null", "list")]),
    ("!=abc,null", [name for name in EVERY if name not in ("abc", "null", "list")]),
    ("!=10..20", [name for name in EVERY if name not in ("ten", "twenty", "list")]),
    ("!=true", [name for name in EVERY if name != "yes"]),
    (">10", ["twenty", "half", "date"]),
    (">=10", ["ten", "twenty", "half", "list", "date"]),
    ("<20", ["ten", "list"]),
    ("<=20", ["ten", "twenty", "list"]),
    (">-1e3", ["ten", "twenty", "half", "list", "date"]),
    (">abc", ["green", "spaced"]),
    (">='abc'", ["abc", "green", "spaced", "list"]),
    ("<b", ["text10", "abc", "list", "empty"]),
    ("~=^a", ["abc", "list"]),
    ("~=b", ["abc", "spaced", "list"]),
    ("~=^1", ["text10"]),
    ("~=.", ["text10", "abc", "green", "spaced", "list"]),
    ("==2020-06-15T12:00:00Z", ["date"]),
    ("==2020-06-15T14:00:00+02:00", ["date"]),
    (">2020-06-15", ["date"]),
    ("<2020-06-15", []),
    ("==2020-06-01..2020-06-30", ["date"]),
    ("!=2020-06-15T12:00:00Z", [name for name in EVERY if name != "date"]),
    ("=='2020-06-15T12:00:00.000Z'", []),  # quoted, so a string
]


def found(api: Api, **parameters: str) -> list[str]:
    """The ids of the matching entities; GET and POST /v2/op/query must agree on them."""
    reply = api.get("/v2/entities", limit=1000, **parameters)
    assert reply.status == 200, reply
    ids = [entity["id"] for entity in reply.json]
    reply = api.post("/v2/op/query", {"expression": parameters}, limit=1000)
    assert [entity["id"] for entity in reply.json] == ids
    return ids


def append(api: Api, entities: list[dict[str, Any]]) -> None:
    """Create the entities with one request."""
    reply = api.post("/v2/op/update", {"actionType": "append", "entities": entities})
    assert reply.status == 204, reply


class TestAttributes:
    @pytest.fixture(autouse=True)
    def _entities(self, api: Api) -> None:
        entities = [{"id": name, "A": {"value": value}} for name, value in VALUES.items()]
        append(api, [*entities, {"id": "date", "A": DATE}, {"id": "without", "B": {"value": 1}}])

    def test_binary_statements(self, api: Api) -> None:
        for statement, expected in MATCHES:
            assert found(api, q=f"A{statement}") == expected, statement

    @pytest.mark.parametrize(
        ("q", "expected"),
        [
            ("A", EVERY),
            ("!A", ["without"]),
            ("B", ["without"]),
            ("!B", EVERY),
            ("C", []),
            ("C!=1", []),
            ("!C", [*EVERY, "without"]),
            ("A;!B", EVERY),
            ("A;B", []),
            ("A>5;A<15", ["ten", "list"]),
            ("A>5;A<15;A!=abc", ["ten"]),
            ("A==10;", ["ten", "list"]),
            (" A == 10 ; A != abc ", ["ten"]),
            ("A.x.y==5", ["object"]),
            ("A.x.y>4;A.z==abc", ["object"]),
            ("A.x", ["object"]),
            ("A.x.y", ["object"]),
            ("A.x.q", []),
            ("!A.x", [*(name for name in EVERY if name != "object"), "without"]),
            ("A.n==null", ["object"]),
            ("A.n!=1", ["object"]),
            ("A.list.k==2", ["object"]),
            ("A.list.0.k==1", ["object"]),
            ("A.list.0.k==2", []),
            ("A.0==10", ["list"]),
            ("A.x.y!=6", ["object"]),
        ],
    )
    def test_statements(self, api: Api, q: str, expected: list[str]) -> None:
        assert found(api, q=q) == expected


class TestMetadata:
    @pytest.fixture(autouse=True)
    def _entities(self, api: Api) -> None:
        entities = [
            {"id": name, "A": {"value": "01", "metadata": {"M": {"value": value}}}}
            for name, value in VALUES.items()
        ]
        dated = {"id": "date", "A": {"value": "01", "metadata": {"M": DATE}}}
        other = {"id": "other", "A": {"value": 1, "metadata": {"N": {"value": 10}}}}
        append(api, [*entities, dated, other, {"id": "without", "B": {"value": 1}}])

    def test_binary_statements(self, api: Api) -> None:
        for statement, expected in MATCHES:
            assert found(api, mq=f"A.M{statement}") == expected, statement

    @pytest.mark.parametrize(
        ("mq", "expected"),
        [
            ("A.M", EVERY),
            ("!A.M", ["other", "without"]),
            ("A.N", ["other"]),
            ("A.M;!A.N", EVERY),
            ("B.M", []),
            ("A.M.x.y==5", ["object"]),
            ("A.M.x.y", ["object"]),
            ("!A.M.x.y", [*(name for name in EVERY if name != "object"), "other", "without"]),
            ("A.M>5;A.M<15;A.M!=abc", ["ten"]),
            ("A.N==10", ["other"]),
        ],
    )
    def test_statements(self, api: Api, mq: str, expected: list[str]) -> None:
        assert found(api, mq=mq) == expected

    def test_with_q(self, api: Api) -> None:
        assert found(api, q="A=='01'", mq="A.M>15") == ["twenty", "half", "date"]
        assert found(api, q="A==1", mq="A.M>15") == []


class TestNames:
    """Quotes lift the special meaning of dots and colons in paths."""

    @pytest.mark.parametrize(
        ("q", "expected"),
        [
            ("'a.b'==1", ["dotted"]),
            ("a.b==1", ["plain"]),
            ("'a.b'", ["dotted"]),
            ("!'a.b'", ["plain", "deep", "colon"]),
            ("'a'.'b'==1", ["plain"]),
            ("'c.d'.e.'f.g'==2", ["deep"]),
            ("'c.d'.e.f.g==2", []),
            ("c:1", []),  # c equal to 1
            ("'c:1'==3", ["colon"]),
            ("'c:1':3", ["colon"]),
            ("'c:1'", ["colon"]),
            ("!'c:1'", ["dotted", "plain", "deep"]),
        ],
    )
    def test_paths(self, api: Api, q: str, expected: list[str]) -> None:
        append(
            api,
            [
                {"id": "dotted", "a.b": {"value": 1}},
                {"id": "plain", "a": {"value": {"b": 1}}},
                {"id": "deep", "c.d": {"value": {"e": {"f.g": 2}}}},
                {"id": "colon", "c:1": {"value": 3}},
            ],
        )
        assert found(api, q=q) == expected

    def test_metadata_paths(self, api: Api) -> None:
        attribute = {"value": 0, "metadata": {"m.n": {"value": {"x.y": 1}}}}
        append(api, [{"id": "E", "a.b": attribute}, {"id": "F"}])
        assert found(api, mq="'a.b'.'m.n'.'x.y'==1") == ["E"]
        assert found(api, mq="'a.b'.'m.n'") == ["E"]
        assert found(api, mq="a.b.m.n") == []


def test_builtin_attributes(api: Api) -> None:
    append(api, [{"id": "E", "A": {"value": 1}}])
    api.create({"id": "F"}, service_path="/a/b")
    assert found(api, q="dateCreated>2020-01-01") == ["E", "F"]
    assert found(api, q="dateCreated<2020-01-01") == []
    assert found(api, q="dateModified>2020-01-01") == ["E", "F"]
    created = api.get("/v2/entities/E", attrs="dateCreated").json["dateCreated"]["value"]
    assert "E" in found(api, q=f"dateCreated=={created}")
    assert found(api, q="servicePath==/a/b") == ["F"]
    assert found(api, q="servicePath~=^/a") == ["F"]
    assert found(api, q="servicePath!=/a/b") == ["E"]
    assert found(api, mq="A.dateCreated>2020-01-01") == ["E"]
    assert found(api, mq="A.dateModified<2020-01-01") == []


def test_user_attribute_named_like_a_builtin(api: Api) -> None:
    # What is shown is the user's, what is compared the builtin.
    date = {"type": "DateTime", "value": "2050-01-01T00:00:00.000Z", "metadata": {}}
    append(api, [{"id": "E", "dateModified": date}])
    assert api.get("/v2/entities/E").json["dateModified"] == date
    assert api.get("/v2/entities/E", attrs="dateModified").json["dateModified"] == date
    assert found(api, q="dateModified>2049-12-31") == []
    assert found(api, q="dateModified>2020-01-01") == ["E"]


def test_text_of_all_languages(api: Api) -> None:
    values = ["ñandú", "東京", "😀", "a+b", "50%", "a/b", "a&b", "a#b"]
    append(api, [{"id": f"E{n}", "A": {"value": value}} for n, value in enumerate(values)])
    for number, value in enumerate(values):
        assert found(api, q=f"A=={value}") == [f"E{number}"], value
        assert found(api, q=f"A=='{value}'") == [f"E{number}"], value
        assert f"E{number}" not in found(api, q=f"A!={value}"), value
    assert found(api, q="A~=^.and.$") == ["E0"]  # a character, not a byte
    assert found(api, q="A~=/") == ["E5"]


def test_query_as_curl_sends_it(api: Api) -> None:
    # No client encodes < and > in a URL that was typed by hand.
    append(api, [{"id": f"E{value}", "A": {"value": value}} for value in (1, 2, 3)])
    for q, expected in [
        ("A>=2", ["E2", "E3"]),
        ("A<2", ["E1"]),
        ("A==1..2", ["E1", "E2"]),
        ("A>1;A<3", ["E2"]),
        ("A=='1'", []),
    ]:
        reply = api.get(f"/v2/entities?q={q}")
        assert [entity["id"] for entity in reply.json] == expected, q


def test_changes_are_seen(api: Api) -> None:
    append(api, [{"id": "E", "A": {"value": 1}}, {"id": "F", "A": {"value": 2}}])
    assert found(api, q="A==2") == ["F"]
    api.patch("/v2/entities/E/attrs", {"A": {"value": 2}})
    assert found(api, q="A==2") == ["E", "F"]
    api.delete("/v2/entities/F/attrs/A")
    assert found(api, q="A==2") == ["E"]
    api.delete("/v2/entities/E")
    assert found(api, q="A==2") == []


class TestRefused:
    @pytest.mark.parametrize(
        ("q", "description"),
        [
            (";", "empty q"),
            ("A;;", "empty q-item"),
            ("A;;B", "empty q-item"),
            ("!", "empty right-hand-side in q-item"),
            ("A1==", "empty right-hand-side in q-item"),
            ("A1!=", "empty right-hand-side in q-item"),
            ("A1>", "empty right-hand-side in q-item"),
            ("A1<=", "empty right-hand-side in q-item"),
            ("A1~=", "empty right-hand-side in q-item"),
            ("==12", "empty left-hand-side in q-item"),
            # The not of a property called "=12".
            ("!=12", "invalid character found in URI param /q/"),
            (">=12", "empty left-hand-side in q-item"),
            ("A>=0..20", "ranges only valid for equal and not equal ops"),
            ("A<0..20", "ranges only valid for equal and not equal ops"),
            ("A>1,2", "lists only valid for equal and not equal ops"),
            ("A==1..", "empty item in range"),
            ("A==..1", "empty item in range"),
            ("A==1..x", "invalid range: types mixed"),
            ("A==true..false", "invalid data type for /range-from/"),
            ("A==1..true", "invalid data type for /range-to/"),
            ("A==1,", "empty item in list"),
            ("A==1,,2", "empty item in list"),
            ("A==1,x", "invalid JSON value type in list"),
            ("A==true,false", "invalid JSON value type in list"),
            ("A>true", "values of type /Bool/ not supported for operator /GreaterThan/"),
            ("A<=null", "values of type /Null/ not supported for operator /LessThanOrEqual/"),
            ("A=='10'x", "non-terminated forced string"),
            ("A=='10", "non-terminated forced string"),
            ("A=='10'x'", "quote in forced string"),
            ("A==a(b)", "forbidden characters in String Filter"),
            ("A; ;B", "empty q-item &#40;only whitespace&#41;"),
            ("A..b==1", "empty token in attribute path A..b of q-item"),
            (".A", "empty token in attribute path .A of q-item"),
            ('A=="x"', "forbidden characters in String Filter"),
        ],
    )
    def test_malformed_q(self, api: Api, q: str, description: str) -> None:
        # Parentheses and quotes in texts of errors are escaped for browsers.
        expected = (400, "BadRequest", description)
        assert api.get("/v2/entities", q=q).refusal == expected
        assert api.post("/v2/op/query", {"expression": {"q": q}}).refusal == expected

    @pytest.mark.parametrize(
        ("mq", "description"),
        [
            ("A", "no metadata in right-hand-side of q-item"),
            ("A==1", "no metadata name - not valid for metadata filters"),
            (".M==1", "no attribute name - not valid for metadata filters"),
            ("A.M..b==1", "empty token in metadata path A.M..b of q-item"),
            ("A.M==", "empty right-hand-side in q-item"),
            ("A.M>1,2", "lists only valid for equal and not equal ops"),
            (";", "empty q"),
        ],
    )
    def test_malformed_mq(self, api: Api, mq: str, description: str) -> None:
        expected = (400, "BadRequest", description)
        assert api.get("/v2/entities", mq=mq).refusal == expected
        assert api.post("/v2/op/query", {"expression": {"mq": mq}}).refusal == expected

    @pytest.mark.parametrize("pattern", ["*x", "[a", "a{2,1}"])
    def test_invalid_pattern(self, api: Api, pattern: str) -> None:
        status, error, description = api.get("/v2/entities", q=f"A~={pattern}").refusal
        assert (status, error) == (400, "BadRequest")
        assert pattern in description

    def test_empty(self, api: Api) -> None:
        for name in ("q", "mq"):
            reply = api.get(f"/v2/entities?{name}=")
            description = f"Empty right-hand-side for URI param /{name}/"
            assert reply.refusal == (400, "BadRequest", description)
            reply = api.post("/v2/op/query", {"expression": {name: ""}})
            assert reply.refusal == (400, "BadRequest", f"{name} is empty")
