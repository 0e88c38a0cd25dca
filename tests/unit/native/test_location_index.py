"""The index by location: what it finds, what it refuses, and that it shrinks again."""

from __future__ import annotations

import random
from typing import Any

import pytest

from _native.location_index import LocationIndex
from ngsi.geometry import Box

WORLD = (Box(-180, -90, 180, 90),)


def at(lon: float, lat: float) -> tuple[Box, ...]:
    return (Box(lon, lat, lon, lat),)


def grid(index: LocationIndex, side: int, step: float) -> None:
    """side x side points from 0, 0 on; handle = row * side + column."""
    for row in range(side):
        for column in range(side):
            index.insert(row * side + column, at(column * step, row * step))
    index.check()


def test_an_empty_index_finds_nothing() -> None:
    index = LocationIndex()
    assert index.search(WORLD) == []
    assert len(index) == 0
    assert 0 not in index
    index.check()


@pytest.mark.parametrize("step", [1.0, 1e-3, 1e-5])
def test_points_in_a_box(step: float) -> None:
    index = LocationIndex()
    grid(index, 40, step)
    assert len(index) == 1600
    box = Box(3 * step, 2 * step, 5 * step, 2 * step)
    assert index.search((box,)) == [83, 84, 85]  # the border belongs to it
    assert index.search(WORLD) == list(range(1600))


def test_boxes_are_found_by_any_overlap() -> None:
    index = LocationIndex()
    grid(index, 40, 0.1)
    index.insert(5000, (Box(-3.0, -3.0, 0.05, 0.05),))
    index.insert(5001, (Box(0.01, 0.01, 0.02, 0.02),))
    index.insert(5002, (Box(-180, -90, 180, 90),))
    index.check()
    assert index.search((Box(0.015, 0.015, 0.016, 0.016),)) == [5000, 5001, 5002]
    assert index.search((Box(-2.5, -2.5, -2.4, -2.4),)) == [5000, 5002]
    assert index.search((Box(100, 80, 100, 80),)) == [5002]


def test_two_boxes_are_one_handle() -> None:
    index = LocationIndex()
    index.insert(7, (Box(179, 0, 180, 1), Box(-180, 0, -179, 1)))
    assert len(index) == 1
    assert index.search((Box(179.5, 0, 180, 1),)) == [7]
    assert index.search((Box(-180, 0, -179.5, 1),)) == [7]
    assert index.search(WORLD) == [7]
    index.replace(7, at(0, 0))
    assert index.search((Box(-180, 0, -179.5, 1),)) == []
    index.replace(7, (Box(179, 0, 180, 1), Box(-180, 0, -179, 1)))
    index.remove(7)
    assert len(index) == 0
    index.check()


def test_the_first_of_two_boxes_may_be_a_point() -> None:
    index = LocationIndex()
    for handle in (1, 2):
        index.insert(handle, (Box(170, 0, 170, 0), Box(-180, 0, -179, 0)))
    index.remove(1)
    index.replace(2, at(170.1, 0))
    index.check()
    assert index.search((Box(-180, -1, -179, 1),)) == []
    assert index.search((Box(169, -1, 171, 1),)) == [2]


def test_a_search_may_have_several_boxes() -> None:
    index = LocationIndex()
    index.insert(3, at(179.5, 0))
    index.insert(1, at(-179.5, 0))
    index.insert(2, at(0, 0))
    # Overlapping ones bring nothing twice.
    parts = (Box(179, -1, 180, 1), Box(-180, -1, -179, 1), Box(-180, -2, -179, 0))
    assert index.search(parts) == [1, 3]


def test_thousands_in_one_place() -> None:
    """They come and go one by one as anywhere else, and are all found."""
    index = LocationIndex()
    here = at(-3.7, 40.4)
    count = 20_000
    order = random.Random(1).sample(range(count), count)
    for handle in order:
        index.insert(handle, here)
    index.check()
    assert index.search(here) == list(range(count))
    for handle in order[:-1]:
        index.remove(handle)
    index.check()
    assert index.search(here) == [order[-1]]


def test_a_search_can_be_limited() -> None:
    index = LocationIndex()
    grid(index, 40, 1.0)
    assert index.search(WORLD, limit=1599) is None
    assert index.search(WORLD, limit=1600) == list(range(1600))
    assert index.search(at(0.5, 0.5), limit=0) == []


def test_many_boxes_of_one_handle() -> None:
    """Equal ones, too; the handle is found once."""
    index = LocationIndex()
    where = tuple(Box(i % 7, i % 5, i % 7 + 0.5, i % 5) for i in range(3000))
    index.insert(7, where)
    index.check()
    assert len(index) == 1
    assert index.search(WORLD) == [7]
    index.replace(7, where[:1000])
    index.check()
    assert index.search(at(6.2, 4)) == [7]
    index.replace(7, where[:1])
    index.check()
    assert index.search(at(6.2, 4)) == []
    index.remove(7)
    index.check()
    assert len(index) == 0


def test_moving_and_removing() -> None:
    index = LocationIndex()
    grid(index, 30, 0.001)
    index.replace(0, at(0.0000001, 0))
    index.replace(1, at(100, 50))
    index.replace(2, (Box(10, 10, 20, 20),))
    index.replace(2, (Box(11, 11, 20, 20),))
    index.check()
    assert index.search((Box(99, 49, 101, 51),)) == [1]
    assert index.search((Box(15, 15, 15, 15),)) == [2]
    assert index.search((Box(10, 10, 10.5, 10.5),)) == []
    index.remove(2)
    assert index.search((Box(15, 15, 15, 15),)) == []
    assert len(index) == 899


def test_memory_is_used_again_and_given_back() -> None:
    index = LocationIndex()
    empty = index.memory_bytes
    grid(index, 100, 0.01)
    full = index.memory_bytes
    assert full > 10_000 * 32
    for _ in range(5):
        for handle in range(1, 10_000):
            index.remove(handle)
        index.check()
        for handle in range(1, 10_000):
            index.insert(handle, at(handle % 170, handle % 80))
    assert index.memory_bytes < 2 * full
    for handle in range(10_000):
        index.remove(handle)
    assert index.memory_bytes == empty


def test_what_is_refused_changes_nothing() -> None:
    index = LocationIndex()
    index.insert(1, at(1, 1))
    with pytest.raises(ValueError, match="handle 1 is in the index"):
        index.insert(1, at(2, 2))
    for handle in (-1, 2**64):
        with pytest.raises(OverflowError):
            index.insert(handle, at(2, 2))
        assert handle not in index
    inverted = (Box(1, 0, 0, 0),)
    incomplete: Any = ((0.0, 0.0, 0.0),)
    for bounds in ((), (*at(2, 2), *inverted), at(float("nan"), 2), incomplete):
        with pytest.raises(ValueError, match="box"):
            index.insert(2, bounds)
        with pytest.raises(ValueError, match="box"):
            index.replace(1, bounds)
    for bounds in ((), incomplete):
        with pytest.raises(ValueError, match="box"):
            index.search(bounds)
    with pytest.raises(KeyError):
        index.remove(2)
    with pytest.raises(KeyError):
        index.replace(2, at(1, 1))
    assert index.search(WORLD) == [1]
    assert 1 in index
    assert 2 not in index
    index.check()
