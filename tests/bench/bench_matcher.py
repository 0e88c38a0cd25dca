"""Costs of the subscription matcher; prints a line per workload and number of subscriptions.

    python tests/bench/bench_matcher.py [--core] [workload ...] [number of subscriptions ...]

The workloads stand in matcher_workloads.py. Figures, all of CPU time:

- microseconds per event in the native index (`core`, events translated before), and through
  SubscriptionMatcher (`door`); handles per event that are sure and that are to be tested exactly
- additions per second while the index fills
- removals and additions per second of subscriptions that are in, taken at random, while events
  flow: one event between ten of them
- the longest single addition or removal of all
- bytes per subscription in the index

With --core the door is left out: its subscriptions take 2 KB each. No part of the test suite.
"""

from __future__ import annotations

import gc
import math
import random
import sys
import time
from itertools import cycle, islice
from typing import Any

from _native.subscription_index import DEFAULT_BLOCK, SubscriptionIndex
from broker.index_terms import alteration_code, terms_of
from broker.matcher import SubscriptionMatcher
from ngsi.geometry import GeoQuery, Point
from ngsi.instants import DATE_TYPES, parse_instant
from ngsi.model import AlterationType, Attribute, Entity, EntityEvent
from ngsi.patterns import Pattern
from ngsi.query import parse_query
from ngsi.subscription import Condition, Delivery, HttpReceiver, Subscription
from tests.bench.matcher_workloads import WORKLOADS, Happening, Sketch, Workload

CHUNK = 10_000  # subscriptions that are made at once
CHURN = 50_000  # removals and additions that are measured
EVENT_SPACING = 10  # of them between two events
COUNTS = (1_000, 100_000, 1_000_000)
DELIVERY = Delivery(HttpReceiver("http://localhost/"))


def subscription_of(sketch: Sketch) -> Subscription:
    q = ";".join(
        f"{name}=={low}..{high}" if operator == ".." else f"{name}{operator}{low}"
        for name, operator, low, high in sketch.tests
    )
    condition = Condition(
        attributes=sketch.attributes,
        q=parse_query(q, "q") if q else None,
        geo=None if sketch.geo is None else GeoQuery.parse(*sketch.geo),
    )
    return Subscription("5f0000000000000000000000", "/", (sketch.selector,), condition, DELIVERY)


def event_of(happening: Happening) -> EntityEvent:
    attributes = {
        name: Attribute("Number", value, {}, 0.0, 0.0) for name, value in happening.values.items()
    }
    entity = Entity(happening.id, happening.type, "/", attributes, 0.0, 0.0, 0)
    if happening.place is not None:
        entity.shapes = (Point(*happening.place),)
    changed = frozenset(happening.changed)
    return EntityEvent(entity, attributes, AlterationType.CHANGE, changed, changed, frozenset())


class Core:
    """The native index alone, with subscriptions translated before they are timed."""

    def __init__(self) -> None:
        self.index = SubscriptionIndex(DATE_TYPES, parse_instant, block=DEFAULT_BLOCK)
        self.patterns: dict[Pattern, int] = {}
        self.found: dict[str, list[int]] = {}  # numbers of patterns, by id
        self.handles: list[int] = []
        self.add_s = 0.0
        self.longest_s = 0.0

    def terms(self, subscription: Subscription) -> tuple[Any, ...]:
        selectors: list[tuple[str | int | None, str | None]] = []
        for selector in subscription.entities:
            side: str | int | None = selector.id
            pattern = selector.id_pattern
            if pattern is not None and not pattern.matches_everything:
                side = self.patterns.setdefault(pattern, len(self.patterns))
            selectors.append((side, selector.type))
        terms = terms_of(subscription.condition)
        return (
            selectors,
            terms.attributes,
            terms.trigger,
            subscription.service_path,
            terms.predicates,
            terms.boxes,
            terms.area,
            terms.verify,
        )

    def add_all(self, terms: list[tuple[Any, ...]]) -> None:
        for item in terms:
            start = time.thread_time()
            self.handles.append(self.index.add(*item))
            self.add_s += self._note(start)

    def _note(self, start: float) -> float:
        """The seconds since `start`."""
        took_s = time.thread_time() - start
        self.longest_s = max(self.longest_s, took_s)
        return took_s

    def churn(
        self, terms: list[tuple[Any, ...]], happenings: list[Happening]
    ) -> tuple[float, float]:
        """Removals and additions per second, of the subscriptions with these terms."""
        handles = self.handles[-len(terms) :]
        order = list(range(len(terms)))
        random.Random(1).shuffle(order)
        events = cycle([self.arguments(happening) for happening in happenings])
        removed_s = added_s = 0.0
        for turn, i in enumerate(order):
            start = time.thread_time()
            self.index.remove(handles[i])
            removed_s += self._note(start)
            if turn % EVENT_SPACING == 0:
                self.index.match(*next(events))
        for turn, i in enumerate(order):
            start = time.thread_time()
            self.index.add(*terms[i])
            added_s += self._note(start)
            if turn % EVENT_SPACING == 0:
                self.index.match(*next(events))
        return len(terms) / removed_s, len(terms) / added_s

    def arguments(self, happening: Happening) -> tuple[Any, ...]:
        """An event as `match` takes it."""
        found = self.found.get(happening.id)
        if found is None:
            found = self.found[happening.id] = [
                number for pattern, number in self.patterns.items() if pattern.search(happening.id)
            ]
        return (
            event_of(happening),
            alteration_code(AlterationType.CHANGE),
            () if happening.place is None else (happening.place,),
            (),
            found,
            (),
        )

    def core_us(self, happenings: list[Happening]) -> tuple[float, float, float]:
        """Microseconds per event, sure and unsure handles per event."""
        self.found = {}
        batch = self.index.prepare(map(self.arguments, happenings))
        sure, unsure = self.index.count_matches(batch)
        best_s = math.inf
        for _ in range(5):
            start = time.process_time()
            self.index.count_matches(batch)
            best_s = min(best_s, time.process_time() - start)
        count = len(happenings)
        return best_s / count * 1e6, sure / count, unsure / count


def measure_core(count: int, workload: Workload) -> str:
    sketches, happenings = workload(count)
    core = Core()
    kept: list[tuple[Any, ...]] = []
    while chunk := list(islice(sketches, CHUNK)):
        terms = [core.terms(subscription_of(sketch)) for sketch in chunk]
        core.add_all(terms)
        kept = (kept + terms)[-CHURN:]
    gc.collect()
    core_us, sure, unsure = core.core_us(happenings)
    bytes_each = core.index.memory_bytes() / count
    removals, additions = core.churn(kept, happenings)
    return (
        f"core {core_us:7.2f} us  sure {sure:6.2f}  unsure {unsure:6.2f}"
        f"  fill {count / core.add_s:8,.0f}/s  remove {removals:8,.0f}/s  add {additions:8,.0f}/s"
        f"  longest {core.longest_s * 1e3:5.2f} ms  {bytes_each:4.0f} B"
    )


def measure_door(count: int, workload: Workload) -> str:
    sketches, happenings = workload(count)
    known: dict[int, Subscription] = {}
    matcher = SubscriptionMatcher(known.__getitem__)
    add_s = 0.0
    while chunk := [subscription_of(sketch) for sketch in islice(sketches, CHUNK)]:
        start = time.process_time()
        handles = [
            matcher.add(item.entities, item.service_path, terms_of(item.condition))
            for item in chunk
        ]
        add_s += time.process_time() - start
        known.update(zip(handles, chunk, strict=True))
    events = [event_of(happening) for happening in happenings]
    hits = sum(len(matcher.match(event)) for event in events)
    start = time.process_time()
    for event in events:
        matcher.match(event)
    door_us = (time.process_time() - start) / len(events) * 1e6
    sample = random.Random(1).sample(list(known), min(count, CHURN))
    start = time.process_time()
    for handle in sample:
        matcher.remove(handle, known[handle].entities)
    remove_s = time.process_time() - start
    return (
        f"door {door_us:7.2f} us  hits {hits / len(events):6.2f}  add {count / add_s:8,.0f}/s"
        f"  remove {len(sample) / remove_s:8,.0f}/s"
    )


def main(arguments: list[str]) -> None:
    with_door = "--core" not in arguments
    names = [argument for argument in arguments if argument in WORKLOADS] or list(WORKLOADS)
    counts = [int(argument) for argument in arguments if argument.isdigit()] or COUNTS
    for count in counts:
        for name in names:
            gc.collect()
            gc.freeze()  # what is there already is no business of the collector
            print(f"{name:4}{count:10,}  {measure_core(count, WORKLOADS[name])}", flush=True)
            if with_door:
                print(f"{'':16}{measure_door(count, WORKLOADS[name])}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
