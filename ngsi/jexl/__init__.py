"""JEXL: the expressions in custom notifications and in `condition.jexlExpression`.

The dialect of Mozilla's jexl that Orion embeds, with Orion's transformations. Notable: &&
and || have one precedence, there is no unary minus and no negation; what is done with an
identifier that is not in the context fails, though as a condition it counts as false.

An expression is compiled once into closures. Evaluation has no loops but over the arrays of
the context, regular expressions are linear-time, texts are bounded: its cost is bounded by
the sizes of the expression and of the context. Source: Orion API, section "JEXL support in
custom notifications".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from ngsi.jexl.parser import Evaluator, JexlError, parse
from ngsi.model import JsonValue

__all__ = ["MAX_LENGTH", "JexlError", "evaluate"]

MAX_LENGTH: Final = 16_384  # characters of one expression; far beyond any that people write
# Distinct expressions remembered: those of some thousand subscriptions.
_MEMO_SIZE: Final = 4096


@lru_cache(maxsize=_MEMO_SIZE)
def _compile(expression: str) -> Evaluator | None:
    if len(expression) > MAX_LENGTH:
        return None
    try:
        return parse(expression)
    except JexlError:
        return None


def evaluate(expression: str, context: dict[str, Any]) -> JsonValue:
    """The value of an expression; None where it is wrong or cannot be evaluated ("failsafe")."""
    evaluator = _compile(expression)
    if evaluator is None:
        return None
    try:
        return evaluator(context)
    except JexlError:
        return None
