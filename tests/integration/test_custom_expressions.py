"""Expressions in custom notifications and in conditions, as clients see them.

Source: Orion API, "JEXL support in custom notifications", "Evaluation priority", "Metadata
support" and "subscription.subject.condition"; Orion's functional cases 4004, 4555, 4556, 4594,
4689, 4747, 4751. The language itself has tests/unit/ngsi/test_jexl.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.custom import CALCULATED, calculate, notify, subscribe
from tests.integration.subscriptions import (
    await_state,
    change,
    create,
    has_failed,
    number,
    patch,
    received_ids,
    show,
    text,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver


def prioritized(value: str, priority: int | None = None) -> dict[str, Any]:
    attribute: dict[str, Any] = {"value": value, "type": CALCULATED}
    if priority is not None:
        attribute["metadata"] = {"evalPriority": {"value": priority, "type": "Number"}}
    return attribute


class TestEvaluationPriority:
    def test_order(self, api: Api, receiver: Receiver) -> None:
        ngsi = {
            "S": prioritized("${X3+1}"),
            "Y2": prioritized("${Z1+1}", 2),
            "X3": prioritized("${Y2+1}", 3),
            "Z1": prioritized("${A+1}", 1),
        }
        subscription_id = subscribe(
            api, receiver, ngsi=ngsi, notification={"attrs": ["Z1", "Y2", "S"]}
        )
        create(api, A=1)
        patch(api, A=number(2.1))
        for expected in ((2, 3, 5), (3.1, 4.1, 6.1)):
            [entity] = receiver.next().data
            assert tuple(entity[name]["value"] for name in ("Z1", "Y2", "S")) == expected
            assert "X3" not in entity
            assert entity["Z1"]["metadata"] == {"evalPriority": {"type": "Number", "value": 1}}
            assert entity["S"]["metadata"] == {}
        assert show(api, subscription_id)["notification"]["httpCustom"]["ngsi"] == ngsi

    @pytest.mark.parametrize(("source", "index", "level"), [(1, 2, "good"), (4, None, "no data")])
    def test_what_is_not_known_yet(
        self, api: Api, receiver: Receiver, source: int, index: int | None, level: str
    ) -> None:
        ngsi = {
            "N": prioritized("${raw}", source),
            "index": prioritized("${(N >= 1) ? N : N}", 2),
            "level": prioritized("${(index == 2) ? 'good' : 'no data'}", 3),
        }
        [entity] = notify(api, receiver, {"raw": 2}, ngsi=ngsi).data
        assert (entity["index"]["value"], entity["level"]["value"]) == (index, level)

    @pytest.mark.parametrize(
        ("metadata", "message"),
        [
            ({"evalPriority": {"value": "foo"}}, "evalPriority metadata must be a number"),
            ({"evalPriority": {"value": 0}}, "evalPriority metadata minimum priority is 1"),
            (
                {"evalPriority": {"value": 100_001}},
                "evalPriority metadata maximum priority is 100000",
            ),
            (
                {"other": {"value": 1}},
                "only evalPriority metadata is allowed in ngsi field in custom notifications",
            ),
        ],
    )
    def test_refused(
        self, api: Api, receiver: Receiver, metadata: dict[str, Any], message: str
    ) -> None:
        subscription_id = subscribe(api, receiver, ngsi={"S": prioritized("x", 1)})
        before = show(api, subscription_id)
        custom = {"url": receiver.url, "ngsi": {"S": {"value": "x", "metadata": metadata}}}
        given = {"notification": {"httpCustom": custom}}
        subject = {"subject": {"entities": [{"id": "E"}]}}
        refusal = (400, "BadRequest", message)
        assert api.post("/v2/subscriptions", {**subject, **given}).refusal == refusal
        assert api.patch(f"/v2/subscriptions/{subscription_id}", given).refusal == refusal
        assert show(api, subscription_id) == before


class TestExpressions:
    def test_attributes_not_in_the_update(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver, json=["${A + B}"])
        create(api, A=1, B=2)
        patch(api, A=number(10))
        assert [receiver.next().json for _ in range(2)] == [[3], [12]]

    def test_example_of_the_manual(self, api: Api, receiver: Receiver) -> None:
        attributes = {
            "speed": "30 m/s",
            "count": {"count": 5, "sum": 500},
            "code": None,
            "value": 75,
            "max": 50,
        }
        values = {
            "mps": "${(speed|split(' '))[0]|parseInt}",
            "ratio": "${count.sum/count.count}",
            "valid": "${code||'invalid'}",
            "alert": "${(value>max)?'nok':'ok'}",
            "next": "${{count:count.count+1, sum:count.sum+((speed|split(' '))[0]|parseInt)}}",
        }
        assert calculate(api, receiver, attributes, **values) == {
            "mps": 30,
            "ratio": 100,
            "valid": "invalid",
            "alert": "nok",
            "next": {"count": 6, "sum": 530},
        }

    def test_failsafe(self, api: Api, receiver: Receiver) -> None:
        values = {
            "a": "${A|patata}",
            "b": "X:${A|patata}:Y",
            "c": "${none + 1}",
            "d": "${none||0-1}",
            "e": "${nil + 1}",
            "f": "${A-B}",
            "g": "${A[0|uppercase}",
            "h": "${0.1 + 0.2}",
        }
        assert calculate(api, receiver, {"A": 1, "nil": None, "A-B": 5}, **values) == {
            "a": None,
            "b": "X:null:Y",
            "c": None,
            "d": -1,
            "e": None,
            "f": None,
            "g": None,
            "h": 0.3,
        }

    def test_metadata(self, api: Api, receiver: Receiver) -> None:
        ngsi = {"sum": {"value": "${metadata.A.MD1 + metadata.B.MD2}"}}
        subscribe(api, receiver, ngsi=ngsi, notification={"attrs": ["sum"]})
        for one, other, expected in ((1, 2, 3), ("foo", "bar", "foobar"), (2.1, -3.8, -1.7)):
            api.create(
                {
                    "id": f"E{expected}",
                    "A": {"value": 10, "metadata": {"MD1": {"value": one}}},
                    "B": {"value": 20, "metadata": {"MD2": {"value": other}}},
                    # An attribute of that name is not seen.
                    "metadata": {"value": {"A": {"MD1": "from-attr"}}},
                }
            )
            assert receiver.next().data[0]["sum"]["value"] == expected

    def test_previous_values(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver, ngsi={"diff": {"value": "${A-metadata.A.previousValue}"}})
        create(api, A=1)
        for value in (4, 2):
            patch(api, A=number(value))
        found = [receiver.next().data[0]["diff"]["value"] for _ in range(3)]
        assert found == [None, 3, -2]

    @pytest.mark.parametrize("expression", ["${" + "(" * 4000 + "}", "${" + "1+" * 4000 + "1}"])
    def test_monsters(self, api: Api, receiver: Receiver, expression: str) -> None:
        delivery = notify(api, receiver, {"A": 1}, json=[expression])
        assert delivery.json in ([None], [4001])

    def test_costly_ones_are_not_sent(self, api: Api, receiver: Receiver) -> None:
        costly = subscribe(api, receiver, json=["${A|matchRegex('(a.*z)|a')}"])
        create(api, A="a" * 100_000)
        shown = await_state(api, costly, has_failed(1))
        assert "too much work" in shown["notification"]["lastFailureReason"]


class TestConditions:
    """jexlExpression, alone and beside q and mq."""

    @pytest.mark.parametrize(
        ("expression", "ids"),
        [
            ("A + B == 3", ["E3"]),
            ("A > 1 && type == 'T'", ["E2", "E3"]),
            ("id == 'E1' || A == 3", ["E1", "E3"]),
            ("metadata.A.unit == 'C'", ["E2"]),
            ("B|isNaN", ["E2"]),
            # Only true counts, neither what is as good as true nor what fails.
            ("A", []),
            ("'true'", []),
            ("none", []),
            ("A +", []),
            ("none == 1 || true", ["E1", "E2", "E3"]),
        ],
    )
    def test_alone(self, api: Api, receiver: Receiver, expression: str, ids: list[str]) -> None:
        subscribe(api, receiver, {"jexlExpression": expression})
        create(api, "E1", A=1, B=1)
        api.create(
            {
                "id": "E2",
                "type": "T",
                "A": {"value": 2, "metadata": {"unit": text("C")}},
                "B": {"value": "foo"},
            }
        )
        create(api, "E3", A=3, B=0)
        assert received_ids(api, receiver) == ids

    def test_with_q_and_mq(self, api: Api, receiver: Receiver) -> None:
        condition = {
            "jexlExpression": "A % 2 == 0",
            "expression": {"q": "A>2", "mq": "A.unit==C"},
            "attrs": ["A"],
        }
        subscription_id = subscribe(api, receiver, condition, payload="${A}")
        for value in range(8):
            unit = "C" if value != 4 else "F"
            api.create(
                {
                    "id": f"E{value}",
                    "A": {"value": value, "metadata": {"unit": text(unit)}},
                }
            )
        assert [item.body for item in receiver.take_until_fence(api)] == [b"6"]
        shown = show(api, subscription_id)
        assert shown["subject"]["condition"]["jexlExpression"] == "A % 2 == 0"
        assert shown["notification"]["timesSent"] == 1

    def test_patched(self, api: Api, receiver: Receiver) -> None:
        subscription_id = subscribe(api, receiver, {"jexlExpression": "A == 1"})
        create(api, "E1", A=2)
        subject = {
            "entities": [{"idPattern": ".*"}],
            "condition": {"jexlExpression": "A == 2"},
        }
        change(api, subscription_id, subject=subject)
        create(api, "E2", A=2)
        assert received_ids(api, receiver) == ["E2"]

    def test_in_standard_notifications(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(
            {
                "subject": {
                    "entities": [{"idPattern": ".*"}],
                    "condition": {"jexlExpression": "A == 2"},
                },
                "notification": {"http": {"url": receiver.url}},
            }
        )
        create(api, "E1", A=1)
        create(api, "E2", A=2)
        assert received_ids(api, receiver) == ["E2"]
