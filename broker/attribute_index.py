"""The values of one attribute of a tenant's entities, in order, to find entities by them.

Owns which entities a statement of a query can match at all: always all that `ngsi.query` would
match, now and then some more, so its exact test follows. An entry is a pair of a value and the
sequence number of an entity, in sorted lists by kind of value:

- numbers, texts (what is compared as a string) and instants (of type DateTime, as seconds);
- others: null, false, true, objects (which match nothing but existence), and what may match
  anything: long arrays, long texts, dates that are none.

An array has an entry for each different element. Entities without the attribute are not here.
It must not look at other attributes, ids or service paths. A change costs O(log n), some
microseconds an entry; a count O(log n); memory is ENTRY_BYTES an entry.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from sortedcontainers import SortedList

from ngsi.instants import DATE_TYPES, format_instant, parse_instant
from ngsi.json_value import JsonValue
from ngsi.model import (
    DATE_CREATED,
    DATE_EXPIRES,
    DATE_MODIFIED,
    SERVICE_PATH,
    Attribute,
    Entity,
)
from ngsi.patterns import Pattern
from ngsi.query import Kind, ListOf, Operand, Operator, Range, Statement, Value

# A pair (64), the sequence number (32), its place in a list (8 and some room); the value
# belongs to the attribute. Measured by tests/bench/bench_query_index.py.
ENTRY_BYTES: Final = 112
# So that one update costs a few entries and not thousands; a longer array may match anything.
MAX_ELEMENTS: Final = 16
# So that a comparison stays a matter of nanoseconds; a longer text may match anything.
MAX_TEXT_LENGTH: Final = 1024

_WHOLE: Final = sys.maxsize
_LAST: Final = math.inf  # behind every sequence number

# Ranks among the others, in the order of ngsi.ordering where they have one.
_NULL: Final = 0
_FALSE: Final = 1
_TRUE: Final = 2
_OBJECT: Final = 3
_ANYTHING: Final = 4

# Names that q reads from elsewhere than from the attribute.
_BUILTINS: Final = frozenset({DATE_CREATED, DATE_EXPIRES, DATE_MODIFIED, SERVICE_PATH})
_UNSERVED: Final = frozenset({Operator.NOT_EXISTS, Operator.UNEQUAL, Operator.MATCHES})

_Bound: TypeAlias = tuple[Any, ...] | None
_Interval: TypeAlias = tuple[_Bound, _Bound]
_Key: TypeAlias = tuple[int, Any]  # where an entry stands: the number of the list, the value there


_NUMBERS: Final = 0
_TEXTS: Final = 1
_INSTANTS: Final = 2
_OTHERS: Final = 3
_NO_SCALAR: Final[_Key] = (_OTHERS, _OBJECT)
_UNKNOWN: Final[_Key] = (_OTHERS, _ANYTHING)


def is_served(statement: Statement) -> bool:
    """Whether an index of the statement's attribute can answer it."""
    return (
        statement.metadata is None
        and not statement.path
        and statement.attribute not in _BUILTINS
        and statement.operator not in _UNSERVED
    )


def calls_for_index(statement: Statement) -> bool:
    """Whether it is worth making an index for: comparisons are, existence alone is not."""
    return is_served(statement) and statement.operator is not Operator.EXISTS


class AttributeIndex:
    """The entries of one attribute.

    While it is built it holds the entities up to the sequence number `covered`; changes of
    later ones are not for it yet. `worth` is how many entities queries need not have looked at
    thanks to it, of late.
    """

    __slots__ = ("_by_type", "_lists", "_unordered", "covered", "name", "worth")

    def __init__(self, name: str, worth: int = 0) -> None:
        self.name = name
        self.covered = -1
        self.worth = worth
        # Pairs (value, sequence); one list for each kind of value.
        self._lists = (SortedList(), SortedList(), SortedList(), SortedList())
        self._by_type: Counter[str] = Counter()  # entities with the attribute, by their type
        self._unordered = 0  # entities whose value stands here otherwise than orderBy has it

    def __len__(self) -> int:
        """The number of entries."""
        return sum(map(len, self._lists))

    @property
    def size_bytes(self) -> int:
        """An estimate of its memory."""
        return len(self) * ENTRY_BYTES

    @property
    def is_whole(self) -> bool:
        """Whether it is built, so that it may be asked."""
        return self.covered == _WHOLE

    def finish(self) -> None:
        """It holds all entities of the table now."""
        self.covered = _WHOLE

    def insert(self, entity: Entity) -> None:
        """Take an entity in, as it is now."""
        attribute = entity.attributes.get(self.name)
        if attribute is not None:
            self._add(entity, attribute)

    def remove(self, entity: Entity) -> None:
        """Take an entity out that is in as it is now, or was not reached yet."""
        attribute = entity.attributes.get(self.name)
        if attribute is not None and entity.sequence <= self.covered:
            self._discard(entity, attribute)

    def replace(self, entity: Entity, after: Attribute | None) -> None:
        """The attribute of an entity, as it is now, is about to become another or to go."""
        if entity.sequence > self.covered:
            return
        before = entity.attributes.get(self.name)
        if before is not None:
            if after is not None and before.value is after.value and before.type == after.type:
                return
            self._discard(entity, before)
        if after is not None:
            self._add(entity, after)

    def _add(self, entity: Entity, attribute: Attribute) -> None:
        sequence = entity.sequence
        keys = _keys(attribute)
        for place, value in keys:
            self._lists[place].add((value, sequence))
        self._by_type[entity.type] += 1
        self._unordered += _is_unordered(attribute.value, keys)

    def _discard(self, entity: Entity, attribute: Attribute) -> None:
        sequence = entity.sequence
        keys = _keys(attribute)
        for place, value in keys:
            self._lists[place].remove((value, sequence))
        left = self._by_type[entity.type] - 1
        if left:
            self._by_type[entity.type] = left
        else:
            del self._by_type[entity.type]
        self._unordered -= _is_unordered(attribute.value, keys)

    def count(self, statement: Statement) -> int | None:
        """How many entries stand where a match of the statement can; None if it is not served."""
        if not is_served(statement):
            return None
        return sum(end - start for _, start, end in self._spans(statement))

    def find(self, statement: Statement) -> list[int]:
        """The sequence numbers of all entities that can match a statement, in their order.

        Costs some tenth of a microsecond for each of `count`.
        """
        found: set[int] = set()
        for place, start, end in self._spans(statement):
            found.update(sequence for _, sequence in self._lists[place].islice(start, end))
        return sorted(found)

    def _spans(self, statement: Statement) -> Iterator[tuple[int, int, int]]:
        """The list, start and end of each stretch of entries that can match."""
        for place, interval in _intervals(statement.operator, statement.operand):
            start, end = self._span(place, interval)
            if start < end:
                yield place, start, end

    def _span(self, place: int, interval: _Interval) -> tuple[int, int]:
        entries = self._lists[place]
        low, high = interval
        return (
            0 if low is None else entries.bisect_left(low),
            len(entries) if high is None else entries.bisect_left(high),
        )

    @property
    def is_ordered(self) -> bool:
        """Whether `walk` gives all entries in the order of ngsi.ordering: no array, no object,
        and not both texts and dates, which stand together there."""
        return not self._unordered and not (self._lists[_TEXTS] and self._lists[_INSTANTS])

    def count_entities(self, types: Iterable[str] | None) -> int:
        """How many entities have the attribute, of these (different) types only unless None."""
        if types is None:
            return self._by_type.total()
        return sum(self._by_type[entity_type] for entity_type in types)

    def walk(self, descending: bool, with_nulls: bool) -> Iterator[tuple[_Key, int]]:
        """Values and sequence numbers in the order of the values, from low to high or back.

        Only where `is_ordered`, and while nothing changes. Equal values follow each other in no
        order to rely on.
        """
        sections: list[tuple[int, _Interval]] = [
            (_NUMBERS, (None, None)),
            (_TEXTS, (None, None)),
            (_INSTANTS, (None, None)),
            (_OTHERS, ((_FALSE,), (_TRUE, _LAST))),
        ]
        if with_nulls:
            sections.insert(0, (_OTHERS, _just(_NULL)))
        for place, interval in reversed(sections) if descending else sections:
            start, end = self._span(place, interval)
            for value, sequence in self._lists[place].islice(start, end, reverse=descending):
                yield (place, value), sequence

    def check(self, entities: Iterable[Entity]) -> None:
        """Assert that it holds just the entities of the table that it covers; for tests."""
        expected = AttributeIndex(self.name)
        for entity in entities:
            if entity.sequence <= self.covered:
                expected.insert(entity)
        for entries, others in zip(self._lists, expected._lists, strict=True):
            assert list(entries) == list(others)
        assert self._by_type == expected._by_type
        assert self._unordered == expected._unordered


def _keys(attribute: Attribute) -> tuple[_Key, ...]:
    """Where the entries of a value stand, each place once."""
    value = attribute.value
    if type(value) is not list:
        if type(value) is str and attribute.type in DATE_TYPES:
            return (_instant_key(value),)
        return (_scalar_key(value),)
    if len(value) > MAX_ELEMENTS:
        return (_UNKNOWN,)
    keys = set(map(_scalar_key, value))
    keys.discard(_NO_SCALAR)
    return tuple(keys) or (_NO_SCALAR,)


def _scalar_key(value: JsonValue) -> _Key:
    kind = type(value)
    if kind is float or kind is int:
        return (_NUMBERS, value)
    if kind is str:
        return (_TEXTS, value) if len(value) <= MAX_TEXT_LENGTH else _UNKNOWN
    if value is None:
        return (_OTHERS, _NULL)
    if kind is bool:
        return (_OTHERS, _TRUE if value else _FALSE)
    return _NO_SCALAR


def _instant_key(text: str) -> _Key:
    # Comparisons are of texts or of seconds; only for the canonical ones it is the same.
    seconds = parse_instant(text)
    if seconds is None or format_instant(seconds) != text:
        return _UNKNOWN
    return (_INSTANTS, seconds)


def _is_unordered(value: JsonValue, keys: tuple[_Key, ...]) -> bool:
    return type(value) is list or type(value) is dict or keys[0] is _UNKNOWN


def _just(value: Any) -> _Interval:
    return (value,), (value, _LAST)


def _intervals(op: Operator, operand: Operand) -> Iterator[tuple[int, _Interval]]:
    """The lists and intervals of values that a statement asks for, none overlapping another."""
    if op is Operator.EXISTS:
        for place in (_NUMBERS, _TEXTS, _INSTANTS, _OTHERS):
            yield place, (None, None)
        return
    yield _OTHERS, ((_ANYTHING,), None)
    assert operand is not None
    assert not isinstance(operand, Pattern)
    match operand.kind:
        case Kind.NUMBER:
            for interval in _compared(op, operand):
                yield _NUMBERS, interval
                yield _INSTANTS, interval
        case Kind.DATE:
            for interval in _compared(op, operand):
                yield _INSTANTS, interval
        case Kind.STRING:
            for interval in _compared(op, operand):
                yield _TEXTS, interval
            if isinstance(operand, ListOf) and operand.null:
                yield _OTHERS, _just(_NULL)
        case Kind.BOOLEAN:
            assert isinstance(operand, Value)
            yield _OTHERS, _just(_TRUE if operand.value else _FALSE)
        case Kind.NULL:
            yield _OTHERS, _just(_NULL)


def _compared(op: Operator, operand: Value | Range | ListOf) -> Iterator[_Interval]:
    is_date = operand.kind is Kind.DATE

    def read(value: Any) -> Any:
        return value.seconds if is_date else value

    if isinstance(operand, Range):
        yield (read(operand.low),), (read(operand.high), _LAST)
    elif isinstance(operand, ListOf):
        for value in set(map(read, operand.values)):
            yield _just(value)
    else:
        bound = read(operand.value)
        match op:
            case Operator.LESS:
                yield None, (bound,)
            case Operator.LESS_OR_EQUAL:
                yield None, (bound, _LAST)
            case Operator.GREATER:
                yield (bound, _LAST), None
            case Operator.GREATER_OR_EQUAL:
                yield (bound,), None
            case _:
                yield _just(bound)
