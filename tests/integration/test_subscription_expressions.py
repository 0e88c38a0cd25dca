"""Expressions of subscriptions: q, mq and geographical queries, on the state after an update.

What an expression means to a subscription and to a query must be the same, so most are tried
on both. Source: Orion API, sections "subscription.subject.condition", "Simple Query Language"
and "Geographical Queries"; Orion's functional cases 0876, 1156, 1316, 1678, 2222, 2445, 2995.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.subscriptions import (
    WAIT_TIMEOUT_S,
    create,
    document,
    force_update,
    number,
    patch,
    received,
    received_ids,
    show,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver


def triggered(
    api: Api,
    receiver: Receiver,
    conditions: Mapping[str, Mapping[str, str]],
    update: Callable[[], None],
) -> set[str]:
    """The names of those expressions whose subscriptions `update` triggers."""
    names = {
        api.subscribe(document(receiver.url, condition={"expression": expression})): name
        for name, expression in conditions.items()
    }
    update()
    return {names[delivery.json["subscriptionId"]] for delivery in receiver.take_until_fence(api)}


ENTITY = {
    "id": "E",
    "type": "T",
    "n": {"value": 20},
    "f": {"value": 3.14},
    "s": {"value": "black,white"},
    "word": {"value": "testing"},
    "b": {"value": True},
    "nil": {"value": None},
    "list": {"value": ["x", 5, False]},
    "tree": {"value": {"i": 10, "s": "string", "t": True, "deep": {"x": [1, 2]}}},
    "when": {"value": "2020-06-15T10:00:00Z", "type": "DateTime"},
    "a.b": {"value": 7},
}


class TestQueries:
    """`q` over an entity with attributes of all kinds; as the query API answers, too."""

    TRUE = (
        "n",
        "n==20",
        "n:20",
        "n==20..40",
        "n==10..20",
        "n==5,20,30",
        "n!=21",
        "n!=1,2,3",
        "n!=21..30",
        "n>19",
        "n>=20",
        "n<20.5",
        "n<=20",
        "f==3.14",
        "f>3;f<4",
        "s=='black,white'",
        "s!=black,white",
        "s~=^black",
        "s~=white",
        "word==a,testing",
        "word==tess..tests",
        "word>test",
        "b==true",
        "b!=false",
        "nil==null",
        "list==5",
        "list==x",
        "list==a,x",
        "tree.i==10",
        "tree.i==9..10",
        "tree.s!=strin",
        "tree.s~=ing$",
        "tree.t:true",
        "tree.deep",
        "tree.deep.x==2",
        "!tree.none",
        "!none",
        "when==2020-06-15T10:00:00.000Z",
        "when>2020-06-15",
        "when==2020-06-01..2020-07-01",
        "when<2020-06-15T12:00:00+01:00",
        "'a.b'==7",
        "dateCreated<2049-01-01",
        "dateModified>2020-01-01",
        "n==20;f==3.14;word==testing",
        "n>10;!none;tree.i",
    )
    FALSE = (
        "none",
        "none==20",
        "none!=20",
        "none>=20",
        "!n",
        "n==21",
        "n=='20'",
        "n==21..40",
        "n==1,2",
        "n!=20",
        "n!=20,30",
        "n!=10..20",
        "n>20",
        "n<20",
        "n>=21",
        "n>text",
        "s==black",
        "s==black,white",
        "s~=^white",
        "word>20",
        "word>=20",
        "b=='true'",
        "nil!=null",
        "nil>1",
        "list==z",
        "tree==10",
        "tree.i==11",
        "tree.none==10",
        "tree.s~=fest",
        "!tree.i",
        "when>2020-06-16",
        "when!=2020-06-01..2020-07-01",
        "a.b==7",
        "dateCreated>2049-01-01",
        "n==20;f==3",
        "none;n==20",
    )

    def test_against_the_state_after_the_update(self, api: Api, receiver: Receiver) -> None:
        conditions = {q: {"q": q} for q in (*self.TRUE, *self.FALSE)}
        assert len(conditions) == len(self.TRUE) + len(self.FALSE)
        hits = triggered(api, receiver, conditions, lambda: api.create(ENTITY))
        assert sorted(hits) == sorted(self.TRUE)

    def test_the_query_api_agrees(self, api: Api) -> None:
        api.create(ENTITY)
        found = [q for q in (*self.TRUE, *self.FALSE) if api.get("/v2/entities", q=q).json]
        assert found == list(self.TRUE)

    def test_other_attributes_than_the_changed_count(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(
            document(
                receiver.url,
                condition={"attrs": ["A"], "expression": {"q": "limit>10"}},
                notification={"attrs": ["A"], "attrsFormat": "values"},
            )
        )
        create(api, A=1, limit=5)
        patch(api, A=number(2))
        patch(api, limit=number(11))  # true now, but A did not change
        patch(api, A=number(3))
        patch(api, A=number(4), limit=number(10))
        patch(api, A=number(5), limit=number(12))
        assert received(api, receiver) == [[3], [5]]

    def test_subscriptions_with_thresholds(self, api: Api, receiver: Receiver) -> None:
        names = {}
        for q in ("temp==10", "temp>10", "temp<10"):
            condition = {"attrs": ["temp"], "expression": {"q": q}}
            names[api.subscribe(document(receiver.url, condition=condition))] = q
        create(api, temp=10)
        for value in (15, 5, 10):
            patch(api, temp=number(value))
        hits = [names[d.json["subscriptionId"]] for d in receiver.take_until_fence(api)]
        assert hits == ["temp==10", "temp>10", "temp<10", "temp==10"]

    def test_date_of_modification_is_that_of_the_update(self, api: Api, receiver: Receiver) -> None:
        create(api, A=0)
        soon = datetime.now(UTC) + timedelta(seconds=0.2)
        threshold = f"{soon:%Y-%m-%dT%H:%M:%S}.{soon.microsecond // 1000:03d}Z"
        subscription_id = api.subscribe(
            document(
                receiver.url,
                condition={"expression": {"q": f"dateModified>{threshold}"}},
                notification={"attrs": ["dateModified"], "attrsFormat": "values"},
            )
        )
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while "timesSent" not in show(api, subscription_id)["notification"]:
            assert time.monotonic() < deadline
            force_update(api)
        [[modified], *_] = received(api, receiver)
        assert modified >= threshold

    def test_deleted_entity(self, api: Api, receiver: Receiver) -> None:
        condition = {"alterationTypes": ["entityDelete"], "expression": {"q": "A>1"}}
        api.subscribe(document(receiver.url, condition=condition))
        create(api, "E1", A=1)
        create(api, "E2", A=2)
        for entity_id in ("E1", "E2"):
            assert api.delete(f"/v2/entities/{entity_id}").status == 204
        assert received_ids(api, receiver) == ["E2"]


MEASURED = {
    "id": "E",
    "type": "T",
    "A": {
        "value": 1,
        "metadata": {
            "n": {"value": 0.8},
            "s": {"value": "high"},
            "b": {"value": True},
            "tree": {"value": {"i": 1, "list": ["x"]}},
            "when": {"value": "2017-06-15T07:21:24.000Z", "type": "DateTime"},
        },
    },
    "B": {"value": 2},
}


class TestMetadataQueries:
    TRUE = (
        "A.n",
        "A.n==0.8",
        "A.n<0.9;A.s==high",
        "A.n==0.5..1",
        "A.s~=^hi",
        "A.s!=low",
        "A.b==true",
        "A.tree.i",
        "A.tree.i==1",
        "!A.tree.j",
        "!A.m",
        "!B.n",
        "A.when==2016-06-16T07:21:24.000Z..2026-06-16T07:21:24.000Z",
        "A.dateCreated<2049-01-01",
        "A.dateModified>2020-01-01",
    )
    FALSE = (
        "A.m",
        "B.n",
        "Z.n",
        "!A.n",
        "A.n>0.8",
        "A.n>=high",
        "A.s==low",
        "A.m!=1",
        "A.tree.i==2",
        "A.tree.j",
        "A.when>2020-01-01",
        "A.dateCreated>2049-01-01",
        "A.n==0.8;B.n",
    )

    def test_against_the_state_after_the_update(self, api: Api, receiver: Receiver) -> None:
        conditions = {mq: {"mq": mq} for mq in (*self.TRUE, *self.FALSE)}
        hits = triggered(api, receiver, conditions, lambda: api.create(MEASURED))
        assert sorted(hits) == sorted(self.TRUE)

    def test_the_query_api_agrees(self, api: Api) -> None:
        api.create(MEASURED)
        found = [mq for mq in (*self.TRUE, *self.FALSE) if api.get("/v2/entities", mq=mq).json]
        assert found == list(self.TRUE)

    def test_together_with_q(self, api: Api, receiver: Receiver) -> None:
        conditions = {
            f"{q} {mq}": {"q": q, "mq": mq} for q in ("A==1", "A==2") for mq in ("A.n", "A.m")
        }
        hits = triggered(api, receiver, conditions, lambda: api.create(MEASURED))
        assert hits == {"A==1 A.n"}


MADRID = "40.418889,-3.691944"
NEAR_MADRID = {"georel": "near;maxDistance:100000", "geometry": "point", "coords": MADRID}
CITIES = {
    "Toledo": (39.867459, -4.035825),  # 69 km from Madrid
    "Avila": (40.674238, -4.695622),  # 85 km
    "Guadalajara": (40.634273, -3.166392),  # 52 km
    "Barcelona": (41.366656, 2.154006),  # 506 km
    "Valencia": (39.461008, -0.364853),  # 303 km
}
BOX = "39.5,-4.2;41,-3"  # around Toledo and Guadalajara


def place(city: str) -> dict[str, Any]:
    latitude, longitude = CITIES[city]
    return {
        "type": "geo:json",
        "value": {"type": "Point", "coordinates": [longitude, latitude]},
    }


class TestPlaces:
    @pytest.mark.parametrize(
        ("expression", "inside"),
        [
            (NEAR_MADRID, ["Toledo", "Avila", "Guadalajara"]),
            ({**NEAR_MADRID, "georel": "near;maxDistance:60000"}, ["Guadalajara"]),
            ({**NEAR_MADRID, "georel": "near;minDistance:310000"}, ["Barcelona"]),
            ({**NEAR_MADRID, "georel": "near;minDistance:0"}, list(CITIES)),
            (
                {**NEAR_MADRID, "georel": "near;maxDistance:310000;minDistance:80000"},
                ["Avila", "Valencia"],
            ),
            (
                {"georel": "coveredBy", "geometry": "box", "coords": BOX},
                ["Toledo", "Guadalajara"],
            ),
            (
                {"georel": "intersects", "geometry": "box", "coords": BOX},
                ["Toledo", "Guadalajara"],
            ),
            (
                {"georel": "disjoint", "geometry": "box", "coords": BOX},
                ["Avila", "Barcelona", "Valencia"],
            ),
            (
                {
                    "georel": "coveredBy",
                    "geometry": "polygon",
                    "coords": "39,-5;41,-5;41,-3.5;39,-3.5;39,-5",
                },
                ["Toledo", "Avila"],
            ),
            (
                {"georel": "equals", "geometry": "point", "coords": "39.461008,-0.364853"},
                ["Valencia"],
            ),
        ],
    )
    def test_where_entities_are(
        self, api: Api, receiver: Receiver, expression: dict[str, str], inside: list[str]
    ) -> None:
        api.subscribe(document(receiver.url, condition={"expression": expression}))
        for city in CITIES:
            api.create({"id": city, "place": place(city)})
        create(api, "Nowhere", A=1)
        assert received_ids(api, receiver) == inside
        # The query API agrees.
        assert [item["id"] for item in api.get("/v2/entities", **expression).json] == inside

    def test_moving_in_and_out(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url, condition={"expression": NEAR_MADRID}))
        api.create({"id": "E", "place": place("Barcelona"), "city": {"value": "Barcelona"}})
        for city in ("Valencia", "Avila", "Barcelona", "Guadalajara", "Toledo"):
            patch(api, place=place(city), city={"value": city})
        patch(api, city={"value": "still Toledo"})
        assert api.delete("/v2/entities/E/attrs/place").status == 204
        patch(api, city={"value": "nowhere"})
        assert [entity["city"]["value"] for entity in received(api, receiver)] == [
            "Avila",
            "Guadalajara",
            "Toledo",
            "still Toledo",
        ]

    def test_point_in_the_deprecated_form(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url, condition={"expression": NEAR_MADRID}))
        for city, (latitude, longitude) in CITIES.items():
            point = {"type": "geo:point", "value": f"{latitude}, {longitude}"}
            api.create({"id": city, "place": point})
        assert received_ids(api, receiver) == ["Toledo", "Avila", "Guadalajara"]

    def test_another_area(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(
            document(receiver.url, condition={"expression": NEAR_MADRID})
        )
        expression = {**NEAR_MADRID, "coords": "39.461008,-0.364853"}
        subject = {"entities": [{"idPattern": ".*"}], "condition": {"expression": expression}}
        reply = api.patch(f"/v2/subscriptions/{subscription_id}", {"subject": subject})
        assert reply.status == 204
        for city in CITIES:
            api.create({"id": city, "place": place(city)})
        assert received_ids(api, receiver) == ["Valencia"]

    def test_together_with_q_and_attributes(self, api: Api, receiver: Receiver) -> None:
        condition = {"attrs": ["temp"], "expression": {"q": "temp<20", **NEAR_MADRID}}
        api.subscribe(document(receiver.url, condition=condition))
        for city in CITIES:
            for temp in (30, 10):
                entity = {"id": f"{city}{temp}", "place": place(city), "temp": {"value": temp}}
                api.create(entity)
        assert received_ids(api, receiver) == ["Toledo10", "Avila10", "Guadalajara10"]
