"""Documents of subscribeContext and updateContextSubscription to subscriptions.

The words and codes of errors are those of Orion 3.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from ngsi.errors import BadRequest
from ngsi.instants import LAST_INSTANT
from ngsi.model import EntitySelector
from ngsi.subscription import AttrsFormat, Condition, Subscription, SubscriptionStatus
from ngsi.v1.subscriptions import (
    SubscriptionChange,
    change_subscription,
    decode_subscription,
    decode_unsubscription,
    decode_update,
    load_update,
    make_subscription,
)
from ngsi.v2 import subscriptions as v2

ID = "5a0000000000000000000001"
NOW = 1_000_000.0
REQUEST: dict[str, Any] = {
    "entities": [{"type": "Room", "isPattern": "false", "id": "Room1"}],
    "attributes": ["temperature"],
    "reference": "http://localhost:1028/accumulate",
    "duration": "P1M",
    "notifyConditions": [{"type": "ONCHANGE", "condValues": ["pressure"]}],
    "throttling": "PT5S",
}
RESTRICTION = {
    "scopes": [
        {"type": "FIWARE::StringQuery", "value": "temperature>40"},
        {
            "type": "FIWARE::Location",
            "value": {"circle": {"centerLatitude": "40", "centerLongitude": "-3", "radius": "500"}},
        },
    ]
}


def make(**changed: Any) -> Subscription:
    document = {name: value for name, value in (REQUEST | changed).items() if value is not None}
    return make_subscription(decode_subscription(orjson.dumps(document)), ID, "/#", NOW)


def change(former: Subscription, **document: Any) -> Subscription:
    _, loaded = load_update(orjson.dumps({"subscriptionId": ID, **document}))
    return change_subscription(former, decode_update(loaded), "/here", NOW)


def refusal(act: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        act(*arguments)
    return caught.value.description


class TestSubscribe:
    def test_all_fields(self) -> None:
        made = make()
        assert made.entities == (EntitySelector("Room1", type="Room"),)
        assert made.condition == Condition(("pressure",))
        assert made.delivery.attributes == ("temperature",)
        assert made.delivery.attrs_format is AttrsFormat.LEGACY
        assert made.expires == NOW + 30 * 24 * 3600
        assert made.throttling_s == 5
        assert made.status is SubscriptionStatus.ACTIVE

    def test_defaults(self) -> None:
        made = make(attributes=None, duration=None, notifyConditions=None, throttling=None)
        assert made.expires == NOW + 24 * 3600
        assert made.throttling_s == 0
        assert made.condition == Condition()
        assert made.delivery.attributes == ()

    def test_an_end_beyond_all_dates_is_the_last_date(self) -> None:
        assert make(duration="P900000000Y").expires == LAST_INSTANT

    def test_conditions_are_put_together(self) -> None:
        conditions = [
            {"type": "ONCHANGE", "condValues": ["a", "b"]},
            {"type": "onchange", "condValues": ["b", "c"]},
        ]
        assert make(notifyConditions=conditions).condition.attributes == ("a", "b", "c")

    def test_restriction(self) -> None:
        condition = make(restriction=RESTRICTION).condition
        assert condition.q is not None
        assert condition.q.text == "temperature>40"
        assert condition.geo is not None
        assert condition.geo.georel == "near;maxDistance:500"

    @pytest.mark.parametrize(("has_type", "matched"), [(None, "yes"), (True, "yes"), (False, "")])
    def test_entities_with_and_without_type(self, has_type: bool | None, matched: str) -> None:
        body = orjson.dumps(REQUEST | {"entities": [{"id": "E"}]})
        (selector,) = decode_subscription(body, has_type).entities
        assert selector.matches("E", matched)
        assert selector.matches("E", "yes") is (has_type is not False)
        assert selector.matches("E", "") is (has_type is not True)

    @pytest.mark.parametrize(
        ("changed", "details"),
        [
            ({"entities": None}, "No entities"),
            ({"entities": []}, "No entities"),
            ({"entities": [{"type": "T"}]}, "empty entityId:id"),
            (
                {"entities": [{"id": "E", "isPattern": "maybe"}]},
                "invalid isPattern value for entity: /maybe/",
            ),
            (
                {"entities": [{"id": "*", "isPattern": "true"}]},
                "invalid regex for entity id pattern",
            ),
            ({"attributes": ["a", ""]}, "empty string"),
            ({"reference": None}, "Empty Reference"),
            ({"reference": "localhost"}, "Invalid URL"),
            ({"reference": "mqtt://localhost"}, "Invalid URL"),
            ({"duration": "1h"}, "syntax error in duration string"),
            ({"throttling": "5"}, "syntax error in throttling string"),
            ({"notifyConditions": [{"condValues": []}]}, "empty type for NotifyCondition"),
            (
                {"notifyConditions": [{"type": "ONTIMEINTERVAL", "condValues": ["PT1S"]}]},
                "invalid notify condition type: /ONTIMEINTERVAL/",
            ),
            ({"notifyConditions": [{"type": "ONCHANGE", "condValues": [""]}]}, "empty string"),
            ({"restriction": {}}, "empty restriction"),
            ({"restriction": {"scopes": []}}, "empty restriction"),
        ],
    )
    def test_refused(self, changed: dict[str, Any], details: str) -> None:
        def decode() -> None:
            make(**changed)

        assert refusal(decode) == f"invalid payload: {details}"

    def test_unknown_field(self) -> None:
        body = orjson.dumps(REQUEST | {"entity": "E"})
        assert refusal(decode_subscription, body) == "JSON Parse Error: unknown field: /entity"


class TestUpdate:
    def test_only_what_is_given_changes(self) -> None:
        former = make(restriction=RESTRICTION)
        changed = change(former, duration="PT1H")
        assert changed.expires == NOW + 3600
        assert changed.condition == former.condition
        assert changed.throttling_s == 5
        assert changed.entities == former.entities
        assert changed.counters is former.counters

    def test_service_path_is_that_of_the_request(self) -> None:
        assert change(make(), throttling="PT7S").service_path == "/here"

    def test_a_condition_replaces_condition_and_restriction(self) -> None:
        former = make(restriction=RESTRICTION)
        new = [{"type": "ONCHANGE", "condValues": ["humidity"]}]
        assert change(former, notifyConditions=new).condition == Condition(("humidity",))

    def test_a_restriction_alone_keeps_the_attributes(self) -> None:
        changed = change(make(), restriction=RESTRICTION)
        assert changed.condition.attributes == ("pressure",)
        assert changed.condition.q is not None

    def test_one_of_version_2_is_of_version_1_from_then_on(self) -> None:
        document = {
            "subject": {"entities": [{"id": "E"}], "condition": {"notifyOnMetadataChange": False}},
            "notification": {"http": {"url": "http://localhost"}, "attrs": ["a"]},
        }
        former = v2.decode_subscription(document, ID, "/")
        changed = change_subscription(former, SubscriptionChange(("b",)), "/", NOW)
        assert changed.delivery.attrs_format is AttrsFormat.LEGACY
        assert changed.delivery.attributes == ("a",)
        assert changed.condition == Condition(("b",), notify_on_metadata_change=False)
        assert changed.expires is None
        assert former.delivery.attrs_format is AttrsFormat.NORMALIZED

    @pytest.mark.parametrize(
        ("document", "details"),
        [
            ({"subscriptionId": "12"}, "bad length - 24 chars expected"),
            ({"subscriptionId": "z" * 24}, "invalid char in ID string"),
            ({"duration": "x"}, "syntax error in duration string"),
            ({"notifyConditions": [{"type": "x"}]}, "invalid notify condition type: /x/"),
        ],
    )
    def test_refused(self, document: dict[str, Any], details: str) -> None:
        assert refusal(decode_update, load_update(orjson.dumps(document))[1]) == details


class TestUnsubscribe:
    def test_id(self) -> None:
        assert decode_unsubscription(orjson.dumps({"subscriptionId": ID})) == ID
        assert decode_unsubscription(b"{}") == ""

    def test_refused(self) -> None:
        body = b'{"subscriptionId":"12"}'
        details = "Invalid Subscription Id: /12/: bad length - 24 chars expected"
        assert refusal(decode_unsubscription, body) == details
