"""Which of many patterns are found in an entity's id or type.

Owns the numbers of the patterns in use and a memo of subjects. Each pattern is tried at most
once per subject that is remembered. Patterns are gathered in sets of google-re2, which look for
all of a set in one pass over the subject; new ones are tried one by one until they are enough
for a set. It must not know where the patterns came from.

Costs with 1000 patterns: 0.1 us for a subject that is remembered, about 30 us for another;
building a set 1 to 2 ms, once per 128 new patterns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

import re2

from ngsi.patterns import Pattern

# Patterns of one set: a larger one takes longer to build than an update may wait (256: 4 ms),
# smaller ones make more passes over each subject.
SET_SIZE: Final = 128
# Bytes for the states of one set. One that needs more is tried pattern by pattern.
_MAX_SET_BYTES: Final = 2 * 1024 * 1024
# Subjects remembered in each of two generations, and numbers kept for them: some 30 MB at most.
_MEMO_SIZE: Final = 32_768
_MEMO_NUMBERS: Final = 1_000_000
# New patterns that a remembered subject is tried with one by one; with more it is looked at anew.
_MAX_CATCH_UP: Final = 32
# Numbers without a pattern that are kept before the memo is given up so that they serve again.
_MAX_RETIRED: Final = 4096

# The number of patterns known when the subject was looked at, and what was found in it.
_Entry: TypeAlias = tuple[int, tuple[int, ...]]


class PatternSet:
    """Patterns by number; `find` gives the numbers of those found in a subject."""

    def __init__(self) -> None:
        self._numbers: dict[Pattern, int] = {}
        self._patterns: dict[int, Pattern] = {}
        self._uses: dict[int, int] = {}
        self._groups: list[_Group] = []
        self._group_of: dict[int, _Group] = {}
        self._recent: dict[int, Pattern] = {}  # in no group yet
        self._young: dict[str, _Entry] = {}
        self._old: dict[str, _Entry] = {}
        self._young_numbers = 0
        self._added: list[int] = []  # numbers in the order in which they came
        self._free: list[int] = []
        self._retired: list[int] = []  # may stand in the memo
        self._next_number = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, pattern: Pattern) -> int:
        """The number of the pattern, with one more use of it."""
        number = self._numbers.get(pattern)
        if number is not None:
            self._uses[number] += 1
            return number
        if self._free:
            number = self._free.pop()
        else:
            number = self._next_number
            self._next_number += 1
        self._numbers[pattern] = number
        self._patterns[number] = pattern
        self._uses[number] = 1
        self._added.append(number)
        self._recent[number] = pattern
        if len(self._recent) >= SET_SIZE:
            self._gather()
        return number

    def discard(self, pattern: Pattern) -> None:
        """Give back one use of a pattern that was added."""
        number = self._numbers[pattern]
        self._uses[number] -= 1
        if self._uses[number]:
            return
        del self._numbers[pattern], self._patterns[number], self._uses[number]
        group = self._group_of.pop(number, None)
        if group is None:
            del self._recent[number]
        else:
            group.discard(number)
            if group.live <= SET_SIZE // 2:
                self._dissolve(group)
        self._retired.append(number)
        if len(self._retired) > _MAX_RETIRED:
            self._forget_subjects()

    def find(self, subject: str) -> Sequence[int]:
        """The numbers of the patterns found in the subject, in no certain order."""
        if not self._numbers:
            return ()
        known = len(self._added)
        entry = self._young.get(subject)
        if entry is not None:
            if entry[0] == known:
                return entry[1]
        else:
            entry = self._old.get(subject)
        if entry is not None and known - entry[0] <= _MAX_CATCH_UP:
            missed = self._added[entry[0] :]
            found = (*entry[1], *self._search(missed, subject))
        else:
            found = tuple(self._evaluate(subject))
        self._remember(subject, (known, found))
        return found

    def _remember(self, subject: str, entry: _Entry) -> None:
        if len(self._young) >= _MEMO_SIZE or self._young_numbers >= _MEMO_NUMBERS:
            self._old = self._young
            self._young = {}
            self._young_numbers = 0
        self._young[subject] = entry
        self._young_numbers += len(entry[1])

    def _search(self, numbers: Iterable[int], subject: str) -> list[int]:
        patterns = self._patterns
        return [
            number
            for number in numbers
            if (pattern := patterns.get(number)) is not None and pattern.search(subject)
        ]

    def _evaluate(self, subject: str) -> list[int]:
        found = self._search(self._recent, subject)
        encoded = subject.encode("utf-8", "surrogatepass")
        for group in self._groups:
            matched = group.find(encoded)
            found += self._search(group.numbers, subject) if matched is None else matched
        return found

    def _gather(self) -> None:
        """Make one set of the oldest patterns that are in none."""
        numbers = list(islice(self._recent, SET_SIZE))
        group = _Group(numbers, [self._recent.pop(number) for number in numbers])
        self._groups.append(group)
        for number in numbers:
            self._group_of[number] = group

    def _dissolve(self, group: _Group) -> None:
        self._groups.remove(group)
        for number in group.numbers:
            if self._group_of.pop(number, None) is not None:
                self._recent[number] = self._patterns[number]
        if len(self._recent) >= SET_SIZE:
            self._gather()

    def _forget_subjects(self) -> None:
        self._young, self._old = {}, {}
        self._young_numbers = 0
        self._added = []
        self._free += self._retired
        self._retired = []


class _Group:
    """Patterns that are looked for together."""

    __slots__ = ("_places", "_set", "live", "numbers")

    def __init__(self, numbers: list[int], patterns: list[Pattern]) -> None:
        self.numbers = numbers  # _NOBODY where a pattern was discarded
        self.live = len(numbers)
        self._places = {number: place for place, number in enumerate(numbers)}
        options = re2.Options()
        options.never_capture = True
        options.log_errors = False
        options.max_mem = _MAX_SET_BYTES
        self._set: Any = re2.Set.SearchSet(options)
        try:
            self._set.Add("")  # is found always, so that its absence tells of too little memory
            for pattern in patterns:
                self._set.Add(pattern.expression)
            self._set.Compile()
        except re2.error:
            self._set = None  # too large together

    def discard(self, number: int) -> None:
        self.numbers[self._places.pop(number)] = _NOBODY
        self.live -= 1

    def find(self, subject: bytes) -> list[int] | None:
        """The numbers of the patterns found; None if the engine cannot tell."""
        places = None if self._set is None else self._set.Match(subject)
        if not places or min(places) != 0:
            return None
        numbers = self.numbers
        return [number for place in places if place and (number := numbers[place - 1]) >= 0]


_NOBODY: Final = -1
