"""What waits for one endpoint, who delivers it, and its counters."""

from __future__ import annotations

from _native import delivery as native
from broker.notifier import ordered_queue
from broker.notifier.statistics import EndpointStatistics
from broker.sender import Endpoint


class EndpointQueue(native.EndpointQueue):
    """The queue of one endpoint. Every operation is O(1) (amortised)."""

    __slots__ = ()

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint, ordered_queue.PARKED_AT_ONCE)

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
