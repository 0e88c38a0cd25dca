"""Black-box tests: a real broker process, real sockets, and what a client sees of them.

One broker serves the whole session; every test has a tenant (Fiware-Service) of its own, so
tests see nothing of each other and nothing has to be cleaned up. Tests take the fixtures
`api` (a client of that tenant), `receiver` (a server for notifications) and, where flags
matter, `start_broker` (one more broker). Nothing here sleeps: whatever is awaited is awaited
by a condition with a bound that only a hanging broker reaches.

Types for annotations come from this module under TYPE_CHECKING:
`from tests.integration.conftest import Api, Connect, Receiver, StartBroker`.
"""

from __future__ import annotations

import http.client
import json
import queue
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import quote, urlencode

import pytest

from broker.launch import BrokerProcess

ANSWER_TIMEOUT_S: Final = 30.0  # a healthy broker answers in milliseconds
NO_BODY: Final = object()  # None is a JSON value that can be sent
BROKER_FLAGS: Final = (
    "-multiservice",
    "--durability",
    "process",
    "--notification-connections",
    "1",
)
# Each test of these that takes `api` runs twice, on a broker with the native lane and on one
# without it. They have what the two could tell apart: heads, bodies, URLs and errors.
WITH_AND_WITHOUT_LANE: Final = frozenset(
    {
        "test_attributes",
        "test_batch_update",
        "test_entities",
        "test_hostile_requests",
        "test_request_bodies",
        "test_request_checks",
        "test_subscription_conditions",
        "test_subscriptions",
        "test_values",
    }
)


class StartBroker(Protocol):
    """Starts one more broker; it ends with the test unless it was stopped before."""

    def __call__(self, *arguments: str, directory: Path | None = None) -> BrokerProcess: ...


class Connect(Protocol):
    """Opens a client of any broker and tenant; it is closed with the test."""

    def __call__(self, broker: BrokerProcess, tenant: str, /) -> Api: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What the broker answered. `headers` are looked up in any case."""

    status: int
    headers: Message = field(repr=False)
    text: str

    @property
    def json(self) -> Any:
        """The body, which must be declared as JSON and be JSON."""
        assert self.headers.get("Content-Type", "").startswith("application/json"), self
        return json.loads(self.text)

    @property
    def refusal(self) -> tuple[int, str, str]:
        """(status, error, description) of an error; the body must hold just these two."""
        payload = self.json
        assert sorted(payload) == ["description", "error"], self
        return self.status, payload["error"], payload["description"]


class Api:
    """A client of one tenant of one broker, over one connection that is kept open.

    `path` goes out as it is, so it must be quoted where needed; keyword arguments become URL
    parameters and are quoted here. A body is sent as JSON; bytes are sent as they are, and an
    iterator of bytes is sent in chunks.
    """

    def __init__(self, broker: BrokerProcess, tenant: str) -> None:
        self.broker = broker
        self.tenant = tenant
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", broker.port, timeout=ANSWER_TIMEOUT_S
        )

    def on(self, broker: BrokerProcess) -> Api:
        """A client of the same tenant at another broker (the caller closes it)."""
        return Api(broker, self.tenant)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def get(self, path: str, **how: Any) -> Reply:
        """GET; `how` as for `request`."""
        return self.request("GET", path, **how)

    def delete(self, path: str, **how: Any) -> Reply:
        """DELETE; `how` as for `request`."""
        return self.request("DELETE", path, **how)

    def post(self, path: str, body: Any = NO_BODY, **how: Any) -> Reply:
        """POST; `how` as for `request`."""
        return self.request("POST", path, body, **how)

    def put(self, path: str, body: Any = NO_BODY, **how: Any) -> Reply:
        """PUT; `how` as for `request`."""
        return self.request("PUT", path, body, **how)

    def patch(self, path: str, body: Any = NO_BODY, **how: Any) -> Reply:
        """PATCH; `how` as for `request`."""
        return self.request("PATCH", path, body, **how)

    def request(
        self,
        method: str,
        path: str,
        body: Any = NO_BODY,
        *,
        headers: Mapping[str, str] | None = None,
        service_path: str | None = None,
        content_type: str | None = "application/json",
        **parameters: str | int,
    ) -> Reply:
        """One request. `headers` win over what is sent by default; None parts are left out."""
        sent = {"Fiware-Service": self.tenant}
        payload: bytes | Iterable[bytes] | None = None
        if body is not NO_BODY:
            is_raw = isinstance(body, bytes | Iterator)
            payload = body if is_raw else json.dumps(body, ensure_ascii=False).encode()
            if content_type is not None:
                sent["Content-Type"] = content_type
        if service_path is not None:
            sent["Fiware-ServicePath"] = service_path
        sent |= headers or {}
        if parameters:
            path += ("&" if "?" in path else "?") + urlencode(parameters, quote_via=quote)
        self._connection.request(
            method, path, body=payload, headers=sent, encode_chunked=isinstance(body, Iterator)
        )
        response = self._connection.getresponse()
        return Reply(response.status, response.headers, response.read().decode())

    def send_bytes(self, request: bytes) -> Reply:
        """The reply to bytes that are sent as they are, on a connection of their own."""
        address = ("127.0.0.1", self.broker.port)
        with socket.create_connection(address, timeout=ANSWER_TIMEOUT_S) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            reply = Reply(response.status, response.headers, response.read().decode())
            response.close()
        return reply

    # What most tests begin with; each fails the test unless the broker did it.

    def create(self, *entities: Mapping[str, Any], **how: Any) -> None:
        """Create entities from their normalized or, with options="keyValues", short form."""
        for entity in entities:
            reply = self.post("/v2/entities", entity, **how)
            assert reply.status == 201, reply

    def subscribe(self, document: Mapping[str, Any], **how: Any) -> str:
        """Create a subscription; returns its id."""
        reply = self.post("/v2/subscriptions", document, **how)
        assert reply.status == 201, reply
        return reply.headers["Location"].removeprefix("/v2/subscriptions/")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request that the receiver got."""

    method: str
    path: str
    headers: Message = field(repr=False)
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """The entities of a notification."""
        return self.json["data"]


class Receiver:
    """A server that takes notifications and remembers them in the order of their arrival.

    `status` is what it answers; a test may change it between notifications.
    """

    def __init__(self) -> None:
        self.status = 200
        self._deliveries: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._server = _ReceiverServer(("127.0.0.1", 0), _ReceiverHandler)
        self._server.receiver = self
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/notify"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def take(self, delivery: Delivery) -> None:
        """Remember a delivery (called by the server's threads)."""
        self._deliveries.put(delivery)

    def next(self) -> Delivery:
        """The next notification; waits for it."""
        try:
            return self._deliveries.get(timeout=ANSWER_TIMEOUT_S)
        except queue.Empty:
            raise AssertionError(f"no notification within {ANSWER_TIMEOUT_S} s") from None

    def take_until_fence(self, api: Api) -> list[Delivery]:
        """All notifications of the updates made before this call, which may be none.

        A subscription of another tenant is triggered last. The broker of the session has one
        connection to each endpoint, so what was triggered before it arrives before it.
        """
        fence = f"fence{uuid.uuid4().hex}"
        with Api(api.broker, fence) as other:
            other.subscribe(
                {
                    "subject": {"entities": [{"idPattern": ".*"}]},
                    "notification": {"http": {"url": f"http://127.0.0.1:{self.port}/{fence}"}},
                }
            )
            other.create({"id": "Fence", "reached": {"value": True}})
        before: list[Delivery] = []
        while (delivery := self.next()).path != f"/{fence}":
            before.append(delivery)
        return before

    def close(self) -> None:
        """Refuse connections from now on, and end those that are open."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _ReceiverServer(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        # Handlers wait for the next request of a connection that is kept open: wake them.
        with self._lock:
            for request in self._open:
                request.shutdown(socket.SHUT_RDWR)
        super().server_close()


class _ReceiverHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _receive(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        receiver = cast(_ReceiverServer, self.server).receiver
        status = receiver.status
        receiver.take(Delivery(self.command, self.path, self.headers, body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_PATCH = do_GET = _receive  # noqa: N815 (the names are the library's)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep standard error for the tests."""


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """The broker of the session. One connection per endpoint, so that order can be tested."""
    directory = tmp_path_factory.mktemp("broker") / "data"
    with BrokerProcess(directory, BROKER_FLAGS) as process:
        yield process


@pytest.fixture(scope="session")
def broker_without_lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """As `broker`, with all requests answered through aiohttp."""
    directory = tmp_path_factory.mktemp("laneless") / "data"
    with BrokerProcess(directory, [*BROKER_FLAGS, "--no-lane"]) as process:
        yield process


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have tests of what a request may be like run with and without the lane."""
    name = metafunc.module.__name__.rpartition(".")[2]
    if name in WITH_AND_WITHOUT_LANE and "api" in metafunc.fixturenames:
        metafunc.parametrize("api", ["broker", "broker_without_lane"], indirect=True)


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """A client of a tenant that no other test has."""
    broker = request.getfixturevalue(getattr(request, "param", "broker"))
    with Api(broker, f"t{uuid.uuid4().hex}") as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server for notifications on a port of its own."""
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[StartBroker]:
    """Start one more broker with the given flags, on `directory` or one of its own."""
    with ExitStack() as stack:
        count = 0

        def start(*arguments: str, directory: Path | None = None) -> BrokerProcess:
            nonlocal count
            count += 1
            process = BrokerProcess(directory or tmp_path / f"broker-{count}", arguments)
            return stack.enter_context(process)

        yield start


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open clients of any broker and tenant; they are closed with the test."""
    with ExitStack() as stack:
        yield lambda broker, tenant: stack.enter_context(Api(broker, tenant))


@pytest.fixture(scope="module")
def other_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """Another broker, as a context provider; it has the tenants of the tests, too."""
    directory = tmp_path_factory.mktemp("provider") / "data"
    with BrokerProcess(directory, ["-multiservice"]) as process:
        yield process


@pytest.fixture
def remote(api: Api, other_broker: BrokerProcess) -> Iterator[Api]:
    """A client of the test's tenant at the other broker."""
    with api.on(other_broker) as client:
        yield client
