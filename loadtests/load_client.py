"""The load generator: keep-alive connections with one request in flight each.

`LoadClient` starts it as a process of its own; run as `python -m loadtests.load_client` this
module is that process. The two talk in lines of JSON: first the plan, then a number of
requests to send, each answered with one line when all responses came.

Requests are prepared bytes, responses are framed by Content-Length and checked for their
status. Anything else (chunks, another status, a connection that ends) is an error that ends
the run: a benchmark of errors is none. Cost: about 8 microseconds of CPU per request.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import uvloop

from loadtests.cpu_time import pin

RESPONSE_TIMEOUT_S: Final = 60.0  # without any response: the server is stuck
END_TIMEOUT_S: Final = 10.0  # to end after its input was closed

_HOST: Final = "127.0.0.1"
_ROOT: Final = Path(__file__).resolve().parents[1]
_EXCERPT_BYTES: Final = 500  # of an unexpected response, for the error message
_WITHOUT_BODY: Final = frozenset({b"204", b"304"})


class LoadError(Exception):
    """The load could not be applied; the text says why."""


class LoadClient:
    """A running load generator; a context manager that ends it.

    `requests`: one sequence per connection, which the connection repeats. `status`: the one
    that every response must have. `cpu`: where to run.
    """

    def __init__(
        self, port: int, requests: Sequence[Sequence[bytes]], status: int, cpu: int | None
    ) -> None:
        self._cpu = cpu
        self._plan = {
            "port": port,
            "status": status,
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
        self._ask(count)

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


class _Load:
    """The connections, and the requests that are still to be sent."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._port: int = plan["port"]
        self.status = str(plan["status"]).encode()
        self._requests = [[text.encode("latin-1") for text in each] for each in plan["requests"]]
        self._connections: list[_Connection] = []
        self.unsent = 0
        self.unanswered = 0
        self._done: asyncio.Future[None] | None = None

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        for requests in self._requests:
            make = partial(_Connection, self, requests)
            _, connection = await loop.create_connection(make, _HOST, self._port)
            self._connections.append(connection)

    async def send(self, count: int) -> None:
        self._done = asyncio.get_running_loop().create_future()
        self.unsent = self.unanswered = count
        for connection in self._connections:
            connection.send_next()
        while not self._done.done():
            before = self.unanswered
            await asyncio.wait({self._done}, timeout=RESPONSE_TIMEOUT_S)
            if not self._done.done() and self.unanswered == before:
                raise LoadError(f"no response in {RESPONSE_TIMEOUT_S:g} s")
        self._done.result()

    def finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def fail(self, reason: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(LoadError(reason))


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load, requests: list[bytes]) -> None:
        self._load = load
        self._requests = cycle(requests)
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance: uvloop's transports stand outside asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def send_next(self) -> None:
        load = self._load
        if load.unsent:
            load.unsent -= 1
            self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        try:
            length = measure_response(data, self._load.status)
        except LoadError as error:
            self._load.fail(str(error))
            return
        if length is None or len(data) < length:
            self._rest = data
            return
        self._rest = b""
        if len(data) > length:
            self._load.fail("more than one response to one request")
            return
        load = self._load
        load.unanswered -= 1
        self.send_next()
        if not load.unanswered:
            load.finish()

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
        load = _Load(json.loads(sys.stdin.readline()))
        _answer(runner, load.connect())
        for line in sys.stdin:
            _answer(runner, load.send(json.loads(line)))


def _answer(runner: asyncio.Runner, work: Any) -> None:
    error = ""
    try:
        runner.run(work)
    except (LoadError, OSError) as failure:
        error = str(failure)
    print(json.dumps({"error": error}), flush=True)


if __name__ == "__main__":
    main()
