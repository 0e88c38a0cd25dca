"""FogFlow's spelling: what a document says to the model, and how the model is shown in it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from ngsi.errors import BadRequest, NgsiError, NotImplementedByBroker, ParseError
from ngsi.geometry import GeoQuery, parse_geojson
from ngsi.model import AlterationType, Attribute, Entity, UpdateAction
from ngsi.query import parse_query
from ngsi.subscription import AttrsFormat, HttpReceiver
from ngsi.v1.fogflow.elements import decode_element, render_element
from ngsi.v1.fogflow.places import from_geojson, to_geojson
from ngsi.v1.fogflow.queries import decode_query
from ngsi.v1.fogflow.restrictions import Nearby, decode_scopes, render_scopes
from ngsi.v1.fogflow.subscriptions import Subscriber, decode_subscription, make_subscription
from ngsi.v1.fogflow.updates import decode_update

_SQUARE = [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]


def _vertices(positions: list[tuple[float, float]]) -> dict[str, Any]:
    return {"vertices": [{"latitude": lat, "longitude": lon} for lat, lon in positions]}


class TestElements:
    def test_domain_metadata_are_attributes_with_a_mark(self) -> None:
        document = {
            "entityId": {"id": "a", "type": "T", "isPattern": False},
            "attributes": [{"name": "x", "type": "float", "value": 2.0}],
            "domainMetadata": [{"name": "city", "type": "string", "value": "H"}],
        }
        element = decode_element(document)
        assert (element.is_flat, element.is_pattern, element.is_empty) == (False, False, False)
        assert (element.update.id, element.update.type) == ("a", "T")
        x, city = element.update.attributes["x"], element.update.attributes["city"]
        assert (x.type, x.value, x.metadata) == ("float", 2, None)
        assert type(x.value) is int
        assert (city.type, city.value) == ("string", "H")
        assert city.metadata == {"isDomain": {"type": "Boolean", "value": True}}

    def test_dates_are_in_their_normal_form(self) -> None:
        item = {"name": "at", "type": "DateTime", "value": "2024-01-02T03:04:05+01:00"}
        update = decode_element({"entityId": {"id": "a"}, "attributes": [item]}).update
        assert update.attributes["at"].value == "2024-01-02T02:04:05.000Z"
        with pytest.raises(BadRequest):
            decode_element({"entityId": {"id": "a"}, "attributes": [{**item, "value": "soon"}]})

    @pytest.mark.parametrize(
        "document",
        [
            {"entityId": {"id": "a\u001f"}},
            {"entityId": {"id": "a(b)"}},
            {"entityId": {"id": "a" * 257}},
            {"entityId": {"id": "a"}, "attributes": [{"value": 1}]},
            {"entityId": {"id": "a"}, "attributes": [{"name": "x"}, {"name": "x"}]},
            {
                "entityId": {"id": "a"},
                "attributes": [{"name": "x"}],
                "domainMetadata": [{"name": "x"}],
            },
        ],
    )
    def test_what_cannot_be_is_refused(self, document: dict[str, Any]) -> None:
        with pytest.raises(BadRequest):
            decode_element(document)

    def test_geojson_that_nobody_looked_at_is_shown_as_it_is(self) -> None:
        mark = {"isDomain": {"type": "Boolean", "value": True}}
        for value in (None, "x", {}, {"type": "Point"}, {"type": "Point", "coordinates": [1]}):
            attribute = Attribute("geo:json", value, mark, 0.0, 0.0)
            shown = render_element("a", "T", {"p": attribute})
            assert shown["domainMetadata"] == [{"name": "p", "type": "geo:json", "value": value}]


class TestPlaces:
    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("point", {"latitude": 49.4, "longitude": -8.6}),
            ("circle", {"centerLatitude": 1, "centerLongitude": 2, "radius": 3.5}),
            ("polygon", _vertices([*_SQUARE, _SQUARE[0]])),
        ],
    )
    def test_a_place_is_geojson_and_back(self, kind: str, value: dict[str, Any]) -> None:
        geojson = to_geojson(kind, value, "it")
        parse_geojson(geojson)
        assert from_geojson(geojson) == (kind, value)

    def test_an_open_polygon_is_closed(self) -> None:
        closed = to_geojson("polygon", _vertices([*_SQUARE, _SQUARE[0]]), "it")
        assert to_geojson("polygon", _vertices(_SQUARE), "it") == closed

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("point", None),
            ("point", {"latitude": 1}),
            ("point", {"latitude": True, "longitude": 1}),
            ("point", {"latitude": 1, "longitude": 180.1}),
            ("circle", {"centerLatitude": 1, "centerLongitude": 2, "radius": -1}),
            ("polygon", _vertices(_SQUARE[:2])),
            ("polygon", {"vertices": [1, 2, 3]}),
        ],
    )
    def test_what_is_no_place_is_refused(self, kind: str, value: Any) -> None:
        with pytest.raises(BadRequest):
            to_geojson(kind, value, "it")


class TestUpdates:
    def test_update_is_append(self) -> None:
        for name in ("UPDATE", "update", "APPEND"):
            body = {"contextElements": [{"entityId": {"id": "a"}}], "updateAction": name}
            assert decode_update(orjson.dumps(body))[0] is UpdateAction.APPEND

    def test_delete_is_about_all_in_one_spelling_only(self) -> None:
        attributes = [{"name": "x"}]
        elements = [
            {"entityId": {"id": "a"}, "attributes": attributes},
            {"id": "b", "attributes": attributes},
        ]
        body = {"contextElements": elements, "updateAction": "DELETE"}
        _, (first, second) = decode_update(orjson.dumps(body))
        assert (first.is_flat, dict(first.update.attributes)) == (False, {})
        assert (second.is_flat, list(second.update.attributes)) == (True, ["x"])


class TestScopes:
    def test_filters_are_shown_as_they_were_given(self) -> None:
        for given in (
            {
                "scopeType": "circle",
                "scopeValue": {"centerLatitude": 49.5, "centerLongitude": 8.5, "radius": 10},
            },
            {"scopeType": "polygon", "scopeValue": _vertices([*_SQUARE, _SQUARE[0]])},
            {
                "scopeType": "simplegeolocation",
                "scopeValue": {"nw_Corner": "2,1", "se_Corner": "1,2"},
            },
            {"scopeType": "stringQuery", "scopeValue": "city=Heidelberg;cameraID=01"},
        ):
            restriction = decode_scopes({"scopes": [given]}, ("temp",)).restriction
            assert render_scopes(restriction.geo, restriction.q, restriction.mq) == [given]

    def test_filters_of_others_are_shown_by_orions_names(self) -> None:
        geo = GeoQuery.parse("disjoint", "polygon", "0,0;0,1;1,1;0,0")
        shown = render_scopes(geo, parse_query("a>1", "q"), parse_query("a.b==1", "mq"))
        assert [scope["scopeType"] for scope in shown] == [
            "FIWARE::Location::NGSIv2",
            "FIWARE::StringQuery",
            "FIWARE::StringQuery::Metadata",
        ]

    def test_nearby_is_about_all_entities(self) -> None:
        value = {"latitude": 1, "longitude": 2, "limit": 3}
        scopes = decode_scopes({"scopes": [{"scopeType": "nearby", "scopeValue": value}]})
        assert scopes.nearby == Nearby(1, 2, 3)

    def test_two_areas_are_too_many(self) -> None:
        box = {
            "scopeType": "simplegeolocation",
            "scopeValue": {"nw_Corner": "2,1", "se_Corner": "1,2"},
        }
        with pytest.raises(BadRequest, match="more than one area"):
            decode_scopes({"scopes": [box, box]})

    def test_a_quote_is_no_way_into_the_query(self) -> None:
        text = {"scopeType": "stringQuery", "scopeValue": "city=x'|a"}
        with pytest.raises(BadRequest):
            decode_scopes({"scopes": [text]})


class TestSubscriptions:
    _BODY = orjson.dumps({"entities": [{"id": "a"}], "reference": "http://h:1/x/"})

    def _make(self, subscriber: Subscriber) -> Any:
        return make_subscription(decode_subscription(self._BODY), subscriber, "1" * 24, "/#", 0.0)

    def test_the_format_follows_the_destination(self) -> None:
        for destination in ("", "NGSIv1", "whoever"):
            delivery = self._make(Subscriber(destination)).delivery
            assert delivery.attrs_format is AttrsFormat.FOGFLOW
            assert delivery.receiver == HttpReceiver("http://h:1/x/notifyContext")
        delivery = self._make(Subscriber("NGSIv2")).delivery
        assert delivery.attrs_format is AttrsFormat.NORMALIZED
        assert delivery.receiver == HttpReceiver("http://h:1/x/")
        with pytest.raises(NotImplementedByBroker):
            self._make(Subscriber("NGSI-LD"))

    def test_it_never_ends_and_tells_of_every_update(self) -> None:
        subscription = self._make(Subscriber(is_reliable=True, correlator="c"))
        assert subscription.expires is None
        assert AlterationType.UPDATE in subscription.condition.alteration_types
        assert (subscription.delivery.durable, subscription.originator) == (True, "c")


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b'{"entities":1}', b'{"entities":[{"id":1}]}'])
def test_what_cannot_be_read_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(ParseError):
        decode_query(body)
    with pytest.raises(NgsiError):
        decode_update(body)


def test_an_entity_matches_what_it_was_asked_for_by() -> None:
    entity = Entity("Device.1", "Car", "/", {}, 0.0, 0.0, 0)
    for item, expected in (
        ({"id": "Device.*", "isPattern": True}, True),
        ({"type": "Car", "isPattern": True}, True),
        ({"type": "Ca", "isPattern": True}, False),
        ({"type": "Ca.", "isPattern": True}, False),
        ({"type": "Ca.$", "isPattern": True}, True),
    ):
        (selector,) = decode_query(orjson.dumps({"entities": [item]})).selectors
        assert selector.matches(entity.id, entity.type) is expected, item
