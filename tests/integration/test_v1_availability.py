"""Availability subscriptions of NGSI9: who subscribed is told of registrations.

Source: FI-WARE NGSI-9, subscribeContextAvailability and notifyContextAvailability; FogFlow for
what is under /ngsi9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import Receiver
from tests.integration.provider import register
from tests.integration.test_v1_registry import NO_ID, entity, part, put

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Api, Connect, StartBroker

SUBSCRIBE = "subscribeContextAvailability"
UPDATE = "updateContextAvailabilitySubscription"
UNSUBSCRIBE = "unsubscribeContextAvailability"
GONE = {"code": "410", "reasonPhrase": "Gone"}


def subscribe(api: Api, url: str, *entities: dict[str, Any], **members: Any) -> str:
    """Subscribe; returns the id."""
    document = {"entities": list(entities), "reference": url, **members}
    answer = api.post(f"/v1/registry/{SUBSCRIBE}", document).json
    assert answer.keys() == {"subscriptionId", "duration"}
    subscription_id: str = answer["subscriptionId"]
    return subscription_id


def responses(receiver: Receiver) -> list[dict[str, Any]]:
    """The registrations of the next notification."""
    listed: list[dict[str, Any]] = receiver.next().json["contextRegistrationResponses"]
    return listed


def seen(*parts: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    """Registrations as a notification shows them."""
    return [{"contextRegistration": item, **members} for item in parts]


class TestNotifications:
    def test_what_is_there_already(self, api: Api, receiver: Receiver) -> None:
        put(api, part(entity("E1"), entity("E2"), attributes=("A", "B")))
        put(api, part(entity("E3")))
        subscription_id = subscribe(api, receiver.url, entity("E1"), attributes=["A"])
        delivery = receiver.next()
        assert (delivery.method, delivery.path) == ("POST", "/notify")
        assert delivery.headers["Fiware-Service"] == api.tenant
        assert delivery.json == {
            "subscriptionId": subscription_id,
            "contextRegistrationResponses": seen(part(entity("E1"), attributes=("A",))),
        }

    def test_the_life_of_a_registration(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver.url, {"id": ".*", "isPattern": "true", "type": "T"})
        registration_id = put(api, part(entity("E1")))
        assert responses(receiver) == seen(part(entity("E1")))
        put(api, part(entity("E1"), attributes=("A",)), registrationId=registration_id)
        assert responses(receiver) == seen(part(entity("E1"), attributes=("A",)))
        # Now it is about nothing that was asked for.
        put(api, part(entity("E1", "U")), registrationId=registration_id)
        assert responses(receiver) == seen(part(entity("E1"), attributes=("A",)), errorCode=GONE)
        put(api, part(entity("E1")), registrationId=registration_id)
        assert responses(receiver) == seen(part(entity("E1")))
        api.delete(f"/v2/registrations/{registration_id}")
        assert responses(receiver) == seen(part(entity("E1")), errorCode=GONE)

    def test_registered_through_v2(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver.url, entity("E", ""))
        registration_id = register(api, "http://p.example", {"id": "E"})
        shown = part(entity("E", ""), url="http://p.example")
        assert responses(receiver) == seen(shown)
        api.patch(f"/v2/registrations/{registration_id}", {"status": "inactive"})
        assert responses(receiver) == seen(shown, errorCode=GONE)

    def test_expired(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver.url, entity("E"))
        registration_id = put(api, part(entity("E")), duration="PT1S")
        assert responses(receiver) == seen(part(entity("E")))
        assert responses(receiver) == seen(part(entity("E")), errorCode=GONE)
        # It is told once.
        put(api, part(entity("E")), registrationId=registration_id)
        assert responses(receiver) == seen(part(entity("E")))

    def test_service_paths(self, api: Api, receiver: Receiver) -> None:
        document = {"entities": [entity("E")], "reference": receiver.url}
        api.post(f"/v1/registry/{SUBSCRIBE}", document, service_path="/a/#")
        for path in ("/", "/b", "/a/c"):
            api.post(
                "/v1/registry/registerContext",
                {"contextRegistrations": [part(entity("E"))]},
                service_path=path,
            )
        assert receiver.next().headers["Fiware-ServicePath"] == "/a/c"

    def test_fogflow(self, api: Api, receiver: Receiver) -> None:
        document = {"entities": [{"type": "T", "isPattern": True, "id": ".*"}]}
        answer = api.post(f"/ngsi9/{SUBSCRIBE}", {**document, "reference": receiver.url}).json
        assert answer["errorCode"] == {"code": 200, "reasonPhrase": "OK"}
        registration_id = put(api, part(entity("E")))
        put(api, part(entity("E")), registrationId=registration_id)
        api.delete(f"/v2/registrations/{registration_id}")
        for code in (201, 301, 410):
            notification = receiver.next().json
            assert notification["subscribeId"] == answer["subscribeId"]
            assert notification["errorCode"]["code"] == code
            (response,) = notification["contextRegistrationResponses"]
            assert response["errorCode"]["code"] == 200
            assert response["contextRegistration"]["entities"] == [{"id": "E", "type": "T"}]


class TestSubscriptions:
    def test_updated(self, api: Api, receiver: Receiver) -> None:
        subscription_id = subscribe(api, receiver.url, entity("E1"))
        document = {
            "subscriptionId": subscription_id,
            "entities": [entity("E2")],
            "duration": "PT1H",
        }
        assert api.post(f"/NGSI9/{UPDATE}", document).json == {
            "subscriptionId": subscription_id,
            "duration": "PT1H",
        }
        put(api, part(entity("E1")))
        put(api, part(entity("E2")))
        assert responses(receiver) == seen(part(entity("E2")))

    def test_ended(self, api: Api, receiver: Receiver) -> None:
        subscription_id = subscribe(api, receiver.url, entity("E"))
        other = subscribe(api, receiver.url, entity("E"))
        document = {"subscriptionId": subscription_id}
        fine = {"code": "200", "reasonPhrase": "OK"}
        reply = api.post(f"/v1/registry/{UNSUBSCRIBE}", document).json
        assert reply == {"subscriptionId": subscription_id, "statusCode": fine}
        put(api, part(entity("E")))
        assert receiver.next().json["subscriptionId"] == other
        missing = {
            "code": "404",
            "reasonPhrase": "No context element found",
            "details": f"subscriptionId: /{subscription_id}/",
        }
        reply = api.post(f"/v1/registry/{UNSUBSCRIBE}", document).json
        assert reply == {"subscriptionId": subscription_id, "statusCode": missing}
        reply = api.post(f"/v1/registry/{UPDATE}", document).json
        assert reply == {"subscriptionId": subscription_id, "errorCode": missing}

    @pytest.mark.parametrize(
        ("document", "details"),
        [
            ({"reference": "http://r"}, "empty entityId vector"),
            ({"entities": [entity("E")]}, "Empty Reference"),
            (
                {"entities": [entity("E")], "reference": "http://r", "duration": "P"},
                "syntax error in duration string",
            ),
            ({"entities": [entity("E")], "reference": "nowhere"}, "Invalid URL"),
        ],
    )
    def test_refused(self, api: Api, document: dict[str, Any], details: str) -> None:
        assert api.post(f"/v1/registry/{SUBSCRIBE}", document).json == {
            "subscriptionId": NO_ID,
            "errorCode": {"code": "400", "reasonPhrase": "Bad Request", "details": details},
        }


def test_nothing_is_lost_over_failures_and_restarts(
    start_broker: StartBroker, connect: Connect, tmp_path: Path, receiver: Receiver
) -> None:
    directory = tmp_path / "kept"
    broker = start_broker(directory=directory)
    api = connect(broker, "")
    receiver.status = 503
    subscribe(api, receiver.url, entity("E"))
    registration_id = put(api, part(entity("E")), duration="PT1S")
    assert responses(receiver) == seen(part(entity("E")))
    broker.kill()
    receiver.status = 200
    api = connect(start_broker(directory=directory), "")
    # What was not taken comes again, maybe more than once, and then what happened meanwhile.
    response = responses(receiver)
    assert response == seen(part(entity("E")))
    while response == seen(part(entity("E"))):
        response = responses(receiver)
    assert response == seen(part(entity("E")), errorCode=GONE)
    put(api, part(entity("E")), registrationId=registration_id)
    assert responses(receiver) == seen(part(entity("E")))
