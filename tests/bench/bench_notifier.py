"""What notifications cost over loopback, and how long they take beside receivers that are down.

    python tests/bench/bench_notifier.py

A receiver in a process of its own answers 200 to everything. The log is off.

- CPU of the sending process per notification, for each number of lanes: aiohttp alone (as many
  tasks with a request each as there are lanes), then the notifier. Both numbers come from the
  same run, in turns, the least of several rounds each, so that they can be compared on a busy
  machine.
- Time from `send` to the response of a receiver: alone; beside 99 others that answer; beside 99
  that refuse connections; beside 99 that never answer (each is given up after its timeout). All
  hundred are notified in the same turn of the loop, the one at a random place among them. In
  turns, the round with the least 99th percentile of each.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import random
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import TypeAlias, cast

import aiohttp
import uvloop

from broker.notifier import Notification, Notifier, Outcome

Delivery: TypeAlias = Callable[[], Awaitable[None]]

NOTIFICATIONS = 8_000  # in a round; some seconds in all
ROUNDS = 5
LANES = (1, 16)
ENTITIES = 64  # order keys; more than lanes, so that none waits for want of another key

HEADERS = {
    "User-Agent": "orion/4.7.0 rigel/0.1.0",
    "Fiware-Service": "city",
    "Fiware-ServicePath": "/",
    "Accept": "application/json",
    "Content-Type": "application/json; charset=utf-8",
    "Fiware-Correlator": "87f708a8-1776-11eb-b327-000c29df7908; cbnotif=1",
    "Ngsiv2-AttrsFormat": "normalized",
}
BODY = (
    b'{"subscriptionId":"5f914177334436ea590f6edb","data":[{"id":"urn:ngsi-ld:Room:123",'
    b'"type":"Room","temperature":{"type":"Number","value":21.7,"metadata":{}}}]}'
)
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


UPDATES = 101  # of a round, each notified to all receivers
UPDATES_PER_S = 50
OTHERS = 99
SILENCE_S = 0.5  # after which a receiver that does not answer is given up
SEED = 20


class Receiver(asyncio.Protocol):
    """Counts on every request having the body above, and one in flight per connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head >= 0 and len(self._received) >= head + 4 + len(BODY):
            self._received = b""
            self._transport.write(REPLY)


def receive(pipe: Pipe) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(Receiver, "127.0.0.1", 0) for _ in range(1 + OTHERS)]
        pipe.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.gather(*(server.serve_forever() for server in servers))

    uvloop.run(serve())


async def send_with_aiohttp(stack: AsyncExitStack, url: str, lanes: int) -> Delivery:
    session = await stack.enter_async_context(
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
        )
    )

    async def lane() -> None:
        for _ in range(NOTIFICATIONS // lanes):
            async with session.post(url, data=BODY, headers=HEADERS) as response:
                await response.read()

    async def deliver() -> None:
        await asyncio.gather(*(lane() for _ in range(lanes)))

    return deliver


async def send_with_notifier(stack: AsyncExitStack, url: str, lanes: int) -> Delivery:
    notifier = Notifier(
        queue_length=NOTIFICATIONS,
        connections_per_endpoint=lanes,
        default_timeout_s=5.0,
        max_message_bytes=1 << 20,
        insecure=False,
    )
    await notifier.start()
    stack.push_async_callback(notifier.close)

    def delivered(notification: Notification, outcome: Outcome) -> None:
        assert outcome.status == 200, outcome

    async def deliver() -> None:
        for number in range(NOTIFICATIONS):
            accepted = notifier.send(
                Notification(
                    subscription_id="5f914177334436ea590f6edb",
                    tenant="city",
                    url=url,
                    headers=HEADERS,
                    body=BODY,
                    timeout_s=5.0,
                    order_key=number % ENTITIES,
                    on_result=delivered,
                )
            )
            assert accepted
        assert await notifier.drain(60.0) == 0

    return deliver


async def measure(ports: list[int]) -> None:
    url, *answering = (f"http://127.0.0.1:{port}/notify" for port in ports)
    print("us of CPU per notification: aiohttp alone, notifier, difference")
    for lanes in LANES:
        async with AsyncExitStack() as stack:
            ways = (
                await send_with_aiohttp(stack, url, lanes),
                await send_with_notifier(stack, url, lanes),
            )
            alone, notifier = await spend(ways)
        print(f"{lanes:3d} lanes: {alone:7.1f} {notifier:7.1f} {notifier - alone:+7.1f}")
    print(f"ms to the response of one receiver, {UPDATES_PER_S} updates/s: p50, p99; CPU used")
    with refuse_connections(OTHERS) as refusing, never_answer(OTHERS) as silent:
        scenes: dict[str, list[str]] = {
            "alone": [],
            f"beside {OTHERS} that answer": answering,
            f"beside {OTHERS} that refuse": refusing,
            f"beside {OTHERS} that never answer": silent,
        }
        least = {name: (float("inf"), 0.0, 0.0) for name in scenes}
        for _ in range(ROUNDS):
            for name, others in scenes.items():
                before = time.process_time()
                p50, p99 = await time_one(url, others)
                busy = (time.process_time() - before) * UPDATES_PER_S / UPDATES
                least[name] = min(least[name], (p99, p50, busy))
        for name, (p99, p50, busy) in least.items():
            print(f"{name:28s}: {p50:7.3f} {p99:7.3f} {busy:6.0%}")


async def time_one(url: str, others: list[str]) -> tuple[float, float]:
    """Median and 99th percentile of the milliseconds until the receiver's response."""
    notifier = Notifier(
        queue_length=100,
        connections_per_endpoint=4,
        default_timeout_s=SILENCE_S,
        max_message_bytes=1 << 20,
        insecure=False,
    )
    await notifier.start()
    times_ms: list[float] = []
    rng = random.Random(SEED)
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(UPDATES):
        await asyncio.sleep(max(0.0, start + number / UPDATES_PER_S - loop.time()))
        targets = [*others, url]
        rng.shuffle(targets)
        for target in targets:
            sent = time.perf_counter()

            def end(notification: Notification, outcome: Outcome, sent: float = sent) -> None:
                if notification.url == url:
                    assert outcome.status == 200, outcome
                    times_ms.append((time.perf_counter() - sent) * 1e3)

            notifier.send(
                Notification(
                    subscription_id="5f914177334436ea590f6edb",
                    tenant="city",
                    url=target,
                    headers=HEADERS,
                    body=BODY,
                    timeout_s=SILENCE_S,
                    order_key=number % ENTITIES,
                    on_result=end,
                )
            )
    await notifier.drain(2 * SILENCE_S)
    await notifier.close()
    del times_ms[:1]  # it opened the connection
    return statistics.median(times_ms), statistics.quantiles(times_ms, n=100)[98]


@contextmanager
def refuse_connections(number: int) -> Iterator[list[str]]:
    """URLs of ports that are taken and at which nobody listens."""
    with ExitStack() as stack:
        yield [_bind(stack) for _ in range(number)]


@contextmanager
def never_answer(number: int) -> Iterator[list[str]]:
    """URLs of ports where connections are made (by the system) and nothing is read."""
    with ExitStack() as stack:
        yield [_bind(stack, backlog=128) for _ in range(number)]


def _bind(stack: ExitStack, backlog: int | None = None) -> str:
    bound = stack.enter_context(socket.socket())
    bound.bind(("127.0.0.1", 0))
    if backlog is not None:
        bound.listen(backlog)
    return f"http://127.0.0.1:{bound.getsockname()[1]}/notify"


async def spend(ways: tuple[Delivery, ...]) -> list[float]:
    """Microseconds of CPU per notification, the least of all rounds, for each of the ways."""
    least = [float("inf")] * len(ways)
    for _ in range(ROUNDS):
        for index, deliver in enumerate(ways):
            before = time.process_time()
            await deliver()
            spent_us = (time.process_time() - before) / NOTIFICATIONS * 1e6
            least[index] = min(least[index], spent_us)
    return least


def main() -> None:
    logging.getLogger("rigel.notifier").setLevel(logging.CRITICAL)  # of full queues
    # As the broker does, see broker/__main__.py.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    ours, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    try:
        uvloop.run(measure(ours.recv()))
    finally:
        receiver.terminate()
        receiver.join()


if __name__ == "__main__":
    main()
