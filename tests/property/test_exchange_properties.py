"""Requests and responses of HTTP, however the bytes come, against plain models and http.client."""

from __future__ import annotations

import http.client
import io
import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _native.request import MalformedRequest, compose_request, measure_headers
from _native.response import (
    CHUNK,
    CONTENT_LENGTH,
    HEAD_TOO_LONG,
    HEADER_LINE,
    NOT_HTTP,
    STATUS_LINE,
    MalformedResponse,
    ResponseParser,
)

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True)
class Limits:
    line_max: int
    head_max: int
    body_max: int

    def parser(self) -> ResponseParser:
        return ResponseParser(
            line_max=self.line_max, head_max=self.head_max, body_max=self.body_max
        )


WIDE = Limits(65_536, 300_000, 65_536)


@dataclass(frozen=True)
class Result:
    """How bytes were understood. `fault` None and `is_complete` False: more must come."""

    is_complete: bool
    fault: str | None = None
    status: int = 0
    body: bytes = b""
    keep_alive: bool = False
    location: bytes | None = None


def parse(
    data: bytes, cuts: list[int], limits: Limits, *, is_head: bool = False, eof: bool = False
) -> Result:
    """What the parser makes of `data`, given in parts that end at `cuts` and at its end."""
    parser = limits.parser()
    parser.begin(is_head)
    is_complete = False
    start = 0
    for end in (*sorted(cuts), len(data)):
        try:
            is_complete = parser.feed(data[start:end])
        except MalformedResponse as error:
            assert not parser.keep_alive
            with pytest.raises(ValueError, match="begun"):
                parser.feed(b"x")
            return Result(False, error.fault)
        assert parser.received == end
        start = end
        if is_complete:
            break
    if eof and not is_complete:
        is_complete = parser.feed_eof()
        start = len(data)
    if not is_complete:
        return Result(False)
    with pytest.raises(ValueError, match="begun"):
        parser.feed(b"x")
    assert not parser.in_body
    # What comes after the part in which the response ended was not asked for either.
    keep_alive = parser.keep_alive and start == len(data)
    return Result(True, None, parser.status, parser.body, keep_alive, parser.location)


class Fault(Exception):
    def __init__(self, fault: str) -> None:
        self.fault = fault


class Incomplete(Exception):
    pass


class Model:
    """RFC 9112 as one reads it, over bytes that are all there."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data = data
        self.limits = limits
        self.head_bytes = 0

    def line(self, *, is_first: bool = False) -> bytes:
        line, found, rest = self.data.partition(b"\n")
        if is_first and line[:5] != b"HTTP/"[: len(line)]:
            raise Fault(NOT_HTTP)
        if len(line) > self.limits.line_max or self.head_bytes + len(line) > self.limits.head_max:
            raise Fault(HEAD_TOO_LONG)
        if not found:
            raise Incomplete
        self.head_bytes += len(line) + 1
        self.data = rest
        return line.removesuffix(b"\r")

    def response(self, *, is_head: bool, eof: bool) -> Result:
        while True:
            minor, status, headers = self.head()
            if not 100 <= status < 200 or status == 101:
                break
        options = items(headers, b"connection")
        keep_alive = b"close" not in options and (minor != b"0" or b"keep-alive" in options)
        locations = [value for name, value in headers if name == b"location"]
        location = locations[0] if locations else None
        lengths = {int(value) for name, value in headers if name == b"content-length"}
        codings = items(headers, b"transfer-encoding")
        if is_head or status in (101, 204, 304):
            body, is_whole = b"", True
            keep_alive = keep_alive and status != 101
        elif codings[-1:] == [b"chunked"] and codings.count(b"chunked") == 1:
            body, is_whole = self.chunks()
            keep_alive = keep_alive and not lengths and minor != b"0"
        elif lengths and not codings:
            (length,) = lengths
            body, is_whole = self.bounded(length, b"")
        else:
            body = self.data[: self.limits.body_max]
            is_whole = len(self.data) <= self.limits.body_max
            if is_whole and not eof:
                raise Incomplete
            self.data = b""
            keep_alive = False
        return Result(True, None, status, body, keep_alive and is_whole and not self.data, location)

    def head(self) -> tuple[bytes, int, list[tuple[bytes, bytes]]]:
        line = self.line(is_first=True)
        if len(line) < 5:
            raise Fault(NOT_HTTP)
        match = re.fullmatch(rb"HTTP/1\.(\d) ([1-9]\d\d)( [^\r\n\0]*)?", line)
        if match is None:
            raise Fault(STATUS_LINE)
        headers: list[tuple[bytes, bytes]] = []
        may_fold = False
        while line := self.line():
            if re.search(rb"[\r\0]", line):
                raise Fault(HEADER_LINE)
            if line[:1] in b" \t":
                if not may_fold:
                    raise Fault(HEADER_LINE)
                continue
            name, colon, value = line.partition(b":")
            if not colon or TOKEN.fullmatch(name) is None:
                raise Fault(HEADER_LINE)
            name, value = name.lower(), value.strip(b" \t")
            if name == b"content-length":
                others = [int(value) for given, value in headers if given == name]
                if re.fullmatch(rb"\d{1,18}", value) is None or {*others} - {int(value)}:
                    raise Fault(CONTENT_LENGTH)
            may_fold = name not in (
                b"content-length",
                b"transfer-encoding",
                b"connection",
                b"location",
            )
            headers.append((name, value))
        return match[1], int(match[2]), headers

    def bounded(self, length: int, before: bytes) -> tuple[bytes, bool]:
        """So many bytes after those before, and whether all are kept."""
        room = self.limits.body_max - len(before)
        if min(length, len(self.data)) > room:
            return before + self.data[:room], False
        if len(self.data) < length:
            raise Incomplete
        body, self.data = before + self.data[:length], self.data[length:]
        return body, True

    def chunks(self) -> tuple[bytes, bool]:
        body = b""
        self.head_bytes = 0
        while True:
            size = re.fullmatch(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?", self.line(), re.DOTALL)
            if size is None:
                raise Fault(CHUNK)
            if not int(size[1], 16):
                break
            body, is_whole = self.bounded(int(size[1], 16), body)
            if not is_whole:
                return body, False
            if self.line():
                raise Fault(CHUNK)
            self.head_bytes = 0
        while self.line():
            pass
        return body, True


def items(headers: list[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    lists = b",".join(value for name, value in headers if name == wanted)
    return [item.strip(b" \t").lower() for item in lists.split(b",") if item.strip(b" \t")]


def understand(data: bytes, limits: Limits, *, is_head: bool = False, eof: bool = False) -> Result:
    try:
        return Model(data, limits).response(is_head=is_head, eof=eof)
    except Fault as error:
        return Result(False, error.fault)
    except Incomplete:
        return Result(False)


# Responses

NAMES = st.sampled_from([b"X", b"Content-type", b"X-Content-Length", b"lOCATION"])
VALUES = st.binary(max_size=12).map(lambda value: re.sub(rb"[\r\n\0]", b"", value))
SPACES = st.sampled_from([b"", b" ", b"\t ", b"  "])


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    name = draw(
        st.one_of(
            NAMES,
            st.sampled_from([b"Connection", b"connection"]),
            st.sampled_from([b"Transfer-Encoding", b"Content-Length"]),
        )
    )
    value = draw(VALUES)
    if name.lower() == b"connection":
        value = draw(st.sampled_from([b"close", b"Keep-Alive", b"x, close", b"keep-alive,,x"]))
    elif name == b"Transfer-Encoding":
        value = draw(
            st.sampled_from([b"chunked", b"gzip, Chunked", b"chunked, gzip", b"gzip", b","])
        )
    elif name == b"Content-Length":
        value = draw(st.sampled_from([b"0", b"3", b"03", b"30", b"", b"3,3", b"+3", b"9" * 19]))
    return name + b":" + draw(SPACES) + value + draw(SPACES)


@st.composite
def chunked(draw: st.DrawFn) -> bytes:
    encoded = b""
    for part in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4)):
        size = draw(st.sampled_from([b"%x", b"%X", b"00%x", b"%x;a=b", b"%x  "]))
        encoded += size % len(part) + b"\r\n" + part + b"\r\n"
    return (
        encoded + b"0\r\n" + draw(st.sampled_from([b"", b"X: y\r\n", b"X: y\r\nZ\r\n"])) + b"\r\n"
    )


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Responses that are right, nearly right, or cut off, with what may follow."""
    end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\n"]))
    data = b""
    for _ in range(draw(st.integers(0, 2))):
        data += b"HTTP/1.1 1%02d Wait" % draw(st.sampled_from([0, 2, 3])) + end
        data += draw(st.sampled_from([b"", b"X: y" + end])) + end
    data += draw(st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/1.7 "]))
    data += b"%d" % draw(st.sampled_from([200, 201, 204, 304, 307, 404, 500, 101, 999]))
    data += draw(st.sampled_from([b"", b" ", b" OK", b" \xe9 x"])) + end
    for line in draw(st.lists(headers(), max_size=4)):
        data += line + end
    data += end
    data += draw(st.one_of(st.binary(max_size=40), chunked()))
    data += draw(st.one_of(st.just(b""), st.binary(max_size=8)))
    return data


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(responses()))
    for _ in range(draw(st.integers(0, 3))):
        position = draw(st.integers(0, len(data)))
        kind = draw(st.integers(0, 2))
        if kind == 0:
            data[position : position + draw(st.integers(1, 4))] = b""
        elif kind == 1:
            data[position:position] = draw(
                st.sampled_from([b"\0", b"\r", b"\n", b" ", b":", b"\r\n", b"x", b",", b"\r\n "])
            )
        else:
            del data[position:]
    return bytes(data)


LIMITS = st.one_of(
    st.just(WIDE),
    st.builds(Limits, st.integers(5, 60), st.integers(20, 120), st.integers(0, 30)),
)


@given(damaged(), LIMITS, st.booleans(), st.booleans(), st.data())
@example(b"HT" + b"TP/1.1 200 " + b"x" * 80, Limits(50, 500, 5), False, False, None)
def test_any_bytes_in_any_parts_are_understood_as_the_model_does(
    data: bytes, limits: Limits, is_head: bool, eof: bool, draw: Any
) -> None:
    expected = understand(data, limits, is_head=is_head, eof=eof)
    assert parse(data, [], limits, is_head=is_head, eof=eof) == expected
    for cut in range(len(data) + 1):
        assert parse(data, [cut], limits, is_head=is_head, eof=eof) == expected
    bytewise = list(range(len(data)))
    assert parse(data, bytewise, limits, is_head=is_head, eof=eof) == expected
    if draw is not None:
        cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
        assert parse(data, cuts, limits, is_head=is_head, eof=eof) == expected


@given(st.lists(responses(), min_size=2, max_size=4))
def test_nothing_of_a_response_is_left_for_the_next(several: list[bytes]) -> None:
    parser = WIDE.parser()
    for data in several:
        parser.begin()
        try:
            parser.feed(data)
        except MalformedResponse:
            continue
    parser.begin()
    assert (parser.status, parser.body, parser.location, parser.received) == (0, b"", None, 0)
    assert parser.feed(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno")
    assert (parser.status, parser.body, parser.keep_alive) == (404, b"no", True)


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


@given(
    st.sampled_from([b"200 OK", b"204 No Content", b"304 Not", b"500 Oh no", b"307"]),
    st.sampled_from([b"1.1", b"1.0"]),
    st.sampled_from(["length", "chunks", "end"]),
    st.sampled_from([b"", b"Connection: close\r\n", b"Connection: Keep-Alive\r\n"]),
    st.binary(max_size=200),
    st.booleans(),
)
def test_well_formed_responses_are_what_the_standard_library_says(
    status: bytes, version: bytes, framing: str, option: bytes, body: bytes, is_head: bool
) -> None:
    has_body = not is_head and status[:3] not in (b"204", b"304")
    if framing == "chunks" and (version == b"1.0" or not has_body):
        framing = "end"  # it reads chunks of what has no body, and takes them in HTTP/1.0
    data = b"HTTP/%b %b\r\nServer: x\r\n%b" % (version, status, option)
    if framing == "length":
        data += b"Content-Length: %d\r\n\r\n" % len(body) + body * has_body
    elif framing == "chunks":
        parts = [body[:7], body[7:]]
        coded = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part)
        data += b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"
    else:
        data += b"\r\n" + body * has_body
    theirs = http.client.HTTPResponse(
        _Socket(data),  # type: ignore[arg-type]
        method="HEAD" if is_head else "POST",
    )
    theirs.begin()
    will_close = theirs.will_close
    ours = parse(data, [], WIDE, is_head=is_head, eof=True)
    assert ours.is_complete
    assert (ours.status, ours.body) == (theirs.status, theirs.read())
    # It takes responses without a body and without a length for such that end the connection.
    if framing == "length" or has_body:
        assert ours.keep_alive == (not will_close)


# Requests

HEADER_NAMES = st.one_of(
    st.text("abcXYZ-_!09", min_size=1, max_size=8),
    st.sampled_from(["Host", "hOST", "Content-Length", "EXPECT", "transfer-encoding", "Expected"]),
    st.text(max_size=3),
)


@given(
    st.one_of(
        st.sampled_from(["POST", "GET", "HEAD", "PUT", "OPTIONS", "TRACE"]), st.text(max_size=4)
    ),
    st.one_of(st.just(b"/a?b=%20"), st.binary(max_size=4)),
    st.dictionaries(HEADER_NAMES, st.text(max_size=12), max_size=5),
    st.binary(max_size=30),
)
def test_requests_are_composed_as_told_or_refused(
    method: str, target: bytes, given_headers: dict[str, str], body: bytes
) -> None:
    def is_token(text: str) -> bool:
        return TOKEN.fullmatch(text.encode("utf-8", "replace")) is not None

    is_right = (
        is_token(method)
        and re.fullmatch(rb"[\x21-\x7e]+", target) is not None
        and all(map(is_token, given_headers))
        and not any(re.search("[\r\n\0]", value) for value in given_headers.values())
    )
    if not is_right:
        with pytest.raises(MalformedRequest):
            compose_request(method, target, b"h:1", given_headers, body)
        return
    lines = [method.encode() + b" " + target + b" HTTP/1.1"]
    if "host" not in map(str.lower, given_headers):
        lines.append(b"Host: h:1")
    lines += [
        f"{name}: {value}".encode()
        for name, value in given_headers.items()
        if name.lower() not in ("content-length", "transfer-encoding", "expect")
    ]
    if body or method not in ("GET", "HEAD", "OPTIONS", "TRACE"):
        lines.append(b"Content-Length: %d" % len(body))
    request = compose_request(method, target, b"h:1", given_headers, body)
    assert request == b"\r\n".join([*lines, b"", body])


@given(st.dictionaries(st.text(), st.text()))
def test_measure_of_headers(given_headers: dict[str, str]) -> None:
    expected = sum(len(name) + len(value) + 2 for name, value in given_headers.items())
    assert measure_headers(given_headers) == expected
