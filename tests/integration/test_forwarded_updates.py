"""Updates that context providers take part in.

Source: Orion's manual "Context Providers"; Orion's cases for issues 3068, 3106 and 4460.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.endpoints import refuse_connections
from tests.integration.provider import Answer, ScriptedProvider, register, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Api, Receiver

NOT_FOUND = (404, "NotFound", "The requested entity has not been found. Check type and id")
E1 = {"id": "E1", "type": "T"}
E1_PATH = "/v2/entities/E1/attrs?type=T"


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    """A provider that does every update."""
    with ScriptedProvider() as scripted:
        scripted.answer = Answer(status=204)
        yield scripted


def url(api: Api) -> str:
    """The API of a client's broker, as it is registered."""
    return f"{api.broker.url}/v2"


def attributes(**values: Any) -> dict[str, Any]:
    """The attributes of an update."""
    return {name: {"type": "Text", "value": value} for name, value in values.items()}


def values(api: Api, entity_id: str = "E1") -> dict[str, Any]:
    """The attributes of an entity that this broker itself holds."""
    reply = api.get(f"/v2/entities/{entity_id}/attrs", options="keyValues,skipForwarding")
    assert reply.status == 200, reply
    document: dict[str, Any] = reply.json
    return document


def partial(listed: str) -> tuple[int, str, str]:
    """The refusal of an update that was done in part."""
    return (
        404,
        "PartialUpdate",
        f"Some of the following attributes were not updated: {{ {listed} }}",
    )


class TestDone:
    def test_entity_of_a_provider(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a", B="b"))
        register(api, url(remote), E1)
        assert api.patch(E1_PATH, attributes(A="new", B="new")).status == 204
        assert values(remote) == {"A": "new", "B": "new"}
        assert api.get("/v2/entities", options="skipForwarding").json == []

    def test_one_attribute_and_its_value(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a", B="b"))
        register(api, url(remote), E1, attributes=("A", "B"))
        new = {"type": "Text", "value": "new"}
        assert api.put("/v2/entities/E1/attrs/A?type=T", new).status == 204
        reply = api.put("/v2/entities/E1/attrs/B/value?type=T", {"x": 1})
        assert reply.status == 204
        assert values(remote) == {"A": "new", "B": {"x": 1}}

    def test_own_attributes_stay_here(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="theirs", B="theirs"))
        register(api, url(remote), E1, attributes=("A", "B"))
        api.create(shown("E1", A="ours"))
        assert api.patch(E1_PATH, attributes(A="new", B="new")).status == 204
        assert values(api) == {"A": "new"}
        assert values(remote) == {"A": "theirs", "B": "new"}

    def test_type_of_the_own_entity(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1, attributes=("B",))
        api.create(shown("E1", A="ours"))
        assert api.patch("/v2/entities/E1/attrs", attributes(B="new")).status == 204
        assert provider.next().json["entities"][0]["type"] == "T"

    def test_without_a_type(self, api: Api, provider: ScriptedProvider) -> None:
        # The manual: a registration with a type takes updates with a type only.
        register(api, provider.url, E1)
        assert api.patch("/v2/entities/E1/attrs", attributes(A="a")).refusal == NOT_FOUND
        register(api, provider.url, {"id": "E1"})
        assert api.patch("/v2/entities/E1/attrs", attributes(A="a")).status == 204
        [request] = provider.take_all()
        assert "type" not in request.json["entities"][0]

    def test_replace(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1)
        assert api.put(E1_PATH, attributes(A="a")).status == 204
        assert provider.next().json["actionType"] == "update"
        api.create(shown("E1", B="b"))
        assert api.put(E1_PATH, attributes(A="a")).status == 204
        assert values(api) == {"A": "a"}
        assert provider.take_all() == []

    def test_notifications_of_the_own_part(
        self, api: Api, provider: ScriptedProvider, receiver: Receiver
    ) -> None:
        register(api, provider.url, E1, attributes=("B",))
        api.create(shown("E1", A="a"))
        api.subscribe(
            {
                "subject": {"entities": [E1]},
                "notification": {"http": {"url": receiver.url}, "attrsFormat": "keyValues"},
            }
        )
        assert api.patch(E1_PATH, attributes(A="new", B="new")).status == 204
        assert receiver.next().data == [{"id": "E1", "type": "T", "A": "new"}]


class TestNotForwarded:
    @pytest.mark.parametrize(
        ("mode", "is_asked"), [("all", True), ("update", True), ("query", False), ("none", False)]
    )
    def test_forwarding_modes(
        self, api: Api, provider: ScriptedProvider, mode: str, is_asked: bool
    ) -> None:
        register(api, provider.url, E1, mode=mode)
        reply = api.patch(E1_PATH, attributes(A="a"))
        assert reply.status == (204 if is_asked else 404)
        assert bool(provider.take_all()) is is_asked

    def test_creation_and_removal(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1)
        assert api.delete("/v2/entities/E1").refusal == NOT_FOUND
        assert api.delete("/v2/entities/E1/attrs/A").refusal == NOT_FOUND
        assert api.post(E1_PATH, attributes(A="a")).refusal == NOT_FOUND
        api.create(shown("E1", A="a"))
        assert api.post(E1_PATH, attributes(B="b")).status == 204
        assert values(api) == {"A": "a", "B": "b"}
        assert provider.take_all() == []

    def test_attribute_that_nobody_has(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1, attributes=("B",))
        assert api.patch(E1_PATH, attributes(X="x")).refusal == NOT_FOUND
        api.create(shown("E1", A="a"))
        reply = api.patch(E1_PATH, attributes(X="x"))
        assert reply.refusal == (422, "Unprocessable", "do not exist: E1/T - [ X ]")
        assert provider.take_all() == []


class TestWhatIsSent:
    def test_attributes_as_given(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1)
        metadata = {"unit": {"type": "Text", "value": "C"}}
        update = {
            "A": {"value": 21.5, "type": "Number", "metadata": metadata},
            "B": {"value": None},
            "C": {"value": {"$inc": 1}},
            "D": {"value": "2024-05-06", "type": "DateTime"},
        }
        assert api.patch(E1_PATH, update).status == 204
        request = provider.next()
        assert request.path == "/v2/op/update"
        assert request.json == {
            "actionType": "update",
            "entities": [
                {
                    **E1,
                    "A": {"type": "Number", "value": 21.5, "metadata": metadata},
                    "B": {"type": "None", "value": None, "metadata": {}},
                    "C": {"type": "StructuredValue", "value": {"$inc": 1}, "metadata": {}},
                    "D": {
                        "type": "DateTime",
                        "value": "2024-05-06T00:00:00.000Z",
                        "metadata": {},
                    },
                }
            ],
        }

    def test_one_request_per_provider(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, {"idPattern": ".*", "type": "T"}, attributes=("A",))
        register(api, provider.url, {"idPattern": ".*"}, attributes=("B",))
        body = {
            "actionType": "update",
            "entities": [shown("E1", A="a", B="b"), shown("E2", "U", B="b"), shown("E3", A="a")],
        }
        assert api.post("/v2/op/update", body).status == 204
        [request] = provider.take_all()
        assert request.json == body


class TestPartial:
    def test_some_attributes_are_nowhere(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a"))
        register(api, url(remote), E1, attributes=("A",))
        reply = api.patch(E1_PATH, attributes(X="x", A="new", Y="y"))
        assert reply.refusal == partial("E1-T : [X, Y]")
        assert values(remote) == {"A": "new"}

    def test_own_part_done_and_provider_dead(self, api: Api) -> None:
        with refuse_connections() as dead:
            register(api, dead, E1, attributes=("B",))
            api.create(shown("E1", A="a"))
            reply = api.patch(E1_PATH, attributes(A="new", B="new"))
            assert reply.refusal == partial("E1-T : [B]")
            assert values(api) == {"A": "new"}

    def test_one_provider_of_two_dead(self, api: Api, provider: ScriptedProvider) -> None:
        with refuse_connections() as dead:
            register(api, dead, E1, attributes=("A",))
            register(api, provider.url, E1, attributes=("B",))
            reply = api.patch(E1_PATH, attributes(A="new", B="new"))
            assert reply.refusal == partial("E1-T : [A]")
            assert len(provider.take_all()) == 1

    @pytest.mark.parametrize("status", [404, 422, 500, 200, 302])
    def test_provider_refuses(self, api: Api, provider: ScriptedProvider, status: int) -> None:
        provider.answer = Answer({"error": "NotFound"}, status=status)
        registration = register(api, provider.url, E1, attributes=("B",))
        assert api.patch(E1_PATH, attributes(B="b")).refusal == NOT_FOUND
        api.create(shown("E1", A="a"))
        reply = api.patch(E1_PATH, attributes(A="new", B="b"))
        assert reply.refusal == partial("E1-T : [B]")
        information = api.get(f"/v2/registrations/{registration}").json["forwardingInformation"]
        assert information["timesSent"] == 2
        # It answered, though not as one would have it.
        assert ("lastSuccess" in information) is (status in (404, 422))

    def test_batch(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a"))
        register(api, url(remote), {"idPattern": ".*", "type": "T"}, attributes=("A",))
        api.create(shown("E3", A="a"))
        body = {
            "actionType": "update",
            "entities": [
                shown("E1", A="new"),
                shown("E2", "U", A="new"),
                shown("E3", A="new", B="new"),
                shown("E4", A="new"),
            ],
        }
        # Nothing was done of what the one request to the provider asked for, as far as it tells.
        reply = api.post("/v2/op/update", body)
        assert reply.refusal == partial("E2-U : [A], E3-T : [B], E1-T : [A], E4-T : [A]")
        assert values(api, "E3") == {"A": "new"}

    def test_own_entity_that_cannot_be_changed(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1)
        api.create(shown("E2", A="a"))
        increment = {"type": "Number", "value": {"$inc": 1}}
        body = {
            "actionType": "update",
            "entities": [shown("E1", A="new"), {"id": "E2", "type": "T", "A": increment}],
        }
        assert api.post("/v2/op/update", body).refusal == partial("E2-T : [A]")
        assert values(api, "E2") == {"A": "a"}
        provider.answer = Answer(status=404)
        refusal = api.post("/v2/op/update", body).refusal
        assert refusal[:2] == (500, "InternalServerError")


class TestLegacy:
    """NGSIv1 towards the provider (legacyForwarding)."""

    def element(self, code: str, entity_id: str, *names: str) -> dict[str, Any]:
        """One contextResponse."""
        return {
            "contextElement": {
                "type": "T",
                "isPattern": "false",
                "id": entity_id,
                "attributes": [{"name": name, "type": "Text", "value": ""} for name in names],
            },
            "statusCode": {"code": code, "reasonPhrase": "as the code says"},
        }

    def test_update(self, api: Api, provider: ScriptedProvider) -> None:
        provider.answer = Answer({"contextResponses": [self.element("200", "E1", "A")]})
        register(api, provider.url, E1, legacy=True)
        metadata = {"unit": {"type": "Text", "value": "C"}}
        update = {"A": {"value": "a", "type": "Text", "metadata": metadata}, "B": {"value": 5}}
        assert api.patch(E1_PATH, update).status == 204
        request = provider.next()
        assert request.path == "/v2/updateContext"
        assert request.json == {
            "contextElements": [
                {
                    "id": "E1",
                    "isPattern": "false",
                    "type": "T",
                    "attributes": [
                        {
                            "name": "A",
                            "type": "Text",
                            "value": "a",
                            "metadatas": [{"name": "unit", "type": "Text", "value": "C"}],
                        },
                        {"name": "B", "type": "Number", "value": 5},
                    ],
                }
            ],
            "updateAction": "UPDATE",
        }

    def test_refused_attributes_are_named(self, api: Api, provider: ScriptedProvider) -> None:
        provider.answer = Answer(
            {
                "contextResponses": [
                    self.element("200", "E1", "A"),
                    self.element("404", "E1", "B"),
                    self.element("404", "E2"),
                ]
            }
        )
        register(api, provider.url, {"idPattern": ".*"}, legacy=True)
        body = {
            "actionType": "update",
            "entities": [shown("E1", A="a", B="b"), shown("E2", A="a"), shown("E3", A="a")],
        }
        reply = api.post("/v2/op/update", body)
        assert reply.refusal == partial("E1-T : [B], E2-T : [A]")

    @pytest.mark.parametrize(
        "answer",
        [
            Answer({"errorCode": {"code": "404", "reasonPhrase": "No context element found"}}),
            Answer({"contextResponses": 5}),
            Answer({}),
            Answer(b""),
        ],
    )
    def test_all_refused(self, api: Api, provider: ScriptedProvider, answer: Answer) -> None:
        provider.answer = answer
        register(api, provider.url, E1, legacy=True)
        assert api.patch(E1_PATH, attributes(A="a")).refusal == NOT_FOUND
