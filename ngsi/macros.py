"""Macros: `${expression}` in the templates of custom notifications.

Source: Orion API, sections "Macro substitution", "JSON payloads" and "NGSI payload patching".
Costs one evaluation for each macro. All that is filled from one `Macros` is bounded: by
`max_length` and by the budget of its expressions.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from ngsi.jexl import Budget, evaluate
from ngsi.json_value import JsonValue

_OPEN: Final = "${"
_CLOSE: Final = "}"
_WHOLE: Final = 2.0**53  # beyond it a float stands for many integers
_DECIMALS: Final = 9  # of a calculated number, as Orion: 0.1 + 0.2 gives 0.3


class MacroError(Exception):
    """A template that cannot be filled: a macro without end, a result too long."""


class UnclosedMacro(MacroError):
    """A macro without end."""


class Macros:
    """Fills the templates of one message from one context."""

    def __init__(self, context: dict[str, Any], max_length: int) -> None:
        """`max_length`: characters of a text, and of all values that macros give."""
        self.context = context
        self._max_length = max_length
        self._budget = Budget(max_length=max_length)

    def fill_text(self, template: str, missing: str) -> str:
        """The template as a text; a macro without value becomes `missing`."""
        text = self._fill(template, missing)
        return missing if text is None else text

    def fill_header(self, template: str) -> str | None:
        """As `fill_text`; None where the template is one macro without value."""
        return self._fill(template, "null")

    def fill_value(self, template: JsonValue) -> JsonValue:
        """A JSON template; a string that is one macro becomes the macro's JSON value."""
        kind = type(template)
        if kind is str:
            if template.rfind(_OPEN) == 0 and template.endswith(_CLOSE):
                return self._evaluate(template[len(_OPEN) : -len(_CLOSE)])
            try:
                return self.fill_text(template, "null")
            except UnclosedMacro:
                return template
        if kind is dict:
            return {name: self.fill_value(member) for name, member in template.items()}
        if kind is list:
            return [self.fill_value(item) for item in template]
        return template

    def _evaluate(self, expression: str) -> JsonValue:
        value = evaluate(expression, self.context, self._budget)
        if type(value) is not float:
            if value is None and self._budget.is_exhausted:
                raise MacroError("its macros take too much work or give too much text")
            return value
        rounded = round(value, _DECIMALS)
        return int(rounded) if rounded.is_integer() and abs(value) < _WHOLE else rounded

    def _fill(self, template: str, missing: str) -> str | None:
        if _OPEN not in template:
            return template
        parts: list[str] = []
        position = 0
        nulls = 0
        while (start := template.find(_OPEN, position)) >= 0:
            end = template.find(_CLOSE, start)
            if end < 0:
                raise UnclosedMacro("a macro has no end")
            parts.append(template[position:start])
            value = self._evaluate(template[start + len(_OPEN) : end])
            if value is None:
                nulls += 1
            parts.append(missing if value is None else to_text(value))
            position = end + 1
        parts.append(template[position:])
        text = "".join(parts)
        if len(text) > self._max_length:
            raise MacroError("the text is too long after substitution")
        is_one_macro = len(parts) == 3 and not parts[0] and not parts[2]
        return None if nulls and is_one_macro else text


def to_text(value: JsonValue) -> str:
    """A value within a text: strings as they are, all else as JSON."""
    return value if type(value) is str else orjson.dumps(value).decode()
