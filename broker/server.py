"""The life of a broker process: load, serve, keep house, drain.

Wires engine, journal, notifier and HTTP together and owns their start and end. SIGTERM and
SIGINT drain: no acknowledged update and no accepted request is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import signal
import time
from pathlib import Path
from typing import Final

from aiohttp import web

from broker.alarms import Alarms, LogSummary
from broker.deliveries import (
    CountedProviderClient,
    QueueClock,
    TimedSender,
    WatchedDeliveries,
)
from broker.deprecations import Deprecations
from broker.engine import Engine
from broker.flow_control import UpdatePace
from broker.forwarding import Forwarding
from broker.http.admin import AdminRoutes
from broker.http.application import allowed_methods, make_application, make_routes
from broker.http.cors import Cors
from broker.http.front import Front
from broker.http.lane import Lane, use_in_log
from broker.http.log_admin import LogRoutes
from broker.http.openapi import OpenApiRoutes
from broker.http.protocol import BrokerHandler, BrokerRunner
from broker.http.statistics import StatisticsRoutes
from broker.http.v1.fogflow import routes as fogflow
from broker.http.watch import RequestWatch
from broker.index_upkeep import IndexUpkeep
from broker.journal import Durability, Journal
from broker.listening import BACKLOG, make_tls_context, open_listeners
from broker.logs import LogLimits, TransactionIds
from broker.messages import MessageRules
from broker.metrics import Metrics
from broker.mqtt import MqttNotifier
from broker.notifier import Notifier
from broker.outbox import DeliveryRules
from broker.outlets import Outlets
from broker.sender import HttpSender
from broker.service_metrics import ServiceMetrics
from broker.settings import Settings
from broker.statistics import Statistics
from ngsi.errors import InternalServerError

_log = logging.getLogger("rigel.server")

EXPIRY_SLICE: Final = 500  # expired entities deleted before other work gets its turn
HOUSEKEEPING_INTERVAL_S: Final = 1.0  # counters to the journal, expired entities
# Where no -reqTimeout is given: longer than the 60 s that proxies usually keep idle connections,
# so that it is they who close and no request meets a connection that ends.
IDLE_TIMEOUT_S: Final = 75.0


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
        statistics = Statistics(
            counters=settings.stat_counters,
            sem_wait=settings.stat_sem_wait,
            timing=settings.stat_timing,
            notif_queue=settings.stat_notif_queue,
            simulated=lambda: self.outlets.simulated,
        )
        queue_clock = QueueClock(statistics) if settings.stat_notif_queue else None
        sender = HttpSender(insecure=settings.insecure_notification)
        # What a worker takes must find a connection, or the worker would only wait.
        workers = settings.notification_mode.all_workers
        queue_length = max(settings.notification_queue_length, workers)
        self.outlets = Outlets(
            Notifier(
                queue_length=queue_length,
                connections_per_endpoint=max(settings.notification_connections, workers),
                default_timeout_s=settings.http_timeout_ms / 1000,
                max_message_bytes=settings.outgoing_max_bytes,
                insecure=settings.insecure_notification,
                log_limits=limits,
                sender=sender if queue_clock is None else TimedSender(sender, queue_clock),
            ),
            MqttNotifier(
                queue_length=queue_length,
                timeout_s=settings.mqtt_timeout_ms / 1000,
                max_age_s=settings.mqtt_max_age_min * 60,
            ),
            settings.simulated_notification,
            settings.notification_mode,
        )
        self._alarms = Alarms(limits, relog=settings.relog_alarms)
        services = ServiceMetrics(not settings.disable_metrics)
        transactions = TransactionIds()
        self._summary = LogSummary(settings.log_summary_s, self._alarms, lambda: transactions.made)
        deliveries = WatchedDeliveries(
            self.outlets, self._alarms, services, statistics, queue_clock
        )
        self.engine = Engine(
            self.journal,
            self.outlets if settings.simulated_notification else deliveries,
            time.time,
            MessageRules(
                settings.http_timeout_ms / 1000,
                settings.outgoing_max_bytes,
                not settings.disable_custom_notifications,
            ),
            DeliveryRules(
                settings.durable_max_age_s,
                settings.durable_max_length,
                settings.durable_max_bytes,
                settings.durable_max_pause_s,
            ),
            Deprecations(limits, statistics),
            multi_location=settings.multi_location,
            v1_autocast=settings.v1_autocast,
        )
        self._query_indexes = IndexUpkeep(
            lambda: [tenant.entities for tenant in self.engine.tenants()],
            settings.query_index_max_bytes,
        )
        self._provider_client = CountedProviderClient(
            services,
            settings.http_timeout_ms / 1000,
            settings.outgoing_max_bytes,
            settings.insecure_notification,
        )
        self._forwarding = Forwarding(
            self.engine,
            self._provider_client,
            time.time,
            settings.forward_limit,
            limits,
            self._alarms.forwarding,
        )
        admin = [
            *AdminRoutes(version, self._metrics, services, self._describe_unreadiness).table(),
            *StatisticsRoutes(statistics, self.engine, self.outlets.count_queued).table(),
            *LogRoutes(limits).table(),
            *OpenApiRoutes(version, bool(settings.cors_origin)).table(),
        ]
        front = Front(
            RequestWatch(self._metrics, services, statistics, self._alarms, limits),
            transactions,
            Cors(settings.cors_origin, settings.cors_max_age_s),
            lambda: self._loading,
            settings.request_max_bytes,
            settings.multiservice,
            None
            if settings.flow_control is None
            else UpdatePace(
                settings.flow_control, self.outlets.count_queued_of, self.engine.hand_over
            ),
        )
        routes = make_routes(self.engine, self._forwarding, admin, settings.registration_patterns)
        if settings.meets_fogflow:
            routes = fogflow.adapt(routes)
        self._lane = lane = Lane(front, self.engine, routes)
        application = make_application(routes, front, lane.look_around)
        self._runner = BrokerRunner(
            application,
            settings.max_connections,
            front.refuse_malformed,
            lambda path: allowed_methods(application, path),
            lane.make_handler if settings.lane else BrokerHandler,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=settings.shutdown_timeout_s,
            keepalive_timeout=settings.request_timeout_s or IDLE_TIMEOUT_S,
        )
        self._metrics.add_source(self._counters, self._gauges)
        self._metrics.add_source(self._query_indexes.counters, self._query_indexes.gauges)
        self._metrics.add_source(lambda: {"lane_requests": lane.served}, dict)

    def _describe_unreadiness(self) -> str:
        if self._loading:
            return "the broker is loading its data"
        return "the broker is shutting down" if self._draining else ""

    async def start(self) -> list[tuple[str, int]]:
        """Listen, load and begin to serve; returns the addresses listened on.

        When it fails, all that was opened is closed again.
        """
        try:
            return await self._start()
        except BaseException:
            await self._runner.cleanup()
            await self._provider_client.close()
            await self.outlets.close()
            await self.journal.close()
            raise

    async def _start(self) -> list[tuple[str, int]]:
        loop = asyncio.get_running_loop()
        self.journal.start(loop)
        await self.outlets.start()
        await self._provider_client.start()
        await self._runner.setup()
        use_in_log(self._lane)
        tls = make_tls_context(self._settings)
        for listener in open_listeners(self._settings):
            await web.SockSite(self._runner, listener, ssl_context=tls, backlog=BACKLOG).start()
        started = time.monotonic()
        # In a thread, so that /ready answers meanwhile; nobody else touches the engine yet.
        await asyncio.to_thread(self._load)
        _log.info("data loaded in %.3f s", time.monotonic() - started)
        self.engine.durable_deliveries.start()
        self._query_indexes.start()
        self._loading = False
        self._summary.start()
        return [address[:2] for address in self._runner.addresses]

    def _load(self) -> None:
        self.engine.restore()
        if self.engine.tenants():
            # What loading used in between lies in pieces, which glibc keeps unless asked.
            with contextlib.suppress(AttributeError, OSError):
                ctypes.CDLL(None).malloc_trim(0)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep house until `stop` is set, then drain and end."""
        try:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), HOUSEKEEPING_INTERVAL_S)
                self._keep_house()
        finally:
            await self.stop()

    def _keep_house(self) -> None:
        if self._draining:
            return  # this turn was asked for before the stop
        try:
            self.journal.admit()
            self._alarms.database.end("")
            ended = self.engine.registry.end_expired(EXPIRY_SLICE)
            if EXPIRY_SLICE in (self.engine.remove_expired(EXPIRY_SLICE), ended):
                asyncio.get_running_loop().call_soon(self._keep_house)
            self.engine.journal_counters()
        except InternalServerError as error:
            self._alarms.database.begin("", error.description)
        except Exception:
            # A broker that serves on is better than one that ends for its housekeeping.
            _log.exception("housekeeping failed")

    async def stop(self) -> None:
        """Accept no more, answer what was accepted, deliver what is queued, close."""
        _log.info("draining")
        self._summary.stop()
        self._draining = True
        try:
            await self._query_indexes.stop()
            # Lets the requests that were accepted finish before the connections close.
            await self._runner.cleanup()
            await self._provider_client.close()
            await self.engine.hand_over()
            self.engine.durable_deliveries.close()
            left = await self.outlets.drain(self._settings.shutdown_timeout_s)
            if left:
                _log.warning("%d notifications were not delivered before the end", left)
            await self.outlets.close()
        finally:
            try:
                self.engine.journal_counters()
            except InternalServerError as error:
                _log.warning("the last counters are not kept: %s", error.description)
            await self.journal.close()

    def _counters(self) -> dict[str, float]:
        journal = self.journal.statistics()
        notifier = self.outlets.http.statistics()
        mqtt = self.outlets.mqtt.statistics()
        return {
            "journal_records": journal.records,
            "journal_bytes": journal.bytes_written,
            "journal_compactions": journal.compactions,
            "journal_compactions_failed": journal.failed_compactions,
            "notifications_sent": notifier.sent + mqtt.sent,
            "notifications_failed": notifier.failed + mqtt.failed,
            "notifications_dropped": self.outlets.count_dropped()
            + self.engine.dropped_notifications,
            "notifications_given_up": self.engine.durable_deliveries.discarded,
            "forwards_sent": self._forwarding.sent,
            "forwards_failed": self._forwarding.failed,
        }

    def _gauges(self) -> dict[str, float]:
        tenants = self.engine.tenants()
        journal = self.journal.statistics()
        indexes, documents = zip(
            (0, 0), *(tenant.subscriptions.memory_bytes() for tenant in tenants), strict=True
        )
        return {
            "journal_segments": journal.segments,
            "journal_closed_bytes": journal.closed_bytes,
            "journal_snapshot_bytes": journal.snapshot_bytes,
            "tenants": len(tenants),
            "entities": sum(len(tenant.entities) for tenant in tenants),
            "subscriptions": sum(len(tenant.subscriptions) for tenant in tenants),
            "subscription_index_bytes": sum(indexes),
            "subscription_document_bytes": sum(documents),
            "registrations": sum(len(tenant.registrations) for tenant in tenants),
            "notifications_queued": self.outlets.count_queued(),
            "notifications_kept": self.engine.durable_deliveries.pending,
        }


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
