"""A recursive descent parser that turns an expression into closures over the context.

Precedence, loosest first: ternary; && and ||; comparisons and `in`; + -; * / //; % ^;
transformations; members. All binary operators associate to the left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from ngsi.jexl.lexer import JexlError, Token, tokenize, unquote
from ngsi.jexl.transformations import MAX_TEXT_LENGTH, TRANSFORMATIONS
from ngsi.model import JsonValue

Evaluator: TypeAlias = Callable[[dict[str, Any]], JsonValue]

_LEVELS: Final = (
    frozenset({"&&", "||"}),
    frozenset({"==", "!=", ">=", "<=", ">", "<", "in"}),
    frozenset({"+", "-"}),
    frozenset({"*", "//", "/"}),
    frozenset({"%", "^"}),
)
_EPSILON: Final = 0.000001  # numbers closer than this are equal
_MAX_DEPTH: Final = 100  # nested parentheses, arrays and objects
_LITERALS: Final = {"true": True, "false": False, "null": None}

__all__ = ["Evaluator", "JexlError", "parse"]


def parse(expression: str) -> Evaluator:
    """The evaluator of an expression; raises JexlError when it is malformed."""
    return _Parser(list(tokenize(expression))).parse()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    def parse(self) -> Evaluator:
        evaluator = self._expression()
        if self._next.kind != "end":
            raise JexlError(f"unexpected {self._next.text}")
        return evaluator

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _take(self) -> Token:
        token = self._next
        self._position += 1
        return token

    def _accept(self, symbol: str) -> bool:
        if self._next == ("symbol", symbol):
            self._position += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            raise JexlError(f"{symbol} expected")

    def _identifier(self) -> str:
        token = self._take()
        if token.kind != "identifier":
            raise JexlError("identifier expected")
        return token.text

    def _expression(self) -> Evaluator:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise JexlError("nested too deeply")
        evaluator = self._binary(0)
        if self._accept("?"):
            truthy = self._expression()
            self._expect(":")
            evaluator = _make_ternary(evaluator, truthy, self._expression())
        self._depth -= 1
        return evaluator

    def _binary(self, level: int) -> Evaluator:
        if level == len(_LEVELS):
            return self._transformed()
        left = self._binary(level + 1)
        while self._next.text in _LEVELS[level] and self._next.kind != "string":
            operator = self._take().text
            left = _make_operation(operator, left, self._binary(level + 1))
        return left

    def _transformed(self) -> Evaluator:
        subject = self._member()
        while self._accept("|"):
            name = self._identifier()
            arguments = self._list(")") if self._accept("(") else []
            subject = _make_transformation(name, [subject, *arguments])
        return subject

    def _member(self) -> Evaluator:
        subject = self._primary()
        while True:
            if self._accept("."):
                subject = _make_member(subject, self._identifier())
            elif self._accept("["):
                if self._accept("."):
                    name = self._identifier()
                    operator = self._take().text
                    if operator not in _LEVELS[1]:
                        raise JexlError("comparison expected")
                    subject = _make_filter(subject, name, operator, self._primary())
                else:
                    subject = _make_index(subject, self._expression())
                self._expect("]")
            else:
                return subject

    def _primary(self) -> Evaluator:
        token = self._take()
        if token.kind == "number":
            return _make_constant(_tidy(float(token.text)))
        if token.kind == "string":
            return _make_constant(unquote(token.text))
        if token.kind == "identifier":
            if token.text in _LITERALS:
                return _make_constant(_LITERALS[token.text])
            return _make_identifier(token.text)
        if token == ("symbol", "("):
            evaluator = self._expression()
            self._expect(")")
            return evaluator
        if token == ("symbol", "["):
            return _make_array(self._list("]"))
        if token == ("symbol", "{"):
            return _make_object(self._members())
        raise JexlError(f"unexpected {token.text or 'end'}")

    def _list(self, closing: str) -> list[Evaluator]:
        items: list[Evaluator] = []
        while not self._accept(closing):
            items.append(self._expression())
            if not self._accept(","):
                self._expect(closing)
                break
        return items

    def _members(self) -> dict[str, Evaluator]:
        members: dict[str, Evaluator] = {}
        while not self._accept("}"):
            token = self._take()
            if token.kind not in ("identifier", "string"):
                raise JexlError("member name expected")
            name = unquote(token.text) if token.kind == "string" else token.text
            if name in members:
                raise JexlError(f"member {name} stands twice")
            self._expect(":")
            members[name] = self._expression()
            if not self._accept(","):
                self._expect("}")
                break
        return members


def _make_constant(value: JsonValue) -> Evaluator:
    return lambda context: value


def _make_identifier(name: str) -> Evaluator:
    def evaluate(context: dict[str, Any]) -> JsonValue:
        try:
            return context[name]
        except KeyError:
            raise JexlError(f"{name} is not defined") from None

    return evaluate


def _make_array(items: list[Evaluator]) -> Evaluator:
    return lambda context: [item(context) for item in items]


def _make_object(members: dict[str, Evaluator]) -> Evaluator:
    return lambda context: {name: member(context) for name, member in members.items()}


def _make_member(subject: Evaluator, name: str) -> Evaluator:
    def evaluate(context: dict[str, Any]) -> JsonValue:
        value = subject(context)
        return value.get(name) if type(value) is dict else None

    return evaluate


def _make_index(subject: Evaluator, index: Evaluator) -> Evaluator:
    def evaluate(context: dict[str, Any]) -> JsonValue:
        value, key = subject(context), index(context)
        if type(key) is str:
            return value.get(key) if type(value) is dict else None
        if type(key) is not int and type(key) is not float:
            raise JexlError("an index is neither a string nor a number")
        # A negative index counts as 0, as in the original.
        position = max(0, math.floor(key))
        return value[position] if type(value) is list and position < len(value) else None

    return evaluate


def _make_filter(subject: Evaluator, name: str, operator: str, right: Evaluator) -> Evaluator:
    def evaluate(context: dict[str, Any]) -> JsonValue:
        items = subject(context)
        if type(items) is not list:
            raise JexlError("only arrays can be filtered")
        wanted = right(context)
        return [item for item in items if _passes(item, name, operator, wanted)]

    return evaluate


def _passes(item: JsonValue, name: str, operator: str, wanted: JsonValue) -> bool:
    left = item.get(name) if type(item) is dict else None
    try:
        return is_truthy(_apply(operator, left, wanted))
    except JexlError:
        return False


def _make_ternary(condition: Evaluator, truthy: Evaluator, falsy: Evaluator) -> Evaluator:
    def evaluate(context: dict[str, Any]) -> JsonValue:
        return truthy(context) if _is_truthy_now(condition, context) else falsy(context)

    return evaluate


def _make_transformation(name: str, arguments: list[Evaluator]) -> Evaluator:
    transformation = TRANSFORMATIONS.get(name)
    if transformation is None:
        raise JexlError(f"unknown transformation {name}")

    def evaluate(context: dict[str, Any]) -> JsonValue:
        values = [argument(context) for argument in arguments]
        return _tidy(transformation(*values))

    return evaluate


def _make_operation(operator: str, left: Evaluator, right: Evaluator) -> Evaluator:
    if operator == "||":

        def evaluate_or(context: dict[str, Any]) -> JsonValue:
            # An undefined identifier on the left is as good as a false one.
            try:
                value = left(context)
            except JexlError:
                return right(context)
            return value if is_truthy(value) else right(context)

        return evaluate_or
    if operator == "&&":

        def evaluate_and(context: dict[str, Any]) -> JsonValue:
            value = left(context)
            return right(context) if is_truthy(value) else value

        return evaluate_and
    return lambda context: _apply(operator, left(context), right(context))


def _is_truthy_now(condition: Evaluator, context: dict[str, Any]) -> bool:
    try:
        return is_truthy(condition(context))
    except JexlError:
        return False


def is_truthy(value: JsonValue) -> bool:
    """Truth as in JavaScript: empty arrays and objects are true."""
    return type(value) is dict or type(value) is list or bool(value)


def _is_number(value: JsonValue) -> bool:
    return type(value) is int or type(value) is float


def _apply(operator: str, left: JsonValue, right: JsonValue) -> JsonValue:
    if operator == "==":
        return _equals(left, right)
    if operator == "!=":
        return not _equals(left, right)
    if operator == "in":
        return _contains(right, left)
    if _is_number(left) and _is_number(right):
        return _calculate(operator, float(left), float(right))
    if type(left) is str and type(right) is str:
        if operator == "+":
            if len(left) + len(right) > MAX_TEXT_LENGTH:
                raise JexlError("text too long")
            return left + right
        comparison = _COMPARISONS.get(operator)
        if comparison is not None:
            return comparison(left, right)
    raise JexlError(f"{operator} cannot be applied to these values")


def _equals(left: JsonValue, right: JsonValue) -> bool:
    if _is_number(left) and _is_number(right):
        return bool(abs(left - right) < _EPSILON)
    return type(left) is type(right) and bool(left == right)


def _contains(container: JsonValue, item: JsonValue) -> bool:
    if type(container) is list:
        return any(type(item) is type(other) and item == other for other in container)
    if type(item) is str and type(container) in (str, dict):
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
    return _tidy(result)


def _tidy(value: JsonValue) -> JsonValue:
    """The normal form of the model: a float without fraction is an int."""
    if type(value) is not float:
        return value
    if not math.isfinite(value):
        raise JexlError("no finite number")
    return int(value) if value.is_integer() and abs(value) <= 2.0**53 else value
