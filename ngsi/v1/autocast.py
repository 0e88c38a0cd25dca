"""What values mean that NGSIv1 brings as text, for brokers that are to keep them so.

Source: Orion 3.4, option -ngsiv1Autocast.
"""

from __future__ import annotations

import math
from typing import Final

from ngsi.instants import DATE_TYPES, canonical_instant
from ngsi.json_value import JsonValue

_NUMBERS: Final = frozenset({"Number", "Quantity"})
_BOOLEANS: Final = {"true": True, "false": False}


def cast(attribute_type: str, value: JsonValue) -> JsonValue:
    """The number, boolean or date that a text is by its type; others stay what they are."""
    if type(value) is not str:
        return value
    if attribute_type in _NUMBERS:
        try:
            number = float(value)
        except ValueError:
            return value
        if not math.isfinite(number):
            return value
        return int(number) if number.is_integer() and abs(number) < 2.0**53 else number
    if attribute_type == "Boolean":
        return _BOOLEANS.get(value, value)
    if attribute_type in DATE_TYPES:
        return canonical_instant(value) or value
    return value
