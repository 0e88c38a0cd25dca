"""The query language and patterns against slow models written from the words of the standard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import re2
from hypothesis import example, given
from hypothesis import strategies as st

from ngsi.errors import BadRequest
from ngsi.model import Attribute, Entity, default_type
from ngsi.patterns import InvalidPattern, compile_pattern
from ngsi.query import QueryKind, parse_query

# ---------------------------------------------------------------------------------------
# The model. An operand is (how it is written, kind, what it means).


@dataclass(frozen=True)
class Operand:
    text: str
    kind: str  # number, string, boolean, null, date
    meaning: Any


@dataclass(frozen=True)
class Condition:
    tokens: tuple[str, ...]  # attribute, for mq the metadata, then the path
    operator: str  # "" and "!" for existence
    form: str  # value, range or list
    operands: tuple[Operand, ...]

    def text(self) -> str:
        path = ".".join(f"'{token}'" if "." in token else token for token in self.tokens)
        if self.form == "range":
            right = "..".join(operand.text for operand in self.operands)
        else:
            right = ",".join(operand.text for operand in self.operands)
        return f"!{path}" if self.operator == "!" else f"{path}{self.operator}{right}"


@dataclass(frozen=True)
class Found:
    """A value that a condition's tokens lead to."""

    value: Any
    is_date: bool


def seconds_of(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def read_attribute(entity: Entity, name: str) -> Iterator[Found]:
    if name in ("dateCreated", "dateModified"):
        time = entity.created if name == "dateCreated" else entity.modified
        yield Found(datetime_text(time), True)
    elif name == "servicePath":
        yield Found(entity.service_path, False)
    elif name in entity.attributes:
        attribute = entity.attributes[name]
        yield Found(attribute.value, attribute.type == "DateTime")
    elif name == "dateExpires" and entity.expires is not None:
        yield Found(datetime_text(entity.expires), True)


def read_metadata(entity: Entity, name: str, metadata: str) -> Iterator[Found]:
    attribute = entity.attributes.get(name)
    if attribute is None:
        return
    if metadata in ("dateCreated", "dateModified"):
        time = attribute.created if metadata == "dateCreated" else attribute.modified
        yield Found(datetime_text(time), True)
    elif metadata in attribute.metadata:
        item = attribute.metadata[metadata]
        yield Found(item["value"], item["type"] == "DateTime")


def datetime_text(seconds: float) -> str:
    return INSTANT_TEXTS[INSTANT_SECONDS.index(seconds)]


def walk(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if not path:
        yield value
    elif isinstance(value, dict):
        if path[0] in value:
            yield from walk(value[path[0]], path[1:])
    elif isinstance(value, list):
        if path[0].isdigit() and int(path[0]) < len(value):
            yield from walk(value[int(path[0])], path[1:])
        for element in value:
            if isinstance(element, dict):
                yield from walk(element, path)


def find(entity: Entity, kind: QueryKind, tokens: tuple[str, ...]) -> list[Found]:
    if kind == "mq":
        path = tokens[2:]
        builtin = tokens[1] in ("dateCreated", "dateModified")
        if builtin and path:  # then it is the user's
            attribute = entity.attributes.get(tokens[0])
            item = attribute.metadata.get(tokens[1]) if attribute else None
            found = [] if item is None else [Found(item["value"], False)]
        else:
            found = list(read_metadata(entity, tokens[0], tokens[1]))
    else:
        path = tokens[1:]
        if path:
            attribute = entity.attributes.get(tokens[0])
            found = [] if attribute is None else [Found(attribute.value, False)]
        else:
            found = list(read_attribute(entity, tokens[0]))
    if not path:
        return found
    return [Found(value, False) for item in found for value in walk(item.value, path)]


def comparable(found: Found, operand: Operand) -> tuple[Any, Any] | None:
    """The two sides of a comparison, None if they are of different kinds."""
    value = found.value
    if found.is_date and isinstance(value, str):
        if operand.kind == "date":
            return seconds_of(value), seconds_of(operand.meaning)
        return (seconds_of(value), operand.meaning) if operand.kind == "number" else None
    kinds = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return (value, operand.meaning) if kinds.get(type(value)) == operand.kind else None


def satisfies(found: Found, condition: Condition) -> bool:
    """Whether one value (no element of it) is equal, less, in the range, in the list, ..."""
    if condition.form == "range":
        low = comparable(found, condition.operands[0])
        high = comparable(found, condition.operands[1])
        return low is not None and high is not None and low[1] <= low[0] <= high[1]
    for operand in condition.operands:
        if condition.operator == "~=":
            if isinstance(found.value, str) and not found.is_date:
                return re.search(operand.meaning, found.value, re.DOTALL) is not None
            continue
        sides = comparable(found, operand)
        if sides is None:
            continue
        left, right = sides
        if {
            "==": left == right,
            "!=": left == right,
            "<": left is not None and left < right,
            "<=": left is not None and left <= right,
            ">": left is not None and left > right,
            ">=": left is not None and left >= right,
        }[condition.operator]:
            return True
    return False


def expected(entity: Entity, kind: QueryKind, condition: Condition) -> bool:
    found = find(entity, kind, condition.tokens)
    if condition.operator == "!":
        return not found
    if condition.operator == "" or not found:
        return bool(found)
    candidates = list(found)
    for item in found:
        if isinstance(item.value, list):
            candidates += [Found(element, False) for element in item.value]
    holds = any(satisfies(candidate, condition) for candidate in candidates)
    return not holds if condition.operator == "!=" else holds


# ---------------------------------------------------------------------------------------
# Strategies: few distinct values, so that statements and entities meet.

INSTANT_TEXTS = [
    "1969-12-31T23:59:58.500Z",
    "2020-01-01T00:00:00.000Z",
    "2020-01-01T00:00:00.123Z",
    "2030-06-15T12:30:45.678Z",
]
INSTANT_SECONDS = [-1.5, 1577836800.0, 1577836800.123, 1907757045.678]
NUMBERS = [-1, 0, 1, 2, 2.5, 10, 9007199254740993, 1577836800, 1577836800.123]
STRINGS = ["", "a", "ab", "b", "B", "20", "1", "true", "null", "2020-01-01", "é", "🚀", "/a", "x,y"]
NAMES = ["a", "b.c", "dateCreated", "dateExpires", "servicePath"]
KEYS = ["k", "k.l", "0", "1"]

PATTERNS = ["a", "^a", "b$", "^[ab]+$", ".", "^$", "2020", "^.*b", "é|🚀"]

seconds = st.sampled_from(INSTANT_SECONDS)
scalars = st.sampled_from([*NUMBERS, *STRINGS, True, False, None])
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)
# (type, value)
typed_values = st.one_of(
    json_values.map(lambda value: (default_type(value), value)),
    st.sampled_from(INSTANT_TEXTS).map(lambda text: ("DateTime", text)),
    st.just(("DateTime", None)),
    st.sampled_from(INSTANT_TEXTS).map(lambda text: ("Text", text)),
)
metadata = st.dictionaries(
    st.sampled_from(["m", "m.n", "dateModified"]),
    typed_values.map(lambda typed: {"type": typed[0], "value": typed[1]}),
    max_size=2,
)
attributes = st.builds(
    lambda typed, metadata, created, modified: Attribute(
        typed[0], typed[1], metadata, created, modified
    ),
    typed_values,
    metadata,
    seconds,
    seconds,
)


@st.composite
def entities(draw: st.DrawFn) -> Entity:
    entity = Entity(
        "E",
        "T",
        draw(st.sampled_from(["/", "/a"])),
        draw(st.dictionaries(st.sampled_from(NAMES), attributes, max_size=4)),
        draw(seconds),
        draw(seconds),
        1,
    )
    entity.expires = draw(st.none() | seconds)
    return entity


def quotable(text: str) -> Operand:
    return Operand(f"'{text}'", "string", text)


numbers = st.sampled_from(NUMBERS).map(lambda number: Operand(repr(number), "number", number))
strings = st.sampled_from(STRINGS).map(quotable) | st.sampled_from(["a", "ab", "B", "é"]).map(
    lambda text: Operand(text, "string", text)
)
dates = st.sampled_from(INSTANT_TEXTS).map(lambda text: Operand(text, "date", text)) | st.just(
    Operand("2020-01-01T01:00+01:00", "date", INSTANT_TEXTS[1])
)
booleans = st.sampled_from([Operand("true", "boolean", True), Operand("false", "boolean", False)])
null = Operand("null", "null", None)
patterns = st.sampled_from(PATTERNS).map(lambda text: Operand(text, "pattern", text))
orderable = [numbers, strings, dates]


@st.composite
def conditions(draw: st.DrawFn, kind: QueryKind) -> Condition:
    tokens = [draw(st.sampled_from([*NAMES, "missing"]))]
    if kind == "mq":
        tokens.append(draw(st.sampled_from(["m", "m.n", "dateModified", "missing"])))
    tokens += draw(st.lists(st.sampled_from(KEYS), max_size=2))
    form = "value"
    operands: tuple[Operand, ...]
    match draw(st.sampled_from(["unary", "equality", "equality", "order", "pattern"])):
        case "unary":
            return Condition(tuple(tokens), draw(st.sampled_from(["", "!"])), form, ())
        case "pattern":
            return Condition(tuple(tokens), "~=", form, (draw(patterns),))
        case "order":
            operator = draw(st.sampled_from(["<", "<=", ">", ">="]))
            return Condition(tuple(tokens), operator, form, (draw(st.one_of(orderable)),))
    operator = draw(st.sampled_from(["==", "!="]))
    form = draw(st.sampled_from(["value", "range", "list"]))
    if form == "value":
        operands = (draw(st.one_of(*orderable, booleans, st.just(null))),)
    elif form == "range":
        of_one_kind = draw(st.sampled_from(orderable))
        operands = (draw(of_one_kind), draw(of_one_kind))
    else:
        items = draw(st.sampled_from([numbers, dates, strings, strings | st.just(null)]))
        operands = tuple(draw(st.lists(items, min_size=2, max_size=3)))
    return Condition(tuple(tokens), operator, form, operands)


@given(st.data(), st.sampled_from(["q", "mq"]))
def test_a_query_means_what_the_standard_says(data: st.DataObject, kind: QueryKind) -> None:
    entity = data.draw(entities())
    wanted = data.draw(st.lists(conditions(kind), min_size=1, max_size=3))
    text = ";".join(condition.text() for condition in wanted)
    query = parse_query(text, kind)
    each = [expected(entity, kind, condition) for condition in wanted]
    assert [statement.matches(entity) for statement in query.statements] == each
    assert query.matches(entity) is all(each)

    to_notify, entity.attributes = entity.attributes, {}
    assert query.matches(entity, to_notify) is all(each)


# Bits of the language in any order reach further than characters do.
FRAGMENTS = (
    *"abz.,;:'!=<>~()[]\\*+{}^$ \t",
    *("..", "==", "~=", "!=", "1", "-2.5", "1e999", "null", "true", "'x'"),
    *("2020-01-01", "9999-12-31T23:59:59.9999Z", "T10:00", "é", "\ud800"),
)
fragments = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)


@given(fragments | st.text(max_size=40), st.sampled_from(["q", "mq"]))
@example("a==9999-12-31T23:59:59.9999Z", "q")
@example("a==9999-12-31T23:59:59-01:00", "q")
@example("a==" + "1" * 5000, "q")
@example("a~=" + "[" * 300, "q")
def test_any_text_is_a_query_or_a_bad_request(text: str, kind: QueryKind) -> None:
    try:
        query = parse_query(text, kind)
    except BadRequest:
        return
    assert query.text == text
    entity = Entity("E", "T", "/", {"a": Attribute("Text", "x", {}, 0.0, 0.0)}, 0.0, 0.0, 1)
    assert query.matches(entity) in (True, False)


# ---------------------------------------------------------------------------------------
# Patterns: what POSIX and Python write alike and mean alike.

ALPHABET = "ab.é🚀"
atoms = st.sampled_from(["a", "b", "\\.", "é", "🚀", ".", "[ab]", "[^a]", "[a-é]", "[.🚀]"])
repetitions = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{1,}", "{0}"])
expressions = st.recursive(
    st.tuples(atoms, repetitions).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join),
        st.tuples(inner, repetitions).map(lambda pair: f"({pair[0]}){pair[1]}"),
    ),
    max_leaves=6,
)
anchored = st.builds(
    lambda begin, middle, end: f"{begin}{middle}{end}",
    st.sampled_from(["", "^", ".*", "^.*"]),
    expressions,
    st.sampled_from(["", "$", ".*", ".*$"]),
)


@given(
    st.lists(anchored, min_size=1, max_size=2).map("|".join),
    st.lists(st.text(ALPHABET, max_size=6), min_size=1, max_size=8),
)
def test_a_pattern_finds_what_others_find(text: str, subjects: list[str]) -> None:
    pattern = compile_pattern(text)
    model = re.compile(text, re.DOTALL)
    in_a_set = re2.compile(pattern.expression)
    for subject in subjects:
        found = model.search(subject) is not None
        assert pattern.search(subject) is found
        assert (in_a_set.search(subject) is not None) is found
        assert not found or subject.startswith(pattern.literal_prefix)
        assert found or not pattern.matches_everything


@given(fragments | st.text(max_size=40))
@example("[" * 1000)
@example("(" * 4000)
@example("a{1000}{1000}{1000}")
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    try:
        pattern = compile_pattern(text)
    except InvalidPattern:
        return
    assert pattern.search("ab") in (True, False)
