"""A notification on its way, and how it ended."""

from __future__ import annotations

from typing import Final, NamedTuple

from _native.notification import Heading as Heading
from _native.notification import Notification as Notification

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
