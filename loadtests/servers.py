"""The servers that are measured: nginx and the broker, each on a free port of 127.0.0.1."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

START_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 10.0
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
