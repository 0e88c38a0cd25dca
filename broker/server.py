"""The life of a broker process: load, serve, keep house, drain.

Wires engine, journal, notifier and HTTP together and owns their start and end. SIGTERM and
SIGINT drain: no acknowledged update and no accepted request is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from pathlib import Path
from typing import Final

from aiohttp import web

from broker.engine import Engine
from broker.http.admin import AdminRoutes
from broker.http.application import Front, make_application
from broker.http.cors import Cors
from broker.http.protocol import BrokerRunner
from broker.journal import Durability, Journal
from broker.logs import LogLimits
from broker.metrics import Metrics
from broker.mqtt import MqttNotifier
from broker.notifier import Notifier
from broker.outlets import Outlets
from broker.settings import Settings
from ngsi.errors import InternalServerError

_log = logging.getLogger("rigel.server")

HOUSEKEEPING_INTERVAL_S: Final = 1.0  # counters to the journal, expired entities
_BACKLOG: Final = 1024  # connections that wait to be accepted


class Server:
    """One broker, from the journal to the socket."""

    def __init__(self, settings: Settings, version: str, limits: LogLimits) -> None:
        self._settings = settings
        self._loading = True
        self._draining = False
        self._metrics = Metrics()
        self.journal = Journal.open(
            Path(settings.data_dir),
            Durability(settings.durability),
            segment_bytes=settings.segment_bytes,
        )
        self.outlets = Outlets(
            Notifier(
                queue_length=settings.notification_queue_length,
                connections_per_endpoint=settings.notification_connections,
                default_timeout_s=settings.http_timeout_ms / 1000,
                max_message_bytes=settings.outgoing_max_bytes,
                insecure=settings.insecure_notification,
                log_limits=limits,
            ),
            MqttNotifier(
                queue_length=settings.notification_queue_length,
                timeout_s=settings.mqtt_timeout_ms / 1000,
                max_age_s=settings.mqtt_max_age_min * 60,
            ),
        )
        self.engine = Engine(
            self.journal,
            self.outlets,
            time.time,
            settings.http_timeout_ms / 1000,
            settings.outgoing_max_bytes,
        )
        admin = AdminRoutes(version, self._metrics, self._describe_unreadiness)
        front = Front(
            self._metrics,
            limits,
            Cors(settings.cors_origin, settings.cors_max_age_s),
            lambda: self._loading,
            settings.request_max_bytes,
            settings.multiservice,
        )
        application = make_application(self.engine, admin, front, settings.request_max_bytes)
        self._runner = BrokerRunner(
            application,
            settings.max_connections,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=settings.shutdown_timeout_s,
            keepalive_timeout=settings.request_timeout_s or 75.0,
        )
        self._metrics.add_source(self._counters, self._gauges)

    def _describe_unreadiness(self) -> str:
        if self._loading:
            return "the broker is loading its data"
        return "the broker is shutting down" if self._draining else ""

    async def start(self) -> list[tuple[str, int]]:
        """Listen, load and begin to serve; returns the addresses listened on."""
        loop = asyncio.get_running_loop()
        self.journal.start(loop)
        await self.outlets.start()
        await self._runner.setup()
        for listener in open_listeners(self._settings):
            await web.SockSite(self._runner, listener, backlog=_BACKLOG).start()
        started = time.monotonic()
        # In a thread, so that /ready answers meanwhile; nobody else touches the engine yet.
        await asyncio.to_thread(self.engine.restore)
        _log.info("data loaded in %.3f s", time.monotonic() - started)
        self._loading = False
        return [address[:2] for address in self._runner.addresses]

    async def run(self, stop: asyncio.Event) -> None:
        """Keep house until `stop` is set, then drain and end."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), HOUSEKEEPING_INTERVAL_S)
            self._keep_house()
        await self.stop()

    def _keep_house(self) -> None:
        try:
            self.engine.remove_expired()
            self.engine.journal_counters()
        except InternalServerError as error:
            _log.debug("housekeeping waits: %s", error.description)

    async def stop(self) -> None:
        """Accept no more, answer what was accepted, deliver what is queued, close."""
        _log.info("draining")
        self._draining = True
        # Lets the requests that were accepted finish before the connections close.
        await self._runner.cleanup()
        left = await self.outlets.drain(self._settings.shutdown_timeout_s)
        if left:
            _log.warning("%d notifications were not delivered before the end", left)
        await self.outlets.close()
        self._keep_house()
        await self.journal.close()

    def _counters(self) -> dict[str, float]:
        journal = self.journal.statistics()
        notifier = self.outlets.http.statistics()
        mqtt = self.outlets.mqtt.statistics()
        return {
            "journal_records": journal.records,
            "journal_bytes": journal.bytes_written,
            "notifications_sent": notifier.sent + mqtt.sent,
            "notifications_failed": notifier.failed + mqtt.failed,
            "notifications_dropped": notifier.dropped + mqtt.dropped,
        }

    def _gauges(self) -> dict[str, float]:
        tenants = self.engine.tenants()
        return {
            "tenants": len(tenants),
            "entities": sum(len(tenant.entities) for tenant in tenants),
            "subscriptions": sum(len(tenant.subscriptions) for tenant in tenants),
            "registrations": sum(len(tenant.registrations) for tenant in tenants),
            "notifications_queued": self.outlets.http.statistics().queued
            + self.outlets.mqtt.statistics().queued,
        }


def open_listeners(settings: Settings) -> list[socket.socket]:
    """The listening sockets: IPv4 and IPv6, or what the settings say.

    Port 0 is chosen by the system, and the same for both. Without IPv6 on the machine, IPv4
    alone is listened on, unless IPv6 was asked for.
    """
    port = settings.port
    listeners: list[socket.socket] = []
    for address in settings.listen_addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            listener = socket.create_server(
                (address, port), family=family, backlog=_BACKLOG, dualstack_ipv6=False
            )
        except OSError:
            if family is socket.AF_INET6 and listeners:
                _log.warning("no IPv6 here: listening on IPv4 only")
                break
            for other in listeners:
                other.close()
            raise
        listener.setblocking(False)
        port = listener.getsockname()[1]
        listeners.append(listener)
    return listeners


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
