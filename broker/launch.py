"""A broker as a child process: started, awaited, stopped. For the demo, benchmarks and tests.

The child is a real `rigel broker` with a free port, so what is tried is what users run.
"""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

START_TIMEOUT_S: Final = 60.0  # with some data to load on a busy machine
HTTP_TIMEOUT_S: Final = 60.0  # for one answer of a broker that has work to do
STOP_TIMEOUT_S: Final = 30.0
_LISTENS: Final = re.compile(r"Rigel listens on \S+?:(\d+)\b")
_POLL_INTERVAL_S: Final = 0.02


class BrokerProcess:
    """One running broker; a context manager that ends it.

    `directory` is its data directory; standard error goes to `log`, by default beside it. With
    `trust` it is one that serves HTTPS, with a certificate that `trust` accepts. It has
    `start_timeout_s` from listening until it is ready: data is loaded meanwhile.
    """

    def __init__(
        self,
        directory: Path,
        arguments: Sequence[str] = (),
        port: int = 0,
        trust: ssl.SSLContext | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self.directory = directory
        self.log = directory.with_name(f"{directory.name}.log")
        self._arguments = [
            sys.executable,
            "-m",
            "broker",
            "--port",
            str(port),
            "--local-ip",
            "127.0.0.1",
            "--data-dir",
            str(directory),
            *arguments,
        ]
        self._process: subprocess.Popen[str] | None = None
        self.port = port
        self._trust = trust
        self._start_timeout_s = start_timeout_s

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash."""
        scheme = "http" if self._trust is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait until it is ready; raises RuntimeError with its log if it ends."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            listens = _LISTENS.search(line)
            if listens:
                self.port = int(listens[1])
                try:
                    self._await_ready()
                except BaseException:
                    self.kill()
                    raise
                return self
        self._process.wait()
        self._process.stdout.close()
        self._process = None
        raise RuntimeError(f"the broker did not start:\n{self.log.read_text()}")

    def _await_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + self._start_timeout_s
        while True:
            try:
                with urllib.request.urlopen(
                    f"{self.url}/ready", timeout=HTTP_TIMEOUT_S, context=self._trust
                ):
                    return
            except (urllib.error.URLError, ConnectionError):
                if self._process.poll() is not None:
                    raise RuntimeError(
                        f"the broker ended while it loaded:\n{self.log.read_text()}"
                    ) from None
                if time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_INTERVAL_S)

    def stop(self) -> int:
        """End it with SIGTERM, as an operator does; returns its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        process.send_signal(number)
        try:
            code = process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
            self._process = None
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
