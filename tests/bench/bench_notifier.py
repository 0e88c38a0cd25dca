"""CPU of the sending process per notification delivered over loopback.

    python tests/bench/bench_notifier.py

A receiver in a process of its own answers 200 to everything. For each number of lanes: aiohttp
alone (as many tasks with a request each as there are lanes), then the notifier. Both numbers
come from the same run, in turns, the least of several rounds each, so that they can be compared
on a busy machine. The log is off (level WARNING).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
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
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

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


async def measure(port: int) -> None:
    url = f"http://127.0.0.1:{port}/notify"
    print("us of CPU per notification: aiohttp alone, notifier, difference")
    for lanes in LANES:
        async with AsyncExitStack() as stack:
            ways = (
                await send_with_aiohttp(stack, url, lanes),
                await send_with_notifier(stack, url, lanes),
            )
            alone, notifier = await spend(ways)
        print(f"{lanes:3d} lanes: {alone:7.1f} {notifier:7.1f} {notifier - alone:+7.1f}")


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
