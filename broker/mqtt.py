"""Notifications over MQTT: one connection and one bounded queue per MQTT broker and user.

A slow or dead broker delays nobody else. A connection is opened with the first message, used
again for the next ones, and closed when it was idle for `max_age_s` or failed. One try per
message, as over HTTP. Source: Orion's user manual, "MQTT notifications".
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import aiomqtt

from broker.notifier import Outcome
from ngsi.urls import parse_url

_log = logging.getLogger("rigel.mqtt")

_KEEPALIVE_S: Final = 60  # pings on an idle connection, so that a dead peer is noticed

# Host, port, user, password.
_Endpoint: TypeAlias = tuple[str, int, str | None, str | None]


@dataclass(slots=True)
class MqttMessage:
    """A notification to a topic of an MQTT broker; `on_result` hears of it exactly once."""

    subscription_id: str
    tenant: str
    url: str
    topic: str
    body: bytes
    qos: int
    retain: bool
    user: str | None
    password: str | None
    order_key: object
    on_result: Callable[[MqttMessage, Outcome], None]


@dataclass(slots=True, frozen=True)
class MqttStatistics:
    """Messages since the start, and those that wait now."""

    sent: int
    failed: int
    dropped: int
    queued: int


class MqttNotifier:
    """Publishes messages; `send` never blocks."""

    def __init__(self, *, queue_length: int, timeout_s: float, max_age_s: float) -> None:
        self._queue_length = queue_length
        self._timeout_s = timeout_s
        self._max_age_s = max_age_s
        self._queues: dict[_Endpoint, asyncio.Queue[MqttMessage]] = {}
        self._workers: dict[_Endpoint, asyncio.Task[None]] = {}
        self._sent = self._failed = self._dropped = 0

    def send(self, message: MqttMessage) -> bool:
        """Queue a message; False when the queue of its MQTT broker is full."""
        url = parse_url(message.url)
        assert url is not None, "the URL was checked with the subscription"
        endpoint = (url.host, url.port, message.user, message.password)
        queue = self._queues.get(endpoint)
        if queue is None:
            queue = self._queues[endpoint] = asyncio.Queue(self._queue_length)
            self._workers[endpoint] = asyncio.create_task(self._work(endpoint, queue))
        try:
            queue.put_nowait(message)
        except asyncio.QueueFull:
            self._dropped += 1
            _log.error("notification queue of %s:%d is full", url.host, url.port)
            return False
        return True

    async def _work(self, endpoint: _Endpoint, queue: asyncio.Queue[MqttMessage]) -> None:
        """Serve one MQTT broker until it was idle for long."""
        try:
            while True:
                message = await asyncio.wait_for(queue.get(), self._max_age_s)
                await self._serve(endpoint, queue, message)
        except TimeoutError:
            pass
        finally:
            del self._queues[endpoint], self._workers[endpoint]

    async def _serve(
        self, endpoint: _Endpoint, queue: asyncio.Queue[MqttMessage], message: MqttMessage
    ) -> None:
        """Connect and publish until the connection fails or was idle for long."""
        host, port, user, password = endpoint
        pending: MqttMessage | None = message
        try:
            async with aiomqtt.Client(
                host,
                port,
                username=user,
                password=password,
                timeout=self._timeout_s,
                keepalive=_KEEPALIVE_S,
            ) as client:
                while pending is not None:
                    await client.publish(pending.topic, pending.body, pending.qos, pending.retain)
                    self._finish(pending, queue, failure=None)
                    pending = None
                    pending = await asyncio.wait_for(queue.get(), self._max_age_s)
        except aiomqtt.MqttError as error:
            _log.warning("MQTT broker %s:%d: %s", host, port, error)
            if pending is not None:
                self._finish(pending, queue, failure=str(error) or "connection failed")

    def _finish(
        self, message: MqttMessage, queue: asyncio.Queue[MqttMessage], failure: str | None
    ) -> None:
        if failure is None:
            self._sent += 1
            if _log.isEnabledFor(logging.INFO):
                _log.info(
                    "MQTT Notif delivered (subId: %s): broker: %s, topic: %s, payload (%d bytes)",
                    message.subscription_id,
                    message.url,
                    message.topic,
                    len(message.body),
                )
        else:
            self._failed += 1
        queue.task_done()
        message.on_result(message, Outcome(at=time.time(), status=None, failure=failure))

    async def drain(self, timeout_s: float) -> int:
        """Wait until the queues are empty; returns what is left after `timeout_s`."""
        waiting = [asyncio.create_task(queue.join()) for queue in self._queues.values()]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=timeout_s)
            for task in late:
                task.cancel()
        return self.statistics().queued

    async def close(self) -> None:
        """End all connections; what is still queued is not sent."""
        workers = list(self._workers.values())
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def statistics(self) -> MqttStatistics:
        """The figures as they stand."""
        queued = sum(queue.qsize() for queue in self._queues.values())
        return MqttStatistics(self._sent, self._failed, self._dropped, queued)
