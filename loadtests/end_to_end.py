"""Updates to a broker with many subscriptions, until every notification has arrived.

One point: a broker of its own with the population in it, updates on several connections, a
receiver that counts. Every notification that must come is waited for, so a broker that loses one
fails the run. nginx is measured before each point, on the same CPU.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from loadtests import workloads
from loadtests.cpu_time import Cpus, choose_cpus, pin, read_resident_bytes
from loadtests.interval import FULL_EFFORT, QUICK_EFFORT, Effort, measure_chunks
from loadtests.load_client import LoadClient
from loadtests.populations import Population, Update
from loadtests.receiver import Arrivals, Receiver
from loadtests.report import Measurement
from loadtests.seeding import post_entities, post_subscriptions, seed_directory
from loadtests.servers import NginxServer, find_nginx, queue_for_all, start_broker

CONNECTIONS: Final = 16  # keeps a broker busy; each has updates of its own to be prepared
_NGINX_CHUNK: Final = 20_000  # requests
_LONG_CHUNK_S: Final = 0.3  # against the moments between two chunks, in which nothing is done
_CHUNK_MAX: Final = 1024  # updates per connection


@dataclass(frozen=True, slots=True)
class Method:
    """How points are measured. `way`: how subscriptions get in, one of seeding.WAYS."""

    way: str
    quick: bool
    directory: Path | None = None

    @property
    def effort(self) -> Effort:
        """How long."""
        return QUICK_EFFORT if self.quick else FULL_EFFORT


def measure_point(population: Population, method: Method) -> dict[str, Any]:
    """The figures of one population. Raises LoadError and RuntimeError."""
    cpus = choose_cpus()
    updates = population.updates(CONNECTIONS)
    with (
        tempfile.TemporaryDirectory(prefix="rigel-load-", dir=method.directory) as made,
        ExitStack() as running,
    ):
        nginx = _measure_nginx(Path(made) / "nginx", cpus, method.effort)
        receiver = running.enter_context(Receiver(cpus.client))
        directory = Path(made) / "broker"
        started = time.monotonic()
        if method.way == "journal":
            seed_directory(directory, population.entities(), population.subscriptions(receiver.url))
        seeded = time.monotonic()
        broker = start_broker(running, directory, queue_for_all(), cpus.server)
        ready = time.monotonic()
        if method.way == "http":
            post_entities(broker.url, population.entities())
            post_subscriptions(broker.port, population.subscriptions(receiver.url), cpus.client)
            seeded += time.monotonic() - ready
        resident = read_resident_bytes(broker.pid)
        requests = [[update.request for update in each] for each in updates]
        with LoadClient(broker.port, requests, 204, cpus.client) as client:
            deliveries = _Deliveries(client, Arrivals(receiver), updates)
            deliveries.warm_up()
            spent = measure_chunks(broker.pid, deliveries.make, method.effort)
        sent, delivered = deliveries.sent, deliveries.delivered
    return {
        "subscriptions": population.size,
        "updates": sent,
        "notifications": delivered,
        "notifications_per_update": delivered / sent,
        "cpu_us_per_update": spent.cpu_us,
        "cpu_us_per_notification": spent.cpu_us * sent / delivered,
        "ratio_to_nginx": None if nginx is None else spent.cpu_us * sent / delivered / nginx.cpu_us,
        "nginx_cpu_us": None if nginx is None else nginx.cpu_us,
        "updates_per_s": sent / spent.elapsed_s,
        "notifications_per_s": delivered / spent.elapsed_s,
        "server_busy": (spent.user_s + spent.system_s) / spent.elapsed_s,
        "resident_bytes": resident,
        "seed_s": seeded - started,
        "start_s": ready - started if method.way == "http" else ready - seeded,
    }


class _Deliveries:
    """Chunks of updates that end when all their notifications are there.

    The first is one update per connection, so that a slow broker is not asked for more than it
    can do; warming up, they double until one is long. `sent` and `delivered` are since then.
    """

    def __init__(self, client: LoadClient, arrivals: Arrivals, updates: list[list[Update]]) -> None:
        self._client = client
        self._arrivals = arrivals
        self._connections = len(updates)
        self._hits = [cycle([update.hits for update in each]) for each in updates]
        self._each = 1
        self.sent = 0
        self.delivered = 0

    def warm_up(self) -> None:
        """Find how long a chunk should be. Raises LoadError, as `make` does."""
        while True:
            started = time.monotonic()
            self.make()
            if time.monotonic() - started >= _LONG_CHUNK_S or self._each == _CHUNK_MAX:
                break
            self._each *= 2
        self.sent = self.delivered = 0

    def make(self) -> int:
        """One chunk; returns how many updates it was."""
        expected = sum(sum(islice(hits, self._each)) for hits in self._hits)
        self._client.send_each(self._each)
        self._arrivals.expect(expected)
        count = self._each * self._connections
        self.sent += count
        self.delivered += expected
        return count


def _measure_nginx(directory: Path, cpus: Cpus, effort: Effort) -> Measurement | None:
    program = find_nginx()
    if program is None:
        return None
    with NginxServer(program, directory) as nginx:
        pin(nginx.pid, cpus.server)
        with LoadClient(nginx.port, workloads.update_requests(0), 204, cpus.client) as client:
            return measure_chunks(nginx.pid, _sender(client, _NGINX_CHUNK), effort)


def _sender(client: LoadClient, count: int) -> Callable[[], int]:
    def send() -> int:
        client.send(count)
        return count

    return send
