"""Version, readiness, metrics and semaphores."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from typing import Final

from broker.http.call import Call
from broker.http.replies import Reply, reply_json, reply_no_content
from broker.http.routing import Resource, Routes
from broker.metrics import Metrics
from broker.service_metrics import ServiceMetrics
from ngsi.errors import BadRequest, ServiceUnavailable

# The version of Orion whose API is spoken; clients choose their behaviour by it.
ORION_VERSION: Final = "4.7.0"
# Orion's semaphores. One thread serves all requests here, so whoever asks finds none taken.
_SEMAPHORES: Final = (
    "dbConnectionPool",
    "dbConnection",
    "request",
    "subCache",
    "transaction",
    "timeStat",
    "logMsg",
    "alarmMgr",
    "mqttMgr",
    "kafkaMgr",
    "metricsMgr",
    "connectionContext",
    "connectionEndpoints",
)


class AdminRoutes:
    """Handlers that operators and their tools call."""

    def __init__(
        self,
        version: str,
        metrics: Metrics,
        services: ServiceMetrics,
        readiness: Callable[[], str],
    ) -> None:
        self._version = version
        self._metrics = metrics
        self._services = services
        self._readiness = readiness  # "" when ready, else what it waits for
        self._started = time.monotonic()

    def table(self) -> Routes:
        """The routes that are served here."""
        return [
            Resource("/version", {"GET": self.version}),
            Resource("/ready", {"GET": self.ready}),
            Resource("/metrics", {"GET": self.metrics}),
            Resource(
                "/admin/metrics",
                {"GET": self.service_metrics, "DELETE": self.reset_service_metrics},
            ),
            Resource("/admin/sem", {"GET": self.semaphores}),
        ]

    async def version(self, call: Call) -> Reply:
        """GET /version, in Orion's shape."""
        fields = {
            "version": ORION_VERSION,
            "uptime": _render_uptime(int(time.monotonic() - self._started)),
            "git_hash": "nogitversion",
            "compile_time": "n/a",
            "compiled_by": f"rigel-{self._version}",
            "compiled_in": f"{platform.python_implementation()} {platform.python_version()}",
            "release_date": "n/a",
            "machine": platform.machine(),
            "doc": "https://fiware-orion.rtfd.io/",
        }
        # Line by line as Orion: scripts read it with grep.
        lines = ",\n".join(f'  "{name}" : {json.dumps(text)}' for name, text in fields.items())
        return Reply(
            body=f'{{\n"orion" : {{\n{lines}\n}}\n}}\n'.encode(),
            headers={"Content-Type": "application/json"},
        )

    async def ready(self, call: Call) -> Reply:
        """GET /ready: 200 when requests are served, 503 while data loads or it shuts down."""
        reason = self._readiness()
        if reason:
            raise ServiceUnavailable(reason)
        return reply_json({"status": "ready"})

    async def metrics(self, call: Call) -> Reply:
        """GET /metrics, for Prometheus."""
        return Reply(
            body=self._metrics.render(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def service_metrics(self, call: Call) -> Reply:
        """GET /admin/metrics: per service and subservice; reset=true begins anew after that."""
        self._check_metrics_on()
        document = self._services.render()
        if call.parameters.get("reset") == "true":
            self._services.reset()
        return reply_json(document)

    async def reset_service_metrics(self, call: Call) -> Reply:
        """DELETE /admin/metrics."""
        self._check_metrics_on()
        self._services.reset()
        return reply_no_content()

    def _check_metrics_on(self) -> None:
        if not self._services.is_on:
            raise BadRequest("metrics desactivated")  # as Orion spells it

    async def semaphores(self, call: Call) -> Reply:
        """GET /admin/sem."""
        return reply_json({name: {"status": "free"} for name in _SEMAPHORES})


def _render_uptime(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d, {hours} h, {minutes} m, {seconds} s"
