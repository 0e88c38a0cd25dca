"""The scanner of plain requests and the composer of replies, on bytes alone."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _native.replies import Composer, Reply
from _native.requests import CorrelatorIds, Head, Request
from _native.routes import RouteTable
from _native.scanner import FOREIGN, UNFRAMED, WAIT, Scanner

MAX_BODY: Final = 1000
TABLE: Final = RouteTable(
    [
        ("PATCH", "/things/{id}/parts", True, "patch"),
        ("GET", "/things/{id}", False, "get"),
        ("GET", "/things/{id}/parts/{name}/value", False, "value"),
        ("POST", "/batch", True, "batch"),
    ],
    MAX_BODY,
)


def request(line: str, *fields: str, body: bytes = b"") -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: h", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def scan(data: bytes) -> Request | int:
    scanner = Scanner(TABLE)
    scanner.feed(data)
    return scanner.next()


def found(data: bytes) -> Request:
    item = scan(data)
    assert isinstance(item, Request)
    return item


def test_what_a_request_says() -> None:
    item = found(
        request(
            "PATCH /things/a%3Ab/parts?options=x,y&z",
            "ACCEPT:  text/plain\t",
            "Content-type: application/json",
            "fiware-service: S",
            "Fiware-ServicePath: /a",
            "X-Auth-Token: token",
            "X-Real-IP: 10.0.0.1",
            "X-Forwarded-For: 10.0.0.2",
            "Origin: http://o",
            "Ngsiv2-AttrsFormat: values",
            "Fiware-Correlator: c",
            "User-Agent: any",
            "Connection: Keep-Alive",
            body=b'{"a":1}',
        )
    )
    assert item.method == "PATCH"
    assert item.target == "/things/a%3Ab/parts?options=x,y&z"
    assert item.path == "/things/a:b/parts"
    assert item.query == "options=x,y&z"
    assert item.captures == {"id": "a:b"}
    assert item.correlator == "c"
    assert (item.length, item.has_body, item.body) == (7, True, b'{"a":1}')
    assert item.is_plain
    assert item.route == "patch"
    head = item.head
    assert (head.accept, head.content_type) == ("text/plain", "application/json")
    assert (head.service, head.service_path, head.auth_token) == ("S", "/a", "token")
    assert (head.real_ip, head.forwarded_for) == ("10.0.0.1", "10.0.0.2")
    assert (head.origin, head.attrs_format) == ("http://o", "values")


def test_what_is_absent() -> None:
    item = found(request("GET /things/1"))
    assert (item.query, item.correlator, item.length, item.has_body) == ("", "", 0, False)
    assert item.body == b""
    assert (item.head.accept, item.head.content_type, item.head.service) == (None, None, "")
    assert found(request("GET /things/1?")).query == ""
    assert found(request("GET /things/1", "Accept:")).head.accept == ""


def test_heads_are_remembered_by_their_fields() -> None:
    fields = ("Accept: */*", "Fiware-Service: a")
    first = found(request("GET /things/1", *fields, "X-Other: 1", "Fiware-Correlator: 1")).head
    assert found(request("GET /things/2", *fields)).head is first
    assert found(request("GET /things/1", "Accept: */*")).head is not first
    assert found(request("GET /things/1", "Accept: */*", "Fiware-Service: b")).head is not first
    # A boundary between two fields is no part of either.
    moved = ("Fiware-Service: ab", "Fiware-ServicePath: c")
    other = ("Fiware-Service: a", "Fiware-ServicePath: bc")
    assert found(request("GET /things/1", *moved)).head.service == "ab"
    assert found(request("GET /things/1", *other)).head.service == "a"
    for number in range(3000):
        head = found(request("GET /things/1", f"Fiware-Service: {number}")).head
        assert head.service == str(number)
    long = "x" * 2000
    assert found(request("GET /things/1", f"X-Auth-Token: {long}")).head.auth_token == long


def test_the_last_content_type_counts() -> None:
    both = ("Content-Type: text/plain", "Content-Type: application/json")
    assert found(request("POST /batch", *both, body=b"{}")).head.content_type == "application/json"


@pytest.mark.parametrize(
    "data",
    [
        request("GET /other"),
        request("DELETE /things/1"),
        request("GET /things/1", body=b"{}"),
        request("POST /batch"),
        request("GET /things/"),
        request("GET /things/1/"),
        request("GET //things/1"),
        request("GET /things/."),
        request("GET /things/.."),
        request("GET /things/a%2Fb"),
        request("GET /things/%"),
        request("GET /things/%4"),
        request("GET /things/%zz"),
        request("GET /things/%C3%A9"),
        request("GET /things/a;b"),
        request("GET /things/a'b"),
        request("GET /things/1#part"),
        request("GET /things/1?a#part"),
        request(f"GET /things/{'x' * 1025}"),
        request("GET " + "/a" * 17),
        request("GET /things/1", "Fiware-Service: a", "Fiware-Service: b"),
        request("GET /things/1", "User-Agent: a", "User-Agent: b"),
        request("GET /things/1", "Host: other"),
        request("GET /things/1").replace(b"Host: h\r\n", b""),
        request("PATCH /things/1/parts", "Expect: 100-continue", body=b"{}"),
        request("PATCH /things/1/parts", "Content-Encoding: gzip", body=b"{}"),
        request("PATCH /things/1/parts", "Content-Range: 1", body=b"{}"),
        request("PATCH /things/1/parts", body=b"x" * (MAX_BODY + 1)),
    ],
)
def test_what_is_framed_and_foreign(data: bytes) -> None:
    scanner = Scanner(TABLE)
    following = request("GET /things/1")
    scanner.feed(data + following)
    assert scanner.next() == FOREIGN
    assert scanner.take() == data
    item = scanner.next()
    assert isinstance(item, Request)
    assert scanner.take() == following
    assert scanner.next() == WAIT


@pytest.mark.parametrize(
    "data",
    [
        b"\r\nGET /things/1 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /things/1 HTTP/1.0\r\nHost: h\r\n\r\n",
        b"GET /things/1 HTTP/1.1\nHost: h\n\n",
        b"GET  /things/1 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /things/1\r\nHost: h\r\n\r\n-----------",
        b"GET http://h/things/1 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /things/\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /things/1 HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
        b"GET /things/1 HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET /things/1 HTTP/1.1\r\nHost: a\rb\r\n\r\n",
        b"GET /things/1 HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        b"GET /things/1 HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"GET /things/1 HTTP/1.1\r\n: h\r\n\r\n",
        request("GET /things/1", "Transfer-Encoding: chunked"),
        request("GET /things/1", "Upgrade: websocket"),
        request("GET /things/1", "Connection: close"),
        request("GET /things/1", "Connection: keep-alive, x"),
        request("GET /things/1", "Content-Length:"),
        request("GET /things/1", "Content-Length: +1"),
        request("GET /things/1", "Content-Length: 1 "[:-1] + "a"),
        request("GET /things/1", "Content-Length: 0", "Content-Length: 0"),
        request("GET /things/1", "Content-Length: 99999999999"),
        request("GET /things/1", *(f"A{number}: b" for number in range(64))),
        request("GET /things/1", f"A: {'x' * 16384}"),
        b"G" * 16384,
    ],
)
def test_what_is_not_framed_here(data: bytes) -> None:
    scanner = Scanner(TABLE)
    before = request("GET /things/1")
    scanner.feed(before + data + before)
    assert isinstance(scanner.next(), Request)
    scanner.skip()
    assert scanner.next() == UNFRAMED
    assert scanner.take() == data + before
    assert scanner.next() == WAIT


def items(scanner: Scanner) -> list[object]:
    """Everything that can be taken now, requests by what they say and others by their bytes."""
    taken: list[object] = []
    while (item := scanner.next()) != WAIT:
        if isinstance(item, Request):
            taken.append((item.route, item.captures, item.query, item.body))
            scanner.skip()
        else:
            taken.append(scanner.take())
    return taken


def merge(taken: list[object]) -> list[object]:
    """With foreign bytes that follow one another as one."""
    merged: list[object] = []
    for item in taken:
        if isinstance(item, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += item
        else:
            merged.append(item)
    return merged


SEQUENCE: Final = b"".join(
    (
        request("PATCH /things/1/parts?a=b", "Content-Type: x", body=b'{"a":1}'),
        request("GET /foreign"),
        request("POST /foreign", body=b"GET /things/no HTTP/1.1\r\nHost: h\r\n\r\n"),
        request("GET /things/2"),
        request("POST /batch", body=b"z" * 300),
        request("PUT /foreign", body=b"y" * 2000),
        request("GET /things/3/parts/n/value"),
    )
)
WHOLE: Final[list[object]] = [
    ("patch", {"id": "1"}, "a=b", b'{"a":1}'),
    request("GET /foreign")
    + request("POST /foreign", body=b"GET /things/no HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("get", {"id": "2"}, "", b""),
    ("batch", {}, "", b"z" * 300),
    request("PUT /foreign", body=b"y" * 2000),
    ("value", {"id": "3", "name": "n"}, "", b""),
]


def test_every_split_point() -> None:
    for position in range(len(SEQUENCE) + 1):
        scanner = Scanner(TABLE)
        scanner.feed(SEQUENCE[:position])
        taken = items(scanner)
        scanner.feed(SEQUENCE[position:])
        assert merge(taken + items(scanner)) == WHOLE, position
        assert not scanner.has_rest


def test_byte_by_byte() -> None:
    scanner = Scanner(TABLE)
    taken = []
    for position in range(len(SEQUENCE)):
        scanner.feed(SEQUENCE[position : position + 1])
        taken += items(scanner)
    assert merge(taken) == WHOLE


@given(st.lists(st.integers(0, len(SEQUENCE)), max_size=20), st.booleans())
def test_any_pieces(cuts: list[int], at_the_end: bool) -> None:
    bounds = [0, *sorted(cuts), len(SEQUENCE)]
    scanner = Scanner(TABLE)
    taken = []
    for start, end in pairwise(bounds):
        scanner.feed(SEQUENCE[start:end])
        if not at_the_end:
            taken += items(scanner)
    assert merge(taken + items(scanner)) == WHOLE


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [b"GET", b" ", b"/things/1", b" HTTP/1.1", b"\r\n", b"Host: h", b"Content-Length:"]
            ),
            st.sampled_from([b"5", b"%", b":", b"\r\n\r\n", SEQUENCE[:80], SEQUENCE[-40:]]),
        ),
        max_size=12,
    )
)
def test_nothing_is_lost_of_any_bytes(pieces: list[bytes]) -> None:
    """What is not answered here goes on as it came, up to what waits for its end."""
    scanner = Scanner(TABLE)
    data = b"".join(pieces)
    rest = data
    for piece in pieces:
        scanner.feed(piece)
        while scanner.next() != WAIT:
            taken = scanner.take()
            assert taken
            assert rest.startswith(taken)
            rest = rest[len(taken) :]


def test_an_item_is_found_again_until_it_is_taken() -> None:
    scanner = Scanner(TABLE)
    scanner.feed(request("GET /things/1"))
    scanner.next()
    scanner.feed(request("GET /foreign"))
    item = scanner.next()
    assert isinstance(item, Request)
    assert item.captures == {"id": "1"}
    scanner.skip()
    assert scanner.next() == FOREIGN
    assert scanner.next() == FOREIGN
    assert scanner.take() == request("GET /foreign")
    assert not scanner.has_rest


def test_a_request_that_is_not_finished_here() -> None:
    scanner = Scanner(TABLE)
    data = request("POST /batch", body=b"0123456789")
    scanner.feed(data[:-4])
    assert scanner.next() == WAIT
    assert scanner.is_in_body
    assert scanner.take_unfinished() == data[:-4]
    assert not scanner.is_in_body
    scanner.feed(data[-4:] + request("GET /things/1"))
    assert scanner.next() == FOREIGN
    assert scanner.take() == data[-4:]
    assert isinstance(scanner.next(), Request)


def test_tables_have_a_bound() -> None:
    with pytest.raises(ValueError, match="too many"):
        RouteTable([("GET", "/a" * 17, False, None)], 1)
    with pytest.raises(ValueError, match="too many"):
        RouteTable([("GET", f"/{number}", False, None) for number in range(65)], 1)


def test_requests_that_others_framed() -> None:
    head = Head(accept="a", service="s")
    item = Request(
        "PUT", "/t?q", "/t", "q", {"id": "1"}, head, "c", None, True, "10.0.0.1", "route", "by"
    )
    assert (item.path, item.query, item.head.service, item.length) == ("/t", "q", "s", None)
    assert (item.has_body, item.is_plain, item.route, item.body) == (True, False, "route", b"")
    assert (item.connection, item.remote, item.correlator) == ("by", "10.0.0.1", "c")
    item.body = b"body"
    assert item.body == b"body"


def test_replies() -> None:
    composer = Composer({200: "OK", 204: "No Content"})
    date = rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n\r\n"
    assert re.fullmatch(
        rb"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nContent-Length: 2\r\n" + date + rb"\{\}",
        composer.compose(Reply(200, b"{}", {"A": "b", "C": "d"})),
    )
    assert re.fullmatch(
        rb"HTTP/1.1 204 No Content\r\nA: b\r\n" + date,
        composer.compose(Reply(204, headers={"A": "b"})),
    )
    assert b"Content-Length: 0\r\n" in composer.compose(Reply())
    with pytest.raises(KeyError):
        composer.compose(Reply(201))


class Call(Request):
    """A class of a server's own."""

    __slots__ = ("noted",)

    noted: int


def test_requests_of_a_class_of_the_servers_own() -> None:
    table = RouteTable([("GET", "/{a}/{b}", False, None)], MAX_BODY, Call)
    scanner = Scanner(table)
    scanner.feed(request("GET /x/y"))
    item = scanner.next()
    assert type(item) is Call
    assert item.captures == {"a": "x", "b": "y"}
    item.noted = 1
    with pytest.raises(TypeError):
        RouteTable([], MAX_BODY, dict)  # type: ignore[arg-type]


def test_correlators() -> None:
    ids = CorrelatorIds("01234567-0123-0123-0123-")
    assert ids.make() == "01234567-0123-0123-0123-000000000001"
    for _ in range(254):
        ids.make()
    assert ids.make() == "01234567-0123-0123-0123-000000000100"
    with pytest.raises(ValueError, match="24"):
        CorrelatorIds("short")
