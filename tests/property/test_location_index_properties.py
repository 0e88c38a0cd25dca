"""The index by location against a dictionary that is looked through from end to end."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from _native.location_index import LocationIndex
from ngsi.geometry import Box

# The ends of the world, places that 32-bit floats cannot tell from their neighbours, and
# everything between.
longitudes = st.sampled_from([-180.0, -90.0, 0.0, 1e-40, 179.999999, 180.0]) | st.floats(-180, 180)
latitudes = st.sampled_from([-90.0, -45.0, 0.0, -0.0, 22.5, 90.0]) | st.floats(-90, 90)
extents = st.sampled_from([0.0, 1e-7, 0.01, 1.0, 90.0, 360.0]) | st.floats(0, 360)
points = st.builds(lambda lon, lat: (Box(lon, lat, lon, lat),), longitudes, latitudes)
NODE = 32  # entries of a node of the tree: more of them in one place make it split

Bounds = tuple[Box, ...]


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    west, south = draw(longitudes), draw(latitudes)
    return Box(west, south, min(180.0, west + draw(extents)), min(90.0, south + draw(extents)))


bounds = (
    points
    | st.lists(boxes(), min_size=1, max_size=4).map(tuple)
    | st.builds(  # across the antimeridian
        lambda west, east, south, north: (
            Box(west, south, 180.0, max(south, north)),
            Box(-180.0, south, east, max(south, north)),
        ),
        st.just(180.0) | st.floats(0, 180),
        st.floats(-180, 0),
        latitudes,
        latitudes,
    )
)
# Far more than any session brings, next to each other and far apart.
handles = st.integers(0, 40) | st.integers(2**64 - 20, 2**64 - 1) | st.integers(0, 2**64 - 1)


def as_floats(box: Box) -> Box:
    """The box as 32-bit floats have it."""
    return Box(*struct.unpack("4f", struct.pack("4f", *box)))


def overlap(one: Bounds, other: Bounds) -> bool:
    return any(box.overlaps(part) for box in one for part in other)


class IndexMachine(RuleBasedStateMachine):
    """Random changes; after each the structure is checked."""

    def __init__(self) -> None:
        super().__init__()
        self.index = LocationIndex()
        self.model: dict[int, Bounds] = {}
        self.next_handle = 1000

    @rule(handle=handles, where=bounds)
    def insert(self, handle: int, where: Bounds) -> None:
        if handle in self.model:
            with pytest.raises(ValueError, match=str(handle)):
                self.index.insert(handle, where)
        else:
            self.index.insert(handle, where)
            self.model[handle] = where

    @rule(
        where=points,
        spread=st.sampled_from([0.0, 1e-6, 0.01, 5.0]),
        count=st.sampled_from([2, NODE + 1, 10 * NODE, 40 * NODE]),
        seed=st.integers(0, 99),
    )
    def insert_many(self, where: Bounds, spread: float, count: int, seed: int) -> None:
        """Around one place, so that nodes are split."""
        rng = random.Random(seed)
        for _ in range(count):
            lon = min(180.0, max(-180.0, where[0].west + rng.uniform(-spread, spread)))
            lat = min(90.0, max(-90.0, where[0].south + rng.uniform(-spread, spread)))
            east = min(180.0, lon + spread) if rng.random() < 0.2 else lon
            self.next_handle += rng.choice([1, 1, 1, 1000])
            self.insert(self.next_handle, (Box(lon, lat, east, lat),))

    @precondition(lambda self: self.model)
    @rule(share=st.sampled_from([0.0, 0.5, 0.95, 1.0]), seed=st.integers(0, 99))
    def remove(self, share: float, seed: int) -> None:
        """One, or so many that nodes are joined again."""
        for handle in random.Random(seed).sample(
            sorted(self.model), max(1, int(share * len(self.model)))
        ):
            self.index.remove(handle)
            del self.model[handle]

    @precondition(lambda self: self.model)
    @rule(data=st.data(), where=bounds)
    def replace(self, data: st.DataObject, where: Bounds) -> None:
        handle = data.draw(st.sampled_from(sorted(self.model)))
        self.index.replace(handle, where)
        self.model[handle] = where

    @precondition(lambda self: self.model)
    @rule(step=st.sampled_from([0.0, 1e-7, 1e-3, 3.0]), seed=st.integers(0, 99))
    def move(self, step: float, seed: int) -> None:
        """Some by so little that they stay in their nodes."""
        rng = random.Random(seed)
        for handle in rng.sample(sorted(self.model), min(len(self.model), 50)):
            west, south, _, _ = self.model[handle][0]
            lon, lat = min(180.0, west + step), min(90.0, south + step * rng.random())
            self.index.replace(handle, (Box(lon, lat, lon, lat),))
            self.model[handle] = (Box(lon, lat, lon, lat),)

    @rule(where=bounds)
    def search(self, where: Bounds) -> None:
        found = self.index.search(where)
        rounded = tuple(map(as_floats, where))
        assert found == sorted(
            handle
            for handle, there in self.model.items()
            if overlap(rounded, tuple(map(as_floats, there)))
        )
        # What the exact boxes say is never missed.
        exact = {handle for handle, there in self.model.items() if overlap(where, there)}
        assert exact <= set(found)

    @rule(where=bounds, limit=st.integers(0, 3 * NODE))
    def search_some(self, where: Bounds, limit: int) -> None:
        found = self.index.search(where, limit=limit)
        everything = self.index.search(where)
        assert found == everything or (found is None and (len(where) > 1 or len(everything) > 0))
        if found is None and all(len(there) == 1 for there in self.model.values()):
            assert sum(len(self.index.search((box,))) for box in where) > limit
        if found is not None:
            assert len(found) <= limit

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def find_again(self, data: st.DataObject) -> None:
        handle = data.draw(st.sampled_from(sorted(self.model)))
        assert handle in self.index.search(self.model[handle])
        assert handle in self.index

    @rule(handle=handles, where=bounds)
    def mistake(self, handle: int, where: Bounds) -> None:
        """What is refused changes nothing (as the invariant sees)."""
        if handle not in self.model:
            assert handle not in self.index
            with pytest.raises(KeyError):
                self.index.remove(handle)
            with pytest.raises(KeyError):
                self.index.replace(handle, where)
        for change in (self.index.insert, self.index.replace):
            for wrong in ((), (*where, Box(1.0, 0.0, 0.0, 0.0)), (Box(0.0, float("nan"), 0, 0),)):
                with pytest.raises((ValueError, KeyError)):
                    change(handle, wrong)
        with pytest.raises(OverflowError):
            self.index.insert(-1 - handle, where)
        assert -1 - handle not in self.index

    @invariant()
    def is_whole(self) -> None:
        self.index.check()
        assert len(self.index) == len(self.model)


TestLocationIndex = IndexMachine.TestCase
TestLocationIndex.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
