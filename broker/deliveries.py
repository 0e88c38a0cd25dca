"""What becomes of what is sent, for those who count: metrics, statistics and alarms.

Stands between the engine and the notifiers, and before the client of context providers. Owns:
the counting of deliveries, and how long notifications waited (where asked for). Must not: send,
queue or order. Costs: a call more at each end of a notification, and the counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

from _native.watching import DeliveryWatch
from broker.alarms import Alarms
from broker.logs import NOT_AVAILABLE, RequestContext, request_context
from broker.mqtt import MqttMessage
from broker.notifier import Notification, Outcome
from broker.ports import NotifierPort
from broker.provider_client import ProviderAnswer, ProviderClient, ProviderFailure
from broker.sender import Connection, Endpoint, OnEnd, Request, Sender
from broker.service_metrics import ServiceMetrics
from broker.statistics import Statistics
from ngsi.urls import parse_url

_Tell: TypeAlias = Callable[[Any, Outcome], None]

_FAILURE: Final = "notification failure for queue worker: "


class WatchedDeliveries(DeliveryWatch):
    """A NotifierPort that passes notifications on and hears how they ended."""

    def __init__(
        self,
        notifier: NotifierPort,
        alarms: Alarms,
        metrics: ServiceMetrics,
        statistics: Statistics,
        queue_clock: QueueClock | None = None,
    ) -> None:
        super().__init__(
            send=notifier.send,
            statistics=statistics,
            count_outgoing=metrics.count_outgoing if metrics.is_on else None,
            alarmed=alarms.notification.subjects,
            clock=queue_clock,
        )
        self._notifier = notifier
        self._alarms = alarms
        self._statistics = statistics

    def send_other(self, message: MqttMessage) -> bool:
        """Queue a notification over MQTT; False when it is dropped."""
        tell: _Tell = message.on_result
        message.on_result = partial(self._finish, tell)
        if self._notifier.send(message):
            self._statistics.queue.accepted += 1
            return True
        self._statistics.queue.rejected += 1
        return False

    def _finish(self, tell: _Tell, message: MqttMessage, outcome: Outcome) -> None:
        """Count how a delivery over MQTT ended, and pass it on."""
        queue = self._statistics.queue
        has_failed = outcome.failure is not None
        if has_failed:
            queue.failed += 1
        else:
            queue.sent += 1
            self._statistics.notifications_sent += 1
        queue.left += 1  # MQTT connections take from their queues what they send next
        if has_failed or self._alarms.mqtt.active:
            self.alarm(message, outcome)
        tell(message, outcome)

    def alarm(self, message: Notification | MqttMessage, outcome: Outcome) -> None:
        """Raise or release the alarm of a receiver, under the notification's own names."""
        if isinstance(message, Notification):
            kind, subject = self._alarms.notification, message.url.partition("://")[2]
            headers = message.headers
            context = RequestContext(
                correlator=headers.get("Fiware-Correlator", NOT_AVAILABLE),
                service=headers.get("Fiware-Service", ""),
                service_path=headers.get("Fiware-ServicePath", ""),
            )
            details = f"{_FAILURE}{outcome.failure}"
        else:
            url = parse_url(message.url)
            kind = self._alarms.mqtt
            subject = message.url if url is None else f"{url.host}:{url.port}"
            context = RequestContext(service=message.tenant)
            details = str(outcome.failure)
        this = request_context.set(context)
        try:
            if outcome.failure is None:
                kind.end(subject)
            else:
                kind.begin(subject, details)
        finally:
            request_context.reset(this)


class CountedProviderClient(ProviderClient):
    """A client of context providers whose requests are counted; alarms are its user's."""

    def __init__(
        self, metrics: ServiceMetrics, timeout_s: float, max_message_bytes: int, insecure: bool
    ) -> None:
        super().__init__(timeout_s, max_message_bytes, insecure)
        self._metrics = metrics

    async def post(
        self,
        provider_url: str,
        operation: str,
        parameters: dict[str, str],
        headers: dict[str, str],
        body: bytes,
    ) -> ProviderAnswer:
        """One exchange; raises ProviderFailure."""
        service = headers.get("Fiware-Service", "")
        path = headers.get("Fiware-ServicePath", "")
        try:
            answer = await super().post(provider_url, operation, parameters, headers, body)
        except ProviderFailure:
            self._metrics.count_outgoing(service, path, len(body), 0, True)
            raise
        self._metrics.count_outgoing(service, path, len(body), len(answer.body), False)
        return answer


class QueueClock:
    """How long notifications over HTTP wait for their turn.

    Used where Orion's -statNotifQueue asks for it, so nobody else pays for the clock.
    """

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._since: dict[Request, float] = {}  # as long as the queues, which are bounded

    def enter(self, notification: Request) -> None:
        """It begins to wait."""
        self._since[notification] = time.monotonic()

    def leave(self, notification: Request) -> None:
        """It waits no longer; to be called at its end at the latest."""
        since = self._since.pop(notification, None)
        if since is not None:
            queue = self._statistics.queue
            queue.left += 1
            queue.waited_s += time.monotonic() - since

    def forget(self, notification: Request) -> None:
        """It was not queued after all."""
        self._since.pop(notification, None)


class TimedSender:
    """A Sender that tells a QueueClock of each notification whose turn it is."""

    def __init__(self, sender: Sender, clock: QueueClock) -> None:
        self._sender = sender
        self._clock = clock

    async def start(self) -> None:
        """Make the inner sender ready."""
        await self._sender.start()

    def connect(self, endpoint: Endpoint) -> Connection:
        """A connection whose exchanges are told of."""
        return _TimedConnection(self._sender.connect(endpoint), self._clock)

    async def close(self) -> None:
        """Close the inner sender."""
        await self._sender.close()


class _TimedConnection:
    def __init__(self, connection: Connection, clock: QueueClock) -> None:
        self._connection = connection
        self._clock = clock

    def exchange(self, request: Request, on_end: OnEnd, /) -> None:
        self._clock.leave(request)
        self._connection.exchange(request, on_end)

    def give_up(self) -> None:
        self._connection.give_up()

    def close(self) -> None:
        self._connection.close()
