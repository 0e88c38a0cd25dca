"""Which notifications the data must lead to, worked out without any part of the broker.

Owns the second opinion: its own haversine, its own thresholds, its own idea of a change. Must
not: import `broker`, `ngsi` or `_native`, or look at what the broker answers. Costs a few
microseconds per row.

What counts as a change. A subscription is triggered by an update that changes the value of at
least one attribute of its condition, any attribute if the condition names none; an update with
the value that is there already triggers nothing (Orion API, "Notification Triggering"). A
reading updates dateObserved, temperature and level at once, so:

- "every change" names no attributes. dateObserved differs from hour to hour, so every reading
  is notified, also one with the temperature of the hour before. Only a row that repeats the row
  before it in full would not be.
- "new temperature" and "new and above 75" name the temperature. A reading with the temperature
  of the hour before is not notified, though its dateObserved is new. The latter also asks for
  more than 75, and exactly 75 is not more. It is no threshold crossing: every new temperature
  above 75 is notified.
- "another level" names the level, which the sender works out. It is a threshold crossing:
  notified only when the temperature comes to lie between other bounds than the hour before. A
  temperature exactly at a bound lies above it.

The first reading creates a city's entity. All its attributes are new, so it triggers like a
change of all of them. The airports are there before the subscriptions, each with the status
"unknown"; one update sets it to "open", so each airport within the distance is notified once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from demo.data import Airport, Reading
from demo.scenario import (
    CITIES,
    CROSSING,
    EVERY_CHANGE,
    HOT,
    HOT_F,
    LEVEL_BOUNDS_F,
    LEVELS,
    NEAR_M,
    NEAR_SEATTLE,
    NEW_TEMPERATURE,
    SEATTLE,
    SUBSCRIPTIONS,
    TOUCHED,
    Change,
    City,
    Subscription,
    airport_id,
)

EARTH_RADIUS_M: Final = 6_371_000.0  # the mean radius


class Expectation:
    """The notifications of every subscription, in order per entity.

    `of_readings[city name]` and `of_airports` hold how many notifications each reading and each
    airport leads to, in the order of the data.
    """

    def __init__(
        self, airports: Sequence[Airport], readings: Mapping[str, Sequence[Reading]]
    ) -> None:
        """`readings` by the name of the city."""
        self._changes: dict[str, dict[str, list[Change]]] = {
            subscription.name: defaultdict(list) for subscription in SUBSCRIPTIONS
        }
        self.of_readings = {
            city.name: [
                self._expect(subscriptions, change)
                for subscriptions, change in _weather(city, readings[city.name])
            ]
            for city in CITIES
        }
        self.of_airports = [
            self._expect(
                (NEAR_SEATTLE,) if is_near_seattle(airport) else (),
                Change(airport_id(airport), (TOUCHED,)),
            )
            for airport in airports
        ]

    def _expect(self, subscriptions: Iterable[Subscription], change: Change) -> int:
        count = 0
        for subscription in subscriptions:
            self._changes[subscription.name][change.entity_id].append(change)
            count += 1
        return count

    def changes(self, subscription: Subscription) -> dict[str, list[Change]]:
        """What `subscription` must be told, by entity id, in order."""
        return dict(self._changes[subscription.name])

    def count(self, subscription: Subscription) -> int:
        """How many notifications `subscription` must get."""
        return sum(map(len, self._changes[subscription.name].values()))

    @property
    def total(self) -> int:
        """How many notifications all subscriptions must get."""
        return sum(self.count(subscription) for subscription in SUBSCRIPTIONS)


def _weather(
    city: City, readings: Iterable[Reading]
) -> Iterator[tuple[tuple[Subscription, ...], Change]]:
    before: Reading | None = None
    for reading in readings:
        observed = reading.observed_at.isoformat(timespec="milliseconds")
        level = LEVELS[_height(reading)]
        change = Change(
            city.entity_id,
            (observed.replace("+00:00", "Z"), reading.temperature_f, level),
        )
        yield tuple(_triggered(city, before, reading)), change
        before = reading


def _triggered(city: City, before: Reading | None, now: Reading) -> Iterator[Subscription]:
    if before != now:
        yield EVERY_CHANGE[CITIES.index(city)]
    if before is None or before.temperature_f != now.temperature_f:
        yield NEW_TEMPERATURE
        if now.temperature_f > HOT_F:
            yield HOT
    if city is SEATTLE and (before is None or _height(before) != _height(now)):
        yield CROSSING


def _height(reading: Reading) -> int:
    """How many bounds are at or below the temperature."""
    return sum(reading.temperature_f >= bound for bound in LEVEL_BOUNDS_F)


def is_near_seattle(airport: Airport) -> bool:
    """Whether the airport is within the distance of the subscription."""
    distance_m = haversine_m(
        SEATTLE.latitude, SEATTLE.longitude, airport.latitude, airport.longitude
    )
    return distance_m <= NEAR_M


def haversine_m(
    latitude_1: float, longitude_1: float, latitude_2: float, longitude_2: float
) -> float:
    """The great-circle distance of two places in degrees, on a sphere of EARTH_RADIUS_M."""
    phi_1, phi_2 = math.radians(latitude_1), math.radians(latitude_2)
    half_lambda = math.radians(longitude_2 - longitude_1) / 2
    haversine = (
        math.sin((phi_2 - phi_1) / 2) ** 2
        + math.cos(phi_1) * math.cos(phi_2) * math.sin(half_lambda) ** 2
    )
    # Rounding may bring the antipodes a hair above 1.
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, haversine)))
