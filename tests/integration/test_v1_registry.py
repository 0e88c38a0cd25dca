"""NGSI9 over the broker: registerContext, discoverContextAvailability and what is beside them.

Source: Orion 3.4, NGSI9; FogFlow for what is under /ngsi9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.provider import Answer, Forwarded, ScriptedProvider, register

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Api, Connect, StartBroker

REGISTER = "/v1/registry/registerContext"
DISCOVER = "/v1/registry/discoverContextAvailability"
NOTHING = {"errorCode": {"code": "404", "reasonPhrase": "No context element found"}}
NO_ID = "0" * 24


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as scripted:
        yield scripted


def entity(entity_id: str, entity_type: str = "T") -> dict[str, str]:
    return {"type": entity_type, "isPattern": "false", "id": entity_id}


def part(
    *entities: dict[str, str], attributes: tuple[str, ...] = (), url: str = "http://p.example/v1"
) -> dict[str, Any]:
    """A context registration, in the form in which it is answered."""
    document: dict[str, Any] = {"entities": list(entities)}
    if attributes:
        document["attributes"] = [{"name": name, "type": f"{name}type"} for name in attributes]
    document["providingApplication"] = url
    return document


def put(api: Api, *parts: dict[str, Any], **members: Any) -> str:
    """Register; returns the id."""
    reply = api.post(REGISTER, {"contextRegistrations": list(parts), **members})
    assert reply.json.keys() == {"duration", "registrationId"}, reply
    registration_id: str = reply.json["registrationId"]
    return registration_id


def discover(api: Api, *entities: dict[str, str], path: str = DISCOVER, **members: Any) -> Any:
    """What is discovered: the context registrations, or the whole answer if there are none."""
    answer = api.post(path, {"entities": list(entities), **members}).json
    if "contextRegistrationResponses" not in answer:
        return answer
    return [response["contextRegistration"] for response in answer["contextRegistrationResponses"]]


class TestRegister:
    def test_new(self, api: Api) -> None:
        reply = api.post(REGISTER, {"contextRegistrations": [part(entity("E"))]})
        assert reply.json["duration"] == "PT24H"
        assert len(reply.json["registrationId"]) == 24

    def test_updated_by_its_id(self, api: Api) -> None:
        registration_id = put(api, part(entity("E1")), duration="PT1H")
        assert put(api, part(entity("E2")), registrationId=registration_id) == registration_id
        assert discover(api, entity("E1")) == NOTHING
        assert discover(api, entity("E2")) == [part(entity("E2"))]

    def test_updated_by_an_unknown_id(self, api: Api) -> None:
        unknown = "a" * 24
        document = {"contextRegistrations": [part(entity("E"))], "registrationId": unknown}
        assert api.post(REGISTER, document).json == {
            "registrationId": unknown,
            "errorCode": {
                "code": "404",
                "reasonPhrase": "No context element found",
                "details": f"registration id: /{unknown}/",
            },
        }

    @pytest.mark.parametrize(
        ("document", "details"),
        [
            ({}, "Empty Context Registration List"),
            ({"contextRegistrations": [part(entity(""))]}, "empty entityId:id"),
            (
                {"contextRegistrations": [part({"id": ".*", "isPattern": "true"})]},
                "isPattern set to true for registrations is currently not supported",
            ),
            (
                {"contextRegistrations": [part({"id": "E", "isPattern": "maybe"})]},
                "invalid isPattern value for entity: /maybe/",
            ),
            (
                {"contextRegistrations": [part(entity("E"), attributes=("",))]},
                "missing name for registration attribute",
            ),
            (
                {"contextRegistrations": [part(entity("E"), url="")]},
                "no providing application",
            ),
            (
                {"contextRegistrations": [part(entity("E"))], "duration": "an hour"},
                "syntax error in duration string",
            ),
            (
                {"contextRegistrations": [part(entity("E"))], "registrationId": "1"},
                "bad length - 24 chars expected",
            ),
            (
                {"contextRegistrations": [part(entity("E"))], "registrationId": "x" * 24},
                "invalid char in ID string",
            ),
            (
                {"contextRegistrations": [], "contextRegistration": []},
                "JSON Parse Error: unknown field: /contextRegistration",
            ),
        ],
    )
    def test_refused(self, api: Api, document: dict[str, Any], details: str) -> None:
        assert api.post(REGISTER, document).json == {
            "registrationId": NO_ID,
            "errorCode": {"code": "400", "reasonPhrase": "Bad Request", "details": details},
        }
        assert api.get("/v2/registrations").json == []

    def test_a_far_end_can_be_shown(self, api: Api) -> None:
        put(api, part(entity("E")), duration="P999999999Y")
        (shown,) = api.get("/v2/registrations").json
        assert shown["expires"] == "9999-12-31T23:59:59.000Z"

    def test_one_service_path(self, api: Api) -> None:
        document = {"contextRegistrations": [part(entity("E"))]}
        path: str | None
        for path in ("/a,/b", "/a/#"):
            reply = api.post(REGISTER, document, service_path=path)
            assert reply.json["errorCode"]["code"] == "400"
        api.post(REGISTER, document, service_path="/a")
        found = {"entities": [entity("E")]}
        assert api.post(DISCOVER, found, service_path="/b").json == NOTHING
        for path in ("/a", "/#", None):
            answer = api.post(DISCOVER, found, service_path=path).json
            assert len(answer["contextRegistrationResponses"]) == 1


class TestDiscover:
    def test_what_was_asked_for_of_what_is_registered(self, api: Api) -> None:
        put(api, part(entity("E1"), entity("E2"), attributes=("A", "B")))
        put(api, part(entity("E1"), url="http://q.example"))
        assert discover(api, entity("E1"), attributes=["B", "C"]) == [
            part(entity("E1"), attributes=("B",))
        ]
        assert discover(api, entity("E1")) == [
            part(entity("E1"), attributes=("A", "B")),
            part(entity("E1"), url="http://q.example"),
        ]
        assert discover(api, entity("E1"), attributes=["C"]) == NOTHING

    def test_types(self, api: Api) -> None:
        put(api, part(entity("E", "T1")))
        put(api, part(entity("E", "")))
        assert discover(api, entity("E", "T1")) == [part(entity("E", "T1"))]
        assert discover(api, entity("E", "")) == [part(entity("E", "T1")), part(entity("E", ""))]
        assert discover(api, entity("E", "T2")) == NOTHING

    def test_patterns(self, api: Api) -> None:
        put(api, part(entity("Room1", "Room"), entity("Hall1", "Hall")))
        asked = {"type": "", "isPattern": "true", "id": "^Room"}
        assert discover(api, asked) == [part(entity("Room1", "Room"))]
        asked = {"type": "Hall", "isPattern": "true", "id": ".*"}
        assert discover(api, asked) == [part(entity("Hall1", "Hall"))]

    def test_pages(self, api: Api) -> None:
        for number in range(5):
            put(api, part(entity("E"), url=f"http://p{number}.example"))
        path = f"{DISCOVER}?limit=2&offset=1&details=on"
        answer = api.post(path, {"entities": [entity("E")]}).json
        urls = [
            response["contextRegistration"]["providingApplication"]
            for response in answer["contextRegistrationResponses"]
        ]
        assert urls == ["http://p1.example", "http://p2.example"]
        assert answer["errorCode"] == {
            "code": "200",
            "reasonPhrase": "OK",
            "details": "Count: 5",
        }
        beyond = api.post(f"{DISCOVER}?offset=7&details=on", {"entities": [entity("E")]}).json
        assert beyond["errorCode"]["details"] == "Number of matching registrations: 5. Offset is 7"

    def test_nothing_asked(self, api: Api) -> None:
        assert api.post(DISCOVER, {"entities": []}).json == NOTHING

    def test_bad_pattern(self, api: Api) -> None:
        answer = discover(api, {"id": "(", "isPattern": "true"})
        # Parentheses are no characters of NGSIv1 anywhere.
        assert answer["errorCode"]["code"] == "400"


class TestConvenience:
    @pytest.mark.parametrize("root", ["/v1/registry", "/NGSI9", "/ngsi9"])
    def test_entity(self, api: Api, root: str) -> None:
        document = {"duration": "PT1H", "providingApplication": "http://p.example/v1"}
        made = api.post(f"{root}/contextEntities/E/attributes/A", document).json
        assert made.keys() == {"duration", "registrationId"}
        expected = part(entity("E", ""), attributes=("A",))
        expected["attributes"] = [{"name": "A", "type": ""}]
        for below in ("", "/attributes", "/attributes/A"):
            answer = api.get(f"{root}/contextEntities/E{below}").json
            assert answer == {"contextRegistrationResponses": [{"contextRegistration": expected}]}
        assert api.get(f"{root}/contextEntities/E/attributes/B").json == NOTHING
        document["registrationId"] = made["registrationId"]
        document["providingApplication"] = "http://q.example"
        assert api.post(f"{root}/contextEntities/E", document).json == made
        assert discover(api, entity("E", "")) == [part(entity("E", ""), url="http://q.example")]

    def test_type_and_id(self, api: Api) -> None:
        path = "/v1/registry/contextEntities/type/T/id/E"
        api.post(path, {"providingApplication": "http://p.example/v1"})
        assert discover(api, entity("E")) == [part(entity("E"))]
        assert api.get(path).json["contextRegistrationResponses"]
        bad = api.get(f"{path}?entity::type=U").json
        assert bad["errorCode"]["details"] == "non-matching entity::types in URL"
        bad = api.post(f"{path}?!exist=entity::type", {"providingApplication": "http://p"}).json
        assert bad["registrationId"] == NO_ID

    def test_a_type_alone(self, api: Api) -> None:
        path = "/v1/registry/contextEntityTypes/T"
        api.post(path, {"providingApplication": "http://p.example/v1"})
        put(api, part(entity("E"), attributes=("A",)))
        found = [part(entity("", "T")), part(entity("E"), attributes=("A",))]
        answer = api.get(path).json["contextRegistrationResponses"]
        assert [response["contextRegistration"] for response in answer] == found
        # It is about every entity of the type.
        assert discover(api, entity("E9")) == found[:1]
        (shown, _) = api.get("/v2/registrations").json
        assert shown["dataProvided"]["entities"] == [{"idPattern": ".*", "type": "T"}]

    def test_incomplete(self, api: Api) -> None:
        answer = api.post("/v1/registry/contextEntities/E", {"duration": "PT1H"}).json
        assert answer == {
            "errorCode": {
                "code": "400",
                "reasonPhrase": "Bad Request",
                "details": "no providing application",
            }
        }

    def test_methods(self, api: Api) -> None:
        reply = api.put("/v1/registry/contextEntities/E", {})
        assert (reply.status, reply.text) == (405, "")
        assert reply.headers["Allow"] == "POST, GET"


class TestFogFlow:
    def test_register_and_discover(self, api: Api) -> None:
        document = {
            "contextRegistrations": [
                {
                    "entities": [{"id": "Stream.Room.1", "type": "Room", "isPattern": False}],
                    "attributes": [{"name": "A", "type": "float", "isDomain": False}],
                    "contextMetadata": [{"name": "location", "type": "point", "value": {}}],
                    "providingApplication": "http://p.example:8070/ngsi10",
                }
            ],
            "duration": "PT10M",
            "registrationId": "chosen-by-the-client",
        }
        answer = api.post("/ngsi9/registerContext", document).json
        assert answer == {
            "registrationId": "chosen-by-the-client",
            "duration": "PT10M",
            "errorCode": {"code": 200, "reasonPhrase": "OK"},
        }
        asked = {"entities": [{"type": "Room", "isPattern": True, "id": ".*"}]}
        found = {
            "contextRegistrationResponses": [
                {
                    "contextRegistration": {
                        "entities": [{"id": "Stream.Room.1", "type": "Room"}],
                        "attributes": [{"name": "A", "type": "float", "isDomain": False}],
                        "providingApplication": "http://p.example:8070/ngsi10",
                    },
                    "errorCode": {"code": 200, "reasonPhrase": "OK"},
                }
            ],
            "errorCode": {"code": 200, "reasonPhrase": "OK"},
        }
        assert api.post("/ngsi9/discoverContextAvailability", asked).json == found
        asked = {"entities": [{"id": "Other"}]}
        assert api.post("/ngsi9/discoverContextAvailability", asked).json == {
            "errorCode": {"code": 200, "reasonPhrase": "OK"}
        }

    def test_refused(self, api: Api) -> None:
        answer = api.post("/ngsi9/registerContext", {"contextRegistrations": []}).json
        assert answer["errorCode"]["code"] == 400
        assert answer["errorCode"]["details"] == "Empty Context Registration List"

    @pytest.mark.parametrize("root", ["/NGSI9", "/ngsi9"])
    def test_by_entity(self, api: Api, root: str) -> None:
        put(api, part(entity("E1"), entity("E2"), attributes=("A",)))
        put(api, part(entity("E1")))
        shown = api.get(f"{root}/registration/E1").json
        assert (shown["ID"], shown["Type"]) == ("E1", "T")
        assert shown["AttributesList"] == {"A": {"name": "A", "type": "Atype", "isDomain": False}}
        assert shown["ProvidingApplication"] == "http://p.example/v1"
        assert api.delete(f"{root}/registration/E1").status == 200
        gone = api.get(f"{root}/registration/E1")
        assert (gone.status, gone.json) == (404, None)
        assert discover(api, entity("E2")) == [part(entity("E2"), attributes=("A",))]
        assert len(api.get("/v2/registrations").json) == 1


class TestWithNgsiV2:
    def test_registered_through_v2(self, api: Api) -> None:
        register(api, "http://p.example/v2", {"id": "E", "type": "T"}, attributes=("A",))
        register(api, "http://q.example", {"idPattern": ".*", "type": "T"}, mode="none")
        assert discover(api, entity("E")) == [
            {
                "entities": [entity("E")],
                "attributes": [{"name": "A", "type": ""}],
                "providingApplication": "http://p.example/v2",
            },
            {
                "entities": [{"type": "T", "isPattern": "true", "id": ".*"}],
                "providingApplication": "http://q.example",
            },
        ]

    def test_registered_through_v1(self, api: Api) -> None:
        registration_id = put(api, part(entity("E"), attributes=("A",)))
        shown = api.get(f"/v2/registrations/{registration_id}").json
        assert shown.pop("expires")
        assert shown == {
            "id": registration_id,
            "dataProvided": {"entities": [{"id": "E", "type": "T"}], "attrs": ["A"]},
            "provider": {
                "http": {"url": "http://p.example/v1"},
                "supportedForwardingMode": "all",
                "legacyForwarding": True,
            },
            "status": "active",
        }
        assert api.delete(f"/v2/registrations/{registration_id}").status == 204
        assert discover(api, entity("E")) == NOTHING

    def test_several_parts_are_all_shown(self, api: Api) -> None:
        one, other = part(entity("E1")), part(entity("E2"), url="http://q.example")
        registration_id = put(api, one, other)
        shown = api.get(f"/v2/registrations/{registration_id}").json
        assert shown["dataProvided"]["entities"] == [{"id": "E1", "type": "T"}]
        assert [item["provider"]["http"]["url"] for item in shown["contextRegistrations"]] == [
            "http://p.example/v1",
            "http://q.example",
        ]


class TestForwarding:
    def test_each_part_goes_to_its_provider(self, api: Api, provider: ScriptedProvider) -> None:
        def answer(request: Forwarded) -> Answer:
            document = request.json
            asked = document.get("entities") or document["contextElements"]
            asked = asked[0]["id"]
            return Answer(
                {
                    "contextResponses": [
                        {
                            "contextElement": {
                                **entity(asked),
                                "attributes": [{"name": "A", "type": "x", "value": asked}],
                            },
                            "statusCode": {"code": "200", "reasonPhrase": "OK"},
                        }
                    ]
                }
            )

        provider.answer = answer
        one = part(entity("E1"), attributes=("A",), url=f"{provider.url}/one")
        other = part(entity("E2"), attributes=("A",), url=f"{provider.url}/other")
        registration_id = put(api, one, other)
        found = api.get("/v2/entities?options=keyValues").json
        assert found == [{"id": "E1", "type": "T", "A": "E1"}, {"id": "E2", "type": "T", "A": "E2"}]
        paths = [request.path for request in provider.take_all()]
        assert paths == ["/v2/one/queryContext", "/v2/other/queryContext"]
        shown = api.get(f"/v2/registrations/{registration_id}").json
        assert shown["forwardingInformation"]["timesSent"] == 2

        update = {
            "contextElements": [
                {**entity("E2"), "attributes": [{"name": "A", "type": "x", "value": "new"}]}
            ],
            "updateAction": "UPDATE",
        }
        api.post("/v1/updateContext", update)
        (request,) = provider.take_all()
        assert request.path == "/v2/other/updateContext"
        assert request.json["contextElements"][0]["attributes"] == [
            {"name": "A", "type": "x", "value": "new"}
        ]


class TestRestart:
    def test_registrations_are_kept_as_they_are(
        self, start_broker: StartBroker, connect: Connect, tmp_path: Path
    ) -> None:
        directory = tmp_path / "kept"
        broker = start_broker(directory=directory)
        api = connect(broker, "")
        parts = [
            part(entity("E 1"), attributes=("A",)),
            part(entity("E 1"), url="no URL at all"),
        ]
        put(api, *parts)
        api.post("/v1/registry/contextEntityTypes/T", {"providingApplication": "http://p.example"})
        listed = api.get("/v2/registrations").json
        broker.kill()
        api = connect(start_broker(directory=directory), "")
        expected = [*parts, part(entity(""), url="http://p.example")]
        assert discover(api, entity("E 1")) == expected
        assert api.get("/v2/registrations").json == listed


class TestTypes:
    def test_context_types(self, api: Api) -> None:
        assert api.get("/v1/contextTypes").json == {
            "statusCode": {"code": "404", "reasonPhrase": "No context element found"}
        }
        api.create({"id": "E1", "type": "T1", "B": {"value": 1}, "A": {"value": 1}})
        api.create({"id": "E2", "type": "T2"})
        fine = {"code": "200", "reasonPhrase": "OK"}
        types = [{"name": "T1", "attributes": ["A", "B"]}, {"name": "T2"}]
        assert api.get("/v1/contextTypes").json == {"types": types, "statusCode": fine}
        collapsed = api.get("/v1/contextTypes?collapse=true&details=on&limit=1").json
        assert collapsed == {
            "types": [{"name": "T1"}],
            "statusCode": {**fine, "details": "Count: 2"},
        }
        assert api.get("/v1/contextTypes/T1?limit=1&offset=1&details=on").json == {
            "name": "T1",
            "attributes": ["B"],
            "statusCode": {**fine, "details": "Count: 2"},
        }
        answer = api.get("/v1/contextTypes/T1?offset=2&details=on").json
        assert answer["statusCode"]["details"] == "Number of attributes: 2. Offset is 2"
        assert api.get("/v1/contextTypes/T3").json["statusCode"]["code"] == "404"
