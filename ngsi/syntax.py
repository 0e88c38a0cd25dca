"""Which characters and lengths the standard allows, and the errors for the others.

Source: Orion API, sections "General syntax restrictions" and "Identifiers syntax
restrictions". Checks of identifiers are memoised: the names of a city's data model repeat
in every request. The memo also interns them, so that a million entities share one copy.
"""

from __future__ import annotations

import re
from functools import lru_cache
from sys import intern
from typing import Final

from ngsi.errors import BadRequest

MAX_IDENTIFIER_LENGTH: Final = 256  # characters, for ids, types and names
# Characters of an entity's id, type and service path together, as Orion (its database's longest
# key).
MAX_IDENTITY_LENGTH: Final = 1013
MAX_NESTING: Final = 50  # levels of a compound attribute or metadata value

_FORBIDDEN: Final = re.compile(r"[<>\"'=;()]")
# One set and not two alternatives: a third of the time.
_FORBIDDEN_IN_IDENTIFIER: Final = re.compile(
    r"[\x00-\x20<>\"'=;()?/#&\x7f-\U0010ffff]",
)
# Distinct identifiers remembered: more than any data model has, small beside the data.
_MEMO_SIZE: Final = 65536


def has_forbidden(text: str, allowed: str = "") -> bool:
    """Whether `text` holds one of < > " ' = ; ( ) that is not in `allowed`."""
    if not allowed:
        return _FORBIDDEN.search(text) is not None
    return any(match not in allowed for match in _FORBIDDEN.findall(text))


@lru_cache(maxsize=_MEMO_SIZE)
def check_name(name: str, what: str) -> str:
    """Return the interned identifier, or raise BadRequest naming the field `what`.

    `what` is for example "attribute name"; it appears in the error as Orion words it.
    """
    if not name:
        raise BadRequest(f"{what} length: 0, min length supported: 1")
    check_length(name, what)
    if _FORBIDDEN_IN_IDENTIFIER.search(name):
        raise BadRequest(f"Invalid characters in {what}")
    return intern(name)


def check_id(identifier: str, what: str = "entity id") -> str:
    """As `check_name` for values that seldom repeat (entity ids): neither memo nor interning."""
    if not identifier:
        raise BadRequest(f"{what} length: 0, min length supported: 1")
    if _FORBIDDEN_IN_IDENTIFIER.search(identifier):
        raise BadRequest(f"Invalid characters in {what}")
    check_length(identifier, what)
    return identifier


def check_length(identifier: str, what: str) -> None:
    """Raise BadRequest, naming the field `what`, for an identifier that is too long."""
    if len(identifier) > MAX_IDENTIFIER_LENGTH:
        raise BadRequest(
            f"{what} length: {len(identifier)}, max length supported: {MAX_IDENTIFIER_LENGTH}"
        )


def is_identifier(text: str) -> bool:
    """Whether `text` has only characters of identifiers (its length is not looked at)."""
    return _FORBIDDEN_IN_IDENTIFIER.search(text) is None
