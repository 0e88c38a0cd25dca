"""Populations of subscriptions, the entities they are about, and updates that they match.

Every population says how many notifications each of its updates leads to, so that a run knows
what must arrive. All are made with a fixed seed.

- `Devices`: a subscription per device, by id, type and one condition attribute. One hit.
- `Thresholds`: up to 1000 types, a subscription per threshold. One hit, however many there are.
- `Ranges`: one entity of 100 numeric attributes; each subscription has one to three ranges or
  equalities on random ones of them (the experiment of E-SilboPS). At least one hit.

Making `Ranges` costs some 20 ms per update and million of subscriptions, because the hits are
counted by brute force.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import orjson

from loadtests.workloads import request

SEED: Final = 20_260_101
ATTRIBUTES: Final = 100  # of the entity of E-SilboPS's experiment

_DEVICES_UPDATED_MAX: Final = 4096  # enough to find none of them in the CPU's caches
_THRESHOLD_TYPES: Final = 1000
_VALUES: Final = 1_000_000  # of an attribute: 0 to 999 999
_SELECTIVITY: Final = 8e-6  # of a subscription: 8 of a million match a random update
_PREDICATES_MAX: Final = 3
_EQUALITIES: Final = 0.2  # share of the subscriptions with one predicate that compare for equality

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """A prepared request, and how many notifications it leads to."""

    request: bytes
    hits: int


class Population(Protocol):
    """What a broker is filled with and asked."""

    name: str
    size: int

    def entities(self) -> Iterator[Document]:
        """Those that the updates are about."""

    def subscriptions(self, url: str) -> Iterator[Document]:
        """`size` of them, all notifying `url`."""

    def updates(self, connections: int) -> list[list[Update]]:
        """What each of at most `connections` connections repeats."""


def _number(value: float) -> Document:
    return {"type": "Number", "value": value}


def _deal(updates: list[Update], connections: int, variants: int) -> list[list[Update]]:
    """Deal updates to connections; those of one entity stand `variants` in a row, and apart."""
    groups = [updates[first : first + variants] for first in range(0, len(updates), variants)]
    dealt = []
    for number in range(min(connections, len(groups))):
        mine = groups[number::connections]
        # First variant of each entity, then the second: a change each time.
        dealt.append([group[variant] for variant in range(variants) for group in mine])
    return dealt


class Devices:
    """One subscription per device (W1)."""

    name = "devices"

    def __init__(self, size: int) -> None:
        self.size = size
        step = max(size // _DEVICES_UPDATED_MAX, 1)
        self._updated = range(0, size, step)[:_DEVICES_UPDATED_MAX]

    def entities(self) -> Iterator[Document]:
        """The devices that are updated: spread over all that are subscribed to."""
        for number in self._updated:
            yield {
                "id": f"Device{number}",
                "type": "Device",
                "temperature": _number(20),
                "humidity": _number(40),
            }

    def subscriptions(self, url: str) -> Iterator[Document]:
        """By exact id and type, on changes of one attribute."""
        for number in range(self.size):
            yield {
                "subject": {
                    "entities": [{"id": f"Device{number}", "type": "Device"}],
                    "condition": {"attrs": ["temperature"]},
                },
                "notification": {"attrs": ["temperature"], "http": {"url": url}},
            }

    def updates(self, connections: int) -> list[list[Update]]:
        """The temperature of one device."""
        updates = [
            Update(
                request(
                    "PATCH",
                    f"/v2/entities/Device{number}/attrs",
                    orjson.dumps({"temperature": _number(21 + variant)}),
                ),
                1,
            )
            for number in self._updated
            for variant in (0, 1)
        ]
        return _deal(updates, connections, 2)


class Thresholds:
    """Subscriptions by type with a threshold each; updates exceed the lowest alone (W3)."""

    name = "thresholds"

    def __init__(self, size: int) -> None:
        self.size = size
        self._types = min(size, _THRESHOLD_TYPES)

    def entities(self) -> Iterator[Document]:
        """A meter of each type."""
        for number in range(self._types):
            yield {"id": f"Meter{number}", "type": f"Type{number}", "level": _number(11)}

    def subscriptions(self, url: str) -> Iterator[Document]:
        """To any id of a type, above a threshold."""
        for number in range(self.size):
            threshold = 10 * (1 + number // self._types)
            yield {
                "subject": {
                    "entities": [{"idPattern": ".*", "type": f"Type{number % self._types}"}],
                    "condition": {"attrs": ["level"], "expression": {"q": f"level>{threshold}"}},
                },
                "notification": {"attrs": ["level"], "http": {"url": url}},
            }

    def updates(self, connections: int) -> list[list[Update]]:
        """The level of one meter, above the lowest threshold and below the next."""
        updates = [
            Update(
                request(
                    "PATCH",
                    f"/v2/entities/Meter{number}/attrs",
                    orjson.dumps({"level": _number(12 + variant)}),
                ),
                1,
            )
            for number in range(self._types)
            for variant in (0, 1)
        ]
        return _deal(updates, connections, 2)


class Ranges:
    """The experiment of E-SilboPS: one entity, ranges over its 100 attributes (W2)."""

    name = "ranges"

    def __init__(self, size: int, updates_per_connection: int = 32) -> None:
        self.size = size
        self._per_connection = updates_per_connection
        random = np.random.default_rng(SEED)
        self._counts = random.integers(1, _PREDICATES_MAX + 1, size)
        # Three different attributes: offsets from the first that differ.
        first = random.integers(0, ATTRIBUTES, size)
        second = random.integers(1, ATTRIBUTES, size)
        third = random.integers(1, ATTRIBUTES - 1, size)
        third += third >= second
        self._attributes = np.stack((first, first + second, first + third), axis=1) % ATTRIBUTES
        widths = np.rint(_VALUES * _SELECTIVITY ** (1 / self._counts)).astype(np.int64)
        equal = (self._counts == 1) & (random.random(size) < _EQUALITIES)
        widths[equal] = 1
        self._lowest = random.integers(0, _VALUES - widths[:, None], (size, _PREDICATES_MAX))
        self._highest = self._lowest + widths[:, None] - 1
        unused = np.arange(_PREDICATES_MAX) >= self._counts[:, None]
        self._lowest[unused] = 0
        self._highest[unused] = _VALUES
        self._random = random

    def entities(self) -> Iterator[Document]:
        """The one entity; its first values are none that a subscription asks for."""
        yield {"id": "Station", "type": "Station", **self._readings(np.full(ATTRIBUTES, -1))}

    def _readings(self, values: npt.NDArray[np.int64]) -> Document:
        return {f"a{number}": _number(value) for number, value in enumerate(values.tolist())}

    def subscriptions(self, url: str) -> Iterator[Document]:
        """Each notifies the attributes that it has predicates on."""
        for count, attributes, lowest, highest in zip(
            self._counts.tolist(),
            self._attributes.tolist(),
            self._lowest.tolist(),
            self._highest.tolist(),
            strict=True,
        ):
            names = [f"a{number}" for number in attributes[:count]]
            predicates = [
                f"{name}=={low}" if low == high else f"{name}=={low}..{high}"
                for name, low, high in zip(names, lowest, highest, strict=False)
            ]
            yield {
                "subject": {
                    "entities": [{"id": "Station", "type": "Station"}],
                    "condition": {"expression": {"q": ";".join(predicates)}},
                },
                "notification": {"attrs": names, "http": {"url": url}},
            }

    def updates(self, connections: int) -> list[list[Update]]:
        """All attributes of the entity, such that one random subscription matches at least."""
        return [
            [self._make_update() for _ in range(self._per_connection)] for _ in range(connections)
        ]

    def _make_update(self) -> Update:
        values = self._random.integers(0, _VALUES, ATTRIBUTES)
        chosen = int(self._random.integers(0, self.size))
        for place in range(int(self._counts[chosen])):
            low, high = int(self._lowest[chosen, place]), int(self._highest[chosen, place])
            values[self._attributes[chosen, place]] = self._random.integers(low, high + 1)
        body = orjson.dumps(self._readings(values))
        return Update(request("PATCH", "/v2/entities/Station/attrs", body), self.count_hits(values))

    def count_hits(self, values: npt.NDArray[np.int64]) -> int:
        """How many subscriptions an entity with these values matches."""
        found = values[self._attributes]
        matching = ((found >= self._lowest) & (found <= self._highest)).all(axis=1)
        return int(matching.sum())
