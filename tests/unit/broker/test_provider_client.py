"""The client of forwarded requests against servers of raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from broker.provider_client import (
    ANSWER_MAX_BYTES,
    TOO_LARGE_TO_READ,
    TOO_LARGE_TO_SEND,
    ProviderAnswer,
    ProviderClient,
    ProviderFailure,
)
from broker.sender import (
    COULD_NOT_CONNECT,
    NOTHING_RETURNED,
    PARTIAL_BODY,
    REQUEST_MALFORMED,
    TIMEOUT,
    WEIRD_REPLY,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
MAX_BYTES = 1000

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serve(handle: Serve) -> AsyncIterator[str]:
    """A server whose connections are handled by `handle` and then closed; its URL."""

    async def close_after(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(close_after, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2"


@asynccontextmanager
async def client(timeout_s: float = 30.0) -> AsyncIterator[ProviderClient]:
    made = ProviderClient(timeout_s, MAX_BYTES, insecure=False)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request with its body; empty when the connection ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


async def post(made: ProviderClient, url: str, body: bytes = b"{}") -> ProviderAnswer:
    return await made.post(url, "/op/query", {"limit": "3"}, {"X-Name": "n"}, body)


async def failure(made: ProviderClient, url: str, body: bytes = b"{}") -> str:
    with pytest.raises(ProviderFailure) as caught:
        await post(made, url, body)
    return caught.value.reason


def answer(reply: bytes) -> Serve:
    """Read one request, send `reply`, close."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply)
        await writer.drain()

    return handle


async def test_exchange() -> None:
    requests = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nFiware-Total-Count: 7\r\nContent-Length: 2\r\n\r\n[]")
        await writer.drain()

    async with serve(handle) as url, client() as made:
        assert await post(made, url) == ProviderAnswer(200, 7, b"[]")
    head = requests[0].split(b"\r\n")
    assert head[0] == b"POST /v2/op/query?limit=3 HTTP/1.1"
    assert b"X-Name: n" in head
    assert not any(line.startswith(b"Accept-Encoding") for line in head)


@pytest.mark.parametrize("count", [b"", b"x", b"-1", b"1.5", b"9" * 19])
async def test_count_that_is_none(count: bytes) -> None:
    reply = b"HTTP/1.1 200 OK\r\nFiware-Total-Count: %b\r\nContent-Length: 0\r\n\r\n" % count
    async with serve(answer(reply)) as url, client() as made:
        assert (await post(made, url)).total is None


async def test_connections_are_kept() -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await read_request(reader):
            writer.write(OK)

    async with serve(handle) as url, client() as made:
        for _ in range(3):
            await post(made, url)
    assert connections == 1


async def test_connection_closed_between_requests() -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)  # and no answer: the connection was about to be closed

    async with serve(handle) as url, client() as made:
        assert (await post(made, url)).status == 200
        assert (await post(made, url)).status == 200
    assert connections == 2


async def test_new_connection_without_an_answer_is_not_tried_again() -> None:
    requests = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_request(reader)
        requests += 1

    async with serve(handle) as url, client() as made:
        assert await failure(made, url) == NOTHING_RETURNED
    assert requests == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[]", PARTIAL_BODY),
        (b"no HTTP at all\r\n\r\n", WEIRD_REPLY),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (ANSWER_MAX_BYTES + 1),
            TOO_LARGE_TO_READ,
        ),
        (
            b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (ANSWER_MAX_BYTES + 1),
            TOO_LARGE_TO_READ,
        ),
    ],
)
async def test_reply_that_is_none(reply: bytes, reason: str) -> None:
    async with serve(answer(reply)) as url, client() as made:
        assert await failure(made, url) == reason


async def test_largest_answer() -> None:
    body = b" " * ANSWER_MAX_BYTES
    async with serve(answer(b"HTTP/1.1 200 OK\r\n\r\n" + body)) as url, client() as made:
        assert (await post(made, url)).body == body


async def test_no_answer_in_time() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serve(handle) as url, client(timeout_s=0.05) as made:
        assert await failure(made, url) == TIMEOUT


async def test_answer_that_takes_too_long() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[")
        await reader.read()

    async with serve(handle) as url, client(timeout_s=0.05) as made:
        assert await failure(made, url) == TIMEOUT


async def test_nobody_listens() -> None:
    async with serve(answer(OK)) as url:
        pass
    async with client() as made:
        assert await failure(made, url) == COULD_NOT_CONNECT


async def test_request_that_cannot_be_sent() -> None:
    async with serve(answer(OK)) as url, client() as made:
        assert await failure(made, url, b"x" * (MAX_BYTES + 1)) == TOO_LARGE_TO_SEND
        with pytest.raises(ProviderFailure) as caught:
            await made.post(url, "/op/query", {}, {"X-Name": "a\r\nb: c"}, b"{}")
        assert caught.value.reason == REQUEST_MALFORMED
