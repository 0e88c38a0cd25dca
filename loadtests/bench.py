"""`make bench`: what requests cost, as CPU of the server and beside nginx in the same run.

Nothing here passes or fails by its speed: a benchmark is not a test. What is measured and how
stands in docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from broker.launch import BrokerProcess
from loadtests import workloads
from loadtests.cpu_time import Cpus, choose_cpus, pin, read_resident_bytes
from loadtests.interval import FULL_EFFORT, QUICK_EFFORT, Effort, measure_chunks
from loadtests.load_client import LoadClient, LoadError
from loadtests.receiver import Arrivals, Receiver
from loadtests.report import Measurement, Report, Series, describe_machine
from loadtests.results import add_options, begin_document, check_options, save
from loadtests.servers import (
    NginxServer,
    Server,
    find_nginx,
    post,
    queue_for_all,
    read_nginx_version,
    start_broker,
)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    rounds: int
    starts: int
    warm_up: int  # requests
    chunk: int  # requests
    batch_chunk: int  # requests, of a thousand entities each
    effort: Effort
    parses: int


FULL: Final = Extent(
    rounds=3,
    starts=5,
    warm_up=2_000,
    chunk=10_000,
    batch_chunk=20,
    effort=FULL_EFFORT,
    parses=200,
)
QUICK: Final = Extent(
    rounds=1,
    starts=1,
    warm_up=100,
    chunk=1_000,
    batch_chunk=2,
    effort=QUICK_EFFORT,
    parses=10,
)


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
    begun = begin_document("bench", {"quick": arguments.quick})
    with tempfile.TemporaryDirectory(prefix="rigel-bench-", dir=arguments.directory) as made:
        try:
            report = measure_all(Path(made), extent)
        except (LoadError, RuntimeError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    print(report.as_table())
    save(arguments, {**begun, **report.as_document()})
    return 0


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a glance: does it run at all?")
    add_options(parser)
    arguments = parser.parse_args(argv)
    check_options(parser, arguments)
    return arguments


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
            Subject("v1 update", broker, workloads.v1_update_requests, 200, extent.chunk),
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
    with LoadClient(subject.server.port, requests, subject.status, client_cpu) as client:
        _send(client, subject, min(extent.warm_up, subject.chunk))
        return measure_chunks(
            subject.server.pid, lambda: _send(client, subject, subject.chunk), extent.effort
        )


def _send(client: LoadClient, subject: Subject, count: int) -> int:
    client.send(count)
    if subject.settle is not None:
        subject.settle(count)
    return count


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
