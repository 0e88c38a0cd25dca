"""Commands to devices: an IoT agent registers, and updates of its attributes go to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.fogflow import element, member, update
from tests.integration.provider import Answer, ScriptedProvider

if TYPE_CHECKING:
    from tests.integration.conftest import Api

_ON = member("on", "command", "")


@pytest.fixture
def agent(api: Api) -> Iterator[ScriptedProvider]:
    """An IoT agent that does every command of the lamp."""
    with ScriptedProvider() as scripted:
        done = {
            "contextElement": {"id": "Lamp.001", "type": "Lamp", "isPattern": "false"},
            "statusCode": {"code": "200", "reasonPhrase": "OK"},
        }
        scripted.answer = Answer({"contextResponses": [done]})
        registration = {
            "entities": [{"type": "Lamp", "id": "Lamp.001", "isPattern": "false"}],
            "attributes": [{"name": "on", "type": "command"}, {"name": "off", "type": "command"}],
            "providingApplication": scripted.url,
        }
        body = {"contextRegistrations": [registration], "duration": "P1Y"}
        headers = {"fiware-servicepath": "/"}
        assert api.post("/NGSI9/registerContext", body, headers=headers).status == 200
        yield scripted


def _forwarded(agent: ScriptedProvider) -> dict[str, Any]:
    (sent,) = agent.next().json["contextElements"]
    return {item["name"]: item["type"] for item in sent["attributes"]}


def test_a_command_goes_to_the_agent_and_is_not_stored(api: Api, agent: ScriptedProvider) -> None:
    update(api, element("Lamp.001", "Lamp", [_ON]))
    assert _forwarded(agent) == {"on": "command"}
    assert api.get("/ngsi10/entity").json == []


def test_the_rest_of_the_element_stays(api: Api, agent: ScriptedProvider) -> None:
    level = member("level", "integer", 3)
    update(api, element("Lamp.001", "Lamp", [_ON, level]))
    assert _forwarded(agent) == {"on": "command"}
    assert api.get("/ngsi10/entity/Lamp.001").json == element("Lamp.001", "Lamp", [level])


def test_nobody_takes_the_command_of_an_unknown_device(api: Api) -> None:
    body = {"contextElements": [element("Lamp.002", "Lamp", [_ON])], "updateAction": "UPDATE"}
    (response,) = api.post("/ngsi10/updateContext", body).json["contextResponses"]
    assert response["statusCode"]["code"] == 404
    assert "/on/" in response["statusCode"]["details"]
    assert api.get("/ngsi10/entity").json == []
