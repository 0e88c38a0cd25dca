"""The ways out: notifications go over HTTP or MQTT, each with its own queues.

In Orion's mode `threadpool` they pass through its queues and workers before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from broker.mqtt import MqttMessage, MqttNotifier
from broker.notifier import Notification, Notifier, Outcome
from broker.settings.values import NotificationMode
from broker.worker_pools import WorkerPools


class Outlets:
    """Hands each notification to the notifier of its protocol.

    With `simulated` (Orion's `-simulatedNotification`) nothing leaves: each notification
    counts as delivered the moment it is made.
    """

    def __init__(
        self,
        http: Notifier,
        mqtt: MqttNotifier,
        simulated: bool = False,
        mode: NotificationMode | None = None,
    ) -> None:
        self.http = http
        self.mqtt = mqtt
        self.simulated = 0  # notifications counted and not sent
        self._is_simulated = simulated
        self._pools: WorkerPools | None = None
        if mode is not None and mode.kind == "threadpool":
            self._pools = WorkerPools(self._send_out, mode)

    def send(self, message: Notification | MqttMessage, /) -> bool:
        """Queue a notification; False when it is dropped."""
        if self._is_simulated:
            self.simulated += 1
            outcome = Outcome(at=time.time(), status=None, failure=None)
            tell: Callable[[Any, Outcome], None] = message.on_result
            tell(message, outcome)
            return True
        if self._pools is not None:
            return self._pools.send(message)
        # As _send_out, which would be a call more for each notification.
        return (
            self.http.send(message)
            if isinstance(message, Notification)
            else self.mqtt.send(message)
        )

    def _send_out(self, message: Notification | MqttMessage) -> bool:
        if isinstance(message, Notification):
            return self.http.send(message)
        return self.mqtt.send(message)

    def count_queued(self) -> int:
        """How many notifications wait for their turn."""
        if self._pools is not None:
            return self._pools.queued_in_all()
        return self.http.statistics().queued + self.mqtt.statistics().queued

    def count_queued_of(self, service: str) -> int:
        """How many wait in the queue of a service; 0 where there are no such queues."""
        return 0 if self._pools is None else self._pools.queued(service)

    def count_dropped(self) -> int:
        """How many were dropped since the start, as there was no room."""
        dropped = self.http.statistics().dropped + self.mqtt.statistics().dropped
        return dropped if self._pools is None else dropped + self._pools.dropped

    async def start(self) -> None:
        """Make ready; connections open with the first notification to a receiver."""
        await self.http.start()

    async def drain(self, timeout_s: float) -> int:
        """Wait until all is delivered; returns how many are left after `timeout_s`."""
        if self._pools is not None:
            return await self._pools.drain(timeout_s)
        return sum(await asyncio.gather(self.http.drain(timeout_s), self.mqtt.drain(timeout_s)))

    async def close(self) -> None:
        """End all connections."""
        if self._pools is not None:
            self._pools.close()
        await self.http.close()
        await self.mqtt.close()
