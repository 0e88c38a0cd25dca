"""Costs of the index by location; prints microseconds per operation and bytes per handle.

    python tests/bench/bench_location_index.py [number of points ...]

Points are spread over a country, gathered in cities, or all over the earth; a search is a box
that holds about 10 of them. No part of the test suite.
"""

from __future__ import annotations

import gc
import math
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable

from broker.location_index import LocationIndex
from ngsi.geometry import Box

HITS = 10
SAMPLES = 2000  # operations of which a search or change is the mean
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


def measure(count: int, place: Callable[[random.Random], tuple[float, float]]) -> None:
    """Print one line for `count` points."""
    rng = random.Random(1)
    bounds = []
    for _ in range(count):
        lon, lat = place(rng)
        bounds.append((Box(lon, lat, lon, lat),))
    gc.collect()

    index = LocationIndex()
    insert_us = mean_us(lambda i: index.insert(i, bounds[i]), range(count))

    searches: list[tuple[Box, ...]] = []
    while len(searches) < SAMPLES:
        lon, lat, _, _ = bounds[rng.randrange(count)][0]
        reach = 180.0  # halve the box around a point until it holds few enough
        while True:
            box = Box(lon - reach, lat - reach, lon + reach, lat + reach)
            if reach < 1.0 and len(index.search((box,))) <= HITS:
                break
            reach /= 2.0 if reach > 1.0 else 1.3
        searches.append((box,))
    hits = sum(len(index.search(box)) for box in searches) / SAMPLES
    search_us = mean_us(lambda i: index.search(searches[i]), range(SAMPLES))

    chosen = rng.sample(range(count), SAMPLES * 10)
    nearby = {}
    for i in chosen:
        lon, lat, _, _ = bounds[i][0]
        nearby[i] = (Box(lon + 1e-5, lat, lon + 1e-5, lat),)
    replace_us = mean_us(lambda i: index.replace(i, nearby[i]), chosen)
    remove_us = mean_us(index.remove, chosen)
    index.check()

    tracemalloc.start()
    copy = LocationIndex()
    for i in range(0, count, 10):
        copy.insert(i, bounds[i])
    bytes_each = tracemalloc.get_traced_memory()[0] / len(copy)
    tracemalloc.stop()
    print(
        f"{place.__name__:8} {count:9,} points: insert {insert_us:5.2f} us, "
        f"move a metre {replace_us:5.2f} us, remove {remove_us:5.2f} us, "
        f"search with {hits:4.1f} hits {search_us:6.2f} us, {bytes_each:4.0f} bytes each"
    )


def main() -> None:
    """Measure every distribution at every count."""
    for count in [int(text) for text in sys.argv[1:]] or DEFAULT_COUNTS:
        for place in (country, cities, earth):
            measure(count, place)


if __name__ == "__main__":
    main()
