"""The locations of entities under random updates and restarts, against a plain model.

The model knows the attributes of each entity and the names of its locations; a query is
compared with a walk over all of them. Starts change between Orion's rule of one location and
that of several, on the same journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from broker.deprecations import Deprecations
from broker.engine import Engine
from broker.entity_query import EntityQuery, find_entities
from broker.journal.format import PATCH, PUT
from broker.journal.merge import merge_patch
from broker.logs import LogLimits
from broker.messages import MessageRules
from broker.origin import Origin
from broker.outbox import DeliveryRules
from broker.statistics import Statistics
from broker.update import UpdateOptions
from ngsi.errors import BadRequest, NoResourcesAvailable
from ngsi.geometry import GeoQuery, Point, Shape, parse_geojson
from ngsi.model import NO_METADATA, AttributeUpdate, EntityUpdate, UpdateAction
from ngsi.service_path import ServicePathScope
from tests.property.records_in_memory import RecordsInMemory

IDS: Final = ["e1", "e2", "e3"]
NAMES: Final = ["a", "b", "c", "d", "e"]
IGNORED: Final = {"ignoreType": {"type": "Boolean", "value": True}}

# Few places, so that queries meet locations: two clusters, one on the antimeridian.
lons = st.sampled_from([-179, -178, 10, 11, 12, 178, 179])
lats = st.sampled_from([-1, 0, 1, 2])
places = st.tuples(lons, lats)


def line(lon: int, lat: int) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": [[lon, lat], [-lon, lat]]}


def square(west: int, south: int) -> dict[str, Any]:
    ring = [[west, south], [west + 2, south], [west + 2, south + 2], [west, south + 2]]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


geometries = (
    places.map(lambda place: {"type": "Point", "coordinates": list(place)})
    # Also across the antimeridian, whose bounds are two boxes.
    | st.builds(line, lons, lats)
    | st.builds(square, lons.filter(lambda lon: lon < 179), lats)
)
# (type, value, metadata); a value that comes twice is no change.
contents = (
    geometries.map(lambda value: ("geo:json", value, NO_METADATA))
    | geometries.map(lambda value: ("geo:json", value, IGNORED))
    | places.map(lambda p: ("geo:point", f"{p[1]},{p[0]}", NO_METADATA))
    | geometries.map(lambda value: ("Text", value, NO_METADATA))
    | st.just(("geo:json", None, NO_METADATA))
    | st.just(("Number", 7, NO_METADATA))
)
documents = st.dictionaries(st.sampled_from(NAMES), contents, min_size=1, max_size=4)
geo_queries = st.builds(
    lambda georel, place: GeoQuery.parse(georel, "point", f"{place[1]},{place[0]}"),
    st.sampled_from(
        ["near;maxDistance:130000", "near;minDistance:130000", "intersects", "equals", "disjoint"]
    ),
    places,
) | st.builds(
    lambda georel, west, south, width, height: GeoQuery.parse(
        georel, "box", f"{south},{west};{south + height},{west + width}"
    ),
    st.sampled_from(["coveredBy", "intersects", "disjoint"]),
    lons.filter(lambda lon: lon < 178),
    lats,
    st.integers(1, 2),
    st.integers(1, 3),
)

Content = tuple[str, Any, Any]
Document = dict[str, Content]


class KeptJournal(RecordsInMemory):
    """Documents by key, as a restart finds them."""

    def __init__(self) -> None:
        super().__init__()
        self.documents: dict[bytes, bytes] = {}

    def load(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(list(self.documents.items()))

    def keep(self, operation: int, key: bytes, payload: bytes) -> None:
        if operation == PUT:
            self.documents[key] = payload
        elif operation == PATCH:
            before = orjson.loads(self.documents[key])
            self.documents[key] = orjson.dumps(merge_patch(before, orjson.loads(payload)))
        else:
            del self.documents[key]


class NoReceivers:
    """Takes notifications, of which there are none."""

    def send(self, message: Any, /) -> bool:
        raise AssertionError(message)


class Refused(Exception):
    """The model does not take an update."""


def is_candidate(content: Content) -> bool:
    type_, value, metadata = content
    return type_.startswith("geo:") and value is not None and metadata != IGNORED


def shape_of(content: Content) -> Shape:
    type_, value, _ = content
    if type_ == "geo:point":
        lat, lon = map(float, value.split(","))
        return Point(lon, lat)
    return parse_geojson(value)


class LocationMachine(RuleBasedStateMachine):
    """Random updates under both rules; queries find what the model says."""

    @initialize(several=st.booleans())
    def start(self, several: bool) -> None:
        self.journal = KeptJournal()
        self.model: dict[str, Document] = {}
        self.located: dict[str, set[str]] = {}
        self.load(several)

    def load(self, several: bool) -> None:
        self.several = several
        self.engine = Engine(
            self.journal,
            NoReceivers(),
            lambda: 1.0,
            MessageRules(timeout_s=1.0, max_length=1000),
            DeliveryRules(max_age_s=10, max_length=10, max_bytes=10_000, max_pause_s=1),
            Deprecations(LogLimits(1000, 1000), Statistics()),
            multi_location=several,
        )
        self.engine.restore()

    @rule(several=st.booleans())
    def restart(self, several: bool) -> None:
        if several:
            for entity_id, document in self.model.items():
                self.located[entity_id] = set(filter(lambda n: is_candidate(document[n]), document))
        self.load(several)

    @rule(entity_id=st.sampled_from(IDS), document=documents)
    def append(self, entity_id: str, document: Document) -> None:
        self.apply(entity_id, document, UpdateAction.APPEND)

    @rule(entity_id=st.sampled_from(IDS), document=documents)
    def append_strict(self, entity_id: str, document: Document) -> None:
        self.apply(entity_id, document, UpdateAction.APPEND_STRICT)

    @rule(entity_id=st.sampled_from(IDS), document=documents)
    def update(self, entity_id: str, document: Document) -> None:
        self.apply(entity_id, document, UpdateAction.UPDATE)

    @rule(entity_id=st.sampled_from(IDS), document=documents)
    def replace(self, entity_id: str, document: Document) -> None:
        self.apply(entity_id, document, UpdateAction.REPLACE)

    @rule(entity_id=st.sampled_from(IDS), names=st.sets(st.sampled_from(NAMES), min_size=1))
    def delete_attributes(self, entity_id: str, names: set[str]) -> None:
        self.send(entity_id, dict.fromkeys(names, ("", None, NO_METADATA)), UpdateAction.DELETE)
        for name in names & self.model.get(entity_id, {}).keys():
            del self.model[entity_id][name]
            self.located[entity_id].discard(name)

    @rule(entity_id=st.sampled_from(IDS))
    def delete_entity(self, entity_id: str) -> None:
        self.send(entity_id, {}, UpdateAction.DELETE)
        self.model.pop(entity_id, None)
        self.located.pop(entity_id, None)

    def apply(self, entity_id: str, document: Document, action: UpdateAction) -> None:
        before = self.model.get(entity_id)
        try:
            if before is None or action is UpdateAction.REPLACE:
                if before is None and action in (UpdateAction.UPDATE, UpdateAction.REPLACE):
                    return
                after = document
                located = set(filter(lambda name: is_candidate(document[name]), document))
                if len(located) > 1 and not self.several:
                    raise Refused
            else:
                touched = {
                    name: content
                    for name, content in document.items()
                    if (name in before or action is not UpdateAction.UPDATE)
                    and (name not in before or action is not UpdateAction.APPEND_STRICT)
                    and before.get(name) != content
                }
                after = before | touched
                located = self.place(self.located[entity_id], touched, action)
        except Refused:
            with pytest.raises(NoResourcesAvailable):
                self.send(entity_id, document, action, fails=True)
            return
        self.send(entity_id, document, action)
        self.model[entity_id] = dict(after)
        self.located[entity_id] = located

    def place(self, located: set[str], touched: Document, action: UpdateAction) -> set[str]:
        given = [name for name, content in touched.items() if is_candidate(content)]
        left = located - (touched.keys() - set(given))
        if self.several:
            return left | set(given)
        if action is UpdateAction.UPDATE:
            return {given[-1]} if given else left
        if not given:
            return left
        if len(given) > 1 or (left and given[0] not in left):
            raise Refused
        return {given[0]}

    def send(
        self, entity_id: str, document: Document, action: UpdateAction, fails: bool = False
    ) -> None:
        attributes = {
            name: AttributeUpdate(type_, value, metadata)
            for name, (type_, value, metadata) in document.items()
        }
        update = EntityUpdate(entity_id, "T", attributes)
        error = self.engine.update(Origin(), [update], action, UpdateOptions())
        if fails:
            assert error is not None
            raise error
        assert not isinstance(error, NoResourcesAvailable | BadRequest)

    @rule(geo=geo_queries)
    def find(self, geo: GeoQuery) -> None:
        shapes = {
            entity_id: [shape_of(self.model[entity_id][name]) for name in names]
            for entity_id, names in self.located.items()
        }
        hits = {
            entity_id: min(map(geo.distance_m, places))
            for entity_id, places in shapes.items()
            if any(map(geo.matches, places))
        }
        query = EntityQuery(ServicePathScope(), geo=geo, order_by=("geo:distance", "id"))
        table = self.engine.tenant("").entities
        page = asyncio.run(find_entities(table, query))
        found = [entity.id for entity in page.entities]
        assert found == sorted(hits, key=lambda entity_id: (hits[entity_id], entity_id))

    @rule()
    def find_all(self) -> None:
        # Nothing reaches the pole: entities with a location, by no index.
        geo = GeoQuery.parse("disjoint", "point", "90,0")
        table = self.engine.tenant("").entities
        everything = EntityQuery(ServicePathScope(), geo=geo)
        found = {entity.id for entity in asyncio.run(find_entities(table, everything)).entities}
        assert found == {entity_id for entity_id, names in self.located.items() if names}

    @invariant()
    def tables_agree(self) -> None:
        table = self.engine.tenant("").entities
        table.check()
        for entity_id, names in self.located.items():
            (entity,) = table.with_id(entity_id)
            assert set(entity.locations) == names
            assert len(entity.shapes) == len(names)
            assert entity.attributes.keys() == self.model[entity_id].keys()
            for name, shape in zip(entity.locations, entity.shapes, strict=True):
                assert shape == shape_of(self.model[entity_id][name])


TestLocations = LocationMachine.TestCase
TestLocations.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
