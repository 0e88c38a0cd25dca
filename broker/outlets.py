"""The ways out: notifications go over HTTP or MQTT, each with its own queues."""

from __future__ import annotations

from broker.mqtt import MqttMessage, MqttNotifier
from broker.notifier import Notification, Notifier


class Outlets:
    """Hands each notification to the notifier of its protocol."""

    def __init__(self, http: Notifier, mqtt: MqttNotifier) -> None:
        self.http = http
        self.mqtt = mqtt

    def send(self, message: Notification | MqttMessage, /) -> bool:
        """Queue a notification; False when it is dropped."""
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
