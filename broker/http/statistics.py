"""Orion's statistics: /statistics and /cache/statistics.

Source: Orion's administration manual, "Statistics".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from broker.engine import Engine
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from broker.http.routing import Resource, Routes
from broker.statistics import Statistics
from broker.subscription_table import IndexChanges

_RESET: Final = {"message": "All statistics counter reset"}
_IDS_MAX_LENGTH: Final = 1023  # characters of all ids together, as Orion
_TOO_MANY_IDS: Final = "too many subscriptions"
_ID_LENGTH: Final = 24


class StatisticsRoutes:
    """Handlers of the statistics of one broker; `queue_length` is of notifications."""

    def __init__(
        self, statistics: Statistics, engine: Engine, queue_length: Callable[[], int]
    ) -> None:
        self._statistics = statistics
        self._engine = engine
        self._queue_length = queue_length

    def table(self) -> Routes:
        """The routes that are served here."""
        return [
            Resource("/statistics", {"GET": self.show, "DELETE": self.reset}),
            Resource("/cache/statistics", {"GET": self.show_index, "DELETE": self.reset_index}),
        ]

    async def show(self, call: Call) -> Reply:
        """GET /statistics; options=fullCounters also shows the counters that are zero."""
        document = self._statistics.render(
            full="fullCounters" in call.options, queue_length=self._queue_length()
        )
        return reply_json(document)

    async def reset(self, call: Call) -> Reply:
        """DELETE /statistics."""
        self._statistics.reset()
        return reply_json(_RESET)

    async def show_index(self, call: Call) -> Reply:
        """GET /cache/statistics: the index of subscriptions. It is never refreshed: it is not a
        copy of a database but the state itself."""
        tenants = self._engine.tenants()
        items = sum(len(tenant.subscriptions) for tenant in tenants)
        changes_of_all = [tenant.subscriptions.changes for tenant in tenants]
        ids = _TOO_MANY_IDS
        if items * _ID_LENGTH <= _IDS_MAX_LENGTH:
            listed = ", ".join(name for tenant in tenants for name in tenant.subscriptions)
            ids = listed if len(listed) <= _IDS_MAX_LENGTH else ids
        return reply_json(
            {
                "ids": ids,
                "refresh": 0,
                "inserts": sum(changes.inserts for changes in changes_of_all),
                "removes": sum(changes.removes for changes in changes_of_all),
                "updates": sum(changes.updates for changes in changes_of_all),
                "items": items,
            }
        )

    async def reset_index(self, call: Call) -> Reply:
        """DELETE /cache/statistics: the counts, not the index."""
        for tenant in self._engine.tenants():
            tenant.subscriptions.changes = IndexChanges()
        return reply_json(_RESET)
