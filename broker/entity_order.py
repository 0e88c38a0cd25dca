"""The order of entities in the result of a query: `orderBy`.

Source: Orion API, section "Ordering Results". Costs about a microsecond per entity and token to
rank, and memory for twice as many as are wanted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from ngsi.errors import BadRequest
from ngsi.geometry import GeoQuery
from ngsi.model import DATE_CREATED, DATE_EXPIRES, DATE_MODIFIED, SERVICE_PATH, Entity
from ngsi.ordering import order_key

DISTANCE: Final = "geo:distance"
# What orderBy can name that is no attribute.
_NO_ATTRIBUTES: Final = frozenset(
    {DISTANCE, "id", "type", SERVICE_PATH, DATE_CREATED, DATE_MODIFIED, DATE_EXPIRES}
)
# Ranked beyond twice those wanted before the rest is dropped: few sorts where few are wanted.
_PRUNE_LENGTH: Final = 1024
_Key: TypeAlias = tuple[Any, ...]
_Ranked: TypeAlias = tuple[_Key, int, Entity]  # the number is that of creation


def parse_order(order_by: str) -> tuple[str, ...]:
    """The tokens of orderBy; raises BadRequest when one stands twice."""
    tokens = tuple(token for token in order_by.split(",") if token)
    names = [token.removeprefix("!") for token in tokens]
    if len(set(names)) < len(names):
        raise BadRequest("duplicate orderBy token detected")
    return tokens


def ordering_attribute(order_by: tuple[str, ...]) -> str | None:
    """The attribute that is ordered by first; None where it is something else, or nothing."""
    if not order_by:
        return None
    name = order_by[0].removeprefix("!")
    return None if name in _NO_ATTRIBUTES else name


class Ranking:
    """The first of any number of entities in an order, older ones first among equals."""

    def __init__(self, order_by: tuple[str, ...], geo: GeoQuery | None, wanted: int) -> None:
        """`geo` is what distances are from; `wanted` how many there are to be at most."""
        self._order_by = order_by
        self._geo = geo
        self._wanted = wanted
        self._best: list[_Ranked] = []

    def add(self, entities: Iterable[Entity]) -> None:
        """Rank some more."""
        best = self._best
        best.extend((self._key(entity), entity.sequence, entity) for entity in entities)
        if len(best) > 2 * self._wanted + _PRUNE_LENGTH:
            self._prune()

    def first(self) -> list[Entity]:
        """Those wanted, in their order."""
        self._prune()
        return [entity for _, _, entity in self._best]

    def _prune(self) -> None:
        self._best.sort(key=_by_key)
        del self._best[self._wanted :]

    def _key(self, entity: Entity) -> _Key:
        keys: list[Any] = []
        for token in self._order_by:
            key = _token_key(entity, token.removeprefix("!"), self._geo)
            keys.append(_Reversed(key) if token.startswith("!") else key)
        return tuple(keys)


def _by_key(item: _Ranked) -> tuple[_Key, int]:
    return item[:2]


class _Reversed:
    """A sort key in the opposite order."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: _Reversed) -> bool:
        return bool(other.key < self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and bool(self.key == other.key)

    __hash__ = None  # type: ignore[assignment]


def _token_key(entity: Entity, name: str, geo: GeoQuery | None) -> Any:
    if name == DISTANCE:
        if geo is None:
            return math.inf
        return min(map(geo.distance_m, entity.shapes), default=math.inf)
    if name == "id":
        return entity.id
    if name == "type":
        return entity.type
    if name == SERVICE_PATH:
        return entity.service_path
    if name == DATE_CREATED:
        return entity.created
    if name == DATE_MODIFIED:
        return entity.modified
    attribute = entity.attributes.get(name)
    return order_key(None if attribute is None else attribute.value)
