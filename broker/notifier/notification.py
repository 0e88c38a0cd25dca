"""A notification on its way, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

TOO_BIG: Final = "total outgoing message size is too big"
STOPPED: Final = "broker stopped before the notification could be delivered"
INTERNAL_ERROR: Final = "internal error"


class Outcome(NamedTuple):
    """How a notification ended. Exactly one of `status` and `failure` is there.

    at: epoch seconds. status: the HTTP status, whatever it is (Orion counts any response as a
    success). failure: why there was no response, in libcurl's words (`lastFailureReason`).
    response_bytes: what was read of the response's body.
    """

    at: float
    status: int | None
    failure: str | None
    response_bytes: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Notification:
    """One request to one receiver.

    `headers` are sent in this order and spelling; the sender adds Host and Content-Length.
    `timeout_s` bounds the whole exchange, name lookup, connecting and redirects included; zero
    or less means the notifier's default. `order_key` (hashable) names what must stay in order
    towards one endpoint: subscription and entity. `on_result` is called exactly once for every
    notification that `Notifier.send` accepted, on the loop, never from within `send`.
    """

    subscription_id: str
    tenant: str
    url: str
    method: str = "POST"
    headers: dict[str, str]
    body: bytes
    timeout_s: float
    order_key: object
    on_result: Callable[[Notification, Outcome], None]
    size_bytes: int = field(init=False, default=0)
    """What it counts for in memory, set by `Notifier.send`."""
