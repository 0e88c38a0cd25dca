"""`--multi-location`: entities with several locations, and what is left of them without it.

Source of Orion's rule: Orion API, section "Geospatial properties of entities". The rule of one
location at work by itself: test_locations.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from broker.launch import BrokerProcess
from broker.location import MAX_LOCATIONS

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Receiver, Reply, StartBroker

FLAGS = ("-multiservice", "--multi-location", "--notification-connections", "1")
SECOND_LOCATION = (
    413,
    "NoResourcesAvailable",
    "You cannot use more than one geo location attribute when creating an entity. "
    "Use ignoreType metadata if you want to add additional informative locations.",
)
TOO_MANY = (
    413,
    "NoResourcesAvailable",
    f"You cannot use more than {MAX_LOCATIONS} geo location attributes in an entity. "
    "Use ignoreType metadata if you want to add additional informative locations.",
)
HARBOUR, STATION, MARKET = (10, 20), (30, 40), (50, 60)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker with the flag, for the tests of this module."""
    with BrokerProcess(tmp_path_factory.mktemp("multi") / "data", FLAGS) as process:
        yield process


def at(place: tuple[float, float], **metadata: Any) -> dict[str, Any]:
    """An attribute with a point."""
    value = {"type": "Point", "coordinates": list(place)}
    return {"type": "geo:json", "value": value, "metadata": metadata}


def within(api: Api, place: tuple[float, float], radius_m: int = 1, **how: Any) -> list[str]:
    """The ids of the entities around a place."""
    lon, lat = place
    reply = api.get(
        "/v2/entities",
        georel=f"near;maxDistance:{radius_m}",
        geometry="point",
        coords=f"{lat},{lon}",
        **how,
    )
    assert reply.status == 200, reply
    return [entity["id"] for entity in reply.json]


def found(api: Api) -> tuple[list[str], list[str], list[str]]:
    """The ids at each of the three places."""
    return within(api, HARBOUR), within(api, STATION), within(api, MARKET)


def test_every_location_is_found(api: Api) -> None:
    whole = {"id": "E", "type": "T", "a": at(HARBOUR), "b": at(STATION), "c": at(MARKET)}
    api.create(whole, {"id": "F", "type": "T", "b": at(STATION)})
    assert api.get("/v2/entities/E").json == whole
    assert found(api) == (["E"], ["E", "F"], ["E"])
    # One entity once, however many of its locations match.
    everywhere = 20_000_000
    reply = api.get(
        "/v2/entities",
        georel=f"near;maxDistance:{everywhere}",
        geometry="point",
        coords="0,0",
        options="count",
    )
    assert [entity["id"] for entity in reply.json] == ["E", "F"]
    assert reply.headers["Fiware-Total-Count"] == "2"


def test_relations_match_by_any_location(api: Api) -> None:
    api.create({"id": "E", "a": at(HARBOUR), "b": at(STATION)}, {"id": "F", "b": at(STATION)})
    around_harbour = {"geometry": "box", "coords": "19,9;21,11"}

    def ids(georel: str) -> list[str]:
        reply = api.get("/v2/entities", georel=georel, **around_harbour)
        return [entity["id"] for entity in reply.json]

    assert ids("coveredBy") == ids("intersects") == ["E"]
    # The station of E is away from the harbour.
    assert ids("disjoint") == ["E", "F"]
    equal = api.get("/v2/entities", georel="equals", geometry="point", coords="40,30").json
    assert [entity["id"] for entity in equal] == ["E", "F"]
    far = api.get(
        "/v2/entities", georel="near;minDistance:1000000", geometry="point", coords="20,10"
    ).json
    assert [entity["id"] for entity in far] == ["E", "F"]


def test_batch_query(api: Api) -> None:
    api.create({"id": "E", "a": at(HARBOUR), "b": at(STATION)}, {"id": "F", "a": at(HARBOUR)})
    expression = {"georel": "near;maxDistance:1", "geometry": "point", "coords": "40,30"}
    reply = api.post("/v2/op/query", {"expression": expression})
    assert [entity["id"] for entity in reply.json] == ["E"]


def test_order_is_by_the_nearest_location(api: Api) -> None:
    api.create(
        {"id": "Middle", "a": at((2, 0))},
        {"id": "Both", "a": at((9, 0)), "b": at((1, 0))},
        {"id": "Far", "a": at((5, 0)), "b": at((8, 0))},
    )
    order = {"orderBy": "geo:distance"}
    assert within(api, (0, 0), 10_000_000, **order) == ["Both", "Middle", "Far"]
    order["orderBy"] = "!geo:distance"
    assert within(api, (0, 0), 10_000_000, **order) == ["Far", "Middle", "Both"]


def test_updates_add_change_and_remove_locations(api: Api) -> None:
    entity = "/v2/entities/E/attrs"
    api.create({"id": "E", "a": at(HARBOUR), "x": {"value": 1}})
    assert api.post(entity, {"b": at(STATION)}).status == 204
    assert found(api) == (["E"], ["E"], [])
    assert api.patch(f"{entity}", {"b": at(MARKET)}).status == 204
    assert found(api) == (["E"], [], ["E"])
    # An update of something else moves nothing.
    assert api.put(f"{entity}/x", {"value": 2}).status == 204
    assert found(api) == (["E"], [], ["E"])
    assert api.delete(f"{entity}/a").status == 204
    assert found(api) == ([], [], ["E"])
    batch = {
        "actionType": "append",
        "entities": [{"id": "E", "a": at(HARBOUR), "c": at(STATION)}],
    }
    assert api.post("/v2/op/update", batch).status == 204
    assert found(api) == (["E"], ["E"], ["E"])
    # No location any more: another type, null, ignoreType.
    assert api.put(f"{entity}/a", {"type": "Own", "value": {"x": 1}}).status == 204
    assert found(api) == ([], ["E"], ["E"])
    assert api.put(f"{entity}/b/value", b"null", content_type="text/plain").status == 204
    assert found(api) == ([], ["E"], [])
    ignored = at(STATION, ignoreType={"type": "Boolean", "value": True})
    assert api.put(f"{entity}/c", ignored).status == 204
    assert found(api) == ([], [], [])
    assert api.put(entity, {"p": at(HARBOUR), "q": at(MARKET)}).status == 204
    assert found(api) == (["E"], [], ["E"])
    api.delete("/v2/entities/E")
    assert found(api) == ([], [], [])


def test_a_bad_location_is_named_and_nothing_is_done(api: Api) -> None:
    api.create({"id": "E", "a": at(HARBOUR)})
    wrong = {"type": "geo:json", "value": {"type": "Point", "coordinates": [1]}}
    feature = {"type": "geo:json", "value": {"type": "Feature"}}
    for reply, fault in (
        (api.post("/v2/entities/E/attrs", {"b": at(STATION), "gate": wrong}), "Wrong GeoJson"),
        (api.put("/v2/entities/E/attrs", {"gate": feature}), "geometry in Feature not found"),
        (api.post("/v2/entities", {"id": "F", "gate": wrong}), "Wrong GeoJson"),
    ):
        description = f"error parsing location attribute gate: {fault}"
        assert reply.refusal == (400, "BadRequest", description)
    assert within(api, HARBOUR) == ["E"]
    assert within(api, STATION) == []
    assert api.get("/v2/entities/F").status == 404


def test_the_number_of_locations_is_bounded(api: Api) -> None:
    full = {f"g{number}": at((number, number)) for number in range(MAX_LOCATIONS)}
    api.create({"id": "E", **full})
    refused: list[Reply] = [
        api.post("/v2/entities/E/attrs", {"more": at(STATION)}),
        api.put("/v2/entities/E/attrs", {**full, "more": at(STATION)}),
        api.post("/v2/entities", {"id": "F", **full, "more": at(STATION)}),
    ]
    assert [reply.refusal for reply in refused] == [TOO_MANY] * 3
    assert within(api, (15, 15)) == ["E"]
    assert within(api, STATION) == []
    # What is ignored does not count; what is given up makes room.
    ignored = at(STATION, ignoreType={"type": "Boolean", "value": True})
    assert api.post("/v2/entities/E/attrs", {"more": ignored}).status == 204
    update = {"g0": {"type": "Number", "value": 1}, "other": at(STATION)}
    assert api.post("/v2/entities/E/attrs", update).status == 204
    assert within(api, STATION) == ["E"]
    assert within(api, (0, 0)) == []


def test_subscriptions_look_at_every_location(api: Api, receiver: Receiver) -> None:
    expression = {"georel": "near;maxDistance:1", "geometry": "point", "coords": "40,30"}
    api.subscribe(
        {
            "subject": {"entities": [{"idPattern": ".*"}], "condition": {"expression": expression}},
            "notification": {"http": {"url": receiver.url}, "attrs": ["n"]},
        }
    )
    update = "/v2/entities/E/attrs"
    api.create({"id": "E", "n": {"value": 1}, "a": at(HARBOUR)})
    api.post(update, {"b": at(STATION), "n": {"value": 2}})  # the first that is there
    api.post(update, {"a": at(MARKET), "n": {"value": 3}})
    api.patch(update, {"b": at(HARBOUR), "n": {"value": 4}})
    api.patch(update, {"a": at(STATION), "n": {"value": 5}})
    api.delete("/v2/entities/E/attrs/a")
    values = [delivery.data[0]["n"]["value"] for delivery in receiver.take_until_fence(api)]
    assert values == [2, 3, 5]


def test_forwarding_is_as_before(api: Api, connect: Connect, other_broker: BrokerProcess) -> None:
    # The provider keeps Orion's rule, and its answer is the client's.
    remote = connect(other_broker, api.tenant)
    remote.create({"id": "R", "type": "T", "a": at(HARBOUR)})
    registration = {
        "dataProvided": {"entities": [{"id": "R", "type": "T"}]},
        "provider": {"http": {"url": f"{other_broker.url}/v2"}},
    }
    assert api.post("/v2/registrations", registration).status == 201
    whole = {"id": "R", "type": "T", "a": at(HARBOUR)}
    assert api.get("/v2/entities/R", type="T").json == whole
    assert api.patch("/v2/entities/R/attrs?type=T", {"a": at(STATION)}).status == 204
    assert within(remote, STATION) == ["R"]


class TestRestarts:
    """Data of one rule under the other."""

    def open(
        self, start_broker: StartBroker, connect: Connect, directory: Path, *flags: str
    ) -> Api:
        return connect(start_broker("-multiservice", *flags, directory=directory), "rig")

    def test_kept_by_the_rule_that_wrote_them(
        self, tmp_path: Path, start_broker: StartBroker, connect: Connect
    ) -> None:
        directory = tmp_path / "data"
        api = self.open(start_broker, connect, directory, "--multi-location")
        api.create({"id": "E", "a": at(HARBOUR), "x": {"value": 1}, "y": {"value": 1}})
        api.post("/v2/entities/E/attrs", {"b": at(STATION)})
        api.create({"id": "F", "a": at(HARBOUR)}, {"id": "G", "x": {"value": 1}})
        assert found(api) == (["E", "F"], ["E"], [])
        api.broker.kill()
        api = self.open(start_broker, connect, directory, "--multi-location")
        assert found(api) == (["E", "F"], ["E"], [])

    def test_without_the_flag(
        self, tmp_path: Path, start_broker: StartBroker, connect: Connect
    ) -> None:
        directory = tmp_path / "data"
        api = self.open(start_broker, connect, directory, "--multi-location")
        api.create(
            *({"id": name, "a": at(HARBOUR), "b": at(STATION)} for name in ("E", "F", "G", "H"))
        )
        api.broker.stop()
        api = self.open(start_broker, connect, directory)
        # They keep what they have, through updates of something else.
        assert api.post("/v2/entities/E/attrs", {"x": {"value": 1}}).status == 204
        everyone = ["E", "F", "G", "H"]
        assert found(api) == (everyone, everyone, [])
        # A third one is one too many, as is a new entity with two.
        third = {"c": at(MARKET)}
        assert api.post("/v2/entities/E/attrs", third).refusal == SECOND_LOCATION
        new = {"id": "N", "a": at(HARBOUR), "b": at(STATION)}
        assert api.post("/v2/entities", new).refusal == SECOND_LOCATION
        # Taking one away leaves the other; changing one makes it the only one.
        assert api.delete("/v2/entities/E/attrs/a").status == 204
        assert api.post("/v2/entities/F/attrs", {"a": at(MARKET)}).status == 204
        assert api.patch("/v2/entities/G/attrs", {"b": at(MARKET)}).status == 204
        after = (["H"], ["E", "H"], ["F", "G"])
        assert found(api) == after
        api.broker.stop()
        api = self.open(start_broker, connect, directory)
        assert found(api) == after
        api.broker.stop()
        # Back again, every geo attribute counts.
        api = self.open(start_broker, connect, directory, "--multi-location")
        assert found(api) == (["G", "H"], ["E", "F", "H"], ["F", "G"])

    def test_what_moved_under_the_rule_of_one(
        self, tmp_path: Path, start_broker: StartBroker, connect: Connect
    ) -> None:
        directory = tmp_path / "data"
        api = self.open(start_broker, connect, directory)
        api.create({"id": "E", "a": at(HARBOUR), "b": {"value": 1}})
        assert api.patch("/v2/entities/E/attrs", {"b": at(STATION)}).status == 204
        assert found(api) == ([], ["E"], [])
        # Without the location there is none: the other one is not called back.
        assert api.delete("/v2/entities/E/attrs/b").status == 204
        assert found(api) == ([], [], [])
        api.broker.stop()
        api = self.open(start_broker, connect, directory, "--multi-location")
        assert found(api) == (["E"], [], [])
