"""Subscriptions at rest: each is what it was before, whatever was looked at in between."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker import records
from broker.matcher import is_triggered
from broker.packed_subscription import join_sections, pack, unpack
from broker.subscription_table import SubscriptionTable
from ngsi.model import AlterationType, Attribute, Entity, EntityEvent
from ngsi.subscription import Counters, Subscription, SubscriptionStatus
from ngsi.v2.subscriptions import decode_subscription, render_subscription, update_subscription

NOW = 1_800_000_000.0
names = st.sampled_from(["a", "b", "temperature"])
name_lists = st.lists(names, unique=True, max_size=3)
texts = st.text(st.sampled_from("abc é/\x1f,0"), max_size=8)
some_texts = st.sampled_from(["x", "x y", "é", "a,b"])


def members(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Documents in which any of the members may be missing."""
    return st.fixed_dictionaries({}, optional=strategies)


selectors = st.sampled_from(
    [
        {"id": "E1", "type": "T"},
        {"id": "E2"},
        {"idPattern": ".*"},
        {"idPattern": "^E[12]$", "type": "T"},
        {"idPattern": ".*", "typePattern": "T|U"},
    ]
)
expressions = st.sampled_from(
    [
        {"q": "a>1"},
        {"q": "a==1..2.5;b!=7"},
        {"q": "a~=^x;b"},
        {"q": "a:'1,2'", "mq": "a.m==1"},
        {"georel": "near;maxDistance:10", "geometry": "point", "coords": "40,-3"},
        {"q": "!a", "georel": "coveredBy", "geometry": "polygon", "coords": "0,0;0,1;1,1;0,0"},
    ]
)
conditions = members(
    attrs=name_lists,
    expression=expressions,
    alterationTypes=st.lists(st.sampled_from([kind.value for kind in AlterationType]), unique=True),
    notifyOnMetadataChange=st.booleans(),
    jexlExpression=some_texts,
).filter(bool)
http = members(timeout=st.integers(0, 1000)).map(lambda more: {"url": "http://h:1/p", **more})
mqtt = members(retain=st.booleans()).map(
    lambda more: {"url": "mqtt://h", "topic": "t", "qos": 1, "user": "u", "passwd": "p", **more}
)
templates = st.sampled_from(
    [
        {},
        {"payload": None},
        {"payload": "%22${a}%22"},
        {"json": {"x": ["${a}", 1.5, None]}},
        {"ngsi": {"id": "x", "a": {"value": "${b}"}}},
    ]
)
http_custom = st.builds(
    lambda receiver, template, more: {**receiver, **template, **more},
    http,
    templates,
    members(
        method=st.sampled_from(["PUT", "get"]),
        qs=st.just({"k": "${a}"}),
        headers=st.just({"X": "é"}),
    ),
)
mqtt_custom = st.builds(lambda receiver, template: {**receiver, **template}, mqtt, templates)
receivers = st.one_of(
    http.map(lambda receiver: {"http": receiver}),
    http_custom.map(lambda receiver: {"httpCustom": receiver}),
    mqtt.map(lambda receiver: {"mqtt": receiver}),
    mqtt_custom.map(lambda receiver: {"mqttCustom": receiver}),
)
attribute_lists: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    name_lists.map(lambda found: {"attrs": found}),
    name_lists.filter(bool).map(lambda found: {"exceptAttrs": found}),
    name_lists.filter(bool).map(lambda found: {"attrs": found, "covered": True}),
)
notifications = st.builds(
    lambda receiver, attributes, more: {**receiver, **attributes, **more},
    receivers,
    attribute_lists,
    members(
        metadata=name_lists,
        attrsFormat=st.sampled_from(["normalized", "keyValues", "values", "simplifiedNormalized"]),
        onlyChangedAttrs=st.booleans(),
        maxFailsLimit=st.integers(1, 9),
        durable=st.booleans(),
    ),
)
subjects = st.builds(
    lambda entities, condition: {"entities": entities, **condition},
    st.lists(selectors, min_size=1, max_size=2),
    members(condition=conditions),
)
documents = st.builds(
    lambda subject, notification, rest: {"subject": subject, "notification": notification, **rest},
    subjects,
    notifications,
    members(
        description=texts,
        expires=st.sampled_from(["", "2020-01-01T00:00:00.125Z", "2050-01-01T00:00:00Z"]),
        throttling=st.integers(0, 100),
        status=st.sampled_from([status.value for status in SubscriptionStatus]),
    ),
)
times = st.none() | st.floats(0, 2e9)
counts = st.integers(0, 2**40)
all_counters = st.builds(
    Counters, counts, times, times, st.none() | counts, times, st.none() | texts, counts, counts
)
service_paths = st.sampled_from(["/", "/#", "/a/b", "/a/#"])


@st.composite
def subscriptions(draw: st.DrawFn, subscription_id: str = "5" * 24) -> Subscription:
    subscription = decode_subscription(draw(documents), subscription_id, draw(service_paths))
    if draw(st.booleans()):
        subscription.status = draw(st.sampled_from(SubscriptionStatus))
        subscription.counters = draw(all_counters)
        subscription.pending = draw(st.integers(0, 9))
    return subscription


def everything_of(subscription: Subscription) -> dict[str, Any]:
    """All that it holds, in terms that compare; fields without any are shown as documents."""
    shown = {field.name: getattr(subscription, field.name) for field in fields(Subscription)}
    condition, delivery = shown.pop("condition"), shown.pop("delivery")
    shown["condition"] = replace(condition, q=None, mq=None, geo=None)
    shown["delivery"] = replace(delivery, custom=None)
    shown["has"] = [part is None for part in (condition.q, condition.mq, condition.geo)]
    shown["custom"] = delivery.custom and (delivery.custom.kind, delivery.custom.template)
    shown["counters"] = replace(subscription.counters)  # not the one that goes on counting
    shown["stored"] = render_subscription(subscription, now=None)
    return shown


@given(subscriptions())
def test_at_rest_and_back(subscription: Subscription) -> None:
    packed = pack(subscription)
    made = unpack(subscription.id, packed)
    assert everything_of(made) == everything_of(subscription)
    assert pack(made) == packed


@given(subscriptions())
def test_from_the_journal(subscription: Subscription) -> None:
    document = records.encode_subscription(subscription)
    made = unpack(subscription.id, join_sections(records.read_stored_subscription(document)))
    stored = records.decode_stored_subscription([subscription.id], document)
    assert everything_of(made) == everything_of(stored)
    subscription.pending = 0  # is of deliveries under way, which have records of their own
    assert everything_of(made) == everything_of(subscription)


@given(documents)
def test_from_a_document_of_the_api(document: dict[str, Any]) -> None:
    """As `rigel journal import` may give it: with defaults, or without."""
    given = {"servicePath": "/", "subscription": document, "counters": {}}
    made = unpack("1" * 24, join_sections(records.read_stored_subscription(orjson.dumps(given))))
    assert everything_of(made) == everything_of(decode_subscription(document, "1" * 24, "/"))


attribute = Attribute("Number", 2, {}, 0.0, 0.0)
EVENTS = [
    EntityEvent(
        Entity(entity_id, "T", "/", attributes, 0.0, 0.0, 0),
        attributes,
        AlterationType.CREATE,
        frozenset(attributes),
        frozenset(attributes),
        frozenset(attributes),
    )
    for entity_id in ("E1", "E2", "E3")
    for attributes in ({"a": attribute}, {"a": attribute, "b": attribute})
]


class TableModel(RuleBasedStateMachine):
    """A table in which at most two subscriptions are alive, beside a dictionary of them."""

    def __init__(self) -> None:
        super().__init__()
        self.table = SubscriptionTable(live_max=2)
        self.known: dict[str, Subscription] = {}
        self.made = 0

    def draw_id(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(list(self.known)))

    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        self.made += 1
        subscription = data.draw(subscriptions(f"{self.made:024x}"))
        self.table.put(subscription)
        self.known[subscription.id] = replace(subscription, counters=replace(subscription.counters))

    @precondition(lambda self: self.known)
    @rule(data=st.data(), document=documents)
    def change(self, data: st.DataObject, document: dict[str, Any]) -> None:
        subscription_id = self.draw_id(data)
        former = self.table.get(subscription_id)
        assert former is not None
        self.table.put(update_subscription(document, former, None))
        self.known[subscription_id] = update_subscription(
            document, self.known[subscription_id], None
        )

    @precondition(lambda self: self.known)
    @rule(data=st.data(), counters=all_counters, status=st.sampled_from(SubscriptionStatus))
    def count(self, data: st.DataObject, counters: Counters, status: SubscriptionStatus) -> None:
        subscription_id = self.draw_id(data)
        found = self.table.get(subscription_id)
        assert found is not None
        for subscription in (found, self.known[subscription_id]):
            for name in Counters.__slots__:
                setattr(subscription.counters, name, getattr(counters, name))
            subscription.status = status
            subscription.pending += 1

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        subscription_id = self.draw_id(data)
        self.table.remove(subscription_id)
        del self.known[subscription_id]
        assert self.table.get(subscription_id) is None
        assert self.table.progress(subscription_id) is None

    @rule(event=st.sampled_from(EVENTS))
    def match(self, event: EntityEvent) -> None:
        matched = [self.table.at(handle).id for handle in self.table.match(event)]
        assert sorted(matched) == sorted(
            item.id for item in self.known.values() if is_triggered(item, event)
        )

    @rule(offset=st.integers(0, 4), limit=st.integers(1, 4), service_path=st.none() | service_paths)
    def list(self, offset: int, limit: int, service_path: str | None) -> None:
        page, total = self.table.page(offset, limit, service_path)
        expected = [
            item
            for item in self.known.values()
            if service_path is None or item.service_path == service_path
        ]
        assert total == len(expected)
        assert [everything_of(item) for item in page] == [
            everything_of(item) for item in expected[offset : offset + limit]
        ]

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        known = self.known[self.draw_id(data)]
        progress = self.table.progress(known.id)
        assert progress == (known.status, known.pending, known.counters)
        found = self.table.get(known.id)
        assert found is not None
        assert everything_of(found) == everything_of(known)
        assert self.table.get(known.id) is found

    @invariant()
    def has_the_same_ids_in_order(self) -> None:
        assert list(self.table) == list(self.known)
        assert len(self.table) == len(self.known)
        if not self.known:
            assert self.table.memory_bytes()[1] == 0


TableModel.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestTableModel = TableModel.TestCase
