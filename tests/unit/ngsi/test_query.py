"""The Simple Query Language: what matches, and the errors for what is no query."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from ngsi.errors import BadRequest
from ngsi.model import Attribute, Entity, default_type
from ngsi.patterns import compile_pattern
from ngsi.query import (
    Instant,
    Kind,
    ListOf,
    Operator,
    QueryKind,
    Range,
    Statement,
    Value,
    parse_query,
)

CREATED = 1577836800.25  # 2020-01-01T00:00:00.250Z
MODIFIED = 1609459200.0  # 2021-01-01T00:00:00.000Z


class Typed(NamedTuple):
    """A metadata whose type is not the default one of its value."""

    type: str
    value: Any


def make_attribute(
    value: Any, type: str | None = None, metadata: dict[str, Any] | None = None
) -> Attribute:
    described = {
        name: item if isinstance(item, Typed) else Typed(default_type(item), item)
        for name, item in (metadata or {}).items()
    }
    return Attribute(
        type or default_type(value),
        value,
        {name: {"type": item.type, "value": item.value} for name, item in described.items()},
        CREATED,
        MODIFIED,
    )


def make_entity(attributes: dict[str, Attribute]) -> Entity:
    return Entity("E1", "T", "/city/north", attributes, CREATED, MODIFIED, 1)


def matches(query: str, value: Any, type: str | None = None, kind: QueryKind = "q") -> bool:
    """Whether an entity whose attribute `a` has that value is found."""
    return parse_query(query, kind).matches(make_entity({"a": make_attribute(value, type)}))


DAY = "2016-02-24T10:00:00.000Z"  # 1456308000

SCALARS: list[tuple[str, Any, bool]] = [
    # numbers
    ("a==20", 20, True),
    ("a:20", 20, True),
    ("a==20.0", 20, True),
    ("a==2e1", 20, True),
    ("a==+20", 20, True),
    ("a==.5", 0.5, True),
    ("a==-5", -5, True),
    ("a==20", 20.5, False),
    ("a==20", "20", False),
    ("a==9007199254740993", 9007199254740993, True),
    ("a==9007199254740993", 9007199254740992, False),
    ("a==-9007199254740993", -9007199254740993, True),
    ("a==-9007199254740993", -9007199254740992, False),
    ("a>20", 21, True),
    ("a>20", 20, False),
    ("a>=20", 20, True),
    ("a<20", 19.5, True),
    ("a<20", 20, False),
    ("a<=20", 20, True),
    ("a<20", "1", False),
    ("a>=20", True, False),
    ("a==1", True, False),
    ("a==0", False, False),
    ("a!=20", 21, True),
    ("a!=20", 20, False),
    ("a!=20", "20", True),
    ("a!=1", True, True),
    ("a==10..20", 10, True),
    ("a==10..20", 20, True),
    ("a==10 .. 20", 15.5, True),
    ("a:10..20", 21, False),
    ("a==20..10", 15, False),
    ("a!=10..20", 21, True),
    ("a!=10..20", 15, False),
    ("a!=10..20", "15", True),
    ("a==0..1", True, False),
    ("a==1...5", 0.75, False),
    ("a==0...5", 0.25, True),
    ("a==1,2,3", 2, True),
    ("a==1, 2 ,3", 2, True),
    ("a==1,2,3", 4, False),
    ("a==1,0", True, False),
    ("a!=1,2", 3, True),
    ("a!=1,2", 2, False),
    # strings
    ("a==red", "red", True),
    ("a==red", "Red", False),
    ("a== red ", "red", True),
    ("a=='20'", "20", True),
    ("a=='20'", 20, False),
    ("a=='true'", "true", True),
    ("a=='true'", True, False),
    ("a=='null'", "null", True),
    ("a==''", "", True),
    ("a==I am here", "I am here", True),
    ("a!=red", "blue", True),
    ("a!=red", "red", False),
    ("a!=red", 5, True),
    ("a>red", "yellow", True),
    ("a>red", "red", False),
    ("a>=red", "red", True),
    ("a<brown", "black", True),
    ("a<brown", 5, False),
    ("a<=brown", "brown", True),
    ("a<Z", "a", False),
    ("a>\uffff", "🚀", True),  # by code point
    ("a==brown..red", "purple", True),
    ("a==brown..red", "yellow", False),
    ("a!=brown..red", "yellow", True),
    ("a=='1'..'3'", "2", True),
    ("a=='1'..'3'", 2, False),
    ("a==black,red", "red", True),
    ("a==black,red", "white", False),
    ("a!=black,red", "white", True),
    ("a=='light,green','deep,blue'", "deep,blue", True),
    ("a=='light,green','deep,blue'", "deep", False),
    ("a=='light,green'", "light,green", True),
    ("a=='1..2'", "1..2", True),
    ("a>'a,b'", "a,c", True),
    ("a==2016", "2016", False),
    ("a==inf", "inf", True),  # no JSON number
    ("a==nan", "nan", True),
    ("a==0x10", "0x10", True),
    ("a==1e999", "1e999", True),
    ("a==1_000", "1_000", True),
    ("a==٣", "٣", True),
    # booleans
    ("a==true", True, True),
    ("a==true", False, False),
    ("a==true", 1, False),
    ("a==true", "true", False),
    ("a!=true", False, True),
    ("a!=true", True, False),
    ("a!=true", "true", True),
    # null
    ("a==null", None, True),
    ("a:null", "null", False),
    ("a==null", 0, False),
    ("a!=null", 5, True),
    ("a!=null", None, False),
    ("a==foo,null", None, True),
    ("a==null,foo", "foo", True),
    ("a==null,foo", "bar", False),
    ("a!=null,foo", None, False),
    ("a!=foo,null", "bar", True),
    ("a==null,null", None, True),
    # patterns
    ("a~=ow", "yellow", True),
    ("a~=^b", "brown", True),
    ("a~=^b", "yellow", False),
    ("a~=.*", "", True),
    ("a~=1", 1, False),
    ("a~=true", True, False),
    ("a~=null", None, False),
    ("a~= ow ", "yellow", True),
    # existence
    ("a", 5, True),
    ("a", None, True),
    ("a", [], True),
    ("!a", 5, False),
    ("b", 5, False),
    ("!b", 5, True),
    ("! b", 5, True),
    ("b==5", 5, False),
    ("b!=5", 5, False),
    ("'a'==5", 5, True),
    # conjunction
    ("a>5;a<10", 7, True),
    ("a>5;a<10", 11, False),
    ("a>5;", 7, True),
    (";a>5", 7, True),
    ("a>5 ; a<10", 7, True),
]

ARRAYS: list[tuple[str, Any, bool]] = [
    ("a==2", [1, 2], True),
    ("a==3", [1, 2], False),
    ("a==2", [[2]], False),  # one level only
    ("a==1", [True], False),
    ("a==2,5", [1, 2], True),
    ("a==red", ["blue", "red"], True),
    ("a==true", [False, True], True),
    ("a==null", [1, None], True),
    ("a==4..6", [1, 5], True),
    ("a==2..3", [1, 5], False),  # one element lies in it, not the array around it
    ("a!=2", [1, 2], False),
    ("a!=3", [1, 2], True),
    ("a!=3", [], True),
    ("a!=null", [1, None], False),
    ("a!=2,3", [1, 4], True),
    ("a>4", [1, 5], True),
    ("a>5", [1, 5], False),
    ("a~=^r", ["blue", "red"], True),
    ("a~=^r", [5, "blue"], False),
]

PATHS: list[tuple[str, Any, bool]] = [
    ("a.b==5", {"b": 5}, True),
    ("a.b.c==5", {"b": {"c": 5}}, True),
    ("a.b.c", {"b": {"c": None}}, True),
    ("a.b", {"b": {"c": 1}}, True),
    ("a.b.d", {"b": {"c": 1}}, False),
    ("!a.b.d", {"b": {"c": 1}}, True),
    ("!a.b", {"b": 1}, False),
    ("a.b!=5", {"b": 6}, True),
    ("a.b!=5", {"c": 6}, False),
    ("a.b==null", {"b": None}, True),
    ("a.b==null", {"c": None}, False),
    ("a.b~=^x", {"b": "xy"}, True),
    ("a.b>=2;a.c<=2", {"b": 2, "c": 2}, True),
    ("a.b==2", {"b": [1, 2]}, True),
    ("a.'b.c'==5", {"b.c": 5}, True),
    ("a.b.c==5", {"b.c": 5}, False),
    ("a.'b.c'==5", {"b": {"c": 5}}, False),
    ("a.b==5", "text", False),
    ("a.b!=5", "text", False),
    ("!a.b", "text", True),
    ("a==5", {"b": 5}, False),
    ("a!=5", {"b": 5}, True),
    # through arrays
    ("a.1==6", [5, 6], True),
    ("a.2", [5, 6], False),
    ("a.01", [5, 6], False),
    ("a.b==5", [{"b": 4}, {"b": 5}], True),
    ("a.b!=5", [{"b": 4}, {"b": 5}], False),
    ("a.b", [{"c": 4}, 5], False),
    ("a.1.b==5", [{"b": 4}, {"b": 5}], True),
    ("a.0.b==5", [{"b": 4}, {"b": 5}], False),
    ("a.0==4", [{"0": 4}], True),  # the key of an element as well as an index
    ("a.b.c==5", {"b": [{"c": 5}]}, True),
    ("a.b==5", [[{"b": 5}]], False),
    ("a.0.b==5", [[{"b": 5}]], True),
]

DATES: list[tuple[str, bool]] = [
    (f"a=={DAY}", True),
    ("a==2016-02-24T10:00:00Z", True),
    ("a==2016-02-24T11:00+01:00", True),
    ("a:2016-02-24T10:00", True),
    ("a==2016-02-24", False),
    ("a>2016-02-24", True),
    ("a<2016-02-25", True),
    (f"a>{DAY}", False),
    (f"a>={DAY}", True),
    (f"a<={DAY}", True),
    (f"a!={DAY}", False),
    ("a!=2016-02-24", True),
    ("a==2016-02-24..2016-02-25", True),
    ("a!=2016-02-24..2016-02-25", False),
    (f"a==2016-02-24,{DAY}", True),
    ("a==2016-02-24,2016-02-25", False),
    (f"a=='{DAY}'", False),
    (f"a!='{DAY}'", True),
    ("a~=2016", False),
    ("a==1456308000", True),
    ("a>1456307999.5", True),
    ("a<1456308000", False),
    ("a==1456308000..1456308001", True),
    ("a==1,1456308000", True),
    ("a!=1456308000", False),
    ("a", True),
]

REFUSED: list[tuple[QueryKind, str, str]] = [
    ("q", "", "empty q"),
    ("q", ";", "empty q"),
    ("mq", ";", "empty q"),
    ("q", "a;;", "empty q-item"),
    ("q", "a;;b", "empty q-item"),
    ("q", "a; ;", "empty q-item"),
    ("q", " ", "empty q-item (only whitespace)"),
    ("q", "a; ;b", "empty q-item (only whitespace)"),
    ("q", "==5", "empty left-hand-side in q-item"),
    ("q", "<speed", "empty left-hand-side in q-item"),
    ("q", "a==", "empty right-hand-side in q-item"),
    ("q", "a~=", "empty right-hand-side in q-item"),
    ("q", "a> ", "empty right-hand-side in q-item"),
    ("q", "!", "empty right-hand-side in q-item"),
    ("q", "a=5", "invalid character found in URI param /q/"),
    ("q", "!a==5", "invalid character found in URI param /q/"),
    ("q", "(a)==5", "invalid character found in URI param /q/"),
    ("q", "a:=5", "invalid character found in URI param /q/"),
    ("mq", "a.b=5", "invalid character found in URI param /mq/"),
    ("q", "house'flat'", "forbidden characters in String Filter"),
    ("q", "!hou'se", "forbidden characters in String Filter"),
    ("q", "a==house'flat'", "forbidden characters in String Filter"),
    ("q", "house<flat>", "forbidden characters in String Filter"),
    ("q", "a===5", "forbidden characters in String Filter"),
    ("q", "a==x,y>", "forbidden characters in String Filter"),
    ("q", "a==x..y>", "forbidden characters in String Filter"),
    ("q", "a=='x>'", "forbidden characters in String Filter"),
    ("q", "a~='x'", "forbidden characters in String Filter"),
    ("q", "a~=(x)", "forbidden characters in String Filter"),
    ("q", "a~=[", "error compiling filter regex: '['"),
    ("q", "a=='10'x", "non-terminated forced string"),
    ("q", "a=='", "non-terminated forced string"),
    ("q", "a=='x;y'", "non-terminated forced string"),
    ("q", "a=='10'x'", "quote in forced string"),
    ("q", "a>0..20", "ranges only valid for equal and not equal ops"),
    ("q", "a<=0..20", "ranges only valid for equal and not equal ops"),
    ("q", "a>1,2", "lists only valid for equal and not equal ops"),
    ("q", "a==1,", "empty item in list"),
    ("q", "a==,1", "empty item in list"),
    ("q", "a==1, ,2", "empty item in list"),
    ("q", "a==1..", "empty item in range"),
    ("q", "a==..1", "empty item in range"),
    ("q", "a==true..5", "invalid data type for /range-from/"),
    ("q", "a==5..null", "invalid data type for /range-to/"),
    ("q", "a==0..B", "invalid range: types mixed"),
    ("q", f"a==2016-02-23..'{DAY}'", "invalid range: types mixed"),
    ("q", "a==1..2..3", "invalid range: types mixed"),
    ("q", "a==1,x", "invalid JSON value type in list"),
    ("q", "a==x,2016-02-23", "invalid JSON value type in list"),
    ("q", "a==true,false", "invalid JSON value type in list"),
    ("q", "a==1,null", "invalid JSON value type in list"),
    ("q", "a==null,1", "invalid JSON value type in list"),
    ("q", "a>true", "values of type /Bool/ not supported for operator /GreaterThan/"),
    ("q", "a>=null", "values of type /Null/ not supported for operator /GreaterThanOrEqual/"),
    ("q", "a<false", "values of type /Bool/ not supported for operator /LessThan/"),
    ("q", "a<=null", "values of type /Null/ not supported for operator /LessThanOrEqual/"),
    ("q", "a..b", "empty token in attribute path a..b of q-item"),
    ("q", "''==5", "empty token in attribute path '' of q-item"),
    ("mq", "a", "no metadata in right-hand-side of q-item"),
    ("mq", "!a", "no metadata in right-hand-side of q-item"),
    ("mq", "a==5", "no metadata name - not valid for metadata filters"),
    ("mq", ".m==5", "no attribute name - not valid for metadata filters"),
    ("mq", "a.m..x", "empty token in metadata path a.m..x of q-item"),
]


@pytest.mark.parametrize(("query", "value", "expected"), SCALARS + ARRAYS + PATHS)
def test_value_of_an_attribute(query: str, value: Any, expected: bool) -> None:
    assert matches(query, value) is expected


@pytest.mark.parametrize(("query", "value", "expected"), SCALARS + ARRAYS + PATHS)
def test_value_of_a_metadata(query: str, value: Any, expected: bool) -> None:
    in_metadata = re.sub(r"(^|;)(\s*!?\s*)(?=['\w])", r"\1\2x.", query)
    entity = make_entity({"x": make_attribute("value", metadata={"a": value})})
    assert parse_query(in_metadata, "mq").matches(entity) is expected


@pytest.mark.parametrize(("query", "expected"), DATES)
@pytest.mark.parametrize("type", ["DateTime", "ISO8601"])
def test_a_date(query: str, expected: bool, type: str) -> None:
    assert matches(query, DAY, type) is expected


@pytest.mark.parametrize(("query", "expected"), DATES)
def test_a_date_in_metadata(query: str, expected: bool) -> None:
    entity = make_entity({"x": make_attribute(1, metadata={"a": Typed("DateTime", DAY)})})
    assert parse_query(query.replace("a", "x.a", 1), "mq").matches(entity) is expected


@pytest.mark.parametrize("query", [f"a=={DAY}", "a>2016-01-01", "a==2016-01-01..2017-01-01"])
def test_a_date_matches_no_text_and_no_number(query: str) -> None:
    assert not matches(query, DAY)
    assert not matches(query, 1456308000)
    assert not matches(query, {"b": DAY})
    assert not matches(query.replace("a", "a.b", 1), {"b": DAY})
    assert not matches(query, None, "DateTime")


def test_an_instant_after_the_last_year_is_a_text() -> None:
    assert matches("a==9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59-01:00")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dateCreated>2019-12-31", True),
        ("dateCreated==2020-01-01T00:00:00.250Z", True),
        ("dateCreated<2020-01-01", False),
        ("dateCreated==2020-01-01..2020-01-02", True),
        ("dateCreated!=2020-01-01T00:00:00.250Z", False),
        ("dateCreated>1577836800", True),
        ("dateCreated=='2020-01-01'", False),
        ("dateModified==2021-01-01", True),
        ("dateModified==2020-01-01,2021-01-01", True),
        ("dateCreated", True),
        ("!dateModified", False),
        ("servicePath:/city/north", True),
        ("servicePath==/city", False),
        ("servicePath~=^/city", True),
        ("servicePath!=/city", True),
        ("servicePath", True),
        ("dateExpires", False),
        ("!dateExpires", True),
        ("dateExpires>2019-01-01", False),
        ("id==E1", False),
        ("type==T", False),
    ],
)
def test_builtin_attributes(query: str, expected: bool) -> None:
    assert parse_query(query, "q").matches(make_entity({})) is expected


@pytest.mark.parametrize("kind", ["q", "mq"])
def test_builtin_times_are_compared_as_clients_see_them(kind: QueryKind) -> None:
    precise = 1577836800.2496  # shown as .250
    attribute = Attribute("Number", 1, {}, precise, precise)
    entity = Entity("E1", "T", "/", {"a": attribute}, precise, precise, 1)
    name = "dateCreated" if kind == "q" else "a.dateCreated"
    for operator, expected in [("==", True), ("!=", False), (">=", True), ("<", False)]:
        for operand in ("2020-01-01T00:00:00.250Z", "1577836800.250"):
            assert parse_query(f"{name}{operator}{operand}", kind).matches(entity) is expected


def test_builtin_attributes_win_over_those_of_the_user() -> None:
    entity = make_entity(
        {
            "dateModified": make_attribute("2050-01-01T00:00:00.000Z", "DateTime"),
            "servicePath": make_attribute("/mine"),
        }
    )
    assert not parse_query("dateModified>2049-12-31", "q").matches(entity)
    assert parse_query("dateModified<2049-12-31", "q").matches(entity)
    assert not parse_query("servicePath==/mine", "q").matches(entity)


def test_expiry_is_the_attribute_or_that_of_the_entity() -> None:
    entity = make_entity({})
    entity.expires = CREATED
    assert parse_query("dateExpires", "q").matches(entity)
    assert parse_query("dateExpires==2020-01-01T00:00:00.250Z", "q").matches(entity)
    entity.attributes["dateExpires"] = make_attribute("2021-01-01T00:00:00.000Z", "DateTime")
    assert parse_query("dateExpires==2021-01-01", "q").matches(entity)
    entity.attributes["dateExpires"] = make_attribute(None, "DateTime")
    assert parse_query("dateExpires==null", "q").matches(entity)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a.dateCreated==2020-01-01T00:00:00.250Z", True),
        ("a.dateModified>2020-06-01", True),
        ("a.dateModified>2049-01-01", False),
        ("a.dateCreated", True),
        ("!a.dateCreated", False),
        ("b.dateCreated", False),
        ("!b.dateCreated", True),
        ("b.dateCreated!=2020-01-01", False),
    ],
)
def test_builtin_metadata_win_over_those_of_the_user(query: str, expected: bool) -> None:
    user = Typed("DateTime", "2050-01-01T00:00:00.000Z")
    entity = make_entity({"a": make_attribute(1, metadata={"dateModified": user})})
    assert parse_query(query, "mq").matches(entity) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a.m==13", True),
        ("a.m!=13", False),
        ("!a.n", True),
        ("!b.m", True),
        ("b.m", False),
        ("a.n!=5", False),
        ("a.'m.x'==mix", True),
        ("a.m.x==mix", False),
        ("'a.b'.'m.x'.'c.x'==5", True),
        ("'a.b'.'m.x'.c==5", False),
        ("a.m==13;'a.b'.'m.x'.'c.x'<6", True),
    ],
)
def test_metadata(query: str, expected: bool) -> None:
    entity = make_entity(
        {
            "a": make_attribute(1, metadata={"m": 13, "m.x": "mix"}),
            "a.b": make_attribute(1, metadata={"m.x": {"c.x": 5}}),
        }
    )
    assert parse_query(query, "mq").matches(entity) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("'A:1'", True),
        ("A:1", False),
        ("!'A:1'", False),
        ("'A:1'==1", True),
        ("'x.y'.z==5", True),
        ("'x.y'.z>4;'x.y'", True),
        ("x.y", False),
    ],
)
def test_quoted_names(query: str, expected: bool) -> None:
    entity = make_entity({"A:1": make_attribute(1), "x.y": make_attribute({"z": 5})})
    assert parse_query(query, "q").matches(entity) is expected


@pytest.mark.parametrize(("kind", "query", "description"), REFUSED)
def test_refuses_in_the_words_of_orion(kind: QueryKind, query: str, description: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_query(query, kind)
    assert refusal.value.description == description


def test_attributes_to_notify_stand_in_for_those_of_the_entity() -> None:
    entity = make_entity({"a": make_attribute(1)})
    state = {"a": make_attribute(5)}
    query = parse_query("a>3", "q")
    assert not query.matches(entity)
    assert query.matches(entity, state)
    assert query.statements[0].matches(entity, state)
    assert not query.statements[0].matches(entity)
    assert not query.matches(entity, {})


def test_statements_tell_what_was_asked() -> None:
    day = Instant(DAY, 1456308000.0)
    pattern = compile_pattern("^b")
    query = parse_query("a==1;'a.b'.c!=x..z;!d;e>=2016-02-24T10:00Z;f:x,null;g~=^b;h==true", "q")
    assert query.kind == "q"
    assert query.statements == (
        Statement("a", None, (), Operator.EQUAL, Value(Kind.NUMBER, 1)),
        Statement("a.b", None, ("c",), Operator.UNEQUAL, Range(Kind.STRING, "x", "z")),
        Statement("d", None, (), Operator.NOT_EXISTS, None),
        Statement("e", None, (), Operator.GREATER_OR_EQUAL, Value(Kind.DATE, day)),
        Statement("f", None, (), Operator.EQUAL, ListOf(Kind.STRING, ("x",), null=True)),
        Statement("g", None, (), Operator.MATCHES, pattern),
        Statement("h", None, (), Operator.EQUAL, Value(Kind.BOOLEAN, True)),
    )
    (statement,) = parse_query("a.'m.x'.b.c<5", "mq").statements
    assert (statement.attribute, statement.metadata, statement.path) == ("a", "m.x", ("b", "c"))


def test_statements_about_1_and_true_differ() -> None:
    assert parse_query("a==1", "q").statements != parse_query("a==true", "q").statements


def test_the_same_short_text_is_parsed_once() -> None:
    assert parse_query("memo==1", "q") is parse_query("memo==1", "q")
    long = "memo==" + "1" * 300
    assert parse_query(long, "q") is not parse_query(long, "q")


def test_long_digits_and_long_queries_are_just_parsed() -> None:
    assert matches("a==" + "0" * 5000 + "7", 7)
    assert matches("a==" + "9" * 5000, "9" * 5000)  # no double
    assert matches("a>1;" * 10_000, 2)
    assert not matches("a" + ".b" * 10_000 + "==1", {"b": {"b": 1}})


def test_keys_that_look_like_indexes_do_not_multiply_the_work() -> None:
    # Every level can be crossed by index or by key: without care, 2**25 ways.
    value: Any = 5
    for _ in range(25):
        value = [{"0": value}]
    assert not matches("a" + ".0" * 40 + "==6", value)
    assert matches("a" + ".0" * 50 + "==5", value)
