"""What the broker knows of subscriptions outlives its process, stopped or killed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.endpoints import refuse_connections
from tests.integration.subscriptions import (
    WAIT_TIMEOUT_S,
    await_state,
    change,
    counters,
    create,
    document,
    force_update,
    has_ended,
    has_failed,
    received_ids,
    show,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Receiver, StartBroker

# Few lanes, so that notifications can be told to come before or after others.
FLAGS = ("-multiservice", "--notification-connections", "1", "--durability", "process")
RECORDS = re.compile(r"^rigel_journal_records_total (\S+)$", re.MULTILINE)


@pytest.fixture
def dead_url() -> Iterator[str]:
    """A URL whose endpoint refuses connections."""
    with refuse_connections() as url:
        yield url


def await_flush(api: Api) -> None:
    """Wait until the journal has the counters of now, which it gets once a second.

    Every update of this function adds one record to the journal and counts for a subscription
    that is triggered by all; a record beyond them is one of counters.
    """

    def records() -> float:
        found = RECORDS.search(api.get("/metrics").text)
        assert found is not None
        return float(found[1])

    start, updates = records(), 0
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while records() == start + updates:
        assert time.monotonic() < deadline
        force_update(api)
        updates += 1


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_counters_and_status(
    start_broker: StartBroker, connect: Connect, receiver: Receiver, dead_url: str, end: str
) -> None:
    broker = start_broker(*FLAGS)
    api = connect(broker, "t")
    create(api, A=1)
    create(api, "F", A=1)
    # To the one entity go those that are compared, to the other the one that goes on counting.
    only_f = [{"id": "F"}]
    live = api.subscribe(document(receiver.url, entities=only_f, throttling=3600))
    limited = api.subscribe(document(dead_url, entities=only_f, notification={"maxFailsLimit": 1}))
    failing = api.subscribe(document(dead_url, entities=only_f))
    oneshot = api.subscribe(document(receiver.url, entities=only_f, status="oneshot"))
    paused = api.subscribe(document(receiver.url, entities=only_f))
    busy = api.subscribe(document(receiver.url, entities=[{"id": "E"}]))
    for _ in range(2):
        reply = api.patch("/v2/entities/F/attrs", {"A": {"value": 1}}, options="forcedUpdate")
        assert reply.status == 204
    for subscription_id in (limited, failing):
        await_state(api, subscription_id, has_failed(2))
    for subscription_id, times in ((live, 1), (oneshot, 1), (paused, 2)):
        await_state(api, subscription_id, has_ended(times, "lastSuccess"))
    receiver.take_until_fence(api)
    change(api, paused, status="inactive", expires="2050-01-01T00:00:00.000Z")
    compared = (live, limited, failing, oneshot, paused)
    before = [show(api, subscription_id) for subscription_id in compared]
    assert [item["status"] for item in before] == [
        "active",
        "inactive",
        "active",
        "inactive",
        "inactive",
    ]
    assert [counters(item)["timesSent"] for item in before] == [1, 2, 2, 1, 2]

    if end == "kill":
        await_flush(api)
        broker.kill()
    else:
        assert broker.stop() == 0
    api = connect(start_broker(*FLAGS, directory=broker.directory), "t")

    assert [show(api, subscription_id) for subscription_id in compared] == before
    # Throttling, the limit, oneshot and the pause hold; the rest goes on counting.
    reply = api.patch("/v2/entities/F/attrs", {"A": {"value": 1}}, options="forcedUpdate")
    assert reply.status == 204
    force_update(api)
    await_state(api, failing, has_failed(3))
    assert counters(show(api, failing))["timesSent"] == 3
    after = [show(api, subscription_id) for subscription_id in compared]
    assert [counters(item)["timesSent"] for item in after] == [1, 2, 3, 1, 2]
    heard = {delivery.json["subscriptionId"] for delivery in receiver.take_until_fence(api)}
    assert heard == {busy}


def test_oneshot_that_fired_is_known_at_once(
    start_broker: StartBroker, connect: Connect, receiver: Receiver
) -> None:
    # Not once a second as counters: it must not fire a second time after a crash.
    broker = start_broker(*FLAGS)
    api = connect(broker, "t")
    subscription_id = api.subscribe(document(receiver.url, status="oneshot"))
    create(api, A=1)
    broker.kill()
    api = connect(start_broker(*FLAGS, directory=broker.directory), "t")
    assert show(api, subscription_id)["status"] == "inactive"
    create(api, "F", A=1)
    assert set(received_ids(api, receiver)) <= {"E"}


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_changes_and_removals(
    start_broker: StartBroker, connect: Connect, receiver: Receiver, end: str
) -> None:
    broker = start_broker(*FLAGS)
    api = connect(broker, "t")
    kept, changed, removed = (api.subscribe(document(receiver.url)) for _ in range(3))
    change(api, changed, subject={"entities": [{"id": "F"}]}, description="changed")
    assert api.delete(f"/v2/subscriptions/{removed}").status == 204
    before = api.get("/v2/subscriptions").json
    if end == "kill":
        broker.kill()
    else:
        assert broker.stop() == 0
    api = connect(start_broker(*FLAGS, directory=broker.directory), "t")
    assert api.get("/v2/subscriptions").json == before
    # New ids do not take the place of old ones.
    new = api.subscribe(document(receiver.url))
    assert [item["id"] for item in api.get("/v2/subscriptions").json] == [kept, changed, new]
    create(api, A=1)
    create(api, "F", A=1)
    heard: list[Any] = [
        (delivery.json["subscriptionId"], delivery.data[0]["id"])
        for delivery in receiver.take_until_fence(api)
    ]
    assert heard == [(kept, "E"), (new, "E"), (kept, "F"), (changed, "F"), (new, "F")]


FILLERS = 300
ON_E = [{"id": "E"}]
PLACE = {"type": "geo:point", "value": "40,-3"}


def every_kind(port: int) -> dict[str, dict[str, Any]]:
    """Subscriptions of every kind by a name, which is also the path that they notify."""

    def http(name: str, **parts: Any) -> dict[str, Any]:
        return document(f"http://127.0.0.1:{port}/{name}", entities=ON_E, **parts)

    def custom(name: str, **template: Any) -> dict[str, Any]:
        made = http(name)
        receiver = {"url": made["notification"].pop("http")["url"], **template}
        return {**made, "notification": {"httpCustom": receiver, "attrs": ["A"]}}

    def near(name: str, coords: str) -> dict[str, Any]:
        place = {"georel": "near;maxDistance:1000", "geometry": "point", "coords": coords}
        return http(name, condition={"expression": place})

    kinds = {
        "plain": http("plain"),
        "described": http("described", description="as é, with \\"),
        "q": http("q", condition={"attrs": ["A"], "expression": {"q": "A>0;!B"}}),
        "q-pattern": http("q-pattern", condition={"expression": {"q": "A!=7;S~=^x"}}),
        "q-not": http("q-not", condition={"expression": {"q": "A==-2..0"}}),
        "mq": http("mq", condition={"expression": {"mq": "A.m==1"}}),
        "here": near("here", "40,-3"),
        "far": near("far", "10,10"),
        "jexl": http("jexl", condition={"jexlExpression": "A > 0"}),
        "created": http("created", condition={"alterationTypes": ["entityCreate"]}),
        "quiet": http("quiet", condition={"attrs": ["A"], "notifyOnMetadataChange": False}),
        "text": custom("text", payload="A is ${A}", method="PUT", headers={"X": "${id}"}),
        "json": custom("json", json={"a": ["${A}", None, 1.5]}, qs={"k": "v"}),
        "ngsi": custom("ngsi", ngsi={"id": "x${id}", "more": {"value": "${A}", "type": "T"}}),
        "durable": http("durable", notification={"durable": True}),
        "except": http("except", notification={"exceptAttrs": ["S"], "attrsFormat": "keyValues"}),
        "covered": http("covered", notification={"attrs": ["A", "N"], "covered": True}),
        "limited": http("limited", notification={"maxFailsLimit": 3, "onlyChangedAttrs": True}),
        "oneshot": http("oneshot", status="oneshot"),
        "throttled": http("throttled", throttling=3600),
        "inactive": http("inactive", status="inactive"),
        "expired": http("expired", expires="2020-01-01T00:00:00.000Z"),
        "until": http("until", expires="2050-01-01T00:00:00.000Z"),
    }
    types = http("types")
    types["subject"]["entities"] = [{"idPattern": "^(E|F)$", "typePattern": "T|U"}, {"id": "G"}]
    mqtt = {"url": f"mqtt://127.0.0.1:{port}", "topic": "t", "user": "u", "passwd": "p", "qos": 1}
    waiting = document("", entities=[{"id": "G"}], status="oneshot")
    waiting["notification"] = {"mqtt": mqtt}
    return {**kinds, "types": types, "waiting": waiting}


def list_all(api: Api) -> list[Any]:
    """All subscriptions, page by page; the last one is short."""
    listed: list[Any] = []
    while len(listed) % 100 == 0:
        page = api.get("/v2/subscriptions", limit="100", offset=str(len(listed))).json
        listed += page
    return listed


def heard_paths(api: Api, receiver: Receiver) -> list[str]:
    return sorted(
        delivery.path.partition("?")[0].removeprefix("/")
        for delivery in receiver.take_until_fence(api)
    )


def test_every_kind_among_many(
    start_broker: StartBroker, connect: Connect, receiver: Receiver
) -> None:
    broker = start_broker(*FLAGS)
    api = connect(broker, "t")
    ids = {name: api.subscribe(kind) for name, kind in every_kind(receiver.port).items()}
    for number in range(FILLERS):
        api.subscribe(document(receiver.url, entities=[{"id": f"D{number}", "type": "Device"}]))
    elsewhere = document(receiver.url, description="elsewhere")
    ids["elsewhere"] = api.subscribe(elsewhere, service_path="/a/#")

    def change_place(value: int) -> None:
        attribute = {"value": value, "metadata": {"m": {"value": 1, "type": "Number"}}}
        reply = api.patch("/v2/entities/E/attrs", {"A": attribute})
        assert reply.status == 204

    api.create(
        {
            "id": "E",
            "type": "T",
            "A": {"value": 1, "metadata": {"m": {"value": 1, "type": "Number"}}},
            "S": {"value": "xyz"},
            "place": PLACE,
        }
    )
    silent = {"q-not", "far", "inactive", "expired", "waiting", "elsewhere"}
    fired = sorted(ids.keys() - silent)
    assert heard_paths(api, receiver) == fired
    for name in fired:
        await_state(api, ids[name], has_ended(1, "lastSuccess"))
    before = list_all(api)
    assert len(before) == len(ids) + FILLERS
    placed = api.get("/v2/subscriptions", service_path="/a/#", options="count")
    assert [item["id"] for item in placed.json] == [ids["elsewhere"]]

    assert broker.stop() == 0
    api = connect(start_broker(*FLAGS, directory=broker.directory), "t")

    assert list_all(api) == before
    again_placed = api.get("/v2/subscriptions", service_path="/a/#", options="count")
    assert again_placed.json == placed.json
    assert again_placed.headers["Fiware-Total-Count"] == "1"
    assert [show(api, item["id"]) for item in before[:30]] == before[:30]
    change_place(2)
    again = sorted(set(fired) - {"created", "oneshot", "throttled"})
    assert heard_paths(api, receiver) == again
    for name in again:
        await_state(api, ids[name], has_ended(2, "lastSuccess"))
    # What was changed goes on as it is, and what was removed is gone.
    change(api, ids["plain"], subject={"entities": [{"id": "D7"}]})
    change(api, ids["inactive"], status="active")
    assert api.delete(f"/v2/subscriptions/{ids['q']}").status == 204
    change_place(3)
    assert heard_paths(api, receiver) == sorted({*again, "inactive"} - {"plain", "q"})
    assert [item["id"] for item in list_all(api)] == [
        item["id"] for item in before if item["id"] != ids["q"]
    ]
