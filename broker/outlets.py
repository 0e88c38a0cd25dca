"""The ways out: notifications go over HTTP or MQTT, each with its own queues."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from broker.mqtt import MqttMessage, MqttNotifier
from broker.notifier import Notification, Notifier, Outcome


class Outlets:
    """Hands each notification to the notifier of its protocol.

    With `simulated` (Orion's `-simulatedNotification`) nothing leaves: each notification
    counts as delivered the moment it is made.
    """

    def __init__(self, http: Notifier, mqtt: MqttNotifier, simulated: bool = False) -> None:
        self.http = http
        self.mqtt = mqtt
        self.simulated = 0  # notifications counted and not sent
        self._is_simulated = simulated

    def send(self, message: Notification | MqttMessage, /) -> bool:
        """Queue a notification; False when it is dropped."""
        if self._is_simulated:
            self.simulated += 1
            outcome = Outcome(at=time.time(), status=None, failure=None)
            tell: Callable[[Any, Outcome], None] = message.on_result
            tell(message, outcome)
            return True
        if isinstance(message, Notification):
            return self.http.send(message)
        return self.mqtt.send(message)

    async def start(self) -> None:
        """Make ready; connections open with the first notification to a receiver."""
        await self.http.start()

    async def drain(self, timeout_s: float) -> int:
        """Wait until all is delivered; returns what is left after `timeout_s` each."""
        return await self.http.drain(timeout_s) + await self.mqtt.drain(timeout_s)

    async def close(self) -> None:
        """End all connections."""
        await self.http.close()
        await self.mqtt.close()
