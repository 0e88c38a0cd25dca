"""The servers that are measured: nginx and the broker, each on a free port of 127.0.0.1.

The broker is started by `broker/launch.py`; here is how it is prepared for a measurement.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from broker.launch import BrokerProcess
from loadtests.cpu_time import pin
from loadtests.load_client import LoadError

START_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 10.0
HTTP_TIMEOUT_S: Final = 60.0  # for the few requests that prepare a broker
LOAD_TIMEOUT_S: Final = 1800.0  # for a start with a million of anything on a slow machine
_QUEUE_LENGTH: Final = 1_000_000  # notifications: more than a round makes
_POLL_INTERVAL_S: Final = 0.02
_SBIN: Final = "/usr/sbin/nginx"  # where Debian has it; not on the path of every user

# One worker, because the broker is one process; nothing logged, nothing looked up.
_NGINX_CONFIGURATION: Final = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 204; }}
    }}
}}
"""


class Server(Protocol):
    """What is measured, whatever it is."""

    @property
    def pid(self) -> int: ...

    @property
    def port(self) -> int: ...


def start_broker(
    running: ExitStack, directory: Path, arguments: Sequence[str], cpu: int | None
) -> BrokerProcess:
    """A broker that `running` ends."""
    broker = running.enter_context(
        BrokerProcess(directory, arguments, start_timeout_s=LOAD_TIMEOUT_S)
    )
    pin(broker.pid, cpu)
    return broker


def queue_for_all() -> list[str]:
    """Flags of a broker that drops no notification of a round, though all may wait at once."""
    return ["--notification-queue-length", str(_QUEUE_LENGTH)]


def post(url: str, body: bytes) -> None:
    """One request that prepares a broker; raises LoadError if it is refused."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S):
            pass
    except urllib.error.HTTPError as error:
        with error:
            raise LoadError(f"POST {url}: {error.code} {error.read()!r}") from None


def read_metric(url: str, name: str) -> float:
    """A figure without labels that a broker gives; raises LoadError if it does not."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=HTTP_TIMEOUT_S) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.removeprefix(name))
    raise LoadError(f"GET {url}/metrics has no {name}")


def find_nginx() -> str | None:
    """The path of nginx; None if it is not installed."""
    return shutil.which("nginx") or shutil.which(_SBIN)


def read_nginx_version(program: str) -> str:
    """The version, as in "1.22.1"."""
    answer = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)
    return answer.stderr.strip().rpartition("/")[2]


class NginxServer:
    """nginx that answers everything with 204; a context manager that ends it."""

    def __init__(self, program: str, directory: Path) -> None:
        self._program = program
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._port = choose_port()

    @property
    def pid(self) -> int:
        """The process id of the master."""
        assert self._process is not None
        return self._process.pid

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    def __enter__(self) -> Self:
        directory = self._directory
        directory.mkdir()
        configuration = directory / "nginx.conf"
        configuration.write_text(_NGINX_CONFIGURATION.format(directory=directory, port=self.port))
        log = directory / "error.log"
        self._process = subprocess.Popen(
            [self._program, "-p", str(directory), "-e", str(log), "-c", str(configuration)]
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), START_TIMEOUT_S).close()
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self._end()
                    raise RuntimeError(f"nginx did not start: {log.read_text()}") from None
                time.sleep(_POLL_INTERVAL_S)
            else:
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()  # the master ends its worker
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def choose_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
