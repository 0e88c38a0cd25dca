"""What happens in the demo: its entities, their updates, and the subscriptions to them.

Owns the NGSIv2 documents that are sent. Must not: work out which notifications they lead to
(demo/expectation.py does, from the data alone), or do any HTTP. Everything here is a pure
function of the data.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from demo.data import Airport, Reading

AIRPORT_TYPE: Final = "Airport"
WEATHER_TYPE: Final = "WeatherObserved"

HOT_F: Final = 75.0
NEAR_M: Final = 300_000
LEVEL_BOUNDS_F: Final = (40.0, 50.0, 60.0, 70.0)  # each belongs to the level above it
LEVELS: Final = ("cold", "cool", "mild", "warm", "hot")

UNTOUCHED: Final = "unknown"
TOUCHED: Final = "open"

# Names, cities and states of the file hold apostrophes, quotes and brackets, which an attribute
# of any other type may not (Orion API, "General syntax restrictions").
_TEXT_TYPE: Final = "TextUnrestricted"


class City(NamedTuple):
    """A city with a file of temperatures; latitude and longitude in degrees."""

    name: str
    dataset: str
    latitude: float
    longitude: float

    @property
    def entity_id(self) -> str:
        """The id of its WeatherObserved entity."""
        return f"{WEATHER_TYPE}:{self.name.replace(' ', '')}"


SEATTLE: Final = City("Seattle", "seattle-temps", 47.6062, -122.3321)
SAN_FRANCISCO: Final = City("San Francisco", "sf-temps", 37.7749, -122.4194)
CITIES: Final = (SEATTLE, SAN_FRANCISCO)


class Change(NamedTuple):
    """An entity's state as a notification shows it: the values of the attributes asked for."""

    entity_id: str
    values: tuple[Any, ...]


class Update(NamedTuple):
    """One request: `attributes` of an entity, what it becomes, and what is told about it.

    `notifications` is how many are expected of it; the replay paces itself by that.
    """

    change: Change
    attributes: dict[str, Any]
    notifications: int


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of the demo. `name` is in its URL, `title` in the report.

    `attributes` are those a notification holds, in the order of `Change.values`.
    """

    name: str
    title: str
    entities: tuple[dict[str, str], ...]
    condition: dict[str, Any]
    attributes: tuple[str, ...]

    def document(self, url: str) -> dict[str, Any]:
        """The body of POST /v2/subscriptions for notifications to `url`."""
        subject: dict[str, Any] = {"entities": list(self.entities)}
        if self.condition:
            subject["condition"] = self.condition
        return {
            "description": self.title,
            "subject": subject,
            "notification": {"http": {"url": url}, "attrs": list(self.attributes)},
        }


_WEATHER_ATTRIBUTES: Final = ("dateObserved", "temperature", "level")
_ANY_WEATHER: Final = ({"idPattern": ".*", "type": WEATHER_TYPE},)


def _one(city: City) -> tuple[dict[str, str], ...]:
    return ({"id": city.entity_id, "type": WEATHER_TYPE},)


# One for each city, in the order of CITIES.
EVERY_CHANGE: Final = tuple(
    Subscription(
        f"change-{city.entity_id.partition(':')[2]}",
        f"{city.name}: every change",
        _one(city),
        {},
        _WEATHER_ATTRIBUTES,
    )
    for city in CITIES
)
NEW_TEMPERATURE: Final = Subscription(
    "temperature",
    "both: new temperature",
    _ANY_WEATHER,
    {"attrs": ["temperature"]},
    _WEATHER_ATTRIBUTES,
)
HOT: Final = Subscription(
    "hot",
    f"both: new and above {HOT_F:g}",
    _ANY_WEATHER,
    {"attrs": ["temperature"], "expression": {"q": f"temperature>{HOT_F:g}"}},
    _WEATHER_ATTRIBUTES,
)
CROSSING: Final = Subscription(
    "crossing",
    f"{SEATTLE.name}: another level",
    _one(SEATTLE),
    {"attrs": ["level"]},
    _WEATHER_ATTRIBUTES,
)
NEAR_SEATTLE: Final = Subscription(
    "near",
    f"airports near {SEATTLE.name}",
    ({"idPattern": ".*", "type": AIRPORT_TYPE},),
    {
        "expression": {
            "georel": f"near;maxDistance:{NEAR_M}",
            "geometry": "point",
            "coords": f"{SEATTLE.latitude},{SEATTLE.longitude}",
        }
    },
    ("status",),
)
SUBSCRIPTIONS: Final = (*EVERY_CHANGE, NEW_TEMPERATURE, HOT, CROSSING, NEAR_SEATTLE)


def airport_id(airport: Airport) -> str:
    """The id of an airport's entity."""
    return f"{AIRPORT_TYPE}:{airport.iata}"


def airport_entity(airport: Airport) -> dict[str, Any]:
    """An airport as it is loaded, before the replay touches it."""
    return {
        "id": airport_id(airport),
        "type": AIRPORT_TYPE,
        "name": _text(airport.name),
        "city": _text(airport.city),
        "state": _text(airport.state),
        "country": _text(airport.country),
        "location": _location(airport.latitude, airport.longitude),
        "status": {"type": "Text", "value": UNTOUCHED},
    }


def airport_update(airport: Airport, notifications: int) -> Update:
    """The touch of an airport: its status becomes another."""
    change = Change(airport_id(airport), (TOUCHED,))
    return Update(change, {"status": {"type": "Text", "value": TOUCHED}}, notifications)


def weather_entity(city: City, first: Update) -> dict[str, Any]:
    """The entity of a city as its first reading creates it."""
    return {
        "id": city.entity_id,
        "type": WEATHER_TYPE,
        "location": _location(city.latitude, city.longitude),
        **first.attributes,
    }


def weather_update(city: City, reading: Reading, notifications: int) -> Update:
    """A reading as an update of the city's entity."""
    observed = f"{reading.observed_at:%Y-%m-%dT%H:%M:%S}.000Z"
    level = level_of(reading.temperature_f)
    attributes = {
        "dateObserved": {"type": "DateTime", "value": observed},
        "temperature": {
            "type": "Number",
            "value": reading.temperature_f,
            "metadata": {"unitCode": {"type": "Text", "value": "FAH"}},
        },
        "level": {"type": "Text", "value": level},
    }
    change = Change(city.entity_id, (observed, reading.temperature_f, level))
    return Update(change, attributes, notifications)


def level_of(temperature_f: float) -> str:
    """The name of the level that a temperature is at."""
    return LEVELS[bisect_right(LEVEL_BOUNDS_F, temperature_f)]


def _text(value: str) -> dict[str, Any]:
    return {"type": _TEXT_TYPE, "value": value}


def _location(latitude: float, longitude: float) -> dict[str, Any]:
    # GeoJSON has the longitude first (RFC 7946, section 3.1.1).
    return {
        "type": "geo:json",
        "value": {"type": "Point", "coordinates": [longitude, latitude]},
    }
