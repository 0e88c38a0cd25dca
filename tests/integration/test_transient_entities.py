"""Transient entities: the attribute dateExpires, and that entities go when it says so.

Source: Orion API, section "Transient Entities", and Orion's cases for issue 3000.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver

PAST = {"type": "DateTime", "value": "2010-01-01T00:00:00.000Z", "metadata": {}}
FUTURE = {"type": "DateTime", "value": "2100-01-01T00:00:00.000Z", "metadata": {}}
LATER = {"type": "DateTime", "value": "2110-01-01T00:00:00.000Z", "metadata": {}}
WRONG_DATE = (400, "BadRequest", "date has invalid format in attribute value")
# In the manual only "400 Bad Request"; the words are those of Orion's case.
WRONG_TYPE = (400, "BadRequest", "error processing date expiration attribute, see log traces")


def watch_removals(api: Api, receiver: Receiver) -> None:
    """Have the removal of any entity of the tenant notified."""
    api.subscribe(
        {
            "subject": {
                "entities": [{"idPattern": ".*"}],
                "condition": {"alterationTypes": ["entityDelete"]},
            },
            "notification": {"http": {"url": receiver.url}},
        }
    )


class TestRendering:
    def test_shown_only_when_asked_for(self, api: Api) -> None:
        api.create({"id": "E", "type": "T", "A": {"value": 1}, "dateExpires": FUTURE})
        a = {"type": "Number", "value": 1, "metadata": {}}
        plain = {"id": "E", "type": "T", "A": a}
        assert api.get("/v2/entities/E").json == plain
        assert api.get("/v2/entities").json == [plain]
        assert api.get("/v2/entities/E/attrs").json == {"A": a}
        assert api.get("/v2/entities/E", attrs="*").json == plain
        assert api.get("/v2/entities/E", options="keyValues").json == {
            "id": "E",
            "type": "T",
            "A": 1,
        }
        assert api.get("/v2/entities/E", options="values").json == [1]
        assert api.get("/v2/entities/E", attrs="dateExpires").json == {
            "id": "E",
            "type": "T",
            "dateExpires": FUTURE,
        }
        assert api.get("/v2/entities", attrs="dateExpires,*").json == [
            plain | {"dateExpires": FUTURE}
        ]
        query = {"entities": [{"id": "E"}], "attrs": ["*", "dateExpires"]}
        assert api.post("/v2/op/query", query).json == [plain | {"dateExpires": FUTURE}]
        assert api.get("/v2/types/T").json["attrs"] == {"A": {"types": ["Number"]}}

    def test_filters(self, api: Api) -> None:
        api.create({"id": "E", "dateExpires": FUTURE}, {"id": "F", "dateExpires": LATER})
        api.create({"id": "G"})
        for q, found in [
            ("dateExpires<2105-01-01", ["E"]),
            ("dateExpires>2105-01-01", ["F"]),
            ("dateExpires==2100-01-01T00:00:00Z", ["E"]),
            ("dateExpires", ["E", "F"]),
            ("!dateExpires", ["G"]),
        ]:
            assert [entity["id"] for entity in api.get("/v2/entities", q=q).json] == found, q


class TestRefused:
    @pytest.mark.parametrize(
        ("attribute", "refusal"),
        [
            ({"type": "DateTime", "value": "invalid-01-01T00:00:00Z"}, WRONG_DATE),
            ({"type": "DateTime", "value": 12}, WRONG_DATE),
            ({"type": "Own", "value": "2050-01-01T00:00:00Z"}, WRONG_TYPE),
            ({"value": "2050-01-01T00:00:00Z"}, WRONG_TYPE),
            ({"value": 12}, WRONG_TYPE),
        ],
    )
    def test_not_a_date(
        self, api: Api, attribute: dict[str, Any], refusal: tuple[int, str, str]
    ) -> None:
        assert api.post("/v2/entities", {"id": "E", "dateExpires": attribute}).refusal == refusal
        api.create({"id": "E", "dateExpires": FUTURE})
        for reply in (
            api.post("/v2/entities/E/attrs", {"dateExpires": attribute}),
            api.patch("/v2/entities/E/attrs", {"dateExpires": attribute}),
            api.put("/v2/entities/E/attrs", {"dateExpires": attribute}),
            api.put("/v2/entities/E/attrs/dateExpires", attribute),
        ):
            assert reply.refusal == refusal
        assert api.get("/v2/entities/E", attrs="dateExpires").json["dateExpires"] == FUTURE

    def test_key_values_give_no_date(self, api: Api) -> None:
        document = {"id": "E", "dateExpires": "2050-01-01T00:00:00Z"}
        assert api.post("/v2/entities", document, options="keyValues").refusal == WRONG_TYPE
        assert api.get("/v2/entities").json == []


class TestRemoval:
    def test_created_expired(self, api: Api, receiver: Receiver) -> None:
        watch_removals(api, receiver)
        api.create({"id": "E", "A": {"value": 1}, "dateExpires": PAST})
        assert [entity["id"] for entity in receiver.next().data] == ["E"]
        assert api.get("/v2/entities").json == []

    def test_expires_when_it_is_time(self, api: Api, receiver: Receiver) -> None:
        watch_removals(api, receiver)
        soon = datetime.now(UTC) + timedelta(seconds=1)
        date = {"type": "DateTime", "value": soon.isoformat(timespec="milliseconds")}
        api.create({"id": "F", "dateExpires": FUTURE}, {"id": "E", "dateExpires": date})
        assert [entity["id"] for entity in receiver.next().data] == ["E"]
        assert datetime.now(UTC) >= soon
        assert [entity["id"] for entity in api.get("/v2/entities").json] == ["F"]

    def test_becomes_transient(self, api: Api, receiver: Receiver) -> None:
        watch_removals(api, receiver)
        api.create({"id": "E1"}, {"id": "E2", "A": {"value": 1}}, {"id": "E3"})
        expired = {"dateExpires": PAST}
        assert api.post("/v2/entities/E1/attrs", expired).status == 204
        assert api.put("/v2/entities/E2/attrs", expired).status == 204
        document = {"actionType": "append", "entities": [{"id": "E3", **expired}]}
        assert api.post("/v2/op/update", document).status == 204
        removed = {receiver.next().data[0]["id"] for _ in range(3)}
        assert removed == {"E1", "E2", "E3"}

    def test_expiry_is_moved(self, api: Api, receiver: Receiver) -> None:
        watch_removals(api, receiver)
        api.create({"id": "E", "dateExpires": FUTURE})
        assert api.put("/v2/entities/E/attrs/dateExpires", LATER).status == 204
        assert api.get("/v2/entities/E", attrs="dateExpires").json["dateExpires"] == LATER
        assert api.patch("/v2/entities/E/attrs", {"dateExpires": PAST}).status == 204
        assert [entity["id"] for entity in receiver.next().data] == ["E"]

    def test_regular_again(self, api: Api, receiver: Receiver) -> None:
        watch_removals(api, receiver)
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="milliseconds")
        expires = {"dateExpires": {"type": "DateTime", "value": soon}}
        for number in range(1, 5):
            api.create({"id": f"E{number}", "A": {"value": 1}, **expires})
        assert api.delete("/v2/entities/E1/attrs/dateExpires").status == 204
        assert api.put("/v2/entities/E2/attrs", {"A": {"value": 1}}).status == 204
        document = {"actionType": "replace", "entities": [{"id": "E3", "A": {"value": 1}}]}
        assert api.post("/v2/op/update", document).status == 204
        later = {"id": "E4", "dateExpires": LATER}
        assert api.post("/v2/entities", later, options="upsert").status == 204
        # When one that was left as it was is gone, the others would be gone, too.
        api.create({"id": "F", **expires})
        assert [entity["id"] for entity in receiver.next().data] == ["F"]
        entities = api.get("/v2/entities", attrs="dateExpires", options="keyValues").json
        assert entities == [
            {"id": "E1", "type": "Thing"},
            {"id": "E2", "type": "Thing"},
            {"id": "E3", "type": "Thing"},
            {"id": "E4", "type": "Thing", "dateExpires": LATER["value"]},
        ]
