"""Version, readiness and metrics."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from broker.http.call import Call
from broker.http.replies import reply_json
from broker.metrics import Metrics
from ngsi.errors import ServiceUnavailable

# The version of Orion whose API is spoken; clients choose their behaviour by it.
ORION_VERSION: Final = "4.7.0"


class AdminRoutes:
    """Handlers that operators and their tools call."""

    def __init__(self, version: str, metrics: Metrics, readiness: Callable[[], str]) -> None:
        self._version = version
        self._metrics = metrics
        self._readiness = readiness  # "" when ready, else what it waits for
        self._started = time.monotonic()

    async def version(self, call: Call) -> web.Response:
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
        return web.Response(
            body=f'{{\n"orion" : {{\n{lines}\n}}\n}}\n'.encode(),
            headers={"Content-Type": "application/json"},
        )

    async def ready(self, call: Call) -> web.Response:
        """GET /ready: 200 when requests are served, 503 while data loads or it shuts down."""
        reason = self._readiness()
        if reason:
            raise ServiceUnavailable(reason)
        return reply_json({"status": "ready"})

    async def metrics(self, call: Call) -> web.Response:
        """GET /metrics, for Prometheus."""
        return web.Response(
            body=self._metrics.render(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )


def _render_uptime(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d, {hours} h, {minutes} m, {seconds} s"
