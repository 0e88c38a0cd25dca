"""Custom notifications over HTTP: the bodies made from payload, json and ngsi.

Source: Orion API, sections "Text based payload", "JSON payloads", "NGSI payload patching" and
"Omitting payload"; Orion's functional cases 2015, 2207, 2560, 3272, 4085, 4462, 4644.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.integration.custom import CALCULATED, calculate, notify, subscribe
from tests.integration.subscriptions import (
    await_state,
    change,
    create,
    has_ended,
    has_failed,
    number,
    patch,
    show,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver


class TestTextPayload:
    def test_macros_and_encoded_characters(self, api: Api, receiver: Receiver) -> None:
        delivery = notify(
            api,
            receiver,
            {"A": "a1", "n": 34.1234567, "b": True, "o": {"x": [1]}},
            payload="%7B %22A%22: %22${A}%22 %7D %28${n}%29 ${b} ${o} ${none} %C3%B1",
        )
        assert delivery.body.decode() == '{ "A": "a1" } (34.1234567) true {"x":[1]} null ñ'
        assert delivery.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert delivery.headers["Ngsiv2-AttrsFormat"] == "custom"

    def test_none(self, api: Api, receiver: Receiver) -> None:
        delivery = notify(api, receiver, {"A": 1}, payload=None)
        assert delivery.body == b""
        assert delivery.headers["Content-Length"] == "0"
        assert delivery.headers["Ngsiv2-AttrsFormat"] == "custom"

    @pytest.mark.parametrize("custom", [{}, {"payload": ""}])
    def test_standard_one(self, api: Api, receiver: Receiver, custom: dict[str, str]) -> None:
        delivery = notify(api, receiver, {"A": 1}, **custom)
        assert delivery.data == [{"id": "E", "type": "T", "A": number(1)}]
        assert delivery.headers["Ngsiv2-AttrsFormat"] == "normalized"

    @pytest.mark.parametrize("payload", ["a ${A", "${${A"])
    def test_macro_without_end(self, api: Api, receiver: Receiver, payload: str) -> None:
        subscription_id = subscribe(api, receiver, payload=payload)
        create(api, A=1)
        shown = await_state(api, subscription_id, has_failed(1))
        assert "lastNotification" not in shown["notification"]
        assert receiver.take_until_fence(api) == []

    def test_patched_away(self, api: Api, receiver: Receiver) -> None:
        subscription_id = subscribe(api, receiver, payload="abc")
        create(api, A=1)
        assert receiver.next().body == b"abc"
        change(api, subscription_id, notification={"httpCustom": {"url": receiver.url}})
        patch(api, A=number(2))
        assert receiver.next().data[0]["A"] == number(2)
        custom = {"url": receiver.url, "payload": None}
        change(api, subscription_id, notification={"httpCustom": custom})
        patch(api, A=number(3))
        assert receiver.next().body == b""
        assert show(api, subscription_id)["notification"]["httpCustom"] == custom


class TestJsonPayload:
    ATTRIBUTES: Final = {
        "text": "foo",
        "number": 10,
        "bool": True,
        "null": None,
        "array": ["22", {"x": ["x1"], "y": 3}],
        "object": {"x": "a"},
    }

    def test_whole_macros_keep_their_type(self, api: Api, receiver: Receiver) -> None:
        template = {name: f"${{{name}}}" for name in self.ATTRIBUTES}
        delivery = notify(
            api, receiver, self.ATTRIBUTES, json={**template, "none": "${none}", "fix": 1.5}
        )
        assert delivery.json == {**self.ATTRIBUTES, "none": None, "fix": 1.5}
        assert delivery.headers["Content-Type"] == "application/json; charset=utf-8"
        assert delivery.headers["Ngsiv2-AttrsFormat"] == "custom"

    def test_parts_become_text(self, api: Api, receiver: Receiver) -> None:
        template = [f"ns:${{{name}}}:${{none}}" for name in self.ATTRIBUTES]
        assert notify(api, receiver, self.ATTRIBUTES, json=template).json == [
            "ns:foo:null",
            "ns:10:null",
            "ns:true:null",
            "ns:null:null",
            'ns:["22",{"x":["x1"],"y":3}]:null',
            'ns:{"x":"a"}:null',
        ]

    def test_nested_and_keys(self, api: Api, receiver: Receiver) -> None:
        template = {"x": {"${number}": "${number}", "z": ["y1", {"k": "${object}"}]}}
        assert notify(api, receiver, self.ATTRIBUTES, json=template).json == {
            "x": {"${number}": 10, "z": ["y1", {"k": {"x": "a"}}]}
        }

    def test_own_content_type(self, api: Api, receiver: Receiver) -> None:
        headers = {"content-type": "text/plain"}
        delivery = notify(api, receiver, {"A": 1}, json={}, headers=headers)
        assert delivery.headers.get_all("Content-Type") == ["text/plain"]

    def test_too_large(self, api: Api, receiver: Receiver) -> None:
        """Small templates cannot make the broker build bodies of any size."""
        subscription_id = subscribe(api, receiver, json=["${A}"] * 1000)
        good = subscribe(api, receiver, payload="small")
        create(api, A="x" * 500_000)
        shown = await_state(api, subscription_id, has_failed(1))
        assert shown["notification"]["lastFailureReason"]
        await_state(api, good, has_ended(1, "lastSuccess"))
        assert [item.body for item in receiver.take_until_fence(api)] == [b"small"]


class TestPatch:
    def test_update_or_append(self, api: Api, receiver: Receiver) -> None:
        ngsi = {
            "id": "prefix:${id}",
            "type": "newType",
            "A": {"value": "${A * 2}", "type": CALCULATED},
            "where": {"value": "${servicePath}", "type": "Text"},
            "n": {"value": 1},
            "o": {"value": {"k": ["${A}", "x${A}"]}},
        }
        delivery = notify(api, receiver, {"A": 4, "B": "b"}, ngsi=ngsi)
        assert delivery.data == [
            {
                "id": "prefix:E",
                "type": "newType",
                "A": {"type": CALCULATED, "value": 8, "metadata": {}},
                "B": {"type": "Text", "value": "b", "metadata": {}},
                "where": {"type": "Text", "value": "/", "metadata": {}},
                "n": {"type": "Number", "value": 1, "metadata": {}},
                "o": {"type": "StructuredValue", "value": {"k": [8, "x8"]}, "metadata": {}},
            }
        ]
        assert delivery.headers["Ngsiv2-AttrsFormat"] == "normalized"
        assert api.get("/v2/entities/E/attrs/A/value").text == "4"

    def test_empty(self, api: Api, receiver: Receiver) -> None:
        delivery = notify(api, receiver, {"A": 1}, ngsi={})
        assert delivery.data == [{"id": "E", "type": "T", "A": number(1)}]

    def test_attributes_are_chosen_afterwards(self, api: Api, receiver: Receiver) -> None:
        ngsi = {"X": {"value": "${A + 1}", "type": CALCULATED}, "Y": {"value": 1}}
        subscribe(
            api, receiver, ngsi=ngsi, notification={"attrs": ["X", "A"], "attrsFormat": "values"}
        )
        create(api, A=1)
        delivery = receiver.next()
        assert delivery.data == [[2, 1]]
        assert delivery.headers["Ngsiv2-AttrsFormat"] == "values"

    @pytest.mark.parametrize(
        ("ngsi", "expected"),
        [
            ({"id": "${none}", "type": "${none}"}, ("E", "T")),
            ({"id": "new:${none}", "type": "new:${none}"}, ("new:null", "new:null")),
            ({"id": "${n}", "type": "${n + 1}"}, ("1", "2")),
            ({"id": "${id}:${id}", "type": "${type}-${id}"}, ("E:E", "T-E")),
            ({"id": "${S|substring(0,2)}", "type": "${S|substring(3,5)}"}, ("E1", "T1")),
            # Last of all, so that they see what was calculated.
            ({"id": "id:${X|lowercase}", "X": {"value": "${S}"}}, ("id:e1:t1", "T")),
        ],
    )
    def test_identity(
        self, api: Api, receiver: Receiver, ngsi: Any, expected: tuple[str, str]
    ) -> None:
        [entity] = notify(api, receiver, {"n": 1, "S": "E1:T1"}, ngsi=ngsi).data
        assert (entity["id"], entity["type"]) == expected

    def test_unbalanced_macros(self, api: Api, receiver: Receiver) -> None:
        values = {"a": "${B", "b": "B}", "c": "${${B}}"}
        assert calculate(api, receiver, {"B": 1}, **values) == {
            "a": "${B",
            "b": "B}",
            "c": "null}",
        }

    def test_only_values_are_templates(self, api: Api, receiver: Receiver) -> None:
        ngsi = {"X": {"value": "${A}", "type": "${A}"}}
        [entity] = notify(api, receiver, {"A": 1}, ngsi=ngsi).data
        assert entity["X"] == {"type": "${A}", "value": 1, "metadata": {}}
