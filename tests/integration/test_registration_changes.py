"""What this broker offers of registrations beyond Orion: PATCH, and patterns of any kind.

Source: NGSIv2, "Update Registration"; Orion API, section "Registration implementation
differences" (for what is refused by default).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.provider import Answer, ScriptedProvider, register, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from broker.launch import BrokerProcess
    from tests.integration.conftest import Api, StartBroker

E1 = {"id": "E1", "type": "T"}
NOT_FOUND = (404, "NotFound", "The requested registration has not been found. Check id")


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as scripted:
        yield scripted


def bad(description: str) -> tuple[int, str, str]:
    """The refusal of a bad request."""
    return 400, "BadRequest", description


def get(api: Api, registration: str) -> dict[str, Any]:
    """The registration as it is shown."""
    document: dict[str, Any] = api.get(f"/v2/registrations/{registration}").json
    return document


class TestPatch:
    def test_parts_are_replaced_as_wholes(self, api: Api) -> None:
        registration = register(api, "http://localhost:1/v2", E1, attributes=("A",), mode="query")
        path = f"/v2/registrations/{registration}"
        before = get(api, registration)
        for part, expected in (
            ({"description": "new"}, {"description": "new"}),
            ({"status": "inactive"}, {"status": "inactive"}),
            (
                {"dataProvided": {"entities": [{"id": "E2"}]}},
                {"dataProvided": {"entities": [{"id": "E2"}], "attrs": []}},
            ),
            (
                {"provider": {"http": {"url": "http://localhost:2/v2"}}},
                {
                    "provider": {
                        "http": {"url": "http://localhost:2/v2"},
                        "supportedForwardingMode": "all",
                        "legacyForwarding": False,
                    }
                },
            ),
            ({"expires": "2050-01-01T00:00:00.000Z"}, {"expires": "2050-01-01T00:00:00.000Z"}),
        ):
            reply = api.patch(path, part)
            assert (reply.status, reply.text) == (204, "")
            before |= expected
            assert get(api, registration) == before
        assert api.patch(path, {"expires": ""}).status == 204
        assert "expires" not in get(api, registration)

    @pytest.mark.parametrize(
        ("document", "refusal"),
        [
            ([], bad("not a JSON object")),
            ({}, bad("empty payload")),
            ({"dataProvided": {}}, bad("/dataProvided/ is empty")),
            ({"provider": {}}, bad("/provider/ empty")),
            ({"description": "new", "status": "green"}, bad("invalid value for /status/")),
            ({"status": "inactive", "expires": "x"}, None),
            (
                {"dataProvided": {"entities": [{"idPattern": "E.*"}]}},
                (501, "NotImplemented", "Unsupported idPattern"),
            ),
        ],
    )
    def test_refused(self, api: Api, document: Any, refusal: tuple[int, str, str] | None) -> None:
        registration = register(api, "http://localhost:1/v2", E1)
        before = get(api, registration)
        expected = refusal or bad("the field /expires/ has an invalid format")
        assert api.patch(f"/v2/registrations/{registration}", document).refusal == expected
        assert get(api, registration) == before

    def test_unknown(self, api: Api) -> None:
        document = {"status": "inactive"}
        assert api.patch(f"/v2/registrations/{'1' * 24}", document).refusal == NOT_FOUND

    def test_other_service_path(self, api: Api) -> None:
        registration = register(api, "http://localhost:1/v2", E1, service_path="/a")
        path = f"/v2/registrations/{registration}"
        document = {"status": "inactive"}
        assert api.patch(path, document, service_path="/b").refusal == NOT_FOUND
        assert api.patch(path, document, service_path="/a").status == 204
        assert len(api.get("/v2/registrations", service_path="/a").json) == 1

    def test_takes_effect_at_once(self, api: Api, provider: ScriptedProvider) -> None:
        provider.answer = Answer([shown("E1", A="a"), shown("E2", A="b")])
        registration = register(api, provider.url, E1)
        path = f"/v2/registrations/{registration}"
        assert api.get("/v2/entities/E1").status == 200
        assert api.patch(path, {"dataProvided": {"entities": [{"id": "E2"}]}}).status == 204
        assert api.get("/v2/entities/E1").status == 404
        assert api.get("/v2/entities/E2").status == 200
        assert get(api, registration)["forwardingInformation"]["timesSent"] == 2
        assert api.patch(path, {"status": "inactive"}).status == 204
        assert api.get("/v2/entities/E2").status == 404
        assert api.patch(path, {"status": "active"}).status == 204
        assert api.get("/v2/entities/E2").status == 200

    def test_kept_over_a_restart(
        self,
        tmp_path: Path,
        start_broker: StartBroker,
        connect: Callable[[BrokerProcess, str], Api],
    ) -> None:
        directory = tmp_path / "data"
        first = start_broker(directory=directory)
        api = connect(first, "")
        registration = register(api, "http://localhost:1/v2", E1, description="old")
        change = {"description": "new", "dataProvided": {"entities": [{"id": "E2"}]}}
        assert api.patch(f"/v2/registrations/{registration}", change).status == 204
        before = get(api, registration)
        first.kill()
        api = connect(start_broker(directory=directory), "")
        assert get(api, registration) == before


class TestPatterns:
    def test_id_and_type_patterns(
        self,
        tmp_path: Path,
        provider: ScriptedProvider,
        start_broker: StartBroker,
        connect: Callable[[BrokerProcess, str], Api],
    ) -> None:
        directory = tmp_path / "data"
        first = start_broker("--registration-patterns", directory=directory)
        api = connect(first, "")
        provider.answer = Answer([shown("Room1", "BathRoom", A="a")])
        selector = {"idPattern": "^Room", "typePattern": "Room$"}
        registration = register(api, provider.url, selector)
        assert get(api, registration)["dataProvided"]["entities"] == [selector]
        assert api.get("/v2/entities/Room1").json == shown("Room1", "BathRoom", A="a")
        assert provider.next().json["entities"] == [selector]
        assert api.get("/v2/entities/Hall1").status == 404
        assert api.get("/v2/entities/Room1", type="Hall").status == 404
        assert provider.take_all() == []
        provider.answer = Answer(status=204)
        update = {"A": {"value": "new"}}
        assert api.patch("/v2/entities/Room2/attrs?type=BathRoom", update).status == 204
        assert api.patch("/v2/entities/Room2/attrs?type=Hall", update).status == 404
        first.stop()
        # A broker without the flag takes no such registration any more, and keeps those it has.
        api = connect(start_broker(directory=directory), "")
        assert get(api, registration)["dataProvided"]["entities"] == [selector]
        assert api.patch("/v2/entities/Room2/attrs?type=BathRoom", update).status == 204
