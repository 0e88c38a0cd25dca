"""Receivers of notifications that do not do their part, or not at once; and closed ports."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple, cast

WAIT_TIMEOUT_S: Final = 30.0  # as for an answer: only a hanging broker reaches it

_POLL_INTERVAL_S: Final = 0.01


def await_closed_port(port: int) -> None:
    """Wait until nobody listens at a port of this machine any more."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        assert time.monotonic() < deadline
        time.sleep(_POLL_INTERVAL_S)


def _url(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/notify"


@contextmanager
def refuse_connections() -> Iterator[str]:
    """The URL of a port at which nobody listens, and nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield _url(bound)


@contextmanager
def never_answer() -> Iterator[str]:
    """The URL of a port where connections are made (by the system) and nothing is read."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield _url(listening)


class RawEndpoint:
    """Reads one request of every connection, answers with fixed bytes and closes.

    `bodies` holds the bodies of the requests that were read, as they come.
    """

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self.bodies: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = _url(self._listening)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            with connection, connection.makefile("rb") as stream:
                length = 0
                while line := stream.readline().strip():
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                if length:
                    self.bodies.put(stream.read(length))
                    connection.sendall(self._reply)
                # Bytes that are not read would turn the end of the connection into a reset.
                connection.shutdown(socket.SHUT_WR)
                while stream.read(4096):
                    pass

    def __enter__(self) -> RawEndpoint:
        return self

    def __exit__(self, *exception: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(WAIT_TIMEOUT_S)


class HoldingReceiver:
    """Takes notifications; answers those of held entities only when they are let go."""

    def __init__(self, *held: str) -> None:
        self.gates = {entity_id: threading.Event() for entity_id in held}
        self.arrived: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._server = _HoldingServer(("127.0.0.1", 0), _HoldingHandler)
        self._server.receiver = self
        self.url = _url(self._server.socket)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def next(self) -> dict[str, Any]:
        """The entity of the next notification that arrives, held or not; waits for it."""
        return self.arrived.get(timeout=WAIT_TIMEOUT_S)

    def let_go(self, *held: str) -> None:
        """Answer what is held of these entities (none: of all), now and from now on."""
        for entity_id in held or self.gates:
            self.gates[entity_id].set()

    def __enter__(self) -> HoldingReceiver:
        return self

    def __exit__(self, *exception: object) -> None:
        self.let_go()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _HoldingServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # handlers wait for further requests of connections kept open
    receiver: HoldingReceiver


class _HoldingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = cast(_HoldingServer, self.server).receiver
        [entity] = json.loads(body)["data"]
        receiver.arrived.put(entity)
        if gate := receiver.gates.get(entity["id"]):
            gate.wait(WAIT_TIMEOUT_S)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep standard error for the tests."""


class AnsweringReceiver:
    """Takes notifications and answers each with the status that `judge` gives for its entity.

    `arrivals` holds the entity, the status and the headers of each, as they come.
    """

    def __init__(self, judge: Callable[[dict[str, Any]], int]) -> None:
        self.judge = judge
        self.arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self._server = _AnsweringServer(("127.0.0.1", 0), _AnsweringHandler)
        self._server.receiver = self
        self.url = _url(self._server.socket)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def next(self) -> Arrival:
        """The next notification that arrives; waits for it."""
        return self.arrivals.get(timeout=WAIT_TIMEOUT_S)

    def take_accepted(self, count: int) -> list[Arrival]:
        """The next `count` notifications that were answered with success."""
        accepted: list[Arrival] = []
        while len(accepted) < count:
            arrival = self.next()
            if arrival.status < 300:
                accepted.append(arrival)
        return accepted

    def __enter__(self) -> AnsweringReceiver:
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Arrival(NamedTuple):
    """A notification, and how it was answered."""

    entity: dict[str, Any]
    status: int
    headers: dict[str, str]


class _AnsweringServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # handlers wait for further requests of connections kept open
    receiver: AnsweringReceiver


class _AnsweringHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = cast(_AnsweringServer, self.server).receiver
        [entity] = json.loads(body)["data"]
        status = receiver.judge(entity)
        receiver.arrivals.put(Arrival(entity, status, dict(self.headers)))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep standard error for the tests."""
