"""The replay: what is sent to the broker, in which order and how fast.

Owns loading, subscribing, the streams of updates and their pace. A city's updates are sent one
after the other, each when the one before is answered, so their order is that of the file; the
cities and the airports run side by side.

The pace comes from the receiver: no update leaves while `UNRECEIVED_MAX` notifications are still
to come. A broker's queue for one receiver is bounded, and one that is never full drops nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

from demo.client import BrokerError, Client
from demo.data import Airport
from demo.receiver import Receiver
from demo.scenario import (
    AIRPORT_TYPE,
    CITIES,
    SUBSCRIPTIONS,
    City,
    Update,
    airport_entity,
    weather_entity,
)

BATCH_LENGTH: Final = 500  # airports; about 300 KB, less than the 1 MB that brokers take
PAGE_LENGTH: Final = 1000  # the largest page of NGSIv2
AIRPORT_STREAMS: Final = 4  # airports updated at once, beside the two cities
UNRECEIVED_MAX: Final = 64  # keeps the broker's connections busy, far below its queue's length


class Replay:
    """One run against the broker of `client`, with notifications to `receiver`.

    `sent` counts updates answered, by the name of the city or "airports"; `began_at` and
    `ended_at` (time.perf_counter) are the first request and the last answer of the replay.
    """

    AIRPORTS: Final = "airports"

    def __init__(self, client: Client, receiver: Receiver, silence_s: float) -> None:
        """`silence_s`: how long without a notification means that no more will come."""
        self._client = client
        self._receiver = receiver
        self._silence_s = silence_s
        self._announced = 0
        self._subscription_ids: dict[str, str] = {}  # by the subscription's name
        self.sent = dict.fromkeys((*(city.name for city in CITIES), self.AIRPORTS), 0)
        self.began_at = 0.0
        self.ended_at = 0.0
        self.is_stalled = False

    async def check_empty(self) -> None:
        """Raise BrokerError if there are entities already: they would be mistaken for ours."""
        reply = await self._client.request("GET", "/v2/entities?limit=1&options=count")
        count = reply.headers.get("Fiware-Total-Count")
        if count is None:
            raise BrokerError(f"{self._client.url}: does not answer as an NGSIv2 broker does")
        if count != "0":
            raise BrokerError(
                f"the broker at {self._client.url} has {count} entities in a tenant that is new: "
                "it does not keep tenants apart (see its flag --multiservice)"
            )

    async def load(self, airports: Iterable[Airport]) -> None:
        """Create the airports, in batches."""
        for batch in _batches(map(airport_entity, airports)):
            await self._client.request(
                "POST", "/v2/op/update", {"actionType": "append", "entities": batch}
            )

    async def read_airports(self) -> list[dict[str, Any]]:
        """All entities of airports as the broker has them, in normalized form."""
        found: list[dict[str, Any]] = []
        while True:
            reply = await self._client.request(
                "GET",
                f"/v2/entities?type={AIRPORT_TYPE}&limit={PAGE_LENGTH}&offset={len(found)}",
            )
            found += reply.body
            if len(reply.body) < PAGE_LENGTH:
                return found

    async def subscribe(self) -> None:
        """Create all subscriptions, with the receiver's URLs."""
        for subscription in SUBSCRIPTIONS:
            reply = await self._client.request(
                "POST", "/v2/subscriptions", subscription.document(self._receiver.url(subscription))
            )
            location = reply.headers.get("Location", "")
            self._subscription_ids[subscription.name] = location.rpartition("/")[2]

    async def run(self, cities: Mapping[str, Iterable[Update]], airports: Iterable[Update]) -> None:
        """Send all updates, those of `cities` by the city's name.

        Ends early, with `is_stalled`, when notifications that must come do not; raises
        BrokerError when the broker refuses an update or does not answer.
        """
        self.began_at = time.perf_counter()
        touches = iter(airports)
        try:
            async with asyncio.TaskGroup() as streams:
                for city in CITIES:
                    streams.create_task(self._replay_city(city, cities[city.name]))
                for _ in range(AIRPORT_STREAMS):
                    streams.create_task(self._touch_airports(touches))
        except ExceptionGroup as group:
            # One failure ends all streams; the first tells what is wrong.
            raise group.exceptions[0] from None
        finally:
            self.ended_at = time.perf_counter()

    async def _replay_city(self, city: City, updates: Iterable[Update]) -> None:
        create = True
        for update in updates:
            if not await self._may_send(update):
                return
            if create:
                await self._client.request("POST", "/v2/entities", weather_entity(city, update))
                create = False
            else:
                await self._patch(update)
            self.sent[city.name] += 1

    async def _touch_airports(self, updates: Iterator[Update]) -> None:
        for update in updates:
            if not await self._may_send(update):
                return
            await self._patch(update)
            self.sent[self.AIRPORTS] += 1

    async def _patch(self, update: Update) -> None:
        await self._client.request(
            "PATCH", f"/v2/entities/{update.change.entity_id}/attrs", update.attributes
        )

    async def _may_send(self, update: Update) -> bool:
        """Wait for the turn of an update; False when the replay is to end."""
        self._announced += update.notifications
        room = self._announced - UNRECEIVED_MAX
        if not self.is_stalled and not await self._receiver.await_count(room, self._silence_s):
            self.is_stalled = True
        if self.is_stalled:
            return False
        self._receiver.note_sent(update.change)
        return True

    async def read_deliveries(self) -> dict[str, dict[str, Any]]:
        """What the broker tells of deliveries: `notification` of each subscription, by name."""
        told = {}
        for name, subscription_id in self._subscription_ids.items():
            reply = await self._client.request("GET", f"/v2/subscriptions/{subscription_id}")
            told[name] = reply.body["notification"]
        return told

    async def unsubscribe(self) -> None:
        """Delete the subscriptions: their receiver goes away."""
        while self._subscription_ids:
            _, subscription_id = self._subscription_ids.popitem()
            await self._client.request("DELETE", f"/v2/subscriptions/{subscription_id}")

    async def remove(self, entities: Iterable[str]) -> None:
        """Delete entities by their ids, in batches, as far as they are there."""
        for batch in _batches({"id": entity_id} for entity_id in entities):
            try:
                await self._client.request(
                    "POST", "/v2/op/update", {"actionType": "delete", "entities": batch}
                )
            except BrokerError as error:
                # Some were never created: the replay ended early. The others are deleted.
                if error.status != HTTPStatus.NOT_FOUND:
                    raise


def _batches(entities: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(entities)
    while batch := list(islice(rest, BATCH_LENGTH)):
        yield batch
