"""The receiver of notifications: answers each with 200 and counts them.

`Receiver` starts it as a process of its own, so that its CPU is not the broker's; run as
`python -m loadtests.receiver` this module is that process. It prints its port, and then, for
each line with a number, how many notifications came as soon as they are that many, or as soon
as no more of them come.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

import uvloop

from loadtests.cpu_time import pin
from loadtests.load_client import END_TIMEOUT_S

SILENCE_S: Final = 15.0  # without any notification: those that are missing do not come

_ROOT: Final = Path(__file__).resolve().parents[1]
_RESPONSE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


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
            [sys.executable, "-m", "loadtests.receiver"],
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


class _Counter:
    def __init__(self) -> None:
        self.count = 0
        self._wanted = sys.maxsize
        self._reached = asyncio.Event()

    def add(self, number: int) -> None:
        self.count += number
        if self.count >= self._wanted:
            self._reached.set()

    async def wait(self, wanted: int) -> int:
        self._wanted = wanted
        self._reached.clear()
        while self.count < wanted:
            before = self.count
            try:
                async with asyncio.timeout(SILENCE_S):
                    await self._reached.wait()
            except TimeoutError:
                if self.count == before:
                    break
        return self.count


class _Connection(asyncio.Protocol):
    def __init__(self, counter: _Counter) -> None:
        self._counter = counter
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance: uvloop's transports stand outside asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        complete = 0
        while (length := measure_request(data)) is not None and length <= len(data):
            data = data[length:]
            complete += 1
        self._rest = data
        if complete:
            self._transport.write(_RESPONSE * complete)
            self._counter.add(complete)


def measure_request(data: bytes) -> int | None:
    """The length of the request that begins in `data`; None if its head is not complete.

    Raises ValueError for a request without Content-Length.
    """
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    name, _, value = data[:head_end].lower().partition(b"\r\ncontent-length:")
    if not value:
        raise ValueError(f"a notification without Content-Length: {name!r}")
    return head_end + 4 + int(value.partition(b"\r\n")[0])


async def serve() -> None:
    """Receive until standard input ends."""
    loop = asyncio.get_running_loop()
    counter = _Counter()
    server = await loop.create_server(lambda: _Connection(counter), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        print(await counter.wait(int(line)), flush=True)


if __name__ == "__main__":
    uvloop.run(serve())
