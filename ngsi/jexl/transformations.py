"""The transformations that expressions can use with `|` (Orion API, "Available
Transformations"). Each takes JSON values and gives one; None where an argument is wrong.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import wraps
from statistics import median
from typing import Any, Final

import orjson
import re2

from ngsi.instants import parse_instant
from ngsi.jexl.lexer import JexlError
from ngsi.model import JsonValue

MAX_TEXT_LENGTH: Final = 1 << 20  # characters an expression may build; as long as a body

_MAX_DECIMALS: Final = 15  # digits that a double holds

Transformation = Callable[..., JsonValue]


def _guarded(function: Callable[..., JsonValue]) -> Transformation:
    """Arguments of the wrong number or kind give None."""

    @wraps(function)
    def transform(*arguments: JsonValue) -> JsonValue:
        try:
            return function(*arguments)
        except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError):
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


def _numbers(value: JsonValue) -> list[Any]:
    if type(value) is not list:
        raise TypeError("an array is needed")
    return [_number(item) for item in value]


def _some_numbers(value: JsonValue) -> list[Any]:
    numbers = _numbers(value)
    if not numbers:
        raise ValueError("the array is empty")
    return numbers


def _index_of(subject: JsonValue, part: JsonValue) -> JsonValue:
    return _text(subject).index(_text(part))


def _substring(subject: JsonValue, start: JsonValue, end: JsonValue) -> JsonValue:
    text, first, last = _text(subject), int(_number(start)), int(_number(end))
    if not 0 <= first <= last <= len(text):
        return None
    return text[first:last]


def _split(subject: JsonValue, delimiter: JsonValue) -> JsonValue:
    return list(_text(subject).split(_text(delimiter)))


def _is_nan(subject: JsonValue) -> JsonValue:
    if type(subject) is str:
        try:
            return math.isnan(float(subject))
        except ValueError:
            return True
    return type(subject) is not int and type(subject) is not float


def _parse_int(subject: JsonValue) -> JsonValue:
    return int(_text(subject)) if type(subject) is str else int(_number(subject))


def _parse_float(subject: JsonValue) -> JsonValue:
    number = float(_text(subject)) if type(subject) is str else float(_number(subject))
    return number if math.isfinite(number) else None


_TYPE_NAMES: Final = {
    str: "String",
    int: "Number",
    float: "Number",
    bool: "Boolean",
    list: "Array",
    dict: "Object",
    type(None): "null",
}


def _type_of(subject: JsonValue) -> JsonValue:
    return _TYPE_NAMES[type(subject)]


def _to_string(subject: JsonValue) -> JsonValue:
    return subject if type(subject) is str else orjson.dumps(subject).decode()


def _to_json(subject: JsonValue) -> JsonValue:
    return orjson.loads(_text(subject))


def _to_fixed(subject: JsonValue, decimals: JsonValue) -> JsonValue:
    digits = min(max(int(_number(decimals)), 0), _MAX_DECIMALS)
    quantum = Decimal(1).scaleb(-digits)
    return float(Decimal(repr(_number(subject))).quantize(quantum, ROUND_HALF_UP))


def _round(subject: JsonValue) -> JsonValue:
    number = _number(subject)
    # Half away from zero.
    return int(math.copysign(math.floor(abs(number) + 0.5), number))


def _replace(subject: JsonValue, source: JsonValue, target: JsonValue) -> JsonValue:
    text, old, new = _text(subject), _text(source), _text(target)
    if len(text) + (text.count(old) * len(new)) > MAX_TEXT_LENGTH:
        raise JexlError("text too long")
    return text.replace(old, new)


def _compile(pattern: JsonValue) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(_text(pattern), options)
    except re2.error:
        raise ValueError("no regular expression") from None


def _replace_regex(subject: JsonValue, pattern: JsonValue, target: JsonValue) -> JsonValue:
    text, new = _text(subject), _text(target)
    if len(text) * (1 + len(new)) > MAX_TEXT_LENGTH:
        raise JexlError("text too long")
    return _compile(pattern).sub(new.replace("\\", "\\\\"), text)


def _match_regex(subject: JsonValue, pattern: JsonValue) -> JsonValue:
    return [match.group() for match in _compile(pattern).finditer(_text(subject))]


def _mapper(subject: JsonValue, values: JsonValue, choices: JsonValue) -> JsonValue:
    texts = [_text(value) for value in values]
    if len(texts) != len(choices):
        return None
    return choices[texts.index(_text(subject))]


def _number_mapper(subject: JsonValue, values: JsonValue, choices: JsonValue) -> JsonValue:
    numbers = [round(number) for number in _numbers(values)]
    if len(numbers) != len(choices):
        return None
    return choices[numbers.index(round(_number(subject)))]


def _threshold_mapper(subject: JsonValue, values: JsonValue, choices: JsonValue) -> JsonValue:
    thresholds = _numbers(values)
    if len(choices) != len(thresholds) + 1:
        return None
    number = _number(subject)
    for position, threshold in enumerate(thresholds):
        if number < threshold:
            return choices[position]
    return choices[-1]


def _values(subject: JsonValue) -> JsonValue:
    return list(subject.values())


def _keys(subject: JsonValue) -> JsonValue:
    return list(subject.keys())


def _now(subject: JsonValue) -> JsonValue:
    return int(time.time()) + int(_number(subject))


def _to_iso_string(subject: JsonValue) -> JsonValue:
    return datetime.fromtimestamp(_number(subject), UTC).isoformat()


def _get_time(subject: JsonValue) -> JsonValue:
    return parse_instant(_text(subject))


def _reverse(subject: JsonValue) -> JsonValue:
    if type(subject) is not list:
        return None
    return subject[::-1]


_FUNCTIONS: Final[dict[str, Transformation]] = {
    "uppercase": lambda subject: _text(subject).upper(),
    "lowercase": lambda subject: _text(subject).lower(),
    "split": _split,
    "indexOf": _index_of,
    "len": lambda subject: len(_text(subject)),
    "trim": lambda subject: _text(subject).strip(),
    "substring": _substring,
    "includes": lambda subject, part: _text(part) in _text(subject),
    "isNaN": _is_nan,
    "parseInt": _parse_int,
    "parseFloat": _parse_float,
    "typeOf": _type_of,
    "toString": _to_string,
    "toJson": _to_json,
    "floor": lambda subject: math.floor(_number(subject)),
    "ceil": lambda subject: math.ceil(_number(subject)),
    "round": _round,
    "toFixed": _to_fixed,
    "log": lambda subject: math.log(_number(subject)),
    "log10": lambda subject: math.log10(_number(subject)),
    "log2": lambda subject: math.log2(_number(subject)),
    "sqrt": lambda subject: math.sqrt(_number(subject)),
    "replaceStr": _replace,
    "replaceRegex": _replace_regex,
    "matchRegex": _match_regex,
    "mapper": _mapper,
    "nMapper": _number_mapper,
    "thMapper": _threshold_mapper,
    "values": _values,
    "keys": _keys,
    "arrSum": lambda subject: sum(_some_numbers(subject)),
    "arrAvg": lambda subject: sum(_some_numbers(subject)) / len(subject),
    "arrMax": lambda subject: max(_some_numbers(subject)),
    "arrMin": lambda subject: min(_some_numbers(subject)),
    "arrMed": lambda subject: median(_some_numbers(subject)),
    "arrSort": lambda subject: sorted(_numbers(subject)),
    "arrReverse": _reverse,
    "now": _now,
    "toIsoString": _to_iso_string,
    "getTime": _get_time,
}

TRANSFORMATIONS: Final = {name: _guarded(function) for name, function in _FUNCTIONS.items()}
