"""Update operators: values like {"$inc": 2} that say how to change the stored value.

Pure functions of the stored value and the operand; the stored value is never changed in
place. Source: Orion API, section "Update operators for attribute values", and MongoDB's
operators of the same names, which Orion hands them to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from ngsi.errors import InternalServerError
from ngsi.instants import DATE_TYPES
from ngsi.json_value import JsonValue
from ngsi.ordering import order_key

_EXACT_INTEGERS: Final = 2.0**53
# What fits into JSON numbers of 64 bits, signed or not.
_LEAST_INTEGER: Final = -(2**63)
_GREATEST_INTEGER: Final = 2**64 - 1
_EPOCH: Final = "1970-01-01T00:00:00.000Z"


class _Absent:
    """Marks that there is no value: an operator that creates nothing, a missing member."""


ABSENT: Final = _Absent()


def is_operation(value: JsonValue) -> bool:
    """Whether a value of a request is an operation on the stored one."""
    return type(value) is dict and bool(value) and next(iter(value)) in _OPERATORS


def apply_operation(stored: JsonValue, operation: dict[str, JsonValue]) -> JsonValue:
    """The value after the operation.

    Raises InternalServerError, Orion's code here, when the operand or the stored value is of
    the wrong kind.
    """
    if len(operation) > 1:
        return _apply_set_and_unset(stored, operation)
    ((name, operand),) = operation.items()
    return _OPERATORS[name](stored, operand)


def initial_value(operation: dict[str, JsonValue], attribute_type: str) -> JsonValue:
    """The value of a new attribute; ABSENT when the operation creates none.

    The reference is 0 for numbers, 1970 for dates, {} and [] for the others.
    """
    name = next(iter(operation))
    if name in ("$pull", "$pullAll", "$unset"):
        return ABSENT
    if name in ("$min", "$max"):
        reference: JsonValue = _EPOCH if attribute_type in DATE_TYPES else 0
    elif name in ("$inc", "$mul"):
        reference = 0
    else:
        reference = {} if name == "$set" else []
    return apply_operation(reference, operation)


def _apply_set_and_unset(stored: JsonValue, operation: dict[str, JsonValue]) -> JsonValue:
    if operation.keys() != {"$set", "$unset"}:
        raise InternalServerError("only $set and $unset can be combined in one update")
    given, removed = operation["$set"], operation["$unset"]
    if type(given) is dict and type(removed) is dict and not given.keys().isdisjoint(removed):
        name = sorted(given.keys() & removed.keys())[0]
        raise InternalServerError(f"updating the path {name!r} would create a conflict")
    return _unset(_set(stored, given), removed)


def _number(value: JsonValue, operator: str, what: str) -> Any:
    if type(value) is not int and type(value) is not float:
        raise InternalServerError(f"cannot apply {operator}: the {what} is not a number")
    return value


def _tidy(number: float, operator: str) -> float:
    """The result in the model's normal form; JSON has neither infinity nor endless integers."""
    if type(number) is float:
        if not math.isfinite(number):
            raise InternalServerError(f"cannot apply {operator}: the result is no number")
        if number.is_integer() and abs(number) <= _EXACT_INTEGERS:
            return int(number)
    elif not _LEAST_INTEGER <= number <= _GREATEST_INTEGER:
        raise InternalServerError(f"cannot apply {operator}: the result has more than 64 bits")
    return number


def _inc(stored: JsonValue, operand: JsonValue) -> JsonValue:
    first, second = _number(stored, "$inc", "value"), _number(operand, "$inc", "operand")
    return _tidy(first + second, "$inc")


def _mul(stored: JsonValue, operand: JsonValue) -> JsonValue:
    first, second = _number(stored, "$mul", "value"), _number(operand, "$mul", "operand")
    return _tidy(first * second, "$mul")


def _min(stored: JsonValue, operand: JsonValue) -> JsonValue:
    return min(stored, operand, key=order_key)


def _max(stored: JsonValue, operand: JsonValue) -> JsonValue:
    return max(stored, operand, key=order_key)


def _array(value: JsonValue, operator: str, what: str = "value") -> list[JsonValue]:
    if type(value) is not list:
        raise InternalServerError(f"cannot apply {operator}: the {what} is not an array")
    return value


def _push(stored: JsonValue, operand: JsonValue) -> JsonValue:
    items = _array(stored, "$push")
    if type(operand) is not dict or "$each" not in operand:
        return [*items, operand]
    added = _array(operand["$each"], "$push", "operand of $each")
    position = operand.get("$position", len(items))
    if type(position) is not int:
        raise InternalServerError("cannot apply $push: $position is not an integer")
    return [*items[:position], *added, *items[position:]]


def _add_to_set(stored: JsonValue, operand: JsonValue) -> JsonValue:
    items = _array(stored, "$addToSet")
    added = [operand]
    if type(operand) is dict and "$each" in operand:
        added = _array(operand["$each"], "$addToSet", "operand of $each")
    seen = {order_key(item) for item in items}
    result = list(items)
    for item in added:
        key = order_key(item)
        if key not in seen:
            seen.add(key)
            result.append(item)
    return result


def _pull(stored: JsonValue, operand: JsonValue) -> JsonValue:
    items, key = _array(stored, "$pull"), order_key(operand)
    return [item for item in items if order_key(item) != key]


def _pull_all(stored: JsonValue, operand: JsonValue) -> JsonValue:
    items = _array(stored, "$pullAll")
    removed = {order_key(item) for item in _array(operand, "$pullAll", "operand")}
    return [item for item in items if order_key(item) not in removed]


def _set(stored: JsonValue, operand: JsonValue) -> JsonValue:
    if type(operand) is not dict:
        return operand
    if type(stored) is not dict:
        raise InternalServerError("cannot apply $set: the value is not an object")
    return {**stored, **operand}


def _unset(stored: JsonValue, operand: JsonValue) -> JsonValue:
    if type(operand) is not dict or type(stored) is not dict:
        return stored
    return {name: member for name, member in stored.items() if name not in operand}


_OPERATORS: Final[dict[str, Callable[[JsonValue, JsonValue], JsonValue]]] = {
    "$inc": _inc,
    "$mul": _mul,
    "$min": _min,
    "$max": _max,
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pull": _pull,
    "$pullAll": _pull_all,
    "$set": _set,
    "$unset": _unset,
}
