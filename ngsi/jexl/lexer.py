"""The tokens of an expression."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<identifier>[A-Za-z_$][A-Za-z0-9_$]*)
  | (?P<symbol>//|==|!=|>=|<=|&&|\|\||[-+*/%^<>()\[\]{},.:?|])
    """,
    re.VERBOSE | re.DOTALL,
)


class JexlError(Exception):
    """An expression that is malformed or cannot be evaluated."""


class Token(NamedTuple):
    """A token; `kind` is number, string, identifier, symbol or end."""

    kind: str
    text: str


def tokenize(expression: str) -> Iterator[Token]:
    """The tokens of an expression, with an end token; raises JexlError."""
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise JexlError(f"unexpected character at {position}")
        position = match.end()
        kind = match.lastgroup or ""
        if kind != "space":
            yield Token(kind, match.group())
    yield Token("end", "")


def unquote(literal: str) -> str:
    """The text of a string literal: only its own quote can be escaped."""
    quote = literal[0]
    return literal[1:-1].replace(f"\\{quote}", quote)
