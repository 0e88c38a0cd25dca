"""The receiver of notifications: answers each with 200 and counts them.

By itself, beside JMeter or any other load:

    python loadtests/receiver.py --host 127.0.0.1 --port 8085

It tells every second how many came, and answers `GET /notifications` with
`{"received": N, "out_of_order": N, "latency_us": {...}}`. `Receiver` starts it as a process of
a benchmark, so that its CPU is not the broker's; `NotificationServer` is the server itself, for
a program that has a loop already.

Cost: some 5 microseconds of CPU per notification, some 10 when stamps are read.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import orjson
import uvloop

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from loadtests.cpu_time import pin
from loadtests.load_client import END_TIMEOUT_S, LATENCIES_MAX, LoadError
from loadtests.stamp import measure_age_us, read_stamps

SILENCE_S: Final = 15.0  # without any notification: those that are missing do not come
ORDERS_MAX: Final = 100_000  # pairs of path and entity that are followed; some 200 bytes each
REQUEST_MAX_BYTES: Final = 16 * 1024 * 1024  # twice the largest message that a broker sends

_REPORT_S: Final = 1.0  # between two lines of a receiver by itself
_ROOT: Final = Path(__file__).resolve().parents[1]
_RESPONSE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_REFUSAL: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_PERCENTILES: Final = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "p999": 0.999, "max": 1.0}


class Receiver:
    """A running receiver; a context manager that ends it. `cpu`: where to run."""

    def __init__(self, cpu: int | None) -> None:
        self._cpu = cpu
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it takes notifications."""
        return f"http://127.0.0.1:{self.port}/notify"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.receiver", "--controlled"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        pin(self._process.pid, self._cpu)
        self.port = self._read_number()
        return self

    def wait(self, count: int) -> int:
        """Wait until `count` notifications came since the start; returns how many did."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return self._read_number()

    def _read_number(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

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


class Arrivals:
    """The notifications that must have come to a receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._expected = 0

    def expect(self, count: int) -> None:
        """Wait for `count` more; raises LoadError if some do not come."""
        self._expected += count
        arrived = self._receiver.wait(self._expected)
        if arrived != self._expected:
            raise LoadError(f"{arrived} of {self._expected} notifications arrived")


class NotificationServer:
    """Counts notifications; with `stamped`, also how old each is and whether they are in order.

    `count` is of requests. `latencies_us` are of the entities that carry a stamp, up to
    LATENCIES_MAX. `out_of_order` counts stamps older than the one before them, of the same
    entity at the same path.
    """

    def __init__(self, stamped: bool = False) -> None:
        self.count = 0
        self.out_of_order = 0
        self.latencies_us = array("Q")
        self._stamped = stamped
        self._latest: dict[tuple[bytes, str], int] = {}
        self._wanted = sys.maxsize
        self._reached = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), host, port)
        chosen: int = self._server.sockets[0].getsockname()[1]
        return chosen

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def wait(self, wanted: int, silence_s: float = SILENCE_S) -> int:
        """Wait until `wanted` came, or none for `silence_s`; returns how many did."""
        self._wanted = wanted
        self._reached.clear()
        while self.count < wanted:
            before = self.count
            try:
                async with asyncio.timeout(silence_s):
                    await self._reached.wait()
            except TimeoutError:
                if self.count == before:
                    break
        return self.count

    def take(self, path: bytes, body: bytes) -> None:
        """Count one notification. Raises ValueError for what is none, where stamps are read."""
        if self._stamped:
            for entity_id, stamp in read_stamps(body):
                self._follow((path, entity_id), stamp)
        self.count += 1
        if self.count >= self._wanted:
            self._reached.set()

    def _follow(self, key: tuple[bytes, str], stamp: int) -> None:
        if len(self.latencies_us) < LATENCIES_MAX:
            self.latencies_us.append(max(measure_age_us(stamp), 0))
        latest = self._latest.get(key)
        if latest is None:
            if len(self._latest) < ORDERS_MAX:
                self._latest[key] = stamp
        elif stamp < latest:
            self.out_of_order += 1
        else:
            self._latest[key] = stamp

    def as_document(self) -> dict[str, Any]:
        """What came so far."""
        return {
            "received": self.count,
            "out_of_order": self.out_of_order,
            "latency_us": summarize_us(self.latencies_us),
        }


def summarize_us(latencies_us: Sequence[int]) -> dict[str, int]:
    """Percentiles, by nearest rank; empty without latencies."""
    ordered = sorted(latencies_us)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {name: ordered[round(share * last)] for name, share in _PERCENTILES.items()}


class _Connection(asyncio.Protocol):
    def __init__(self, server: NotificationServer) -> None:
        self._server = server
        self._rest = b""
        self._continued = False  # whether the request under way has leave to send its body
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance: uvloop's transports stand outside asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        answers = []
        try:
            while (length := measure_request(data)) is not None and length <= len(data):
                answers.append(self._answer(data[:length]))
                data = data[length:]
            if max(length or 0, len(data)) > REQUEST_MAX_BYTES:
                raise ValueError("a request that is too large")
        except ValueError as error:
            print(f"receiver: refused: {error}", file=sys.stderr)
            self._transport.write(b"".join(answers) + _REFUSAL)
            self._transport.close()
            return
        if answers:
            self._continued = False
        if length is not None and not self._continued and is_awaited(data):
            self._continued = True
            answers.append(_CONTINUE)
        self._rest = data
        if answers:
            self._transport.write(b"".join(answers))

    def _answer(self, request: bytes) -> bytes:
        method, path, _ = request.split(b" ", 2)
        if method == b"GET":
            body = orjson.dumps(self._server.as_document())
            return (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
        self._server.take(path, request[request.index(b"\r\n\r\n") + 4 :])
        return _RESPONSE


def measure_request(data: bytes) -> int | None:
    """The length of the request that begins in `data`; None if its head is not complete.

    Raises ValueError for a request with a body and without Content-Length.
    """
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    name, _, value = data[:head_end].lower().partition(b"\r\ncontent-length:")
    if not value:
        if data.startswith(b"GET "):
            return head_end + 4
        raise ValueError(f"a notification without Content-Length: {name!r}")
    return head_end + 4 + int(value.partition(b"\r\n")[0])


def is_awaited(data: bytes) -> bool:
    """Whether a sender waits for leave to send the body, as libcurl does with large ones."""
    return b"\r\nexpect: 100-continue" in data[: data.find(b"\r\n\r\n") + 2].lower()


async def serve_controlled() -> None:
    """Receive until standard input ends; each line of it asks for a count."""
    loop = asyncio.get_running_loop()
    server = NotificationServer()
    print(await server.start("127.0.0.1", 0), flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        print(await server.wait(int(line)), flush=True)


async def serve(host: str, port: int) -> None:
    """Receive until SIGINT or SIGTERM, and tell what comes. Raises OSError."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    server = NotificationServer(stamped=True)
    chosen = await server.start(host, port)
    print(f"Receives at http://{host}:{chosen}/notify", flush=True)
    told = 0
    while not ended.is_set():
        try:
            async with asyncio.timeout(_REPORT_S):
                await ended.wait()
        except TimeoutError:
            pass
        if server.count != told:
            told = server.count
            print(f"{told} notifications", flush=True)
    print(orjson.dumps(server.as_document()).decode(), flush=True)


def main(argv: Sequence[str]) -> int:
    """Serve; returns the exit code."""
    parser = argparse.ArgumentParser(description="Receives notifications and counts them.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8085, help="0 for a free one")
    parser.add_argument("--controlled", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.controlled:
        uvloop.run(serve_controlled())
        return 0
    try:
        uvloop.run(serve(arguments.host, arguments.port))
    except (OSError, OverflowError) as error:
        print(f"receiver: cannot listen on port {arguments.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
