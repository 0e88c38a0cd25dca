"""Regions: caps around poles, turns of the earth, holes, and what is refused."""

from __future__ import annotations

from array import array
from math import cos, pi, sin

import pytest

from _native.geometry import Annulus, Origin, Region, is_simple_ring


def path(*positions: tuple[float, float]) -> array[float]:
    return array("d", [degrees for position in positions for degrees in position])


def box(west: float, south: float, east: float, north: float) -> array[float]:
    return path((west, south), (east, south), (east, north), (west, north), (west, south))


def cap(latitude: float, start: float) -> tuple[array[float], int]:
    """What is north of a latitude, cut open at a longitude."""
    ring = [(start + step * 60.0, latitude) for step in range(7)]
    return path(*ring, (start + 360.0, 90.0), (start, 90.0), (start, latitude)), 3


@pytest.mark.parametrize("start", [-180.0, -90.0, 0.0, 100.0])
def test_a_cap_has_no_seam(start: float) -> None:
    region = Region(polygons=[[cap(60.0, start)]])
    for lon in (-180.0, -90.0, 0.0, 100.0, 180.0, start):
        assert region.touches(lon, 60.0)
        assert region.touches(lon, 75.0)
        assert region.touches(lon, 90.0)
        assert not region.touches(lon, 59.9)


@pytest.mark.parametrize("start", [-180.0, 0.0])
@pytest.mark.parametrize("hole_start", [-180.0, 0.0, 100.0])
def test_a_hole_around_the_pole_has_no_seam(start: float, hole_start: float) -> None:
    region = Region(polygons=[[cap(60.0, start), cap(80.0, hole_start)]])
    for lon in (-180.0, -90.0, 0.0, 100.0, 180.0):
        assert region.touches(lon, 70.0)
        assert region.touches(lon, 80.0)  # the border of the hole belongs to it
        assert not region.touches(lon, 85.0)
        assert not region.touches(lon, 90.0)


def test_a_hole_at_the_seam_of_a_cap() -> None:
    region = Region(polygons=[[cap(60.0, 0.0), (box(-5.0, 70.0, 5.0, 75.0), 0)]])
    assert not region.touches(0.0, 72.0)
    assert not region.touches(3.0, 72.0)
    assert region.touches(5.0, 72.0)
    assert region.touches(0.0, 76.0)
    # A line through the seam within the hole is not in the region.
    assert not Region(lines=[path((-2.0, 72.0), (2.0, 72.0))]).meets(region)
    assert Region(lines=[path((-2.0, 72.0), (6.0, 72.0))]).meets(region)


def test_polygons_across_the_antimeridian() -> None:
    region = Region(polygons=[[(box(170.0, 0.0, 190.0, 10.0), 0)]])
    for lon in (170.0, 180.0, -180.0, -170.0):
        assert region.touches(lon, 5.0)
    assert not region.touches(-169.0, 5.0)
    for west in (-175.0, 185.0):
        assert Region(lines=[path((west, 5.0), (west + 1.0, 5.0))]).meets(region)
        assert region.meets(Region(lines=[path((west, 5.0), (west + 1.0, 5.0))]))


def test_a_polygon_within_another_meets_it_both_ways() -> None:
    large = Region(polygons=[[(box(0.0, 0.0, 10.0, 10.0), 0)]])
    small = Region(polygons=[[(box(4.0, 4.0, 5.0, 5.0), 0)]])
    assert large.meets(small)
    assert small.meets(large)
    holed = Region(polygons=[[(box(0.0, 0.0, 10.0, 10.0), 0), (box(3.0, 3.0, 6.0, 6.0), 0)]])
    assert not holed.meets(small)
    assert not small.meets(holed)
    touching = Region(polygons=[[(box(4.0, 4.0, 5.0, 6.0), 0)]])
    assert holed.meets(touching)


def test_a_polygon_of_thousands_of_edges() -> None:
    count = 5000
    angles = [2.0 * pi * step / count for step in range(count)]
    ring = [((1.0 + step % 2) * cos(a), (1.0 + step % 2) * sin(a)) for step, a in enumerate(angles)]
    star = path(*ring, ring[0])
    region = Region(polygons=[[(star, 0)]])
    assert region.touches(0.9, 0.0)
    assert region.touches(*ring[77])
    assert not region.touches(2.1, 0.0)
    assert not region.touches(1.5 * cos(angles[10]), 1.5 * sin(angles[10]))
    assert is_simple_ring(star, 10_000_000) is True
    assert is_simple_ring(star, 100) is None
    crossed = path(*ring, (ring[1][0], -1.0), ring[0])
    assert is_simple_ring(crossed, 10_000_000) is False


def test_annuli_without_end() -> None:
    origin = Origin(0.0, 0.0)
    assert Annulus(origin, 0.0, 3e7).has(180.0, 0.0)
    assert not Annulus(origin, 3e7, 4e7).has(180.0, 0.0)
    assert Annulus(origin, 0.0, 111_200.0).has(1.0, 0.0)
    assert not Annulus(origin, 0.0, 111_190.0).has(1.0, 0.0)


def test_an_empty_region_has_nothing() -> None:
    region = Region()
    assert not region.touches(0.0, 0.0)
    assert not region.meets(Region(lines=[path((0.0, 0.0), (1.0, 1.0))]))


def test_paths_that_are_none_are_refused() -> None:
    for short in (path(), path((0.0, 0.0)), array("d", [0.0, 1.0, 2.0])):
        with pytest.raises(ValueError, match="path"):
            Region(lines=[short])
    for ring in (path((0.0, 0.0), (1.0, 1.0), (0.0, 0.0)), path()):
        with pytest.raises(ValueError, match="path"):
            Region(polygons=[[(ring, 0)]])
        with pytest.raises(ValueError, match="path"):
            is_simple_ring(ring, 100)
    with pytest.raises(ValueError, match="edges of its own"):
        Region(polygons=[[(box(0.0, 0.0, 1.0, 1.0), 4)]])
