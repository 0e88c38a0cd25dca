"""The Simple Query Language: `q` over attribute values, `mq` over metadata.

Source: Orion API, section "Simple Query Language"; descriptions of errors as Orion words
them. Owns the grammar and what a match means: the same for queries and subscriptions, and
the one of Orion's queries (filters of MongoDB):

- A value that is an array matches if one of its elements does; a path goes through arrays
  by index or into each element. `!=` is the opposite, for properties that exist.
- Only values of one kind are compared: numbers, strings, booleans, null or dates. An ISO
  8601 operand is a date and matches only values of type DateTime, which match numbers too
  (seconds since 1970). A quoted operand is a string.
- The builtins dateCreated, dateModified, dateExpires and servicePath are reached by their
  names, and dateCreated, dateModified as metadata; they win over what a user named so
  (dateExpires is the attribute, where there is one).

It must not look at entity ids or types, nor decide which entities to try. Parsing costs some
microseconds per statement and is memoised for short texts; a match costs well under a
microsecond per statement on a scalar.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from ngsi.errors import BadRequest
from ngsi.instants import DATE_TYPES, canonical_instant, parse_instant
from ngsi.json_value import JsonValue
from ngsi.model import (
    DATE_CREATED,
    DATE_EXPIRES,
    DATE_MODIFIED,
    SERVICE_PATH,
    Attribute,
    Entity,
)
from ngsi.patterns import InvalidPattern, Pattern, compile_pattern
from ngsi.syntax import has_forbidden

QueryKind: TypeAlias = Literal["q", "mq"]

# Queries remembered: clients repeat theirs. A longer text is parsed each time, so that what
# hostile texts hold stays near 100 MB, and what usual ones hold far below.
_MEMO_SIZE: Final = 1024
_MEMO_TEXT_LENGTH: Final = 128  # characters, hence 64 statements of at most 2 KB

_BLANKS: Final = " \t\n"
# The first operator outside of quotes ends the attribute path. A : before = is part of it.
_OPERATOR: Final = re.compile(r"'[^']*'?|([=~!<>]=|[<>]|:(?!=))")
_QUOTED: Final = re.compile(r"'[^']*'?")
# In a unary statement a quote stands at an end or beside a dot.
_MISPLACED_QUOTE: Final = re.compile(r"(?<=[^.])'(?=[^.])", re.DOTALL)
_NUMBER: Final = re.compile(
    r"([+-]?\d+)|[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?", re.ASCII
)
# A comparison of an attribute with a number or a range of them, as most conditions are. It means
# what it means to the whole grammar, and is read in a third of the time.
_PLAIN: Final = re.compile(
    r"([A-Za-z_]\w*)([=!<>]=|[<>:])(-?\d{1,15}(?:\.\d{1,15})?)(?:\.\.(-?\d{1,15}(?:\.\d{1,15})?))?",
    re.ASCII,
)
_ARRAY_INDEX: Final = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
_NUMBER_TYPES: Final = frozenset({int, float})  # bool is an int in Python, not in JSON


class Operator(Enum):
    """What a statement asks of its property; the value is how it is written."""

    EXISTS = ""
    NOT_EXISTS = "!"
    EQUAL = "=="
    UNEQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    MATCHES = "~="


class Kind(Enum):
    """The kind of an operand; the value is how Orion names it in errors."""

    NUMBER = "Number"
    STRING = "String"
    BOOLEAN = "Bool"
    NULL = "Null"
    DATE = "Date"


@dataclass(frozen=True, slots=True)
class Instant:
    """A date operand: its canonical text and the same as seconds since 1970."""

    text: str
    seconds: float


Scalar: TypeAlias = int | float | str | bool | Instant | None


@dataclass(frozen=True, slots=True)
class Value:
    """A single operand. `kind` also keeps 1 and true apart when operands are compared."""

    kind: Kind
    value: Scalar


@dataclass(frozen=True, slots=True)
class Range:
    """`low..high`, both included; of numbers, strings or dates."""

    kind: Kind
    low: Any
    high: Any


@dataclass(frozen=True, slots=True)
class ListOf:
    """`value,value,...` of numbers, strings or dates; `null` only among strings."""

    kind: Kind
    values: tuple[Any, ...]
    null: bool = False


Operand: TypeAlias = Value | Range | ListOf | Pattern | None  # None for unary statements

_BINARY_OPERATORS: Final = {":": Operator.EQUAL} | {op.value: op for op in Operator}
_EQUALITIES: Final = frozenset({"==", "!=", ":"})
_ORDERING_NAMES: Final = {
    Operator.LESS: "LessThan",
    Operator.LESS_OR_EQUAL: "LessThanOrEqual",
    Operator.GREATER: "GreaterThan",
    Operator.GREATER_OR_EQUAL: "GreaterThanOrEqual",
}
_ORDERED_KINDS: Final = frozenset({Kind.NUMBER, Kind.STRING, Kind.DATE})

# A member of an enumeration costs ten times as much to reach as a global (Python 3.11).
_NUMBER_KIND: Final = Kind.NUMBER

_Attributes: TypeAlias = dict[str, Attribute]
_Test: TypeAlias = Callable[[Entity, _Attributes], bool]


@dataclass(frozen=True, slots=True)
class Statement:
    """One condition. `metadata` is None in a `q`; `path` leads into the value.

    The fields are the statement; the test is compiled from them at the first match, so that
    the many statements of stored subscriptions that are never tried cost little.
    """

    attribute: str
    metadata: str | None
    path: tuple[str, ...]
    operator: Operator
    operand: Operand
    _test: _Test | None = field(default=None, init=False, repr=False, compare=False)

    def matches(self, entity: Entity, attributes: _Attributes | None = None) -> bool:
        """As `Query.matches`, for this condition alone."""
        test = self._test
        if test is None:
            test = _compile_statement(self)
            object.__setattr__(self, "_test", test)  # the class is frozen for all others
        return test(entity, entity.attributes if attributes is None else attributes)


class Query:
    """The conjunction of its statements. Made by `parse_query`; never changed after."""

    __slots__ = ("_tests", "kind", "statements", "text")

    def __init__(self, text: str, kind: QueryKind, statements: tuple[Statement, ...]) -> None:
        self.text = text
        self.kind = kind
        self.statements = statements
        self._tests: tuple[_Test, ...] | None = None

    def __repr__(self) -> str:
        return f"Query({self.text!r}, {self.kind!r})"

    def matches(self, entity: Entity, attributes: _Attributes | None = None) -> bool:
        """Whether all statements hold for the entity, with `attributes` in place of its own."""
        if self._tests is None:
            self._tests = tuple(map(_compile_statement, self.statements))
        if attributes is None:
            attributes = entity.attributes
        for test in self._tests:  # noqa: SIM110 - all() would make a generator per match
            if not test(entity, attributes):
                return False
        return True


def parse_query(text: str, kind: QueryKind) -> Query:
    """The query of a `q` or `mq`; BadRequest with Orion's description if it is malformed."""
    if len(text) <= _MEMO_TEXT_LENGTH:
        return _parse_memoised(text, kind)
    return _parse_text(text, kind)


def _parse_text(text: str, kind: QueryKind) -> Query:
    if text in ("", ";"):
        raise BadRequest("empty q")
    if ";;" in text:
        raise BadRequest("empty q-item")
    body = text.removesuffix(";").strip(_BLANKS)
    if body.endswith(";"):
        raise BadRequest("empty q-item")
    items = body.removeprefix(";").split(";")
    return Query(text, kind, tuple(_parse_statement(item.strip(_BLANKS), kind) for item in items))


_parse_memoised: Final = lru_cache(maxsize=_MEMO_SIZE)(_parse_text)


def _parse_statement(item: str, kind: QueryKind) -> Statement:
    if kind == "q" and (plain := _PLAIN.fullmatch(item)) is not None:
        attribute, operator, low, high = plain.groups()
        if high is None:
            value = Value(_NUMBER_KIND, _read_decimal(low))
            return Statement(attribute, None, (), _BINARY_OPERATORS[operator], value)
        if operator in _EQUALITIES:
            numbers = Range(_NUMBER_KIND, _read_decimal(low), _read_decimal(high))
            return Statement(attribute, None, (), _BINARY_OPERATORS[operator], numbers)
    if not item:
        raise BadRequest("empty q-item (only whitespace)")
    left, op, right = _split_statement(item)
    if op in (Operator.EXISTS, Operator.NOT_EXISTS):
        if has_forbidden(left, "'"):
            raise BadRequest(f"invalid character found in URI param /{kind}/")
        if not left:
            raise BadRequest("empty right-hand-side in q-item")
        if _MISPLACED_QUOTE.search(left):
            raise BadRequest("forbidden characters in String Filter")
        attribute, metadata, path = _parse_path(left, kind, unary=True)
        return Statement(attribute, metadata, path, op, None)
    if not left:
        raise BadRequest("empty left-hand-side in q-item")
    if has_forbidden(left, "'"):
        raise BadRequest(f"invalid character found in URI param /{kind}/")
    if not right:
        raise BadRequest("empty right-hand-side in q-item")
    operand = _parse_operand(right, op)
    attribute, metadata, path = _parse_path(left, kind, unary=False)
    return Statement(attribute, metadata, path, op, operand)


def _split_statement(item: str) -> tuple[str, Operator, str]:
    if item[0] == "!":
        return item[1:].strip(_BLANKS), Operator.NOT_EXISTS, ""
    for match in _OPERATOR.finditer(item):
        if match[1] is not None:
            left, right = item[: match.start()], item[match.end() :]
            return left.strip(_BLANKS), _BINARY_OPERATORS[match[1]], right.strip(_BLANKS)
    return item, Operator.EXISTS, ""


def _parse_path(text: str, kind: QueryKind, unary: bool) -> tuple[str, str | None, tuple[str, ...]]:
    """The attribute, the metadata (for mq) and the path into the value."""
    tokens = [token.replace("'", "") for token in _split_unquoted(text, ".")]
    attribute, *path = tokens
    if kind == "q":
        if not all(tokens):
            raise BadRequest(f"empty token in attribute path {text} of q-item")
        return attribute, None, tuple(path)
    if not path or not path[0]:
        raise BadRequest(
            "no metadata in right-hand-side of q-item"
            if unary
            else "no metadata name - not valid for metadata filters"
        )
    if not attribute:
        raise BadRequest("no attribute name - not valid for metadata filters")
    if not all(path):
        raise BadRequest(f"empty token in metadata path {text} of q-item")
    return attribute, path[0], tuple(path[1:])


def _split_unquoted(text: str, separator: str, most: int = -1) -> list[str]:
    """`text.split(separator, most)`, blind to separators between single quotes."""
    blinded = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), text)
    parts = []
    start = 0
    for part in blinded.split(separator, most):
        parts.append(text[start : start + len(part)])
        start += len(part) + len(separator)
    return parts


def _parse_operand(text: str, op: Operator) -> Operand:
    if op is Operator.MATCHES:
        if has_forbidden(text):
            raise BadRequest("forbidden characters in String Filter")
        try:
            return compile_pattern(text)
        except InvalidPattern as error:
            raise BadRequest(f"error compiling filter regex: '{text}'") from error
    ordering = op in _ORDERING_NAMES
    ends = _split_unquoted(text, "..", 1)
    if len(ends) == 2:
        if ordering:
            raise BadRequest("ranges only valid for equal and not equal ops")
        return _parse_range(ends[0].strip(_BLANKS), ends[1].strip(_BLANKS))
    items = _split_unquoted(text, ",")
    if len(items) > 1:
        if ordering:
            raise BadRequest("lists only valid for equal and not equal ops")
        return _parse_list([item.strip(_BLANKS) for item in items])
    value = _parse_scalar(text)
    if ordering and value.kind not in _ORDERED_KINDS:
        raise BadRequest(
            f"values of type /{value.kind.value}/ not supported"
            f" for operator /{_ORDERING_NAMES[op]}/"
        )
    return value


def _parse_range(low_text: str, high_text: str) -> Range:
    if not low_text or not high_text:
        raise BadRequest("empty item in range")
    low = _parse_scalar(low_text)
    if low.kind not in _ORDERED_KINDS:
        raise BadRequest("invalid data type for /range-from/")
    high = _parse_scalar(high_text)
    if high.kind not in _ORDERED_KINDS:
        raise BadRequest("invalid data type for /range-to/")
    if low.kind is not high.kind:
        raise BadRequest("invalid range: types mixed")
    return Range(low.kind, low.value, high.value)


def _parse_list(items: list[str]) -> ListOf:
    kind: Kind | None = None
    values: list[Scalar] = []
    null = False
    for item in items:
        if not item:
            raise BadRequest("empty item in list")
        value = _parse_scalar(item)
        if value.kind is Kind.NULL:
            value_kind = Kind.STRING
            null = True
        else:
            value_kind = value.kind
            values.append(value.value)
        if value_kind is Kind.BOOLEAN or value_kind is not (kind or value_kind):
            raise BadRequest("invalid JSON value type in list")
        kind = value_kind
    return ListOf(kind or Kind.STRING, tuple(values), null)


def _parse_scalar(text: str) -> Value:
    if text[0] == "'":
        if len(text) == 1 or text[-1] != "'":
            raise BadRequest("non-terminated forced string")
        text = text[1:-1]
        if "'" in text:
            raise BadRequest("quote in forced string")
    elif (number := _parse_number(text)) is not None:
        return Value(Kind.NUMBER, number)
    elif (instant := _parse_date(text)) is not None:
        return Value(Kind.DATE, instant)
    elif text in ("true", "false"):
        return Value(Kind.BOOLEAN, text == "true")
    elif text == "null":
        return Value(Kind.NULL, None)
    if has_forbidden(text):
        raise BadRequest("forbidden characters in String Filter")
    return Value(Kind.STRING, text)


def _read_decimal(text: str) -> int | float:
    """The number that digits, maybe with a sign and a fraction, stand for; as `_parse_number`."""
    if "." not in text:
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() else number


def _parse_number(text: str) -> int | float | None:
    """A decimal number in the normal form of the model, None if it is none or no double."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    number = float(text)
    if number in (float("inf"), float("-inf")):
        return None
    if match[1] is not None:
        # Not by way of float, which is exact only up to 2**53. The double is finite, so what
        # is left without leading zeros has at most 309 digits.
        digits = text.lstrip("+-").lstrip("0") or "0"
        return -int(digits) if text[0] == "-" else int(digits)
    return int(number) if number.is_integer() else number


def _parse_date(text: str) -> Instant | None:
    try:
        canonical = canonical_instant(text)
    except ValueError:  # after the year 9999 once it is in UTC and rounded
        return None
    if canonical is None:
        return None
    seconds = parse_instant(canonical)
    return None if seconds is None else Instant(canonical, seconds)


class _Criterion(NamedTuple):
    """What a statement asks of a value, by how the value is kept."""

    plain: Callable[[JsonValue], bool]
    dated: Callable[[str], bool]  # canonical text of a value of type DateTime
    timed: Callable[[float], bool]  # seconds since 1970, whole milliseconds


_Judge: TypeAlias = Callable[[JsonValue, str], bool]  # of a value and the type that goes with it


def _never(_: object) -> bool:
    return False


def _always(_: object) -> bool:
    return True


# Builtin attributes and metadata that are times, read from an Entity or an Attribute.
_BUILTIN_TIMES: Final[dict[str, Callable[[Entity | Attribute], float]]] = {
    DATE_CREATED: attrgetter("created"),
    DATE_MODIFIED: attrgetter("modified"),
}
_EXISTENCE: Final = _Criterion(_always, _always, _always)


def _criterion(op: Operator, operand: Operand) -> _Criterion:
    """The criterion of an operator; `!=` has that of `==`, to be negated."""
    if operand is None:
        return _EXISTENCE
    if isinstance(operand, Pattern):
        return _Criterion(_on_strings(operand.search), _never, _never)
    match operand.kind:
        case Kind.STRING:
            compare = _on_strings(_comparison(op, operand, lambda string: string))
            if isinstance(operand, ListOf) and operand.null:
                return _Criterion(lambda value: value is None or compare(value), _never, _never)
            return _Criterion(compare, _never, _never)
        case Kind.NUMBER:
            holds = _comparison(op, operand, lambda number: number)
            return _Criterion(
                lambda value: value.__class__ in _NUMBER_TYPES and holds(value),
                lambda text: (seconds := parse_instant(text)) is not None and holds(seconds),
                holds,
            )
        case Kind.DATE:
            return _Criterion(
                _never,
                _comparison(op, operand, lambda instant: instant.text),
                _comparison(op, operand, lambda instant: instant.seconds),
            )
    singleton = operand.value if isinstance(operand, Value) else None
    return _Criterion(lambda value: value is singleton, _never, _never)


def _on_strings(test: Callable[[str], bool]) -> Callable[[JsonValue], bool]:
    return lambda value: value.__class__ is str and test(value)


def _comparison(
    op: Operator, operand: Value | Range | ListOf, read: Callable[[Any], Any]
) -> Callable[[Any], bool]:
    """A test of values of the operand's kind; `read` gives what stands for a parsed one."""
    if isinstance(operand, Range):
        low, high = read(operand.low), read(operand.high)
        return lambda value: low <= value <= high
    if isinstance(operand, ListOf):
        return frozenset(map(read, operand.values)).__contains__
    bound = read(operand.value)
    match op:
        case Operator.LESS:
            return lambda value: value < bound
        case Operator.LESS_OR_EQUAL:
            return lambda value: value <= bound
        case Operator.GREATER:
            return lambda value: value > bound
        case Operator.GREATER_OR_EQUAL:
            return lambda value: value >= bound
    return lambda value: value == bound


def _compile_statement(statement: Statement) -> _Test:
    op = statement.operator
    if op is Operator.NOT_EXISTS:
        exists = _compile_target(statement, _EXISTENCE, negated=False)
        return lambda entity, attributes: not exists(entity, attributes)
    criterion = _criterion(op, statement.operand)
    return _compile_target(statement, criterion, negated=op is Operator.UNEQUAL)


def _compile_target(statement: Statement, criterion: _Criterion, negated: bool) -> _Test:
    """A test that the property of the statement exists and that the criterion holds (or not)."""
    name, metadata, path = statement.attribute, statement.metadata, statement.path
    judge = _judge(criterion, path, negated)

    def judge_time(seconds: float) -> bool:
        # To the millisecond, as clients see it.
        return criterion.timed(round(seconds * 1000) / 1000) != negated

    if metadata is not None:
        if metadata in _BUILTIN_TIMES and not path:
            read = _BUILTIN_TIMES[metadata]
            return lambda _, attributes: name in attributes and judge_time(read(attributes[name]))
        return _metadata_test(name, metadata, judge)
    judge_attribute = _attribute_test(name, judge)
    if path:
        return judge_attribute
    if name in _BUILTIN_TIMES:
        read = _BUILTIN_TIMES[name]
        return lambda entity, _: judge_time(read(entity))
    if name == SERVICE_PATH:
        return lambda entity, _: judge(entity.service_path, "")
    if name == DATE_EXPIRES:
        return lambda entity, attributes: (
            judge_attribute(entity, attributes)
            if name in attributes
            else entity.expires is not None and judge_time(entity.expires)
        )
    return judge_attribute


def _attribute_test(name: str, judge: _Judge) -> _Test:
    def test(_: Entity, attributes: _Attributes) -> bool:
        attribute = attributes.get(name)
        return attribute is not None and judge(attribute.value, attribute.type)

    return test


def _metadata_test(name: str, metadata_name: str, judge: _Judge) -> _Test:
    def test(_: Entity, attributes: _Attributes) -> bool:
        attribute = attributes.get(name)
        if attribute is None:
            return False
        metadata = attribute.metadata.get(metadata_name)
        return metadata is not None and judge(metadata["value"], metadata["type"])

    return test


def _judge(criterion: _Criterion, path: tuple[str, ...], negated: bool) -> _Judge:
    plain, dated, _ = criterion
    steps = tuple((token, int(token) if _ARRAY_INDEX.fullmatch(token) else -1) for token in path)

    def holds(value: JsonValue) -> bool:
        return plain(value) or (value.__class__ is list and any(map(plain, value)))

    def judge(value: JsonValue, type_name: str) -> bool:
        if value.__class__ is str and type_name in DATE_TYPES:
            return dated(value) != negated
        return holds(value) != negated

    def judge_within(value: JsonValue, _: str) -> bool:
        found = _descend(value, steps)
        return bool(found) and any(map(holds, found)) != negated

    return judge_within if path else judge


def _descend(value: JsonValue, steps: tuple[tuple[str, int], ...]) -> list[JsonValue]:
    """All values at the end of `steps` (key, index or -1); through arrays as MongoDB goes."""
    found = [value]
    for key, index in steps:
        if len(found) == 1 and found[0].__class__ is dict:  # all of them, mostly
            if key not in found[0]:
                return []
            found = [found[0][key]]
            continue
        # By identity: with keys like "0" one value can be reached in a number of ways that
        # doubles with every level.
        reached: dict[int, JsonValue] = {}
        for holder in found:
            if holder.__class__ is dict:
                if key in holder:
                    reached[id(holder[key])] = holder[key]
            elif holder.__class__ is list:
                if 0 <= index < len(holder):
                    reached[id(holder[index])] = holder[index]
                for item in holder:
                    if item.__class__ is dict and key in item:
                        reached[id(item[key])] = item[key]
        found = list(reached.values())
    return found
