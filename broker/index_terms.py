"""What a subscription asks, in the terms of the native index.

Owns the translation of conditions to conjunctions of predicates. What the index cannot decide
as `ngsi.query` does is left out, and said: the index then finds somewhat more, and what it
finds is tested exactly. It must not look at entities.

Costs: about a microsecond per statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from _native.geometry import Annulus, Region
from _native.subscription_index import (
    ABSENT,
    DATED,
    EQUAL,
    EXISTS,
    MAX_ATTRIBUTES,
    MAX_BOXES,
    MAX_KEYS,
    MAX_NUMBER_SIZE,
    MAX_PREDICATES,
    NEGATED,
    NUMBER_RANGE,
    ON_CHANGE,
    ON_CREATE,
    ON_DELETE,
    ON_METADATA_TOO,
    ON_UPDATE,
    ONE_OF,
    OPEN_HIGH,
    OPEN_LOW,
    TEXT_RANGE,
)
from ngsi.model import (
    DATE_CREATED,
    DATE_EXPIRES,
    DATE_MODIFIED,
    SERVICE_PATH,
    AlterationType,
)
from ngsi.patterns import Pattern
from ngsi.query import Instant, Kind, ListOf, Operator, Range, Statement, Value
from ngsi.subscription import Condition

if TYPE_CHECKING:
    from _native.subscription_index import Predicate

# Characters of a text that is compared by the index; longer ones would fill its pages.
MAX_TEXT_LENGTH: Final = 4096

# Read from the entity itself, so their values are not among its attributes.
_BUILTIN_ATTRIBUTES: Final = frozenset({DATE_CREATED, DATE_MODIFIED, DATE_EXPIRES, SERVICE_PATH})
_BUILTIN_METADATA: Final = frozenset({DATE_CREATED, DATE_MODIFIED})

_CREATE: Final = AlterationType.CREATE
_CHANGE: Final = AlterationType.CHANGE
_UPDATE: Final = AlterationType.UPDATE

_EXISTS: Final = Operator.EXISTS
_NOT_EXISTS: Final = Operator.NOT_EXISTS
_UNEQUAL: Final = Operator.UNEQUAL
_LESS: Final = Operator.LESS
_LESS_OR_EQUAL: Final = Operator.LESS_OR_EQUAL
_GREATER: Final = Operator.GREATER
_GREATER_OR_EQUAL: Final = Operator.GREATER_OR_EQUAL

_NUMBER: Final = Kind.NUMBER
_STRING: Final = Kind.STRING
_DATE: Final = Kind.DATE

_Box: TypeAlias = tuple[float, float, float, float]
# operation, flags, low, high
_Comparison: TypeAlias = tuple[int, int, Any, Any]


class Terms(NamedTuple):
    """A condition for the index; `verify`: what it finds has to be tested exactly."""

    attributes: tuple[str, ...]
    trigger: int
    predicates: list[Predicate]
    boxes: tuple[_Box, ...]
    area: Annulus | Region | None
    verify: bool


def alteration_code(alteration: AlterationType) -> int:
    """The number of an alteration in the index."""
    if alteration is _CHANGE:
        return ON_CHANGE
    if alteration is _UPDATE:
        return ON_UPDATE
    return ON_CREATE if alteration is _CREATE else ON_DELETE


def terms_of(condition: Condition) -> Terms:
    """The condition in the terms of the index."""
    verify = False
    attributes = condition.attributes
    if len(attributes) > MAX_ATTRIBUTES:
        attributes, verify = (), True
    trigger = ON_METADATA_TOO if condition.notify_on_metadata_change else 0
    for alteration in condition.alteration_types:
        trigger |= alteration_code(alteration)
    predicates: list[Predicate] = []
    keys = 0
    for query in (condition.q, condition.mq):
        if query is None:
            continue
        for statement in query.statements:
            predicate = predicate_of(statement)
            if predicate is None:
                verify = True
                # Of whatever operator but this one: the property exists.
                if statement.operator is _NOT_EXISTS or _is_builtin(statement):
                    continue
                predicate = (*_path_of(statement), EXISTS, 0, None, None)
            elif predicate[3] == ONE_OF:
                keys += len(predicate[5])
            if len(predicates) == MAX_PREDICATES or keys > MAX_KEYS:
                verify = True
                break
            predicates.append(predicate)
    boxes: tuple[_Box, ...] = ()
    area = None
    if condition.geo is not None:
        area = condition.geo.area
        verify = verify or area is None
        boxes = condition.geo.bounds() or ()
        if len(boxes) > MAX_BOXES:
            boxes = ()
    return Terms(attributes, trigger, predicates, boxes, area, verify)


def predicate_of(statement: Statement) -> Predicate | None:
    """The statement as a predicate that decides the same; None if there is none."""
    if _is_builtin(statement):
        return None
    operator, operand = statement.operator, statement.operand
    if operand is None:
        operation = EXISTS if operator is _EXISTS else ABSENT
        return (*_path_of(statement), operation, 0, None, None)
    if isinstance(operand, Pattern):
        return None
    if isinstance(operand, Value):
        comparison = _compare_with_value(operator, operand)
    elif isinstance(operand, Range):
        comparison = _compare_with_range(operand)
    else:
        comparison = _compare_with_list(operand)
    if comparison is None:
        return None
    operation, flags, low, high = comparison
    if operator is _UNEQUAL:
        flags |= NEGATED
    return (*_path_of(statement), operation, flags, low, high)


def _path_of(statement: Statement) -> tuple[str, str | None, tuple[str, ...]]:
    return statement.attribute, statement.metadata, statement.path


def _is_builtin(statement: Statement) -> bool:
    if statement.path:
        return False
    if statement.metadata is None:
        return statement.attribute in _BUILTIN_ATTRIBUTES
    return statement.metadata in _BUILTIN_METADATA


def _compare_with_value(operator: Operator, operand: Value) -> _Comparison | None:
    kind = operand.kind
    if kind is _NUMBER or kind is _STRING or kind is _DATE:
        scalar = _comparable(operand.value)
        if scalar is None:
            return None
        flags = DATED if kind is _DATE else 0
        operation = NUMBER_RANGE if kind is _NUMBER else TEXT_RANGE
        if operator is _GREATER:
            return operation, flags | OPEN_LOW, scalar, None
        if operator is _GREATER_OR_EQUAL:
            return operation, flags, scalar, None
        if operator is _LESS:
            return operation, flags | OPEN_HIGH, None, scalar
        if operator is _LESS_OR_EQUAL:
            return operation, flags, None, scalar
        return EQUAL, flags, scalar, None
    return EQUAL, 0, operand.value, None  # true, false, null


def _compare_with_range(operand: Range) -> _Comparison | None:
    low, high = _comparable(operand.low), _comparable(operand.high)
    if low is None or high is None:
        return None
    if operand.kind is _NUMBER:
        return NUMBER_RANGE, 0, low, high
    return TEXT_RANGE, DATED if operand.kind is _DATE else 0, low, high


def _compare_with_list(operand: ListOf) -> _Comparison | None:
    scalars = [_comparable(value) for value in operand.values]
    if None in scalars or len(scalars) >= MAX_KEYS:
        return None
    if operand.null:
        scalars.append(None)
    return ONE_OF, DATED if operand.kind is _DATE else 0, scalars, None


def _comparable(value: Any) -> float | str | None:
    """An operand as the index compares it; None for one that it cannot."""
    if isinstance(value, Instant):
        return value.text
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT_LENGTH else None
    number: float = value
    return number if -MAX_NUMBER_SIZE < number < MAX_NUMBER_SIZE else None
