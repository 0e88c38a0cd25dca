"""Queries over the entities of a tenant, in bounded slices of work.

A plan picks the smallest index that can answer: ids, place, types, the index of an attribute
where there is one, else the order of creation. Between two slices other clients are served; what
they change meanwhile may or may not be seen. Queries that had to look at many entities in vain
are noted with the table's advisor, which may have an index made for the next ones.
Source: Orion API, sections "Query operation", "Pagination", "Ordering Results".
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from broker.attribute_index import AttributeIndex, calls_for_index
from broker.creation_order import BLOCK_LENGTH
from broker.entity_order import Ranking, ordering_attribute
from broker.entity_table import EntityTable
from broker.index_advisor import NOTED_MIN, IndexAdvisor
from ngsi.geometry import GeoQuery
from ngsi.model import (
    DATE_CREATED,
    DATE_MODIFIED,
    Entity,
    EntitySelector,
)
from ngsi.query import Operator, Query, Statement
from ngsi.service_path import ServicePathScope

SLICE_S: Final = 0.002  # of work on one query before others get their turn
# Found in one go through the index of places, in some 2 ms; more are looked through in slices.
NEARBY_MAX: Final = 2048
# Found in one go through the index of an attribute, in some 2 ms.
INDEXED_MAX: Final = 2048
# Looked at in one go along the index of the attribute to order by, in some 2 ms.
WALKED_MAX: Final = 2048
_CLOCK_STEP: Final = 64


@dataclass(slots=True, frozen=True)
class EntityQuery:
    """What is asked for. `selectors` empty: all entities; `having`: with one of these names."""

    scope: ServicePathScope
    selectors: tuple[EntitySelector, ...] = ()
    q: Query | None = None
    mq: Query | None = None
    geo: GeoQuery | None = None
    having: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    limit: int = 20
    offset: int = 0
    after: int | None = None  # sequence number behind which the page begins, for cursors
    count: bool = False  # whether the total is wanted, too

    @property
    def is_unfiltered(self) -> bool:
        """Whether every candidate that an index gives is a result."""
        return (
            self.scope.is_everywhere
            and self.q is None
            and self.mq is None
            and self.geo is None
            and not self.having
        )

    def matches(self, entity: Entity) -> bool:
        """The exact test of one entity."""
        return (
            self.scope.covers(entity.service_path)
            and (
                not self.selectors
                or any(selector.matches(entity.id, entity.type) for selector in self.selectors)
            )
            and (
                not self.having
                or any(
                    name in entity.attributes or name in (DATE_CREATED, DATE_MODIFIED)
                    for name in self.having
                )
            )
            and (self.geo is None or any(map(self.geo.matches, entity.shapes)))
            and (self.q is None or self.q.matches(entity))
            and (self.mq is None or self.mq.matches(entity))
        )


@dataclass(slots=True)
class EntityPage:
    """The entities of a page; `total` is None when it was not asked for.

    `last` is the sequence number behind which the next page begins, None where there is none or
    the query was not by `after`. `is_whole` is whether every context provider that was asked
    gave an answer.
    """

    entities: list[Entity]
    total: int | None
    last: int | None = None
    is_whole: bool = True


async def find_entities(table: EntityTable, query: EntityQuery) -> EntityPage:
    """The page of entities that a query asks for."""
    plan = _plan(table, query)
    if query.after is not None:
        page = await _find_after(plan, query, query.after)
    elif query.order_by:
        in_order = _walk_in_order(table, plan, query)
        page = in_order or await _find_ordered(plan, query)
    else:
        page = await _find_first(plan, query)
    if plan.looked_at >= NOTED_MIN:
        _note(table.advisor, plan, query, len(page.entities))
    return page


async def _find_first(plan: _Plan, query: EntityQuery) -> EntityPage:
    """The page in the order of creation."""
    if plan.is_exact and query.is_unfiltered:
        total = plan.length if query.count else None
        page: list[Entity] = []
        for block in plan.blocks(query.offset):
            page.extend(block[: query.limit - len(page)])
            if len(page) >= query.limit:
                break
        return EntityPage(page, total)
    page = []
    found = 0
    last = query.offset + query.limit
    async for hits in _filter(plan, plan.blocks(), query):
        for entity in hits:
            if query.offset <= found < last:
                page.append(entity)
            found += 1
        if found >= last and not query.count:
            break
    return EntityPage(page, found if query.count else None)


async def _find_after(plan: _Plan, query: EntityQuery, after: int) -> EntityPage:
    page: list[Entity] = []
    found = 0
    has_more = False
    # The total is of all pages, for which those before must be looked at, too.
    blocks = plan.blocks() if query.count else plan.blocks_after(after)
    async for hits in _filter(plan, blocks, query):
        found += len(hits)
        for entity in hits:
            if entity.sequence <= after or has_more:
                continue
            if len(page) < query.limit:
                page.append(entity)
            else:
                has_more = True
        if has_more and not query.count:
            break
    last = (page[-1].sequence if page else after) if has_more else None
    return EntityPage(page, found if query.count else None, last)


async def _find_ordered(plan: _Plan, query: EntityQuery) -> EntityPage:
    ranking = Ranking(query.order_by, query.geo, query.offset + query.limit)
    found = 0
    async for hits in _filter(plan, plan.blocks(), query):
        found += len(hits)
        ranking.add(hits)
    return EntityPage(ranking.first()[query.offset :], found if query.count else None)


async def _filter(plan: _Plan, blocks: Iterator[list[Entity]], query: EntityQuery) -> Any:
    """The hits in bounded portions; other clients get their turn every few milliseconds."""
    # Entities between two looks at the clock: few where one takes long.
    step = max(1, _CLOCK_STEP // (1 + len(query.selectors)))
    deadline = time.perf_counter() + SLICE_S
    for block in blocks:
        hits: list[Entity] = []
        for start in range(0, len(block), step):
            if time.perf_counter() >= deadline:
                await asyncio.sleep(0)
                deadline = time.perf_counter() + SLICE_S
            hits.extend(entity for entity in block[start : start + step] if query.matches(entity))
        plan.looked_at += len(block)
        plan.found += len(hits)
        yield hits


class _Plan:
    """The candidates of a query, oldest first; exact when all of them match the selectors.

    `looked_at` and `found` are what came of it: candidates and those that match.
    """

    def __init__(self, parts: list[Any], is_exact: bool) -> None:
        self._parts = parts
        self.is_exact = is_exact
        self.looked_at = 0
        self.found = 0

    @property
    def length(self) -> int:
        return sum(len(part) for part in self._parts)

    def blocks(self, skip: int = 0) -> Iterator[list[Entity]]:
        if len(self._parts) == 1:
            part = self._parts[0]
            if type(part) is list:
                for start in range(skip, len(part), BLOCK_LENGTH):
                    yield part[start : start + BLOCK_LENGTH]
            else:
                yield from part.blocks(skip)
            return
        yield from _in_blocks(self._merge(), skip)

    def blocks_after(self, sequence: int) -> Iterator[list[Entity]]:
        """As `blocks`, of the candidates with a higher sequence number."""
        if len(self._parts) == 1 and type(self._parts[0]) is not list:
            yield from self._parts[0].blocks_after(sequence)
        else:
            for block in self.blocks():
                yield [entity for entity in block if entity.sequence > sequence]

    def _merge(self) -> Iterator[Entity]:
        return heapq.merge(*map(_walk, self._parts), key=_sequence)


def _in_blocks(entities: Iterator[Entity], skip: int) -> Iterator[list[Entity]]:
    rest = islice(entities, skip, None)
    while block := list(islice(rest, BLOCK_LENGTH)):
        yield block


def _walk(part: Any) -> Iterator[Entity]:
    for block in part.blocks():
        yield from block


def _sequence(entity: Entity) -> int:
    return entity.sequence


def _plan(table: EntityTable, query: EntityQuery) -> _Plan:
    selectors = query.selectors
    if selectors and all(selector.id is not None for selector in selectors):
        found = {
            entity.sequence: entity
            for selector in selectors
            for entity in table.with_id(selector.id or "")
            if selector.matches(entity.id, entity.type)
        }
        return _Plan([[found[sequence] for sequence in sorted(found)]], is_exact=True)
    plan = _plan_by_type(table, selectors)
    if plan is None:
        plan = _Plan([table.all], is_exact=all(map(_selects_all, selectors)))
    best = _find_index(table, query.q, plan.length) if table.indexes and query.q else None
    least = plan.length if best is None else best[2]
    bounds = None if query.geo is None else query.geo.bounds()
    if bounds is not None:
        nearby = table.near(bounds, min(NEARBY_MAX, least))
        if nearby is not None and len(nearby) < least:
            return _Plan([nearby], is_exact=False)
    if best is None:
        return plan
    index, statement, count = best
    index.worth += plan.length - count
    table.advisor.served += 1
    candidates = map(table.all.get, index.find(statement))
    return _Plan([[entity for entity in candidates if entity is not None]], is_exact=False)


def _find_index(
    table: EntityTable, q: Query, length: int
) -> tuple[AttributeIndex, Statement, int] | None:
    """The index and the statement that leave the fewest candidates, less than `length`."""
    least = min(length, INDEXED_MAX + 1)
    best = None
    for statement in q.statements:
        index = table.indexes.get(statement.attribute)
        if index is not None and index.is_whole:
            count = index.count(statement)
            if count is not None and count < least:
                least = count
                best = index, statement, count
    return best


def _walk_in_order(table: EntityTable, plan: _Plan, query: EntityQuery) -> EntityPage | None:
    """The page found along the index of the first attribute to order by.

    None where there is no such index, where looking at all candidates is needed anyway or is
    less work, or where the page was not found in WALKED_MAX entities.
    """
    name = ordering_attribute(query.order_by)
    index = None if name is None else table.indexes.get(name)
    if index is None or not index.is_whole:
        return None
    is_descending = query.order_by[0].startswith("!")
    room = WALKED_MAX // (1 + len(query.selectors))
    wanted = query.offset + query.limit
    lacking = _count_lacking(table, index, query)
    if (
        not index.is_ordered
        or not _can_stop_early(plan, query)
        or (lacking and not is_descending)  # these come first
        or wanted > room
        or plan.length <= room
    ):
        return None
    ranking = Ranking(query.order_by, query.geo, wanted)
    found = 0
    last = None
    deadline = time.perf_counter() + SLICE_S
    for key, sequence in index.walk(is_descending, with_nulls=not lacking):
        if found >= wanted and key != last:
            break
        if not room or (room % _CLOCK_STEP == 0 and time.perf_counter() >= deadline):
            return None
        room -= 1
        last = key
        entity = table.all.get(sequence)
        if entity is not None and query.matches(entity):
            ranking.add((entity,))
            found += 1
    else:
        if lacking and found < wanted:
            return None
    index.worth += plan.length
    table.advisor.served += 1
    return EntityPage(ranking.first()[query.offset :], plan.length if query.count else None)


def _count_lacking(table: EntityTable, index: AttributeIndex, query: EntityQuery) -> int:
    """How many entities that the query may find have no attribute of the index's name."""
    if query.q is not None and any(
        statement.attribute == index.name
        and statement.metadata is None
        and statement.operator is not Operator.NOT_EXISTS
        for statement in query.q.statements
    ):
        return 0
    types = {selector.type for selector in query.selectors if selector.type is not None}
    if not types or any(selector.type is None for selector in query.selectors):
        return len(table.all) - index.count_entities(None)
    total = sum(len(table.with_type(name)) for name in types)
    return total - index.count_entities(types)


def _can_stop_early(plan: _Plan, query: EntityQuery) -> bool:
    """Whether a page can be told without looking at all candidates."""
    return not query.count or (plan.is_exact and query.is_unfiltered)


def _note(advisor: IndexAdvisor, plan: _Plan, query: EntityQuery, page_length: int) -> None:
    """Tell the advisor what a query looked at in vain, and which attributes it was about."""
    names = [] if query.q is None else _comparable_names(query.q)
    advisor.note(names, plan.looked_at - plan.found)
    name = ordering_attribute(query.order_by)
    if (
        name is not None
        and name not in names
        and query.after is None
        and query.offset + query.limit <= WALKED_MAX // 2
        and _can_stop_early(plan, query)
    ):
        advisor.note([name], plan.looked_at - page_length)


def _comparable_names(q: Query) -> list[str]:
    """The attributes whose values it compares, each once."""
    return list({statement.attribute for statement in q.statements if calls_for_index(statement)})


def _plan_by_type(table: EntityTable, selectors: tuple[EntitySelector, ...]) -> _Plan | None:
    """By the index of types, None where the selectors leave the type open."""
    if not selectors:
        return None
    types: set[str] = set()
    for selector in selectors:
        if selector.type is not None:
            types.add(selector.type)
        elif selector.type_pattern is not None and not selector.type_pattern.matches_everything:
            types.update(filter(selector.type_pattern.search, table.types()))
        else:
            return None
    is_exact = all(_has_any_id(selector) for selector in selectors)
    return _Plan([table.with_type(name) for name in sorted(types)], is_exact)


def _has_any_id(selector: EntitySelector) -> bool:
    return selector.id is None and (
        selector.id_pattern is None or selector.id_pattern.matches_everything
    )


def _selects_all(selector: EntitySelector) -> bool:
    return _has_any_id(selector) and (
        selector.type is None
        and (selector.type_pattern is None or selector.type_pattern.matches_everything)
    )


async def list_types(
    table: EntityTable, scope: ServicePathScope, names: Iterable[str], detail: bool
) -> list[dict[str, Any]]:
    """For each type its attributes, their types (empty without `detail`) and the count.

    Types without an entity within the scope are left out. Costs one look at each entity of
    the types, in slices.
    """
    listed = []
    for name in names:
        attributes: dict[str, dict[str, None]] = {}
        count = 0
        for block in table.with_type(name).blocks():
            for entity in block:
                if not scope.covers(entity.service_path):
                    continue
                count += 1
                for attribute_name, attribute in entity.attributes.items():
                    attributes.setdefault(attribute_name, {})[attribute.type] = None
            await asyncio.sleep(0)
        if count:
            listed.append(
                {
                    "type": name,
                    "attrs": {
                        attribute_name: {"types": sorted(types) if detail else []}
                        for attribute_name, types in attributes.items()
                        if attribute_name != "dateExpires"
                    },
                    "count": count,
                }
            )
    return listed


async def list_type_names(table: EntityTable, scope: ServicePathScope) -> list[str]:
    """The types that have an entity within the scope, in alphabetical order."""
    if scope.is_everywhere:
        return table.types()
    names = []
    for name in table.types():
        for block in table.with_type(name).blocks():
            if any(scope.covers(entity.service_path) for entity in block):
                names.append(name)
                break
            await asyncio.sleep(0)
    return names
