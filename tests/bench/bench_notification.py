"""What a notification costs between the update that causes it and the socket, step by step.

    python tests/bench/bench_notification.py

Prints microseconds of CPU in this process, without the kernel's part and without the event loop:
sockets are imitated. 64 updates a turn of the loop, each of which notifies one subscription; what
a tenth of the turns stayed below. No part of the test suite.

- engine: an ordinary update of two attributes, nobody subscribed
- publish: what the same update costs more with a subscription that matches, until its
  notification waits for the commit
- send: the notifier takes a notification; a few go out at once, the others wait
- answer: a response is read, counted and recorded, and the next request is made and written
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop

from broker.alarms import Alarms
from broker.deliveries import WatchedDeliveries
from broker.deprecations import Deprecations
from broker.engine import Engine
from broker.journal import Durability, Journal
from broker.logs import LogLimits
from broker.messages import MessageRules
from broker.notifier import Notifier
from broker.origin import Origin
from broker.outbox import DeliveryRules
from broker.sender import Endpoint, HttpSender
from broker.sender.dialer import Dialer
from broker.sender.wire import Wire
from broker.service_metrics import ServiceMetrics
from broker.statistics import Statistics
from broker.update import PLAIN_UPDATE
from ngsi.model import EntityUpdate, UpdateAction
from ngsi.v2.entities import decode_attributes, decode_entity
from ngsi.v2.subscriptions import decode_subscription

UPDATES_A_TURN: Final = 64
TURNS: Final = 200
ENTITIES: Final = 1000
CONNECTIONS: Final = 4
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
SUBSCRIPTION: Final = {
    "subject": {"entities": [{"idPattern": ".*", "type": "Room"}]},
    "notification": {"http": {"url": "http://127.0.0.1:1/notify"}},
}


class Silence:
    """A transport that leads nowhere."""

    def write(self, data: bytes) -> None:
        """Forget it."""

    def pause_reading(self) -> None:
        """There is nothing to read."""

    def resume_reading(self) -> None:
        """There is nothing to read."""

    def abort(self) -> None:
        """There is nothing to close."""


class NoDialer(Dialer):
    """Connects to nothing, at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, insecure=False)
        self.wires: list[Wire] = []
        self.connected = asyncio.Event()

    async def dial(self, endpoint: Endpoint, protocol: asyncio.Protocol) -> None:
        """Tell the protocol of a transport."""
        assert isinstance(protocol, Wire)
        protocol.attach(Silence())  # type: ignore[arg-type]
        self.wires.append(protocol)
        if len(self.wires) == CONNECTIONS:
            self.connected.set()


class NoSender(HttpSender):
    """HTTP without sockets."""

    def __init__(self) -> None:
        super().__init__(insecure=False)

    async def start(self) -> None:
        self.dialer = self._dialer = NoDialer(asyncio.get_running_loop())


class Collector:
    """Takes notifications instead of a notifier."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def send(self, message: Any, /) -> bool:
        """Keep it."""
        self.messages.append(message)
        return True


class OverHttp:
    """The way out of those who subscribe over HTTP."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def send(self, message: Any, /) -> bool:
        """Queue it."""
        return self._notifier.send(message)


class Costs:
    """What steps cost, by name."""

    def __init__(self) -> None:
        self._costs_us: dict[str, list[float]] = {}
        self._start = 0

    def start(self) -> None:
        """A turn's worth of a step begins."""
        self._start = time.process_time_ns()

    def stop(self, name: str) -> None:
        """It has ended."""
        spent_us = (time.process_time_ns() - self._start) / UPDATES_A_TURN / 1000
        self._costs_us.setdefault(name, []).append(spent_us)

    def us(self, name: str) -> float:
        """What a tenth of the turns stayed below."""
        costs = sorted(self._costs_us[name])
        return costs[len(costs) // 10]


async def update(engine: Engine, turn: int, costs: Costs, name: str) -> None:
    """One turn of updates, and their commit."""
    updates = []
    for number in range(turn * UPDATES_A_TURN, (turn + 1) * UPDATES_A_TURN):
        document = {"temperature": {"value": number % 97 + 0.5}, "humidity": {"value": number % 89}}
        attributes = decode_attributes(orjson.dumps(document), False)
        updates.append(EntityUpdate(f"Room{number % ENTITIES}", None, attributes))
    origins = [Origin(correlator=f"2b6e0000-213c-4091-861c-{turn:012}") for _ in updates]
    costs.start()
    for origin, each in zip(origins, updates, strict=True):
        engine.update_entity(origin, each, UpdateAction.UPDATE, PLAIN_UPDATE)
    costs.stop(name)
    await engine.committed()
    await asyncio.sleep(0)


def answer(wires: list[Wire]) -> None:
    """Answer a turn's worth of requests."""
    left = UPDATES_A_TURN
    while left:
        for wire in wires[:left]:
            wire.data_received(ANSWER)
        left -= len(wires[:left])


async def measure(directory: Path) -> Costs:
    """All steps."""
    journal = Journal.open(directory, Durability.PROCESS)
    list(journal.load())
    journal.start(asyncio.get_running_loop())
    limits = LogLimits(1000, 1000)
    collector, costs, sender = Collector(), Costs(), NoSender()
    notifier = Notifier(
        queue_length=10 * UPDATES_A_TURN,
        connections_per_endpoint=CONNECTIONS,
        default_timeout_s=5.0,
        max_message_bytes=1 << 20,
        insecure=False,
        sender=sender,
    )
    await notifier.start()
    statistics = Statistics()
    deliveries = WatchedDeliveries(
        OverHttp(notifier), Alarms(limits, relog=False), ServiceMetrics(), statistics
    )
    engine = Engine(
        journal,
        collector,
        time.time,
        MessageRules(timeout_s=1.0, max_length=1000),
        DeliveryRules(1, 1, 1, 1),
        Deprecations(limits, statistics),
    )
    for number in range(ENTITIES):
        document = {"id": f"Room{number}", "type": "Room", "name": {"value": "x"}}
        document |= {"temperature": {"value": 1}, "humidity": {"value": 2}}
        entity = decode_entity(orjson.dumps(document), False)
        engine.create_entity(Origin(), entity, False, PLAIN_UPDATE)
    await engine.committed()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as the broker does
    for turn in range(TURNS):
        await update(engine, turn, costs, "engine")
    subscription = decode_subscription(SUBSCRIPTION, engine.new_id(), "/#")
    engine.put_subscription("", subscription)
    await engine.committed()
    for turn in range(TURNS, 2 * TURNS):
        await update(engine, turn, costs, "engine and publish")
        messages, collector.messages = collector.messages, []
        costs.start()
        for message in messages:
            deliveries.send(message)
        costs.stop("send")
        await sender.dialer.connected.wait()
        costs.start()
        answer(sender.dialer.wires)
        costs.stop("answer")
    await notifier.close()
    await journal.close()
    return costs


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        costs = uvloop.run(measure(Path(directory) / "journal"))
    engine_us = costs.us("engine")
    publish_us = costs.us("engine and publish") - engine_us
    steps_us = {
        "engine": engine_us,
        "publish": publish_us,
        "send": costs.us("send"),
        "answer": costs.us("answer"),
    }
    for name, cost_us in steps_us.items():
        print(f"{name:8} {cost_us:6.2f} us")


if __name__ == "__main__":
    main()
