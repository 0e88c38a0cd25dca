"""The demo's own receiver of notifications: an HTTP server in this process.

Owns what arrived: every change notified, per subscription and entity, with its latency. Must
not: send anything to the broker, or judge what arrived (demo/report.py does). What it keeps
grows with what it gets, up to `CHANGES_MAX`; notifications beyond that are refused.

Costs some 50 us per notification, on the loop that also sends the updates.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, Self

import orjson
from aiohttp import web

from demo.scenario import Change, Subscription

CHANGES_MAX: Final = 1_000_000  # some hundred bytes each; the whole replay leads to 35 000
FAULTS_SHOWN_MAX: Final = 5  # the first ones tell what is wrong


class Receiver:
    """A server for the notifications of `subscriptions`; an async context manager.

    `received[subscription name][entity id]` are the changes in order of arrival, `latencies_s`
    by the name the seconds from `note_sent` to the arrival of each. `count` is the number of
    changes received.
    """

    def __init__(self, subscriptions: Sequence[Subscription], host: str) -> None:
        self._subscriptions = {
            f"/{subscription.name}": subscription for subscription in subscriptions
        }
        self._host = host
        self._port = 0
        self._sent_at: dict[Change, float] = {}
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._waited = 0
        server = web.Server(self._receive, access_log=None)
        self._runner = web.ServerRunner(server)
        self.count = 0
        self.last_at = 0.0  # of time.perf_counter
        self.received: dict[str, dict[str, list[Change]]] = {
            subscription.name: defaultdict(list) for subscription in subscriptions
        }
        self.latencies_s: dict[str, list[float]] = {
            subscription.name: [] for subscription in subscriptions
        }
        self.faults: list[str] = []  # requests that were no notification of a subscription

    def url(self, subscription: Subscription) -> str:
        """Where `subscription` is to be notified."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/{subscription.name}"

    def note_sent(self, change: Change) -> None:
        """Remember that the update that leads to `change` leaves now."""
        self._sent_at[change] = time.perf_counter()

    async def await_count(self, count: int, silence_s: float) -> bool:
        """Wait until `count` changes are received; False if none comes for `silence_s`."""
        if self.count >= count:
            return True
        reached = asyncio.get_running_loop().create_future()
        self._waited += 1
        entry = (count, self._waited, reached)
        heapq.heappush(self._waiting, entry)
        while True:
            before = self.count
            await asyncio.wait((reached,), timeout=silence_s)
            if reached.done():
                return True
            if self.count == before:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
                return False

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            # Port 0: the system chooses.
            await web.TCPSite(self._runner, self._host, 0).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.BaseRequest) -> web.Response:
        arrived_at = time.perf_counter()
        subscription = self._subscriptions.get(request.path)
        if subscription is None:
            return self._refuse(404, f"{request.method} {request.path}: nobody's notification")
        try:
            changes = _changes(orjson.loads(await request.read()), subscription)
        except (KeyError, TypeError, ValueError, web.HTTPException) as error:
            return self._refuse(400, f"{subscription.name}: not a notification ({error!r})")
        if self.count + len(changes) > CHANGES_MAX:
            return self._refuse(503, f"{subscription.name}: more than {CHANGES_MAX} changes")
        for change in changes:
            self._keep(subscription, change, arrived_at)
        return web.Response(status=204)

    def _keep(self, subscription: Subscription, change: Change, arrived_at: float) -> None:
        self.received[subscription.name][change.entity_id].append(change)
        sent_at = self._sent_at.get(change)
        if sent_at is not None:
            self.latencies_s[subscription.name].append(arrived_at - sent_at)
        self.last_at = arrived_at
        self.count += 1
        while self._waiting and self._waiting[0][0] <= self.count:
            reached = heapq.heappop(self._waiting)[2]
            if not reached.done():
                reached.set_result(None)

    def _refuse(self, status: int, fault: str) -> web.Response:
        if len(self.faults) < FAULTS_SHOWN_MAX:
            self.faults.append(fault)
        return web.Response(status=status, text=fault)


def _changes(notification: Any, subscription: Subscription) -> list[Change]:
    """What a body in the format `normalized` says; raises KeyError or TypeError."""
    changes = [
        Change(entity["id"], tuple(entity[name]["value"] for name in subscription.attributes))
        for entity in notification["data"]
    ]
    hash(tuple(changes))  # TypeError for a value that is an array or object: none is sent
    return changes
