"""What engine and publisher ask of others, as small Protocols; the wiring gives the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

from broker.mqtt import MqttMessage
from broker.notifier import Notification


class JournalPort(Protocol):
    """Where every change goes before it is acknowledged (`broker.journal`)."""

    def load(self) -> Iterator[tuple[bytes, bytes]]:
        """The latest (key, JSON document) of everything kept."""

    def admit(self, change_bytes: int = ..., /) -> None:
        """Raise InternalServerError when no change of that size can be kept now."""

    def put(self, key: bytes, document: bytes) -> None:
        """Keep a whole document."""

    def patch(self, key: bytes, patch: bytes) -> None:
        """Keep a change of a document (JSON merge patch, RFC 7386)."""

    def delete(self, key: bytes) -> None:
        """Forget a document."""

    def committed(self) -> asyncio.Future[None]:
        """The future of this tick's commit."""


class NotifierPort(Protocol):
    """Where notifications go after their change was committed (`broker.notifier`)."""

    def send(self, message: Notification | MqttMessage, /) -> bool:
        """Queue a notification; False when it is dropped."""
