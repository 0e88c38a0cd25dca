"""Macros in templates. Source: Orion API, "Macro substitution", "JSON payloads" and "NGSI
payload patching"; Orion's functional cases 2015, 2207, 2560 and 4085."""

from __future__ import annotations

from typing import Any

import pytest

from ngsi.macros import MacroError, Macros, to_text

CONTEXT: dict[str, Any] = {
    "text": "foo",
    "number": 10,
    "float": 34.1234567,
    "bool": True,
    "nil": None,
    "array": ["22", {"x": [1, None]}],
    "object": {"x": "a"},
    "quoted": 'say "x"',
    "service": "s1",
}


@pytest.fixture
def macros() -> Macros:
    return Macros(dict(CONTEXT), 1000)


class TestText:
    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ("", ""),
            ("plain", "plain"),
            ("${text}", "foo"),
            ("<${text}-${number}-${text}>", "<foo-10-foo>"),
            ("${float} degrees", "34.1234567 degrees"),
            ("${bool}", "true"),
            ("${array}", '["22",{"x":[1,null]}]'),
            ("${object.x}", "a"),
            ("${quoted}", 'say "x"'),
            ("${0.1 + 0.2}", "0.3"),
            ("${1/3}", "0.333333333"),
            ("${text|uppercase}", "FOO"),
            ("${none}", "?"),
            ("a${none}b${nil}c", "a?b?c"),
            ("${1 +}", "?"),
            ("${}", "?"),
            ("$text {text} $", "$text {text} $"),
            ("text}", "text}"),
            # The first brace ends a macro.
            ("${${text}}", "?}"),
            ("_${{a: 1}.a}", "_?.a}"),
        ],
    )
    def test_fill(self, macros: Macros, template: str, expected: str) -> None:
        assert macros.fill_text(template, "?") == expected

    @pytest.mark.parametrize("template", ["${text", "a ${text} b ${", "${${text"])
    def test_without_end(self, macros: Macros, template: str) -> None:
        with pytest.raises(MacroError):
            macros.fill_text(template, "null")

    def test_length(self) -> None:
        macros = Macros({"a": "x" * 60}, 100)
        assert macros.fill_text("${a}" + "y" * 40, "null") == "x" * 60 + "y" * 40
        with pytest.raises(MacroError):
            Macros({"a": "x" * 60}, 100).fill_text("${a}" + "y" * 41, "null")

    def test_length_of_all_values(self) -> None:
        macros = Macros({"a": "x" * 60}, 100)
        macros.fill_text("${a}", "null")
        with pytest.raises(MacroError):
            macros.fill_text("${a}", "null")

    def test_work(self) -> None:
        macros = Macros({"a": "a" * 100_000}, 8_000_000)
        with pytest.raises(MacroError):
            macros.fill_text("${a|matchRegex('')}", "null")

    def test_many_macros(self) -> None:
        macros = Macros({"a": [0] * 1000}, 8_000_000)
        with pytest.raises(MacroError):
            macros.fill_value(["${a}"] * 100_000)


class TestHeader:
    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ("${text}", "foo"),
            ("x", "x"),
            ("", ""),
            ("${none}", None),
            ("${nil}", None),
            ("value: ${none}", "value: null"),
            ("${none}${nil}", "nullnull"),
        ],
    )
    def test_fill(self, macros: Macros, template: str, expected: str | None) -> None:
        assert macros.fill_header(template) == expected


class TestValue:
    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ("${text}", "foo"),
            ("${number}", 10),
            ("${bool}", True),
            ("${nil}", None),
            ("${none}", None),
            ("${array}", CONTEXT["array"]),
            ("${object}", CONTEXT["object"]),
            ("${{a: number, b: {c: text}}}", {"a": 10, "b": {"c": "foo"}}),
            ("${0.1 + 0.2}", 0.3),
            ("${1e-12 * 1}", 0),
            ("${1e300}", 1e300),
            ("ns:${number}", "ns:10"),
            ("ns:${nil}:${none}", "ns:null:null"),
            ("ns:${object}", 'ns:{"x":"a"}'),
            ("${number}${number}", "1010"),
            ("${${text}}", "null}"),
            # Without an end a text stays as it is.
            ("${text", "${text"),
            ("text}", "text}"),
            (5, 5),
            (None, None),
            ({"${text}": "${number}"}, {"${text}": 10}),
            (["22", {"x": ["${number}", True]}], ["22", {"x": [10, True]}]),
        ],
    )
    def test_fill(self, macros: Macros, template: Any, expected: Any) -> None:
        value = macros.fill_value(template)
        assert value == expected
        assert type(value) is type(expected)

    def test_values_are_seen_by_what_follows(self, macros: Macros) -> None:
        macros.context["A"] = macros.fill_value("${16|sqrt}")
        assert macros.fill_value("${A/100}") == 0.04


def test_to_text() -> None:
    assert [to_text(value) for value in ("a", 1, 1.5, False, None, ["ñ"])] == [
        "a",
        "1",
        "1.5",
        "false",
        "null",
        '["ñ"]',
    ]
