"""The native index of subscriptions beside adgear/be-tree, on the same events in one run.

    python tests/bench/bench_betree.py LIBRARY [workload ...] [number of subscriptions ...]

LIBRARY is be-tree as a shared library (github.com/adgear/be-tree, all of src/ but the files
*_err.c); it is no part of this project. As it comes it counts what is below a node anew with
every insertion, which takes hours for a million: its `update_partition_score` has to keep that
count instead. Searches are not concerned.

The workloads are those of matcher_workloads.py that its language can say. It has the easier task
where the two differ: selectors that all subscriptions share are left out, polygons are their
bounding boxes, in whole numbers, also beside circles. Regular expressions (W5) it cannot say.

Printed are microseconds of CPU and hits per event of both, and the ratio. What calling C from
Python takes is taken off be-tree's figure. No part of the test suite.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from ctypes import (
    CDLL,
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_double,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, ClassVar, Final

from tests.bench.bench_matcher import Core, subscription_of
from tests.bench.matcher_workloads import (
    CATEGORIES,
    DOMAIN,
    WORKLOADS,
    Happening,
    Sketch,
)

COUNTS: Final = (1_000, 100_000, 1_000_000)
SECONDS: Final = 4.0  # of be-tree's searches; then no further events
NAMES: Final = ("W1", "W2", "W2t", "W3", "W4")
METRES: Final = 1000.0  # of a kilometre, in which be-tree has distances
STEPS: Final = 100_000  # of a degree: it divides whole numbers well, and others not below 1


class Config(Structure):
    """The first members of be-tree's `struct config`."""

    _fields_: ClassVar[Any] = [
        ("lnode_max_cap", c_uint8),
        ("partition_min_size", c_uint8),
        ("max_domain_for_split", c_uint32),
    ]


class Tree(Structure):
    """be-tree's `struct betree`."""

    _fields_: ClassVar[Any] = [("config", POINTER(Config)), ("cnode", c_void_p)]


class Report(Structure):
    """be-tree's `struct report`."""

    _fields_: ClassVar[Any] = [
        (name, c_size_t) for name in ("evaluated", "matched", "memoized", "shorted")
    ]


# Result, then arguments.
SIGNATURES: Final[dict[str, tuple[Any, ...]]] = {
    "betree_make": (POINTER(Tree),),
    "betree_free": (None, POINTER(Tree)),
    "betree_add_integer_variable": (None, POINTER(Tree), c_char_p, c_bool, c_int64, c_int64),
    "betree_add_float_variable": (None, POINTER(Tree), c_char_p, c_bool, c_double, c_double),
    "betree_add_string_variable": (None, POINTER(Tree), c_char_p, c_bool, c_size_t),
    "betree_add_string_list_variable": (None, POINTER(Tree), c_char_p, c_bool, c_size_t),
    "betree_insert": (c_bool, POINTER(Tree), c_uint64, c_char_p),
    "betree_make_event": (c_void_p, POINTER(Tree)),
    "betree_set_variable": (None, c_void_p, c_size_t, c_void_p),
    "betree_make_integer_variable": (c_void_p, c_char_p, c_int64),
    "betree_make_float_variable": (c_void_p, c_char_p, c_double),
    "betree_make_string_variable": (c_void_p, c_char_p, c_char_p),
    "betree_make_string_list": (c_void_p, c_size_t),
    "betree_add_string": (None, c_void_p, c_size_t, c_char_p),
    "betree_make_string_list_variable": (c_void_p, c_char_p, c_void_p),
    "betree_search_with_event": (c_bool, POINTER(Tree), c_void_p, POINTER(Report)),
    "betree_free_event": (None, c_void_p),
    "make_report": (POINTER(Report),),
    "free_report": (None, POINTER(Report)),
}


class BeTree:
    """One tree of be-tree with the subscriptions of a workload."""

    def __init__(self, path: str, workload: str, count: int) -> None:
        self._library = CDLL(path)
        for name, (result, *arguments) in SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        self._workload = workload
        self._tree = self._library.betree_make()
        # Its domains of numbers and of ids are larger than what it divides by itself.
        self._tree.contents.config.contents.max_domain_for_split = 2**31
        self._names: list[str] = []
        self._size = 0
        self._declare(count)

    def _declare(self, count: int) -> None:
        workload = self._workload
        if workload == "W1":
            self._add_variable("string", "id", False, count)
        elif workload == "W3":
            self._add_variable("string", "type", False, 1000)
            for i in range(50):
                self._add_variable("integer", f"m{i:02}", True, 0, DOMAIN)
        elif workload == "W4":
            self._add_variable("float", "latitude", False, -90.0, 90.0)
            self._add_variable("float", "longitude", False, -180.0, 180.0)
            self._add_variable("integer", "north", False, 0, 180 * STEPS)
            self._add_variable("integer", "east", False, 0, 360 * STEPS)
        else:
            for i in range(100):
                top = DOMAIN if i < 80 else CATEGORIES
                self._add_variable("integer", f"a{i:02}", False, 0, top)
        if workload in ("W1", "W2t"):
            self._add_variable("string_list", "changed", False, 100)

    def _add_variable(self, kind: str, name: str, *bounds: float) -> None:
        add = getattr(self._library, f"betree_add_{kind}_variable")
        add(self._tree, name.encode(), *bounds)
        self._names.append(name)

    def add(self, sketch: Sketch) -> None:
        """Insert a subscription."""
        expression = " and ".join(self._terms(sketch)).encode()
        if not self._library.betree_insert(self._tree, self._size, expression):
            raise ValueError(expression)
        self._size += 1

    def _terms(self, sketch: Sketch) -> list[str]:
        terms = []
        if self._workload == "W1":
            terms.append(f'id = "{sketch.selector.id}"')
        if self._workload == "W3":
            terms.append(f'type = "{sketch.selector.type}"')
        if sketch.attributes:
            names = ", ".join(f'"{name}"' for name in sorted(set(sketch.attributes)))
            terms.append(f"changed one of ({names})")
        for name, operator, low, high in sketch.tests:
            if operator == "..":
                terms.append(f"{name} >= {low} and {name} <= {high}")
            else:
                terms.append(f"{name} {operator.replace('==', '=')} {low}")
        if sketch.geo is not None:
            terms += self._places(sketch)
        return terms

    def _places(self, sketch: Sketch) -> list[str]:
        geo = subscription_of(sketch).condition.geo
        assert geo is not None
        ((west, south, east, north),) = geo.bounds() or ()
        terms = [
            f"north >= {step_of(south + 90.0)} and north <= {step_of(north + 90.0)}",
            f"east >= {step_of(west + 180.0)} and east <= {step_of(east + 180.0)}",
        ]
        if geo.geometry == "point":
            lat, lon = map(float, geo.coords.split(","))
            radius_km = float(geo.georel.partition(":")[2]) / METRES
            terms.append(f"geo_within_radius({lat:.9f}, {lon:.9f}, {radius_km:.9f})")
        return terms

    def event(self, happening: Happening) -> int:
        """The address of an event of be-tree's."""
        library = self._library
        made: list[int] = []
        if self._workload == "W1":
            made.append(library.betree_make_string_variable(b"id", happening.id.encode()))
        elif self._workload == "W3":
            made.append(library.betree_make_string_variable(b"type", happening.type.encode()))
        if happening.place is not None:
            lon, lat = happening.place
            made.append(library.betree_make_float_variable(b"latitude", lat))
            made.append(library.betree_make_float_variable(b"longitude", lon))
            made.append(library.betree_make_integer_variable(b"north", step_of(lat + 90.0)))
            made.append(library.betree_make_integer_variable(b"east", step_of(lon + 180.0)))
        if self._workload != "W1":
            for name, number in happening.values.items():
                made.append(library.betree_make_integer_variable(name.encode(), number))
        if "changed" in self._names:
            names = sorted(happening.changed)
            texts = library.betree_make_string_list(len(names))
            for i, name in enumerate(names):
                library.betree_add_string(texts, i, name.encode())
            made.append(library.betree_make_string_list_variable(b"changed", texts))
        event: int = library.betree_make_event(self._tree)
        for i, variable in enumerate(made):
            library.betree_set_variable(event, i, variable)
        return event

    def measure(self, happenings: list[Happening]) -> tuple[float, float]:
        """Microseconds and hits per event."""
        library, tree = self._library, self._tree
        events = [self.event(happening) for happening in happenings]
        search = library.betree_search_with_event
        hits = done = 0
        spent_s = 0.0
        for event in events:
            report = library.make_report()
            start = time.process_time()
            if not search(tree, event, report):
                raise ValueError("be-tree refuses an event")
            spent_s += time.process_time() - start
            hits += report.contents.matched
            library.free_report(report)
            done += 1
            if spent_s > SECONDS:
                break
        scratch = library.betree_make_event(tree)
        call_s = cost_of_call(lambda: library.betree_set_variable(scratch, 0, None))
        library.betree_free_event(scratch)
        for event in events:
            library.betree_free_event(event)
        return (spent_s / done - call_s) * 1e6, hits / done

    def close(self) -> None:
        """Free the tree."""
        self._library.betree_free(self._tree)


def step_of(degrees: float) -> int:
    """Degrees as a whole number; those of a smaller number are not larger."""
    return int(degrees * STEPS)


def cost_of_call(call: Callable[[], object], turns: int = 10_000) -> float:
    """Seconds of a call between two looks at the clock."""
    spent_s = 0.0
    for _ in range(turns):
        start = time.process_time()
        call()
        spent_s += time.process_time() - start
    return spent_s / turns


def main(arguments: list[str]) -> None:
    library, *rest = arguments
    names = [argument for argument in rest if argument in NAMES] or list(NAMES)
    counts = [int(argument) for argument in rest if argument.isdigit()] or COUNTS
    for count in counts:
        for name in names:
            core, tree = Core(), BeTree(library, name, count)
            sketches, happenings = WORKLOADS[name](count)
            gc.freeze()
            start = time.process_time()
            for sketch in sketches:
                tree.add(sketch)
                core.index.add(*core.terms(subscription_of(sketch)))
            filled_s = time.process_time() - start
            core_us, sure, unsure = core.core_us(happenings)
            tree_us, hits = tree.measure(happenings)
            print(
                f"{name:4}{count:10,}  index {core_us:7.2f} us  hits {sure + unsure:6.2f}"
                f"  be-tree {tree_us:9.2f} us  hits {hits:6.2f}  ratio {tree_us / core_us:7.1f}"
                f"  filled in {filled_s:4.0f} s",
                flush=True,
            )
            tree.close()


if __name__ == "__main__":
    main(sys.argv[1:])
