"""The tokens of an expression."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<identifier>[A-Za-z_$][A-Za-z0-9_$]*)
  | (?P<symbol>//|==|!=|>=|<=|&&|\|\||[-+*/%^<>()\[\]{},.:?|])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class JexlError(Exception):
    """An expression that is malformed or cannot be evaluated."""


class Token(NamedTuple):
    """A token; `kind` is number, string, identifier, symbol or end."""

    kind: str
    text: str


def tokenize(expression: str) -> list[Token]:
    """The tokens of an expression, with an end token; raises JexlError."""
    tokens: list[Token] = []
    position = 0
    for match in _TOKEN.finditer(expression):
        if match.start() != position:
            break
        position = match.end()
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(Token(kind, match.group()))
    if position != len(expression):
        raise JexlError(f"unexpected character at {position}")
    tokens.append(Token("end", ""))
    return tokens


def unquote(literal: str) -> str:
    """The text of a string literal: only its own quote can be escaped."""
    quote = literal[0]
    return literal[1:-1].replace(f"\\{quote}", quote)
