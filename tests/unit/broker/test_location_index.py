"""The index by location: what it finds, what it refuses, and that it shrinks again."""

from __future__ import annotations

import pytest

from broker.location_index import JOIN_AT, LEAF_CAPACITY, LocationIndex
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
    assert index.search(WORLD) == set()
    assert len(index) == 0
    index.check()


@pytest.mark.parametrize("step", [1.0, 1e-3, 1e-6])
def test_points_in_a_box(step: float) -> None:
    index = LocationIndex()
    grid(index, 40, step)
    assert len(index) == 1600
    box = Box(3 * step, 2 * step, 5 * step, 2 * step)
    assert index.search((box,)) == {83, 84, 85}  # the border belongs to it
    assert len(index.search(WORLD)) == 1600


def test_boxes_are_found_by_any_overlap() -> None:
    index = LocationIndex()
    grid(index, 40, 0.1)  # so that cells around are fine
    index.insert(5000, (Box(-3.0, -3.0, 0.05, 0.05),))
    index.insert(5001, (Box(0.01, 0.01, 0.02, 0.02),))
    index.insert(5002, (Box(-180, -90, 180, 90),))
    index.check()
    assert index.search((Box(0.015, 0.015, 0.016, 0.016),)) == {5000, 5001, 5002}
    assert index.search((Box(-2.5, -2.5, -2.4, -2.4),)) == {5000, 5002}
    assert index.search((Box(100, 80, 100, 80),)) == {5002}


def test_two_boxes_are_one_handle() -> None:
    index = LocationIndex()
    index.insert(7, (Box(179, 0, 180, 1), Box(-180, 0, -179, 1)))
    assert len(index) == 1
    assert index.search((Box(179.5, 0, 180, 1),)) == {7}
    assert index.search((Box(-180, 0, -179.5, 1),)) == {7}
    assert index.search(WORLD) == {7}
    index.replace(7, at(0, 0))
    assert index.search((Box(-180, 0, -179.5, 1),)) == set()
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
    assert index.search((Box(-180, -1, -179, 1),)) == set()
    assert index.search((Box(169, -1, 171, 1),)) == {2}


def test_a_search_may_have_several_boxes() -> None:
    index = LocationIndex()
    index.insert(1, at(179.5, 0))
    index.insert(2, at(-179.5, 0))
    index.insert(3, at(0, 0))
    assert index.search((Box(179, -1, 180, 1), Box(-180, -1, -179, 1))) == {1, 2}


def test_many_at_one_place() -> None:
    """They cannot be parted by position; no leaf gets long for it."""
    index = LocationIndex()
    count = 40 * LEAF_CAPACITY
    for handle in range(count):
        index.insert(handle, at(2.35, 48.85) if handle % 7 else (Box(2.35, 48.85, 2.35, 48.8501),))
    index.check()
    assert index.search((Box(2.35, 48.85, 2.35, 48.85),)) == set(range(count))
    for handle in range(count):
        index.remove(handle)
    index.check()
    assert index.search(WORLD) == set()


def test_moving_and_removing() -> None:
    index = LocationIndex()
    grid(index, 30, 0.001)
    index.replace(0, at(0.0000001, 0))
    index.replace(1, at(100, 50))
    index.replace(2, (Box(10, 10, 20, 20),))
    index.replace(2, (Box(11, 11, 20, 20),))
    index.check()
    assert index.search((Box(99, 49, 101, 51),)) == {1}
    assert index.search((Box(15, 15, 15, 15),)) == {2}
    assert index.search((Box(10, 10, 10.5, 10.5),)) == set()
    index.remove(2)
    assert index.search((Box(15, 15, 15, 15),)) == set()
    assert len(index) == 899


def test_cells_are_joined_when_handles_go() -> None:
    index = LocationIndex()
    grid(index, 100, 0.01)
    for handle in range(JOIN_AT, 10_000):
        index.remove(handle)
    index.check()
    root = index._root
    assert root.children is None  # everything is in one leaf again
    assert root.size() == JOIN_AT


def test_what_is_refused_changes_nothing() -> None:
    index = LocationIndex()
    index.insert(1, at(1, 1))
    for handle, bounds in ((1, at(2, 2)), (-1, at(2, 2)), (2, ()), (2, at(1, 1) * 3)):
        with pytest.raises(ValueError, match=f"handle {handle} "):
            index.insert(handle, bounds)
    with pytest.raises(ValueError, match="handle 1 has 0 boxes"):
        index.replace(1, ())
    with pytest.raises(KeyError):
        index.remove(2)
    with pytest.raises(KeyError):
        index.replace(2, at(1, 1))
    assert index.search(WORLD) == {1}
    assert 1 in index
    assert 2 not in index
    index.check()
