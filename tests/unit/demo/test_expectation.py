"""The demo's second opinion: known distances and counts, and a model of what a broker keeps."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.data import Airport, DataFiles, Reading
from demo.expectation import EARTH_RADIUS_M, Expectation, haversine_m, is_near_seattle
from demo.scenario import (
    CITIES,
    CROSSING,
    EVERY_CHANGE,
    HOT,
    NEAR_SEATTLE,
    NEW_TEMPERATURE,
    SAN_FRANCISCO,
    SEATTLE,
    SUBSCRIPTIONS,
    Change,
    airport_update,
    weather_update,
)

NEW_YEAR = datetime(2010, 1, 1, tzinfo=UTC)


def hourly(*temperatures_f: float) -> list[Reading]:
    return [
        Reading(NEW_YEAR + timedelta(hours=hour), temperature)
        for hour, temperature in enumerate(temperatures_f)
    ]


def expect(seattle: list[Reading], san_francisco: list[Reading]) -> Expectation:
    return Expectation([], {SEATTLE.name: seattle, SAN_FRANCISCO.name: san_francisco})


def counts(expectation: Expectation) -> dict[str, int]:
    return {subscription.name: expectation.count(subscription) for subscription in SUBSCRIPTIONS}


def airport(latitude: float, longitude: float) -> Airport:
    return Airport("XXX", "X", "X", "WA", "USA", latitude, longitude)


@pytest.mark.parametrize(
    ("place", "other", "distance_m"),
    [
        ((0, 0), (0, 0), 0),
        ((0, 0), (0, 1), EARTH_RADIUS_M * math.pi / 180),
        ((0, 179.5), (0, -179.5), EARTH_RADIUS_M * math.pi / 180),
        ((90, 0), (-90, 137), EARTH_RADIUS_M * math.pi),
        ((36.12, -86.67), (33.94, -118.40), 2_886_444.4),  # Nashville to Los Angeles
    ],
)
def test_distances(
    place: tuple[float, float], other: tuple[float, float], distance_m: float
) -> None:
    assert haversine_m(*place, *other) == pytest.approx(distance_m, abs=0.1)
    assert haversine_m(*other, *place) == pytest.approx(distance_m, abs=0.1)


def test_airports_near_seattle() -> None:
    degree_m = EARTH_RADIUS_M * math.pi / 180
    assert is_near_seattle(airport(47.44898194, -122.3093131))
    assert not is_near_seattle(airport(37.61900194, -122.3748433))
    north = SEATTLE.latitude + 300_000 / degree_m
    assert is_near_seattle(airport(north - 1e-6, SEATTLE.longitude))
    assert not is_near_seattle(airport(north + 1e-6, SEATTLE.longitude))


def test_the_first_reading_is_a_change_of_all() -> None:
    expectation = expect(hourly(76.0), hourly(75.0))
    assert counts(expectation) == {
        EVERY_CHANGE[0].name: 1,
        EVERY_CHANGE[1].name: 1,
        NEW_TEMPERATURE.name: 2,
        HOT.name: 1,  # exactly 75 is not above it
        CROSSING.name: 1,
        NEAR_SEATTLE.name: 0,
    }
    assert expectation.of_readings == {SEATTLE.name: [4], SAN_FRANCISCO.name: [2]}


def test_an_equal_temperature_is_no_new_one_but_a_new_hour() -> None:
    expectation = expect(hourly(76.0, 76.0, 77.0), hourly(60.0))
    assert expectation.count(EVERY_CHANGE[0]) == 3
    assert expectation.count(NEW_TEMPERATURE) == 2 + 1
    assert expectation.count(HOT) == 2


def test_a_row_that_repeats_the_one_before_changes_nothing() -> None:
    twice = hourly(76.0) * 2
    expectation = expect(twice, hourly(60.0))
    assert expectation.count(EVERY_CHANGE[0]) == 1
    assert expectation.of_readings[SEATTLE.name] == [4, 0]


def test_a_level_begins_at_its_bound() -> None:
    levels = [39.9, 40.0, 40.0, 39.9, 49.9, 50.0, 71.0, 90.0, 10.0]
    expectation = expect(hourly(*levels), hourly(10.0, 90.0))
    changes = expectation.changes(CROSSING)[SEATTLE.entity_id]
    assert [change.values[2] for change in changes] == [
        *("cold", "cool", "cold", "cool", "mild", "hot", "cold")
    ]


def test_the_year_of_the_package() -> None:
    """Counts found with another program (awk over the CSV files)."""
    files = DataFiles.find()
    expectation = Expectation(
        files.read_airports(),
        {city.name: files.read_temperatures(city.dataset) for city in CITIES},
    )
    assert counts(expectation) == {
        EVERY_CHANGE[0].name: 8759,
        EVERY_CHANGE[1].name: 8759,
        NEW_TEMPERATURE.name: 17_208,
        HOT.name: 48,
        CROSSING.name: 883,
        NEAR_SEATTLE.name: 70,
    }
    assert expectation.total == 35_727
    assert sum(expectation.of_airports) == 70


TEMPERATURES = st.sampled_from([30.0, 39.9, 40.0, 55.5, 70.0, 74.9, 75.0, 75.1, 80.0])
READINGS = st.lists(
    st.builds(
        Reading,
        st.integers(0, 3).map(lambda hour: NEW_YEAR + timedelta(hours=hour)),
        TEMPERATURES,
    ),
    min_size=1,
    max_size=30,
)


def notified_by_a_model(subscription_attributes: set[str], readings: list[Reading]) -> list[Change]:
    """What a store of attributes makes of the documents that the demo sends."""
    stored: dict[str, Any] = {}
    told = []
    for reading in readings:
        update = weather_update(SEATTLE, reading, 0)
        sent = {name: attribute["value"] for name, attribute in update.attributes.items()}
        changed = {name for name, value in sent.items() if stored.get(name) != value}
        stored.update(sent)
        if changed & subscription_attributes:
            told.append(update.change)
    return told


@given(READINGS)
def test_changes_are_those_of_a_store_of_attributes(readings: list[Reading]) -> None:
    expectation = expect(readings, hourly(30.0))
    new = notified_by_a_model({"temperature"}, readings)
    told = [
        (EVERY_CHANGE[0], notified_by_a_model({"dateObserved", "temperature", "level"}, readings)),
        (NEW_TEMPERATURE, new),
        (HOT, [change for change in new if change.values[1] > 75]),
        (CROSSING, notified_by_a_model({"level"}, readings)),
    ]
    for subscription, changes in told:
        assert expectation.changes(subscription).get(SEATTLE.entity_id, []) == changes
    assert sum(expectation.of_readings[SEATTLE.name]) == sum(len(changes) for _, changes in told)


@given(READINGS)
def test_what_is_sent_is_what_is_expected(readings: list[Reading]) -> None:
    """Sender and expectation write a change alike, though neither asks the other."""
    expected = set(expect(readings, hourly(30.0)).changes(EVERY_CHANGE[0])[SEATTLE.entity_id])
    assert expected == {weather_update(SEATTLE, reading, 0).change for reading in readings}


def test_the_touch_of_an_airport_is_what_is_expected() -> None:
    near = airport(SEATTLE.latitude, SEATTLE.longitude)
    readings = {city.name: hourly(50.0) for city in CITIES}
    expectation = Expectation([near], readings)
    update = airport_update(near, expectation.of_airports[0])
    assert expectation.changes(NEAR_SEATTLE) == {update.change.entity_id: [update.change]}
    assert update.notifications == 1
