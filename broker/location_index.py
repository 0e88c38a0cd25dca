"""The index of entities by location: handles of what overlaps given boxes.

Owns which handle lies where, and nothing of what a handle stands for. Its answers are those
of bounds: whoever asks checks the shapes themselves.

A quadtree over longitude and latitude with buckets. A cell that holds too much is quartered,
cells that hold too little are joined again; so cells are as fine as entities are dense, in a
city as over a continent, and no single operation stalls. A point lies in the leaf that covers
it. An extended box lies in the finest cell that is as large as it and covers its middle; it
reaches over the border of that cell by half of it at most, so a search looks that much further
around cells with such boxes below them. Where many entities share one place, cells of the finest
size are quartered by bits of the handle instead.

Insert, remove and replace visit one cell a level (about 10 to 20 levels for 1 000 000 points); a
search visits the cells that its boxes meet. tests/bench/bench_location_index.py measures them.
"""

from __future__ import annotations

from array import array
from typing import Final

from ngsi.geometry import Box

# Entries of a leaf: fewer make more cells to visit, more make longer lists to look through.
LEAF_CAPACITY: Final = 48
# Entries of a cell and its leaves below which they are joined: far below the capacity, so that
# entities moving to and fro do not quarter and join a cell all the time.
JOIN_AT: Final = 12
# Halvings of the earth down to cells of 2 m; smaller ones would part hardly anything.
FINEST_DEPTH: Final = 24


class _Cell:
    """A cell and the entries in it: a leaf has no children and may have points.

    Entries are known by a key: the handle, or ~handle for its second box.
    """

    __slots__ = (
        "areas",
        "children",
        "depth",
        "east",
        "keys",
        "lats",
        "lons",
        "loose",
        "middle_lat",
        "middle_lon",
        "north",
        "parent",
        "south",
        "west",
    )

    def __init__(self, parent: _Cell | None, west: float, south: float, depth: int) -> None:
        halvings = min(depth, FINEST_DEPTH)
        width, height = 360.0 / (1 << halvings), 180.0 / (1 << halvings)
        self.parent = parent
        self.depth = depth
        # Binary fractions of few digits, so these sums are exact and neighbours fit.
        self.west = west
        self.south = south
        self.east = west + width
        self.north = south + height
        self.middle_lon = west + width / 2.0
        self.middle_lat = south + height / 2.0
        self.children: list[_Cell | None] | None = None
        self.keys = array("q")  # of points, with their positions beside
        self.lons = array("d")
        self.lats = array("d")
        self.areas: dict[int, Box] = {}
        self.loose = False  # whether there are areas here or below, or were

    def size(self) -> int:
        """The entries in this cell itself."""
        return len(self.keys) + len(self.areas)

    def quadrant(self, key: int, lon: float, lat: float) -> int:
        """Which child a position belongs to."""
        if self.depth >= FINEST_DEPTH:
            return (key >> 2 * (self.depth - FINEST_DEPTH)) & 3
        if lat < self.middle_lat:
            return 0 if lon < self.middle_lon else 1
        return 2 if lon < self.middle_lon else 3

    def child(self, quadrant: int) -> _Cell:
        """The child of that quadrant, made if there is none."""
        assert self.children is not None
        child = self.children[quadrant]
        if child is None:
            west, south = self.west, self.south
            if self.depth < FINEST_DEPTH:
                west = self.middle_lon if quadrant & 1 else west
                south = self.middle_lat if quadrant & 2 else south
            child = self.children[quadrant] = _Cell(self, west, south, self.depth + 1)
        return child

    def parts(self, box: Box) -> bool:
        """Whether a box is small enough for the children."""
        if self.depth >= FINEST_DEPTH:
            return True
        return (
            box.east - box.west <= self.middle_lon - self.west
            and box.north - box.south <= self.middle_lat - self.south
        )

    def add_point(self, key: int, lon: float, lat: float) -> None:
        self.keys.append(key)
        self.lons.append(lon)
        self.lats.append(lat)

    def remove_point(self, key: int) -> None:
        at = self.keys.index(key)
        last = self.keys.pop(), self.lons.pop(), self.lats.pop()
        if at < len(self.keys):
            self.keys[at], self.lons[at], self.lats[at] = last


class LocationIndex:
    """Handles (non-negative ints) and the one or two boxes that each lies in."""

    def __init__(self) -> None:
        self._root = _Cell(None, -180.0, -90.0, 0)
        self._homes: dict[int, _Cell] = {}  # key -> the cell that has its entry
        self._second_boxes = 0  # how many keys are second boxes

    def __len__(self) -> int:
        return len(self._homes) - self._second_boxes

    def __contains__(self, handle: int) -> bool:
        return handle in self._homes

    def insert(self, handle: int, bounds: tuple[Box, ...]) -> None:
        """Add a handle. Raises ValueError if it is there or `bounds` are not 1 or 2 boxes."""
        if handle in self._homes or handle < 0:
            raise ValueError(f"handle {handle} is negative or in the index")
        if not 1 <= len(bounds) <= 2:
            raise ValueError(f"handle {handle} has {len(bounds)} boxes")
        self._add(handle, bounds[0])
        if len(bounds) == 2:
            self._add(~handle, bounds[1])
            self._second_boxes += 1

    def remove(self, handle: int) -> None:
        """Take a handle out. Raises KeyError if it is not there."""
        self._take(handle)
        if self._second_boxes and ~handle in self._homes:
            self._take(~handle)
            self._second_boxes -= 1

    def replace(self, handle: int, bounds: tuple[Box, ...]) -> None:
        """Give a handle other bounds. Raises KeyError if it is not there."""
        cell = self._homes[handle]
        alone = not self._second_boxes or ~handle not in self._homes
        if len(bounds) == 1 and alone and handle not in cell.areas:
            west, south, east, north = bounds[0]
            inside = cell.west <= west < cell.east and cell.south <= south < cell.north
            if inside and west == east and south == north:
                at = cell.keys.index(handle)
                cell.lons[at] = west
                cell.lats[at] = south
                return
        if not 1 <= len(bounds) <= 2:
            raise ValueError(f"handle {handle} has {len(bounds)} boxes")
        self.remove(handle)
        self.insert(handle, bounds)

    def search(self, bounds: tuple[Box, ...]) -> set[int]:
        """The handles whose boxes overlap one of `bounds`."""
        found: set[int] = set()
        for box in bounds:
            self._search(box, found)
        return found

    def check(self) -> None:
        """Raise AssertionError if the structure is not what it should be. Visits everything."""
        seen: dict[int, _Cell] = {}
        stack = [self._root]
        while stack:
            cell = stack.pop()
            for key, lon, lat in zip(cell.keys, cell.lons, cell.lats, strict=True):
                assert cell.west <= lon <= cell.east, key
                assert cell.south <= lat <= cell.north, key
                seen[key] = cell
            for key, box in cell.areas.items():
                assert key not in seen, key
                assert cell.loose, key
                assert box.east - box.west <= cell.east - cell.west, key
                assert box.north - box.south <= cell.north - cell.south, key
                assert cell.west <= (box.west + box.east) / 2.0 <= cell.east, key
                assert cell.south <= (box.south + box.north) / 2.0 <= cell.north, key
                seen[key] = cell
            if cell.children is None:
                assert cell.size() <= LEAF_CAPACITY
                assert cell.parent is None or cell.size() > 0
                continue
            assert not cell.keys
            assert not any(cell.parts(box) for box in cell.areas.values())
            for child in cell.children:
                if child is not None:
                    assert child.parent is cell
                    assert cell.loose or not child.loose
                    stack.append(child)
        assert seen == self._homes
        seconds = [key for key in seen if key < 0]
        assert len(seconds) == self._second_boxes
        assert all(~key in seen for key in seconds)

    def _add(self, key: int, box: Box) -> None:
        west, south, east, north = box
        cell = self._root
        if west == east and south == north:
            while (children := cell.children) is not None:
                if cell.depth >= FINEST_DEPTH:
                    quadrant = cell.quadrant(key, west, south)
                elif south < cell.middle_lat:
                    quadrant = 0 if west < cell.middle_lon else 1
                else:
                    quadrant = 2 if west < cell.middle_lon else 3
                child = children[quadrant]
                cell = cell.child(quadrant) if child is None else child
            cell.keys.append(key)
            cell.lons.append(west)
            cell.lats.append(south)
        else:
            lon, lat = (west + east) / 2.0, (south + north) / 2.0
            cell.loose = True
            while cell.children is not None and cell.parts(box):
                cell = cell.child(cell.quadrant(key, lon, lat))
                cell.loose = True
            cell.areas[key] = box
        self._homes[key] = cell
        if cell.children is None and len(cell.keys) + len(cell.areas) > LEAF_CAPACITY:
            self._quarter(cell)

    def _take(self, key: int) -> None:
        cell = self._homes.pop(key)
        if key in cell.areas:
            del cell.areas[key]
        else:
            cell.remove_point(key)
        if cell.size() <= JOIN_AT:
            self._join(cell)

    def _quarter(self, leaf: _Cell) -> None:
        """Make a leaf an inner cell, its entries going to children as far as they fit."""
        leaf.children = [None, None, None, None]
        children: set[_Cell] = set()
        for key, lon, lat in zip(leaf.keys, leaf.lons, leaf.lats, strict=True):
            child = leaf.child(leaf.quadrant(key, lon, lat))
            child.add_point(key, lon, lat)
            self._homes[key] = child
            children.add(child)
        leaf.keys, leaf.lons, leaf.lats = array("q"), array("d"), array("d")
        for key, box in list(leaf.areas.items()):
            if leaf.parts(box):
                lon, lat = (box.west + box.east) / 2.0, (box.south + box.north) / 2.0
                child = leaf.child(leaf.quadrant(key, lon, lat))
                child.areas[key] = leaf.areas.pop(key)
                child.loose = True
                self._homes[key] = child
                children.add(child)
        for child in children:
            if child.size() > LEAF_CAPACITY:
                self._quarter(child)

    def _join(self, cell: _Cell) -> None:
        """Take away an empty leaf, and join cells that hold little, upwards as far as it goes."""
        while True:
            if cell.children is not None:
                leaves = [child for child in cell.children if child is not None]
                if any(leaf.children is not None for leaf in leaves):
                    return
                if sum(leaf.size() for leaf in (cell, *leaves)) > JOIN_AT:
                    return
                self._swallow(cell, leaves)
            parent = cell.parent
            if parent is None:
                return
            if cell.size() == 0:
                assert parent.children is not None
                parent.children[parent.children.index(cell)] = None
            cell = parent

    def _swallow(self, cell: _Cell, leaves: list[_Cell]) -> None:
        """Make an inner cell a leaf that has all entries of its leaves."""
        cell.children = None
        for leaf in leaves:
            cell.keys.extend(leaf.keys)
            cell.lons.extend(leaf.lons)
            cell.lats.extend(leaf.lats)
            cell.areas.update(leaf.areas)
            for key in (*leaf.keys, *leaf.areas):
                self._homes[key] = cell

    def _search(self, box: Box, found: set[int]) -> None:
        west, south, east, north = box
        stack = [self._root]
        while stack:
            cell = stack.pop()
            for key, area in cell.areas.items():
                if area.overlaps(box):
                    found.add(key if key >= 0 else ~key)
            if cell.children is not None:
                for child in cell.children:
                    if child is None:
                        continue
                    lon_margin = lat_margin = 0.0
                    if child.loose:
                        lon_margin = child.middle_lon - child.west
                        lat_margin = child.middle_lat - child.south
                    if (
                        child.west - lon_margin <= east
                        and west <= child.east + lon_margin
                        and child.south - lat_margin <= north
                        and south <= child.north + lat_margin
                    ):
                        stack.append(child)
            elif (
                west <= cell.west and cell.east <= east and south <= cell.south
            ) and cell.north <= north:
                found.update(cell.keys)
            else:
                for key, lon, lat in zip(cell.keys, cell.lons, cell.lats, strict=True):
                    if west <= lon <= east and south <= lat <= north:
                        found.add(key)
