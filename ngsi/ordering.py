"""The order of JSON values of different kinds: null, number, string, object, array, boolean.

Source: Orion API, section "Ordering Results" (the order of MongoDB).
"""

from __future__ import annotations

from typing import Any

import orjson

from ngsi.json_value import JsonValue


def order_key(value: JsonValue) -> tuple[int, Any]:
    """A key that sorts values in that order."""
    if value is None:
        return (0, 0)
    kind = type(value)
    if kind is bool:
        return (5, value)
    if kind is int or kind is float:
        return (1, value)
    if kind is str:
        return (2, value)
    return (3 if kind is dict else 4, orjson.dumps(value))
