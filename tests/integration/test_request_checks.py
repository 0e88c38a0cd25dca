"""What holds for every request: URLs, methods, parameters, media types, replies.

Source: Orion API, sections "General syntax restrictions", "MIME Types", "Error Responses";
Orion's cases for issues 0672, 0967, 1426, 1805, 1887, 2128 and 2955; RFC 9110. The bodies of
requests: test_request_bodies.
"""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

NOT_FOUND = (404, "NotFound", "The requested entity has not been found. Check type and id")
METHOD_NOT_ALLOWED = (405, "MethodNotAllowed", "method not allowed")
NO_LENGTH = (411, "ContentLengthRequired", "Zero/No Content-Length in PUT/POST/PATCH request")


def bad(description: str) -> tuple[int, str, str]:
    """The refusal of a bad request."""
    return 400, "BadRequest", description


NO_SERVICE = bad("Service not found. Check your URL as probably it is wrong.")

# Every resource that clients of entities use, with the methods it has, in Orion's order.
RESOURCES = {
    "/v2/entities": "POST, GET",
    "/v2/entities/E": "GET, DELETE",
    "/v2/entities/E/attrs": "GET, PATCH, POST, PUT",
    "/v2/entities/E/attrs/A": "GET, PUT, DELETE",
    "/v2/entities/E/attrs/A/value": "GET, PUT",
    "/v2/types": "GET",
    "/v2/types/T": "GET",
    "/v2/op/update": "POST",
    "/v2/op/query": "POST",
    "/v2/op/notify": "POST",
    "/v2/registrations": "POST, GET",
    "/v2/registrations/5aeb0ee97d4ef10a12a0262f": "GET, DELETE, PATCH",
    "/version": "GET",
}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class TestUrls:
    @pytest.mark.parametrize(
        "path",
        [
            "/v2/foo",
            "/v2/entities/E/foo",
            "/v2/entities/E/attrs/A/foo",
            "/v2/entities/E/attrs/A/value/foo",
            "/v2/types/T/foo",
            "/v2/op",
            "/v2/op/foo",
            "/v2/op/update/foo",
            "/v3/entities",
            "/foo",
            "/V2/entities",
            "/v2/Entities",
            "/v2/entities/E/Attrs",
            # Levels without a name.
            "/v2//",
            "/v2//entities",
            "/v2/entities///",
            "/v2/entities/E//",
            "/v2/entities/E//attrs/A/value",
            "/v2/entities/E/attrs///",
            "/v2/entities/E/attrs/A//",
            "/v2/entities/E/attrs/A/value//",
            "/v2/types/T//",
            "/v2/op/query//",
        ],
    )
    def test_unknown(self, api: Api, path: str) -> None:
        for method in ("GET", "DELETE"):
            assert api.request(method, path).refusal == NO_SERVICE
        assert api.post(path, {"id": "E"}).refusal == NO_SERVICE

    def test_browsers_find_no_page(self, api: Api) -> None:
        assert api.get("/").refusal == bad(
            "The Orion Context Broker is a REST service, not a &#39;web page&#39;"
        )

    @pytest.mark.parametrize(
        ("path", "description"),
        [
            ("/v2/entities//", "entity id length: 0, min length supported: 1"),
            ("/v2/entities//attrs", "entity id length: 0, min length supported: 1"),
            ("/v2/entities/E/attrs//", "attribute name length: 0, min length supported: 1"),
            ("/v2/entities/E/attrs//value", "attribute name length: 0, min length supported: 1"),
            ("/v2/types//", "entity type length: 0, min length supported: 1"),
        ],
    )
    def test_names_of_no_length(self, api: Api, path: str, description: str) -> None:
        assert api.get(path).refusal == bad(description)

    @pytest.mark.parametrize("path", ["/v2/entities", "/v2/entities/E", "/v2/entities/E/attrs"])
    def test_one_slash_at_the_end_does_no_harm(self, api: Api, path: str) -> None:
        api.create({"id": "E", "A": {"value": 1}})
        assert api.get(f"{path}/").json == api.get(path).json

    @pytest.mark.parametrize("character", "<>\"'=;()")
    def test_forbidden_characters(self, api: Api, character: str) -> None:
        encoded = f"%{ord(character):02X}"
        for text in (character, encoded):
            for path in (
                f"/v2/entities/E{text}",
                f"/v2/entities/E{text}/attrs",
                f"/v2/entities/E/attrs/A{text}",
                f"/v2/entities/E/attrs/A{text}/value",
                f"/v2/types/T{text}",
            ):
                assert api.get(path).refusal == bad("invalid character in URI")
            reply = api.put(f"/v2/entities/E/attrs/A{text}", {"value": 1})
            assert reply.refusal == bad("invalid character in URI")
            assert api.delete(f"/v2/entities/E{text}").refusal == bad("invalid character in URI")

    @pytest.mark.parametrize("encoded", ["%20", "%09", "%00", "%26", "%3F", "%C3%B1", "%7F"])
    def test_no_identifiers(self, api: Api, encoded: str) -> None:
        for path in (f"/v2/entities/E{encoded}", f"/v2/entities/E/attrs/A{encoded}"):
            assert api.get(path).refusal == bad("invalid character in URI")

    def test_what_the_url_of_an_attribute_is_for(self, api: Api) -> None:
        # An attribute called value has a value, too.
        api.create({"id": "attrs", "value": {"value": "x"}})
        assert api.get("/v2/entities/attrs/attrs/value/value").text == '"x"'
        assert api.get("/v2/entities/attrs/attrs/value").json["value"] == "x"

    def test_long_list_of_ids(self, api: Api) -> None:
        # Orion takes some 60 KB of URL and headers (its -connectionMemory).
        names = [f"urn:ngsi:Room:{number:04}" for number in range(1000)]
        entities = [{"id": name} for name in names]
        api.post("/v2/op/update", {"actionType": "append", "entities": entities})
        reply = api.get("/v2/entities", id=",".join(names), limit=1000)
        assert [entity["id"] for entity in reply.json] == names

    def test_absurd_length(self, api: Api) -> None:
        """Refused, without a look behind the scenes, and the broker lives on."""
        for request in (
            b"GET /v2/entities?q=" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: broker\r\n\r\n",
            b"GET /v2/entities HTTP/1.1\r\nHost: broker\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        ):
            try:
                reply = api.send_bytes(request)
            except ConnectionError:
                continue  # cut off before it was all sent
            assert 400 <= reply.status < 500
            assert "Server" not in reply.headers
            assert sorted(reply.json) == ["description", "error"]
            assert "byte" not in reply.json["description"].replace("bytes", "")
        assert api.get("/v2/entities").status == 200

    def test_host_in_the_request_line(self, api: Api) -> None:
        request = b"GET http://broker/v2/entities/E HTTP/1.1\r\nHost: broker\r\n\r\n"
        assert api.send_bytes(request).refusal == NOT_FOUND


class TestMethods:
    @pytest.mark.parametrize("path", RESOURCES)
    def test_those_a_resource_does_not_have(self, api: Api, path: str) -> None:
        allowed = RESOURCES[path]
        for method in METHODS:
            if method in allowed.split(", "):
                continue
            if method in ("POST", "PUT", "PATCH"):
                reply = api.request(method, path, {"a": 1})
                assert api.request(method, path).refusal == NO_LENGTH
            else:
                reply = api.request(method, path)
            assert reply.refusal == METHOD_NOT_ALLOWED, method
            assert reply.headers["Allow"] == allowed

    def test_those_nobody_has(self, api: Api) -> None:
        # Orion's cases ask with invented verbs.
        for path, allowed in RESOURCES.items():
            reply = api.request("BADVERB", path)
            assert reply.refusal == METHOD_NOT_ALLOWED
            assert reply.headers["Allow"] == allowed

    def test_no_cors_unless_asked_for(self, api: Api) -> None:
        headers = {"Origin": "http://example.org", "Access-Control-Request-Method": "GET"}
        reply = api.request("OPTIONS", "/v2/entities", headers=headers)
        assert reply.refusal == METHOD_NOT_ALLOWED
        reply = api.get("/v2/entities", headers=headers)
        assert "Access-Control-Allow-Origin" not in reply.headers


class TestParameters:
    @pytest.mark.parametrize("query", ["a", "a=", "id=", "attrs=", "options=", "limit=1&type="])
    def test_empty(self, api: Api, query: str) -> None:
        name = query.split("&")[-1].rstrip("=")
        description = f"Empty right-hand-side for URI param /{name}/"
        assert api.get(f"/v2/entities?{query}").refusal == bad(description)
        assert api.get(f"/v2/entities/E?{query}").refusal == bad(description)

    def test_html_is_escaped_in_errors(self, api: Api) -> None:
        reply = api.get('/v2/entities?foo"')
        assert reply.text == (
            '{"error":"BadRequest","description":"Empty right-hand-side for URI param /foo&quot;/"}'
        )
        reply = api.get("/v2/entities?%3Cb%3E")
        assert reply.json["description"].endswith("/&lt;b&gt;/")

    @pytest.mark.parametrize("character", "<>\"'=;()")
    def test_forbidden_characters(self, api: Api, character: str) -> None:
        expected = bad("invalid character in URI parameter")
        for name in ("foo", "id", "type", "attrs", "metadata", "orderBy"):
            assert api.get("/v2/entities", **{name: f"a{character}"}).refusal == expected
            reply = api.get(f"/v2/entities/E?{name}=a%{ord(character):02X}")
            assert reply.refusal == expected
        assert api.get("/v2/entities/E", q=f"a=={character}").refusal == NOT_FOUND

    def test_unknown_ones_are_passed_over(self, api: Api) -> None:
        api.create({"id": "E"}, foo="bar")
        assert len(api.get("/v2/entities", foo="bar", x="1").json) == 1

    @pytest.mark.parametrize("options", ["foo", "count,foo", "Count", ",", "upsert;count"])
    def test_unknown_options(self, api: Api, options: str) -> None:
        for reply in (
            api.get("/v2/entities", options=options),
            api.get("/v2/entities/E", options=options),
            api.post("/v2/entities", {"id": "E"}, options=options),
            api.patch("/v2/entities/E/attrs", {"A": {}}, options=options),
            api.post("/v2/op/query", {"entities": []}, options=options),
        ):
            status, error, description = reply.refusal
            assert (status, error) == (400, "BadRequest")
            if ";" not in options:
                assert description == "Invalid value for URI param /options/"
        assert api.get("/v2/entities").json == []


class TestAccept:
    @pytest.mark.parametrize(
        "accept",
        [
            "*/*",
            "application/json",
            "application/*",
            "text/html, application/json;q=0.9, */*;q=0.1",
            "text/plain, application/json",
            "application/json; q=0.5",
            "application/json;q=1;ext=1",
        ],
    )
    def test_json_is_taken(self, api: Api, accept: str) -> None:
        reply = api.get("/v2/entities", headers={"Accept": accept})
        assert (reply.status, reply.json) == (200, [])

    @pytest.mark.parametrize(
        ("accept", "refusal"),
        [
            ("text/html", (406, "NotAcceptable", "no acceptable mime-type in accept header")),
            (
                "image/png, audio/*",
                (406, "NotAcceptable", "no acceptable mime-type in accept header"),
            ),
            ("text/plain", (406, "NotAcceptable", "acceptable MIME types: application/json")),
            ("text/*", (406, "NotAcceptable", "acceptable MIME types: application/json")),
            ("", bad("empty accept header")),
            ("application/json;x=1", bad("q missing in accept header")),
            ("application/json;q", bad("missing equal-sign after q in accept header")),
            ("application/json;q=", bad("qvalue in accept header is missing")),
            ("application/json;q=a", bad("qvalue in accept header is not a number")),
        ],
    )
    def test_refused(self, api: Api, accept: str, refusal: tuple[int, str, str]) -> None:
        headers = {"Accept": accept}
        for reply in (
            api.get("/v2/entities", headers=headers),
            api.post("/v2/entities", {"id": "E"}, headers=headers),
        ):
            payload = json.loads(reply.text)
            assert (reply.status, payload["error"], payload["description"]) == refusal
        assert api.get("/v2/entities").json == []


class TestContentType:
    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "application/json; charset=utf-8", "application/json ;"],
    )
    def test_json(self, api: Api, content_type: str) -> None:
        assert api.post("/v2/entities", {"id": "E"}, content_type=content_type).status == 201

    @pytest.mark.parametrize(
        "content_type",
        [
            "application/xml",
            "text/html",
            "application/ld+json",
            "application/x-www-form-urlencoded",
            "application/jsonx",
            "json",
        ],
    )
    def test_others(self, api: Api, content_type: str) -> None:
        refusal = (415, "UnsupportedMediaType", f"not supported content type: {content_type}")
        for method, path in [
            ("POST", "/v2/entities"),
            ("PATCH", "/v2/entities/E/attrs"),
            ("PUT", "/v2/entities/E/attrs/A/value"),
            ("POST", "/v2/op/update"),
            ("POST", "/v2/registrations"),
        ]:
            reply = api.request(method, path, {"id": "E"}, content_type=content_type)
            assert reply.refusal == refusal
        assert api.get("/v2/entities").json == []

    def test_text_is_for_values_only(self, api: Api) -> None:
        refusal = (415, "UnsupportedMediaType", "not supported content type: text/plain")
        for method, path in [
            ("POST", "/v2/entities"),
            ("POST", "/v2/entities/E/attrs"),
            ("PATCH", "/v2/entities/E/attrs"),
            ("PUT", "/v2/entities/E/attrs"),
            ("PUT", "/v2/entities/E/attrs/A"),
            ("POST", "/v2/op/update"),
            ("POST", "/v2/op/query"),
            ("POST", "/v2/op/notify"),
            ("POST", "/v2/registrations"),
        ]:
            reply = api.request(method, path, {"id": "E"}, content_type="text/plain")
            assert reply.refusal == refusal

    def test_missing(self, api: Api) -> None:
        reply = api.post("/v2/entities", {"id": "E"}, content_type=None)
        assert reply.refusal == (
            415,
            "UnsupportedMediaType",
            "Content-Type header not used, default application/octet-stream is not supported",
        )

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_where_there_is_no_body(self, api: Api, method: str) -> None:
        api.create({"id": "E"})
        headers = {"Content-Type": "application/json"}
        reply = api.request(method, "/v2/entities/E", headers=headers)
        assert reply.refusal == bad(
            "Orion accepts no payload for GET/DELETE requests. "
            "HTTP header Content-Type is thus forbidden"
        )
        assert api.get("/v2/entities/E").status == 200


class TestReplies:
    def test_correlator(self, api: Api) -> None:
        given = api.get("/v2/entities", headers={"Fiware-Correlator": "abc-123"})
        assert given.headers["Fiware-Correlator"] == "abc-123"
        refused = api.get("/v2/foo", headers={"Fiware-Correlator": "abc-124"})
        assert refused.headers["Fiware-Correlator"] == "abc-124"
        made = [api.get("/v2/entities").headers["Fiware-Correlator"] for _ in range(2)]
        assert made[0] != made[1]
        assert all(len(correlator) == 36 for correlator in made)

    def test_no_trace_of_the_implementation(self, api: Api) -> None:
        for reply in (
            api.post("/v2/entities", b"{"),
            api.get("/v2/foo"),
            api.get("/v2/entities", q="A=="),
        ):
            assert "Traceback" not in reply.text
            assert "Server" not in reply.headers

    def test_connection_stays_open_after_errors(self, api: Api) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", api.broker.port, timeout=30)
        with closing(connection):
            connection.connect()
            local = connection.sock.getsockname()
            for method, path, body in [
                ("GET", "/v2/foo", None),
                ("GET", "/v2/entities/E%3C", None),
                ("POST", "/v2/entities", b"{"),
                ("POST", "/v2/entities", b""),
                ("PATCH", "/v2/entities", b"{}"),
                ("GET", "/v2/entities", None),
            ]:
                headers = {"Content-Type": "application/json"} if body else {}
                connection.request(method, path, body, headers)
                connection.getresponse().read()
                assert connection.sock is not None
                assert connection.sock.getsockname() == local

    def test_pipelined_requests_are_answered_in_order(self, api: Api) -> None:
        requests = b"".join(
            b"GET /v2/entities/E%d HTTP/1.1\r\nHost: broker\r\nFiware-Correlator: c%d\r\n\r\n"
            % (n, n)
            for n in range(50)
        )
        with socket.create_connection(("127.0.0.1", api.broker.port), timeout=30) as connection:
            connection.sendall(requests)
            stream = connection.makefile("rb")
            seen: list[bytes] = []
            while len(seen) < 50:
                line = stream.readline()
                assert line, "closed early"
                if line.lower().startswith(b"fiware-correlator:"):
                    seen.append(line.split(b":")[1].strip())
            stream.close()
        assert seen == [b"c%d" % n for n in range(50)]


class TestAdministration:
    def test_version(self, api: Api) -> None:
        orion = api.get("/version").json["orion"]
        assert orion["version"] == "4.7.0"
        assert {"uptime", "git_hash", "compile_time", "compiled_by", "compiled_in"} <= set(orion)
        assert {"release_date", "machine", "doc"} <= set(orion)

    def test_ready(self, api: Api) -> None:
        assert api.get("/ready").status == 200

    def test_metrics(self, api: Api) -> None:
        api.create({"id": "E"})
        reply = api.get("/metrics")
        assert reply.status == 200
        assert reply.headers["Content-Type"].startswith("text/plain")
        assert "entities" in reply.text
