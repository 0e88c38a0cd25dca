"""What FogFlow's clients need beyond its own operations: --fogflow, CORS, paths that are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.fogflow import element, member, update

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, StartBroker

_SUBSCRIPTION: dict[str, Any] = {
    "subject": {"entities": [{"id": "a", "type": "T"}]},
    "notification": {"http": {"url": "http://localhost:1/accumulate"}},
}
_ODD = {"Content-Type": "appliction/json"}


@pytest.fixture
def fogflow(start_broker: StartBroker, connect: Connect) -> Api:
    """A client of a broker with the flag."""
    return connect(start_broker("--fogflow", "on", "--cors-origin", "__ALL"), "")


def test_a_subscription_of_ngsiv2_is_told_in_fogflows_way(fogflow: Api) -> None:
    created = fogflow.post("/v2/subscriptions", _SUBSCRIPTION, headers=_ODD)
    subscription_id = created.json["subscribeResponse"]["subscriptionId"]
    assert created.status == 201
    assert created.headers["Location"] == f"/v2/subscriptions/{subscription_id}"
    assert fogflow.get(f"/v2/subscription/{subscription_id}", headers=_ODD).status == 200
    assert len(fogflow.get("/v2/subscriptions", headers=_ODD).json) == 1
    assert list(fogflow.get("/ngsi10/subscription").json) == [subscription_id]


def test_any_content_type_is_taken_in_all_versions(fogflow: Api) -> None:
    flat = {"id": "a", "type": "T", "isPattern": "false", "attributes": [member("x", "y", "1")]}
    body = {"contextElements": [flat], "updateAction": "APPEND"}
    answer = fogflow.post("/v1/updateContext", body, headers=_ODD).json
    assert answer["contextResponses"][0]["statusCode"]["code"] == "200"
    assert fogflow.get("/v2/entities/a/attrs/x/value", headers={"Accept": "text/plain"}).text
    text = {"Content-Type": "text/plain"}
    assert fogflow.put("/v2/entities/a/attrs/x/value", b"7", headers=text).status == 204
    assert fogflow.get("/ngsi10/entity/a/x").json["value"] == 7


def test_without_the_flag_orion_wins(api: Api) -> None:
    assert api.post("/v2/subscriptions", _SUBSCRIPTION).text == ""
    assert api.get("/v2/subscriptions", headers=_ODD).status == 400


def test_pages_of_other_origins_are_clients(fogflow: Api) -> None:
    origin = {"Origin": "http://designer.example"}
    body = {"contextElements": [element("a", "T")], "updateAction": "UPDATE"}
    reply = fogflow.post("/ngsi10/updateContext", body, headers=origin)
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    preflight = fogflow.request("OPTIONS", "/ngsi10/subscribeContext", headers=origin)
    assert preflight.status == 200
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Destination" in preflight.headers["Access-Control-Allow-Headers"]


def test_what_is_not_there_is_told(api: Api) -> None:
    assert api.get("/ngsi10/subscriptionX").status == 404
    refusal = api.get("/ngsi10/updateContext")
    assert (refusal.status, refusal.headers["Allow"], refusal.text) == (405, "POST", "")
    assert api.get("/version").status == 200
    update(api, element("a", "T"), headers={"User-Agent": "lightweight-iot-broker"})
    assert api.get("/ngsi10/entity/a").status == 200


def test_discoverys_operations_take_any_content_type(api: Api) -> None:
    assert api.get("/ngsi9/registration/nobody", headers=_ODD).status == 404
    assert api.get("/NGSI9/registration/nobody", headers=_ODD).status == 404
