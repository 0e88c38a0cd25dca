"""The index by location against a dictionary that is looked through from end to end."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.location_index import LEAF_CAPACITY, LocationIndex
from ngsi.geometry import Box

# Borders of cells of several depths, the ends of the world, and everything between.
longitudes = st.sampled_from([-180.0, -90.0, 0.0, 45.0, 90.0, 180.0]) | st.floats(-180, 180)
latitudes = st.sampled_from([-90.0, -45.0, 0.0, 22.5, 90.0]) | st.floats(-90, 90)
extents = st.sampled_from([0.0, 1e-7, 0.01, 1.0, 90.0, 360.0]) | st.floats(0, 360)
points = st.builds(lambda lon, lat: (Box(lon, lat, lon, lat),), longitudes, latitudes)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    west, south = draw(longitudes), draw(latitudes)
    return Box(west, south, min(180.0, west + draw(extents)), min(90.0, south + draw(extents)))


bounds = (
    points
    | st.tuples(boxes())
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


class IndexMachine(RuleBasedStateMachine):
    """Random changes; after each the structure is checked."""

    def __init__(self) -> None:
        super().__init__()
        self.index = LocationIndex()
        self.model: dict[int, tuple[Box, ...]] = {}
        self.next_handle = 0

    def add(self, where: tuple[Box, ...]) -> None:
        self.index.insert(self.next_handle, where)
        self.model[self.next_handle] = where
        self.next_handle += 1

    @rule(where=bounds)
    def insert(self, where: tuple[Box, ...]) -> None:
        self.add(where)

    @rule(where=points, spread=st.sampled_from([0.0, 1e-6, 0.01, 5.0]), seed=st.integers(0, 99))
    def insert_many(self, where: tuple[Box, ...], spread: float, seed: int) -> None:
        """More around one place than a leaf holds, so that cells are quartered."""
        rng = random.Random(seed)
        for _ in range(LEAF_CAPACITY + 5):
            lon = min(180.0, max(-180.0, where[0].west + rng.uniform(-spread, spread)))
            lat = min(90.0, max(-90.0, where[0].south + rng.uniform(-spread, spread)))
            wide = rng.random() < 0.2
            east = min(180.0, lon + spread) if wide else lon
            self.add((Box(lon, lat, east, lat),))

    @precondition(lambda self: self.model)
    @rule(data=st.data(), share=st.sampled_from([0.0, 0.5, 0.95, 1.0]))
    def remove(self, data: st.DataObject, share: float) -> None:
        """One, or so many that cells are joined again."""
        handles = sorted(self.model)
        rng = random.Random(data.draw(st.integers(0, 99)))
        for handle in rng.sample(handles, max(1, int(share * len(handles)))):
            self.index.remove(handle)
            del self.model[handle]

    @precondition(lambda self: self.model)
    @rule(data=st.data(), where=bounds)
    def replace(self, data: st.DataObject, where: tuple[Box, ...]) -> None:
        handle = data.draw(st.sampled_from(sorted(self.model)))
        self.index.replace(handle, where)
        self.model[handle] = where

    @precondition(lambda self: self.model)
    @rule(data=st.data(), step=st.sampled_from([0.0, 1e-7, 1e-3]))
    def move_a_little(self, data: st.DataObject, step: float) -> None:
        handle = data.draw(st.sampled_from(sorted(self.model)))
        west, south, _, _ = self.model[handle][0]
        lon, lat = min(180.0, west + step), min(90.0, south + step)
        self.index.replace(handle, (Box(lon, lat, lon, lat),))
        self.model[handle] = (Box(lon, lat, lon, lat),)

    @rule(where=bounds)
    def search(self, where: tuple[Box, ...]) -> None:
        assert self.index.search(where) == {
            handle
            for handle, found in self.model.items()
            if any(box.overlaps(part) for box in where for part in found)
        }

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def find_again(self, data: st.DataObject) -> None:
        handle = data.draw(st.sampled_from(sorted(self.model)))
        assert handle in self.index.search(self.model[handle])
        assert handle in self.index

    @invariant()
    def is_whole(self) -> None:
        self.index.check()
        assert len(self.index) == len(self.model)


TestLocationIndex = IndexMachine.TestCase
TestLocationIndex.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
