"""Bodies of requests: needed, bounded, in one piece or in chunks, in UTF-8.

Source: Orion API, section "Error Responses"; known limitations of Orion (1 MB a request);
Orion's cases for issues 1305, 2761 and 3492.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from broker.launch import BrokerProcess
    from tests.integration.conftest import Api, StartBroker

MEGABYTE = 1024 * 1024
PARSE_ERROR = (400, "ParseError", "Errors found in incoming JSON buffer")
NO_LENGTH = (411, "ContentLengthRequired", "Zero/No Content-Length in PUT/POST/PATCH request")

WITH_BODY = [
    ("POST", "/v2/entities"),
    ("POST", "/v2/entities/E/attrs"),
    ("PATCH", "/v2/entities/E/attrs"),
    ("PUT", "/v2/entities/E/attrs"),
    ("PUT", "/v2/entities/E/attrs/A"),
    ("PUT", "/v2/entities/E/attrs/A/value"),
    ("POST", "/v2/op/update"),
    ("POST", "/v2/op/query"),
    ("POST", "/v2/op/notify"),
    ("POST", "/v2/registrations"),
]


def padded(size: int) -> bytes:
    """The document of the entity E, of exactly that many bytes."""
    frame = b'{"id":"E","A":{"value":"%s"}}'
    return frame % (b"x" * (size - len(frame) + 2))


class TestBodies:
    @pytest.mark.parametrize(("method", "path"), WITH_BODY)
    def test_needed(self, api: Api, method: str, path: str) -> None:
        assert api.request(method, path).refusal == NO_LENGTH
        assert api.request(method, path, b"").refusal == NO_LENGTH

    # The last, registrations, has an error of its own: see test_registrations.py.
    @pytest.mark.parametrize(("method", "path"), WITH_BODY[:-1])
    def test_no_json(self, api: Api, method: str, path: str) -> None:
        api.create({"id": "E", "A": {"value": 1}})
        assert api.request(method, path, b'{"a": ').refusal == PARSE_ERROR

    def test_largest(self, api: Api) -> None:
        body = padded(MEGABYTE)
        assert len(body) == MEGABYTE
        assert api.post("/v2/entities", body).status == 201
        assert len(api.get("/v2/entities/E/attrs/A/value").text) > MEGABYTE - 100

    def test_one_byte_more(self, api: Api) -> None:
        reply = api.post("/v2/entities", padded(MEGABYTE + 1))
        assert reply.refusal == (
            413,
            "RequestEntityTooLarge",
            f"payload size: {MEGABYTE + 1}, max size supported: {MEGABYTE}",
        )
        assert api.get("/v2/entities").json == []

    def test_refused_before_it_is_sent(self, api: Api) -> None:
        # As Orion's case: two megabytes are announced, a few bytes come.
        reply = api.send_bytes(
            b"POST /v2/entities HTTP/1.1\r\nHost: broker\r\nContent-Type: application/json\r\n"
            b'Content-Length: 2097152\r\n\r\n{"id": "E"}',
        )
        assert reply.refusal == (
            413,
            "RequestEntityTooLarge",
            f"payload size: 2097152, max size supported: {MEGABYTE}",
        )

    def test_in_chunks(self, api: Api) -> None:
        body = b'{"id":"E","A":{"value":"\xc3\xb1"}}'
        single_bytes = (body[i : i + 1] for i in range(len(body)))
        assert api.post("/v2/entities", single_bytes).status == 201
        assert api.get("/v2/entities/E/attrs/A/value").text == '"ñ"'
        assert api.put("/v2/entities/E/attrs/A/value", iter([b"[1", b",2]"])).status == 204
        assert api.get("/v2/entities/E/attrs/A/value").json == [1, 2]
        batch = b'{"actionType":"append","entities":[{"id":"F"}]}'
        assert api.post("/v2/op/update", iter([batch])).status == 204
        assert api.patch("/v2/entities/E/attrs", iter([b'{"A"', b":{}"])).refusal == PARSE_ERROR

    def test_largest_in_chunks(self, api: Api) -> None:
        body = padded(MEGABYTE)
        chunks = (body[i : i + 65536] for i in range(0, len(body), 65536))
        assert api.post("/v2/entities", chunks).status == 201

    def test_too_large_in_chunks(self, api: Api) -> None:
        body = padded(MEGABYTE + 1)
        chunks = (body[i : i + 65536] for i in range(0, len(body), 65536))
        reply = api.post("/v2/entities", chunks)
        assert reply.refusal[:2] == (413, "RequestEntityTooLarge")
        assert api.get("/v2/entities").json == []

    def test_no_body_in_chunks(self, api: Api) -> None:
        status, error, _ = api.post("/v2/entities", iter([])).refusal
        assert (status, error) in [(411, "ContentLengthRequired"), (400, "ParseError")]

    def test_other_encodings(self, api: Api) -> None:
        for encoding in ("utf-16", "latin-1"):
            body = '{"id":"E","A":{"value":"ñ"}}'.encode(encoding)
            assert api.post("/v2/entities", body).refusal == PARSE_ERROR

    def test_limit_by_setting(
        self, start_broker: StartBroker, connect: Callable[[BrokerProcess, str], Api]
    ) -> None:
        small = connect(start_broker("-inReqPayloadMaxSize", "1000"), "")
        assert small.post("/v2/entities", padded(1000)).status == 201
        assert small.put("/v2/entities/E/attrs", padded(1001)).refusal == (
            413,
            "RequestEntityTooLarge",
            "payload size: 1001, max size supported: 1000",
        )
