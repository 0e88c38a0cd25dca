"""Subscriptions that are refused: every error of documents, ids and parameters, with its text.

Source: Orion API, section "Subscription payload datamodel"; texts from Orion's functional cases
(1316, 1552, 1678, 1947, 1964-1967, 1994, 2009, 2092, 2101, 2303, 3541, 3727, 3842, 4499, 4541)
and, where no case has one, from its parser.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.subscriptions import document, show

if TYPE_CHECKING:
    from tests.integration.conftest import Api

URL = "http://localhost:1234"
ENTITY = {"id": "E", "type": "T"}
BASE = document(URL, entities=[ENTITY])
NEAR = {"georel": "near;minDistance:5000", "geometry": "point", "coords": "-40.4,-3.5"}


def entities(value: Any) -> dict[str, Any]:
    return {"subject": {"entities": value}}


def selector(**fields: Any) -> dict[str, Any]:
    return entities([fields])


def condition(**fields: Any) -> dict[str, Any]:
    return {"subject": {"entities": [ENTITY], "condition": fields}}


def expression(**fields: Any) -> dict[str, Any]:
    return condition(expression=fields)


def notification(**fields: Any) -> dict[str, Any]:
    return {"notification": {"http": {"url": URL}, **fields}}


def http(**fields: Any) -> dict[str, Any]:
    return {"notification": {"http": fields}}


PARTIAL_GEO = "partial geo expression: geometry, georel and coords have to be provided together"
NO_PATTERN = "/entities/ vector item does not have /id/ nor /idPattern/"
KINDS = "http, httpCustom, mqtt, mqttCustom, kafka or kafkaCustom"
TIMEOUT = "timeout field must be an integer between 0 and 1800000"
BAD_URL = "Invalid URL parsing notification url"
COVERED = "covered true cannot be used if notification attributes list is empty"
ATTRS_FORMAT = (
    "invalid attrsFormat, accepted values: normalized, simplifiedNormalized, keyValues, "
    "simplifiedkeyValues, values"
)
BAD_DATE = "expires has an invalid format"
IN_FILTER = "forbidden characters in String Filter"

# The part that is wrong, and what the client hears; on POST and on PATCH alike.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"description": {"foo": "bar"}}, "description is not a string"),
    ({"description": "x" * 1025}, "max description length exceeded"),
    ({"description": "a<b"}, "forbidden characters in description"),
    ({"subject": 0}, "subject is not an object"),
    ({"subject": {}}, "no subject entities specified"),
    ({"subject": {"condition": {"attrs": ["A"]}}}, "no subject entities specified"),
    (entities("none"), "/entities/ is not an array"),
    (entities(ENTITY), "/entities/ is not an array"),
    (entities([]), "subject entities is empty"),
    (entities(["E"]), "/entities/ vector item is not an object"),
    (selector(), NO_PATTERN),
    (selector(type="T"), NO_PATTERN),
    (selector(id="one", idPattern="two"), "/entities/ vector item has both /id/ and /idPattern/"),
    (
        selector(id="one", type="two", typePattern="three"),
        "/entities/ element has both /type/ and /typePattern/",
    ),
    (selector(id={"x": "y"}), "/entities/ vector item /id/ is not a string"),
    (selector(id=""), "/entities/ element id is empty"),
    (selector(id="E<"), "forbidden characters in /entities/ vector item /id/"),
    (selector(id="E E"), "forbidden characters in /entities/ vector item /id/"),
    (selector(id="x" * 257), "max id length exceeded in /entities/ vector item /id/"),
    (selector(idPattern={"x": 1}), "/entities/ vector item /idPattern/ is not a string"),
    (selector(idPattern=""), "/entities/ vector item /idPattern/ is empty"),
    (selector(idPattern="*"), "Invalid regex for entity idPattern"),
    (selector(id="E", type={"x": "y"}), "/entities/ vector item type is not a string"),
    (selector(id="E", type=""), "entity type length: 0, min length supported: 1"),
    (selector(id="E", type="Ol="), "forbidden characters in /entities/ vector item /type/"),
    (selector(id="E", type="Olé"), "forbidden characters in /entities/ vector item /type/"),
    (selector(id="E", type="x" * 257), "max type length exceeded in /entities/ vector item /type/"),
    (selector(id="E", typePattern=1), "/entities/ vector item /typePattern/ is not a string"),
    (selector(id="E", typePattern=""), "/entities/ vector item /typePattern/ is empty"),
    (selector(id="E", typePattern="["), "Invalid regex for entity typePattern"),
    ({"subject": {"entities": [ENTITY], "condition": 13.3}}, "condition is not an object"),
    (condition(), "condition is empty"),
    (condition(attrs=0), "the field /attrs/ must be a JSON array"),
    (condition(attrs=[1]), "only JSON Strings allowed in string vector /attrs/"),
    (condition(attrs=["A", "B", "A"]), "duplicated item /A/ in array"),
    (condition(attrs=["A<"]), "forbidden characters in attribute name"),
    (condition(attrs=[""]), "empty string found in string vector /attrs/"),
    (condition(expression="t<3"), "expression is not an object"),
    (expression(), "expression is empty"),
    (expression(q={}), "q is not a string"),
    (expression(q=""), "q is empty"),
    (expression(q="<speed"), "empty left-hand-side in q-item"),
    (expression(q="house<flat>"), IN_FILTER),
    (expression(q="house==flat>"), IN_FILTER),
    (expression(q="house==flat,flat>"), IN_FILTER),
    (expression(q="house==flat..flat>"), IN_FILTER),
    (expression(q="house'flat'"), IN_FILTER),
    (expression(q="a==house'flat'"), IN_FILTER),
    (expression(mq=1), "mq is not a string"),
    (expression(mq=""), "mq is empty"),
    (expression(**{**NEAR, "georel": None}), "georel is not a string"),
    (expression(**{**NEAR, "georel": ""}), "georel is empty"),
    (expression(**{**NEAR, "geometry": 1.1}), "geometry is not a string"),
    (expression(**{**NEAR, "geometry": ""}), "geometry is empty"),
    (expression(**{**NEAR, "coords": [-40.4, -3.5]}), "coords is not a string"),
    (expression(**{**NEAR, "coords": ""}), "coords is empty"),
    (expression(georel="near;maxDistance:100"), PARTIAL_GEO),
    (expression(georel="near;maxDistance:100", geometry="point"), PARTIAL_GEO),
    (expression(q="A>1", geometry="point", coords="1,2"), PARTIAL_GEO),
    (
        expression(**{**NEAR, "geometry": "xxx"}),
        "error parsing geo-query fields: error parsing geometry: "
        "Invalid selector in geometry specification",
    ),
    (
        expression(**{**NEAR, "coords": "36.532787, -6.297897, -23.242"}),
        "error parsing geo-query fields: invalid point in URI param /coords/",
    ),
    (condition(alterationTypes="entityCreate"), "the field /alterationTypes/ must be a JSON array"),
    (condition(alterationTypes=["entityFoo"]), "unknown subscription alterationType: entityFoo"),
    (
        condition(alterationTypes=["entityDelete", "entityFoo"]),
        "unknown subscription alterationType: entityFoo",
    ),
    (condition(notifyOnMetadataChange="foo"), "notifyOnMetadataChange is not a bool"),
    ({"notification": [{}]}, "notification is not an object"),
    ({"notification": {}}, f"{KINDS} is missing"),
    ({"notification": {"attrs": ["A"]}}, f"{KINDS} is missing"),
    (notification(httpCustom={"url": URL}), f"only one of {KINDS} is allowed"),
    ({"notification": {"http": URL}}, "http notification is not an object"),
    (http(), "url http notification is missing"),
    (http(url={"url": URL}), "url http notification is not a string"),
    (http(url="http://localhost/<a>"), "forbidden characters in http field /url/"),
    (http(url="http://localhost/?a=b"), "forbidden characters in http field /url/"),
    (http(url="localhost 1234"), BAD_URL),
    (http(url="localhost:1234"), BAD_URL),
    (http(url=""), BAD_URL),
    (http(url="//"), BAD_URL),
    (http(url="///"), BAD_URL),
    (http(url="http:///a"), BAD_URL),
    (http(url="http://localhost:900000"), BAD_URL),
    (http(url="http://localhost:dsfsdf"), BAD_URL),
    (http(url="ftp://localhost"), BAD_URL),
    (http(url="mqtt://localhost:1883"), "mqtt URL cannot be used in http notifications"),
    (http(url="kafka://localhost:9092"), "kafka URL cannot be used in http notifications"),
    (http(url=URL, timeout=-1000), TIMEOUT),
    (http(url=URL, timeout=1_800_001), TIMEOUT),
    (http(url=URL, timeout="textvalue"), "timeout is not an int"),
    (http(url=URL, timeout=1.5), "timeout is not an int"),
    (notification(attrs="A"), "the field /attrs/ must be a JSON array"),
    (notification(attrs=[None]), "only JSON Strings allowed in string vector /attrs/"),
    (notification(attrs=["A", "A"]), "duplicated item /A/ in array"),
    (notification(attrs=["A B"]), "forbidden characters in attribute name"),
    (notification(attrs=[""]), "empty string found in string vector /attrs/"),
    (notification(attrs=["A"], exceptAttrs=["B"]), "http notification has attrs and exceptAttrs"),
    (notification(exceptAttrs="A"), "the field /exceptAttrs/ must be a JSON array"),
    (notification(exceptAttrs=[]), "http notification has exceptAttrs is empty"),
    (notification(exceptAttrs=["A", "A"]), "duplicated item /A/ in array"),
    (notification(onlyChangedAttrs="foo"), "onlyChangedAttrs is not a bool"),
    (notification(attrs=["A"], covered="foo"), "covered is not a bool"),
    (notification(covered=True), COVERED),
    (notification(attrs=[], covered=True), COVERED),
    (notification(metadata="M"), "the field /metadata/ must be a JSON array"),
    (notification(metadata=["M", "M"]), "duplicated item /M/ in array"),
    (notification(attrsFormat=1), "attrsFormat is not a string"),
    (notification(attrsFormat="unique"), ATTRS_FORMAT),
    (notification(attrsFormat="foo"), ATTRS_FORMAT),
    (notification(maxFailsLimit="foo"), "maxFailsLimit is not an int"),
    (notification(maxFailsLimit=0), "maxFailsLimit must be greater than zero"),
    (notification(maxFailsLimit=-1), "maxFailsLimit must be greater than zero"),
    ({"expires": True}, "expires is not a string"),
    ({"expires": ["1991-04-05T14:00:00.00Z"]}, "expires is not a string"),
    ({"expires": "just a string"}, BAD_DATE),
    ({"expires": "2016-04-05T14:10:0x.00Z"}, BAD_DATE),
    ({"expires": "2016-04-05T14:10:00,00Z"}, BAD_DATE),
    ({"expires": "2016-04-05T14:10:00.h00Z"}, BAD_DATE),
    ({"expires": "2016-04-05T14:10:00.,00L"}, BAD_DATE),
    ({"expires": "2022-12-21T17:16:63.00Z"}, BAD_DATE),
    ({"expires": "2022-12-21T17:65:03.00Z"}, BAD_DATE),
    ({"expires": "2022-12-21T25:16:11.00Z"}, BAD_DATE),
    ({"expires": "2022-12-34T17:16:23.00Z"}, BAD_DATE),
    ({"expires": "2022-13-21T17:16:43.00Z"}, BAD_DATE),
    ({"expires": "1899-12-21T17:16:23.00Z"}, BAD_DATE),
    ({"expires": "2100-02-29T12:16:11.00Z"}, BAD_DATE),
    ({"expires": "2025-06-31T23:59:59.00Z"}, BAD_DATE),
    ({"status": 4}, "status is not a string"),
    (
        {"status": "foobar"},
        "status is not valid: it has to be either active, inactive or oneshot",
    ),
    (
        {"status": "expired"},
        "status is not valid: it has to be either active, inactive or oneshot",
    ),
    ({"throttling": [2.5]}, "throttling is not an int"),
    ({"throttling": 2.5}, "throttling is not an int"),
    ({"throttling": "5"}, "throttling is not an int"),
    ({"throttling": True}, "throttling is not an int"),
]

REFUSED_NAMES = [json.dumps(wrong)[:80] for wrong, _ in REFUSED]


class TestDocuments:
    @pytest.mark.parametrize(("wrong", "description"), REFUSED, ids=REFUSED_NAMES)
    def test_on_create(self, api: Api, wrong: dict[str, Any], description: str) -> None:
        reply = api.post("/v2/subscriptions", {**BASE, **wrong})
        assert reply.refusal == (400, "BadRequest", description)
        assert api.get("/v2/subscriptions").json == []

    @pytest.mark.parametrize(("wrong", "description"), REFUSED, ids=REFUSED_NAMES)
    def test_on_change(self, api: Api, wrong: dict[str, Any], description: str) -> None:
        subscription_id = api.subscribe(BASE)
        before = show(api, subscription_id)
        # Valid parts beside the wrong one are not taken either.
        reply = api.patch(
            f"/v2/subscriptions/{subscription_id}",
            {"description": "changed", "throttling": 9, "status": "inactive", **wrong},
        )
        assert reply.refusal == (400, "BadRequest", description)
        assert show(api, subscription_id) == before

    @pytest.mark.parametrize(
        ("missing", "description"),
        [
            ("subject", "no subject for subscription specified"),
            ("notification", "no notification for subscription specified"),
        ],
    )
    def test_mandatory_parts(self, api: Api, missing: str, description: str) -> None:
        rest = {name: part for name, part in BASE.items() if name != missing}
        assert api.post("/v2/subscriptions", rest).refusal == (400, "BadRequest", description)

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    @pytest.mark.parametrize(
        ("body", "refusal"),
        [
            (b'"something"', (400, "ParseError", "Errors found in incoming JSON buffer")),
            (b"[]", (400, "ParseError", "Errors found in incoming JSON buffer")),
            (b'{"subject": ', (400, "ParseError", "Errors found in incoming JSON buffer")),
            (b"{}", (400, "BadRequest", "empty payload")),
        ],
    )
    def test_bodies(
        self, api: Api, method: str, body: bytes, refusal: tuple[int, str, str]
    ) -> None:
        path = "/v2/subscriptions"
        if method == "PATCH":
            path += f"/{api.subscribe(BASE)}"
        assert api.request(method, path, body).refusal == refusal

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_no_body(self, api: Api, method: str) -> None:
        path = "/v2/subscriptions"
        if method == "PATCH":
            path += f"/{api.subscribe(BASE)}"
        assert api.request(method, path, headers={"Content-Length": "0"}).refusal == (
            411,
            "ContentLengthRequired",
            "Zero/No Content-Length in PUT/POST/PATCH request",
        )

    def test_several_service_paths(self, api: Api) -> None:
        reply = api.post("/v2/subscriptions", BASE, service_path="/a,/b")
        assert reply.refusal == (
            400,
            "BadRequest",
            "max one service-path allowed for subscriptions",
        )
        assert api.get("/v2/subscriptions").json == []


class TestUrls:
    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    @pytest.mark.parametrize(
        ("subscription_id", "refusal"),
        [
            (
                "inexistentid",
                (400, "BadRequest", "Invalid subscription ID: bad length - 24 chars expected"),
            ),
            (
                "00001111222233334444555x",
                (400, "BadRequest", "Invalid subscription ID: invalid char in ID string"),
            ),
            (
                "000011112222333344445555",
                (404, "NotFound", "The requested subscription has not been found. Check id"),
            ),
        ],
    )
    def test_of_no_subscription(
        self, api: Api, method: str, subscription_id: str, refusal: tuple[int, str, str]
    ) -> None:
        path = f"/v2/subscriptions/{subscription_id}"
        reply = api.patch(path, BASE) if method == "PATCH" else api.request(method, path)
        assert reply.refusal == refusal

    @pytest.mark.parametrize(
        ("parameter", "value", "description"),
        [
            ("limit", "1001", "Bad pagination limit: /1001/ [max: 1000]"),
            ("limit", "-1", "Bad pagination limit: /-1/ [must be a positive integer number]"),
            ("limit", "x", "Bad pagination limit: /x/ [must be a positive integer number]"),
            ("offset", "-1", "Bad pagination offset: /-1/ [must be a decimal number]"),
            ("offset", "x", "Bad pagination offset: /x/ [must be a decimal number]"),
            ("options", "foo", "Invalid value for URI param /options/"),
        ],
    )
    def test_bad_parameters(self, api: Api, parameter: str, value: str, description: str) -> None:
        reply = api.get("/v2/subscriptions", **{parameter: value})
        assert reply.refusal == (400, "BadRequest", description)
