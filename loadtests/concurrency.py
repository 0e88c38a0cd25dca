"""Updates from 1 to 200 clients, one after the other or pipelined, and nginx under the same.

    python loadtests/concurrency.py --output FILE --plot FILE

A server with few clients pays more system calls per request; with many it works on several
requests per turn of its loop.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from loadtests import workloads
from loadtests.cpu_time import choose_cpus, pin
from loadtests.interval import FULL_EFFORT, QUICK_EFFORT, Effort, measure_chunks
from loadtests.load_client import LoadClient, LoadError
from loadtests.results import (
    add_options,
    begin_document,
    check_options,
    resume_document,
    save,
    write_document,
)
from loadtests.servers import NginxServer, Server, find_nginx, post, start_broker

# (connections, requests under way on each)
POINTS: Final = ((1, 1), (10, 1), (50, 1), (100, 1), (200, 1), (1, 16), (50, 16))
QUICK_POINTS: Final = ((1, 1), (50, 16))

_CHUNK: Final = 4_000  # requests


def main(argv: Sequence[str]) -> int:
    """Measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a glance: does it run at all?")
    add_options(parser, resumable=True)
    arguments = parser.parse_args(argv)
    check_options(parser, arguments)
    try:
        document = resume_document(
            arguments, begin_document("concurrency", {"quick": arguments.quick})
        )
        with tempfile.TemporaryDirectory(prefix="rigel-load-", dir=arguments.directory) as made:
            measure_all(document, Path(made), arguments)
    except (LoadError, RuntimeError, ValueError) as error:
        print(f"concurrency: {error}", file=sys.stderr)
        return 1
    print(make_table(document["figures"]["points"]))
    save(arguments, document)
    return 0


def measure_all(document: dict[str, Any], directory: Path, arguments: argparse.Namespace) -> None:
    """Add the points that are not there yet. Raises LoadError and RuntimeError."""
    points = document["figures"].setdefault("points", [])
    effort = QUICK_EFFORT if arguments.quick else FULL_EFFORT
    cpus = choose_cpus()
    program = find_nginx()
    with ExitStack() as running:
        servers: dict[str, Server] = {}
        if program is not None:
            nginx = running.enter_context(NginxServer(program, directory / "nginx"))
            pin(nginx.pid, cpus.server)
            servers["nginx"] = nginx
        broker = start_broker(running, directory / "broker", [], cpus.server)
        post(f"{broker.url}/v2/op/update", workloads.make_batches()[0])
        servers["rigel"] = broker
        for number, (connections, depth) in enumerate(QUICK_POINTS if arguments.quick else POINTS):
            if any((p["connections"], p["pipeline"]) == (connections, depth) for p in points):
                continue
            point: dict[str, Any] = {"connections": connections, "pipeline": depth}
            for name, server in servers.items():
                # Other values than the point before: each update must change something.
                requests = workloads.update_requests(number, connections)
                point[name] = measure(server, requests, depth, effort, cpus.client)
            if "nginx" in point:
                point["ratio_to_nginx"] = point["rigel"]["cpu_us"] / point["nginx"]["cpu_us"]
            points.append(point)
            if arguments.output is not None:
                write_document(arguments.output, document)


def measure(
    server: Server,
    requests: Sequence[Sequence[bytes]],
    depth: int,
    effort: Effort,
    client_cpu: int | None,
) -> dict[str, float]:
    """CPU per update of one server, and the rate."""
    with LoadClient(server.port, requests, 204, client_cpu, depth) as client:

        def send() -> int:
            client.send(_CHUNK)
            return _CHUNK

        client.send(_CHUNK // 4)  # warm-up
        spent = measure_chunks(server.pid, send, effort)
    return {
        "cpu_us": spent.cpu_us,
        "user_us": spent.user_s / spent.requests * 1e6,
        "system_us": spent.system_s / spent.requests * 1e6,
        "requests_per_s": spent.requests / spent.elapsed_s,
        "busy": (spent.user_s + spent.system_s) / spent.elapsed_s,
    }


def make_table(points: list[dict[str, Any]]) -> str:
    """The points in Markdown."""
    lines = [
        "| connections | pipelined | CPU us/update | nginx CPU us | x nginx | updates/s | busy |",
        "|---|---|---|---|---|---|---|",
    ]
    for point in points:
        mine = point["rigel"]
        nginx = f"{point['nginx']['cpu_us']:.1f}" if "nginx" in point else "-"
        ratio = f"{point['ratio_to_nginx']:.2f}" if "nginx" in point else "-"
        lines.append(
            f"| {point['connections']} | {point['pipeline']} | {mine['cpu_us']:.1f} | {nginx} "
            f"| {ratio} | {mine['requests_per_s']:.0f} | {mine['busy']:.0%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
