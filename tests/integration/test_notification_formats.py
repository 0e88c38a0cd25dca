"""What a notification looks like: representations, headers, selection of attributes.

Source: Orion API, sections "Notification Messages", "Covered Subscriptions" and
"subscription.notification"; Orion's functional cases 1875, 1898, 2064, 3190, 3693, 3906, 4330,
4605.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from broker.launch import BrokerProcess
from tests.integration.subscriptions import (
    create,
    document,
    number,
    patch,
    received_attributes,
    subscribe,
    text,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver, StartBroker

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOTHING: dict[str, Any] = {"type": "None", "value": None, "metadata": {}}


class TestRepresentations:
    NORMALIZED = '{"id":"E","type":"T","A":{"type":"Number","value":1,"metadata":{}}}'

    @pytest.mark.parametrize(
        ("attrs_format", "body"),
        [
            ("normalized", '{"subscriptionId":"%s","data":[' + NORMALIZED + "]}"),
            ("keyValues", '{"subscriptionId":"%s","data":[{"id":"E","type":"T","A":1}]}'),
            ("values", '{"subscriptionId":"%s","data":[[1]]}'),
            ("simplifiedNormalized", NORMALIZED),
            ("simplifiedKeyValues", '{"id":"E","type":"T","A":1}'),
        ],
    )
    def test_body_and_header(
        self, api: Api, receiver: Receiver, attrs_format: str, body: str
    ) -> None:
        subscription_id = subscribe(api, receiver, attrsFormat=attrs_format)
        create(api, A=1)
        delivery = receiver.next()
        assert delivery.body.decode() == body.replace("%s", subscription_id)
        assert delivery.headers["Ngsiv2-AttrsFormat"] == attrs_format

    def test_normalized_is_the_default(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver)
        create(api, A=1)
        delivery = receiver.next()
        assert delivery.headers["Ngsiv2-AttrsFormat"] == "normalized"
        assert delivery.data == [{"id": "E", "type": "T", "A": number(1)}]

    @pytest.mark.parametrize(
        ("attrs_format", "names"),
        [
            ("normalized", ["id", "type", "A3", "A1", "A2"]),
            ("keyValues", ["id", "type", "A3", "A1", "A2"]),
            ("values", [3, 1, 2]),
        ],
    )
    def test_attributes_come_in_the_order_of_attrs(
        self, api: Api, receiver: Receiver, attrs_format: str, names: list[Any]
    ) -> None:
        subscribe(api, receiver, attrs=["A3", "A1", "A2"], attrsFormat=attrs_format)
        create(api, A1=1, A2=2, A3=3)
        assert list(receiver.next().data[0]) == names

    def test_values_of_all_types(self, api: Api, receiver: Receiver) -> None:
        values: list[Any] = [1, 0.5, "x", True, None, [1, "x"], {"a": {}}]
        names = [f"A{index}" for index in range(len(values))]
        subscribe(api, receiver, attrs=names, attrsFormat="values")
        attributes = dict(zip(names, values, strict=True))
        api.create({"id": "E", **attributes}, options="keyValues")
        assert receiver.next().data == [values]

    def test_each_representation_of_one_update(self, api: Api, receiver: Receiver) -> None:
        for attrs_format in ("values", "keyValues", "normalized", "keyValues"):
            subscribe(api, receiver, attrsFormat=attrs_format)
        create(api, A=1)
        assert [delivery.data[0] for delivery in receiver.take_until_fence(api)] == [
            [1],
            {"id": "E", "type": "T", "A": 1},
            {"id": "E", "type": "T", "A": number(1)},
            {"id": "E", "type": "T", "A": 1},
        ]


class TestHeaders:
    def test_of_every_notification(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver)
        create(api, A="ä")
        delivery = receiver.next()
        assert delivery.headers["Content-Type"] == "application/json; charset=utf-8"
        assert delivery.headers["Accept"] == "application/json"
        assert delivery.headers["Host"] == f"127.0.0.1:{receiver.port}"
        assert delivery.headers["Content-Length"] == str(len(delivery.body))
        # Receivers tell by it that a context broker speaks.
        assert re.match(r"orion/\d+\.\d+\.\d+", delivery.headers["User-Agent"])
        assert len(delivery.headers) == len(set(delivery.headers))

    def test_correlator_is_that_of_the_request_with_a_count(
        self, api: Api, receiver: Receiver
    ) -> None:
        for _ in range(2):
            subscribe(api, receiver)
        correlator = str(uuid.uuid4())
        batch = {"actionType": "append", "entities": [{"id": "E", "A": {}}, {"id": "F", "A": {}}]}
        reply = api.post("/v2/op/update", batch, headers={"Fiware-Correlator": correlator})
        assert reply.headers["Fiware-Correlator"] == correlator
        deliveries = receiver.take_until_fence(api)
        # Every notification of a request has a number of its own.
        assert [delivery.headers["Fiware-Correlator"] for delivery in deliveries] == [
            f"{correlator}; cbnotif={count}" for count in range(1, 5)
        ]

    def test_correlator_is_made_where_the_request_has_none(
        self, api: Api, receiver: Receiver
    ) -> None:
        subscribe(api, receiver)
        reply = api.post("/v2/entities", {"id": "E", "A": {}})
        correlator = reply.headers["Fiware-Correlator"]
        assert UUID.fullmatch(correlator)
        assert receiver.next().headers["Fiware-Correlator"] == f"{correlator}; cbnotif=1"

    def test_service_is_given_in_lower_case(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver)
        mixed = {"Fiware-Service": api.tenant.upper()}
        assert api.post("/v2/entities", {"id": "E", "A": {}}, headers=mixed).status == 201
        assert receiver.next().headers["Fiware-Service"] == api.tenant

    @pytest.mark.parametrize("service_path", ["/", "/a", "/a/b_1/c"])
    def test_service_path_is_that_of_the_entity(
        self, api: Api, receiver: Receiver, service_path: str
    ) -> None:
        subscribe(api, receiver)
        api.create({"id": "E", "A": {"value": 1}}, service_path=service_path)
        assert receiver.next().headers["Fiware-ServicePath"] == service_path

    def test_auth_token_is_passed_on(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver)
        token = {"X-Auth-Token": "secret"}
        assert api.post("/v2/entities", {"id": "E", "A": {}}, headers=token).status == 201
        assert receiver.next().headers["X-Auth-Token"] == "secret"
        patch(api, A={"value": 1})
        assert "X-Auth-Token" not in receiver.next().headers

    def test_token_of_the_subscriber_is_not_kept(self, api: Api, receiver: Receiver) -> None:
        reply = api.post(
            "/v2/subscriptions", document(receiver.url), headers={"X-Auth-Token": "subscriber"}
        )
        assert reply.status == 201
        create(api, A=1)
        assert "X-Auth-Token" not in receiver.next().headers

    def test_without_multiservice(
        self,
        start_broker: StartBroker,
        connect: Callable[[BrokerProcess, str], Api],
        receiver: Receiver,
    ) -> None:
        # Tenants are not told apart, but the header is passed on (case 1898).
        broker = start_broker("--notification-connections", "1")
        connect(broker, "").subscribe(document(receiver.url))
        for tenant in ("", "abc"):
            create(connect(broker, tenant), f"E{tenant}", A=1)
        first, second = receiver.next(), receiver.next()
        assert "Fiware-Service" not in first.headers
        assert second.headers["Fiware-Service"] == "abc"


class TestAttributes:
    @pytest.mark.parametrize(
        ("notification", "names"),
        [
            ({}, ["A", "B", "C"]),
            ({"attrs": []}, ["A", "B", "C"]),
            ({"attrs": ["*"]}, ["A", "B", "C"]),
            ({"attrs": ["B"]}, ["B"]),
            ({"attrs": ["C", "A", "Z"]}, ["C", "A"]),
            ({"attrs": ["Z"]}, []),
            ({"exceptAttrs": ["B"]}, ["A", "C"]),
            ({"exceptAttrs": ["B", "Z"]}, ["A", "C"]),
            ({"exceptAttrs": ["A", "B", "C"]}, []),
        ],
    )
    def test_selection(
        self, api: Api, receiver: Receiver, notification: dict[str, Any], names: list[str]
    ) -> None:
        subscribe(api, receiver, **notification)
        create(api, A=1, B=2, C=3)
        assert [list(entity) for entity in received_attributes(api, receiver)] == [names]

    def test_selection_stays_when_the_subject_changes(self, api: Api, receiver: Receiver) -> None:
        subscription_id = subscribe(api, receiver, exceptAttrs=["A"])
        subject = {"entities": [{"idPattern": "E.*"}], "condition": {"attrs": ["B"]}}
        reply = api.patch(f"/v2/subscriptions/{subscription_id}", {"subject": subject})
        assert reply.status == 204
        create(api, A=1, B=2, C=3)
        assert [list(entity) for entity in received_attributes(api, receiver)] == [["B", "C"]]


class TestOnlyChangedAttributes:
    """`onlyChangedAttrs`: of the wanted attributes only those that the update names."""

    @pytest.mark.parametrize(
        ("condition", "notification", "steps"),
        [
            ([], {"attrs": []}, [("AB", "AB"), ("CD", "CD"), ("ABCD", "ABCD")]),
            ([], {"attrs": ["*"]}, [("AB", "AB"), ("CD", "CD")]),
            (
                [],
                {"attrs": ["B", "C", "D"]},
                [("AB", "B"), ("BC", "BC"), ("ABCD", "BCD"), ("DE", "D"), ("E", None)],
            ),
            ([], {"exceptAttrs": ["B"]}, [("AB", "A"), ("CD", "CD"), ("B", None)]),
            (["A", "B", "C"], {"attrs": []}, [("D", None), ("AB", "AB"), ("AD", "AD")]),
            (
                ["A", "B", "C"],
                {"attrs": ["B", "C", "D"]},
                [("AB", "B"), ("CD", "CD"), ("A", None), ("D", None)],
            ),
            (["A", "B", "C"], {"exceptAttrs": ["B"]}, [("AB", "A"), ("CD", "CD"), ("B", None)]),
        ],
    )
    def test_with_conditions_and_lists(
        self,
        api: Api,
        receiver: Receiver,
        condition: list[str],
        notification: dict[str, Any],
        steps: list[tuple[str, str | None]],
    ) -> None:
        create(api, A=0, B=0, C=0, D=0, E=0)
        subscribe(
            api,
            receiver,
            {"attrs": condition},
            onlyChangedAttrs=True,
            attrsFormat="keyValues",
            **notification,
        )
        for count, (changed, _) in enumerate(steps, 1):
            patch(api, "", **{name: number(count) for name in changed})
        assert received_attributes(api, receiver) == [
            dict.fromkeys(names, count)
            for count, (_, names) in enumerate(steps, 1)
            if names is not None
        ]

    def test_creation_changes_all(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver, onlyChangedAttrs=True, attrs=["B", "C", "D"])
        create(api, A=1, B=2, C=3)
        assert received_attributes(api, receiver) == [{"B": number(2), "C": number(3)}]

    def test_named_in_the_update_is_enough(self, api: Api, receiver: Receiver) -> None:
        # "Changed" means named in the update, whether its value is another or not: what
        # entityUpdate notifies is not empty (case 4605).
        subscribe(
            api,
            receiver,
            {"alterationTypes": ["entityUpdate", "entityCreate"]},
            onlyChangedAttrs=True,
        )
        create(api, A=1, B=2, C=3)
        patch(api, A=number(1), B=number(2))
        patch(api, A=number(1), B=number(9))
        assert received_attributes(api, receiver) == [
            {"A": number(1), "B": number(2), "C": number(3)},
            {"A": number(1), "B": number(2)},
            {"A": number(1), "B": number(9)},
        ]

    def test_metadata_change(self, api: Api, receiver: Receiver) -> None:
        create(api, A=1, B=2)
        subscribe(api, receiver, onlyChangedAttrs=True)
        patch(api, A=number(1, m=text("x")))
        assert received_attributes(api, receiver) == [{"A": number(1, m=text("x"))}]

    def test_previous_value(self, api: Api, receiver: Receiver) -> None:
        create(api, A="foo", B=1)
        subscribe(api, receiver, onlyChangedAttrs=True, metadata=["previousValue"])
        for value in ("bar", "zzz"):
            patch(api, A={"type": "Text", "value": value})
        assert received_attributes(api, receiver) == [
            {"A": {**text("bar"), "metadata": {"previousValue": text("foo")}}},
            {"A": {**text("zzz"), "metadata": {"previousValue": text("bar")}}},
        ]

    def test_builtin_attributes_come_along(self, api: Api, receiver: Receiver) -> None:
        builtins = ["alterationType", "dateCreated", "dateModified"]
        create(api, A=1, B=1)
        subscribe(api, receiver, onlyChangedAttrs=True, attrs=["A", "B", *builtins])
        patch(api, A=number(2))
        [notified] = received_attributes(api, receiver)
        assert sorted(notified) == ["A", *builtins]
        assert notified["alterationType"]["value"] == "entityChange"

    def test_deletion_of_the_entity(self, api: Api, receiver: Receiver) -> None:
        create(api, A=1)
        subscribe(
            api,
            receiver,
            {"alterationTypes": ["entityDelete"]},
            onlyChangedAttrs=True,
            attrs=["alterationType"],
        )
        assert api.delete("/v2/entities/E").status == 204
        assert received_attributes(api, receiver) == [
            {"alterationType": {**text("entityDelete"), "metadata": {}}}
        ]

    @pytest.mark.parametrize("wanted", [[], ["A"], ["A", "B"]])
    def test_deletion_of_an_attribute(
        self, api: Api, receiver: Receiver, wanted: list[str]
    ) -> None:
        # It triggers as any change does, and nothing that is left was changed.
        create(api, A=1, B=1)
        subscribe(api, receiver, onlyChangedAttrs=True, attrs=wanted)
        assert api.delete("/v2/entities/E/attrs/A").status == 204
        assert received_attributes(api, receiver) == [{}]


class TestCovered:
    def test_missing_attributes_are_null(self, api: Api, receiver: Receiver) -> None:
        create(api, A=1, B=2)
        subscribe(api, receiver, attrs=["A", "Y", "B", "Z"], covered=True)
        subscribe(api, receiver, attrs=["A", "Y", "B", "Z"])
        patch(api, A=number(3))
        assert received_attributes(api, receiver) == [
            {"A": number(3), "Y": NOTHING, "B": number(2), "Z": NOTHING},
            {"A": number(3), "B": number(2)},
        ]

    def test_in_the_short_representations(self, api: Api, receiver: Receiver) -> None:
        for attrs_format in ("keyValues", "values"):
            subscribe(api, receiver, attrs=["Y", "A"], covered=True, attrsFormat=attrs_format)
        create(api, A=1)
        assert [delivery.data[0] for delivery in receiver.take_until_fence(api)] == [
            {"id": "E", "type": "T", "Y": None, "A": 1},
            [None, 1],
        ]

    def test_builtin_attributes_are_no_missing_ones(self, api: Api, receiver: Receiver) -> None:
        wanted = ["servicePath", "alterationType", "Y"]
        subscribe(api, receiver, attrs=wanted, covered=True, attrsFormat="values")
        create(api, A=1)
        assert receiver.next().data == [["/", "entityCreate", None]]

    def test_attribute_that_was_removed(self, api: Api, receiver: Receiver) -> None:
        create(api, A=1, B=2)
        subscribe(api, receiver, attrs=["A", "B"], covered=True)
        assert api.delete("/v2/entities/E/attrs/B").status == 204
        assert received_attributes(api, receiver) == [{"A": number(1), "B": NOTHING}]
