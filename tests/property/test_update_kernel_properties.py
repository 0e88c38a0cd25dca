"""Ordinary updates by the native kernel against the engine's own way: same state, same records,
same events, same answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from unittest.mock import patch

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.attribute_index import AttributeIndex
from broker.deprecations import Deprecations
from broker.engine import Engine
from broker.logs import LogLimits
from broker.messages import MessageRules
from broker.origin import Origin
from broker.outbox import DeliveryRules
from broker.statistics import Statistics
from broker.update import PLAIN_UPDATE, UpdateOptions
from ngsi.errors import InternalServerError, NgsiError
from ngsi.model import EntityEvent, EntityUpdate, UpdateAction
from ngsi.service_path import ServicePathScope
from ngsi.v2.entities import decode_entity_object
from ngsi.v2.subscriptions import decode_subscription
from tests.property.records_in_memory import RecordsInMemory


class RecordingJournal(RecordsInMemory):
    """Keeps what it is given; takes nothing after `room` changes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.records: list[tuple[int, bytes, Any]] = []
        self._left = room

    def keep(self, operation: int, key: bytes, payload: bytes) -> None:
        self.records.append((operation, key, orjson.loads(payload or b"null")))

    def _make_room(self, change_bytes: int) -> None:
        if len(self.records) >= self._left:
            raise InternalServerError("full")


class NoNotifier:
    def send(self, message: object) -> bool:
        raise AssertionError(message)


class NothingIsOrdinary:
    """Leaves every update to the engine."""

    def update(self, *_: Any) -> None:
        return None

    def update_all(self, *arguments: Any) -> Any:
        _, _, _, _, first, _, _ = arguments
        return first


class Side:
    """An engine and what can be seen of it."""

    def __init__(self, room: int, is_subscribed: bool, indexed: Collection[str]) -> None:
        self.journal = RecordingJournal(room)
        self.events: list[str] = []
        self.engine = Engine(
            self.journal,
            NoNotifier(),
            self._tick,
            MessageRules(timeout_s=1.0, max_length=1000),
            DeliveryRules(1, 1, 1, 1),
            Deprecations(LogLimits(1000, 1000), Statistics()),
        )
        self._now = 1_700_000_000.0
        if is_subscribed:
            body = {
                "subject": {"entities": [{"idPattern": "nobody"}]},
                "notification": {"http": {"url": "http://127.0.0.1:1/"}},
            }
            self.engine.put_subscription("", decode_subscription(body, "1" * 24, "/"))

        if indexed:
            first = decode_entity_object({"id": "first", "type": "T"}, key_values=False)
            self.engine.create_entity(Origin(), first, False, PLAIN_UPDATE)
            entities = self.engine.tenant("").entities
            for name in indexed:
                entities.indexes[name] = AttributeIndex(name)
                entities.indexes[name].finish()  # no entity has it yet

    def _tick(self) -> float:
        """A clock that stands: how often it is looked at is not to be seen."""
        return self._now

    def publish(self, tenant: Any, origin: Any, event: EntityEvent) -> None:
        self.events.append(
            repr(
                (
                    event.entity,
                    list(event.attributes.items()),
                    event.alteration,
                    sorted(event.updated),
                    sorted(event.changed_values),
                    sorted(event.changed_metadata),
                    sorted(event.previous.items()),
                    sorted(event.actions.items()),
                )
            )
        )

    def run(self, step: tuple[Any, ...]) -> str:
        documents, action, options, path, way = step
        self._now += 1
        origin = Origin(scope=ServicePathScope(path))
        updates = [decode_entity_object(item, key_values=False) for item in documents]
        with patch.object(self.engine._publisher, "publish", self.publish):
            try:
                if way == "batch":
                    return repr(self.engine.update(origin, updates, action, options))
                if way == "entity":
                    return repr(self.engine.update_entity(origin, updates[0], action, options))
                if way == "attribute":
                    return repr(self.engine.update_attribute(origin, updates[0], action, options))
                update = EntityUpdate(updates[0].id, updates[0].type or "T", updates[0].attributes)
                return repr(self.engine.create_entity(origin, update, True, options))
            except NgsiError as error:
                return repr((type(error), error.description))

    def state(self) -> list[Any]:
        table = self.engine.tenant("").entities
        table.check()
        return [
            (
                repr(entity),
                repr(list(entity.attributes.items())),
                [(item.created, item.modified) for item in entity.attributes.values()],
                entity.created,
                entity.modified,
                entity.locations,
                entity.expires,
                entity.size,
            )
            for block in table.all.blocks()
            for entity in block
        ]


values = st.sampled_from(
    [1, 2, True, 1.5, "a", "b", None, [1], {"a": 1}, {"$inc": 1}, {"$push": 1}, {"$unset": 1}]
)
metadata = st.dictionaries(
    st.sampled_from(["unit", "ignoreType"]),
    st.fixed_dictionaries({"value": st.sampled_from([True, "C", 1])}),
    max_size=1,
)
attributes = st.fixed_dictionaries(
    {"value": values},
    optional={"type": st.sampled_from(["Number", "Text"]), "metadata": metadata},
) | st.sampled_from(
    [
        {"type": "geo:point", "value": "1,2"},
        {"type": "geo:point", "value": None},
        {"type": "geo:point", "value": "nowhere"},
        {"type": "DateTime", "value": "2030-01-01"},
    ]
)
entities = st.builds(
    dict[str, Any].__or__,
    st.fixed_dictionaries(
        {"id": st.sampled_from(["e1", "e2"])}, optional={"type": st.sampled_from(["T", "U"])}
    ),
    st.dictionaries(st.sampled_from(["a", "b", "c", "place"]), attributes, max_size=4)
    | st.just({"dateExpires": {"type": "DateTime", "value": "2030-01-01"}}),
)
steps = st.tuples(
    st.lists(entities, min_size=1, max_size=3),
    st.sampled_from([UpdateAction.APPEND, UpdateAction.APPEND, UpdateAction.UPDATE, *UpdateAction]),
    st.just(PLAIN_UPDATE) | st.builds(UpdateOptions, st.booleans(), st.booleans()),
    st.sampled_from([(), ("/",), ("/a",), ("/a", "/b")]),
    st.sampled_from(["batch", "entity", "attribute", "upsert"]),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(steps, min_size=2, max_size=10),
    st.booleans(),
    st.sampled_from([3, 100]),
    st.just(()) | st.just(("a", "place")),
)
def test_an_ordinary_update_is_an_update(
    run: list[tuple[Any, ...]], is_subscribed: bool, room: int, indexed: tuple[str, ...]
) -> None:
    native, defined = (Side(room, is_subscribed, indexed) for _ in range(2))
    with patch.object(defined.engine, "_kernel", NothingIsOrdinary()):
        for step in run:
            assert native.run(step) == defined.run(step)
            assert native.journal.records == defined.journal.records
            assert native.events == defined.events
            assert native.state() == defined.state()
