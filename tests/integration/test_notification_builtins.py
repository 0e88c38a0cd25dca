"""Builtin attributes and metadata in notifications, and the selection of metadata.

Source: Orion API, sections "Builtin Attributes", "Builtin Metadata", "User attributes or
metadata matching builtin name" and "Subscriptions based in alteration type"; Orion's functional
cases 0876, 1494, 2507, 2549, 2553, 2588, 2877, 3290, 4643.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.subscriptions import (
    create,
    number,
    patch,
    received_attributes,
    subscribe,
    text,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver

DATE = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CREATED = {"type": "Text", "value": "append"}
CHANGED = {"type": "Text", "value": "update"}


class TestBuiltinAttributes:
    def test_only_where_they_are_named(self, api: Api, receiver: Receiver) -> None:
        builtins = ["dateCreated", "dateModified", "alterationType", "servicePath"]
        for attrs in ([], ["*"], builtins, ["*", *builtins], ["A", "servicePath"]):
            subscribe(api, receiver, attrs=attrs)
        subscribe(api, receiver, exceptAttrs=["B"])
        create(api, A=1)
        assert [sorted(entity) for entity in received_attributes(api, receiver)] == [
            ["A"],
            ["A"],
            sorted(builtins),
            sorted(["A", *builtins]),
            ["A", "servicePath"],
            ["A"],
        ]

    def test_dates(self, api: Api, receiver: Receiver) -> None:
        dates = ["dateCreated", "dateModified"]
        subscribe(api, receiver, attrs=dates)
        create(api, A=1)
        patch(api, A=number(2))
        first, second = received_attributes(api, receiver)
        for date in (*first.values(), *second.values()):
            assert (date["type"], date["metadata"]) == ("DateTime", {})
            assert DATE.fullmatch(date["value"])
        assert first["dateCreated"] == first["dateModified"] == second["dateCreated"]
        assert first["dateModified"]["value"] <= second["dateModified"]["value"]
        assert api.get("/v2/entities/E/attrs", attrs=",".join(dates)).json == second

    def test_service_path(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver, attrs=["*", "servicePath"])
        api.create({"id": "E", "A": number(1)}, service_path="/Madrid/A")
        assert received_attributes(api, receiver) == [
            {"A": number(1), "servicePath": {**text("/Madrid/A"), "metadata": {}}}
        ]

    def test_alteration_types(self, api: Api, receiver: Receiver) -> None:
        every = ["entityCreate", "entityUpdate", "entityChange", "entityDelete"]
        subscribe(
            api,
            receiver,
            {"alterationTypes": every},
            attrs=["A", "alterationType"],
            attrsFormat="values",
        )
        create(api, A=1)
        patch(api, A=number(1))
        patch(api, A=number(2))
        patch(api, A=number(2), options="forcedUpdate")
        patch(api, A=number(2, m=text("x")))
        assert api.delete("/v2/entities/E").status == 204
        assert [delivery.data[0] for delivery in receiver.take_until_fence(api)] == [
            [1, "entityCreate"],
            [1, "entityUpdate"],
            [2, "entityChange"],
            [2, "entityChange"],
            [2, "entityChange"],
            [2, "entityDelete"],
        ]

    def test_date_of_expiry_is_shown_where_named(self, api: Api, receiver: Receiver) -> None:
        for attrs in ([], ["*"], ["dateExpires"]):
            subscribe(api, receiver, attrs=attrs)
        expires = {"type": "DateTime", "value": "2050-01-01T00:00:00.000Z", "metadata": {}}
        api.create({"id": "E", "A": number(1), "dateExpires": expires})
        assert received_attributes(api, receiver) == [
            {"A": number(1)},
            {"A": number(1)},
            {"dateExpires": expires},
        ]

    @pytest.mark.parametrize("attrs", [[], ["dateModified", "*"]])
    def test_attribute_of_a_user_goes_before(
        self, api: Api, receiver: Receiver, attrs: list[str]
    ) -> None:
        subscribe(api, receiver, attrs=attrs)
        own = {"type": "DateTime", "value": "2051-01-01T00:00:00.666Z", "metadata": {}}
        api.create({"id": "E", "A": number(1), "dateModified": own})
        assert received_attributes(api, receiver) == [{"A": number(1), "dateModified": own}]


class TestMetadata:
    M1, M2, M3 = (text(name) for name in ("1", "2", "3"))

    @pytest.mark.parametrize(
        ("wanted", "of_a", "of_b"),
        [
            ([], ["M1", "M2", "M3"], ["M2"]),
            (["*"], ["M1", "M2", "M3"], ["M2"]),
            (["M1", "M2"], ["M1", "M2"], ["M2"]),
            (["M9"], [], []),
            (["actionType", "M3"], ["M3", "actionType"], ["actionType"]),
            (["actionType", "*"], ["M1", "M2", "M3", "actionType"], ["M2", "actionType"]),
            (["dateCreated"], ["dateCreated"], ["dateCreated"]),
            (["dateModified", "M1"], ["M1", "dateModified"], ["dateModified"]),
            (["previousValue"], [], []),
        ],
    )
    def test_selection(
        self,
        api: Api,
        receiver: Receiver,
        wanted: list[str],
        of_a: list[str],
        of_b: list[str],
    ) -> None:
        subscribe(api, receiver, metadata=wanted)
        api.create(
            {
                "id": "E",
                "A": number(1, M1=self.M1, M2=self.M2, M3=self.M3),
                "B": number(2, M2=self.M2),
            }
        )
        [notified] = received_attributes(api, receiver)
        assert sorted(notified["A"]["metadata"]) == of_a
        assert sorted(notified["B"]["metadata"]) == of_b

    def test_action_type(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver, metadata=["actionType"])
        create(api, A=1)
        reply = api.put("/v2/entities/E/attrs/A/value", b"2", content_type="text/plain")
        assert reply.status == 204
        assert api.post("/v2/entities/E/attrs", {"B": number(1)}).status == 204
        assert api.post("/v2/entities/E/attrs", {"B": number(2), "C": number(3)}).status == 204
        assert api.delete("/v2/entities/E/attrs/C").status == 204
        append, update = {"actionType": CREATED}, {"actionType": CHANGED}
        # Only attributes that the update names have it; "delete" is not implemented by Orion.
        assert received_attributes(api, receiver) == [
            {"A": number(1, **append)},
            {"A": number(2, **update)},
            {"A": number(2), "B": number(1, **append)},
            {"A": number(2), "B": number(2, **update), "C": number(3, **append)},
            {"A": number(2), "B": number(2)},
        ]

    def test_previous_value_of_all_attributes(self, api: Api, receiver: Receiver) -> None:
        # Also of those that the update does not name (cases 2507 and 4643).
        create(api, A=1, B=2)
        subscribe(api, receiver, metadata=["previousValue", "*"])
        patch(api, B=number(20, m=text("x")))
        patch(api, A=number(10))
        was_1, was_2, was_20 = (
            {"previousValue": {"type": "Number", "value": value}} for value in (1, 2, 20)
        )
        assert received_attributes(api, receiver) == [
            {"A": number(1, **was_1), "B": number(20, m=text("x"), **was_2)},
            {"A": number(10, **was_1), "B": number(20, m=text("x"), **was_20)},
        ]

    def test_nothing_was_before_a_creation(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver, metadata=["previousValue"])
        create(api, A=1)
        assert received_attributes(api, receiver) == [{"A": number(1)}]

    def test_previous_value_has_the_previous_type(self, api: Api, receiver: Receiver) -> None:
        first: dict[str, Any] = {"type": "Number", "value": 1}
        steps: list[dict[str, Any]] = [
            {"type": "Count", "value": 1},
            {"type": "ComplexVector", "value": [1, {"b": "foo"}]},
            {"type": "ComplexObject", "value": {"x": 1, "y": [True, "foo"]}},
            {"type": "Text", "value": "x"},
            {"type": "None", "value": None},
        ]
        create(api, A=1)
        subscribe(api, receiver, metadata=["previousValue"])
        for step in steps:
            patch(api, A=step)
        before = [first, *steps]
        assert received_attributes(api, receiver) == [
            {"A": {**step, "metadata": {"previousValue": previous}}}
            for previous, step in zip(before, steps, strict=False)
        ]

    def test_forced_update(self, api: Api, receiver: Receiver) -> None:
        create(api, A=1, B=2)
        subscribe(api, receiver, metadata=["previousValue", "actionType"])
        patch(api, A=number(1), options="forcedUpdate")
        was_1, was_2 = ({"type": "Number", "value": value} for value in (1, 2))
        assert received_attributes(api, receiver) == [
            {
                "A": number(1, previousValue=was_1, actionType=CHANGED),
                "B": number(2, previousValue=was_2),
            }
        ]

    def test_dates_of_attributes(self, api: Api, receiver: Receiver) -> None:
        create(api, A=1, B=1)
        dates = ["dateCreated", "dateModified"]
        subscribe(api, receiver, metadata=dates)
        patch(api, A=number(2))
        [notified] = received_attributes(api, receiver)
        for attribute in notified.values():
            assert sorted(attribute["metadata"]) == dates
            for date in attribute["metadata"].values():
                assert date["type"] == "DateTime"
                assert DATE.fullmatch(date["value"])
        untouched = notified["B"]["metadata"]
        assert untouched["dateCreated"] == untouched["dateModified"]
        stored = api.get("/v2/entities/E/attrs", metadata=",".join(dates)).json
        assert stored == notified

    @pytest.mark.parametrize("wanted", [[], ["*"], ["dateModified", "*"], ["dateModified"]])
    def test_metadata_of_a_user_go_before(
        self, api: Api, receiver: Receiver, wanted: list[str]
    ) -> None:
        subscribe(api, receiver, metadata=wanted)
        own = {"type": "DateTime", "value": "2051-01-01T00:00:00.478Z"}
        api.create({"id": "E", "A": number(1, dateModified=own)})
        assert received_attributes(api, receiver) == [{"A": number(1, dateModified=own)}]

    def test_builtin_metadata_change_nothing_that_is_stored(
        self, api: Api, receiver: Receiver
    ) -> None:
        create(api, A=1)
        subscribe(api, receiver, metadata=["previousValue", "actionType", "dateCreated"])
        patch(api, A=number(2))
        receiver.next()
        assert api.get("/v2/entities/E/attrs/A").json == number(2)
