"""JEXL: the expressions in custom notifications and in `condition.jexlExpression`.

The dialect of Mozilla's jexl that Orion embeds, with Orion's transformations. Notable: &&
and || have one precedence, there is no unary minus and no negation; what is done with an
identifier that is not in the context fails, though as a condition it counts as false.

An expression is compiled once into closures. Evaluation has no loops but over the values of
the context, regular expressions are linear-time, and a budget bounds it all: no expression
holds the loop for more than some 40 ms or builds more than a message can carry. Source:
Orion API, section "JEXL support in custom notifications".
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from ngsi.jexl.budget import Budget, measure
from ngsi.jexl.evaluation import Evaluator, Scope
from ngsi.jexl.lexer import JexlError
from ngsi.jexl.parser import parse
from ngsi.json_value import JsonValue

__all__ = ["MAX_LENGTH", "Budget", "JexlError", "evaluate"]

MAX_LENGTH: Final = 8192  # characters of one expression; far beyond any that people write
# Characters of all expressions remembered: those of some ten thousand subscriptions. One
# character takes up to 150 bytes of closures, so 75 MB at the very worst.
_MEMO_LENGTH: Final = 500_000
_UNITS_PER_CHARACTER: Final = 200  # to parse; to evaluate takes a tenth of it


class _Memo:
    """The evaluators of the expressions used last; None for a malformed one."""

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._length = 0
        self._evaluators: OrderedDict[str, Evaluator | None] = OrderedDict()

    def compile(self, expression: str) -> Evaluator | None:
        evaluators = self._evaluators
        try:
            evaluator = evaluators[expression]
        except KeyError:
            pass
        else:
            evaluators.move_to_end(expression)
            return evaluator
        try:
            evaluator = parse(expression)
        except JexlError:
            evaluator = None
        evaluators[expression] = evaluator
        self._length += len(expression) + 1
        while self._length > self._max_length:
            oldest, _ = evaluators.popitem(last=False)
            self._length -= len(oldest) + 1
        return evaluator


_memo: Final = _Memo(_MEMO_LENGTH)


def evaluate(expression: str, context: dict[str, Any], budget: Budget | None = None) -> JsonValue:
    """The value of an expression; None where it is wrong or cannot be evaluated ("failsafe").

    `budget` is what it may cost and how long values may be; by default it has one of its own.
    Where that is not enough, the value is None and the budget stays exhausted. A value that is
    not None can be encoded as JSON.
    """
    if budget is None:
        budget = Budget()
    if len(expression) > MAX_LENGTH:
        return None
    try:
        # As if it had to be parsed, so that the result does not hang on what is remembered.
        budget.spend(len(expression) * _UNITS_PER_CHARACTER)
        evaluator = _memo.compile(expression)
        if evaluator is None:
            return None
        value = evaluator(Scope(context, budget))
        budget.spend_length(measure(value, budget))
    except JexlError:
        return None
    return value
