"""What waits for one endpoint, who delivers it, and its counters."""

from __future__ import annotations

from broker.notifier.lane import Lane
from broker.notifier.notification import Notification
from broker.notifier.ordered_queue import OrderedQueue
from broker.notifier.statistics import EndpointStatistics
from broker.sender import Endpoint


class EndpointQueue(OrderedQueue[Notification]):
    """The queue of one endpoint. Every operation is O(1) (amortised)."""

    __slots__ = (
        "dropped",
        "endpoint",
        "failed",
        "idle",
        "lanes",
        "outstanding_bytes",
        "sent",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.idle: list[Lane] = []
        self.outstanding_bytes = 0
        self.lanes = 0
        self.sent = 0
        self.failed = 0
        self.dropped = 0

    def statistics(self) -> EndpointStatistics:
        return EndpointStatistics(
            endpoint=str(self.endpoint),
            queued=self.queued,
            in_flight=self.lanes - len(self.idle),
            connections=self.lanes,
            sent=self.sent,
            failed=self.failed,
            dropped=self.dropped,
        )
