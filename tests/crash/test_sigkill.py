"""A broker that is killed at any moment has every acknowledged change when it is back.

Writers work while the journal rotates and compacts; the broker is killed, started again on the
same data, and compared with what the writers know, over and over.
"""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from broker.journal.recovery import list_directory
from broker.launch import BrokerProcess
from tests.crash.receiver import Receiver
from tests.crash.writers import (
    ANSWER_TIMEOUT_S,
    SUBSCRIPTION,
    Change,
    Crowd,
    Writer,
    get,
    read_world,
    send,
)

KILLS: Final = {"process": 34, "power": 17}
ENDS_AFTER_KILLS: Final = 8  # then one in good order, after which counters are known exactly
WRITERS: Final = 4
ANSWERS: Final = (1, 150)  # acknowledged changes before the kill
LONGEST_DELAY_S: Final = 0.01  # then, so that it falls anywhere in a turn of the broker's loop
SEGMENT_BYTES: Final = 64 * 1024  # rotates in every round, compacts in every few
COUNTED: Final = "counted"


class CountedUpdates:
    """Updates of one entity, of which each makes one notification of one subscription."""

    def __init__(self) -> None:
        self._version = 0
        self._attempts = 0  # since the last check
        self._answers = 0
        self._times_sent = 0  # at the last check

    def create(self, port: int, url: str) -> None:
        """Make the entity and the subscription, which notifies `url`."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
        entity = {"id": COUNTED, "type": "Counted"}
        subscription = {
            "description": COUNTED,
            "subject": {"entities": [entity]},
            "notification": {"http": {"url": url}},
        }
        send(connection, Change("POST", "/v2/entities", entity, 201, {}))
        send(connection, Change("POST", "/v2/subscriptions", subscription, 201, {}))
        connection.close()

    def run(self, port: int, stop: threading.Event, on_answer: Callable[[], None]) -> None:
        """Update until `stop` is set or the connection ends."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
        try:
            while not stop.is_set():
                self._version += 1
                self._attempts += 1
                body = {"version": {"value": self._version}}
                send(connection, Change("POST", f"/v2/entities/{COUNTED}/attrs", body, 204, {}))
                self._answers += 1
                on_answer()
        except (ConnectionError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def check(self, notification: dict[str, Any], killed: bool) -> None:
        """Compare with the counters after a restart.

        A kill may take what was counted in the last second, and no more; an end in good order
        takes nothing.
        """
        times_sent = notification.get("timesSent", 0)
        if killed:
            assert self._times_sent <= times_sent <= self._times_sent + self._attempts
        else:
            assert times_sent == self._times_sent + self._answers
            assert notification["lastSuccessCode"] == 200
        assert ("lastNotification" in notification) == (times_sent > 0)
        assert "failsCounter" not in notification
        assert "lastFailure" not in notification
        self._times_sent = times_sent
        self._attempts = self._answers = 0


@pytest.mark.timeout(300)  # on a busy machine; a quiet one takes a fifth of it
@pytest.mark.parametrize("durability", ["process", "power"])
def test_kills_lose_nothing_and_leave_nothing_in_part(tmp_path: Path, durability: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # of the writers; which kill met which of their changes it cannot say
    chance = random.Random(seed)
    directory = tmp_path / "data"
    arguments = ["--durability", durability, "--segment-bytes", str(SEGMENT_BYTES)]
    broker = BrokerProcess(directory, arguments)
    with Receiver() as receiver:
        writers = [Writer(f"w{n}", chance.random(), receiver.url) for n in range(WRITERS)]
        counted = CountedUpdates()
        crowd = Crowd([*writers, counted])
        with broker:
            counted.create(broker.port, receiver.url)
            for kill in range(KILLS[durability]):
                with crowd.work(broker.port):
                    crowd.wait(chance.randint(*ANSWERS))
                    threading.Event().wait(chance.random() * LONGEST_DELAY_S)
                    broker.kill()
                broker.start()
                check(broker, writers, counted, killed=True)
                if kill % ENDS_AFTER_KILLS == ENDS_AFTER_KILLS - 1:
                    with crowd.work(broker.port):
                        crowd.wait(chance.randint(*ANSWERS))
                    assert broker.stop() == 0
                    broker.start()
                    check(broker, writers, counted, killed=False)
    listing = list_directory(directory)
    assert listing.snapshot > 1, "nothing was compacted"
    assert sum(writer.acknowledged for writer in writers) >= KILLS[durability]
    assert "Traceback" not in broker.log.read_text()


def check(
    broker: BrokerProcess, writers: list[Writer], counted: CountedUpdates, killed: bool
) -> None:
    """Compare a restarted broker with what the writers know."""
    world, ids = read_world(broker.url)
    for writer in writers:
        writer.settle(world, ids)
    unknown = [key for key in world if not any(writer.owns(key) for writer in writers)]
    assert unknown == [(SUBSCRIPTION, COUNTED)]
    subscription = get(f"{broker.url}/v2/subscriptions/{ids[COUNTED]}")
    counted.check(subscription["notification"], killed)
