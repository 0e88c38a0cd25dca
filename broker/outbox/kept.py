"""A notification that is kept, and its record in the journal.

n <tenant> <subscription id> <sequence>   {"t": made, "e": entity id,
                                           "http": {"method", "url", "headers", "timeout"}
                                           or "mqtt": {"url", "topic", "qos", "retain",
                                                       "user", "password"},
                                           "body": text, or "base64": of other bytes}
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Final

import orjson

from broker.messages import Message
from broker.mqtt import MqttMessage
from broker.notifier import Notification, Outcome
from broker.records import SEPARATOR

KIND: Final = "n"  # of the record, beside those of broker.records

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
"""Names the notification, the same in every try (draft-ietf-httpapi-idempotency-key-header)."""

REDELIVERY: Final = "Rigel-Redelivery"
"""The number of the try, from the second on: the receiver may have had the notification."""

OVERHEAD_BYTES: Final = 1024
"""Counted for each kept notification beside its body: objects, headers, places in queues."""


@dataclass(slots=True, eq=False)
class KeptNotification:
    """One notification of a durable subscription.

    `sequence` grows with time, also over restarts. `made` is in seconds since 1970. `tries` counts
    those that began, one for all those before a restart.
    """

    sequence: int
    made: float
    message: Message
    tries: int = 0
    is_under_way: bool = False

    @property
    def entity_id(self) -> str:
        """What is kept in order: the notifications about one entity."""
        key: tuple[str, str] = self.message.order_key  # type: ignore[assignment]
        return key[1]

    @property
    def body(self) -> bytes:
        """The body, whatever the protocol."""
        return self.message.body

    @property
    def size_bytes(self) -> int:
        """What it counts for in memory."""
        return len(self.message.body) + OVERHEAD_BYTES

    @property
    def key(self) -> bytes:
        """The key of its record."""
        message = self.message
        return SEPARATOR.join(
            (KIND, message.tenant, message.subscription_id, str(self.sequence))
        ).encode()

    def begin_try(self) -> Message:
        """The message as it goes out this time: named, and flagged where it is not the first.

        MQTT 3.1.1 has no place for either.
        """
        self.tries += 1
        message = self.message
        if isinstance(message, Notification):
            if self.tries == 1:
                name = f'"{message.subscription_id}-{self.sequence}"'
                message.headers = {**message.headers, IDEMPOTENCY_KEY: name}
            else:
                message.headers[REDELIVERY] = str(self.tries)
        return message


def encode_kept(kept: KeptNotification) -> bytes:
    """The document of its record."""
    message = kept.message
    document: dict[str, Any] = {"t": kept.made, "e": kept.entity_id}
    if isinstance(message, Notification):
        document["http"] = {
            "method": message.method,
            "url": message.url,
            "headers": message.headers,
            "timeout": message.timeout_s,
        }
    else:
        document["mqtt"] = {
            "url": message.url,
            "topic": message.topic,
            "qos": message.qos,
            "retain": message.retain,
            "user": message.user,
            "password": message.password,
        }
    try:
        document["body"] = message.body.decode()
    except UnicodeDecodeError:
        document["base64"] = b64encode(message.body).decode()
    return orjson.dumps(document)


def decode_kept(tenant: str, identity: list[str], document: bytes) -> KeptNotification:
    """The notification of a key's [subscription id, sequence] and its document.

    It counts as tried: whether it went out before the restart is not known. Raises LookupError,
    TypeError or ValueError.
    """
    subscription_id, sequence = identity
    state = orjson.loads(document)
    order_key = (subscription_id, state["e"])
    body = state["body"].encode() if "body" in state else b64decode(state["base64"])
    message: Message
    if "http" in state:
        request = state["http"]
        message = Notification(
            subscription_id=subscription_id,
            tenant=tenant,
            url=request["url"],
            method=request["method"],
            headers={
                **request["headers"],
                IDEMPOTENCY_KEY: f'"{subscription_id}-{sequence}"',
            },
            body=body,
            timeout_s=request["timeout"],
            order_key=order_key,
            on_result=_ignore,
        )
    else:
        message = MqttMessage(
            subscription_id=subscription_id,
            tenant=tenant,
            body=body,
            order_key=order_key,
            on_result=_ignore,
            **state["mqtt"],
        )
    return KeptNotification(int(sequence), float(state["t"]), message, tries=1)


def _ignore(message: Message, outcome: Outcome) -> None:
    """The place of `on_result` until the first try sets it."""
