"""What the evaluation of expressions may cost: one allowance for all that a message takes."""

from __future__ import annotations

from typing import Final

from ngsi.jexl.lexer import JexlError
from ngsi.json_value import JsonValue

# A unit is about 10 ns, so the expressions of one message hold the loop for some 40 ms at the
# worst. Usual ones take less than a hundredth of it.
MAX_UNITS: Final = 4_000_000
# orjson refuses to encode beyond 254 levels; attribute values have at most 50, and the
# notification around them and the templates need some, too.
MAX_DEPTH: Final = 128

_NODE_UNITS: Final = 5
_MIXED_NODE_UNITS: Final = 20  # in an array or object that has more than numbers and the like
_SIZED: Final = frozenset({str, dict, list})
_CHARACTERS_PER_UNIT: Final = 8  # copied, compared or encoded


# Characters that the values of one message may have together, where the caller says nothing.
MAX_VALUES_LENGTH: Final = 8 << 20


class Budget:
    """What is left of the units, and of the length of values. Shared by the expressions of one
    message. `is_exhausted` once either was not enough."""

    __slots__ = ("is_exhausted", "left", "length_left")

    def __init__(self, units: int = MAX_UNITS, max_length: int = MAX_VALUES_LENGTH) -> None:
        self.left = units
        self.length_left = max_length
        self.is_exhausted = False

    def spend(self, units: int) -> None:
        """Take units before the work is done; raises JexlError when too few are left."""
        self.left -= units
        if self.left < 0:
            self.is_exhausted = True
            raise JexlError("too much work")

    def spend_text(self, characters: int) -> None:
        """Take what the copying of a text costs."""
        self.spend(characters // _CHARACTERS_PER_UNIT + 1)

    def spend_length(self, characters: int) -> None:
        """Take the length of a value; raises JexlError when too little is left."""
        self.length_left -= characters
        if self.length_left < 0:
            self.is_exhausted = True
            raise JexlError("values too long")


def measure(value: JsonValue, budget: Budget) -> int:
    """The length of a value as JSON, roughly (escapes are not counted).

    Raises JexlError when it is longer than what the budget has left, or too deep to be
    encoded. Costs a walk over the value, which is paid from the budget and ends there.
    """
    kind = type(value)
    if kind is dict or kind is list:
        return _measure_nested(value, budget)
    return len(value) if kind is str else 1


def _measure_nested(value: JsonValue, budget: Budget) -> int:
    length = 0
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[JsonValue] = []
        for nested in level:
            count = len(nested)
            budget.spend((count + 1) * _NODE_UNITS)
            length += count + 2
            if type(nested) is dict:
                length += sum(map(len, nested)) + 3 * count
                nested = nested.values()
            kinds = set(map(type, nested))
            if kinds.isdisjoint(_SIZED):
                length += count
                continue
            budget.spend(count * _MIXED_NODE_UNITS)
            for item in nested:
                kind = type(item)
                if kind is str:
                    length += len(item) + 2
                elif kind is dict or kind is list:
                    below.append(item)
                else:
                    length += 1
            if length > budget.length_left:
                break
        if length > budget.length_left:
            budget.is_exhausted = True
            raise JexlError("value too long")
        if not below:
            return length
        level = below
    raise JexlError("value too deep")
