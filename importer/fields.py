"""Fields of a source's documents, read with the type that they must have."""

from __future__ import annotations

import math
from typing import Any, Final

from ngsi.errors import BadRequest

NUMBERS: Final = (int, float)
_REQUIRED: Final = object()


def read(
    document: dict[str, Any],
    field: str,
    kind: type | tuple[type, ...],
    default: Any = _REQUIRED,
) -> Any:
    """A field of a document, the default where it is missing.

    Raises BadRequest, naming the field, for one that is missing without a default, has another
    type, or is no finite number.
    """
    if field not in document:
        if default is _REQUIRED:
            raise BadRequest(f"the field {field} is missing")
        return default
    value = document[field]
    # BSON's integers of 64 bits are a subclass of int. So is a boolean, which is no number.
    is_misplaced = isinstance(value, bool) and kind is not bool
    if is_misplaced or not isinstance(value, kind):
        raise BadRequest(f"the field {field} has the wrong type: {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadRequest(f"the field {field} is no finite number")
    return value
