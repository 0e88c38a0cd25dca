"""What the parts of an expression do: closures over a scope, and the operators.

Chains (operators of one level, pipes, members, the else-branches of ternaries) are evaluated
in loops, so only what is nested in an expression nests calls; the parser bounds that.
Whatever takes time with the size of a value is paid from the scope's budget first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from ngsi.jexl.budget import Budget
from ngsi.jexl.lexer import JexlError
from ngsi.jexl.transformations import MAX_TEXT_LENGTH, TRANSFORMATIONS
from ngsi.json_value import JsonValue

_EPSILON: Final = 0.000001  # numbers closer than this are equal
_EXACT_INTEGERS: Final = 2**53
_COMPARE_UNITS: Final = 30  # of two values that are nested
_FILTER_UNITS: Final = 60  # an item


class Scope:
    """The identifiers that an expression sees, and what it may cost."""

    __slots__ = ("budget", "names")

    def __init__(self, names: dict[str, Any], budget: Budget) -> None:
        self.names = names
        self.budget = budget


Evaluator: TypeAlias = Callable[[Scope], JsonValue]
# A step from a value to the next one, such as a member or a transformation.
Step: TypeAlias = Callable[[JsonValue, Scope], JsonValue]


def make_constant(value: JsonValue) -> Evaluator:
    """A literal."""
    return lambda scope: value


def make_identifier(name: str) -> Evaluator:
    """The value of a name; JexlError where there is none."""

    def evaluate(scope: Scope) -> JsonValue:
        try:
            return scope.names[name]
        except KeyError:
            raise JexlError(f"{name} is not defined") from None

    return evaluate


def make_array(items: list[Evaluator]) -> Evaluator:
    """An array literal."""
    return lambda scope: [item(scope) for item in items]


def make_object(members: dict[str, Evaluator]) -> Evaluator:
    """An object literal."""
    return lambda scope: {name: member(scope) for name, member in members.items()}


def make_path(subject: Evaluator, steps: Sequence[Step]) -> Evaluator:
    """A value and the steps taken from it."""
    if not steps:
        return subject

    def evaluate(scope: Scope) -> JsonValue:
        value = subject(scope)
        for step in steps:
            value = step(value, scope)
        return value

    return evaluate


def make_member(name: str) -> Step:
    """A member by its name, null where there is none."""
    return lambda value, scope: value.get(name) if type(value) is dict else None


def make_index(index: Evaluator) -> Step:
    """An item by its position or a member by its name, null where there is none."""

    def step(value: JsonValue, scope: Scope) -> JsonValue:
        key = index(scope)
        if type(key) is str:
            return value.get(key) if type(value) is dict else None
        if not _is_number(key):
            raise JexlError("an index is neither a string nor a number")
        # A negative index counts as 0, as in the original.
        position = max(0, math.floor(key))
        return value[position] if type(value) is list and position < len(value) else None

    return step


def make_filter(name: str, operator: str, right: Evaluator) -> Step:
    """The items of an array whose member passes a comparison."""

    def step(value: JsonValue, scope: Scope) -> JsonValue:
        if type(value) is not list:
            raise JexlError("only arrays can be filtered")
        scope.budget.spend(len(value) * _FILTER_UNITS)
        wanted = right(scope)
        return [item for item in value if passes(item, wanted, scope.budget)]

    def passes(item: JsonValue, wanted: JsonValue, budget: Budget) -> bool:
        left = item.get(name) if type(item) is dict else None
        try:
            return is_truthy(apply(operator, left, wanted, budget))
        except JexlError:
            return False

    return step


def make_transformation(name: str, arguments: list[Evaluator]) -> Step:
    """A transformation; JexlError where there is none of that name."""
    transformation = TRANSFORMATIONS.get(name)
    if transformation is None:
        raise JexlError(f"unknown transformation {name}")

    def step(value: JsonValue, scope: Scope) -> JsonValue:
        values = [argument(scope) for argument in arguments]
        return tidy(transformation(scope.budget, value, *values))

    return step


def make_ternary(branches: list[tuple[Evaluator, Evaluator]], otherwise: Evaluator) -> Evaluator:
    """Pairs of condition and value, tried in order."""

    def evaluate(scope: Scope) -> JsonValue:
        for condition, value in branches:
            if _is_met(condition, scope):
                return value(scope)
        return otherwise(scope)

    return evaluate


def make_operations(first: Evaluator, rest: list[tuple[str, Evaluator]]) -> Evaluator:
    """Operators of one level, from left to right."""

    def evaluate(scope: Scope) -> JsonValue:
        value = first(scope)
        for operator, right in rest:
            value = apply(operator, value, right(scope), scope.budget)
        return value

    return evaluate


def make_logic(first: Evaluator, rest: list[tuple[str, Evaluator]]) -> Evaluator:
    """`&&` and `||` from left to right; a right side is evaluated where it counts."""

    def evaluate(scope: Scope) -> JsonValue:
        value: JsonValue = None
        # Something undefined on the left of || is as good as false, and fails elsewhere.
        failure: JexlError | None = None
        try:
            value = first(scope)
        except JexlError as error:
            failure = error
        for operator, right in rest:
            is_true = failure is None and is_truthy(value)
            if is_true is (operator == "&&"):
                failure = None
                try:
                    value = right(scope)
                except JexlError as error:
                    failure = error
        if failure is not None:
            raise failure
        return value

    return evaluate


def _is_met(condition: Evaluator, scope: Scope) -> bool:
    try:
        return is_truthy(condition(scope))
    except JexlError:
        return False


def is_truthy(value: JsonValue) -> bool:
    """Truth as in JavaScript: empty arrays and objects are true."""
    return type(value) is dict or type(value) is list or bool(value)


def _is_number(value: JsonValue) -> bool:
    return type(value) is int or type(value) is float


def apply(operator: str, left: JsonValue, right: JsonValue, budget: Budget) -> JsonValue:
    """The value of `left operator right`; JexlError where the two have none."""
    if operator == "==":
        return _equals(left, right, budget)
    if operator == "!=":
        return not _equals(left, right, budget)
    if operator == "in":
        return _contains(right, left, budget)
    if _is_number(left) and _is_number(right):
        return _calculate(operator, float(left), float(right))
    if type(left) is str and type(right) is str:
        length = len(left) + len(right)
        if operator == "+":
            if length > MAX_TEXT_LENGTH:
                raise JexlError("text too long")
            budget.spend_text(length)
            return left + right
        comparison = _COMPARISONS.get(operator)
        if comparison is not None:
            budget.spend_text(length)
            return comparison(left, right)
    raise JexlError(f"{operator} cannot be applied to these values")


def _equals(left: JsonValue, right: JsonValue, budget: Budget) -> bool:
    if _is_number(left) and _is_number(right):
        return bool(abs(left - right) < _EPSILON)
    return _is_same(left, right, budget)


def _is_same(left: JsonValue, right: JsonValue, budget: Budget) -> bool:
    """Equality of JSON values: 1 and true are two things, at any depth."""
    pairs: list[tuple[Any, Any]] = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if _is_number(one) and _is_number(other):
            if one != other:
                return False
            continue
        kind = type(one)
        if kind is not type(other):
            return False
        if kind is dict:
            if one.keys() != other.keys():
                return False
            budget.spend((len(one) + 1) * _COMPARE_UNITS)
            pairs.extend((value, other[name]) for name, value in one.items())
        elif kind is list:
            if len(one) != len(other):
                return False
            budget.spend((len(one) + 1) * _COMPARE_UNITS)
            pairs.extend(zip(one, other, strict=True))
        else:
            if kind is str and len(one) == len(other):
                budget.spend_text(len(one))
            if one != other:
                return False
    return True


def _contains(container: JsonValue, item: JsonValue, budget: Budget) -> bool:
    if type(container) is list:
        budget.spend(len(container) * _COMPARE_UNITS)
        return any(_is_same(item, other, budget) for other in container)
    if type(item) is str and type(container) in (str, dict):
        budget.spend_text(len(container) if type(container) is str else 1)
        return item in container
    if _is_number(container) and _is_number(item):
        return False
    raise JexlError("in cannot be applied to these values")


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda a, b: bool(a < b),
    ">": lambda a, b: bool(a > b),
    "<=": lambda a, b: bool(a <= b),
    ">=": lambda a, b: bool(a >= b),
}
_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: float(math.floor(a / b)),
    "%": math.fmod,
    "^": math.pow,
}


def _calculate(operator: str, left: float, right: float) -> JsonValue:
    comparison = _COMPARISONS.get(operator)
    if comparison is not None:
        return comparison(left, right)
    try:
        result = _ARITHMETIC[operator](left, right)
    except (ArithmeticError, ValueError):
        # Infinity and NaN are no JSON.
        raise JexlError(f"{operator} has no result") from None
    return tidy(result)


def tidy(value: JsonValue) -> JsonValue:
    """The normal form of the model: what is a whole number and exact is an int.

    An int beyond that becomes a float, as all numbers of an expression are doubles.
    """
    if type(value) is int:
        if -_EXACT_INTEGERS <= value <= _EXACT_INTEGERS:
            return value
        try:
            value = float(value)
        except OverflowError:
            raise JexlError("no finite number") from None
    if type(value) is not float:
        return value
    if not math.isfinite(value):
        raise JexlError("no finite number")
    return int(value) if value.is_integer() and abs(value) <= _EXACT_INTEGERS else value
