"""Regular expressions in expressions: matches in a text, in bounded time.

The engine is linear in the text for one search, but a search begins anew after each match and
may look at all that is left; so each search is paid for by what it can cost at the worst.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import re2

from ngsi.jexl.budget import Budget
from ngsi.jexl.lexer import JexlError

_MAX_LENGTH: Final = 512  # characters of one; people write some dozens
# Bounds the size of the program, and with it the cost of a character at the worst.
_MAX_ENGINE_BYTES: Final = 64 * 1024
_MEMO_SIZE: Final = 128  # compiled ones remembered: some 20 MB at the worst

_COMPILE_UNITS: Final = 20_000
_MATCH_UNITS: Final = 1500


@lru_cache(maxsize=_MEMO_SIZE)
def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_ENGINE_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None


def find_spans(pattern: str, text: str, budget: Budget) -> Iterator[tuple[int, int]]:
    """Where the pattern matches, from left to right, without overlaps.

    Raises JexlError for what is no regular expression and for too much work.
    """
    if len(pattern) > _MAX_LENGTH:
        raise JexlError("regular expression too long")
    budget.spend(_COMPILE_UNITS)
    compiled = _compile(pattern)
    if compiled is None:
        raise JexlError("no regular expression")
    weight = compiled.programsize
    budget.spend(len(text) * weight)
    for match in compiled.finditer(text):
        yield match.span()
        budget.spend(_MATCH_UNITS + (len(text) - match.end()) * weight)
