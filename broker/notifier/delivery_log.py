"""What the log says of each notification that ended. Costs nothing below level INFO but for
responses that are errors."""

from __future__ import annotations

import logging
from typing import Final

from broker.logs import NOT_AVAILABLE, LogLimits, RequestContext, request_context
from broker.notifier.notification import Notification
from broker.sender import Response

LOG_LINE_MAX_BYTES: Final = 32 * 1024
LOG_PAYLOAD_MAX_BYTES: Final = 5 * 1024
"""Orion's defaults of -logLineMaxSize and -logInfoPayloadMaxSize, where none are given."""

_log = logging.getLogger("rigel.notifier")


class DeliveryLog:
    """Writes the lines of ended notifications."""

    def __init__(self, limits: LogLimits | None) -> None:
        """`limits`: how much of a payload is shown, None for Orion's default."""
        self._limits = limits or LogLimits(
            line_max_bytes=LOG_LINE_MAX_BYTES,
            payload_max_bytes=LOG_PAYLOAD_MAX_BYTES,
            deprecate=False,
        )

    def end(
        self, notification: Notification, response: Response | None, failure: str | None
    ) -> None:
        """Say how a notification ended, as far as the level asks for it."""
        if _log.isEnabledFor(logging.INFO) or (
            response is not None and not 200 <= response.status < 300
        ):
            self._write(notification, response, failure)

    def _write(
        self, notification: Notification, response: Response | None, failure: str | None
    ) -> None:
        """One line per notification, under its own correlator, as Orion writes it."""
        headers = notification.headers
        this = request_context.set(
            RequestContext(
                correlator=headers.get("Fiware-Correlator", NOT_AVAILABLE),
                service=notification.tenant,
                service_path=headers.get("Fiware-ServicePath", ""),
            )
        )
        try:
            if response is not None and not 200 <= response.status < 300:
                _log.warning(
                    "Notification (subId: %s) response NOT OK, http code: %d",
                    notification.subscription_id,
                    response.status,
                )
            if not _log.isEnabledFor(logging.INFO):
                return
            text = "Notif delivered (subId: %s): %s %s, payload (%d bytes): %s, response code: %s"
            values: tuple[object, ...] = (
                notification.subscription_id,
                notification.method,
                notification.url.partition("://")[2],
                len(notification.body),
                self._limits.excerpt(notification.body),
                failure if response is None else response.status,
            )
            if response is not None and response.status >= 300 and response.body:
                text += ", response payload (%d bytes): %s"
                values += (len(response.body), self._limits.excerpt(response.body))
            _log.info(text, *values)
        finally:
            request_context.reset(this)
