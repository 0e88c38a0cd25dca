r"""Regular expressions of clients: idPattern, typePattern and the operator `~=`.

Owns the translation from what users of Orion write to google-re2, whose searches take time
linear in the subject: no pattern of a client can hang the broker. It must not know where a
pattern came from, nor keep anything but memos of pure functions.

Source: POSIX.1 extended regular expressions with the GNU extensions of glibc (Orion checks
patterns with regcomp) as read by PCRE (Orion's queries run in MongoDB). Where both give a
meaning and the meanings differ, the one that people expect is taken:

- `\d` is a digit, `\n` a newline, `+?` a reluctant `+`; in brackets too, where every other
  backslash stands for itself as well (`[\.]` holds a backslash and a dot).
- `.` and `[^x]` match any whole character, newlines included; `^` and `$` match only at the
  ends of the subject; a `)` without its `(` is a literal.
- Refused with a reason: back-references, look-around, inline flags, escapes of PCRE without
  a counterpart here, more than 1000 repetitions by `{}`.

Costs: a compilation is linear in the pattern (microseconds to some milliseconds) and is
memoised. A search takes 0.1 us where the pattern is a literal, a prefix or a suffix, and a
few microseconds on the engine otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NoReturn

import re2

MAX_PATTERN_LENGTH: Final = 4096  # characters: an alternation of a hundred long entity ids
# The sum over all {m,n} of a pattern, and the engine's limit for one: each is written out when
# compiled, so a few hundred of them would stall the broker before they turn out too large.
MAX_REPETITIONS: Final = 1000
# Bytes for the program and the states of one pattern. A larger program is refused, so that a
# compilation stays under 10 ms; too many states make a search slower, never wrong.
_MAX_ENGINE_BYTES: Final = 256 * 1024
# Distinct patterns remembered: some clients repeat theirs with every query. Times the bytes
# above, it bounds what hostile patterns can hold.
_MEMO_SIZE: Final = 1024

# What a class escape stands for inside of brackets. Space is that of POSIX (\v included).
_CLASS_RANGES: Final = {
    "d": r"0-9",
    "D": r"\x00-\x2f\x3a-\x{10ffff}",
    "w": r"0-9A-Z_a-z",
    "W": r"\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x{10ffff}",
    "s": r"\x09-\x0d\x20",
    "S": r"\x00-\x08\x0e-\x1f\x21-\x{10ffff}",
}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
# Escapes that mean something in PCRE which is neither offered here nor the letter itself.
_UNSUPPORTED_ESCAPES: Final = frozenset("CEGHKLNPQRUVXacceghkloppux")
_CLASS: Final = re.compile(
    "alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit"
)
_INTERVAL: Final = re.compile(r"\{(?:(\d+)|(\d*),(\d*))\}", re.ASCII)
_WORD_CHARACTER: Final = re.compile(r"\w", re.ASCII)
_WORD_AHEAD: Final = re.compile(r"(?:\w|\\w)(?![*?{])", re.ASCII)
_ANY: Final = "(?s:.)"


class InvalidPattern(ValueError):
    """The text is no regular expression, or one that this broker does not offer."""


class Pattern:
    """A compiled pattern; equal and hashable by its text. Made by `compile_pattern`.

    `search(subject)` tells whether the pattern is found anywhere in the subject.
    `expression` is the same pattern for google-re2 under its default options, without
    capturing groups and without `.*` at its ends (for a set of patterns).
    `literal_prefix` starts every subject that is found; "" if nothing is known.
    `matches_everything` is True only if every subject, also the empty one, is found.
    """

    __slots__ = ("expression", "literal_prefix", "matches_everything", "search", "text")

    def __init__(
        self, text: str, expression: str, literal_prefix: str, search: Callable[[str], bool]
    ) -> None:
        self.text = text
        self.expression = expression
        self.literal_prefix = literal_prefix
        self.matches_everything = not expression
        self.search = search

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Pattern) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


@lru_cache(maxsize=_MEMO_SIZE)
def compile_pattern(text: str) -> Pattern:
    """The pattern of `text`; InvalidPattern with the reason if there is none.

    The empty text is a pattern that is found everywhere: callers refuse it where the
    standard does.
    """
    if len(text) > MAX_PATTERN_LENGTH:
        raise InvalidPattern(f"longer than {MAX_PATTERN_LENGTH} characters")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidPattern("half of a surrogate pair")
    branches = [_strip_anything(branch) for branch in _Parser(text).parse()]
    if not all(branches):  # one of the alternatives is found everywhere
        return Pattern(text, "", "", lambda _: True)
    expression = "|".join("".join(piece.source for piece in branch) for branch in branches)
    return Pattern(
        text,
        expression,
        _common_prefix([_literal_prefix(branch) for branch in branches]),
        _literal_search(branches) or _engine_search(expression),
    )


def _engine_search(expression: str) -> Callable[[str], bool]:
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _MAX_ENGINE_BYTES
    try:
        find = re2.compile(expression, options).search
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown"
        raise InvalidPattern(
            reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        ) from None

    def search(subject: str) -> bool:
        # As bytes: for str the wrapper would work out offsets that nobody asks for.
        return find(subject.encode("utf-8", "surrogatepass")) is not None

    return search


class _Role(Enum):
    CHARACTER = auto()
    ANYTHING = auto()  # .*
    BEGIN = auto()
    END = auto()
    ASSERTION = auto()
    WORD = auto()  # one or more word characters
    OTHER = auto()


@dataclass(slots=True, frozen=True)
class _Piece:
    """A part of a concatenation: its source for the engine and what is known about it."""

    source: str
    role: _Role = _Role.OTHER
    character: str = ""

    def ends_in_word(self) -> bool:
        return self.role is _Role.WORD or _WORD_CHARACTER.match(self.character) is not None


_Branch = list[_Piece]
_BEGIN: Final = _Piece(r"\A", _Role.BEGIN)
_END: Final = _Piece(r"\z", _Role.END)


def _strip_anything(branch: _Branch) -> _Branch:
    """The branch without what an unanchored search does anyway: `.*` at its ends."""
    start, end = 0, len(branch)
    while start < end and _is_idle(branch[start], _Role.BEGIN, branch[start + 1 : end][:1]):
        start += 1
    while start < end and _is_idle(branch[end - 1], _Role.END, branch[start : end - 1][-1:]):
        end -= 1
    return branch[start:end]


def _is_idle(outer: _Piece, anchor: _Role, neighbour: _Branch) -> bool:
    """Whether the piece at one end is `.*`, or an anchor beside `.*` or nothing."""
    return outer.role is _Role.ANYTHING or (
        outer.role is anchor and all(piece.role is _Role.ANYTHING for piece in neighbour)
    )


def _common_prefix(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    length = 0
    while length < len(first) and first[length] == last[length]:
        length += 1
    return first[:length]


def _literal_prefix(branch: _Branch) -> str:
    if branch[0].role is not _Role.BEGIN:
        return ""
    prefix = []
    for piece in branch[1:]:
        if piece.role is not _Role.CHARACTER:
            break
        prefix.append(piece.character)
    return "".join(prefix)


def _literal_search(branches: list[_Branch]) -> Callable[[str], bool] | None:
    """A search by string methods, if all branches are literals with the same anchors."""
    shapes = set()
    literals = []
    for branch in branches:
        anchored_begin = branch[0].role is _Role.BEGIN
        anchored_end = branch[-1].role is _Role.END
        inner = branch[anchored_begin : len(branch) - anchored_end]
        if any(piece.role is not _Role.CHARACTER for piece in inner):
            return None
        shapes.add((anchored_begin, anchored_end))
        literals.append("".join(piece.character for piece in inner))
    if len(shapes) > 1:
        return None
    alternatives = tuple(literals)
    match shapes.pop():
        case (True, True):
            exact = frozenset(alternatives)
            return lambda subject: subject in exact
        case (True, False):
            return lambda subject: subject.startswith(alternatives)
        case (False, True):
            return lambda subject: subject.endswith(alternatives)
    if len(alternatives) > 1:
        return None  # the engine looks for all of them in one pass
    literal = alternatives[0]
    return lambda subject: literal in subject


class _Parser:
    """One pass over a pattern, with a stack of its own for groups."""

    __slots__ = ("_branches", "_groups", "_position", "_repetitions", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._repetitions = 0
        self._branches: list[_Branch] = [[]]  # of the group being read
        self._groups: list[list[_Branch]] = []  # branches of the groups around it

    def parse(self) -> list[_Branch]:
        """The alternatives at the top of the pattern."""
        while (character := self._peek()) != "":
            self._position += 1
            match character:
                case "(":
                    self._open_group()
                case ")" if self._groups:
                    self._close_group()
                case "|":
                    self._branches.append([])
                case "^":
                    self._append_assertion(_BEGIN)
                case "$":
                    self._append_assertion(_END)
                case ".":
                    self._append(_Piece(_ANY))
                case "[":
                    self._append(_Piece(self._read_bracket()))
                case "\\":
                    self._read_escape()
                case "*" | "+" | "?" | "{":
                    self._refuse("nothing to repeat")
                case _:
                    self._append_character(character)
        if self._groups:
            self._refuse("unmatched (")
        return self._branches

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _refuse(self, reason: str) -> NoReturn:
        raise InvalidPattern(f"{reason} at character {self._position}")

    def _append_character(self, character: str) -> None:
        self._append(_Piece(_escape(character), _Role.CHARACTER, character))

    def _append_assertion(self, piece: _Piece) -> None:
        if self._peek() in ("*", "+", "?", "{"):
            self._refuse("nothing to repeat")
        self._branches[-1].append(piece)

    def _append(self, piece: _Piece) -> None:
        """Append an atom together with the quantifiers that follow it."""
        quantified = False
        while (quantifier := self._read_quantifier()) is not None:
            source = f"(?:{piece.source})" if quantified else piece.source
            role = _Role.OTHER
            if quantifier == "*" and source == _ANY:
                role = _Role.ANYTHING
            elif quantifier == "+" and piece.ends_in_word():
                role = _Role.WORD
            piece = _Piece(source + quantifier, role)
            quantified = True
        self._branches[-1].append(piece)

    def _read_quantifier(self) -> str | None:
        """The quantifier at this place in the engine's syntax, reluctance left out."""
        character = self._peek()
        if character and character in "*+?":
            self._position += 1
            quantifier = character
        elif character == "{":
            interval = _INTERVAL.match(self._text, self._position)
            if interval is None:
                self._refuse("malformed repetition {}")
            exactly, least, most = interval.groups()
            low = int(exactly or least or 0)
            high = int(exactly or most or max(low, 1))
            self._repetitions += max(low, high)
            if self._repetitions > MAX_REPETITIONS:
                self._refuse(f"more than {MAX_REPETITIONS} repetitions")
            if low > high:
                self._refuse("repetition with its limits reversed")
            self._position = interval.end()
            if exactly:
                quantifier = f"{{{low}}}"
            elif most:
                quantifier = f"{{{low},{high}}}"
            else:
                quantifier = {0: "*", 1: "+"}.get(low, f"{{{low},}}")
        else:
            return None
        if self._peek() == "?":
            self._position += 1
        return quantifier

    def _open_group(self) -> None:
        if self._peek() == "?":
            if not self._text.startswith("?:", self._position):
                self._refuse("(? is not supported")
            self._position += 2
        self._groups.append(self._branches)
        self._branches = [[]]

    def _close_group(self) -> None:
        branches, self._branches = self._branches, self._groups.pop()
        if len(branches) == 1 and self._peek() not in ("*", "+", "?", "{"):
            self._branches[-1].extend(branches[0])  # the parentheses mean nothing
            return
        source = "|".join("".join(piece.source for piece in branch) for branch in branches)
        self._append(_Piece(f"(?:{source})"))

    def _read_escape(self) -> None:
        character = self._peek()
        self._position += 1
        match character:
            case "":
                self._refuse("trailing backslash")
            case "w":
                self._append(_Piece(f"[{_CLASS_RANGES['w']}]", _Role.WORD))
            case "d" | "D" | "W" | "s" | "S":
                self._append(_Piece(f"[{_CLASS_RANGES[character]}]"))
            case "n" | "t" | "r" | "f" | "v":
                self._append_character(_CONTROLS[character])
            case "b" | "B":
                self._append_assertion(_Piece(f"\\{character}", _Role.ASSERTION))
            case "`" | "A":
                self._append_assertion(_BEGIN)
            case "'" | "z" | "Z":
                self._append_assertion(_END)
            case "<":
                # The engine has no look-ahead: a plain word boundary will do where a word
                # character follows anyway.
                if not _WORD_AHEAD.match(self._text, self._position):
                    self._refuse(r"\< is supported only before a word character")
                self._append_assertion(_Piece(r"\b", _Role.ASSERTION))
            case ">":
                branch = self._branches[-1]
                if not (branch and branch[-1].ends_in_word()):
                    self._refuse(r"\> is supported only after a word character")
                self._append_assertion(_Piece(r"\b", _Role.ASSERTION))
            case _ if character in "123456789":
                self._refuse(f"back-reference \\{character} is not supported")
            case _ if character in _UNSUPPORTED_ESCAPES:
                self._refuse(f"escape \\{character} is not supported")
            case _:
                self._append_character(character)

    def _read_bracket(self) -> str:
        """The bracket expression whose `[` was just read, in the engine's syntax."""
        begin = self._position
        sources = ["["]
        if self._peek() == "^":
            self._position += 1
            sources.append("^")
        first = self._position
        while not (self._peek() == "]" and self._position > first):
            low = self._read_bracket_element(sources, begin)
            if low is None:
                continue
            high = low
            after = self._text[self._position + 1 : self._position + 2]
            if self._peek() == "-" and after not in ("", "]"):
                self._position += 1
                end = self._read_bracket_element(sources, begin)
                if end is None:  # a class, hence no range: the dash is a dash
                    sources.append(_code_point("-"))
                else:
                    high = end
            if low > high:
                self._refuse("range with its ends reversed")
            sources.append(_code_point(low))
            if high != low:
                sources.append(f"-{_code_point(high)}")
        self._position += 1
        sources.append("]")
        return "".join(sources)

    def _read_bracket_element(self, sources: list[str], begin: int) -> str | None:
        """The next character of a bracket, or None for a class, which goes to `sources`."""
        character = self._peek()
        self._position += 1
        kind = self._peek()
        if character == "":
            self._position = begin
            self._refuse("unmatched [")
        if character == "[" and kind in (":", ".", "="):
            end = self._text.find(f"{kind}]", self._position + 1)
            name = self._text[self._position + 1 : end]
            if end < 0:
                self._refuse(f"unmatched [{kind}")
            self._position = end + 2
            if kind != ":":
                return name if len(name) == 1 else self._refuse("unknown collating element")
            if not _CLASS.fullmatch(name):
                self._refuse("unknown character class")
            sources.append(f"[:{name}:]")
            return None
        if character != "\\":
            return character
        if kind == "" or (kind == "]" and self._text.find("]", self._position + 1) < 0):
            return character  # only the reading of POSIX makes sense
        self._position += 1
        if kind in _CLASS_RANGES:
            sources.append(_CLASS_RANGES[kind])
            return None
        if kind in _CONTROLS:
            return _CONTROLS[kind]
        sources.append(_code_point(character))
        return kind


def _escape(character: str) -> str:
    plain = character.isalnum() or character == "_" or not character.isascii()
    return character if plain else _code_point(character)


def _code_point(character: str) -> str:
    return f"\\x{{{ord(character):x}}}"
