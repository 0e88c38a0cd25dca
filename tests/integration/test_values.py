"""Attribute values: by their own URL, in JSON and text, and which values there are.

Source: Orion API, sections "Attribute Value", "General syntax restrictions", "Special
Attribute Types", "Special Metadata Types"; texts of errors and the media types of replies from
Orion's functional cases. Values of type DateTime: test_dates.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

UNKNOWN_TYPE = (400, "BadRequest", "attribute value type not recognized")
FORBIDDEN = (400, "BadRequest", "Invalid characters in attribute value")
PARSE_ERROR = (400, "ParseError", "Errors found in incoming JSON buffer")
WRONG_DATE = (400, "BadRequest", "date has invalid format in attribute value")
TOO_DEEP = (
    400,
    "ParseError",
    "attribute or metadata value has overpassed maximum nesting limit: 50",
)


def put_text(api: Api, text: str | bytes) -> Any:
    """The reply to PUT of a value as text."""
    body = text if isinstance(text, bytes) else text.encode()
    return api.put("/v2/entities/E/attrs/A/value", body, content_type="text/plain")


def get_value(api: Api) -> Any:
    """The value of attribute A of entity E."""
    return api.get("/v2/entities/E", options="keyValues").json["A"]


def nest(levels: int) -> Any:
    """Objects and arrays in turn, `levels` of them."""
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"x": value}
    return value


class TestGet:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("S", '"S"'),
            ("", '""'),
            ("ñ 東京 😀", '"ñ 東京 😀"'),
            (3.14, "3.14"),
            (-7, "-7"),
            (2.0, "2"),
            (True, "true"),
            (False, "false"),
            (None, "null"),
        ],
    )
    @pytest.mark.parametrize(
        "accept",
        [
            None,
            "*/*",
            "text/plain",
            "text/*",
            "text/plain, application/json",
            "application/json, text/plain",
            "text/*;q=0.3,application/json;q=0.8",
        ],
    )
    def test_scalars_are_text(self, api: Api, value: Any, text: str, accept: str | None) -> None:
        api.create({"id": "E", "A": value}, options="keyValues")
        headers = {} if accept is None else {"Accept": accept}
        reply = api.get("/v2/entities/E/attrs/A/value", headers=headers)
        assert (reply.status, reply.text) == (200, text)
        assert reply.headers["Content-Type"].startswith("text/plain")

    @pytest.mark.parametrize("value", ["S", 1, True, None])
    def test_scalars_are_not_json(self, api: Api, value: Any) -> None:
        api.create({"id": "E", "A": value}, options="keyValues")
        reply = api.get("/v2/entities/E/attrs/A/value", headers={"Accept": "application/json"})
        assert reply.refusal == (406, "NotAcceptable", "accepted MIME types: text/plain")

    @pytest.mark.parametrize("value", [{"o1": 1, "o2": "2"}, [1, 2, 3], {}, []])
    @pytest.mark.parametrize(
        ("accept", "media_type"),
        [
            (None, "application/json"),
            ("*/*", "application/json"),
            ("application/json", "application/json"),
            ("application/*", "application/json"),
            ("application/json, text/plain", "application/json"),
            ("text/*;q=0.3,application/json;q=0.8", "application/json"),
            ("text/plain", "text/plain"),
            ("text/*", "text/plain"),
            ("text/plain, application/json", "text/plain"),
            ("text/*;q=0.3,application/json;q=0.2", "text/plain"),
        ],
    )
    def test_compounds_are_what_is_preferred(
        self, api: Api, value: Any, accept: str | None, media_type: str
    ) -> None:
        api.create({"id": "E", "A": value}, options="keyValues")
        headers = {} if accept is None else {"Accept": accept}
        reply = api.get("/v2/entities/E/attrs/A/value", headers=headers)
        assert reply.status == 200
        assert reply.text == json.dumps(value, separators=(",", ":"))
        assert reply.headers["Content-Type"].startswith(media_type)

    def test_dates_are_text_without_quotes(self, api: Api) -> None:
        # The manual wants citation marks around strings; Orion's case 1885 shows a date bare.
        date = "2035-06-15T07:21:24.238Z"
        api.create({"id": "E", "A": {"type": "DateTime", "value": date}})
        assert api.get("/v2/entities/E/attrs/A/value").text == date

    def test_errors_have_the_media_type_asked_for(self, api: Api) -> None:
        reply = api.get("/v2/entities/E/attrs/A/value", headers={"Accept": "text/plain"})
        assert reply.status == 404
        assert reply.headers["Content-Type"].startswith("text/plain")
        assert json.loads(reply.text) == {
            "error": "NotFound",
            "description": "The requested entity has not been found. Check type and id",
        }

    def test_other_media_types(self, api: Api) -> None:
        api.create({"id": "E", "A": 1}, options="keyValues")
        for accept in ("text/html", "image/png, application/xml"):
            reply = api.get("/v2/entities/E/attrs/A/value", headers={"Accept": accept})
            assert (reply.status, json.loads(reply.text)["error"]) == (406, "NotAcceptable")


@pytest.fixture
def entity(api: Api) -> None:
    """E with the attribute A, whose type and metadata no update of a value touches."""
    api.create({"id": "E", "A": {"type": "Own", "value": 0, "metadata": {"m": {"value": 1}}}})


@pytest.mark.usefixtures("entity")
class TestPut:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ('"STRING"', "STRING"),
            ('""', ""),
            ('"12"', "12"),
            ('"true"', "true"),
            ('"a b"', "a b"),
            ('"ñ 東京"', "ñ 東京"),
            ("true", True),
            ("false", False),
            ("null", None),
            # The manual knows the small letters only, Orion's case put_attribute_value more.
            ("TRUE", True),
            ("True", True),
            ("FALSE", False),
            ("False", False),
            ("NULL", None),
            ("Null", None),
            ("123", 123),
            ("3.14", 3.14),
            ("-12.1", -12.1),
            ("3.2e2", 320),
            ("1E-3", 0.001),
            # Whatever else C's strtod takes for a decimal number.
            ("+5", 5),
            ("007", 7),
            (".5", 0.5),
            ("5.", 5),
            ("42\n", 42),
            (" 42 ", 42),
        ],
    )
    def test_text(self, api: Api, text: str, value: Any) -> None:
        reply = put_text(api, text)
        assert (reply.status, reply.text) == (204, "")
        expected = {
            "type": "Own",
            "value": value,
            "metadata": {"m": {"type": "Number", "value": 1}},
        }
        got = api.get("/v2/entities/E/attrs/A").json
        assert got == expected
        assert type(got["value"]) is type(value)

    @pytest.mark.parametrize(
        ("text", "refusal"),
        [
            ("a.14", UNKNOWN_TYPE),
            ("word", UNKNOWN_TYPE),
            ("1,5", UNKNOWN_TYPE),
            ("1 2", UNKNOWN_TYPE),
            ("--1", UNKNOWN_TYPE),
            ("tRUE", UNKNOWN_TYPE),
            ("nan", UNKNOWN_TYPE),
            ("inf", UNKNOWN_TYPE),
            ("-Infinity", UNKNOWN_TYPE),
            ("1e999", UNKNOWN_TYPE),
            ("{}", UNKNOWN_TYPE),
            ("[1]", UNKNOWN_TYPE),
            (" ", UNKNOWN_TYPE),
            ("\x00", UNKNOWN_TYPE),
            (b"\xff\xfe", UNKNOWN_TYPE),
            ('"', (400, "BadRequest", "Missing citation-mark at end of string")),
            ('"open', (400, "BadRequest", "Missing citation-mark at end of string")),
            ('"a(b)"', FORBIDDEN),
            ('"a"b"', FORBIDDEN),
            ('"a\'b"', FORBIDDEN),
        ],
    )
    def test_refused_text(self, api: Api, text: str | bytes, refusal: tuple[int, str, str]) -> None:
        assert put_text(api, text).refusal == refusal
        assert get_value(api) == 0

    @pytest.mark.parametrize(
        "value", [{"a": "1", "b": 2}, ["a", None, {"x": []}], {}, [], {"value": 3, "type": 3}]
    )
    def test_json(self, api: Api, value: Any) -> None:
        reply = api.put("/v2/entities/E/attrs/A/value", value)
        assert (reply.status, reply.text) == (204, "")
        assert api.get("/v2/entities/E/attrs/A").json == {
            "type": "Own",
            "value": value,
            "metadata": {"m": {"type": "Number", "value": 1}},
        }

    def test_metadata_stays_though_overridden(self, api: Api) -> None:
        api.put("/v2/entities/E/attrs/A/value", [1], options="overrideMetadata")
        assert api.get("/v2/entities/E/attrs/A").json["metadata"] == {
            "m": {"type": "Number", "value": 1}
        }

    @pytest.mark.parametrize("body", [b"12", b'"text"', b"true", b"null"])
    def test_json_scalars_are_refused(self, api: Api, body: bytes) -> None:
        reply = api.put("/v2/entities/E/attrs/A/value", body)
        assert reply.refusal == (
            400,
            "BadRequest",
            "Neither JSON Object nor JSON Array for attribute::value",
        )
        assert get_value(api) == 0

    @pytest.mark.parametrize("body", [b'{ "A1" }', b"{", b"[1,]", b"nothing"])
    def test_no_json(self, api: Api, body: bytes) -> None:
        assert api.put("/v2/entities/E/attrs/A/value", body).refusal == PARSE_ERROR
        assert get_value(api) == 0

    def test_forbidden_characters_at_any_depth(self, api: Api) -> None:
        for value in ({"x": "a(7)"}, ["ok", "<"], {"x": [{"y": "="}]}):
            assert api.put("/v2/entities/E/attrs/A/value", value).refusal == FORBIDDEN
        assert get_value(api) == 0

    def test_a_date_stays_a_date(self, api: Api) -> None:
        api.put("/v2/entities/E/attrs/A", {"type": "DateTime", "value": "2030-01-01"})
        assert put_text(api, '"2031-02-03T04:05:06+02:00"').status == 204
        assert get_value(api) == "2031-02-03T02:05:06.000Z"
        assert put_text(api, '"foo"').refusal == WRONG_DATE
        assert put_text(api, "5").refusal == WRONG_DATE
        assert api.put("/v2/entities/E/attrs/A/value", [1]).refusal == WRONG_DATE
        assert get_value(api) == "2031-02-03T02:05:06.000Z"
        assert put_text(api, "null").status == 204
        assert get_value(api) is None


class TestNumbers:
    @pytest.mark.parametrize(
        ("sent", "shown"),
        [
            ("0", "0"),
            ("-0.0", "0"),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("2147483648", "2147483648"),
            ("9007199254740993", "9007199254740993"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("2523232323232323", "2523232323232323"),
            ("0.1", "0.1"),
            ("-42.5124478", "-42.5124478"),
            ("0.000000001", "0.000000001"),
            ("1.79e308", "1.79e308"),
            ("-1.7976931348623157e308", "-1.7976931348623157e308"),
        ],
    )
    def test_numbers_come_back_as_they_are(self, api: Api, sent: str, shown: str) -> None:
        body = f'{{"id":"E","A":{{"value":{sent},"metadata":{{"m":{{"value":[{sent}]}}}}}}}}'
        assert api.post("/v2/entities", body.encode()).status == 201
        attribute = api.get("/v2/entities/E/attrs/A").json
        expected = json.loads(shown)
        assert attribute["value"] == expected
        assert attribute["metadata"]["m"]["value"] == [expected]
        assert type(attribute["value"]) is type(expected)

    @pytest.mark.parametrize(
        "sent", ["1e309", "-1e309", "Infinity", "NaN", "1.", ".5", "+1", "0x1"]
    )
    def test_no_json_numbers(self, api: Api, sent: str) -> None:
        body = f'{{"id":"E","A":{{"value":{sent}}}}}'
        assert api.post("/v2/entities", body.encode()).refusal == PARSE_ERROR

    def test_one_is_not_true(self, api: Api) -> None:
        api.create({"id": "E", "A": [1, 0, True, False, None, ""]}, options="keyValues")
        assert json.dumps(get_value(api)) == '[1, 0, true, false, null, ""]'
        api.patch("/v2/entities/E/attrs", {"A": [True, False, 1, 0, None, ""]}, options="keyValues")
        assert json.dumps(get_value(api)) == '[true, false, 1, 0, null, ""]'


class TestText:
    @pytest.mark.parametrize(
        "text",
        [
            "ñandú",
            "東京",
            "😀",
            "a\tb\nc",
            "\x01\x1f\x7f",
            "\u2028",
            "back\\slash",
            "a/b?c#d&e",
            " ",
        ],
    )
    def test_unicode_comes_back_as_it_is(self, api: Api, text: str) -> None:
        document = {
            "id": "E",
            "type": "T",
            "A": {
                "type": "Text",
                "value": text,
                "metadata": {"m": {"type": "Text", "value": text}},
            },
        }
        api.create(document)
        assert api.get("/v2/entities/E").json == document
        body = json.dumps(document | {"id": "F"}).encode()  # escaped as \uXXXX
        assert api.post("/v2/entities", body).status == 201
        assert api.get("/v2/entities/F/attrs/A").json["value"] == text

    @pytest.mark.parametrize("character", "<>\"'=;()")
    def test_forbidden_characters(self, api: Api, character: str) -> None:
        text = f"a{character}b"
        for value in (text, [text], {"x": {"y": text}}):
            reply = api.post("/v2/entities", {"id": "E", "A": {"value": value}})
            assert reply.refusal == FORBIDDEN
            reply = api.post("/v2/entities", {"id": "E", "A": value}, options="keyValues")
            assert reply.refusal == FORBIDDEN
        reply = api.post("/v2/entities", {"id": "E", "A": {"metadata": {"m": {"value": text}}}})
        assert reply.refusal == (400, "BadRequest", "Invalid characters in metadata value")
        assert api.get("/v2/entities").json == []

    @pytest.mark.parametrize(
        "attribute",
        [
            {"type": "TextUnrestricted", "metadata": {}},
            {"type": "Own", "metadata": {"TextUnrestricted": {"type": "Boolean", "value": True}}},
            {
                "type": "TextUnrestricted",
                "metadata": {"TextUnrestricted": {"type": "Boolean", "value": False}},
            },
        ],
        ids=["type", "metadata", "type wins"],
    )
    def test_unrestricted_text(self, api: Api, attribute: dict[str, Any]) -> None:
        text = "<a href=\"x\">'(;)'</a>"
        values: list[Any] = [text, [text, [text]], {"(A)": text, "B": {"C": [text]}}]
        for number, value in enumerate(values):
            document = {"id": f"E{number}", "type": "T", "A": {**attribute, "value": value}}
            api.create(document)
            assert api.get(f"/v2/entities/E{number}").json == document
            reply = api.put(f"/v2/entities/E{number}/attrs/A", document["A"])
            assert reply.status == 204

    @pytest.mark.parametrize(
        "metadata",
        [
            {},
            {"TextUnrestricted": {"value": False}},
            {"TextUnrestricted": {"value": "true"}},
            {"TextUnrestricted": {"value": 1}},
            {"textUnrestricted": {"value": True}},
        ],
    )
    def test_what_lifts_no_restriction(self, api: Api, metadata: dict[str, Any]) -> None:
        api.create({"id": "E", "A": {"type": "TextUnrestricted", "value": "(x)"}})
        attribute = {"type": "Own", "value": "(y)", "metadata": metadata}
        assert api.post("/v2/entities", {"id": "F", "A": attribute}).refusal == FORBIDDEN
        # The stored type and metadata do not count, those of the request do.
        assert api.put("/v2/entities/E/attrs/A", attribute).refusal == FORBIDDEN
        assert get_value(api) == "(x)"


class TestNesting:
    """The limit is 50 levels below the value itself."""

    def test_deepest(self, api: Api) -> None:
        api.create({"id": "E", "A": {"value": nest(51), "metadata": {"m": {"value": nest(51)}}}})
        assert get_value(api) == nest(51)
        assert api.get("/v2/entities/E/attrs/A").json["metadata"]["m"]["value"] == nest(51)
        api.create({"id": "K", "A": nest(51)}, options="keyValues")

    @pytest.mark.parametrize("levels", [52, 53, 200])
    def test_too_deep(self, api: Api, levels: int) -> None:
        deep = nest(levels)
        api.create({"id": "E", "A": {"value": 1}})
        for reply in (
            api.post("/v2/entities", {"id": "F", "A": {"value": deep}}),
            api.post("/v2/entities", {"id": "F", "A": {"metadata": {"m": {"value": deep}}}}),
            api.post("/v2/entities", {"id": "F", "A": deep}, options="keyValues"),
            api.patch("/v2/entities/E/attrs", {"A": {"value": deep}}),
            api.put("/v2/entities/E/attrs/A", {"value": deep}),
            api.put("/v2/entities/E/attrs/A/value", deep),
            api.post(
                "/v2/op/update",
                {"actionType": "append", "entities": [{"id": "E", "A": {"value": deep}}]},
            ),
        ):
            assert reply.refusal == TOO_DEEP
        assert api.get("/v2/entities", options="keyValues").json == [
            {"id": "E", "type": "Thing", "A": 1}
        ]

    def test_bottomless(self, api: Api) -> None:
        # Deeper than the parser goes: refused all the same, whatever it is called.
        body = b'{"id":"E","A":{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
        status, error, _ = api.post("/v2/entities", body).refusal
        assert (status, error) == (400, "ParseError")
