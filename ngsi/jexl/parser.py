"""A recursive descent parser that turns an expression into an evaluator.

Precedence, loosest first: ternary; && and ||; comparisons and `in`; + -; * / //; % ^;
transformations; members. All binary operators associate to the left.
"""

from __future__ import annotations

from typing import Final

from ngsi.jexl.evaluation import (
    Evaluator,
    Step,
    make_array,
    make_constant,
    make_filter,
    make_identifier,
    make_index,
    make_logic,
    make_member,
    make_object,
    make_operations,
    make_path,
    make_ternary,
    make_transformation,
    tidy,
)
from ngsi.jexl.lexer import JexlError, Token, tokenize, unquote

_COMPARISONS: Final = frozenset({"==", "!=", ">=", "<=", ">", "<", "in"})
_LOGIC_LEVEL: Final = 1
# By operator; all of a level associate to the left.
_LEVELS: Final = {
    "&&": _LOGIC_LEVEL,
    "||": _LOGIC_LEVEL,
    **dict.fromkeys(_COMPARISONS, 2),
    "+": 3,
    "-": 3,
    "*": 4,
    "//": 4,
    "/": 4,
    "%": 5,
    "^": 5,
}
# Nested parentheses, arrays, objects, arguments. Each level takes up to a dozen frames of
# Python, which allows a thousand, also to what calls the evaluation.
MAX_DEPTH: Final = 40
_LITERALS: Final = {
    "true": True,
    "false": False,
    "null": None,
    "Null": None,
    "NULL": None,
}

__all__ = ["MAX_DEPTH", "Evaluator", "JexlError", "parse"]


def parse(expression: str) -> Evaluator:
    """The evaluator of an expression; raises JexlError when it is malformed."""
    return _Parser(tokenize(expression)).parse()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    def parse(self) -> Evaluator:
        evaluator = self._expression()
        if self._next.kind != "end":
            raise JexlError(f"unexpected {self._next.text}")
        return evaluator

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _take(self) -> Token:
        token = self._tokens[self._position]
        # The end is not taken: whoever meets it refuses it.
        self._position += token.kind != "end"
        return token

    def _accept(self, symbol: str) -> bool:
        # No string is mistaken for a symbol: its text has its quotes.
        if self._tokens[self._position].text == symbol:
            self._position += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            raise JexlError(f"{symbol} expected")

    def _identifier(self) -> str:
        token = self._take()
        if token.kind != "identifier":
            raise JexlError("identifier expected")
        return token.text

    def _expression(self) -> Evaluator:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise JexlError("nested too deeply")
        branches: list[tuple[Evaluator, Evaluator]] = []
        evaluator = self._operations(_LOGIC_LEVEL)
        while self._accept("?"):
            truthy = self._expression()
            self._expect(":")
            branches.append((evaluator, truthy))
            evaluator = self._operations(_LOGIC_LEVEL)
        self._depth -= 1
        return make_ternary(branches, evaluator) if branches else evaluator

    def _operations(self, lowest: int) -> Evaluator:
        """Operators of the lowest level and those that bind more."""
        evaluator = self._transformed()
        while (level := _LEVELS.get(self._next.text, 0)) >= lowest:
            rest: list[tuple[str, Evaluator]] = []
            while _LEVELS.get(self._next.text) == level:
                operator = self._take().text
                rest.append((operator, self._operations(level + 1)))
            make = make_logic if level == _LOGIC_LEVEL else make_operations
            evaluator = make(evaluator, rest)
        return evaluator

    def _transformed(self) -> Evaluator:
        subject = self._member()
        steps: list[Step] = []
        while self._accept("|"):
            name = self._identifier()
            arguments = self._list(")") if self._accept("(") else []
            steps.append(make_transformation(name, arguments))
        return make_path(subject, steps)

    def _member(self) -> Evaluator:
        subject = self._primary()
        steps: list[Step] = []
        while True:
            if self._accept("."):
                steps.append(make_member(self._identifier()))
            elif self._accept("["):
                steps.append(self._index())
                self._expect("]")
            else:
                return make_path(subject, steps)

    def _index(self) -> Step:
        if not self._accept("."):
            return make_index(self._expression())
        name = self._identifier()
        operator = self._take().text
        if operator not in _COMPARISONS:
            raise JexlError("comparison expected")
        return make_filter(name, operator, self._primary())

    def _primary(self) -> Evaluator:
        token = self._take()
        if token.kind == "number":
            return make_constant(tidy(float(token.text)))
        if token.kind == "string":
            return make_constant(unquote(token.text))
        if token.kind == "identifier":
            if token.text in _LITERALS:
                return make_constant(_LITERALS[token.text])
            return make_identifier(token.text)
        if token == ("symbol", "("):
            evaluator = self._expression()
            self._expect(")")
            return evaluator
        if token == ("symbol", "["):
            return make_array(self._list("]"))
        if token == ("symbol", "{"):
            return make_object(self._members())
        raise JexlError(f"unexpected {token.text or 'end'}")

    def _list(self, closing: str) -> list[Evaluator]:
        items: list[Evaluator] = []
        while not self._accept(closing):
            items.append(self._expression())
            if not self._accept(","):
                self._expect(closing)
                break
        return items

    def _members(self) -> dict[str, Evaluator]:
        members: dict[str, Evaluator] = {}
        while not self._accept("}"):
            token = self._take()
            if token.kind not in ("identifier", "string"):
                raise JexlError("member name expected")
            name = unquote(token.text) if token.kind == "string" else token.text
            if name in members:
                raise JexlError(f"member {name} stands twice")
            self._expect(":")
            members[name] = self._expression()
            if not self._accept(","):
                self._expect("}")
                break
        return members
