"""Subscriptions and events that matchers are measured with, all of a fixed seed.

W1   per device: exact id and type, one or two condition attributes; an event hits about 1
W2   one entity of 100 numeric attributes, one to three ranges or values of random attributes
W2t  as W2 with the attributes of the query as condition attributes; one attribute changes
W3   1000 types, idPattern `.*`, one threshold each; about 10 hits at 1 000 000
W4   circles and polygons over a country, most of them in cities; about 10 hits at 1 000 000
W5   1000 distinct regular expressions over entity ids, and a threshold
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ngsi.model import EntitySelector
from ngsi.patterns import Pattern, compile_pattern

DOMAIN = 100_000  # numbers of attributes are below it
CATEGORIES = 1000  # values of categorical attributes
EVENTS = 5000

Rng = np.random.Generator
Test = tuple[str, str, int, int]  # attribute, == or .. or > or <, low, high


class Sketch(NamedTuple):
    """A subscription in short."""

    selector: EntitySelector
    attributes: tuple[str, ...] = ()
    tests: tuple[Test, ...] = ()
    geo: tuple[str, str, str] | None = None


class Happening(NamedTuple):
    """An event in short."""

    id: str
    type: str
    changed: tuple[str, ...]
    values: dict[str, int]
    place: tuple[float, float] | None = None


Workload = Callable[[int], tuple[Iterator[Sketch], list[Happening]]]


def devices(count: int) -> tuple[Iterator[Sketch], list[Happening]]:
    rng = np.random.default_rng(1)
    names = ("temperature", "humidity", "pressure", "battery", "co2", "status")
    device_count = max(1, int(count / 1.25))
    owners = np.concatenate(
        [np.arange(device_count), rng.integers(0, device_count, count - device_count)]
    )
    first, second = rng.integers(0, 6, count), rng.integers(0, 6, count)
    two = rng.random(count) < 0.5

    def sketches() -> Iterator[Sketch]:
        for i in range(count):
            attributes: tuple[str, ...] = (names[first[i]],)
            if two[i] and first[i] != second[i]:
                attributes += (names[second[i]],)
            selector = EntitySelector(id=f"urn:ngsi-ld:Device:{owners[i]:07}", type="Device")
            yield Sketch(selector, attributes)

    happenings = []
    for _ in range(EVENTS):
        changed = rng.choice(6, rng.integers(1, 4), replace=False)
        happenings.append(
            Happening(
                f"urn:ngsi-ld:Device:{rng.integers(0, device_count):07}",
                "Device",
                tuple(names[i] for i in changed),
                {name: int(rng.integers(0, DOMAIN)) for name in names},
            )
        )
    return sketches(), happenings


def hub(count: int, triggered: bool = False) -> tuple[Iterator[Sketch], list[Happening]]:
    rng = np.random.default_rng(2)
    names = [f"a{i:02}" for i in range(100)]
    continuous = 80  # the attributes after these have categories
    share = 5e-6  # of the events that one subscription lets through

    def predicate_sets(rng: Rng, number: int) -> Iterator[tuple[Test, ...]]:
        sizes = rng.integers(1, 4, number)
        chosen = rng.integers(0, 100, (number, 3))
        chosen[:, 1] = (chosen[:, 0] + rng.integers(1, 100, number)) % 100
        for i in range(number):
            size = sizes[i]
            if size == 1:
                indexes = [int(chosen[i, 0] % continuous)]
            else:
                indexes = [int(index) for index in chosen[i, :size]]
                while size == 3 and indexes[2] in indexes[:2]:
                    indexes[2] = int(rng.integers(0, 100))
            numeric = sum(index < continuous for index in indexes)
            left = min(1.0, share * CATEGORIES ** (len(indexes) - numeric))
            tests: list[Test] = []
            for index in indexes:
                if index >= continuous:
                    tests.append((names[index], "==", int(rng.integers(0, CATEGORIES)), 0))
                    continue
                width = round(DOMAIN * left ** (1 / numeric) * (0.5 + rng.random()))
                width = min(max(1, width), DOMAIN - 1)
                low = int(rng.integers(0, DOMAIN - width + 1))
                tests.append((names[index], ".." if width > 1 else "==", low, low + width - 1))
            yield tuple(tests)

    def sketches() -> Iterator[Sketch]:
        selector = EntitySelector(id="urn:ngsi-ld:Hub:1", type="Hub")
        for tests in predicate_sets(np.random.default_rng(20), count):
            attributes = tuple(test[0] for test in tests) if triggered else ()
            yield Sketch(selector, attributes, tests)

    # Every event meets at least one of the subscriptions, as one of the first shows.
    models = list(predicate_sets(np.random.default_rng(20), count))[:EVENTS]
    happenings = []
    for i in range(EVENTS):
        numbers = rng.integers(0, DOMAIN, 100)
        numbers[continuous:] = rng.integers(0, CATEGORIES, 100 - continuous)
        values = {name: int(number) for name, number in zip(names, numbers, strict=True)}
        tests = models[i % len(models)]
        for name, operator, low, high in tests:
            values[name] = low if operator == "==" else int(rng.integers(low, high + 1))
        changed = (tests[0][0],) if triggered else tuple(names)
        happenings.append(Happening("urn:ngsi-ld:Hub:1", "Hub", changed, values))
    return sketches(), happenings


def triggered_hub(count: int) -> tuple[Iterator[Sketch], list[Happening]]:
    return hub(count, triggered=True)


def thresholds(count: int) -> tuple[Iterator[Sketch], list[Happening]]:
    rng = np.random.default_rng(3)
    names = [f"m{i:02}" for i in range(50)]
    held = [[names[i] for i in rng.choice(50, 5, replace=False)] for _ in range(1000)]
    types, attributes = rng.integers(0, 1000, count), rng.integers(0, 5, count)
    shares, is_above = rng.random(count) * 0.02, rng.random(count) < 0.5
    anything = compile_pattern(".*")

    def sketches() -> Iterator[Sketch]:
        for i in range(count):
            name = held[types[i]][attributes[i]]
            reach = int(DOMAIN * shares[i]) + 1
            test = (name, ">", DOMAIN - reach, 0) if is_above[i] else (name, "<", reach, 0)
            selector = EntitySelector(id_pattern=anything, type=f"T{types[i]:04}")
            yield Sketch(selector, (), (test,))

    happenings = []
    for _ in range(EVENTS):
        number = int(rng.integers(0, 1000))
        values = {name: int(rng.integers(0, DOMAIN)) for name in held[number]}
        happenings.append(
            Happening(f"urn:{rng.integers(0, 10**6)}", f"T{number:04}", tuple(values), values)
        )
    return sketches(), happenings


def places(count: int) -> tuple[Iterator[Sketch], list[Happening]]:
    rng = np.random.default_rng(4)
    south, west, height, width = 37.0, -8.0, 9.0, 11.0
    cities = np.column_stack([south + height * rng.random(50), west + width * rng.random(50)])

    def positions(number: int) -> tuple[Any, Any]:
        city = rng.integers(0, 50, number)
        urban = rng.random(number) < 0.7
        lats = np.where(
            urban,
            cities[city, 0] + rng.normal(0, 0.06, number),
            south + height * rng.random(number),
        )
        lons = np.where(
            urban, cities[city, 1] + rng.normal(0, 0.08, number), west + width * rng.random(number)
        )
        return lats, lons

    lats, lons = positions(count)
    radii_m = np.exp(rng.normal(math.log(235.0), 0.8, count))
    is_polygon = rng.random(count) < 0.3
    event_lats, event_lons = positions(EVENTS)

    def sketches() -> Iterator[Sketch]:
        selector = EntitySelector(type="Vehicle")
        polygons = np.random.default_rng(40)
        for i in range(count):
            lat, lon, radius_m = lats[i], lons[i], radii_m[i]
            if not is_polygon[i]:
                georel = f"near;maxDistance:{radius_m:.1f}"
                yield Sketch(selector, geo=(georel, "point", f"{lat:.6f},{lon:.6f}"))
                continue
            corners = int(polygons.integers(5, 13))
            angles = (np.arange(corners) + polygons.random(corners)) / corners * 2 * math.pi
            reach = radius_m * (0.6 + 0.6 * polygons.random(corners)) / 111_320.0
            points = [
                f"{lat + r * math.sin(a):.6f},"
                f"{lon + r * math.cos(a) / math.cos(math.radians(lat)):.6f}"
                for r, a in zip(reach, angles, strict=True)
            ]
            yield Sketch(selector, geo=("coveredBy", "polygon", ";".join([*points, points[0]])))

    happenings = [
        Happening(f"urn:{i}", "Vehicle", ("location",), {}, (event_lons[i], event_lats[i]))
        for i in range(EVENTS)
    ]
    return sketches(), happenings


def patterns(count: int) -> tuple[Iterator[Sketch], list[Happening]]:
    rng = np.random.default_rng(5)
    texts = [
        text
        for city in range(200)
        for text in (
            f"^urn:ngsi-ld:Sensor:city{city}:.*",
            f".*:floor{city}:[^:]+$",
            f"^urn:ngsi-ld:Sensor:city[0-9]+:bldg-(A|B){city}:.*",
            f".*:dev-[0-9]*{city:03}$",
            f"^urn:ngsi-ld:Sensor:(city{city}|city{city + 1}):bldg-C[0-9]+:floor[0-9]:.*",
        )
    ]
    compiled: list[Pattern] = [compile_pattern(text) for text in texts]
    chosen, shares = rng.integers(0, len(texts), count), rng.random(count) * 0.2

    def sketches() -> Iterator[Sketch]:
        for i in range(count):
            selector = EntitySelector(id_pattern=compiled[chosen[i]], type="Sensor")
            test = ("temperature", ">", DOMAIN - int(DOMAIN * shares[i]), 0)
            yield Sketch(selector, (), (test,))

    ids = [
        f"urn:ngsi-ld:Sensor:city{rng.integers(0, 200)}:bldg-{'ABC'[rng.integers(0, 3)]}"
        f"{rng.integers(0, 200)}:floor{rng.integers(0, 10)}:dev-{rng.integers(0, 10**6):06}"
        for _ in range(2000)
    ]
    happenings = [
        Happening(
            ids[rng.integers(0, len(ids))],
            "Sensor",
            ("temperature",),
            {"temperature": int(rng.integers(0, DOMAIN))},
        )
        for _ in range(EVENTS)
    ]
    return sketches(), happenings


WORKLOADS: dict[str, Workload] = {
    "W1": devices,
    "W2": hub,
    "W2t": triggered_hub,
    "W3": thresholds,
    "W4": places,
    "W5": patterns,
}
