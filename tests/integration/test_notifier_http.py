"""Notifications over real sockets, on both event loops, to a receiver that speaks raw HTTP.

The receiver lives on the notifier's loop; what it does with a request is up to each test.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import uvloop

from broker.logs import RequestContext, request_context
from broker.notifier import STOPPED, Notification, Notifier, Outcome, lanes
from broker.sender import REQUEST_MALFORMED, HostResolver, resolver

Run: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NOTHING = "Server returned nothing (no headers, no data)"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def run(scenario: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            faults: list[dict[str, Any]] = []
            runner.get_loop().set_exception_handler(lambda _, fault: faults.append(fault))
            runner.run(scenario)
        assert faults == []

    return run


@dataclass
class Received:
    connection: int
    head: bytes
    body: bytes
    writer: asyncio.StreamWriter

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    async def answer(self, data: bytes = OK) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def hang_up(self, *, reset: bool = False) -> None:
        if reset:
            self.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.writer.transport.abort()
        else:
            self.writer.close()


Behaviour: TypeAlias = Callable[[Received], Awaitable[None]]


async def answer_ok(received: Received) -> None:
    await received.answer()


class Receiver:
    """Reads requests framed by Content-Length; records them, then behaves as told."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.requests: list[Received] = []
        self.connections = 0
        self.open = 0
        self.port = 0
        self.changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections
        self.connections += 1
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line[15:])
                received = Received(number, head, await reader.readexactly(length), writer)
                async with self.changed:
                    self.requests.append(received)
                    self.changed.notify_all()
                await self.behave(received)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            async with self.changed:
                self.open -= 1
                self.changed.notify_all()

    async def arrived(self, number: int) -> list[Received]:
        """All requests, once there are `number` of them."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.requests) >= number)
        return self.requests

    async def none_open(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: not self.open)

    @property
    def bodies(self) -> list[str]:
        return [received.body.decode() for received in self.requests]

    def url(self, path: str = "/notify", scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def receiving(
    behave: Behaviour = answer_ok, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    receiver = Receiver(behave)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await receiver.none_open()
        await server.wait_closed()


class Sending:
    """A notifier and the outcomes it reported, by body."""

    def __init__(self, notifier: Notifier) -> None:
        self.notifier = notifier
        self.outcomes: dict[str, list[Outcome]] = defaultdict(list)
        self._ended: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def send(
        self,
        body: str,
        url: str,
        *,
        key: object = None,
        timeout_s: float = 30.0,
        told: Callable[[], None] = lambda: None,
        **fields: Any,
    ) -> None:
        def take(notification: Notification, outcome: Outcome) -> None:
            told()
            self._take(notification, outcome)

        headers = fields.pop("headers", {"Content-Type": "application/json"})
        assert self.notifier.send(
            Notification(
                subscription_id="sub",
                tenant="",
                url=url,
                headers=headers,
                body=body.encode(),
                timeout_s=timeout_s,
                order_key=body if key is None else key,
                on_result=take,
                **fields,
            )
        )

    async def deliver(
        self, body: str, url: str, timeout_s: float = 30.0, **fields: Any
    ) -> int | str | None:
        """Status or failure of one notification sent alone."""
        before = len(self.outcomes[body])
        self.send(body, url, timeout_s=timeout_s, **fields)
        assert await self.notifier.drain(30) == 0
        (outcome,) = self.outcomes[body][before:]
        assert (outcome.status is None) != (outcome.failure is None)
        return outcome.failure if outcome.status is None else outcome.status

    def result(self, body: str) -> int | str | None:
        (outcome,) = self.outcomes[body]
        return outcome.failure if outcome.status is None else outcome.status

    async def ended(self, body: str) -> None:
        await self._ended[body].wait()

    def _take(self, notification: Notification, outcome: Outcome) -> None:
        body = notification.body.decode()
        self.outcomes[body].append(outcome)
        self._ended[body].set()


@asynccontextmanager
async def sending(**settings: Any) -> AsyncIterator[Sending]:
    values: dict[str, Any] = {
        "queue_length": 1_000,
        "connections_per_endpoint": 4,
        "default_timeout_s": 30.0,
        "max_message_bytes": 1 << 20,
        "insecure": False,
    }
    notifier = Notifier(**(values | settings))
    await notifier.start()
    try:
        yield Sending(notifier)
    finally:
        await notifier.close()


@asynccontextmanager
async def both(
    behave: Behaviour = answer_ok, **settings: Any
) -> AsyncIterator[tuple[Receiver, Sending]]:
    async with receiving(behave) as receiver, sending(**settings) as notifications:
        yield receiver, notifications


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# What goes out


def test_a_request_is_what_the_caller_gave_byte_for_byte(run: Run) -> None:
    async def scenario() -> None:
        async with both() as (receiver, notifications):
            headers = {
                "User-Agent": "orion/4.7.0 rigel/0.1.0",
                "fiware-SERVICE": "city",
                "Fiware-ServicePath": "/a,/b",
                "X-Free": "  spaced, \xe9 ",
                "Accept": "application/json",
                "Content-Type": "application/json; charset=utf-8",
                "Fiware-Correlator": "c; cbnotif=1",
            }
            url = receiver.url("/No%2fti%7Efy/../x?a=%20b+c&d='(e)'#part")
            body = '{"value":"\u00e9\u4e2d\\u0000"}'
            assert await notifications.deliver(body, url, headers=headers) == 200
            (received,) = receiver.requests
            assert received.body == body.encode()
            assert received.head == (
                b"POST /No%%2fti%%7Efy/../x?a=%%20b+c&d='(e)' HTTP/1.1\r\n"
                b"Host: 127.0.0.1:%d\r\n"
                b"User-Agent: orion/4.7.0 rigel/0.1.0\r\n"
                b"fiware-SERVICE: city\r\n"
                b"Fiware-ServicePath: /a,/b\r\n"
                b"X-Free:   spaced, \xc3\xa9 \r\n"
                b"Accept: application/json\r\n"
                b"Content-Type: application/json; charset=utf-8\r\n"
                b"Fiware-Correlator: c; cbnotif=1\r\n"
                b"Content-Length: %d\r\n\r\n" % (receiver.port, len(body.encode()))
            )

    run(scenario())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS", "PURGE"])
def test_nothing_is_added_for_any_method(run: Run, method: str) -> None:
    async def scenario() -> None:
        async with both() as (receiver, notifications):
            url = receiver.url()
            assert await notifications.deliver("x", url, headers={}, method=method) == 200
            assert await notifications.deliver("", url, headers={}, method=method) == 200
            start = b"%s /notify HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % (
                method.encode(),
                receiver.port,
            )
            with_body, without = receiver.requests
            assert with_body.head == start + b"Content-Length: 1\r\n\r\n"
            assert without.head in (start + b"\r\n", start + b"Content-Length: 0\r\n\r\n")
            assert with_body.connection == without.connection

    run(scenario())


def test_a_subscription_cannot_frame_the_message_itself(run: Run) -> None:
    async def scenario() -> None:
        async with both() as (receiver, notifications):
            headers = {
                "content-length": "3",
                "Transfer-Encoding": "chunked",
                "EXPECT": "100-continue",
                "host": "virtual.example",
            }
            body = "abcPOST /admin HTTP/1.1\r\n\r\n"
            assert await notifications.deliver(body, receiver.url(), headers=headers) == 200
            (received,) = receiver.requests
            assert received.body.decode() == body
            assert received.head == (
                b"POST /notify HTTP/1.1\r\nhost: virtual.example\r\nContent-Length: %d\r\n\r\n"
                % len(body)
            )

    run(scenario())


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"X-A": "b\r\nX-Evil: 1"}),
        ("POST", {"X-A\r\nX-Evil": "1"}),
        ("POST /evil HTTP/1.1\r\n", {}),
    ],
)
def test_what_http_does_not_allow_is_not_sent(
    run: Run, method: str, headers: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with both() as (receiver, notifications):
            failure = await notifications.deliver(
                "x", receiver.url(), method=method, headers=headers
            )
            assert failure == REQUEST_MALFORMED
            assert await notifications.deliver("y", receiver.url()) == 200
            assert receiver.bodies == ["y"]

    run(scenario())


def test_characters_outside_ascii_are_quoted_in_the_url(run: Run) -> None:
    async def scenario() -> None:
        async with both() as (receiver, notifications):
            assert await notifications.deliver("x", receiver.url("/caf\u00e9?q=\u00f1")) == 200
            assert receiver.requests[0].target == "/caf%C3%A9?q=%C3%B1"

    run(scenario())


def test_a_large_body_arrives_whole(run: Run) -> None:
    async def scenario() -> None:
        async with both() as (receiver, notifications):
            body = "0123456789abcdef" * 60_000
            assert await notifications.deliver(body, receiver.url()) == 200
            assert receiver.bodies == [body]
            too_big = body + "x" * 100_000
            failure = await notifications.deliver(too_big, receiver.url())
            assert failure == "total outgoing message size is too big"
            assert len(receiver.requests) == 1

    run(scenario())


# Order and independence


def test_one_key_arrives_in_order_over_several_connections(run: Run) -> None:
    async def scenario() -> None:
        rng = random.Random(7)

        async def behave(received: Received) -> None:
            for _ in range(rng.randrange(5)):  # some answers later than others
                await asyncio.sleep(0)
            await received.answer()

        async with both(behave, connections_per_endpoint=8) as (receiver, notifications):
            sent: dict[int, list[str]] = defaultdict(list)
            for number in range(400):
                key = rng.randrange(20)
                sent[key].append(f"{key}/{number}")
                notifications.send(sent[key][-1], receiver.url(f"/{key}"), key=key)
            assert await notifications.notifier.drain(30) == 0
            for key, bodies in sent.items():
                assert [b for b in receiver.bodies if b.startswith(f"{key}/")] == bodies
            assert receiver.connections == 8
            assert all(len(outcomes) == 1 for outcomes in notifications.outcomes.values())

    run(scenario())


def test_outcomes_are_told_in_no_context_of_a_request(run: Run) -> None:
    """Lines that are logged then would have the correlator of whoever came by."""

    async def scenario() -> None:
        contexts: list[RequestContext | None] = []

        async with both(connections_per_endpoint=1) as (receiver, notifications):
            for body in ("first", "second", "third"):
                this = request_context.set(RequestContext(correlator="of another request"))
                notifications.send(
                    body, receiver.url(), told=lambda: contexts.append(request_context.get())
                )
                request_context.reset(this)
            assert await notifications.notifier.drain(30) == 0
            assert contexts == [None] * 3

    run(scenario())


def test_different_keys_are_under_way_together(run: Run) -> None:
    async def scenario() -> None:
        together = asyncio.Barrier(4)

        async def behave(received: Received) -> None:
            await together.wait()  # nobody is answered before four have arrived
            await received.answer()

        async with both(behave) as (receiver, notifications):
            for number in range(8):
                notifications.send(str(number), receiver.url())
            assert await notifications.notifier.drain(30) == 0
            assert receiver.connections == 4

    run(scenario())


def test_a_hanging_receiver_delays_no_other(run: Run) -> None:
    async def scenario() -> None:
        released = asyncio.Event()

        async def hang(received: Received) -> None:
            await released.wait()
            await received.answer()

        async with receiving(hang) as slow, both() as (fast, notifications):
            for number in range(50):
                notifications.send(f"slow{number}", slow.url())
                notifications.send(f"fast{number}", fast.url())
            await slow.arrived(4)
            assert len(await fast.arrived(50)) == 50
            assert len(slow.requests) == 4
            released.set()
            assert await notifications.notifier.drain(30) == 0
            assert len(slow.requests) == 50

    run(scenario())


def test_a_slow_name_server_delays_nobody_who_needs_another_name(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    look_up = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **fields: Any) -> Any:
        if host.endswith(".slow.example"):
            assert answers.wait(30)
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return look_up("127.0.0.1" if host == "fast.example" else host, *arguments, **fields)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def scenario() -> None:
        async with both() as (receiver, notifications):
            # More than the threads of an executor, or of uvloop's own look-ups.
            for number in range(20):
                notifications.send(f"slow{number}", f"http://h{number}.slow.example/")
            url = f"http://fast.example:{receiver.port}/"
            for number in range(5):
                notifications.send(f"fast{number}", url)
            assert len(await receiver.arrived(5)) == 5
            assert b"Host: fast.example:" in receiver.requests[0].head
            answers.set()
            assert await notifications.notifier.drain(30) == 0
            assert notifications.result("fast0") == 200
            assert notifications.result("slow0") == "Could not resolve hostname"

    try:
        run(scenario())
    finally:
        answers.set()


# What goes wrong


def test_nobody_there(run: Run) -> None:
    async def scenario() -> None:
        async with sending() as notifications:
            failure = await notifications.deliver("x", f"http://127.0.0.1:{closed_port()}/")
            assert failure == "Could not connect to server"

    run(scenario())


@pytest.mark.parametrize("host", ["unknown.example", "a" * 64 + ".example", "a..b", "127.1"])
def test_no_such_host(run: Run, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def getaddrinfo(name: str, *arguments: Any, **fields: Any) -> Any:
        if name == "unknown.example":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return look_up(name, *arguments, **fields)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def scenario() -> None:
        async with sending() as notifications:
            failure = await notifications.deliver("x", f"http://{host}:1028/")
            assert failure == "Could not resolve hostname"

    run(scenario())


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"],
)
def test_a_timeout_bounds_the_whole_exchange(run: Run, beginning: bytes) -> None:
    async def scenario() -> None:
        never = asyncio.Event()

        async def hang(received: Received) -> None:
            await received.answer(beginning)
            await never.wait()

        async with both(hang, connections_per_endpoint=1) as (receiver, notifications):
            failure = await notifications.deliver("x", receiver.url(), timeout_s=0.05)
            assert failure == "Timeout was reached"
            receiver.behave = answer_ok
            assert await notifications.deliver("y", receiver.url()) == 200
            # The first connection was given up.
            assert receiver.requests[-1].connection == len(receiver.requests) - 1
            never.set()

    run(scenario())


@pytest.mark.parametrize(
    ("reply", "reset", "failure"),
    [
        (b"", False, NOTHING),
        (b"", True, "Failure when receiving data from the peer"),
        (b"HTTP/1.1 20", False, NOTHING),
        (b"hello there\r\n\r\n", False, "Unsupported protocol"),
        (b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", False, "Weird server reply"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", False, "Weird server reply"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", False, "Weird server reply"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", False, "Transferred a partial file"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            False,
            "Transferred a partial file",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\nabc",
            False,
            "Failure when receiving data from the peer",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", True, "Transferred a partial file"),
        (
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
            False,
            "Weird server reply",
        ),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_bad_reply_is_a_failure_and_nothing_is_sent_twice(
    run: Run, reply: bytes, reset: bool, failure: str, method: str
) -> None:
    async def scenario() -> None:
        async def behave(received: Received) -> None:
            await received.answer(reply)
            received.hang_up(reset=reset)

        async with both(behave) as (receiver, notifications):
            assert await notifications.deliver("x", receiver.url(), method=method) == failure
            assert receiver.bodies == ["x"]
            receiver.behave = answer_ok
            assert await notifications.deliver("y", receiver.url()) == 200

    run(scenario())


# What comes back


@pytest.mark.parametrize(
    ("reply", "status", "kept_open"),
    [
        (OK, 200, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, True),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\nabcd", 500, True),
        (b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, True),
        (
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            201,
            True,
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + OK, 200, True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 200, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200, False),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
            200,
            True,
        ),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", 302, True),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n", 200, True),
    ],
)
def test_any_response_is_a_delivery(run: Run, reply: bytes, status: int, kept_open: bool) -> None:
    async def scenario() -> None:
        async def behave(received: Received) -> None:
            await received.answer(reply)

        async with both(behave, connections_per_endpoint=1) as (receiver, notifications):
            for body in "ab":
                assert await notifications.deliver(body, receiver.url()) == status
            assert receiver.bodies == ["a", "b"]
            assert receiver.connections == (1 if kept_open else 2)

    run(scenario())


def test_cookies_are_not_taken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **fields: Any) -> Any:
        return look_up("127.0.0.1", *arguments, **fields)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def scenario() -> None:
        async def behave(received: Received) -> None:
            await received.answer(
                b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
            )

        async with both(behave) as (receiver, notifications):
            url = f"http://receiver.example:{receiver.port}/"
            for body in "ab":
                assert await notifications.deliver(body, url) == 200
            assert not any(b"ookie" in received.head for received in receiver.requests)

    run(scenario())


def test_a_body_without_a_length_ends_with_the_connection(run: Run) -> None:
    async def scenario() -> None:
        async def behave(received: Received) -> None:
            await received.answer(b"HTTP/1.1 200 OK\r\n\r\nsome text")
            received.hang_up()

        async with both(behave) as (receiver, notifications):
            for body in "ab":
                assert await notifications.deliver(body, receiver.url()) == 200
            assert receiver.connections == 2

    run(scenario())


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 999999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n"],
)
def test_an_endless_body_is_not_read(run: Run, head: bytes) -> None:
    async def scenario() -> None:
        async def behave(received: Received) -> None:
            await received.answer(b"HTTP/1.1 200 OK\r\n" + head)
            while True:  # until the notifier hangs up
                await received.answer(b"x" * 65_536)

        async with both(behave) as (receiver, notifications):
            assert await notifications.deliver("a", receiver.url()) == 200
            receiver.behave = answer_ok
            assert await notifications.deliver("b", receiver.url()) == 200
            assert receiver.connections == 2

    run(scenario())


def test_bytes_that_nobody_asked_for_are_no_answer_to_the_next(run: Run) -> None:
    async def scenario() -> None:
        async with both(connections_per_endpoint=1) as (receiver, notifications):
            assert await notifications.deliver("a", receiver.url()) == 200
            await receiver.requests[0].answer(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
            await receiver.none_open()  # the connection is of no use any more
            assert await notifications.deliver("b", receiver.url()) == 200

            async def twice(received: Received) -> None:
                await received.answer(OK + b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

            receiver.behave = twice
            for body in "cde":
                assert await notifications.deliver(body, receiver.url()) == 200
            assert receiver.bodies == list("abcde")

    run(scenario())


# Kept-alive connections


def test_a_connection_closed_between_requests_is_no_failure(run: Run) -> None:
    async def scenario() -> None:
        async def close_after(received: Received) -> None:
            await received.answer()
            received.hang_up()

        async with both(close_after, connections_per_endpoint=1) as (receiver, notifications):
            for number in range(20):
                assert await notifications.deliver(str(number), receiver.url()) == 200
            assert receiver.bodies == [str(number) for number in range(20)]

    run(scenario())


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_connection_closed_under_a_request_is_tried_once_more(
    run: Run, reset: bool, method: str
) -> None:
    """The receiver closed an idle connection, and the request crossed with that."""

    async def scenario() -> None:
        async def behave(received: Received) -> None:
            if received.connection == 0 and len(receiver.requests) == 2:
                received.hang_up(reset=reset)
            else:
                await received.answer()

        async with both(behave, connections_per_endpoint=1) as (receiver, notifications):
            assert await notifications.deliver("a", receiver.url(), method=method) == 200
            assert await notifications.deliver("b", receiver.url(), method=method) == 200
            assert receiver.bodies == ["a", "b", "b"]
            assert [received.connection for received in receiver.requests] == [0, 0, 1]

    run(scenario())


def test_it_is_tried_only_once_more(run: Run) -> None:
    async def scenario() -> None:
        async def behave(received: Received) -> None:
            if len(receiver.requests) == 1:
                await received.answer()
            else:
                received.hang_up()

        async with both(behave, connections_per_endpoint=1) as (receiver, notifications):
            assert await notifications.deliver("a", receiver.url()) == 200
            assert await notifications.deliver("b", receiver.url()) == NOTHING
            assert receiver.bodies == ["a", "b", "b"]

    run(scenario())


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("beginning", [b"H", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_request_that_was_being_answered_is_not_sent_again(
    run: Run, reset: bool, beginning: bytes
) -> None:
    async def scenario() -> None:
        given = asyncio.Event()

        async def behave(received: Received) -> None:
            if len(receiver.requests) == 1:
                await received.answer()
                return
            await received.answer(beginning)
            await given.wait()
            received.hang_up(reset=reset)

        async with both(behave, connections_per_endpoint=1) as (receiver, notifications):
            assert await notifications.deliver("a", receiver.url()) == 200
            notifications.send("b", receiver.url())
            await receiver.arrived(2)
            # The beginning is in the notifier's hands once a later exchange elsewhere is over.
            async with receiving() as other:
                notifications.send("other", other.url())
                await other.arrived(1)
                await notifications.ended("other")
                given.set()
                assert await notifications.notifier.drain(30) == 0
                await notifications.notifier.close()
            assert isinstance(notifications.result("b"), str)
            assert receiver.bodies == ["a", "b"]

    run(scenario())


def test_a_body_that_goes_wrong_after_its_beginning_is_a_failure(run: Run) -> None:
    async def scenario() -> None:
        given = asyncio.Event()

        async def behave(received: Received) -> None:
            await received.answer(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
            )
            await given.wait()
            await received.answer(b"no length\r\n")  # and the connection stays open

        async with receiving() as other, both(behave) as (receiver, notifications):
            notifications.send("x", receiver.url())
            await receiver.arrived(1)
            # The beginning is in the notifier's hands once a later exchange elsewhere is over.
            notifications.send("other", other.url())
            await notifications.ended("other")
            given.set()
            assert await notifications.notifier.drain(30) == 0
            assert notifications.result("x") == "Failure when receiving data from the peer"
            await notifications.notifier.close()

    run(scenario())


# Redirects


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_followed_with_method_and_body(run: Run, status: int) -> None:
    async def scenario() -> None:
        async def behave(received: Received) -> None:
            if received.target == "/notify":
                await received.answer(
                    b"HTTP/1.1 %d Moved\r\nLocation: new?a=b\r\nContent-Length: 2\r\n\r\nxy"
                    % status
                )
            else:
                await received.answer()

        async with both(behave) as (receiver, notifications):
            assert await notifications.deliver("x", receiver.url(), method="PUT") == 200
            first, second = receiver.requests
            assert second.target == "/new?a=b"
            assert second.body == b"x"
            assert second.connection == first.connection
            assert second.head.partition(b"\r\n")[2] == first.head.partition(b"\r\n")[2]

    run(scenario())


def test_see_other_becomes_a_get(run: Run) -> None:
    async def scenario() -> None:
        async def behave(received: Received) -> None:
            if received.target == "/notify":
                await received.answer(
                    b"HTTP/1.1 303 See\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
                )
            else:
                await received.answer(b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n")

        async with both(behave) as (receiver, notifications):
            assert await notifications.deliver("x", receiver.url()) == 202
            assert receiver.requests[1].head.startswith(b"GET /there HTTP/1.1\r\n")
            assert b"Content-Length" not in receiver.requests[1].head
            assert receiver.bodies == ["x", ""]

    run(scenario())


def test_credentials_stay_with_the_receiver_they_are_meant_for(run: Run) -> None:
    async def scenario() -> None:
        async with receiving() as elsewhere:

            async def behave(received: Received) -> None:
                await received.answer(
                    b"HTTP/1.1 307 There\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"
                    % elsewhere.url("/there").encode()
                )

            async with both(behave) as (receiver, notifications):
                headers = {
                    "X-Auth-Token": "secret",
                    "authorization": "Basic secret",
                    "Cookie": "secret",
                    "Fiware-Service": "city",
                    "Host": "receiver.example",
                }
                result = await notifications.deliver("x", receiver.url(), headers=headers)
                assert result == 200
                assert receiver.requests[0].head.count(b"secret") == 3
                (there,) = elsewhere.requests
                assert b"secret" not in there.head
                assert b"Fiware-Service: city\r\n" in there.head
                assert b"Host: 127.0.0.1:%d\r\n" % elsewhere.port in there.head
                assert there.body == b"x"
                await elsewhere.none_open()  # no connection is kept to there

    run(scenario())


@pytest.mark.parametrize(
    ("location", "result", "requests"),
    [
        ("/notify", "Number of redirects hit maximum amount", 31),
        ("ftp://127.0.0.1/", "Unsupported protocol", 1),
        ("http://", "URL using bad/illegal format or missing URL", 1),
        ("/a b", "URL using bad/illegal format or missing URL", 1),
        ("http://127.0.0.1:{closed}/", "Could not connect to server", 1),
        ("", 307, 1),
    ],
)
def test_redirects_that_lead_nowhere(
    run: Run, location: str, result: int | str, requests: int
) -> None:
    async def scenario() -> None:
        async def behave(received: Received) -> None:
            await received.answer(
                b"HTTP/1.1 307 There\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"
                % location.format(closed=closed_port()).encode()
            )

        async with both(behave) as (receiver, notifications):
            assert await notifications.deliver("x", receiver.url()) == result
            assert len(receiver.requests) == requests

    run(scenario())


# TLS


@pytest.fixture(scope="session")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """The side of a receiver whose certificate nobody knows."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command for a certificate")
    folder: Path = tmp_path_factory.mktemp("certificate")
    arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subprocess.run(
        [openssl, *arguments.split(), "-subj", "/CN=localhost", "-keyout", "key", "-out", "cert"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


def test_tls_accepts_any_certificate_only_when_told_to(
    run: Run, server_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with receiving(tls=server_tls) as receiver:
            url = receiver.url(scheme="https")
            async with sending(insecure=False) as notifications:
                failure = await notifications.deliver("x", url)
                assert failure == "SSL peer certificate or SSH remote key was not OK"
                assert receiver.requests == []
            async with sending(insecure=True) as notifications:
                assert await notifications.deliver("y", url) == 200
                assert await notifications.deliver("z", url) == 200
                assert receiver.bodies == ["y", "z"]
                first, second = receiver.requests
                assert first.connection == second.connection

    run(scenario())


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_a_receiver_without_tls_behind_https(run: Run, reply: bytes) -> None:
    async def scenario() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(reply)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, sending(insecure=True) as notifications:
            port = server.sockets[0].getsockname()[1]
            failure = await notifications.deliver("x", f"https://127.0.0.1:{port}/")
            assert failure == "SSL connect error"

    run(scenario())


# The end


def test_drain_delivers_and_close_leaves_no_connection(run: Run) -> None:
    async def scenario() -> None:
        async with receiving() as receiver:
            async with sending() as notifications:
                for number in range(100):
                    notifications.send(str(number), receiver.url(), key=number % 7)
                assert await notifications.notifier.drain(30) == 0
                assert len(receiver.requests) == 100
                assert receiver.open == 4
            await receiver.none_open()

    run(scenario())


def test_close_gives_up_what_hangs(run: Run) -> None:
    async def scenario() -> None:
        never = asyncio.Event()

        async def hang(received: Received) -> None:
            await never.wait()

        async with receiving(hang) as receiver, sending() as notifications:
            for number in range(10):
                notifications.send(str(number), receiver.url())
            await receiver.arrived(4)
            assert await notifications.notifier.drain(0) == 10
            await notifications.notifier.close()
            for number in range(10):
                assert notifications.result(str(number)) == STOPPED
            never.set()
            await receiver.none_open()

    run(scenario())


def test_idle_connections_are_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LANE_IDLE_S", 0.0)

    async def scenario() -> None:
        async with both() as (receiver, notifications):
            for number in range(20):
                notifications.send(str(number), receiver.url())
            await receiver.arrived(20)
            await receiver.none_open()
            assert await notifications.notifier.drain(30) == 0
            assert await notifications.deliver("again", receiver.url()) == 200

    run(scenario())


# Everything at once


@pytest.mark.parametrize("seed", range(4))
def test_whatever_receivers_do_every_notification_ends_once(run: Run, seed: int) -> None:
    async def scenario() -> None:
        rng = random.Random(seed)
        never = asyncio.Event()

        async def behave(received: Received) -> None:
            choice = rng.randrange(14)
            if choice == 0:
                received.hang_up()
            elif choice == 1:
                received.hang_up(reset=True)
            elif choice == 2:
                await received.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
                received.hang_up(reset=bool(rng.randrange(2)))
            elif choice == 3:
                await received.answer(b"nonsense\r\n\r\n")
            elif choice == 4:
                await received.answer()
                received.hang_up()
            elif choice == 5:
                await received.answer(OK + OK)
            elif choice == 6:
                await never.wait()
            elif choice == 7:
                await received.answer(
                    b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
                )
            else:
                await received.answer()

        async with contextlib.AsyncExitStack() as stack:
            receivers = [await stack.enter_async_context(receiving(behave)) for _ in range(3)]
            notifications = await stack.enter_async_context(sending(connections_per_endpoint=3))
            sent: dict[tuple[int, int], list[str]] = defaultdict(list)
            for number in range(300):
                where, key = rng.randrange(3), rng.randrange(5)
                body = f"{where}/{key}/{number}"
                sent[where, key].append(body)
                url = receivers[where].url()
                notifications.send(body, url, key=key, timeout_s=0.2)
                if not rng.randrange(10):
                    await asyncio.sleep(0)
            assert await notifications.notifier.drain(50) == 0
            never.set()
            for (where, key), bodies in sent.items():
                arrived = [b for b in receivers[where].bodies if b.startswith(f"{where}/{key}/")]
                # In order; a second time only right after the first.
                without_repeats = list(dict.fromkeys(arrived))
                assert sorted(arrived, key=without_repeats.index) == arrived
                assert without_repeats == [body for body in bodies if body in set(arrived)]
                for body in bodies:
                    assert len(notifications.outcomes[body]) == 1
            statistics = notifications.notifier.statistics()
            assert statistics.sent + statistics.failed == 300
            assert statistics.outstanding_bytes == 0

    run(scenario())


# Name look-ups


def test_a_name_is_looked_up_once_at_a_time_and_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "LOOKUPS_MAX", 2)
    answers = threading.Event()
    asked: list[str] = []

    def getaddrinfo(host: str, *arguments: Any, **fields: Any) -> Any:
        asked.append(host)
        assert answers.wait(30)
        if host == "bad":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def scenario() -> None:
        resolver = HostResolver(asyncio.get_running_loop())
        first = [asyncio.create_task(resolver.resolve("good", 80)) for _ in range(5)]
        bad = asyncio.create_task(resolver.resolve("bad", 80))
        waiting = asyncio.create_task(resolver.resolve("third", 80))
        given_up = asyncio.create_task(resolver.resolve("fourth", 80))
        await asyncio.sleep(0)
        given_up.cancel()
        first[0].cancel()  # the others still get their answer
        await asyncio.sleep(0)
        answers.set()
        for task in first[1:]:
            assert [(found["host"], found["port"]) for found in await task] == [
                ("::1", 80),
                ("127.0.0.1", 80),
            ]
        with pytest.raises(OSError, match="unknown"):
            await bad
        assert len(await waiting) == 2
        (v4,) = await resolver.resolve("good", 443, socket.AF_INET)
        assert (v4["host"], v4["port"]) == ("127.0.0.1", 443)
        assert asked.count("good") == 1
        with pytest.raises(OSError, match="unknown"):
            await resolver.resolve("bad", 80)  # asked again: failures are not kept
        assert asked.count("bad") == 2
        assert "fourth" not in asked
        await resolver.close()

    try:
        run(scenario())
    finally:
        answers.set()
