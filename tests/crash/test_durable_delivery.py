"""A durable notification is never lost, whenever the broker is killed.

One client updates entities while the receiver refuses at random; the broker is killed over and
over. Whatever was acknowledged arrives at least once, in order, and repeats are flagged.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast

import pytest

from broker.launch import BrokerProcess
from tests.crash.writers import ANSWER_TIMEOUT_S, Change, Crowd, get, send

KILLS: Final = {"process": 12, "power": 6}
ANSWERS: Final = (1, 60)  # acknowledged changes before the kill
LONGEST_DELAY_S: Final = 0.01
REFUSED: Final = 0.02  # part of the notifications that the receiver answers with 503
ENTITIES: Final = 3
POLL_S: Final = 0.05


class Taker:
    """A receiver that keeps what it accepts, and refuses a part."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._lock = threading.Lock()
        # By entity: number, Idempotency-Key and whether it was flagged, in order of arrival.
        self.accepted: dict[str, list[tuple[int, str, bool]]] = defaultdict(list)
        self.accepts_all = False
        self._server = _TakerServer(("127.0.0.1", 0), _TakerHandler)
        self._server.taker = self
        self.url = f"http://127.0.0.1:{self._server.server_port}/notify"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def take(self, body: Any, key: str, is_flagged: bool) -> int:
        """The status for a notification."""
        with self._lock:
            if not self.accepts_all and self._chance.random() < REFUSED:
                return 503
            [entity] = body["data"]
            item = (entity["number"]["value"], key, is_flagged)
            self.accepted[entity["id"]].append(item)
            return 204

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _TakerServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    taker: Taker


class _TakerHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = cast(_TakerServer, self.server).taker.take(
            body, self.headers["Idempotency-Key"], "Rigel-Redelivery" in self.headers
        )
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep standard error for the tests."""


class NumberedUpdates:
    """Updates of a few entities, each with the next number; knows what was acknowledged."""

    def __init__(self) -> None:
        self._number = 0
        self.acknowledged: list[int] = []

    def run(self, port: int, stop: threading.Event, on_answer: Callable[[], None]) -> None:
        """Update until `stop` is set or the connection ends."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
        try:
            while not stop.is_set():
                self._number += 1
                name = f"E{self._number % ENTITIES}"
                body = {"id": name, "number": {"value": self._number}}
                path = "/v2/entities?options=upsert"
                send(connection, Change("POST", path, body, 204, {}))
                self.acknowledged.append(self._number)
                on_answer()
        except (ConnectionError, http.client.HTTPException):
            pass
        finally:
            connection.close()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("durability", ["process", "power"])
def test_nothing_is_lost(durability: str, tmp_path: Path) -> None:
    chance = random.Random(20261121)
    taker = Taker(chance)
    updates = NumberedUpdates()
    crowd = Crowd([updates])
    broker = BrokerProcess(
        tmp_path / "data",
        ["--durability", durability, "--durable-max-pause-s", "1", "--segment-bytes", "65536"],
    )
    try:
        with broker:
            subscription_id = _prepare(broker, taker.url)
            for _ in range(KILLS[durability]):
                with crowd.work(broker.port):
                    crowd.wait(chance.randint(*ANSWERS))
                    threading.Event().wait(chance.random() * LONGEST_DELAY_S)
                    broker.kill()
                broker.start()
            taker.accepts_all = True
            deadline = time.monotonic() + ANSWER_TIMEOUT_S
            while "pending" in _notification(broker, subscription_id):
                assert time.monotonic() < deadline
                time.sleep(POLL_S)
            assert "discarded" not in _notification(broker, subscription_id)
    finally:
        taker.close()
    arrived = {number for items in taker.accepted.values() for number, _, _ in items}
    assert set(updates.acknowledged) <= arrived
    for items in taker.accepted.values():
        numbers = [number for number, _, _ in items]
        assert numbers == sorted(numbers)
        seen: dict[str, int] = {}
        for number, key, is_flagged in items:
            assert is_flagged or key not in seen
            assert seen.setdefault(key, number) == number


def _prepare(broker: BrokerProcess, url: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", broker.port, timeout=ANSWER_TIMEOUT_S)
    for at in range(ENTITIES):
        body = {"id": f"E{at}", "number": {"value": 0}}
        send(connection, Change("POST", "/v2/entities", body, 201, {}))
    subscription = {
        "subject": {"entities": [{"idPattern": ".*"}]},
        "notification": {"http": {"url": url}, "durable": True},
    }
    location = send(connection, Change("POST", "/v2/subscriptions", subscription, 201, {}))
    connection.close()
    return location.rpartition("/")[2]


def _notification(broker: BrokerProcess, subscription_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = get(f"{broker.url}/v2/subscriptions/{subscription_id}")["notification"]
    return shown
