"""Which updates lead to a notification, and what of the entity is in it.

Source: Orion API, sections "Notification Triggering" and "Notification Messages"; Orion's
functional cases 0000_subs_attrs_deletion, 3285, 3310, 3389, 3956, 4211.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.integration.subscriptions import document, received, show

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver

SHORT = {"attrsFormat": "keyValues"}
TEXT = "text/plain"


class Update(NamedTuple):
    """A request about E, which has A=1 and B=2; `notified` are the attributes afterwards."""

    method: str
    path: str
    body: Any
    notified: dict[str, Any] | None = None
    parameters: dict[str, str] | None = None
    content_type: str = "application/json"
    status: int = 204

    def send(self, api: Api) -> None:
        how: dict[str, Any] = dict(self.parameters or {})
        if self.body is not None:
            how["body"] = self.body
        reply = api.request(self.method, self.path, content_type=self.content_type, **how)
        assert reply.status == self.status, reply


ENTITY = "/v2/entities/E"
ATTRS = "/v2/entities/E/attrs"
A = "/v2/entities/E/attrs/A"
VALUE = "/v2/entities/E/attrs/A/value"
BATCH = "/v2/op/update"


def value(new: Any, **rest: Any) -> dict[str, Any]:
    return {"value": new, **rest}


def batch(action: str, **attributes: Any) -> dict[str, Any]:
    return {"actionType": action, "entities": [{"id": "E", "type": "T", **attributes}]}


TRIGGERING = {
    "update by POST": Update("POST", ATTRS, {"A": value(5)}, {"A": 5, "B": 2}),
    "append by POST": Update("POST", ATTRS, {"C": value(3)}, {"A": 1, "B": 2, "C": 3}),
    "strict append": Update(
        "POST", ATTRS, {"C": value(3)}, {"A": 1, "B": 2, "C": 3}, {"options": "append"}
    ),
    "update by PATCH": Update("PATCH", ATTRS, {"A": value(5)}, {"A": 5, "B": 2}),
    "replacement": Update("PUT", ATTRS, {"C": value(3)}, {"C": 3}),
    # A replacement counts as a change whatever it holds.
    "replacement by the same": Update(
        "PUT", ATTRS, {"A": value(1), "B": value(2)}, {"A": 1, "B": 2}
    ),
    "update of an attribute": Update("PUT", A, value(5), {"A": 5, "B": 2}),
    "removal of an attribute": Update("DELETE", A, None, {"B": 2}),
    "update of a value": Update("PUT", VALUE, {"x": [1]}, {"A": {"x": [1]}, "B": 2}),
    "update of a value by text": Update("PUT", VALUE, b"5", {"A": 5, "B": 2}, content_type=TEXT),
    "upsert": Update(
        "POST",
        "/v2/entities",
        {"id": "E", "type": "T", "A": value(5)},
        {"A": 5, "B": 2},
        {"options": "upsert"},
    ),
    "batch append": Update("POST", BATCH, batch("append", A=value(5)), {"A": 5, "B": 2}),
    "batch strict append": Update(
        "POST", BATCH, batch("appendStrict", C=value(3)), {"A": 1, "B": 2, "C": 3}
    ),
    "batch update": Update("POST", BATCH, batch("update", A=value(5)), {"A": 5, "B": 2}),
    "batch replace": Update("POST", BATCH, batch("replace", C=value(3)), {"C": 3}),
    "batch removal of an attribute": Update("POST", BATCH, batch("delete", A=value(1)), {"B": 2}),
    "notification of another broker": Update(
        "POST",
        "/v2/op/notify",
        {
            "subscriptionId": "5aeb0ee97d4ef10a12a0262f",
            "data": [{"id": "E", "type": "T", "A": value(5)}],
        },
        {"A": 5, "B": 2},
        status=200,
    ),
    "type alone": Update("PUT", A, value(1, type="Count"), {"A": 1, "B": 2}),
    "metadata alone": Update(
        "PUT", A, value(1, type="Number", metadata={"m": value(1)}), {"A": 1, "B": 2}
    ),
    "number to text": Update("PUT", A, value("1", type="Number"), {"A": "1", "B": 2}),
    "number to boolean": Update("PUT", A, value(True, type="Number"), {"A": True, "B": 2}),
    "value to null": Update("PUT", A, value(None, type="Number"), {"A": None, "B": 2}),
    "operator": Update("PATCH", ATTRS, {"A": value({"$inc": 3})}, {"A": 4, "B": 2}),
    # What exists is updated and notified though the request as a whole is answered by an error.
    "update of some that exist": Update(
        "PATCH", ATTRS, {"A": value(5), "Z": value(0)}, {"A": 5, "B": 2}, status=422
    ),
    "batch with some that exist": Update(
        "POST",
        BATCH,
        {
            "actionType": "update",
            "entities": [
                {"id": "Missing", "type": "T", "A": value(9)},
                {"id": "E", "type": "T", "A": value(5)},
            ],
        },
        {"A": 5, "B": 2},
        status=422,
    ),
}

SILENT = {
    "same value by POST": Update("POST", ATTRS, {"A": value(1)}),
    "same value as a float": Update("POST", ATTRS, {"A": value(1.0)}),
    "same value by PATCH": Update("PATCH", ATTRS, {"A": value(1), "B": value(2)}),
    "same value of an attribute": Update("PUT", A, value(1)),
    "same value by text": Update("PUT", VALUE, b"1", content_type=TEXT),
    "same value by upsert": Update(
        "POST",
        "/v2/entities",
        {"id": "E", "type": "T", "A": value(1)},
        parameters={"options": "upsert"},
    ),
    "same value by batch": Update("POST", BATCH, batch("update", A=value(1))),
    "nothing in a batch": Update("POST", BATCH, batch("append")),
    "removal of the entity": Update("DELETE", ENTITY, None),
    "removal by batch": Update("POST", BATCH, batch("delete")),
    "entity that exists": Update(
        "POST", "/v2/entities", {"id": "E", "type": "T", "A": value(5)}, status=422
    ),
    "attributes that exist": Update(
        "POST", ATTRS, {"A": value(5)}, parameters={"options": "append"}, status=422
    ),
    "attribute that does not exist": Update("PUT", f"{ATTRS}/Z", value(5), status=404),
    "entity that does not exist": Update(
        "PATCH", "/v2/entities/Z/attrs", {"A": value(5)}, status=404
    ),
    "bad request": Update("PATCH", ATTRS, {"A": value(5), "B": value("<")}, status=400),
    "query": Update("GET", ENTITY, None, status=200),
}


class TestTriggering:
    @pytest.fixture(autouse=True)
    def _subscribed(self, api: Api, receiver: Receiver) -> None:
        api.create({"id": "E", "type": "T", "A": 1, "B": 2}, options="keyValues")
        api.subscribe(document(receiver.url, notification=SHORT))

    @pytest.mark.parametrize("update", TRIGGERING.values(), ids=TRIGGERING)
    def test_changes(self, api: Api, receiver: Receiver, update: Update) -> None:
        update.send(api)
        assert update.notified is not None
        assert received(api, receiver) == [{"id": "E", "type": "T", **update.notified}]

    @pytest.mark.parametrize("update", SILENT.values(), ids=SILENT)
    def test_what_changes_nothing(self, api: Api, receiver: Receiver, update: Update) -> None:
        update.send(api)
        assert received(api, receiver) == []

    def test_creation(self, api: Api, receiver: Receiver) -> None:
        api.create({"id": "F", "A": value(7)})
        api.post(BATCH, {"actionType": "append", "entities": [{"id": "G", "A": value(8)}]})
        api.post("/v2/entities", {"id": "H", "A": value(9)}, options="upsert")
        assert received(api, receiver) == [
            {"id": "F", "type": "Thing", "A": 7},
            {"id": "G", "type": "Thing", "A": 8},
            {"id": "H", "type": "Thing", "A": 9},
        ]

    def test_creation_without_attributes_is_silent(self, api: Api, receiver: Receiver) -> None:
        api.create({"id": "F", "type": "T"})
        assert received(api, receiver) == []

    def test_each_entity_of_a_batch_by_itself(self, api: Api, receiver: Receiver) -> None:
        entities = [{"id": f"E{number}", "A": value(number)} for number in range(5)]
        # The second change of one entity is notified, too.
        entities.append({"id": "E0", "A": value("again")})
        reply = api.post(BATCH, {"actionType": "append", "entities": entities})
        assert reply.status == 204
        assert [(entity["id"], entity["A"]) for entity in received(api, receiver)] == [
            *((f"E{number}", number) for number in range(5)),
            ("E0", "again"),
        ]

    def test_state_is_that_of_its_update(self, api: Api, receiver: Receiver) -> None:
        for number in range(10, 30):
            assert api.patch(ATTRS, {"A": number}, options="keyValues").status == 204
        assert [entity["A"] for entity in received(api, receiver)] == list(range(10, 30))


TREE: Any = {
    "text": "foo",
    "number": 10,
    "bool": True,
    "null": None,
    "array": ["22", {"x": ["x1", "x2"], "y": 3}, ["z1", "z2"]],
    "object": {"x": {"x1": "a", "x2": "b"}, "y": ["y1", "y2"]},
}
OTHER_TREE: Any = {**TREE, "object": {"x": {"x1": "a", "x2": "b"}, "y": ["y1", "new"]}}
LIST: Any = ["", {"x": ["x1", "x2"], "y": "3"}, ["z1", "z2"]]
OTHER_LIST: Any = ["", {"x": ["x1", "new"], "y": "3"}, ["z1", "z2"]]


class TestComplexValues:
    """Objects and arrays are compared as values."""

    def test_of_an_attribute(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url))
        values = [TREE, TREE, OTHER_TREE, LIST, LIST, OTHER_LIST]
        api.create({"id": "E", "A": value(values[0], type="Json")})
        for item in [*values[1:], "foo"]:
            assert api.post(ATTRS, {"A": value(item, type="Json")}).status == 204
        assert [entity["A"]["value"] for entity in received(api, receiver)] == [
            TREE,
            OTHER_TREE,
            LIST,
            OTHER_LIST,
            "foo",
        ]

    def test_of_metadata(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url))
        values = [TREE, TREE, OTHER_TREE, LIST, LIST, OTHER_LIST]
        api.create({"id": "E", "A": value(1, metadata={"m": value(values[0])})})
        for item in [*values[1:], "foo"]:
            assert api.post(ATTRS, {"A": value(1, metadata={"m": value(item)})}).status == 204
        assert [entity["A"]["metadata"]["m"]["value"] for entity in received(api, receiver)] == [
            TREE,
            OTHER_TREE,
            LIST,
            OTHER_LIST,
            "foo",
        ]

    def test_one_and_true_differ_at_any_depth(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url, notification=SHORT))
        for item in ([[1]], [[True]], [[1]], [[1.0]], [[0]], [[False]]):
            api.post("/v2/entities", {"id": "E", "A": value(item)}, options="upsert")
        notified = [entity["A"] for entity in received(api, receiver)]
        assert [str(item) for item in notified] == [
            "[[1]]",
            "[[True]]",
            "[[1]]",
            "[[0]]",
            "[[False]]",
        ]

    def test_geojson(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url))
        for coordinates in ([10.2, 10.0], [10.2, 10.0], [11.2, -10.0]):
            place = {"type": "Point", "coordinates": coordinates}
            reply = api.post(
                "/v2/entities",
                {"id": "E", "A": value(place, type="geo:json")},
                options="upsert",
            )
            assert reply.status == 204
        notified = [entity["A"]["value"]["coordinates"] for entity in received(api, receiver)]
        assert notified == [[10.2, 10], [11.2, -10]]


class TestMetadata:
    """Metadata are part of what changes, and of what is notified."""

    def test_life_of_metadata(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url))
        api.create({"id": "E", "A": value("foo", metadata={"m": value(1)})})
        override = {"options": "overrideMetadata"}
        api.patch(ATTRS, {"A": value("foo")})  # silent: metadata stay
        api.patch(ATTRS, {"A": value("foo", metadata={"n": value(2)})})
        api.patch(ATTRS, {"A": value("foo", metadata={"m": value(1), "n": value(2)})})  # silent
        api.patch(ATTRS, {"A": value("foo", metadata={"n": value(2, type="Count")})})
        api.patch(ATTRS, {"A": value("foo", metadata={"o": value(3)})}, **override)
        api.patch(ATTRS, {"A": value("foo", metadata={})})
        api.patch(ATTRS, {"A": value("bar")}, **override)
        m, n, o = ({"type": "Number", "value": number} for number in (1, 2, 3))
        assert [
            (entity["A"]["value"], entity["A"]["metadata"]) for entity in received(api, receiver)
        ] == [
            ("foo", {"m": m}),
            ("foo", {"m": m, "n": n}),
            ("foo", {"m": m, "n": {"type": "Count", "value": 2}}),
            ("foo", {"o": o}),
            ("foo", {}),
            ("bar", {}),
        ]


class TestMessage:
    def test_whole(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url))
        entity = {
            "id": "Room1",
            "type": "Room",
            "temperature": {
                "type": "Float",
                "value": 23.5,
                "metadata": {"accuracy": {"type": "Number", "value": 0.8}},
            },
            "name": {"type": "Text", "value": "Größe 5 ✓", "metadata": {}},
            "big": {"type": "Number", "value": 9007199254740991, "metadata": {}},
            "tiny": {"type": "Number", "value": 1e-7, "metadata": {}},
            "free": {"type": "Boolean", "value": False, "metadata": {}},
            "nothing": {"type": "None", "value": None, "metadata": {}},
            "list": {"type": "StructuredValue", "value": [1, "x", None, {}], "metadata": {}},
            "tree": {"type": "StructuredValue", "value": {"a": {"b": []}}, "metadata": {}},
            "when": {"type": "DateTime", "value": "2020-01-02T03:04:05.000Z", "metadata": {}},
        }
        api.create(entity)
        delivery = receiver.next()
        assert (delivery.method, delivery.path) == ("POST", "/notify")
        assert delivery.json == {"subscriptionId": subscription_id, "data": [entity]}
        assert list(delivery.data[0]) == list(entity)

    def test_values_are_notified_in_their_normal_form(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url, notification=SHORT))
        place = {"type": "Point", "coordinates": [1, 2]}
        feature = {"type": "Feature", "properties": {}, "geometry": place}
        api.create(
            {
                "id": "E",
                "when": value("2020-01-02T03:04:05+01:00", type="DateTime"),
                "place": value(feature, type="geo:json"),
            }
        )
        assert received(api, receiver) == [
            {
                "id": "E",
                "type": "Thing",
                "when": "2020-01-02T02:04:05.000Z",
                "place": place,
            }
        ]

    def test_every_subscription_gets_its_own(self, api: Api, receiver: Receiver) -> None:
        names = ["A", "B", "C", "D"]
        ids = [
            api.subscribe(document(receiver.url, notification={"attrs": [name], **SHORT}))
            for name in names
        ]
        api.create({"id": "E", "A": 1, "B": 2, "C": 3, "D": 4}, options="keyValues")
        messages = [delivery.json for delivery in receiver.take_until_fence(api)]
        # In the order in which the subscriptions were made.
        assert messages == [
            {
                "subscriptionId": subscription_id,
                "data": [{"id": "E", "type": "Thing", name: number}],
            }
            for number, (subscription_id, name) in enumerate(zip(ids, names, strict=True), 1)
        ]

    def test_metadata_filters_do_not_touch_each_other(self, api: Api, receiver: Receiver) -> None:
        for name in "mn":
            api.subscribe(document(receiver.url, notification={"metadata": [name]}))
        api.subscribe(document(receiver.url))
        metadata = {name: {"type": "Number", "value": 1} for name in "mn"}
        api.create({"id": "E", "A": value(1, metadata=metadata)})
        assert [entity["A"]["metadata"] for entity in received(api, receiver)] == [
            {"m": metadata["m"]},
            {"n": metadata["n"]},
            metadata,
        ]

    def test_url_path_and_query_are_kept(self, api: Api, receiver: Receiver) -> None:
        url = f"http://localhost:{receiver.port}/a%20b/c?d&e"
        api.subscribe(document(url))
        api.create({"id": "E", "A": value(1)})
        delivery = receiver.next()
        assert delivery.path == "/a%20b/c?d&e"
        assert delivery.headers["Host"] == f"localhost:{receiver.port}"

    def test_large_entity(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url))
        text = "x" * 900_000
        api.create({"id": "E", "A": value(text)})
        assert receiver.next().data[0]["A"]["value"] == text


def test_subscribing_does_not_notify_what_exists(api: Api, receiver: Receiver) -> None:
    api.create({"id": "E", "A": value(1)})
    subscription_id = api.subscribe(document(receiver.url))
    assert api.patch(f"/v2/subscriptions/{subscription_id}", {"throttling": 0}).status == 204
    assert received(api, receiver) == []
    assert "timesSent" not in show(api, subscription_id)["notification"]
