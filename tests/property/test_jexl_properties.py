"""Expressions: whatever the text, a value that can be encoded or none; arithmetic as Python's."""

from __future__ import annotations

import math
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from ngsi.jexl import evaluate
from ngsi.jexl.transformations import TRANSFORMATIONS
from ngsi.macros import MacroError, Macros

TOKENS = st.sampled_from(
    [
        *"()[]{},.:?|+-*/%^<>",
        *("//", "==", "!=", ">=", "<=", "&&", "||", " in ", " "),
        *("A", "B", "none", "true", "null", "1", "2.5", ".5", "'a'", '"b\\""', "'", "x:"),
        *(f"|{name}" for name in TRANSFORMATIONS),
        *(f"|{name}('a',1)" for name in ("split", "substring", "matchRegex", "mapper")),
    ]
)
NUMBERS = st.integers(-(2**64) + 1, 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
CONTEXTS = st.fixed_dictionaries({"A": VALUES, "B": VALUES})


def encode(value: Any) -> bytes:
    return orjson.dumps({"data": [{"A": {"value": value}}]})


@given(st.text(max_size=60), CONTEXTS)
def test_any_text(expression: str, context: dict[str, Any]) -> None:
    encode(evaluate(expression, context))


@given(st.lists(TOKENS, max_size=30).map("".join), CONTEXTS)
def test_any_tokens(expression: str, context: dict[str, Any]) -> None:
    before = repr(context)
    value = evaluate(expression, context)
    encode(value)
    assert evaluate(expression, context) == value or "now" in expression
    assert repr(context) == before


@given(st.sampled_from(sorted(TRANSFORMATIONS)), VALUES, st.lists(VALUES, max_size=3))
def test_any_arguments(name: str, subject: Any, arguments: list[Any]) -> None:
    names = [f"a{index}" for index in range(len(arguments))]
    context = {"c": subject, **dict(zip(names, arguments, strict=True))}
    encode(evaluate(f"c|{name}({','.join(names)})", context))


@given(st.text("${}AB|. 'x", max_size=40), CONTEXTS)
def test_any_template(template: str, context: dict[str, Any]) -> None:
    macros = Macros(context, 1000)
    try:
        assert type(macros.fill_text(template, "null")) is str
        encode(macros.fill_value({"a": [template]}))
    except MacroError:
        pass


# Numbers as literals; a negative one has to be written as a difference.
@st.composite
def literals(draw: st.DrawFn) -> tuple[str, float]:
    number = draw(st.integers(0, 10**6) | st.decimals(0, 1000, places=3))
    text = str(number)
    if draw(st.booleans()):
        return text, float(text)
    return f"(0-{text})", -float(text)


@st.composite
def sums(draw: st.DrawFn, depth: int = 3) -> tuple[str, float | None]:
    """An expression and its value, calculated by Python; None where there is no result."""
    if depth == 0 or draw(st.booleans()):
        return draw(literals())
    left_text, left = draw(sums(depth - 1))
    right_text, right = draw(sums(depth - 1))
    operator = draw(st.sampled_from(["+", "-", "*", "/", "//", "%"]))
    text = f"({left_text} {operator} {right_text})"
    if left is None or right is None:
        return text, None
    try:
        value = {
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "/": lambda: left / right,
            "//": lambda: float(math.floor(left / right)),
            "%": lambda: math.fmod(left, right),
        }[operator]()
    except (ZeroDivisionError, ValueError, OverflowError):
        return text, None
    return text, value if math.isfinite(value) else None


@given(sums())
def test_arithmetic(case: tuple[str, float | None]) -> None:
    expression, expected = case
    assert evaluate(expression, {}) == expected


@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 99)), max_size=20))
def test_precedence(terms: list[tuple[str, int]]) -> None:
    text = "7" + "".join(f" {operator} {number}" for operator, number in terms)
    # Python has the same precedence of these three; its whole numbers are exact.
    expected = eval(text)
    value = evaluate(text, {})
    assert value == float(expected)


@given(NUMBERS, NUMBERS)
def test_comparisons(left: float, right: float) -> None:
    context = {"A": left, "B": right}
    one, other = float(left), float(right)
    assert evaluate("A < B", context) is (one < other)
    assert evaluate("A >= B", context) is (one >= other)


@given(VALUES, VALUES)
def test_equality(left: Any, right: Any) -> None:
    context = {"A": left, "B": right}
    assert evaluate("A == A", context) is True
    assert evaluate("A == B", context) is evaluate("B == A", context)
    assert evaluate("A == B", context) is not evaluate("A != B", context)


@given(st.text("abc, ", max_size=30), st.text("abc, ", min_size=1, max_size=3))
def test_texts_as_python(text: str, part: str) -> None:
    context = {"A": text, "B": part}
    assert evaluate("A|split(B)", context) == text.split(part)
    assert evaluate("A|includes(B)", context) is (part in text)
    assert evaluate("B in A", context) is (part in text)
    assert evaluate("A|replaceStr(B, 'xy')", context) == text.replace(part, "xy")
    assert evaluate("A + B", context) == text + part
    assert evaluate("A|toString|toJson", {"A": [text]}) == [text]
