"""Costs of the index by location, beside those of the `rtree` package where it is installed.

    python tests/bench/bench_location_index.py [number of points ...]

Prints microseconds of CPU per operation from Python, the longest single change, and bytes per
point. Points are spread over a country, gathered in cities, or all over the earth; a search is a
box that holds about 10 of them. No part of the test suite.
"""

from __future__ import annotations

import gc
import math
import random
import sys
import time
from collections.abc import Callable, Iterable

from _native.location_index import LocationIndex

try:
    from rtree.index import Index as PeerIndex
except ImportError:
    HAS_PEER = False
else:
    HAS_PEER = True

Bounds = tuple[tuple[float, float, float, float]]

HITS = 10
SAMPLES = 20_000  # operations of which a search or change is the mean
PEER_SAMPLES = 1_000  # of the rtree package, some of whose operations take a millisecond
DEFAULT_COUNTS = (100_000, 1_000_000)


def country(rng: random.Random) -> tuple[float, float]:
    """A position somewhere in 12 by 8 degrees."""
    return rng.uniform(-9.0, 3.0), rng.uniform(36.0, 44.0)


def cities(rng: random.Random) -> tuple[float, float]:
    """A position near one of 20 centres."""
    centre = random.Random(rng.randrange(20))
    lon, lat = country(centre)
    return rng.gauss(lon, 0.05), rng.gauss(lat, 0.05)


def earth(rng: random.Random) -> tuple[float, float]:
    """A position anywhere on the sphere."""
    return rng.uniform(-180.0, 180.0), math.degrees(math.asin(rng.uniform(-1.0, 1.0)))


def mean_us(operation: Callable[[int], object], handles: Iterable[int]) -> float:
    """Microseconds of CPU per call."""
    numbers = list(handles)
    start = time.process_time()
    for number in numbers:
        operation(number)
    return (time.process_time() - start) / len(numbers) * 1e6


def longest_us(operation: Callable[[int], object], handles: Iterable[int]) -> float:
    """Microseconds of CPU of the longest call."""
    longest = 0
    for number in handles:
        start = time.thread_time_ns()
        operation(number)
        longest = max(longest, time.thread_time_ns() - start)
    return longest / 1e3


def find_searches(index: LocationIndex, bounds: list[Bounds], rng: random.Random) -> list[Bounds]:
    """Boxes around points that hold about HITS each."""
    searches: list[Bounds] = []
    while len(searches) < SAMPLES:
        lon, lat, _, _ = bounds[rng.randrange(len(bounds))][0]
        reach = 1.0  # halve the box around a point until it holds few enough
        while True:
            box = (lon - reach, lat - reach, lon + reach, lat + reach)
            if index.search((box,), limit=HITS) is not None:
                break
            reach /= 1.3
        searches.append((box,))
    return searches


def measure(count: int, place: Callable[[random.Random], tuple[float, float]]) -> None:
    """Print a line for `count` points, and one for the peer."""
    rng = random.Random(1)
    bounds: list[Bounds] = []
    for _ in range(count):
        lon, lat = place(rng)
        bounds.append(((lon, lat, lon, lat),))
    chosen = rng.sample(range(count), SAMPLES)
    nearby: dict[int, Bounds] = {}
    anywhere: dict[int, Bounds] = {}
    for i in chosen:
        lon, lat, _, _ = bounds[i][0]
        nearby[i] = ((lon + 1e-5, lat, lon + 1e-5, lat),)
        lon, lat = place(rng)
        anywhere[i] = ((lon, lat, lon, lat),)
    gc.collect()
    gc.disable()  # collections of this script's own lists are no cost of the index

    index = LocationIndex()
    insert_us = mean_us(lambda i: index.insert(i, bounds[i]), range(count))
    bytes_each = index.memory_bytes / count
    searches = find_searches(index, bounds, rng)
    hits = sum(len(index.search(box)) for box in searches) / SAMPLES
    search_us = mean_us(lambda i: index.search(searches[i]), range(SAMPLES))
    near_us = mean_us(lambda i: index.replace(i, nearby[i]), chosen)
    far_us = mean_us(lambda i: index.replace(i, anywhere[i]), chosen)
    remove_us = mean_us(index.remove, chosen)
    index.check()
    longest = longest_us(lambda i: index.insert(i, bounds[i]), chosen)
    longest = max(longest, longest_us(lambda i: index.replace(i, anywhere[i]), chosen))
    longest = max(longest, longest_us(index.remove, chosen[1:]))
    print(
        f"{place.__name__:8} {count:9,} points: insert {insert_us:.2f}, "
        f"move a metre {near_us:.2f}, move anywhere {far_us:.2f}, remove {remove_us:.2f}, "
        f"search with {hits:.1f} hits {search_us:.2f} us; longest change {longest:.0f} us; "
        f"{bytes_each:.0f} bytes each",
        flush=True,
    )
    if HAS_PEER:
        measure_peer(bounds, nearby, searches, chosen)
    gc.enable()


def measure_peer(
    bounds: list[Bounds], nearby: dict[int, Bounds], searches: list[Bounds], chosen: list[int]
) -> None:
    """The same with the rtree package, in samples; the tree itself is loaded in bulk."""
    peer = PeerIndex((i, where[0], None) for i, where in enumerate(bounds))
    chosen = chosen[:PEER_SAMPLES]

    def move(i: int) -> None:
        peer.delete(i, bounds[i][0])
        peer.insert(i, nearby[i][0])

    search_us = mean_us(lambda i: list(peer.intersection(searches[i][0])), range(PEER_SAMPLES))
    move_us = mean_us(move, chosen)
    remove_us = mean_us(lambda i: peer.delete(i, nearby[i][0]), chosen)
    insert_us = mean_us(lambda i: peer.insert(i, bounds[i][0]), chosen)
    print(
        f"{'':8} {'rtree':>9}  package: insert {insert_us:.2f}, move a metre {move_us:.2f}, "
        f"remove {remove_us:.2f}, search {search_us:.2f} us",
        flush=True,
    )


def main() -> None:
    """Measure every distribution at every count."""
    for count in [int(text) for text in sys.argv[1:]] or DEFAULT_COUNTS:
        for place in (country, cities, earth):
            measure(count, place)


if __name__ == "__main__":
    main()
