"""POST /v2/op/notify: the notification of another broker, taken as an update.

Source: Orion API, sections "Notify operation" and "keyValues not supported in POST
/v2/op/notify"; Orion's case notify_op and its reader of notifications for texts of errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver

ENTITY = {"id": "E", "type": "T", "A": {"type": "Number", "value": 1, "metadata": {}}}


def bad(description: str) -> tuple[int, str, str]:
    """The refusal of a bad request."""
    return 400, "BadRequest", description


def notification(*entities: dict[str, Any]) -> dict[str, Any]:
    """A notification of these entities."""
    return {"subscriptionId": "5aeb0ee97d4ef10a12a0262f", "data": list(entities)}


class TestTaken:
    def test_entities_are_created(self, api: Api) -> None:
        other = {"id": "F", "type": "T", "B": {"type": "Text", "value": "x", "metadata": {}}}
        reply = api.post("/v2/op/notify", notification(ENTITY, other))
        assert (reply.status, reply.text) == (200, "")
        assert api.get("/v2/entities").json == [ENTITY, other]

    def test_entities_are_updated(self, api: Api) -> None:
        api.create({"id": "E", "type": "T", "A": 0, "kept": "x"}, options="keyValues")
        assert api.post("/v2/op/notify", notification(ENTITY)).status == 200
        assert api.get("/v2/entities", options="keyValues").json == [
            {"id": "E", "type": "T", "A": 1, "kept": "x"}
        ]

    def test_service_path(self, api: Api) -> None:
        reply = api.post("/v2/op/notify", notification(ENTITY), service_path="/a/b")
        assert reply.status == 200
        assert api.get("/v2/entities", service_path="/a/b").json == [ENTITY]
        assert api.get("/v2/entities", service_path="/a").json == []

    def test_normalized_is_told_by_the_header(self, api: Api) -> None:
        headers = {"Ngsiv2-AttrsFormat": "normalized"}
        assert api.post("/v2/op/notify", notification(ENTITY), headers=headers).status == 200

    def test_what_this_broker_notifies(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(
            {
                "subject": {"entities": [{"idPattern": ".*"}]},
                "notification": {"http": {"url": receiver.url}},
            }
        )
        api.create(ENTITY)
        delivery = receiver.next()
        api.delete("/v2/entities/E")
        headers = {"Ngsiv2-AttrsFormat": delivery.headers["Ngsiv2-AttrsFormat"]}
        assert api.post("/v2/op/notify", delivery.body, headers=headers).status == 200
        assert api.get("/v2/entities").json == [ENTITY]


class TestRefused:
    @pytest.mark.parametrize(
        ("document", "refusal"),
        [
            ({}, bad("empty payload")),
            (
                {"data": [ENTITY]},
                bad("invalid JSON payload, mandatory field /subscriptionId/ not found"),
            ),
            (
                {"subscriptionId": "1"},
                bad("Invalid JSON payload, mandatory field /data/ not found"),
            ),
            (
                {**notification(ENTITY), "subscriptionId": 1},
                bad("/subscriptionId/ must be a JSON string"),
            ),
            (
                {**notification(ENTITY), "data": ENTITY},
                bad("notification field /data/ must be a JSON array"),
            ),
            (
                {**notification(), "data": ["E"]},
                bad("notification data vector item must be a JSON object"),
            ),
            (
                {**notification(ENTITY), "foo": 1},
                bad("Unrecognized field in JSON payload: /foo/"),
            ),
            (notification({"type": "T"}), bad("nor /id/ nor /idPattern/ present")),
            (
                notification({**ENTITY, "B": 1}),
                bad("attribute must be a JSON object, unless keyValues option is used"),
            ),
            (
                notification(ENTITY, {"id": "F", "A": {"value": "(forbidden)"}}),
                bad("Invalid characters in attribute value"),
            ),
        ],
    )
    def test_as_a_whole(
        self, api: Api, document: dict[str, Any], refusal: tuple[int, str, str]
    ) -> None:
        assert api.post("/v2/op/notify", document).refusal == refusal
        assert api.get("/v2/entities").json == []

    @pytest.mark.parametrize(
        ("attrs_format", "description"),
        [
            (name, f"attribute render format /{name}/ not supported for notifications")
            for name in ("keyValues", "uniqueValues", "custom")
        ]
        + [("foo", "invalid render format for notifications")],
    )
    def test_other_formats(self, api: Api, attrs_format: str, description: str) -> None:
        headers = {"Ngsiv2-AttrsFormat": attrs_format}
        reply = api.post("/v2/op/notify", notification(ENTITY), headers=headers)
        assert reply.refusal == bad(description)
        assert api.get("/v2/entities").json == []

    def test_key_values_option(self, api: Api) -> None:
        short = notification({"id": "E", "type": "T", "A": 1})
        reply = api.post("/v2/op/notify", short, options="keyValues")
        assert reply.refusal[:2] == (400, "BadRequest")
        assert api.get("/v2/entities").json == []

    def test_no_json_object(self, api: Api) -> None:
        for body in (b"nothing", b"[]"):
            refusal = (400, "ParseError", "Errors found in incoming JSON buffer")
            assert api.post("/v2/op/notify", body).refusal == refusal
