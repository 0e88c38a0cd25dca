"""Conditions of subscriptions: selectors, attributes, alterations, service paths, tenants.

Source: Orion API, sections "subscription.subject", "Notification Triggering", "Subscriptions
based in alteration type", "Service path" and "Multi tenancy"; Orion's functional cases
0000_subs_attrs_deletion, 1494, 1853, 3389, 3727, 4325, 4605, 4647.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.subscriptions import (
    create,
    document,
    number,
    patch,
    received,
    received_ids,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver


class TestSelectors:
    ENTITIES = (("Room1", "Room"), ("Room2", "Room"), ("Room1", "RoomX"), ("Car1", "Car"))

    @pytest.mark.parametrize(
        ("selectors", "expected"),
        [
            ([{"id": "Room1"}], [0, 2]),
            ([{"id": "Room1", "type": "Room"}], [0]),
            ([{"id": "Room1", "typePattern": "Room"}], [0, 2]),
            ([{"id": "Room1", "typePattern": "^Room$"}], [0]),
            ([{"id": "room1"}], []),
            ([{"id": "Room"}], []),
            ([{"idPattern": ".*"}], [0, 1, 2, 3]),
            ([{"idPattern": "Room.*"}], [0, 1, 2]),
            ([{"idPattern": "Room.*", "type": "Room"}], [0, 1]),
            # A pattern need not match from the beginning to the end.
            ([{"idPattern": "1"}], [0, 2, 3]),
            ([{"idPattern": "^oom"}], []),
            ([{"idPattern": "(Room|Car)1$", "typePattern": "^(Room|Car)$"}], [0, 3]),
            ([{"idPattern": "^Room[2-9]$"}], [1]),
            ([{"idPattern": ".*", "typePattern": "X$"}], [2]),
            # Several: any of them, and one notification whichever match.
            ([{"id": "Room2"}, {"id": "Car1"}], [1, 3]),
            ([{"id": "Room1", "type": "Room"}, {"idPattern": "Room1"}, {"id": "Room1"}], [0, 2]),
            ([{"id": "Nobody"}, {"idPattern": "^C", "type": "Car"}], [3]),
        ],
    )
    def test_which_entities(
        self,
        api: Api,
        receiver: Receiver,
        selectors: list[dict[str, str]],
        expected: list[int],
    ) -> None:
        api.subscribe(document(receiver.url, entities=selectors))
        for entity_id, entity_type in self.ENTITIES:
            api.create({"id": entity_id, "type": entity_type, "A": {"value": 1}})
        notified = [(entity["id"], entity["type"]) for entity in received(api, receiver)]
        assert notified == [self.ENTITIES[index] for index in expected]


class TestAttributes:
    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (["A"], ["A", "AB"]),
            (["A", "B"], ["A", "B", "AB"]),
            (["C", "B"], ["B", "AB", "C"]),
            (["Z"], []),
            ([], ["A", "B", "AB", "C"]),
        ],
    )
    def test_changes(
        self, api: Api, receiver: Receiver, wanted: list[str], expected: list[str]
    ) -> None:
        create(api, A=0, B=0, C=0, step="")
        api.subscribe(
            document(
                receiver.url,
                condition={"attrs": wanted},
                notification={"metadata": ["actionType"]},
            )
        )
        for count, changed in enumerate(("A", "B", "AB", "C"), 1):
            patch(api, "", **{name: number(count) for name in changed})
        patch(api, A=number(3), B=number(3), C=number(4))  # no change
        notified = [
            "".join(name for name in "ABC" if "actionType" in entity[name]["metadata"])
            for entity in received(api, receiver)
        ]
        assert notified == expected

    def test_creation(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url, condition={"attrs": ["A", "B"]}))
        create(api, "E1", A=1)
        create(api, "E2", C=1)
        create(api, "E3", B=1, C=1)
        assert received_ids(api, receiver) == ["E1", "E3"]

    def test_removal(self, api: Api, receiver: Receiver) -> None:
        create(api, A=1, B=2, C=3, D=4)
        api.subscribe(
            document(
                receiver.url,
                condition={"attrs": ["B", "C"]},
                notification={"attrsFormat": "keyValues"},
            )
        )
        assert api.delete("/v2/entities/E/attrs/A").status == 204
        assert api.delete("/v2/entities/E/attrs/B").status == 204
        assert api.put("/v2/entities/E/attrs", {"D": number(4)}).status == 204
        assert received(api, receiver) == [
            {"id": "E", "type": "T", "C": 3, "D": 4},
            {"id": "E", "type": "T", "D": 4},
        ]


class TestAlterations:
    """What happens to an entity, step by step, and who hears of it."""

    def live(self, api: Api) -> None:
        path = "/v2/entities/E/attrs"
        steps: list[tuple[str, str, Any, str]] = [
            ("POST", "/v2/entities", {"id": "E", "A": number(1), "B": number(1)}, ""),
            ("PATCH", path, {"A": number(1)}, ""),  # 1: no change
            ("PATCH", path, {"A": number(2)}, ""),
            ("PATCH", path, {"A": number(2)}, "forcedUpdate"),  # 3
            ("PATCH", path, {"A": number(2, m={"value": 1})}, ""),  # 4: metadata alone
            ("PATCH", path, {"B": number(2)}, ""),  # 5
            ("PATCH", path, {"A": {"value": 2}, "B": {"value": 3}}, ""),  # 6: B alone changes
            ("DELETE", "/v2/entities/E", None, ""),
        ]
        for step, (method, target, body, options) in enumerate(steps):
            how: dict[str, Any] = {"headers": {"Fiware-Correlator": str(step)}}
            if body is not None:
                how["body"] = body
            if options:
                how["options"] = options
            assert api.request(method, target, **how).status in (201, 204)

    @pytest.mark.parametrize(
        ("types", "attributes", "expected"),
        [
            (None, "", [0, 2, 3, 4, 5, 6]),
            (None, "A", [0, 2, 3, 4]),
            (None, "B", [0, 5, 6]),
            (["entityCreate", "entityChange"], "A", [0, 2, 3, 4]),
            (["entityCreate"], "", [0]),
            (["entityCreate"], "B", [0]),
            (["entityCreate"], "Z", []),
            (["entityChange"], "", [2, 3, 4, 5, 6]),
            (["entityChange"], "A", [2, 3, 4]),
            (["entityUpdate"], "", [1, 2, 3, 4, 5, 6]),
            # With entityUpdate it is enough that the request names the attribute.
            (["entityUpdate"], "A", [1, 2, 3, 4, 6]),
            (["entityUpdate"], "B", [5, 6]),
            (["entityUpdate", "entityChange"], "A", [1, 2, 3, 4, 6]),
            (["entityUpdate", "entityCreate"], "A", [0, 1, 2, 3, 4, 6]),
            (["entityDelete"], "", [7]),
            # condition.attrs is not looked at when an entity is deleted.
            (["entityDelete"], "A", [7]),
            (["entityDelete"], "Z", [7]),
            (["entityCreate", "entityDelete"], "", [0, 7]),
            (
                ["entityCreate", "entityUpdate", "entityChange", "entityDelete"],
                "",
                [0, 1, 2, 3, 4, 5, 6, 7],
            ),
        ],
    )
    def test_types(
        self,
        api: Api,
        receiver: Receiver,
        types: list[str] | None,
        attributes: str,
        expected: list[int],
    ) -> None:
        condition: dict[str, Any] = {"attrs": list(attributes)}
        if types is not None:
            condition["alterationTypes"] = types
        self.check(api, receiver, condition, expected)

    @pytest.mark.parametrize(
        ("types", "attributes", "expected"),
        [
            (None, "", [0, 2, 3, 5, 6]),
            (None, "A", [0, 2, 3]),
            (["entityChange"], "", [2, 3, 5, 6]),
            (["entityChange"], "A", [2, 3]),
            (["entityUpdate"], "", [1, 2, 3, 4, 5, 6]),
            (["entityUpdate", "entityCreate"], "A", [0, 1, 2, 3, 4, 6]),
        ],
    )
    def test_without_changes_of_metadata(
        self,
        api: Api,
        receiver: Receiver,
        types: list[str] | None,
        attributes: str,
        expected: list[int],
    ) -> None:
        condition: dict[str, Any] = {
            "attrs": list(attributes),
            "notifyOnMetadataChange": False,
        }
        if types is not None:
            condition["alterationTypes"] = types
        self.check(api, receiver, condition, expected)

    def check(
        self,
        api: Api,
        receiver: Receiver,
        condition: Mapping[str, Any],
        expected: Sequence[int],
    ) -> None:
        api.subscribe(document(receiver.url, condition=condition))
        self.live(api)
        steps = [
            delivery.headers["Fiware-Correlator"].partition(";")[0]
            for delivery in receiver.take_until_fence(api)
        ]
        assert steps == [str(step) for step in expected]

    def test_deletion_notifies_the_last_state(self, api: Api, receiver: Receiver) -> None:
        create(api, "E1", A=1)
        create(api, "E2", A=2)
        api.subscribe(
            document(
                receiver.url,
                entities=[{"id": "E1"}],
                condition={"alterationTypes": ["entityDelete"]},
            )
        )
        for entity_id in ("E1", "E2"):
            assert api.delete(f"/v2/entities/{entity_id}").status == 204
        assert received(api, receiver) == [{"id": "E1", "type": "T", "A": number(1)}]

    def test_deletion_by_batch(self, api: Api, receiver: Receiver) -> None:
        create(api, A=1)
        condition = {"alterationTypes": ["entityDelete"]}
        api.subscribe(document(receiver.url, condition=condition))
        batch = {"actionType": "delete", "entities": [{"id": "E", "type": "T"}]}
        assert api.post("/v2/op/update", batch).status == 204
        assert received(api, receiver) == [{"id": "E", "type": "T", "A": number(1)}]


SAME = {"A": {"value": True, "type": "Boolean"}}


class TestForcedUpdate:
    """Every update of one and the same value counts as a change if it is forced."""

    @pytest.mark.parametrize(
        ("method", "path", "body", "options"),
        [
            ("POST", "/v2/entities/E/attrs", SAME, "forcedUpdate"),
            ("PATCH", "/v2/entities/E/attrs", SAME, "forcedUpdate"),
            ("PUT", "/v2/entities/E/attrs", SAME, "forcedUpdate"),
            ("PUT", "/v2/entities/E/attrs/A", {"value": True}, "forcedUpdate"),
            ("PUT", "/v2/entities/E/attrs/A/value", b"true", "forcedUpdate"),
            ("POST", "/v2/entities", {"id": "E", "type": "T", **SAME}, "upsert,forcedUpdate"),
            *(
                (
                    "POST",
                    "/v2/op/update",
                    {"actionType": action, "entities": [{"id": "E", "type": "T", **SAME}]},
                    "forcedUpdate",
                )
                for action in ("append", "update", "replace")
            ),
        ],
    )
    def test_same_value(
        self, api: Api, receiver: Receiver, method: str, path: str, body: Any, options: str
    ) -> None:
        create(api, A=True)
        api.subscribe(
            document(
                receiver.url,
                condition={"attrs": ["A"]},
                notification={"attrs": ["A", "alterationType"], "attrsFormat": "values"},
            )
        )
        content_type = "text/plain" if isinstance(body, bytes) else "application/json"
        for _ in range(2):
            reply = api.request(method, path, body, content_type=content_type, options=options)
            assert reply.status == 204
        assert received(api, receiver) == [[True, "entityChange"]] * 2

    def test_of_another_attribute(self, api: Api, receiver: Receiver) -> None:
        create(api, A=True)
        api.subscribe(document(receiver.url, condition={"attrs": ["A"]}))
        reply = api.post("/v2/entities/E/attrs", {"B": number(1)}, options="append,forcedUpdate")
        assert reply.status == 204
        assert received(api, receiver) == []

    def test_modification_date_is_renewed(self, api: Api, receiver: Receiver) -> None:
        create(api, A=1)
        api.subscribe(document(receiver.url, notification={"attrs": ["dateModified"]}))
        patch(api, A=number(1), options="forcedUpdate")
        shown = api.get("/v2/entities/E/attrs", attrs="dateModified").json
        assert [entity["dateModified"] for entity in received(api, receiver)] == [
            shown["dateModified"]
        ]


class TestServicePaths:
    PATHS = (None, "/a", "/a/b", "/a/b/c", "/ab", "/b")

    @pytest.mark.parametrize(
        ("scope", "expected"),
        [
            (None, [0, 1, 2, 3, 4, 5]),
            ("/#", [0, 1, 2, 3, 4, 5]),
            ("/", [0]),
            ("/a", [1]),
            ("/a/", [1]),
            ("/a/#", [1, 2, 3]),
            ("/a/b", [2]),
            ("/a/b/#", [2, 3]),
            ("/c/#", []),
        ],
    )
    def test_scopes(
        self, api: Api, receiver: Receiver, scope: str | None, expected: list[int]
    ) -> None:
        api.subscribe(document(receiver.url), service_path=scope)
        for index, path in enumerate(self.PATHS):
            api.create({"id": f"E{index}", "A": {"value": 0}}, service_path=path)
        for index, path in enumerate(self.PATHS):
            changed = {"A": {"value": 1}}
            reply = api.patch(f"/v2/entities/E{index}/attrs", changed, service_path=path)
            assert reply.status == 204
        assert received_ids(api, receiver) == [f"E{index}" for index in expected] * 2

    def test_entities_of_one_name(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url), service_path="/b")
        for path in ("/a", "/b"):
            api.create({"id": "E", "A": {"value": path}}, service_path=path)
        for path in ("/a", "/b"):
            reply = api.patch(
                "/v2/entities/E/attrs", {"A": {"value": f"new {path}"}}, service_path=path
            )
            assert reply.status == 204
        assert [entity["A"]["value"] for entity in received(api, receiver)] == ["/b", "new /b"]


def test_tenants_do_not_hear_of_each_other(api: Api, receiver: Receiver) -> None:
    api.subscribe(document(receiver.url))
    for tenant in (f"{api.tenant}x", api.tenant[:-1], ""):
        other = {"Fiware-Service": tenant}
        entity = {"id": f"E{api.tenant}", "A": {"value": 1}}
        assert api.post("/v2/entities", entity, headers=other).status == 201
    create(api, A=1)
    assert received_ids(api, receiver) == ["E"]
