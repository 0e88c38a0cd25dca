"""What engine and publisher ask of others; the wiring gives the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from _native.ticks import TickRecords

if TYPE_CHECKING:
    from broker.mqtt import MqttMessage
    from broker.notifier import Notification


class JournalPort(TickRecords):
    """Where every change goes before it is acknowledged (`broker.journal`).

    No Protocol: the update kernel appends to it without a call of Python.
    """

    def load(self) -> Iterator[tuple[bytes, bytes]]:
        """The latest (key, JSON document) of everything kept."""
        raise NotImplementedError


class NotifierPort(Protocol):
    """Where notifications go after their change was committed (`broker.notifier`)."""

    def send(self, message: Notification | MqttMessage, /) -> bool:
        """Queue a notification; False when it is dropped."""
