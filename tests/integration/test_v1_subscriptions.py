"""Subscriptions of NGSIv1: subscribeContext and what belongs to it, notifications in and out.

Words, codes and forms are those of Orion 3.4. Subscriptions and entities of both versions of NGSI
are the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.subscriptions import change, create, patch, show

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Delivery, Receiver, StartBroker

NO_ID = "0" * 24
UNKNOWN_ID = "5a0000000000000000000001"
NOT_FOUND = {"code": "404", "reasonPhrase": "No context element found"}
OK = {"code": "200", "reasonPhrase": "OK"}
ON_CHANGE = [{"type": "ONCHANGE", "condValues": []}]


def bad(details: str) -> dict[str, str]:
    return {"code": "400", "reasonPhrase": "Bad Request", "details": details}


def attribute(name: str, value: Any, kind: str = "T", **metadata: Any) -> dict[str, Any]:
    """An attribute as NGSIv1 has it; metadata are of type T, too."""
    document = {"name": name, "type": kind, "value": value}
    if metadata:
        document["metadatas"] = [
            {"name": name, "type": "T", "value": value} for name, value in metadata.items()
        ]
    return document


def update(
    api: Api,
    *attributes: dict[str, Any],
    entity: str = "E",
    kind: str = "T",
    action: str = "APPEND",
) -> None:
    """POST /v1/updateContext of one entity."""
    element = {"id": entity, "type": kind, "attributes": list(attributes)}
    reply = api.post("/v1/updateContext", {"contextElements": [element], "updateAction": action})
    assert reply.json["contextResponses"][0]["statusCode"] == OK, reply


def subscribe(
    api: Api, receiver: Receiver, path: str = "/v1/subscribeContext", **fields: Any
) -> str:
    """A subscription to any change of any entity, or with these fields; returns its id."""
    document: dict[str, Any] = {
        "entities": [{"id": ".*", "isPattern": "true"}],
        "reference": receiver.url,
        **fields,
    }
    reply = api.post(path, document)
    assert reply.status == 200, reply
    subscription_id: str = reply.json["subscribeResponse"]["subscriptionId"]
    return subscription_id


def element(delivery: Delivery) -> Any:
    """The one context element of a notification."""
    [response] = delivery.json["contextResponses"]
    assert response["statusCode"] == OK
    return response["contextElement"]


def elements(api: Api, receiver: Receiver) -> list[Any]:
    """Those of the notifications of all updates made so far."""
    return [element(delivery) for delivery in receiver.take_until_fence(api)]


class TestNotification:
    def test_body_and_headers(self, api: Api, receiver: Receiver) -> None:
        subscription_id = subscribe(api, receiver)
        update(api, attribute("A", "1", m="x"), attribute("B", {"b": ["1"]}))
        delivery = receiver.next()
        assert delivery.body.decode() == (
            f'{{"subscriptionId":"{subscription_id}","originator":"localhost",'
            '"contextResponses":[{"contextElement":{"type":"T","isPattern":"false","id":"E",'
            '"attributes":[{"name":"A","type":"T","value":"1",'
            '"metadatas":[{"name":"m","type":"T","value":"x"}]},'
            '{"name":"B","type":"T","value":{"b":["1"]}}]},'
            '"statusCode":{"code":"200","reasonPhrase":"OK"}}]}'
        )
        assert delivery.headers["Content-Type"] == "application/json; charset=utf-8"
        assert delivery.headers["Fiware-ServicePath"] == "/"
        assert "Ngsiv2-AttrsFormat" not in delivery.headers

    def test_nothing_is_sent_at_creation(self, api: Api, receiver: Receiver) -> None:
        update(api, attribute("A", "1"))
        subscribe(api, receiver, notifyConditions=ON_CHANGE)
        assert elements(api, receiver) == []

    def test_order_of_attributes(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver)
        update(api, attribute("C", "1"), attribute("A", "1"))
        update(api, attribute("Z", "1"), attribute("B", "1"), attribute("C", "2"))
        names = [
            [item["name"] for item in notified["attributes"]]
            for notified in elements(api, receiver)
        ]
        assert names == [["C", "A"], ["A", "C", "Z", "B"]]

    def test_attributes_of_the_subscription(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver, attributes=["C", "A", "X"])
        update(api, attribute("A", "1"), attribute("B", "1"), attribute("C", "1"))
        [notified] = elements(api, receiver)
        assert notified["attributes"] == [attribute("C", "1"), attribute("A", "1")]

    def test_without_an_attribute_to_show_nothing_is_sent(
        self, api: Api, receiver: Receiver
    ) -> None:
        subscription_id = subscribe(api, receiver, attributes=["X"])
        update(api, attribute("A", "1"))
        assert elements(api, receiver) == []
        assert "timesSent" not in show(api, subscription_id)["notification"]
        update(api, attribute("X", "1"))
        [notified] = elements(api, receiver)
        assert notified["attributes"] == [attribute("X", "1")]

    def test_unnamed_types(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver)
        version_2 = api.subscribe(
            {
                "subject": {"entities": [{"idPattern": ".*"}]},
                "notification": {"http": {"url": f"{receiver.url}/2"}},
            }
        )
        update(api, attribute("A", "1", kind=""), kind="")
        by_path = {delivery.path: delivery for delivery in (receiver.next(), receiver.next())}
        notified = element(by_path["/notify"])
        assert notified["type"] == ""
        assert notified["attributes"] == [attribute("A", "1", kind="")]
        shown = by_path["/notify/2"].json
        assert shown == {
            "subscriptionId": version_2,
            "data": [
                {
                    "id": "E",
                    "type": "Thing",
                    "A": {"type": "Text", "value": "1", "metadata": {}},
                }
            ],
        }

    def test_a_change_through_version_2(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver)
        create(api, A=1, B=True, C=None)
        patch(api, A={"value": 2, "type": "Number", "metadata": {"m": {"value": 3}}})
        assert [notified["attributes"] for notified in elements(api, receiver)] == [
            [
                attribute("A", 1, "Number"),
                attribute("B", True, "Boolean"),
                attribute("C", None, "None"),
            ],
            [
                {
                    **attribute("A", 2, "Number"),
                    "metadatas": [{"name": "m", "type": "Number", "value": 3}],
                },
                attribute("B", True, "Boolean"),
                attribute("C", None, "None"),
            ],
        ]

    def test_a_change_through_version_1(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(
            {
                "subject": {"entities": [{"id": "E"}]},
                "notification": {"http": {"url": receiver.url}},
            }
        )
        update(api, attribute("A", "1", m="x"))
        assert receiver.next().data == [
            {
                "id": "E",
                "type": "T",
                "A": {
                    "type": "T",
                    "value": "1",
                    "metadata": {"m": {"type": "T", "value": "x"}},
                },
            }
        ]


class TestTrigger:
    def test_attributes_of_the_condition(self, api: Api, receiver: Receiver) -> None:
        condition = [{"type": "ONCHANGE", "condValues": ["A"]}]
        subscribe(api, receiver, notifyConditions=condition)
        update(api, attribute("B", "1"))
        update(api, attribute("A", "1"))
        update(api, attribute("A", "1"), action="UPDATE")  # changes nothing
        update(api, attribute("B", "2"), action="UPDATE")
        update(api, attribute("A", "2"), action="UPDATE")
        values = [notified["attributes"] for notified in elements(api, receiver)]
        assert values == [
            [attribute("B", "1"), attribute("A", "1")],
            [attribute("A", "2"), attribute("B", "2")],
        ]

    @pytest.mark.parametrize(
        ("entities", "notified"),
        [
            ([{"id": "E", "type": "T"}], ["E"]),
            ([{"id": "E", "isPattern": "false"}], ["E"]),
            ([{"id": "^E", "isPattern": "true"}], ["E", "E2"]),
            ([{"id": "E"}, {"id": "F", "type": "T"}], ["E", "F"]),
            ([{"id": "E", "type": "U"}], []),
        ],
    )
    def test_entities(
        self, api: Api, receiver: Receiver, entities: list[Any], notified: list[str]
    ) -> None:
        subscribe(api, receiver, entities=entities)
        for entity in ("E", "E2", "F"):
            update(api, attribute("A", "1"), entity=entity)
        assert [item["id"] for item in elements(api, receiver)] == notified

    @pytest.mark.parametrize(("parameter", "notified"), [("exist", "with"), ("!exist", "without")])
    def test_entities_with_and_without_type(
        self, api: Api, receiver: Receiver, parameter: str, notified: str
    ) -> None:
        subscribe(api, receiver, f"/v1/contextSubscriptions?{parameter}=entity::type")
        update(api, attribute("A", "1"), entity="with")
        update(api, attribute("A", "1"), entity="without", kind="")
        assert [item["id"] for item in elements(api, receiver)] == [notified]

    def test_restriction(self, api: Api, receiver: Receiver) -> None:
        circle = {"centerLatitude": "40", "centerLongitude": "-3", "radius": "10000"}
        scopes = [
            {"type": "FIWARE::StringQuery", "value": "A==x"},
            {"type": "FIWARE::Location", "value": {"circle": circle}},
        ]
        subscribe(api, receiver, restriction={"scopes": scopes})
        here, there = attribute("P", "40, -3", "geo:point"), attribute("P", "50, -3", "geo:point")
        update(api, attribute("A", "x"), here, entity="in")
        update(api, attribute("A", "x"), there, entity="out")
        update(api, attribute("A", "y"), here, entity="other")
        assert [item["id"] for item in elements(api, receiver)] == ["in"]

    def test_throttling(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver, throttling="PT1H")
        update(api, attribute("A", "1"))
        update(api, attribute("A", "2"))
        assert [item["attributes"] for item in elements(api, receiver)] == [[attribute("A", "1")]]

    def test_end(self, api: Api, receiver: Receiver) -> None:
        subscription_id = subscribe(api, receiver, duration="PT0S")
        update(api, attribute("A", "1"))
        assert elements(api, receiver) == []
        assert show(api, subscription_id)["status"] == "expired"

    def test_service_paths(self, api: Api, receiver: Receiver) -> None:
        document = {"entities": [{"id": ".*", "isPattern": "true"}], "reference": receiver.url}
        api.post("/v1/subscribeContext", document, service_path="/a/#")
        for path in ("/a", "/a/b", "/c"):
            api.create({"id": path.replace("/", ""), "A": {"value": 1}}, service_path=path)
        assert [item["id"] for item in elements(api, receiver)] == ["a", "ab"]
        reply = api.post("/v1/subscribeContext", document, service_path="/a, /b")
        error = bad("max one service-path allowed for subscriptions")
        assert reply.json == {"subscribeError": {"errorCode": error}}


class TestOperations:
    @pytest.mark.parametrize("root", ["/v1", "/NGSI10"])
    def test_life(self, api: Api, receiver: Receiver, root: str) -> None:
        document = {
            "entities": [{"id": "E"}],
            "reference": receiver.url,
            "duration": "P1M",
            "throttling": "PT5S",
        }
        for path in ("subscribeContext", "contextSubscriptions"):
            reply = api.post(f"{root}/{path}", document)
            made = reply.json["subscribeResponse"]
            subscription_id = made.pop("subscriptionId")
            assert made == {"duration": "P1M", "throttling": "PT5S"}
            changed = {"subscriptionId": subscription_id, "throttling": "PT7S"}
            done = {"subscribeResponse": changed}
            assert api.post(f"{root}/updateContextSubscription", changed).json == done
            one = f"{root}/contextSubscriptions/{subscription_id}"
            assert api.put(one, changed).json == done
            assert show(api, subscription_id)["throttling"] == 7
            gone = {"subscriptionId": subscription_id, "statusCode": OK}
            missing = {"subscriptionId": subscription_id, "statusCode": NOT_FOUND}
            named = {"subscriptionId": subscription_id}
            if path == "subscribeContext":
                assert api.post(f"{root}/unsubscribeContext", named).json == gone
            else:
                assert api.delete(one).json == gone
            assert api.post(f"{root}/unsubscribeContext", named).json == missing
            assert api.delete(one).json == missing

    def test_duration_is_a_day_by_default(self, api: Api, receiver: Receiver) -> None:
        document = {"entities": [{"id": "E"}], "reference": receiver.url}
        reply = api.post("/v1/subscribeContext", document)
        assert reply.json["subscribeResponse"]["duration"] == "PT24H"

    @pytest.mark.parametrize(
        ("document", "error"),
        [
            ({}, bad("invalid payload: No entities")),
            (
                {
                    "entities": [{"id": "E"}],
                    "reference": "http://localhost",
                    "notifyConditions": [{"type": "ONTIMEINTERVAL", "condValues": ["PT1S"]}],
                },
                bad("invalid payload: invalid notify condition type: /ONTIMEINTERVAL/"),
            ),
            ({"entity": "E"}, bad("JSON Parse Error: unknown field: /entity")),
            (b"{", bad("JSON Parse Error")),
            ({"reference": "a<b"}, bad("Illegal value for JSON field")),
        ],
    )
    @pytest.mark.parametrize("path", ["subscribeContext", "contextSubscriptions"])
    def test_subscribe_refused(
        self, api: Api, path: str, document: Any, error: dict[str, str]
    ) -> None:
        reply = api.post(f"/v1/{path}", document)
        assert (reply.status, reply.json) == (200, {"subscribeError": {"errorCode": error}})
        assert api.get("/v2/subscriptions").json == []

    @pytest.mark.parametrize(
        ("document", "subscription_id", "error"),
        [
            ({}, NO_ID, NOT_FOUND),
            ({"subscriptionId": UNKNOWN_ID}, UNKNOWN_ID, NOT_FOUND),
            ({"subscriptionId": "12"}, "12", bad("bad length - 24 chars expected")),
            (
                {"subscriptionId": UNKNOWN_ID, "duration": "x"},
                UNKNOWN_ID,
                bad("syntax error in duration string"),
            ),
            ({"id": "E"}, NO_ID, bad("JSON Parse Error: unknown field: /id")),
        ],
    )
    def test_update_refused(
        self, api: Api, document: Any, subscription_id: str, error: dict[str, str]
    ) -> None:
        reply = api.post("/v1/updateContextSubscription", document)
        told = {"subscriptionId": subscription_id, "errorCode": error}
        assert (reply.status, reply.json) == (200, {"subscribeError": told})

    def test_put_of_another_id(self, api: Api) -> None:
        reply = api.put(f"/v1/contextSubscriptions/{UNKNOWN_ID}", {"subscriptionId": NO_ID})
        details = f"unmatching subscriptionId URI/payload: /{UNKNOWN_ID}/ vs /{NO_ID}/"
        told = {"subscriptionId": NO_ID, "errorCode": bad(details)}
        assert reply.json == {"subscribeError": told}

    def test_unsubscribe_refused(self, api: Api) -> None:
        reply = api.post("/v1/unsubscribeContext", {"subscriptionId": "12"})
        details = "Invalid Subscription Id: /12/: bad length - 24 chars expected"
        assert reply.json == {"subscriptionId": NO_ID, "statusCode": bad(details)}

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("GET", "subscribeContext", "POST"),
            ("GET", "contextSubscriptions", "POST"),
            ("GET", f"contextSubscriptions/{UNKNOWN_ID}", "PUT, DELETE"),
        ],
    )
    def test_other_methods(self, api: Api, method: str, path: str, allowed: str) -> None:
        reply = api.request(method, f"/v1/{path}")
        assert (reply.status, reply.headers["Allow"], reply.text) == (405, allowed, "")

    def test_too_long(self, api: Api) -> None:
        reply = api.post("/v1/updateContextSubscription", b" " * 1_048_577)
        assert reply.status == 413
        error = reply.json["subscribeError"]["errorCode"]
        assert (error["code"], error["reasonPhrase"]) == ("413", "Request Entity Too Large")


class TestBothVersions:
    def test_shown_changed_and_removed_by_version_2(self, api: Api, receiver: Receiver) -> None:
        subscription_id = subscribe(
            api,
            receiver,
            entities=[{"id": "E", "type": "T"}],
            attributes=["A"],
            throttling="PT5S",
            notifyConditions=[{"type": "ONCHANGE", "condValues": ["B"]}],
            restriction={"scopes": [{"type": "FIWARE::StringQuery", "value": "B>1"}]},
        )
        shown = show(api, subscription_id)
        assert shown.pop("expires")
        assert shown == {
            "id": subscription_id,
            "status": "active",
            "subject": {
                "entities": [{"id": "E", "type": "T"}],
                "condition": {
                    "attrs": ["B"],
                    "expression": {"q": "B>1"},
                    "notifyOnMetadataChange": True,
                },
            },
            "notification": {
                "attrs": ["A"],
                "onlyChangedAttrs": False,
                "attrsFormat": "legacy",
                "http": {"url": receiver.url},
                "covered": False,
            },
            "throttling": 5,
        }
        change(api, subscription_id, subject={"entities": [{"id": "F"}]}, throttling=0)
        update(api, attribute("A", "1"), entity="F")
        assert element(receiver.next())["id"] == "F"
        change(api, subscription_id, notification={"http": {"url": receiver.url}})
        update(api, attribute("A", "2"), entity="F")
        assert receiver.next().data[0]["id"] == "F"
        assert api.delete(f"/v2/subscriptions/{subscription_id}").status == 204
        reply = api.post("/v1/unsubscribeContext", {"subscriptionId": subscription_id})
        assert reply.json["statusCode"] == NOT_FOUND

    def test_changed_and_removed_by_version_1(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(
            {
                "subject": {"entities": [{"id": "E"}], "condition": {"attrs": ["A"]}},
                "notification": {"http": {"url": receiver.url}},
                "description": "kept",
            }
        )
        condition = [{"type": "ONCHANGE", "condValues": ["B"]}]
        document = {"subscriptionId": subscription_id, "notifyConditions": condition}
        api.post("/v1/updateContextSubscription", document)
        shown = show(api, subscription_id)
        assert (shown["description"], "expires" in shown) == ("kept", False)
        assert shown["subject"]["condition"]["attrs"] == ["B"]
        update(api, attribute("A", "1"))
        update(api, attribute("B", "1"))
        [notified] = elements(api, receiver)
        assert notified["attributes"] == [attribute("A", "1"), attribute("B", "1")]
        assert api.delete(f"/v1/contextSubscriptions/{subscription_id}").json["statusCode"] == OK
        assert api.get(f"/v2/subscriptions/{subscription_id}").status == 404

    @pytest.mark.parametrize(
        ("notification", "names"),
        [
            ({}, ["A", "B"]),
            ({"exceptAttrs": ["A"]}, ["B"]),
            ({"attrs": ["B", "A"], "onlyChangedAttrs": True}, ["A"]),
            ({"attrs": ["dateModified", "A"]}, ["dateModified", "A"]),
        ],
    )
    def test_legacy_in_version_2(
        self, api: Api, receiver: Receiver, notification: dict[str, Any], names: list[str]
    ) -> None:
        create(api, A=1, B=1)
        fields = {"http": {"url": receiver.url}, "attrsFormat": "legacy", **notification}
        api.subscribe({"subject": {"entities": [{"id": "E"}]}, "notification": fields})
        patch(api, A={"type": "Number", "value": 2})
        assert [item["name"] for item in element(receiver.next())["attributes"]] == names

    def test_metadata_in_version_2(self, api: Api, receiver: Receiver) -> None:
        create(api, A=1)
        fields = {
            "http": {"url": receiver.url},
            "attrsFormat": "legacy",
            "metadata": ["previousValue", "actionType"],
        }
        api.subscribe({"subject": {"entities": [{"id": "E"}]}, "notification": fields})
        patch(api, A={"type": "Number", "value": 2})
        assert element(receiver.next())["attributes"][0]["metadatas"] == [
            {"name": "previousValue", "type": "Number", "value": 1},
            {"name": "actionType", "type": "Text", "value": "update"},
        ]


class TestNotifyContext:
    def notify(self, api: Api, *elements: Any, **fields: Any) -> Any:
        responses = [{"contextElement": item, "statusCode": OK} for item in elements]
        document = {
            "subscriptionId": UNKNOWN_ID,
            "originator": "localhost",
            "contextResponses": responses,
            **fields,
        }
        return api.post("/v1/notifyContext", document).json

    def test_entities_are_taken_over(self, api: Api) -> None:
        create(api, A=1, B=1)
        answer = self.notify(
            api,
            {"id": "E", "type": "T", "isPattern": "false", "attributes": [attribute("A", "2")]},
            {"id": "F", "type": "T", "attributes": [attribute("A", "3", m="x")]},
        )
        assert answer == {"responseCode": OK}
        shown = api.get("/v2/entities", options="keyValues", attrs="A").json
        assert [(item["id"], item["A"]) for item in shown] == [("E", "2"), ("F", "3")]

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"subscriptionId": "12"}, bad("bad length - 24 chars expected")),
            ({"subscription": "x"}, bad("JSON Parse Error: unknown field: /subscription")),
            ({"contextResponses": [{"contextElement": {}}]}, bad("empty entityId:id")),
        ],
    )
    def test_refused(self, api: Api, fields: dict[str, Any], error: dict[str, str]) -> None:
        element = {"id": "E", "type": "T", "attributes": [attribute("A", "2")]}
        assert self.notify(api, element, **fields) == {"responseCode": error}
        assert api.get("/v2/entities").json == []

    def test_from_broker_to_broker(self, api: Api, remote: Api, receiver: Receiver) -> None:
        document = {
            "entities": [{"id": "E"}],
            "reference": f"http://127.0.0.1:{remote.broker.port}/v1/notifyContext",
        }
        api.post("/v1/subscribeContext", document)
        subscribe(remote, receiver)
        update(api, attribute("A", "1", m="x"), kind="")
        notified = element(receiver.next())
        assert notified["attributes"] == [attribute("A", "1", m="x")]
        assert remote.get("/v2/entities/E").json == api.get("/v2/entities/E").json


def test_restart(start_broker: StartBroker, connect: Connect, receiver: Receiver) -> None:
    broker = start_broker("-multiservice")
    api = connect(broker, "t")
    # Of names that NGSIv2 would refuse.
    names = [attribute("odd name", "1", kind=""), attribute("B/C", "1")]
    update(api, *names, entity="odd id", kind="")
    subscription_id = subscribe(
        api,
        receiver,
        "/v1/contextSubscriptions?!exist=entity::type",
        entities=[{"id": "odd id"}],
        attributes=["odd name"],
        notifyConditions=[{"type": "ONCHANGE", "condValues": ["odd name"]}],
        duration="P1Y",
    )
    shown, entities = show(api, subscription_id), api.get("/v2/entities").json
    broker.kill()
    api = connect(start_broker("-multiservice", directory=broker.directory), "t")
    assert show(api, subscription_id) == shown
    assert api.get("/v2/entities").json == entities
    update(api, attribute("odd name", "2"), entity="odd id", kind="")
    notified = element(receiver.next())
    assert (notified["id"], notified["type"]) == ("odd id", "")
    assert notified["attributes"] == [attribute("odd name", "2")]


def test_ids_that_cannot_be_kept_are_refused(api: Api) -> None:
    element = {"id": "a\x1fb", "type": "T", "attributes": [attribute("A", "1")]}
    document = {"contextElements": [element], "updateAction": "APPEND"}
    [response] = api.post("/v1/updateContext", document).json["contextResponses"]
    assert response["statusCode"]["code"] == "472"
    assert api.get("/v2/entities").json == []
