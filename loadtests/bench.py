"""`make bench`: what requests cost, as CPU of the server and beside nginx in the same run.

Nothing here passes or fails by its speed: a benchmark is not a test. What is measured and how
stands in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import orjson

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from broker.launch import BrokerProcess
from loadtests import workloads
from loadtests.cpu_time import Cpus, CpuTime, choose_cpus, pin, read_cpu_time, read_resident_bytes
from loadtests.load_client import LoadClient, LoadError
from loadtests.receiver import Receiver
from loadtests.report import Measurement, Report, Series, describe_machine
from loadtests.servers import NginxServer, find_nginx, read_nginx_version

HTTP_TIMEOUT_S: Final = 60.0  # for the few requests that prepare a broker
_QUEUE_LENGTH: Final = 1_000_000  # notifications: more than a round makes


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured. A round sends chunks until the CPU time or the chunks are spent."""

    rounds: int
    starts: int
    warm_up: int  # requests
    chunk: int  # requests
    chunks_max: int
    batch_chunk: int  # requests, of a thousand entities each
    enough_cpu_s: float  # long against the kernel's ticks of 10 ms
    parses: int


FULL: Final = Extent(
    rounds=3,
    starts=5,
    warm_up=2_000,
    chunk=10_000,
    chunks_max=20,
    batch_chunk=20,
    enough_cpu_s=1.0,
    parses=200,
)
QUICK: Final = Extent(
    rounds=1,
    starts=1,
    warm_up=100,
    chunk=1_000,
    chunks_max=20,
    batch_chunk=2,
    enough_cpu_s=0.05,
    parses=10,
)


class Server(Protocol):
    """What is measured, whatever it is."""

    @property
    def pid(self) -> int: ...

    @property
    def port(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Subject:
    """One row of the table: whom to ask what. `settle` waits for what the server owes yet."""

    name: str
    server: Server
    requests: Callable[[int], Sequence[Sequence[bytes]]]  # of a round
    status: int
    chunk: int
    settle: Callable[[int], None] | None = None


def main(argv: Sequence[str]) -> int:
    """Run the benchmarks and print the figures; returns the exit code."""
    arguments = parse_arguments(argv)
    extent = QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory(prefix="rigel-bench-", dir=arguments.directory) as made:
        try:
            report = measure_all(Path(made), extent)
        except (LoadError, RuntimeError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    print(report.as_table())
    if arguments.output:
        text = json.dumps(report.as_document(), indent=2)
        arguments.output.write_text(f"{text}\n", encoding="utf-8")
    return 0


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a glance: does it run at all?")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument(
        "--directory", type=Path, help="where the brokers keep their data meanwhile"
    )
    return parser.parse_args(argv)


def measure_all(directory: Path, extent: Extent) -> Report:
    """All figures of one run, in rounds, so that a busy moment does not fall on one of them."""
    load_before = os.getloadavg()[0]
    cpus = choose_cpus()
    batches = workloads.make_batches()
    nginx = find_nginx()
    starts = [measure_start(directory / f"start{number}") for number in range(extent.starts)]
    parses: list[float] = []
    with ExitStack() as running:
        broker = start_broker(running, directory / "broker", [], cpus.server)
        idle_bytes = read_resident_bytes(broker.pid)
        post(f"{broker.url}/v2/op/update", batches[0])
        subjects = [
            Subject("update", broker, workloads.update_requests, 204, extent.chunk),
            Subject("query", broker, workloads.query_requests, 200, extent.chunk),
            start_notifying(running, directory / "notifying", cpus, extent),
            Subject("batch", broker, workloads.batch_requests, 204, extent.batch_chunk),
        ]
        if nginx is not None:
            server = running.enter_context(NginxServer(nginx, directory / "nginx"))
            pin(server.pid, cpus.server)
            subjects.insert(
                0, Subject("nginx", server, workloads.update_requests, 204, extent.chunk)
            )
        series = {subject.name: Series(subject.name) for subject in subjects}
        for round_number in range(extent.rounds):
            for subject in subjects:
                series[subject.name].measurements.append(
                    measure(subject, round_number, extent, cpus.client)
                )
            parses.append(measure_parsing(batches, extent.parses, cpus.server))
    return Report(
        series=series,
        batch_entities=workloads.BATCH_ENTITIES,
        batch_body_bytes=len(batches[0]),
        batch_parses_s=parses,
        idle_resident_bytes=idle_bytes,
        empty_starts_s=starts,
        pinned=cpus.server is not None,
        load_before=load_before,
        machine=describe_machine(None if nginx is None else read_nginx_version(nginx)),
    )


def start_broker(
    running: ExitStack, directory: Path, arguments: Sequence[str], cpu: int | None
) -> BrokerProcess:
    """A broker that `running` ends."""
    broker = running.enter_context(BrokerProcess(directory, arguments))
    pin(broker.pid, cpu)
    return broker


def start_notifying(running: ExitStack, directory: Path, cpus: Cpus, extent: Extent) -> Subject:
    """Updates of which each makes one notification, to a receiver of its own."""
    receiver = running.enter_context(Receiver(cpus.client))
    broker = start_broker(running, directory, queue_for_all(), cpus.server)
    post(f"{broker.url}/v2/op/update", workloads.make_batches()[0])
    post(f"{broker.url}/v2/subscriptions", workloads.make_subscription(receiver.url))
    return Subject(
        "notify",
        broker,
        workloads.update_requests,
        204,
        extent.chunk,
        settle=Arrivals(receiver).expect,
    )


def measure(
    subject: Subject, round_number: int, extent: Extent, client_cpu: int | None
) -> Measurement:
    """One round of one subject."""
    requests = subject.requests(round_number)
    spent = CpuTime(0.0, 0.0)
    elapsed = 0.0
    sent = 0
    with LoadClient(subject.server.port, requests, subject.status, client_cpu) as client:
        _send(client, subject, min(extent.warm_up, subject.chunk))
        before = read_cpu_time(subject.server.pid)
        started = time.monotonic()
        for _ in range(extent.chunks_max):
            _send(client, subject, subject.chunk)
            sent += subject.chunk
            elapsed = time.monotonic() - started
            spent = read_cpu_time(subject.server.pid).since(before)
            if spent.total_s >= extent.enough_cpu_s:
                break
    return Measurement(sent, spent.user_s, spent.system_s, elapsed)


def _send(client: LoadClient, subject: Subject, count: int) -> None:
    client.send(count)
    if subject.settle is not None:
        subject.settle(count)


def queue_for_all() -> list[str]:
    """Flags of a broker that drops no notification of a round, though all may wait at once."""
    return ["--notification-queue-length", str(_QUEUE_LENGTH)]


class Arrivals:
    """The notifications that must have come to a receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._expected = 0

    def expect(self, count: int) -> None:
        """Wait for `count` more; raises LoadError if some do not come."""
        self._expected += count
        arrived = self._receiver.wait(self._expected)
        if arrived != self._expected:
            raise LoadError(f"{arrived} of {self._expected} notifications arrived")


def measure_start(directory: Path) -> float:
    """Seconds from the start of a broker without data until it is ready."""
    broker = BrokerProcess(directory)
    started = time.monotonic()
    with broker:
        return time.monotonic() - started


def measure_parsing(bodies: Sequence[bytes], times: int, cpu: int | None) -> float:
    """CPU seconds of orjson.loads of one body, on the server's CPU: the median."""
    allowed = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    spent = []
    for number in range(times):
        body = bodies[number % len(bodies)]
        started = time.process_time()
        orjson.loads(body)
        spent.append(time.process_time() - started)
    os.sched_setaffinity(0, allowed)
    return statistics.median(spent)


def post(url: str, body: bytes) -> None:
    """One request that prepares a broker; raises LoadError if it is refused."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S):
            pass
    except urllib.error.HTTPError as error:
        with error:
            raise LoadError(f"POST {url}: {error.code} {error.read()!r}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
