"""A receiver of notifications that can be made to wait before it answers."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

WAIT_S = 60.0  # only a broker that does not do what it has to is waited for so long


class Receiver:
    """Takes notifications on a port of its own and keeps their bodies.

    With `hold()` it answers nothing until `release()`; what arrives meanwhile counts.
    """

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._bodies: list[Any] = []
        self._gate = threading.Event()
        self._gate.set()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/notify"

    @property
    def bodies(self) -> list[Any]:
        """The notifications so far, in order of arrival."""
        with self._arrived:
            return list(self._bodies)

    def hold(self) -> None:
        """Answer nothing from now on."""
        self._gate.clear()

    def release(self) -> None:
        """Answer again, also what arrived meanwhile."""
        self._gate.set()

    def wait(self, count: int) -> None:
        """Wait until `count` notifications arrived; AssertionError if they do not."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self._bodies) >= count, WAIT_S), (
                f"{len(self._bodies)} of {count} notifications arrived"
            )

    def take(self, body: bytes) -> None:
        """Keep a notification, and wait as long as answers are held back."""
        with self._arrived:
            self._bodies.append(json.loads(body))
            self._arrived.notify_all()
        self._gate.wait(WAIT_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # joined by server_close
    request_queue_size = 64

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        # A handler waits for the next request of its connection: the end of file wakes it.
        with self._lock:
            for connection in self._open:
                connection.shutdown(socket.SHUT_RD)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A broker that was killed is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.receiver.take(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep standard error for the tests."""
