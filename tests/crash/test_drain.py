"""SIGTERM loses nothing: requests are answered, notifications delivered, changes kept.

And before that: a broker is not ready, and says so, until its data is loaded.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from broker.journal import Durability, Journal
from broker.journal.compaction import compact
from broker.journal.recovery import list_directory
from broker.launch import BrokerProcess
from loadtests.servers import choose_port
from tests.crash.receiver import Receiver
from tests.crash.writers import ANSWER_TIMEOUT_S, Crowd, Writer, get, read_world

ROUNDS: Final = 5  # of writers that are interrupted
WRITERS: Final = 4
ANSWERS: Final = (20, 200)  # acknowledged changes before the signal
LONGEST_DELAY_S: Final = 0.01  # then, so that it falls anywhere in a turn of the broker's loop
CONNECTIONS: Final = 16
NOTIFICATIONS: Final = 40  # ten times what is in flight to one receiver
STORED_ENTITIES: Final = 60_000  # take a good part of a second to load


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def post(broker: BrokerProcess, path: str, document: Any) -> None:
    """One request on a connection of its own; fails unless it succeeds."""
    request = urllib.request.Request(
        f"{broker.url}{path}", json.dumps(document).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S):
        pass


def read_answer(connection: socket.socket) -> int:
    """The status of the response that comes next; raises ConnectionError if none comes."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        response.read()
        return response.status
    finally:
        response.close()


def make_creation(number: int) -> bytes:
    """The bytes of a request for a new entity."""
    body = json.dumps({"id": f"Room{number}", "number": {"value": number}}).encode()
    head = (
        "POST /v2/entities HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def connect(broker: BrokerProcess, sockets: ExitStack) -> list[socket.socket]:
    """Connections that the broker has accepted and answered on once."""
    connections = []
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", broker.port), ANSWER_TIMEOUT_S)
        connections.append(sockets.enter_context(connection))
        connection.sendall(b"GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert read_answer(connection) == 200
    return connections


@pytest.mark.timeout(180)
def test_changes_that_were_acknowledged_are_kept_and_those_kept_were_acknowledged(
    tmp_path: Path, receiver: Receiver
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    writers = [Writer(f"w{n}", chance.random(), receiver.url) for n in range(WRITERS)]
    crowd = Crowd(writers)
    with BrokerProcess(tmp_path / "data", ["--segment-bytes", "65536"]) as broker:
        for _ in range(ROUNDS):
            with crowd.work(broker.port):
                crowd.wait(chance.randint(*ANSWERS))
                threading.Event().wait(chance.random() * LONGEST_DELAY_S)
                assert broker.stop() == 0
            broker.start()
            world, ids = read_world(broker.url)
            for writer in writers:
                # What was accepted was answered; so what was not answered was not accepted.
                writer.settle(world, ids, may_be_applied=False)


def test_requests_that_were_sent_before_the_signal_are_answered(
    tmp_path: Path, sockets: ExitStack
) -> None:
    """The broker is halted meanwhile, so that it finds the signal and the requests together."""
    with BrokerProcess(tmp_path / "data") as broker:
        connections = connect(broker, sockets)
        os.kill(broker.pid, signal.SIGSTOP)
        for number, connection in enumerate(connections):
            connection.sendall(make_creation(number))
        os.kill(broker.pid, signal.SIGTERM)
        os.kill(broker.pid, signal.SIGCONT)
        assert [read_answer(connection) for connection in connections] == [201] * CONNECTIONS
        assert broker.stop() == 0
        broker.start()
        assert len(get(f"{broker.url}/v2/entities?limit=1000")) == CONNECTIONS


def test_a_request_that_is_being_read_at_the_signal_is_answered(
    tmp_path: Path, sockets: ExitStack
) -> None:
    with BrokerProcess(tmp_path / "data") as broker:
        connections = connect(broker, sockets)
        requests = [make_creation(number) for number in range(CONNECTIONS)]
        for connection, request in zip(connections, requests, strict=True):
            connection.sendall(request[:-1])
        assert get(f"{broker.url}/version")  # then it has read what came before
        os.kill(broker.pid, signal.SIGTERM)
        await_refusal(broker)
        for connection, request in zip(connections, requests, strict=True):
            connection.sendall(request[-1:])
        assert [read_answer(connection) for connection in connections] == [201] * CONNECTIONS
        assert broker.stop() == 0
        broker.start()
        assert len(get(f"{broker.url}/v2/entities?limit=1000")) == CONNECTIONS


def test_queued_notifications_are_delivered_and_counted(tmp_path: Path, receiver: Receiver) -> None:
    with BrokerProcess(tmp_path / "data") as broker:
        subscribe(broker, receiver)
        receiver.hold()
        update(broker, NOTIFICATIONS)
        receiver.wait(1)  # the others wait in the broker, or are in flight
        os.kill(broker.pid, signal.SIGTERM)
        await_refusal(broker)
        receiver.release()
        assert broker.stop() == 0
        numbers = [body["data"][0]["number"]["value"] for body in receiver.bodies]
        assert sorted(numbers) == list(range(NOTIFICATIONS))
        broker.start()
        (subscription,) = get(f"{broker.url}/v2/subscriptions")
        assert subscription["notification"]["timesSent"] == NOTIFICATIONS
        assert subscription["notification"]["lastSuccessCode"] == 200
        assert "failsCounter" not in subscription["notification"]


def test_a_receiver_that_never_answers_does_not_keep_the_broker(
    tmp_path: Path, receiver: Receiver
) -> None:
    with BrokerProcess(tmp_path / "data", ["--shutdown-timeout-s", "1"]) as broker:
        subscribe(broker, receiver)
        receiver.hold()
        update(broker, NOTIFICATIONS)
        receiver.wait(1)
        assert broker.stop() == 0
        assert f"{NOTIFICATIONS} notifications were not delivered" in broker.log.read_text()
        broker.start()
        (subscription,) = get(f"{broker.url}/v2/subscriptions")
        assert subscription["notification"]["timesSent"] == NOTIFICATIONS
        assert subscription["notification"]["failsCounter"] == NOTIFICATIONS


def subscribe(broker: BrokerProcess, receiver: Receiver) -> None:
    """A subscription to all entities."""
    post(
        broker,
        "/v2/subscriptions",
        {
            "subject": {"entities": [{"idPattern": ".*"}]},
            "notification": {"http": {"url": receiver.url}},
        },
    )


def update(broker: BrokerProcess, count: int) -> None:
    """Changes that make one notification each."""
    for number in range(count):
        post(broker, "/v2/entities", {"id": f"Room{number}", "number": {"value": number}})


def await_refusal(broker: BrokerProcess) -> None:
    """Wait until the broker accepts no more connections."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", broker.port), ANSWER_TIMEOUT_S):
                pass
        except ConnectionError:
            return
    pytest.fail("the broker goes on accepting connections")


# Readiness


def store_entities(directory: Path, count: int) -> None:
    """A data directory with a snapshot of so many entities."""

    async def write() -> None:
        journal = Journal.open(directory, Durability.PROCESS)
        journal.start(asyncio.get_running_loop())
        for number in range(count):
            key = "\x1f".join(("e", "", "/", f"Room{number}", "Room"))
            attribute = ["Number", number, {}, 1.0, 1.0]
            document = {"s": number, "c": 1.0, "m": 1.0, "l": None, "a": {"number": attribute}}
            journal.put(key.encode(), json.dumps(document).encode())
        await journal.committed()
        await journal.close()

    asyncio.run(write())
    compact(directory, max(list_directory(directory).segments))


def read_status(port: int, path: str) -> int:
    """The status of a GET; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=ANSWER_TIMEOUT_S):
            return 200
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (urllib.error.URLError, ConnectionError):
        return 0


def test_a_broker_is_not_ready_until_its_data_is_loaded(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    store_entities(directory, STORED_ENTITIES)
    entity = f"/v2/entities/Room{STORED_ENTITIES - 1}"
    broker = BrokerProcess(directory, port=choose_port())
    statuses: list[int] = []  # of /ready, without repetitions
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(broker.start)
        try:
            while statuses[-1:] != [200]:
                if started.done():
                    started.result()  # raises what kept the broker from starting
                shown = read_status(broker.port, entity)
                status = read_status(broker.port, "/ready")
                if status == 503:
                    assert shown in (0, 503)
                if statuses[-1:] != [status]:
                    statuses.append(status)
            assert statuses == [0, 503, 200]
            assert read_status(broker.port, entity) == 200
        finally:
            started.exception()
            broker.stop()
