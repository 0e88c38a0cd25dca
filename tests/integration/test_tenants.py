"""Tenants (Fiware-Service): apart with -multiservice, all the same without.

Source: Orion API, section "Multi tenancy"; Orion's cases for issues 1041, 1087, 1403, 1898.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from broker.launch import BrokerProcess
    from tests.integration.conftest import Api, Receiver, StartBroker

NOT_FOUND = (404, "NotFound", "The requested entity has not been found. Check type and id")
TOO_LONG = (400, "BadRequest", "bad length - a tenant name can be max 50 characters long")
BAD_CHARACTER = (
    400,
    "BadRequest",
    "bad character in tenant name - only underscore and alphanumeric characters are allowed",
)


class TestApart:
    @pytest.fixture
    def other(self, api: Api, connect: Callable[[BrokerProcess, str], Api]) -> Api:
        """A client of another tenant."""
        return connect(api.broker, f"o{uuid4().hex}")

    def test_entities(self, api: Api, other: Api) -> None:
        api.create({"id": "E", "type": "T", "A": {"value": 1}})
        assert other.get("/v2/entities", options="count").headers["Fiware-Total-Count"] == "0"
        assert other.get("/v2/entities/E").refusal == NOT_FOUND
        assert other.delete("/v2/entities/E").refusal == NOT_FOUND
        assert other.get("/v2/types").json == []
        other.create({"id": "E", "type": "T", "A": {"value": 2}})
        assert api.get("/v2/entities/E", options="keyValues").json["A"] == 1
        assert other.get("/v2/entities/E", options="keyValues").json["A"] == 2
        assert other.delete("/v2/entities/E").status == 204
        assert api.get("/v2/entities/E").status == 200

    def test_locations(self, api: Api, other: Api) -> None:
        point = {"type": "geo:json", "value": {"type": "Point", "coordinates": [1, 2]}}
        api.create({"id": "E", "place": point})
        near = {"georel": "near;maxDistance:10", "geometry": "point", "coords": "2,1"}
        assert len(api.get("/v2/entities", **near).json) == 1
        assert other.get("/v2/entities", **near).json == []

    def test_subscriptions(self, api: Api, other: Api, receiver: Receiver) -> None:
        subscription = api.subscribe(
            {
                "subject": {"entities": [{"idPattern": ".*"}]},
                "notification": {"http": {"url": receiver.url}},
            }
        )
        assert other.get("/v2/subscriptions").json == []
        assert other.get(f"/v2/subscriptions/{subscription}").status == 404
        assert other.delete(f"/v2/subscriptions/{subscription}").status == 404
        other.create({"id": "E", "A": {"value": 1}})
        api.create({"id": "E", "A": {"value": 2}})
        delivery = receiver.next()
        assert delivery.data[0]["A"]["value"] == 2
        assert delivery.headers["Fiware-Service"] == api.tenant
        assert receiver.take_until_fence(api) == []

    def test_registrations(self, api: Api, other: Api) -> None:
        document = {
            "dataProvided": {"entities": [{"id": "E"}]},
            "provider": {"http": {"url": "http://localhost:9/v2"}},
        }
        location = api.post("/v2/registrations", document).headers["Location"]
        assert other.get("/v2/registrations").json == []
        assert other.get(location).status == 404
        assert other.delete(location).status == 404
        assert api.get(location).status == 200

    def test_names_are_lower_case(
        self, api: Api, connect: Callable[[BrokerProcess, str], Api]
    ) -> None:
        api.create({"id": "E"})
        assert connect(api.broker, api.tenant.upper()).get("/v2/entities/E").status == 200

    def test_no_header_is_a_tenant_of_its_own(self, api: Api) -> None:
        name = f"E{uuid4().hex}"
        nobody = {"Fiware-Service": ""}
        api.create({"id": name}, headers=nobody)
        assert api.get(f"/v2/entities/{name}").refusal == NOT_FOUND
        assert api.delete(f"/v2/entities/{name}", headers=nobody).status == 204


class TestNames:
    @pytest.mark.parametrize("name", ["a", "A_b_1", "1", "_", "t" * 50])
    def test_good(self, api: Api, name: str) -> None:
        assert api.get("/v2/entities", headers={"Fiware-Service": name}).status == 200

    @pytest.mark.parametrize(
        ("name", "refusal"),
        [
            ("t" * 51, TOO_LONG),
            *((name, BAD_CHARACTER) for name in ("a.b", "a-b", "a b", "a/b", "a$b", "../x")),
            ("ñ", BAD_CHARACTER),
        ],
    )
    def test_bad(self, api: Api, name: str, refusal: tuple[int, str, str]) -> None:
        headers = {"Fiware-Service": name}
        assert api.get("/v2/entities", headers=headers).refusal == refusal
        assert api.post("/v2/entities", {"id": "E"}, headers=headers).refusal == refusal


def test_without_multiservice_the_header_counts_for_nothing(
    start_broker: StartBroker, connect: Callable[[BrokerProcess, str], Api]
) -> None:
    broker = start_broker()
    one, two = connect(broker, "one"), connect(broker, "two")
    one.create({"id": "E", "type": "T"})
    assert two.get("/v2/entities").json == [{"id": "E", "type": "T"}]
    two.create({"id": "F", "type": "T"}, headers={"Fiware-Service": ""})
    assert [entity["id"] for entity in one.get("/v2/entities").json] == ["E", "F"]


def test_tenants_outlive_the_process(
    start_broker: StartBroker, connect: Callable[[BrokerProcess, str], Api]
) -> None:
    broker = start_broker("-multiservice")
    for tenant in ("one", "two"):
        connect(broker, tenant).create({"id": tenant}, service_path="/a/b")
    broker.stop()
    broker.start()
    for tenant in ("one", "two"):
        reply = connect(broker, tenant).get("/v2/entities", service_path="/a/b")
        assert [entity["id"] for entity in reply.json] == [tenant]
