"""The expression language. Source: Orion API, "JEXL support in custom notifications"; Orion's
functional cases 4004, 4594 and 4689; the grammar of Mozilla's jexl."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from ngsi.jexl import MAX_LENGTH, Budget, evaluate
from ngsi.jexl.parser import MAX_DEPTH

CONTEXT: dict[str, Any] = {
    "A": 1,
    "B": 2.5,
    "s": "foobar",
    "empty": "",
    "yes": True,
    "no": False,
    "nil": None,
    "list": [1, 2, 3],
    "words": ["x", "y"],
    "rows": [{"b": 1}, {"b": 34}, {"b": "foo"}, {"c": 4}, 5],
    "d": {"x": 1, "y": {"z": [10, {"w": "deep"}]}, "a b": 7},
    "A-B": 99,
    "metadata": {"A": {"MD1": 3}},
}


def check(expression: str, expected: Any) -> None:
    value = evaluate(expression, CONTEXT)
    assert value == expected, expression
    assert type(value) is type(expected), expression


class TestLiterals:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("1", 1),
            ("1.0", 1),
            ("1.5", 1.5),
            (".5", 0.5),
            ("5.", 5),
            ("1e3", 1000),
            ("2.5E-1", 0.25),
            ("12345678901234567890", 12345678901234567890.0),
            ("true", True),
            ("false", False),
            ("null", None),
            ("Null == NULL", True),
            ("'text'", "text"),
            ('"text"', "text"),
            (r"'it\'s'", "it's"),
            (r'"say \"x\""', 'say "x"'),
            (r"'a\nb'", r"a\nb"),
            ("'ñ €'", "ñ €"),
            ("''", ""),
            ("[]", []),
            ("[1, 'a', [true,],]", [1, "a", [True]]),
            ("{}", {}),
            ("{a: 1, 'b c': {d: null}, \"e\": [],}", {"a": 1, "b c": {"d": None}, "e": []}),
            ("{in: 1, true: 2}", {"in": 1, "true": 2}),
            (" \t\n1\r\n", 1),
        ],
    )
    def test_values(self, expression: str, expected: Any) -> None:
        check(expression, expected)

    @pytest.mark.parametrize("expression", ["٣", "1e400", "'x", "\"x'", "{a: 1, a: 2}", "{1: 2}"])
    def test_what_is_none(self, expression: str) -> None:
        check(expression, None)


class TestOperators:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("1 + 2 * 3", 7),
            ("(1 + 2) * 3", 9),
            ("10 - 3 - 2", 5),
            ("2 * 3 % 2", 2),
            ("2 ^ 3 ^ 2", 64),
            ("7 / 2", 3.5),
            ("8 / 2", 4),
            ("7 // 2", 3),
            ("(0 - 7) // 2", -4),
            ("(0 - 5) % 3", -2),
            ("5.5 % 2", 1.5),
            ("2 ^ 0.5", 2**0.5),
            ("'foo' + 'bar'", "foobar"),
            ("1 + 2 == 3 && 'a' < 'b'", True),
            ("1 < 2", True),
            ("2 <= 2", True),
            ("'b' >= 'c'", False),
            ("1 == 1.0000001", True),
            ("1 != 1.0000001", False),
            ("'1' == 1", False),
            ("true == 1", False),
            ("nil == null", True),
            ("nil != null", False),
            ("list == [1, 2, 3]", True),
            ("list == [1, 2]", False),
            ("[1] == [true]", False),
            ("{x: [1, {y: 'z'}]} == {x: [1, {y: 'z'}]}", True),
            ("{x: 1} == {y: 1}", False),
            ("{x: 'aa'} == {x: 'ab'}", False),
            ("'oba' in s", True),
            ("'z' in s", False),
            ("2 in list", True),
            ("'2' in list", False),
            ("[1] in [[1], [2]]", True),
            ("'x' in d", True),
            ("1 in 1", False),
            ("true && 'last'", "last"),
            ("0 || 'other'", "other"),
            ("empty || nil || 'third'", "third"),
            ("nil && 1", None),
            ("[] && 1", 1),
            # One precedence for both, from left to right.
            ("true || true && false", False),
            ("false && true || true", True),
            ("A+1 == 2 ? 'p' : 'q'", "p"),
            ("A > 5 ? 'big' : A > 0 ? 'small' : 'none'", "small"),
            ("yes ? no ? 1 : 2 : 3", 2),
        ],
    )
    def test_values(self, expression: str, expected: Any) -> None:
        check(expression, expected)

    @pytest.mark.parametrize(
        "expression",
        [
            "1 / 0",
            "0 / 0",
            "7 // 0",
            "7 % 0",
            "0 ^ (0 - 1)",
            "(0 - 8) ^ (1 / 3)",
            "10 ^ 400",
            "1e308 * 10",
            "'a' + 1",
            "1 + 'a'",
            "'a' - 'b'",
            "true + true",
            "[1] + [2]",
            "nil + 1",
            "1 < 'a'",
            "true > false",
            "1 in s",
            "1 in nil",
            "1 < 2 < 3",
        ],
    )
    def test_without_result(self, expression: str) -> None:
        check(expression, None)


class TestPaths:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("d.x", 1),
            ("d['a b']", 7),
            ("d['y'].z[1].w", "deep"),
            ("d.y.z[0] + list[2]", 13),
            ("d.none", None),
            ("d.none.none", None),
            ("s.x", None),
            ("list[1.9]", 2),
            ("list[0-1]", 1),
            ("list[9]", None),
            ("list['x']", None),
            ("d[0]", None),
            ("[1, 2, 3][1]", 2),
            ("{a: {b: 5}}.a.b", 5),
            ("(words)[0]", "x"),
            ("metadata.A.MD1", 3),
            ("rows[.b < 40]", [{"b": 1}, {"b": 34}]),
            ("rows[.b == 34][0].b", 34),
            ("rows[.c == 4]", [{"c": 4}]),
            ("rows[.b == A]", [{"b": 1}]),
            ("rows[.b in [1, 34]]", [{"b": 1}, {"b": 34}]),
            ("rows[.c == null]", [{"b": 1}, {"b": 34}, {"b": "foo"}, 5]),
            ("rows[.b > 100]", []),
        ],
    )
    def test_values(self, expression: str, expected: Any) -> None:
        check(expression, expected)

    @pytest.mark.parametrize(
        "expression", ["list[true]", "list[nil]", "d[.x == 1]", "rows[.b + 1]", "rows[.b]", "d.1"]
    )
    def test_what_is_none(self, expression: str) -> None:
        check(expression, None)


class TestFailsafe:
    """Section "Failsafe cases" and "Known limitations"."""

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("A|undefinedTransformation", None),
            ("none", None),
            ("none + 1", None),
            ("(none == null) ? 0 : none", None),
            ("none != null ? 1 : 0", 0),
            ("none || 0", 0),
            ("none || 0 - 1", -1),
            ("(none || 0 - 1) + (nothing || 0 - 2)", -3),
            ("none && 1", None),
            ("none && 1 || 2", 2),
            ("A || none", 1),
            ("none ? 1 : 2", 2),
            ("(nil == null) ? 'is null' : nil", "is null"),
            ("nil || 'is null'", "is null"),
            ("none || -1", None),
            ("-1", None),
            ("!yes", None),
            ("none || ('-1'|parseInt)", -1),
            ("A-B", -1.5),
            ("A:B", None),
            ("list[0|uppercase", None),
            ("words[0]|includes('foo|toString", None),
            ("words[0]|includes('foo'|toString", None),
            ("1 2", None),
            ("1 +", None),
            ("(1", None),
            ("1)", None),
            ("a ? 1", None),
            ("yes ? 1 : ", None),
            ("s|", None),
            ("s|len(", None),
            ("[1 2]", None),
            ("{a}", None),
            ("1 = 1", None),
            ("a & b", None),
            ("${A}", None),
            ("", None),
            ("  ", None),
            ("\x00", None),
        ],
    )
    def test_values(self, expression: str, expected: Any) -> None:
        check(expression, expected)

    def test_example_of_the_manual(self) -> None:
        context = {
            "speed": "10 m/s",
            "count": {"count": 5, "sum": 100},
            "code": None,
            "value": 14,
            "max": 50,
        }
        expressions = {
            "(speed|split(' '))[0]|parseInt": 10,
            "count.sum/count.count": 20,
            "code||'invalid'": "invalid",
            "(value>max)?'nok':'ok'": "ok",
            "{count:count.count+1, sum:count.sum+((speed|split(' '))[0]|parseInt)}": {
                "count": 6,
                "sum": 110,
            },
        }
        assert {item: evaluate(item, context) for item in expressions} == expressions


class TestBounds:
    """No expression stalls the broker, takes its memory or ends in a RecursionError."""

    @pytest.mark.parametrize("count", [MAX_DEPTH - 1, MAX_DEPTH, 4000])
    @pytest.mark.parametrize(("opening", "closing"), ["()", "[]", ("{a:", "}"), ("1|len(", ")")])
    def test_nesting(self, count: int, opening: str, closing: str) -> None:
        text = (opening * count + "1" + closing * count)[:MAX_LENGTH]
        value = evaluate(text, {})
        assert count < MAX_DEPTH or value is None

    def test_nesting_through_all_levels(self) -> None:
        count = MAX_DEPTH - 1
        text = "(1||1==1+1*1%[" * (count // 2) + "1" + "])" * (count // 2)
        assert evaluate(text, {}) == 1

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("+".join(["1"] * 4000), 4000),
            ("&&".join(["1"] * 2000), 1),
            ("||".join(["0"] * 2000), 0),
            ("0?1:" * 2000 + "2", 2),
            ("l" + "[0]" * 2500, None),
            ("l" + ".a" * 4000, None),
            ("'x'" + "|trim" * 1500, "x"),
        ],
    )
    def test_long_chains_do_not_nest(self, expression: str, expected: Any) -> None:
        assert evaluate(expression, {"l": []}) == expected

    def test_length(self) -> None:
        assert evaluate("1".ljust(MAX_LENGTH), {}) == 1
        assert evaluate("1".ljust(MAX_LENGTH + 1), {}) is None

    @pytest.mark.parametrize(
        "expression",
        [
            # Work that grows with the values, and values that repeat a large one.
            "[" + ",".join(["a+'b'"] * 1000) + "]",
            "[" + ",".join(["a"] * 1000) + "]",
            "[" + ",".join(["l"] * 1000) + "]|toString",
            "&&".join(["l==m"] * 1000),
            "&&".join(["0 in l"] * 1000),
            "commas|split(',')",
            "&&".join(["l|arrSort"] * 500),
            "a|matchRegex('')",
            "a|matchRegex('(a|b)*a(a|b){500}c')",
            "a|matchRegex('(a.*z)|a')",
            "a|replaceRegex('a', 'xxxxxxxxxx')",
            "a|replaceStr('', 'xxxxxxxxxx')",
            "a|replaceStr('a', 'xxxxxxxxxx')",
            "a|matchRegex('" + "a?" * 300 + "')",
            "l|matchRegex('a')",
            "deep|toJson",
        ],
    )
    def test_work_is_bounded(self, expression: str) -> None:
        context = {
            "a": "a" * 500_000,
            "l": list(range(1, 100_001)),
            "m": list(range(1, 100_001)),
            "commas": "," * 1_000_000,
            "deep": "[" * 500 + "]" * 500,
        }
        assert evaluate(expression, context) is None

    def test_one_budget_for_several_expressions(self) -> None:
        budget = Budget(max_length=100)
        context = {"a": "x" * 60}
        assert evaluate("a", context, budget) == "x" * 60
        assert not budget.is_exhausted
        assert evaluate("a", context, budget) is None
        assert budget.is_exhausted
        assert evaluate("1", context, budget) is None

    def test_a_failed_expression_does_not_exhaust_it(self) -> None:
        budget = Budget()
        assert evaluate("none", {}, budget) is None
        assert not budget.is_exhausted

    @pytest.mark.parametrize(
        "expression",
        ["'9999999999999999999999'|parseInt", "1e300|floor", "[1e300|ceil, 1e300|round]|arrSum"],
    )
    def test_large_numbers_can_be_encoded(self, expression: str) -> None:
        value = evaluate(expression, {})
        assert value is not None
        assert orjson.loads(orjson.dumps(value)) == value

    def test_values_that_nest_further_and_further(self) -> None:
        value: Any = 1
        for _ in range(5):
            value = evaluate("[" * 30 + "a" + "]" * 30, {"a": value})
        assert value is None  # 150 levels
        assert evaluate("[" * 30 + "a" + "]" * 30, {"a": [[1]]}) is not None

    def test_constants_and_context_are_not_changed(self) -> None:
        context = {"a": [3, 1, 2]}
        for expression in ("a|arrSort", "a|arrReverse", "[3, 1, 2]|arrSort"):
            assert evaluate(expression, context) == evaluate(expression, context)
        assert context == {"a": [3, 1, 2]}

    def test_expressions_that_are_forgotten_are_compiled_again(self) -> None:
        padding = " " * (MAX_LENGTH - 10)
        for number in (*range(80), *range(80)):
            assert evaluate(f"{padding}{number}", {}) == number
