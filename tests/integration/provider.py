"""A context provider that answers as a test has it answer, and registrations for it."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from tests.integration.conftest import Api

WAIT_TIMEOUT_S: Final = 30.0  # only a hanging broker reaches it


@dataclass(frozen=True, slots=True)
class Forwarded:
    """One request that the provider got; `path` with the query."""

    path: str
    headers: Message = field(repr=False)
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider answers."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def payload(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class ScriptedProvider:
    """Answers every request with `answer`, or with what it makes of the request.

    While `gate` is closed (`clear()`), no request is answered.
    """

    def __init__(self) -> None:
        self.answer: Answer | Callable[[Forwarded], Answer] = Answer([])
        self.gate = threading.Event()
        self.gate.set()
        self._requests: queue.SimpleQueue[Forwarded] = queue.SimpleQueue()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self.url = f"http://127.0.0.1:{self._server.server_port}/v2"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def take(self, request: Forwarded) -> Answer:
        """Remember a request and answer it (called by the server's threads)."""
        self._requests.put(request)
        self.gate.wait(WAIT_TIMEOUT_S)
        return self.answer if isinstance(self.answer, Answer) else self.answer(request)

    def next(self) -> Forwarded:
        """The next request; waits for it."""
        return self._requests.get(timeout=WAIT_TIMEOUT_S)

    def take_all(self) -> list[Forwarded]:
        """The requests so far: all of them, once the client has its answer."""
        taken = []
        while not self._requests.empty():
            taken.append(self._requests.get())
        return taken

    def __enter__(self) -> ScriptedProvider:
        return self

    def __exit__(self, *exception: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # handlers wait for further requests of connections kept open
    provider: ScriptedProvider


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = cast(_Server, self.server).provider.take(
            # Not self.path: http.server makes one slash of several at its beginning.
            Forwarded(self.requestline.split()[1], self.headers, body)
        )
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.payload)))
        self.end_headers()
        if answer.status != 204:
            with contextlib.suppress(ConnectionError):  # who waits no longer, hangs up
                self.wfile.write(answer.payload)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep standard error for the tests."""


def register(
    api: Api,
    url: str,
    *entities: Mapping[str, str],
    attributes: tuple[str, ...] = (),
    service_path: str | None = None,
    mode: str = "all",
    legacy: bool = False,
    **members: Any,
) -> str:
    """Register a provider of these entities; returns the registration's id."""
    document = {
        "dataProvided": {"entities": list(entities), "attrs": list(attributes)},
        "provider": {
            "http": {"url": url},
            "supportedForwardingMode": mode,
            "legacyForwarding": legacy,
        },
        **members,
    }
    reply = api.post("/v2/registrations", document, service_path=service_path)
    assert reply.status == 201, reply
    return reply.headers["Location"].removeprefix("/v2/registrations/")


def shown(entity_id: str, entity_type: str = "T", **values: Any) -> dict[str, Any]:
    """An entity as it is created and shown: attributes of type Text without metadata."""
    return {
        "id": entity_id,
        "type": entity_type,
        **{
            name: {"type": "Text", "value": value, "metadata": {}} for name, value in values.items()
        },
    }
