"""Areas of the native subscription index: which positions it decides, and which it leaves open."""

from __future__ import annotations

import gc
import random
from array import array
from types import SimpleNamespace

import pytest

from _native.geometry import Annulus, Origin, Region
from _native.subscription_index import ON_CHANGE, SubscriptionIndex

SEED = 20_240_301
BLOCK = 8  # few, so that the index has an R-tree

Box = tuple[float, float, float, float]
Position = tuple[float, float]


def make_index() -> SubscriptionIndex:
    return SubscriptionIndex({"DateTime"}, lambda text: None, block=BLOCK)


def circle(lon: float, lat: float, radius_m: float) -> Annulus:
    return Annulus(Origin(lon, lat), 0.0, radius_m)


def triangle(lon: float, lat: float, size: float) -> Region:
    corners = [lon, lat, lon + size, lat, lon, lat + size, lon, lat]
    return Region(polygons=[[(array("d", corners), 0)]])


def around(lon: float, lat: float, reach: float) -> list[Box]:
    return [(lon - reach, lat - reach, lon + reach, lat + reach)]


def add(
    index: SubscriptionIndex,
    boxes: list[Box],
    area: Annulus | Region | None,
    verify: bool = False,
) -> int:
    return index.add([(None, "Car")], (), 0, "/#", (), boxes, area, verify)


def match(
    index: SubscriptionIndex, *positions: Position, boxes: list[Box] | None = None
) -> tuple[list[int], list[int]]:
    entity = SimpleNamespace(id="car1", type="Car", service_path="/")
    changed = frozenset({"location"})
    event = SimpleNamespace(
        entity=entity,
        attributes={},
        updated=changed,
        changed_values=changed,
        changed_metadata=frozenset(),
    )
    return index.match(event, ON_CHANGE, positions, boxes or (), (), ())


def test_positions_are_decided_by_the_area_and_not_by_its_box() -> None:
    index = make_index()
    near = add(index, around(0, 0, 1), circle(0, 0, 100_000))
    corner = add(index, around(0, 0, 1), triangle(-1, -1, 3))
    assert match(index, (0.4, 0.4)) == ([near, corner], [])
    assert match(index, (0.95, 0.95)) == ([], [])
    assert match(index, (-0.95, -0.95)) == ([corner], [])
    assert match(index, (-0.95, -0.95), (0.1, 0.1)) == ([near, corner], [])
    assert match(index) == ([], [])


def test_an_area_leaves_open_what_is_no_point_unless_a_position_is_in_it() -> None:
    index = make_index()
    near = add(index, around(0, 0, 1), circle(0, 0, 100_000))
    line: list[Box] = [(-5.0, 0.5, 5.0, 0.5)]
    assert match(index, boxes=line) == ([], [near])
    assert match(index, (0.95, 0.95), boxes=line) == ([], [near])
    assert match(index, (0.1, 0.1), boxes=line) == ([near], [])
    assert match(index, (0.95, 0.95), boxes=[(2.0, 2.0, 3.0, 3.0)]) == ([], [])


def test_an_area_without_boxes_is_decided_as_well() -> None:
    index = make_index()
    assert not index.has_places
    far = add(index, [], Annulus(Origin(0, 0), 1_000_000, float("inf")))
    assert index.has_places
    assert match(index, (20.0, 0.0)) == ([far], [])
    assert match(index, (1.0, 0.0)) == ([], [])
    assert match(index, boxes=[(1.0, 0.0, 1.0, 2.0)]) == ([], [far])
    assert index.remove(far)
    assert not index.has_places


def test_a_position_outside_ends_what_has_to_be_tested_otherwise() -> None:
    index = make_index()
    handle = add(index, around(0, 0, 1), circle(0, 0, 100_000), verify=True)
    assert match(index, (0.1, 0.1)) == ([], [handle])
    assert match(index, (0.95, 0.95)) == ([], [])


def test_an_area_is_one_of_two_things() -> None:
    index = make_index()
    with pytest.raises(ValueError, match="area: neither"):
        add(index, around(0, 0, 1), "circle")  # type: ignore[arg-type]
    assert len(index) == 0
    index.check()


def test_the_index_keeps_regions_as_long_as_their_subscriptions() -> None:
    rng = random.Random(SEED)
    index = make_index()
    present: dict[int, tuple[float, float, bool]] = {}
    for _ in range(2000):
        if len(present) > 200:
            handle = rng.choice(list(present))
            del present[handle]
            assert index.remove(handle)
        lon, lat = rng.uniform(0, 5), rng.uniform(0, 5)
        is_circle = rng.random() < 0.5
        area = circle(lon, lat, 50_000) if is_circle else triangle(lon, lat, 0.5)
        present[add(index, around(lon, lat, 0.5), area)] = (lon, lat, is_circle)
    gc.collect()
    index.check()
    for _ in range(200):
        place = (rng.uniform(0, 5), rng.uniform(0, 5))
        expected = [
            handle
            for handle, (lon, lat, is_circle) in sorted(present.items())
            if (
                circle(lon, lat, 50_000).has(*place)
                if is_circle
                else triangle(lon, lat, 0.5).touches(*place)
            )
        ]
        assert match(index, place) == (expected, [])
