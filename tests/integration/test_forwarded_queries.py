"""Queries that context providers answer: two brokers, or a broker and a scripted provider.

Source: Orion's manual "Context Providers"; Orion's cases for issues 3068, 3106, 3463, 3851
and 4149.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.endpoints import refuse_connections
from tests.integration.provider import Answer, Forwarded, ScriptedProvider, register, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Api

NOT_FOUND = (404, "NotFound", "The requested entity has not been found. Check type and id")
NO_ATTRIBUTE = (404, "NotFound", "The entity does not have such an attribute")
E1 = {"id": "E1", "type": "T"}
ANY = {"idPattern": ".*", "type": "T"}


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as scripted:
        yield scripted


def url(api: Api) -> str:
    """The API of a client's broker, as it is registered."""
    return f"{api.broker.url}/v2"


class TestOneEntity:
    def test_whole(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a", B="b"))
        register(api, url(remote), E1)
        assert api.get("/v2/entities/E1").json == shown("E1", A="a", B="b")
        assert api.get("/v2/entities/E1", type="T").json == shown("E1", A="a", B="b")
        attributes = api.get("/v2/entities/E1/attrs").json
        assert sorted(attributes) == ["A", "B"]
        assert api.get("/v2/entities/E1", options="keyValues", attrs="B").json == {
            "id": "E1",
            "type": "T",
            "B": "b",
        }

    def test_one_attribute_and_its_value(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a"))
        register(api, url(remote), E1, attributes=("A", "B"))
        assert api.get("/v2/entities/E1/attrs/A").json["value"] == "a"
        reply = api.get("/v2/entities/E1/attrs/A/value", headers={"Accept": "text/plain"})
        assert reply.text == '"a"'
        assert api.get("/v2/entities/E1/attrs/B").refusal == NO_ATTRIBUTE
        assert api.get("/v2/entities/E2/attrs/A").refusal == NOT_FOUND

    def test_completed(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="theirs", B="theirs"))
        register(api, url(remote), E1, attributes=("A", "B"))
        api.create(shown("E1", A="ours"))
        assert api.get("/v2/entities/E1").json == shown("E1", A="ours", B="theirs")
        assert api.get("/v2/entities").json == [shown("E1", A="ours", B="theirs")]
        # What came from a provider is not kept.
        local = api.get("/v2/entities/E1", options="skipForwarding")
        assert local.json == shown("E1", A="ours")

    def test_from_several_providers(
        self, api: Api, remote: Api, provider: ScriptedProvider
    ) -> None:
        remote.create(shown("E1", A="first", B="first"))
        provider.answer = Answer([shown("E1", B="second", C="second")])
        register(api, url(remote), E1, attributes=("A", "B"))
        register(api, provider.url, E1, attributes=("B", "C"))
        assert api.get("/v2/entities/E1").json == shown("E1", A="first", B="first", C="second")

    def test_of_two_types(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", "T", A="a"))
        register(api, url(remote), E1)
        api.create(shown("E1", "U", B="b"))
        reply = api.get("/v2/entities/E1")
        assert (reply.status, reply.json["error"]) == (409, "TooManyResults")
        assert api.get("/v2/entities/E1", type="T").json == shown("E1", "T", A="a")
        assert api.get("/v2/entities/E1", type="U").json == shown("E1", "U", B="b")

    def test_nowhere(self, api: Api, remote: Api) -> None:
        register(api, url(remote), E1)
        assert api.get("/v2/entities/E1").refusal == NOT_FOUND
        assert api.get("/v2/entities").json == []

    def test_through_two_brokers(self, api: Api, remote: Api, provider: ScriptedProvider) -> None:
        provider.answer = Answer([shown("E1", A="far")])
        register(remote, provider.url, E1)
        register(api, url(remote), E1)
        assert api.get("/v2/entities/E1").json == shown("E1", A="far")
        assert provider.next().headers["Fiware-Correlator"].endswith("; cbfwd=1; cbfwd=1")

    def test_behind_the_first_page_of_a_provider(self, api: Api, remote: Api) -> None:
        remote.create(*(shown(f"E{number}", A=str(number)) for number in range(30)))
        register(api, url(remote), ANY)
        assert api.get("/v2/entities/E29", type="T").json == shown("E29", A="29")
        reply = api.get("/v2/entities", idPattern="^E2.$", limit=3, offset=8, options="count")
        assert [entity["id"] for entity in reply.json] == ["E28", "E29"]
        assert reply.headers["Fiware-Total-Count"] == "10"


class TestWhatIsAsked:
    def test_entity_and_attributes(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1, attributes=("A", "B"))
        api.get("/v2/entities/E1")
        request = provider.next()
        assert request.path == "/v2/op/query?limit=20&offset=0&options=count"
        assert request.json == {"entities": [E1], "attrs": ["A", "B"]}

    def test_registration_without_attributes(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1)
        api.get("/v2/entities/E1", attrs="A")
        assert provider.next().json == {"entities": [E1], "attrs": []}

    def test_only_what_is_wanted(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1, attributes=("A", "B", "C"))
        api.get("/v2/entities/E1", attrs="C,A,X")
        api.get("/v2/entities/E1/attrs/B")
        api.get("/v2/entities", attrs="B,*")
        asked = [request.json["attrs"] for request in provider.take_all()]
        assert asked == [["A", "C"], ["B"], ["A", "B", "C"]]
        assert api.get("/v2/entities/E1", attrs="X").refusal == NOT_FOUND
        assert provider.take_all() == []

    def test_only_what_is_missing(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1, attributes=("A", "B"))
        api.create(shown("E1", A="a"))
        api.get("/v2/entities/E1")
        assert provider.next().json == {"entities": [E1], "attrs": ["B"]}
        api.get("/v2/entities/E1/attrs/A")
        api.get("/v2/entities/E1", attrs="A,dateModified")
        assert provider.take_all() == []

    def test_nothing_with_skip_forwarding(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1)
        register(api, provider.url, ANY)
        how = {"options": "skipForwarding"}
        assert api.get("/v2/entities", **how).json == []
        assert api.get("/v2/entities/E1", **how).refusal == NOT_FOUND
        assert api.get("/v2/entities/E1/attrs", **how).refusal == NOT_FOUND
        assert api.get("/v2/entities/E1/attrs/A", **how).refusal == NOT_FOUND
        assert api.get("/v2/entities/E1/attrs/A/value", **how).refusal == NOT_FOUND
        assert api.post("/v2/op/query", {"entities": [E1]}, **how).json == []
        assert provider.take_all() == []

    @pytest.mark.parametrize(
        ("mode", "is_asked"), [("all", True), ("query", True), ("update", False), ("none", False)]
    )
    def test_forwarding_modes(
        self, api: Api, provider: ScriptedProvider, mode: str, is_asked: bool
    ) -> None:
        register(api, provider.url, E1, mode=mode)
        api.get("/v2/entities/E1")
        assert bool(provider.take_all()) is is_asked

    def test_one_request_for_registrations_alike(
        self, api: Api, provider: ScriptedProvider
    ) -> None:
        provider.answer = Answer([shown("E1", A="a", B="b")])
        ids = [register(api, provider.url, E1, attributes=(name,)) for name in ("A", "B")]
        assert api.get("/v2/entities/E1").json == shown("E1", A="a", B="b")
        assert [request.json["attrs"] for request in provider.take_all()] == [["A", "B"]]
        for registration in ids:
            information = api.get(f"/v2/registrations/{registration}").json
            assert information["forwardingInformation"]["timesSent"] == 1

    def test_expired_and_inactive(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1, expires="2020-01-01T00:00:00Z")
        register(api, provider.url, E1, status="inactive")
        assert api.get("/v2/entities/E1").refusal == NOT_FOUND
        assert provider.take_all() == []


class TestLists:
    def test_by_type(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a"), shown("E2", A="b", B="b"), shown("E3", "U", A="c"))
        register(api, url(remote), ANY, attributes=("A",))
        assert api.get("/v2/entities", type="T").json == [shown("E1", A="a"), shown("E2", A="b")]
        assert api.get("/v2/entities", type="U").json == []

    def test_results_are_what_the_client_asked_for(
        self, api: Api, provider: ScriptedProvider
    ) -> None:
        provider.answer = Answer([shown("E1", A="a"), shown("E2", A="b"), shown("E3", "U", A="c")])
        register(api, provider.url, ANY)
        assert api.get("/v2/entities", id="E2", type="T").json == [shown("E2", A="b")]
        assert provider.next().json == {"entities": [ANY], "attrs": []}

    def test_own_entities_first(self, api: Api, remote: Api) -> None:
        remote.create(shown("B1", A="b1"), shown("B2", A="b2"))
        register(api, url(remote), ANY)
        api.create(shown("Z1", A="z1"))
        ids = [entity["id"] for entity in api.get("/v2/entities").json]
        assert ids == ["Z1", "B1", "B2"]

    def test_entities_without_attributes(self, api: Api, provider: ScriptedProvider) -> None:
        provider.answer = Answer([{"id": "E1", "type": "T"}, shown("E2", A="a")])
        register(api, provider.url, ANY)
        # Orion leaves those of providers out in lists, and shows them where one is asked for.
        assert api.get("/v2/entities").json == [shown("E2", A="a")]
        assert api.get("/v2/entities/E1").json == {"id": "E1", "type": "T"}

    def test_dates_are_not_made_up(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a"))
        register(api, url(remote), E1)
        found = api.get("/v2/entities/E1", attrs="dateCreated,dateModified,servicePath,*").json
        assert found == shown("E1", A="a")
        found = api.get("/v2/entities/E1", metadata="dateCreated,*").json
        assert found == shown("E1", A="a")

    def test_filters_hold_for_own_entities_only(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a"))
        register(api, url(remote), E1)
        api.create(shown("E2", A="b"), shown("E3", A="c"))
        found = api.get("/v2/entities", q="A==c").json
        assert found == [shown("E3", A="c"), shown("E1", A="a")]


def pages(api: Api, limit: int) -> list[list[str]]:
    """The ids on all pages; with the count, which must be told right, and without."""
    found: list[list[str]] = []
    while True:
        page = {"limit": limit, "offset": limit * len(found)}
        reply = api.get("/v2/entities", options="count", **page)
        assert reply.headers["Fiware-Total-Count"] == "9"
        assert api.get("/v2/entities", **page).json == reply.json
        if not reply.json:
            return found
        found.append([entity["id"] for entity in reply.json])


class TestPages:
    @pytest.fixture
    def served(self, api: Api, remote: Api, provider: ScriptedProvider) -> None:
        """Three entities here, four and two at providers."""
        api.create(*(shown(f"A{number}", X="x") for number in range(3)))
        remote.create(*(shown(f"B{number}", Y="y") for number in range(4)))
        register(api, url(remote), ANY, attributes=("Y",))
        everything = [shown("C0", Z="z"), shown("C1", Z="z")]

        def answer(request: Forwarded) -> Answer:
            query = dict(item.split("=") for item in request.path.partition("?")[2].split("&"))
            first = int(query["offset"])
            page = everything[first : first + int(query["limit"])]
            return Answer(page, headers={"Fiware-Total-Count": "2"})

        provider.answer = answer
        register(api, provider.url, ANY, attributes=("Z",))

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8, 9, 20])
    def test_every_entity_is_on_one_page(self, api: Api, served: None, limit: int) -> None:
        everything = ["A0", "A1", "A2", "B0", "B1", "B2", "B3", "C0", "C1"]
        assert pages(api, limit) == [
            everything[first : first + limit] for first in range(0, 9, limit)
        ]

    def test_full_page_asks_nobody(
        self, api: Api, served: None, provider: ScriptedProvider
    ) -> None:
        assert len(api.get("/v2/entities", limit=3).json) == 3
        assert len(api.get("/v2/entities", limit=7).json) == 7
        assert api.get("/v2/entities", limit=0).json == []
        assert provider.take_all() == []

    def test_entity_of_two_providers(self, api: Api, provider: ScriptedProvider) -> None:
        with ScriptedProvider() as second:
            provider.answer = Answer([shown("E1", A="a")], headers={"Fiware-Total-Count": "1"})
            second.answer = Answer([shown("E1", B="b")], headers={"Fiware-Total-Count": "1"})
            register(api, provider.url, E1, attributes=("A",))
            register(api, second.url, E1, attributes=("B",))
            reply = api.get("/v2/entities", limit=1, options="count")
            assert reply.json == [shown("E1", A="a", B="b")]
            assert reply.headers["Fiware-Total-Count"] == "1"
            provider.answer = second.answer = Answer([], headers={"Fiware-Total-Count": "1"})
            reply = api.get("/v2/entities", offset=1, options="count")
            assert (reply.json, reply.headers["Fiware-Total-Count"]) == ([], "1")

    def test_own_entity_on_another_page(self, api: Api, provider: ScriptedProvider) -> None:
        register(api, provider.url, E1, attributes=("B",))
        api.create(shown("E1", A="a"), shown("E2", A="b"))
        reply = api.get("/v2/entities", offset=1, options="count")
        assert (reply.json, reply.headers["Fiware-Total-Count"]) == ([shown("E2", A="b")], "2")
        assert provider.take_all() == []

    def test_provider_without_pages(self, api: Api, provider: ScriptedProvider) -> None:
        # No Fiware-Total-Count: it has sent all it has, whatever it was asked for.
        provider.answer = Answer([shown(f"E{number}", A="a") for number in range(9)])
        register(api, provider.url, ANY)
        assert pages(api, 4) == [
            ["E0", "E1", "E2", "E3"],
            ["E4", "E5", "E6", "E7"],
            ["E8"],
        ]


class TestBatchQuery:
    def test_by_id(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a", B="b"))
        register(api, url(remote), E1)
        query = {"entities": [{"id": "E1", "type": "T"}], "attrs": ["A"]}
        assert api.post("/v2/op/query", query).json == [shown("E1", A="a")]

    def test_having_attributes(self, api: Api, provider: ScriptedProvider) -> None:
        provider.answer = Answer([shown("E1", B="b", C="c")])
        register(api, provider.url, E1, attributes=("B",))
        register(api, provider.url, ANY)
        api.create(shown("E1", A="a"))
        query = {"entities": [E1], "attributes": ["A", "B", "C"]}
        assert api.post("/v2/op/query", query).json == [shown("E1", A="a", B="b", C="c")]
        asked = {tuple(request.json["attrs"]) for request in provider.take_all()}
        assert ("B", "C") in asked

    def test_several_entities(self, api: Api, remote: Api) -> None:
        remote.create(shown("E1", A="a"), shown("E2", A="b"), shown("E3", A="c"))
        register(api, url(remote), {"id": "E1"}, {"id": "E2"}, {"id": "E3"})
        query = {"entities": [{"id": "E3", "type": "T"}, {"id": "E1"}]}
        assert api.post("/v2/op/query", query).json == [shown("E1", A="a"), shown("E3", A="c")]


class TestFailures:
    @pytest.mark.parametrize(
        "answer",
        [
            Answer(b""),
            Answer(b"no JSON"),
            Answer({"id": "E1"}),
            Answer([1]),
            Answer([{"type": "T"}]),
            Answer([{"id": "E1", "type": "T", "A": 5}]),
            Answer([shown("E1", A="<script>")]),
            Answer([shown("E1", A="a")], status=500),
            Answer({"error": "NotFound"}, status=404),
            Answer(b"", status=302, headers={"Location": "/elsewhere"}),
        ],
    )
    def test_answers_that_are_none(
        self, api: Api, provider: ScriptedProvider, answer: Answer
    ) -> None:
        provider.answer = answer
        registration = register(api, provider.url, E1)
        assert api.get("/v2/entities/E1").refusal == NOT_FOUND
        information = api.get(f"/v2/registrations/{registration}").json["forwardingInformation"]
        assert information["timesSent"] == 1
        assert "lastFailure" in information
        assert "lastSuccess" not in information

    def test_own_results_are_given(self, api: Api) -> None:
        with refuse_connections() as dead:
            register(api, dead, E1, attributes=("B",))
            register(api, dead, ANY)
            api.create(shown("E1", A="a"))
            assert api.get("/v2/entities/E1").json == shown("E1", A="a")
            assert api.get("/v2/entities").json == [shown("E1", A="a")]

    def test_other_providers_are_asked(self, api: Api, provider: ScriptedProvider) -> None:
        provider.answer = Answer([shown("E1", B="b")])
        with refuse_connections() as dead:
            register(api, dead, E1, attributes=("A",))
            register(api, provider.url, E1, attributes=("B",))
            assert api.get("/v2/entities/E1").json == shown("E1", B="b")


class TestLegacy:
    """NGSIv1 towards the provider (legacyForwarding)."""

    def test_query(self, api: Api, provider: ScriptedProvider) -> None:
        provider.answer = Answer(
            {
                "contextResponses": [
                    {
                        "contextElement": {
                            "type": "T",
                            "isPattern": "false",
                            "id": "E1",
                            "attributes": [
                                {
                                    "name": "A",
                                    "type": "degree",
                                    "value": "14",
                                    "metadatas": [{"name": "M", "type": "Text", "value": "m"}],
                                },
                                {"name": "B", "type": "StructuredValue", "value": {"x": 1}},
                            ],
                        },
                        "statusCode": {"code": "200", "reasonPhrase": "OK"},
                    },
                    {
                        "contextElement": {"type": "T", "isPattern": "false", "id": "E2"},
                        "statusCode": {"code": "404", "reasonPhrase": "No context element found"},
                    },
                ]
            }
        )
        register(api, provider.url, E1, attributes=("A", "B"), legacy=True)
        metadata = {"M": {"type": "Text", "value": "m"}}
        assert api.get("/v2/entities/E1").json == {
            "id": "E1",
            "type": "T",
            "A": {"type": "degree", "value": "14", "metadata": metadata},
            # NGSIv1 knows no numbers.
            "B": {"type": "StructuredValue", "value": {"x": "1"}, "metadata": {}},
        }
        request = provider.next()
        assert request.path == "/v2/queryContext"
        assert request.json == {
            "entities": [{"id": "E1", "isPattern": "false", "type": "T"}],
            "attributes": ["A", "B"],
        }

    def test_pattern(self, api: Api, provider: ScriptedProvider) -> None:
        error = {"code": "404", "reasonPhrase": "No context element found"}
        provider.answer = Answer({"errorCode": error})
        registration = register(api, provider.url, {"idPattern": ".*"}, legacy=True)
        assert api.get("/v2/entities").json == []
        assert provider.next().json["entities"] == [{"id": ".*", "isPattern": "true", "type": ""}]
        information = api.get(f"/v2/registrations/{registration}").json["forwardingInformation"]
        assert "lastSuccess" in information

    def test_pages(self, api: Api, provider: ScriptedProvider) -> None:
        elements = [
            {"contextElement": {"id": name, "type": "T", "attributes": [{"name": "A"}]}}
            for name in ("E1", "F1", "E2", "E3")
        ]
        provider.answer = Answer({"contextResponses": elements})
        register(api, provider.url, ANY, legacy=True)
        for offset, expected in ((0, ["E1", "E2"]), (1, ["E2", "E3"]), (2, ["E3"]), (3, [])):
            page = {"idPattern": "^E", "limit": 2, "offset": offset, "options": "count"}
            reply = api.get("/v2/entities", **page)
            assert [entity["id"] for entity in reply.json] == expected
            assert reply.headers["Fiware-Total-Count"] == "3"

    @pytest.mark.parametrize(
        "answer",
        [
            [],
            {},
            {"errorCode": {"code": "500"}},
            {"contextResponses": [{"statusCode": {"code": "200"}}]},
            {"contextResponses": [{"contextElement": {"id": "E1", "attributes": [{"name": 5}]}}]},
            {"contextResponses": [{"contextElement": {"id": "E1"}, "statusCode": {"code": 200}}]},
        ],
    )
    def test_answers_that_are_none(self, api: Api, provider: ScriptedProvider, answer: Any) -> None:
        provider.answer = Answer(answer)
        registration = register(api, provider.url, E1, legacy=True)
        assert api.get("/v2/entities/E1").refusal == NOT_FOUND
        information = api.get(f"/v2/registrations/{registration}").json["forwardingInformation"]
        assert "lastFailure" in information
