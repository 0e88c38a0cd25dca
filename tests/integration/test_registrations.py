"""Registrations of context providers: create, list, retrieve, update, remove.

Source: Orion API, sections "Registration Operations" and "Registration implementation
differences"; Orion's cases for issues 1492, 3004, 3005, 3006, 3008, 3945 and 4235.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.launch import BrokerProcess
    from tests.integration.conftest import Api, StartBroker

NOT_FOUND = (404, "NotFound", "The requested registration has not been found. Check id")
LOCATION = re.compile(r"/v2/registrations/[0-9a-f]{24}")

ENTITIES = [{"id": "E1", "type": "T1"}, {"id": "E2", "type": "T2"}]
DATA = {"entities": [{"id": "E1", "type": "T1"}], "attrs": ["A1", "A2"]}
PROVIDER = {"http": {"url": "http://localhost:9801/v2"}}
MINIMAL: dict[str, Any] = {"dataProvided": {"entities": [{"id": "E1"}]}, "provider": PROVIDER}
FULL_PROVIDER = {**PROVIDER, "supportedForwardingMode": "all", "legacyForwarding": False}


def bad(description: str) -> tuple[int, str, str]:
    """The refusal of a bad request."""
    return 400, "BadRequest", description


def register(api: Api, document: dict[str, Any], **how: Any) -> str:
    """Create a registration; returns its id."""
    reply = api.post("/v2/registrations", document, **how)
    assert (reply.status, reply.text) == (201, ""), reply
    location = reply.headers["Location"]
    assert LOCATION.fullmatch(location)
    return location.removeprefix("/v2/registrations/")


def get(api: Api, registration: str) -> dict[str, Any]:
    """The registration as it is shown."""
    reply = api.get(f"/v2/registrations/{registration}")
    assert reply.status == 200, reply
    document: dict[str, Any] = reply.json
    return document


class TestCreate:
    def test_whole(self, api: Api) -> None:
        document = {
            "description": "Relative Humidity Context Source",
            "dataProvided": {"entities": ENTITIES, "attrs": ["A1", "A2"]},
            "provider": {
                **PROVIDER,
                "supportedForwardingMode": "query",
                "legacyForwarding": True,
            },
            "expires": "2050-04-05T14:00:00.00Z",
            "status": "inactive",
        }
        registration = register(api, document)
        shown = get(api, registration)
        expires = shown.pop("expires")
        assert re.fullmatch(r"2050-04-05T14:00:00\.00+Z", expires)
        del document["expires"]
        assert shown == {"id": registration, **document}

    def test_minimal(self, api: Api) -> None:
        registration = register(api, MINIMAL)
        assert get(api, registration) == {
            "id": registration,
            "dataProvided": {"entities": [{"id": "E1"}], "attrs": []},
            "provider": FULL_PROVIDER,
            "status": "active",
        }

    def test_any_entity(self, api: Api) -> None:
        data = {"entities": [{"idPattern": ".*", "type": "T"}], "attrs": []}
        registration = register(api, {"dataProvided": data, "provider": PROVIDER})
        assert get(api, registration)["dataProvided"] == data

    @pytest.mark.parametrize("mode", ["none", "query", "update", "all"])
    def test_forwarding_modes(self, api: Api, mode: str) -> None:
        provider = {**PROVIDER, "supportedForwardingMode": mode}
        registration = register(api, {**MINIMAL, "provider": provider})
        assert get(api, registration)["provider"]["supportedForwardingMode"] == mode

    def test_expression_is_passed_over(self, api: Api) -> None:
        # The manual: the field is simply ignored.
        data = {**MINIMAL["dataProvided"], "expression": {"q": "A>1"}}
        registration = register(api, {**MINIMAL, "dataProvided": data})
        assert "expression" not in get(api, registration)["dataProvided"]

    def test_empty_expires_is_permanent(self, api: Api) -> None:
        assert "expires" not in get(api, register(api, {**MINIMAL, "expires": ""}))

    def test_longest_description(self, api: Api) -> None:
        registration = register(api, {**MINIMAL, "description": "ñ" * 1024})
        assert get(api, registration)["description"] == "ñ" * 1024

    def test_the_same_twice(self, api: Api) -> None:
        assert register(api, MINIMAL) != register(api, MINIMAL)
        assert len(api.get("/v2/registrations").json) == 2


def data_provided(*entities: Any, **members: Any) -> dict[str, Any]:
    """A registration of these entities."""
    return {"dataProvided": {"entities": list(entities), **members}, "provider": PROVIDER}


def provided_by(provider: Any) -> dict[str, Any]:
    """A registration with this provider."""
    return {**MINIMAL, "provider": provider}


class TestRefused:
    @pytest.mark.parametrize(
        ("document", "refusal"),
        [
            ([], bad("not a JSON object")),
            (5, bad("not a JSON object")),
            ({}, bad("empty payload")),
            ({"description": 4}, bad("invalid description")),
            ({"description": "x" * 1025}, bad("max description length exceeded")),
            ({"description": "<>="}, bad("forbidden characters in description")),
            ({"description": "D"}, bad("the field /dataProvided/ is missing in payload")),
            ({"dataProvided": 5}, bad("/dataProvided/ must be a JSON object")),
            ({"dataProvided": {}}, bad("/dataProvided/ is empty")),
            ({"dataProvided": {"entities": 6}}, bad("/entities/ is not an array")),
            (data_provided(1, 2), bad("/entities/ vector item is not an object")),
            (
                data_provided({"type": "T1"}),
                bad("/entities/ vector item does not have /id/ nor /idPattern/"),
            ),
            (
                data_provided({"id": "E", "idPattern": "E.*"}),
                bad("/entities/ vector item has both /id/ and /idPattern/"),
            ),
            (data_provided({"id": True}), bad("/entities/ vector item /id/ is not a string")),
            (data_provided({"id": ""}), bad("/entities/ element id is empty")),
            (
                data_provided({"id": "<>!="}),
                bad("forbidden characters in /entities/ vector item /id/"),
            ),
            (
                data_provided({"id": "x" * 257}),
                bad("max id length exceeded in /entities/ vector item /id/"),
            ),
            (
                data_provided({"idPattern": 7}),
                bad("/entities/ vector item /idPattern/ is not a string"),
            ),
            (data_provided({"idPattern": ""}), bad("/entities/ vector item /idPattern/ is empty")),
            (
                data_provided({"id": "E1", "type": "T", "typePattern": "T.*"}),
                bad("/entities/ element has both /type/ and /typePattern/"),
            ),
            (
                data_provided({"id": "E1", "type": 6}),
                bad("/entities/ vector item type is not a string"),
            ),
            (
                data_provided({"id": "E1", "type": ""}),
                bad("entity type length: 0, min length supported: 1"),
            ),
            (
                data_provided({"id": "E1", "type": "<=>"}),
                bad("forbidden characters in /entities/ vector item /type/"),
            ),
            (
                data_provided({"id": "E1", "type": "x" * 257}),
                bad("max type length exceeded in /entities/ vector item /type/"),
            ),
            (
                data_provided({"id": "E1", "typePattern": False}),
                bad("/entities/ vector item /typePattern/ is not a string"),
            ),
            (
                data_provided({"id": "E1", "typePattern": ""}),
                bad("/entities/ vector item /typePattern/ is empty"),
            ),
            (
                data_provided({"id": "E1"}, attrs=True),
                bad("the field /attrs/ must be a JSON array"),
            ),
            (
                data_provided({"id": "E1"}, attrs=[1, 2]),
                bad("only JSON Strings allowed in string vector /attrs/"),
            ),
            (
                data_provided({"id": "E1"}, attrs=["A1", ""]),
                bad("empty string found in string vector /attrs/"),
            ),
            (
                data_provided({"id": "E1"}, attrs=["A1", "A1"]),
                bad("duplicated item /A1/ in array"),
            ),
            (
                data_provided({"id": "E1"}, attrs=["A<"]),
                bad("forbidden characters in attribute name"),
            ),
            (
                {"dataProvided": DATA},
                bad("the field /provider/ is missing in payload"),
            ),
            (provided_by({}), bad("/provider/ empty")),
            (provided_by(7), bad("/provider/ must be a JSON object")),
            (provided_by({"a": 0}), bad("/provider/ must contain a field /http/")),
            (
                provided_by({**PROVIDER, "supportedForwardingMode": True}),
                bad("/supportedForwardingMode/ must be a JSON string"),
            ),
            (
                provided_by({**PROVIDER, "supportedForwardingMode": "invalid"}),
                bad("invalid value of /supportedForwardingMode/"),
            ),
            (provided_by({"http": []}), bad("/http/ must be a JSON object")),
            (
                provided_by({"http": {"noUrl": True}}),
                bad("/http/ must contain a field /url/"),
            ),
            (
                provided_by({"http": {"url": True}}),
                bad("/url/ field of /http/ must be a JSON string"),
            ),
            (
                provided_by({"http": {"url": ""}}),
                bad("/url/ field of /http/ cannot be the empty string"),
            ),
            (
                provided_by({"http": {"url": "www:/abc"}}),
                bad("/url/ field of /http/ is invalid"),
            ),
            (
                provided_by({**PROVIDER, "legacyForwarding": 14}),
                bad("the field /legacyForwarding/ must be a boolean"),
            ),
            ({**MINIMAL, "expires": 5}, bad("expires is not a string")),
            ({**MINIMAL, "expires": "x"}, bad("the field /expires/ has an invalid format")),
            ({**MINIMAL, "status": 4}, bad("/status/ must be a string")),
            ({**MINIMAL, "status": "green"}, bad("invalid value for /status/")),
            ({**MINIMAL, "status": "expired"}, bad("invalid value for /status/")),
            (
                data_provided({"idPattern": "E.*"}),
                (501, "NotImplemented", "Unsupported idPattern"),
            ),
            (
                data_provided({"id": "E", "typePattern": ".*"}),
                (501, "NotImplemented", "typePattern is not supported"),
            ),
        ],
    )
    def test_field_at_fault_is_named(
        self, api: Api, document: Any, refusal: tuple[int, str, str]
    ) -> None:
        assert api.post("/v2/registrations", document).refusal == refusal
        assert api.get("/v2/registrations").json == []

    def test_no_json(self, api: Api) -> None:
        # Orion's case has BadRequest here, where all other operations have ParseError.
        reply = api.post("/v2/registrations", b'{ "a": ')
        assert reply.refusal == bad("Errors found in incoming JSON buffer")


class TestRetrieve:
    @pytest.mark.parametrize(
        "registration", ["111111111111111111111111", "testtesttesttesttesttest", "abc", "1" * 25]
    )
    def test_unknown(self, api: Api, registration: str) -> None:
        path = f"/v2/registrations/{registration}"
        assert api.get(path).refusal == NOT_FOUND
        assert api.delete(path).refusal == NOT_FOUND

    def test_service_path(self, api: Api) -> None:
        registration = register(api, MINIMAL, service_path="/foo")
        path = f"/v2/registrations/{registration}"
        assert api.get(path).status == 200
        assert api.get(path, service_path="/foo").status == 200
        # The manual says that the header is ignored, Orion's case 3945 that it is not.
        assert api.get(path, service_path="/bar").refusal == NOT_FOUND


class TestRemove:
    def test_gone(self, api: Api) -> None:
        kept, registration = register(api, MINIMAL), register(api, MINIMAL)
        path = f"/v2/registrations/{registration}"
        reply = api.delete(path)
        assert (reply.status, reply.text) == (204, "")
        assert api.get(path).refusal == NOT_FOUND
        assert api.delete(path).refusal == NOT_FOUND
        assert [item["id"] for item in api.get("/v2/registrations").json] == [kept]


class TestList:
    def test_none(self, api: Api) -> None:
        reply = api.get("/v2/registrations", options="count")
        assert (reply.json, reply.headers["Fiware-Total-Count"]) == ([], "0")

    def test_pages(self, api: Api) -> None:
        created = [register(api, {**MINIMAL, "description": f"r{n}"}) for n in range(25)]

        def listed(**page: Any) -> list[str]:
            reply = api.get("/v2/registrations", **page)
            return [item["id"] for item in reply.json]

        assert listed() == created[:20]
        assert listed(limit=3, offset=21) == created[21:24]
        assert listed(offset=100) == []
        assert listed(limit=0) == []
        for limit in (0, 5, 100):
            reply = api.get("/v2/registrations", limit=limit, options="count")
            assert reply.headers["Fiware-Total-Count"] == "25"
        whole: dict[str, Any] = {"dataProvided": {"entities": [{"id": "E1"}], "attrs": []}}
        whole |= {"provider": FULL_PROVIDER, "status": "active"}
        assert api.get("/v2/registrations", limit=1).json == [
            {"id": created[0], "description": "r0", **whole}
        ]

    def test_service_paths(self, api: Api) -> None:
        for path in ("/a1/e1", "/a1/e2", "/a1/e3", "/#", None):
            register(api, {**MINIMAL, "description": f"of {path}"}, service_path=path)

        def listed(path: str | None) -> list[str]:
            reply = api.get("/v2/registrations", service_path=path, options="count")
            assert reply.headers["Fiware-Total-Count"] == str(len(reply.json))
            return [item["description"] for item in reply.json]

        everything = ["of /a1/e1", "of /a1/e2", "of /a1/e3", "of /#", "of None"]
        assert listed(None) == everything
        assert listed("/#") == everything
        # Exactly the path, not what it would cover.
        assert listed("/a1/e2") == ["of /a1/e2"]
        assert listed("/a1/#") == []
        assert listed("/") == ["of None"]
        assert listed("/a1") == []


class TestUpdate:
    """PATCH, which the NGSIv2 specification has ("Update Registration") and Orion has not."""

    @pytest.fixture
    def registration(self, api: Api) -> str:
        """The id of a registration that has all members."""
        document = {
            "description": "before",
            "dataProvided": DATA,
            "provider": PROVIDER,
            "expires": "2050-04-05T14:00:00.000Z",
        }
        return register(api, document, service_path="/a")

    @pytest.mark.parametrize(
        ("document", "changed"),
        [
            ({"description": "after"}, {"description": "after"}),
            ({"status": "inactive"}, {"status": "inactive"}),
            (
                {"expires": "2060-01-01T00:00:00.000Z"},
                {"expires": "2060-01-01T00:00:00.000Z"},
            ),
            (
                {"dataProvided": {"entities": [{"idPattern": ".*", "type": "T"}]}},
                {"dataProvided": {"entities": [{"idPattern": ".*", "type": "T"}], "attrs": []}},
            ),
            (
                {"provider": {"http": {"url": "http://other:9/v2"}, "legacyForwarding": True}},
                {
                    "provider": {
                        "http": {"url": "http://other:9/v2"},
                        "supportedForwardingMode": "all",
                        "legacyForwarding": True,
                    }
                },
            ),
        ],
        ids=["description", "status", "expires", "dataProvided", "provider"],
    )
    def test_given_members_are_replaced(
        self, api: Api, registration: str, document: dict[str, Any], changed: dict[str, Any]
    ) -> None:
        before = get(api, registration)
        reply = api.patch(f"/v2/registrations/{registration}", document)
        assert (reply.status, reply.text) == (204, "")
        assert get(api, registration) == before | changed
        # Its service path is its own, whatever the header of the request.
        assert len(api.get("/v2/registrations", service_path="/a").json) == 1

    def test_empty_expires_is_permanent(self, api: Api, registration: str) -> None:
        assert api.patch(f"/v2/registrations/{registration}", {"expires": ""}).status == 204
        assert "expires" not in get(api, registration)

    @pytest.mark.parametrize(
        ("document", "refusal"),
        [
            ({}, bad("empty payload")),
            ([], bad("not a JSON object")),
            ({"description": "<"}, bad("forbidden characters in description")),
            ({"description": "x", "status": "green"}, bad("invalid value for /status/")),
            ({"description": "x", "provider": {}}, bad("/provider/ empty")),
            ({"status": "inactive", "dataProvided": {}}, bad("/dataProvided/ is empty")),
            ({"expires": "x"}, bad("the field /expires/ has an invalid format")),
            (
                {"dataProvided": {"entities": [{"idPattern": "E.*"}]}},
                (501, "NotImplemented", "Unsupported idPattern"),
            ),
        ],
    )
    def test_refused_as_a_whole(
        self, api: Api, registration: str, document: Any, refusal: tuple[int, str, str]
    ) -> None:
        before = get(api, registration)
        reply = api.patch(f"/v2/registrations/{registration}", document)
        assert reply.refusal == refusal
        assert get(api, registration) == before

    def test_unknown(self, api: Api) -> None:
        reply = api.patch("/v2/registrations/111111111111111111111111", {"description": "x"})
        assert reply.refusal == NOT_FOUND


def test_patterns_where_they_are_asked_for(
    start_broker: StartBroker, connect: Callable[[BrokerProcess, str], Api]
) -> None:
    api = connect(start_broker("--registration-patterns"), "")
    entities = [{"idPattern": "^E", "typePattern": "T$"}, {"id": "E1", "typePattern": ".*"}]
    registration = register(api, data_provided(*entities))
    assert get(api, registration)["dataProvided"]["entities"] == entities
    reply = api.post("/v2/registrations", data_provided({"idPattern": "("}))
    assert reply.refusal == bad("Invalid regex for entity idPattern")


def test_registrations_outlive_the_process(
    start_broker: StartBroker, connect: Callable[[BrokerProcess, str], Api]
) -> None:
    broker = start_broker()
    api = connect(broker, "")
    created = [register(api, {**MINIMAL, "description": f"r{n}"}) for n in range(3)]
    assert api.delete(f"/v2/registrations/{created[1]}").status == 204
    before = api.get("/v2/registrations").json
    broker.kill()
    broker.start()
    assert connect(broker, "").get("/v2/registrations").json == before
    assert [item["id"] for item in before] == [created[0], created[2]]
