"""A broker without room for its data refuses changes, goes on answering, and recovers.

The limit of a file's size (RLIMIT_FSIZE) stands for the full disk: the kernel refuses to let
the journal grow, and the limit can be moved while the broker runs.
"""

from __future__ import annotations

import http.client
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from broker.journal import RESERVE_BYTES
from broker.launch import BrokerProcess
from tests.crash.writers import ANSWER_TIMEOUT_S

# A journal reserves room for the next change and something beyond it; this leaves it about a
# megabyte more than it has reserved at its start.
LIMIT_BYTES: Final = 2 * RESERVE_BYTES + 1024 * 1024
TEXT_LENGTH: Final = 256 * 1024  # of an update: few are needed
UPDATES_MAX: Final = 4 * LIMIT_BYTES // TEXT_LENGTH  # more can find no room
RECOVERY_TIMEOUT_S: Final = 30.0  # the journal looks for room every second, or when asked


class Answer(NamedTuple):
    """Status, the JSON body (None without one) and the header Location."""

    status: int
    body: Any
    location: str


class Client:
    """One connection to a broker."""

    def __init__(self, broker: BrokerProcess) -> None:
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", broker.port, timeout=ANSWER_TIMEOUT_S
        )

    def ask(self, method: str, path: str, document: Any = None) -> Answer:
        """Send a request and read its answer."""
        body = None if document is None else json.dumps(document)
        headers = {} if body is None else {"Content-Type": "application/json"}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        text = response.read()
        return Answer(
            response.status,
            json.loads(text) if text else None,
            response.headers.get("Location", ""),
        )

    def read_version(self) -> int:
        """The version of Room1, which its two attributes must agree on."""
        room = self.ask("GET", "/v2/entities/Room1?options=keyValues").body
        assert room["version"] == room["copy"]
        version: int = room["version"]
        return version

    def update(self, version: int, text_length: int = TEXT_LENGTH) -> Answer:
        """Update all attributes of Room1."""
        return self.ask(
            "PATCH", "/v2/entities/Room1/attrs?options=keyValues", room(version, text_length)
        )

    def close(self) -> None:
        self._connection.close()


def room(version: int, text_length: int) -> dict[str, Any]:
    """Attributes that name their version twice, at the beginning and at the end."""
    return {"version": version, "text": "x" * text_length, "copy": version}


@contextmanager
def connect(broker: BrokerProcess) -> Iterator[Client]:
    """A client that is closed at the end."""
    client = Client(broker)
    try:
        yield client
    finally:
        client.close()


def limit_file_size(broker: BrokerProcess, size: int | None) -> None:
    """Set the limit of a running broker, in bytes; None takes it away."""
    _, highest = resource.prlimit(broker.pid, resource.RLIMIT_FSIZE)
    limits = (highest if size is None else size, highest)
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, limits)


@contextmanager
def inherited_limit(size: int) -> Iterator[None]:
    """The limit for children that are started meanwhile."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def is_refused(answer: Answer) -> bool:
    """Whether a change was refused for want of room; anything but that or success is wrong."""
    if answer.status in (201, 204):
        return False
    assert answer.status == 500, answer
    assert answer.body["error"] == "InternalServerError"
    assert "no room" in answer.body["description"]
    return True


def fill(client: Client, first: int) -> int:
    """Update until an update is refused; the last version that was taken."""
    for version in range(first, first + UPDATES_MAX):
        if is_refused(client.update(version)):
            return version - 1
    pytest.fail("the journal grew beyond the limit")


def update_until_taken(client: Client, first: int) -> int:
    """Update until an update is taken; its version."""
    deadline = time.monotonic() + RECOVERY_TIMEOUT_S
    version = first
    while is_refused(client.update(version)):
        assert client.read_version() < first
        assert time.monotonic() < deadline, "the room was not noticed"
        version += 1
    return version


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path / "data") as process:
        yield process


def test_changes_are_refused_as_a_whole_until_there_is_room(broker: BrokerProcess) -> None:
    with connect(broker) as client:
        client.ask("POST", "/v2/entities?options=keyValues", {"id": "Room1", **room(0, 1)})
        subscription = {
            "subject": {"entities": [{"id": "Room1"}]},
            "notification": {"http": {"url": "http://127.0.0.1:1/none"}},
            "status": "inactive",
        }
        subscribed = client.ask("POST", "/v2/subscriptions", subscription).location
        registration = {
            "dataProvided": {"entities": [{"id": "Room2"}]},
            "provider": {"http": {"url": "http://127.0.0.1:1/none"}},
        }
        limit_file_size(broker, LIMIT_BYTES)
        version = fill(client, first=1)
        assert version >= 1
        assert client.read_version() == version

        created = {"id": "Room2", "version": {"value": 1}}
        both = {
            "actionType": "append",
            "entities": [{"id": name, "version": {"value": -1}} for name in ("Room1", "Room2")],
        }
        for method, path, document in (
            ("POST", "/v2/entities", created),
            ("PUT", "/v2/entities/Room1/attrs", {"version": {"value": -1}}),
            ("PUT", "/v2/entities/Room1/attrs/version", {"value": -1}),
            ("DELETE", "/v2/entities/Room1/attrs/version", None),
            ("DELETE", "/v2/entities/Room1", None),
            ("POST", "/v2/op/update", both),
            ("POST", "/v2/subscriptions", subscription),
            ("PATCH", subscribed, {"throttling": 5}),
            ("DELETE", subscribed, None),
            ("POST", "/v2/registrations", registration),
        ):
            assert is_refused(client.ask(method, path, document)), f"{method} {path}"

        def check() -> None:
            """What is read is what was acknowledged, and nothing of what was refused."""
            (entity,) = client.ask("GET", "/v2/entities").body
            assert entity["id"] == "Room1"
            assert client.read_version() == version
            (found,) = client.ask("GET", "/v2/subscriptions").body
            assert f"/v2/subscriptions/{found['id']}" == subscribed
            assert "throttling" not in found
            assert client.ask("GET", "/v2/registrations").body == []

        check()
        limit_file_size(broker, None)
        version = update_until_taken(client, first=version + 1)
        check()
        assert client.ask("POST", "/v2/entities", created).status == 201
        assert client.ask("DELETE", "/v2/entities/Room2").status == 204
    broker.kill()
    broker.start()
    with connect(broker) as client:
        check()


def test_a_broker_starts_without_room_and_answers_queries(broker: BrokerProcess) -> None:
    with connect(broker) as client:
        client.ask("POST", "/v2/entities?options=keyValues", {"id": "Room1", **room(7, 100)})
    broker.kill()
    with inherited_limit(LIMIT_BYTES - 2 * 1024 * 1024):
        broker.start()
    with connect(broker) as client:
        assert client.read_version() == 7
        assert is_refused(client.update(8))
        assert client.read_version() == 7
        limit_file_size(broker, None)
        version = update_until_taken(client, first=9)
        assert client.read_version() == version
    broker.kill()
    broker.start()
    with connect(broker) as client:
        assert client.read_version() == version


def test_a_write_that_fails_in_spite_of_the_reserved_room(broker: BrokerProcess) -> None:
    """A limit below what is reserved already: the file system breaks its word.

    Then the broker cannot refuse before the change is made. It may not acknowledge it, and
    what it shows must be what a restart finds, as a whole.
    """
    with connect(broker) as client:
        client.ask("POST", "/v2/entities?options=keyValues", {"id": "Room1", **room(0, 1)})
        assert client.update(1).status == 204
        written = max(path.stat().st_size for path in broker.directory.iterdir())
        # In the middle of the next frame.
        limit_file_size(broker, written + TEXT_LENGTH // 2)
        assert is_refused(client.update(2))
        assert client.read_version() in (1, 2)
        limit_file_size(broker, None)
        version = update_until_taken(client, first=3)
        assert client.read_version() == version
        limit_file_size(broker, written + TEXT_LENGTH // 2)
        assert is_refused(client.update(version + 1))
    broker.kill()
    broker.start()
    with connect(broker) as client:
        assert client.read_version() in (version, version + 1)
        assert client.update(version + 2).status == 204
