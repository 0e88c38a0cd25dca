"""The load generator: keep-alive connections with one request in flight each, or more.

`Load` is the generator, for a program that has a loop already. `LoadClient` starts one as a
process of its own; run as `python -m loadtests.load_client` this module is that process. The two
talk in lines of JSON: first the plan, then what to send, each answered with one line when all
responses came.

Requests are prepared bytes, responses are framed by Content-Length and checked for their
status. Anything else (chunks, another status, a connection that ends) is an error that ends
the run: a benchmark of errors is none. Cost: about 8 microseconds of CPU per request.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from array import array
from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import uvloop

from loadtests.cpu_time import pin
from loadtests.stamp import PLACE, make_stamp

RESPONSE_TIMEOUT_S: Final = 60.0  # without any response: the server is stuck
END_TIMEOUT_S: Final = 10.0  # to end after its input was closed
LATENCIES_MAX: Final = 1_000_000  # 8 bytes each; later ones are not kept
LOOPBACK: Final = "127.0.0.1"

_ROOT: Final = Path(__file__).resolve().parents[1]
_EXCERPT_BYTES: Final = 500  # of an unexpected response, for the error message
_WITHOUT_BODY: Final = frozenset({b"204", b"304"})


class LoadError(Exception):
    """The load could not be applied; the text says why."""


class LoadClient:
    """A running load generator; a context manager that ends it.

    `requests`: one sequence per connection, which the connection repeats. `status`: the one
    that every response must have. `cpu`: where to run. `depth`: how many requests a connection
    sends before it has the response to the first (pipelining).
    """

    def __init__(
        self,
        port: int,
        requests: Sequence[Sequence[bytes]],
        status: int,
        cpu: int | None,
        depth: int = 1,
    ) -> None:
        self._cpu = cpu
        self._plan = {
            "port": port,
            "status": status,
            "depth": depth,
            "requests": [[request.decode("latin-1") for request in each] for each in requests],
        }
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.load_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        pin(self._process.pid, self._cpu)
        self._ask(self._plan)
        return self

    def send(self, count: int) -> None:
        """Send `count` requests and wait for their responses; raises LoadError."""
        self._ask({"count": count})

    def send_each(self, count: int) -> None:
        """As `send`, with exactly `count` requests from each connection."""
        self._ask({"each": count})

    def _ask(self, message: Any) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # its last line says why
        line = process.stdout.readline()
        error = json.loads(line)["error"] if line else "the load generator ended"
        if error:
            raise LoadError(error)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Load:
    """The connections, and the requests that are still to be sent.

    Arguments as of LoadClient. `stamped`: a request takes a stamp as it leaves, where it has
    the place for one. `timed`: `latencies_us` has how long each response took, up to
    LATENCIES_MAX of them.
    """

    def __init__(
        self,
        port: int,
        requests: Sequence[Sequence[bytes]],
        status: int,
        *,
        host: str = LOOPBACK,
        depth: int = 1,
        stamped: bool = False,
        timed: bool = False,
    ) -> None:
        self._host = host
        self._port = port
        self._requests = requests
        self.status = str(status).encode()
        self.depth = depth
        self.stamped = stamped
        self.timed = timed
        self.latencies_us = array("Q")
        self._connections: list[_Connection] = []
        self._turn = 0
        self.unanswered = 0
        self._ended = False
        self._failure = ""
        self._done: asyncio.Future[None] | None = None

    async def connect(self) -> None:
        """Open the connections; raises OSError."""
        loop = asyncio.get_running_loop()
        for requests in self._requests:
            make = partial(_Connection, self, requests)
            _, connection = await loop.create_connection(make, self._host, self._port)
            self._connections.append(connection)

    async def send(self, count: int) -> None:
        """Send `count` requests, each from a connection that is free; raises LoadError."""
        await self._send(_Allowance(count), count)

    async def send_each(self, count: int) -> None:
        """Send `count` requests from each connection; raises LoadError."""
        await self._send(None, count)

    async def _send(self, shared: _Allowance | None, count: int) -> None:
        self._begin()
        self.unanswered = count if shared is not None else count * len(self._connections)
        for connection in self._connections:
            connection.allowance = shared or _Allowance(count)
        for connection in self._connections:
            connection.send_more(self.depth)
        await self.wait()

    def fire(self) -> None:
        """Send one request from the next connection and do not wait; `wait` does."""
        if self._done is None or self._done.done():
            self._begin()
        self.unanswered += 1
        connection = self._connections[self._turn % len(self._connections)]
        self._turn += 1
        connection.allowance = _Allowance(1)
        connection.send_more(1)

    def _begin(self) -> None:
        if self._failure:
            raise LoadError(self._failure)
        self._done = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        """Wait for the responses to all that was sent; raises LoadError."""
        if self._done is None:
            return
        if not self.unanswered:
            self.finish()
        while not self._done.done():
            before = self.unanswered
            await asyncio.wait({self._done}, timeout=RESPONSE_TIMEOUT_S)
            if not self._done.done() and self.unanswered == before:
                raise LoadError(f"no response in {RESPONSE_TIMEOUT_S:g} s")
        self._done.result()

    def close(self) -> None:
        """Close the connections."""
        self._ended = True
        for connection in self._connections:
            connection.close()

    def take_answers(self, count: int) -> None:
        """Count responses, of one connection."""
        self.unanswered -= count
        if not self.unanswered:
            self.finish()

    def finish(self) -> None:
        """All responses are there."""
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def fail(self, reason: str) -> None:
        """The load cannot go on."""
        if self._ended:
            return
        self._failure = self._failure or reason
        if self._done is not None and not self._done.done():
            self._done.set_exception(LoadError(reason))


class _Allowance:
    """How many requests may still be sent, by one connection or by all together."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class _Connection(asyncio.Protocol):
    def __init__(self, load: Load, requests: Sequence[bytes]) -> None:
        self._load = load
        self._requests = cycle(requests)
        self._rest = b""
        self._outstanding = 0
        self._sent_at_ns: deque[int] = deque()
        self.allowance = _Allowance(0)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance: uvloop's transports stand outside asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def close(self) -> None:
        self._transport.close()

    def send_more(self, count: int) -> None:
        allowance = self.allowance
        count = min(count, allowance.left)
        if not count:
            return
        allowance.left -= count
        self._outstanding += count
        load = self._load
        requests = list(islice(self._requests, count))
        if load.stamped:
            requests = [each.replace(PLACE, make_stamp(), 1) for each in requests]
        if load.timed:
            self._sent_at_ns.extend([time.monotonic_ns()] * count)
        self._transport.write(requests[0] if count == 1 else b"".join(requests))

    def data_received(self, data: bytes) -> None:
        load = self._load
        if self._rest:
            data = self._rest + data
        answered = start = 0
        try:
            while start < len(data):
                length = measure_response(data[start:] if start else data, load.status)
                if length is None or len(data) - start < length:
                    break
                start += length
                answered += 1
        except LoadError as error:
            load.fail(str(error))
            return
        self._rest = data[start:]
        if not answered:
            return
        self._outstanding -= answered
        if self._outstanding < 0:
            load.fail("more responses than requests")
            return
        if load.timed:
            self._note_latencies(answered)
        self.send_more(answered)
        load.take_answers(answered)

    def _note_latencies(self, answered: int) -> None:
        load = self._load
        now = time.monotonic_ns()
        for _ in range(min(answered, len(self._sent_at_ns))):
            sent_at = self._sent_at_ns.popleft()
            if len(load.latencies_us) < LATENCIES_MAX:
                load.latencies_us.append((now - sent_at) // 1000)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(f"the server closed a connection: {exc or 'end of file'}")


def measure_response(data: bytes, status: bytes) -> int | None:
    """The length of the response that begins in `data`; None if its head is not complete.

    Raises LoadError for another status than `status` and for other framing than
    Content-Length.
    """
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    if data[9:12] != status:
        raise LoadError(f"unexpected response: {data[:_EXCERPT_BYTES].decode('latin-1')}")
    if status in _WITHOUT_BODY:
        return head_end + 4
    head = data[:head_end].lower()
    start = head.find(b"\r\ncontent-length:")
    if start < 0:
        raise LoadError(f"a response without Content-Length: {head.decode('latin-1')}")
    start += len(b"\r\ncontent-length:")
    line_end = head.find(b"\r\n", start)
    return head_end + 4 + int(head[start : line_end if line_end > 0 else None])


def main() -> None:
    """Take a plan from standard input, then requests to send, until it ends."""
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        plan = json.loads(sys.stdin.readline())
        requests = [[text.encode("latin-1") for text in each] for each in plan["requests"]]
        load = Load(plan["port"], requests, plan["status"], depth=plan["depth"])
        _answer(runner, load.connect())
        for line in sys.stdin:
            wanted = json.loads(line)
            if "each" in wanted:
                _answer(runner, load.send_each(wanted["each"]))
            else:
                _answer(runner, load.send(wanted["count"]))


def _answer(runner: asyncio.Runner, work: Any) -> None:
    error = ""
    try:
        runner.run(work)
    except (LoadError, OSError) as failure:
        error = str(failure)
    print(json.dumps({"error": error}), flush=True)


if __name__ == "__main__":
    main()
