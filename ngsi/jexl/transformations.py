"""The transformations that expressions can use with `|` (Orion API, "Available
Transformations"). Each takes a budget and JSON values and gives a value; None where an
argument is wrong. Where the manual is silent or wrong, Orion's functional cases 4004 count:
`len` takes arrays, and `toFixed` rounds the number that the double is (0.85 to 0.8).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from statistics import median
from typing import Any, Final

import orjson

from ngsi.instants import parse_instant
from ngsi.jexl.budget import Budget, measure
from ngsi.jexl.lexer import JexlError
from ngsi.jexl.regular_expressions import find_spans
from ngsi.json_value import JsonValue

MAX_TEXT_LENGTH: Final = 1 << 20  # characters an expression may build; as long as a body

_MAX_DECIMALS: Final = 15  # digits that a double holds
_MAX_DIGITS: Final = 400  # of a number in a text; a double has 309 at most
_INTEGER: Final = re.compile(r"\s*([+-]?[0-9]+)\s*")
_FLOAT: Final = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")

# What a transformation costs for each item or character that it visits.
_ITEM_UNITS: Final = 10
_SORT_UNITS: Final = 40
_LETTER_UNITS: Final = 2  # to change its case
_PARSE_UNITS: Final = 2

Transformation = Callable[..., JsonValue]


def _guarded(function: Callable[..., JsonValue]) -> Transformation:
    """Arguments of the wrong number or kind give None."""

    @wraps(function)
    def transform(budget: Budget, *arguments: JsonValue) -> JsonValue:
        try:
            return function(budget, *arguments)
        except (TypeError, ValueError, ArithmeticError, LookupError, OSError):
            return None

    return transform


def _text(value: JsonValue) -> str:
    if type(value) is not str:
        raise TypeError("a string is needed")
    return value


def _number(value: JsonValue) -> Any:
    if type(value) is not int and type(value) is not float:
        raise TypeError("a number is needed")
    return value


def _array(value: JsonValue, budget: Budget, units: int = _ITEM_UNITS) -> list[Any]:
    if type(value) is not list:
        raise TypeError("an array is needed")
    budget.spend(len(value) * units)
    return value


def _numbers(value: JsonValue, budget: Budget, units: int = _ITEM_UNITS) -> list[Any]:
    return [_number(item) for item in _array(value, budget, units)]


def _some_numbers(value: JsonValue, budget: Budget, units: int = _ITEM_UNITS) -> list[Any]:
    numbers = _numbers(value, budget, units)
    if not numbers:
        raise ValueError("the array is empty")
    return numbers


def _uppercase(budget: Budget, subject: JsonValue) -> JsonValue:
    budget.spend(len(_text(subject)) * _LETTER_UNITS)
    return subject.upper()


def _lowercase(budget: Budget, subject: JsonValue) -> JsonValue:
    budget.spend(len(_text(subject)) * _LETTER_UNITS)
    return subject.lower()


def _length(budget: Budget, subject: JsonValue) -> JsonValue:
    return len(subject) if type(subject) is list else len(_text(subject))


def _trim(budget: Budget, subject: JsonValue) -> JsonValue:
    budget.spend_text(len(_text(subject)))
    return subject.strip()


def _index_of(budget: Budget, subject: JsonValue, part: JsonValue) -> JsonValue:
    budget.spend_text(len(_text(subject)))
    return subject.index(_text(part))


def _includes(budget: Budget, subject: JsonValue, part: JsonValue) -> JsonValue:
    budget.spend_text(len(_text(subject)))
    return _text(part) in subject


def _substring(budget: Budget, subject: JsonValue, start: JsonValue, end: JsonValue) -> JsonValue:
    text, first, last = _text(subject), int(_number(start)), int(_number(end))
    if not 0 <= first <= last <= len(text):
        return None
    budget.spend_text(last - first)
    return text[first:last]


def _split(budget: Budget, subject: JsonValue, delimiter: JsonValue) -> JsonValue:
    text, separator = _text(subject), _text(delimiter)
    budget.spend_text(len(text))
    budget.spend(text.count(separator) * _ITEM_UNITS)
    return list(text.split(separator))


def _parse(text: str, shape: re.Pattern[str]) -> str:
    if len(text) > _MAX_DIGITS:
        raise ValueError("too long for a number")
    match = shape.fullmatch(text)
    if match is None:
        raise ValueError("no number")
    return match[1]


def _is_nan(budget: Budget, subject: JsonValue) -> JsonValue:
    if type(subject) is str:
        try:
            _parse(subject, _FLOAT)
        except ValueError:
            return True
        return False
    return type(subject) is not int and type(subject) is not float


def _parse_int(budget: Budget, subject: JsonValue) -> JsonValue:
    if type(subject) is str:
        return int(_parse(subject, _INTEGER))
    return int(_number(subject))


def _parse_float(budget: Budget, subject: JsonValue) -> JsonValue:
    if type(subject) is str:
        return float(_parse(subject, _FLOAT))
    return float(_number(subject))


_TYPE_NAMES: Final = {
    str: "String",
    int: "Number",
    float: "Number",
    bool: "Boolean",
    list: "Array",
    dict: "Object",
    type(None): "null",
}


def _type_of(budget: Budget, subject: JsonValue) -> JsonValue:
    return _TYPE_NAMES[type(subject)]


def _to_string(budget: Budget, subject: JsonValue) -> JsonValue:
    if type(subject) is str:
        return subject
    budget.spend_text(measure(subject, budget))
    return orjson.dumps(subject).decode()


def _to_json(budget: Budget, subject: JsonValue) -> JsonValue:
    budget.spend(len(_text(subject)) * _PARSE_UNITS)
    return orjson.loads(subject)


def _to_fixed(budget: Budget, subject: JsonValue, decimals: JsonValue) -> JsonValue:
    digits = int(_number(decimals))
    if digits < 0:
        return None
    return float(f"{_number(subject):.{min(digits, _MAX_DECIMALS)}f}")


def _round_number(number: float) -> int:
    """The closest integer; half goes away from zero."""
    whole = math.floor(abs(number))
    # Not floor(number + 0.5): that sum is rounded, too (0.49999999999999994 would give 1).
    return int(math.copysign(whole + (abs(number) - whole >= 0.5), number))


def _replace(budget: Budget, subject: JsonValue, source: JsonValue, target: JsonValue) -> JsonValue:
    text, old, new = _text(subject), _text(source), _text(target)
    budget.spend_text(len(text))
    count = text.count(old)
    length = len(text) + count * len(new)
    if length > MAX_TEXT_LENGTH:
        raise JexlError("text too long")
    budget.spend_text(length)
    budget.spend(count)
    return text.replace(old, new)


def _replace_regex(
    budget: Budget, subject: JsonValue, pattern: JsonValue, target: JsonValue
) -> JsonValue:
    text, new = _text(subject), _text(target)
    parts: list[str] = []
    position = length = 0
    for start, end in find_spans(_text(pattern), text, budget):
        parts += (text[position:start], new)
        length += len(new)
        position = end
        if length > MAX_TEXT_LENGTH:
            raise JexlError("text too long")
    parts.append(text[position:])
    budget.spend_text(len(text) + length)
    return "".join(parts)


def _match_regex(budget: Budget, subject: JsonValue, pattern: JsonValue) -> JsonValue:
    text = _text(subject)
    return [text[start:end] for start, end in find_spans(_text(pattern), text, budget)]


def _choose(position: int, choices: JsonValue, count: int) -> JsonValue:
    if type(choices) is not list or len(choices) != count:
        return None
    return choices[position]


def _mapper(budget: Budget, subject: JsonValue, values: JsonValue, choices: JsonValue) -> JsonValue:
    texts = [_text(value) for value in _array(values, budget)]
    return _choose(texts.index(_text(subject)), choices, len(texts))


def _number_mapper(
    budget: Budget, subject: JsonValue, values: JsonValue, choices: JsonValue
) -> JsonValue:
    numbers = [_round_number(number) for number in _numbers(values, budget, _SORT_UNITS)]
    return _choose(numbers.index(_round_number(_number(subject))), choices, len(numbers))


def _threshold_mapper(
    budget: Budget, subject: JsonValue, values: JsonValue, choices: JsonValue
) -> JsonValue:
    thresholds = _numbers(values, budget)
    number = _number(subject)
    passed = len(thresholds)
    for position, threshold in enumerate(thresholds):
        if number < threshold:
            passed = position
            break
    return _choose(passed, choices, len(thresholds) + 1)


def _values(budget: Budget, subject: JsonValue) -> JsonValue:
    if type(subject) is not dict:
        return None
    budget.spend(len(subject) * _ITEM_UNITS)
    return list(subject.values())


def _keys(budget: Budget, subject: JsonValue) -> JsonValue:
    if type(subject) is not dict:
        return None
    budget.spend(len(subject) * _ITEM_UNITS)
    return list(subject)


def _average(budget: Budget, subject: JsonValue) -> JsonValue:
    numbers = _some_numbers(subject, budget)
    return float(sum(numbers) / len(numbers))


def _now(budget: Budget, subject: JsonValue) -> JsonValue:
    return int(time.time()) + int(_number(subject))


def _to_iso_string(budget: Budget, subject: JsonValue) -> JsonValue:
    return datetime.fromtimestamp(_number(subject), UTC).isoformat()


_FUNCTIONS: Final[dict[str, Transformation]] = {
    "uppercase": _uppercase,
    "lowercase": _lowercase,
    "split": _split,
    "indexOf": _index_of,
    "len": _length,
    "trim": _trim,
    "substring": _substring,
    "includes": _includes,
    "isNaN": _is_nan,
    "parseInt": _parse_int,
    "parseFloat": _parse_float,
    "typeOf": _type_of,
    "toString": _to_string,
    "toJson": _to_json,
    "floor": lambda budget, subject: math.floor(_number(subject)),
    "ceil": lambda budget, subject: math.ceil(_number(subject)),
    "round": lambda budget, subject: _round_number(_number(subject)),
    "toFixed": _to_fixed,
    "log": lambda budget, subject: math.log(_number(subject)),
    "log10": lambda budget, subject: math.log10(_number(subject)),
    "log2": lambda budget, subject: math.log2(_number(subject)),
    "sqrt": lambda budget, subject: math.sqrt(_number(subject)),
    "replaceStr": _replace,
    "replaceRegex": _replace_regex,
    "matchRegex": _match_regex,
    "mapper": _mapper,
    "nMapper": _number_mapper,
    "thMapper": _threshold_mapper,
    "values": _values,
    "keys": _keys,
    "arrSum": lambda budget, subject: sum(_some_numbers(subject, budget)),
    "arrAvg": _average,
    "arrMax": lambda budget, subject: max(_some_numbers(subject, budget)),
    "arrMin": lambda budget, subject: min(_some_numbers(subject, budget)),
    "arrMed": lambda budget, subject: median(_some_numbers(subject, budget, _SORT_UNITS)),
    "arrSort": lambda budget, subject: sorted(_numbers(subject, budget, _SORT_UNITS)),
    "arrReverse": lambda budget, subject: _array(subject, budget)[::-1],
    "now": _now,
    "toIsoString": _to_iso_string,
    "getTime": lambda budget, subject: parse_instant(_text(subject)),
}

TRANSFORMATIONS: Final = {name: _guarded(function) for name, function in _FUNCTIONS.items()}
