"""The time from an update to its notification, and what dead endpoints do to it.

Updates leave at a fixed rate, each with a stamp; the receiver, in this same process, reads it.
Four scenes, each on a broker of its own with its usual settings:

- idle: one subscription, few updates per second
- alone: one subscription, at the rate of the two that follow
- live: 99 more subscriptions, each with an endpoint of its own that answers
- dead: 99 more subscriptions whose endpoints refuse, never answer, or never accept

    python loadtests/latency.py --output FILE --plot FILE
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from loadtests.cpu_time import choose_cpus, pin, read_cpu_time
from loadtests.generator import send_at_rate
from loadtests.load_client import Load, LoadError
from loadtests.receiver import NotificationServer, summarize_us
from loadtests.results import add_options, begin_document, check_options, save, write_document
from loadtests.servers import post, start_broker
from loadtests.stamp import ATTRIBUTE, PLACE
from loadtests.workloads import request

NEIGHBOURS: Final = 99
RATE_MAX: Final = 10_000.0
DURATION_MAX_S: Final = 600.0
QUICK_S: Final = 1.0
ENTITIES: Final = 100  # updated in turn
WARM_UP: Final = 50  # updates
SILENCE_S: Final = 10.0  # without any notification: those that are missing do not come

_QUANTILES: Final = 200  # of the curve that is drawn
_HOST: Final = "127.0.0.1"
# Usual settings but for its end: what waits for dead endpoints then is no matter here.
_FLAGS: Final = ("--shutdown-timeout-s", "0")
_PERCENT: Final = "p50", "p90", "p99", "p999", "max"


class DeadEndpoints:
    """Ports that nobody serves, a third of each kind; a context manager that frees them.

    One refuses connections, one takes them (the kernel does) and never answers, one has a full
    queue of connections, so that a new one is never made.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._sockets: list[socket.socket] = []
        self.urls: list[str] = []

    def __enter__(self) -> DeadEndpoints:
        for number in range(self._count):
            bound = self._keep(socket.socket())
            bound.bind((_HOST, 0))
            port = bound.getsockname()[1]
            if number % 3 == 1:
                bound.listen(socket.SOMAXCONN)
            elif number % 3 == 2:
                bound.listen(0)
                for _ in range(2):  # a queue of 0 takes one; the second waits in vain
                    waiting = self._keep(socket.socket())
                    waiting.setblocking(False)
                    waiting.connect_ex((_HOST, port))
            self.urls.append(f"http://{_HOST}:{port}/notify")
        return self

    def _keep(self, made: socket.socket) -> socket.socket:
        self._sockets.append(made)
        return made

    def __exit__(self, *exception: object) -> None:
        for each in self._sockets:
            each.close()


def main(argv: Sequence[str]) -> int:
    """Measure all scenes and print them; returns the exit code."""
    arguments = parse_arguments(argv)
    parameters = {
        "rate_per_s": arguments.rate,
        "idle_rate_per_s": arguments.idle_rate,
        "duration_s": arguments.duration,
        "neighbours": arguments.neighbours,
    }
    document = begin_document("latency", parameters)
    try:
        for scene in ("idle", "alone", "live", "dead"):
            with tempfile.TemporaryDirectory(prefix="rigel-load-", dir=arguments.directory) as made:
                document["figures"][scene] = measure_scene(scene, Path(made), arguments)
            if arguments.output is not None:
                write_document(arguments.output, document)
    except (LoadError, RuntimeError, OSError) as error:
        print(f"latency: {error}", file=sys.stderr)
        return 1
    figures = document["figures"]
    baseline = figures["alone"]["latency_us"]["p99"]
    for scene in ("live", "dead"):
        figures[scene]["p99_ratio_to_alone"] = figures[scene]["latency_us"]["p99"] / baseline
    print(make_table(figures))
    save(arguments, document)
    return 0


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=20.0, help="updates per second")
    parser.add_argument("--idle-rate", type=float, default=50.0, help="as --rate, in scene idle")
    parser.add_argument("--duration", type=float, default=20.0, help="seconds of each scene")
    parser.add_argument("--neighbours", type=int, default=NEIGHBOURS, help="other endpoints")
    parser.add_argument("--quick", action="store_true", help="a glance: does it run at all?")
    add_options(parser)
    arguments = parser.parse_args(argv)
    check_options(parser, arguments)
    for name, most in (
        ("rate", RATE_MAX),
        ("idle_rate", RATE_MAX),
        ("duration", DURATION_MAX_S),
        ("neighbours", 1000),
    ):
        value = getattr(arguments, name)
        if not 0 < value <= most:
            parser.error(f"--{name.replace('_', '-')}: {value:g} is not above 0 to {most:g}")
    if arguments.quick:
        arguments.duration = min(arguments.duration, QUICK_S)
    return arguments


def measure_scene(scene: str, directory: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The latencies of one scene. Raises LoadError and RuntimeError."""
    cpus = choose_cpus()
    pin(os.getpid(), cpus.client)
    rate: float = arguments.idle_rate if scene == "idle" else arguments.rate
    count = max(int(rate * arguments.duration), 10)
    with ExitStack() as running:
        broker = start_broker(running, directory / "broker", _FLAGS, cpus.server)
        dead = running.enter_context(DeadEndpoints(arguments.neighbours if scene == "dead" else 0))
        neighbours = arguments.neighbours if scene == "live" else 0
        return uvloop.run(_measure(broker.port, broker.pid, dead.urls, neighbours, rate, count))


async def _measure(
    port: int, pid: int, dead: Sequence[str], neighbours: int, rate: float, count: int
) -> dict[str, Any]:
    live = NotificationServer(stamped=True)
    others = [NotificationServer() for _ in range(neighbours)]
    url = f"http://{_HOST}:{await live.start(_HOST, 0)}/notify"
    other_urls = [f"http://{_HOST}:{await each.start(_HOST, 0)}/notify" for each in others]
    broker = f"http://{_HOST}:{port}"
    entities = [_make_entity(number) for number in range(ENTITIES)]
    post(f"{broker}/v2/op/update", orjson.dumps({"actionType": "append", "entities": entities}))
    # The live one last: it stands behind all others wherever there is an order.
    for each in [*dead, *other_urls, url]:
        post(f"{broker}/v2/subscriptions", _make_subscription(each))
    load = Load(port, [[_make_update(number) for number in range(ENTITIES)]], 204, stamped=True)
    await load.connect()
    try:
        await send_at_rate(load, WARM_UP, rate)
        if await live.wait(WARM_UP, SILENCE_S) < WARM_UP:
            raise LoadError(f"{live.count} of {WARM_UP} notifications arrived")
        del live.latencies_us[:]
        before = read_cpu_time(pid)
        await send_at_rate(load, count, rate)
        arrived = await live.wait(WARM_UP + count, SILENCE_S)
        spent = read_cpu_time(pid).since(before)
    finally:
        load.close()
        for each_server in [live, *others]:
            each_server.close()
    if arrived < WARM_UP + count:
        raise LoadError(f"{arrived - WARM_UP} of {count} notifications arrived")
    ordered = sorted(live.latencies_us)
    last = len(ordered) - 1
    return {
        "updates": count,
        "updates_per_s": rate,
        "latency_us": summarize_us(ordered),
        "out_of_order": live.out_of_order,
        "cpu_us_per_update": spent.total_s / count * 1e6,
        "quantiles_us": [ordered[round(n / _QUANTILES * last)] for n in range(_QUANTILES + 1)],
    }


def _make_entity(number: int) -> dict[str, Any]:
    return {
        "id": f"Room{number}",
        "type": "Room",
        "temperature": {"type": "Number", "value": 20},
        ATTRIBUTE: {"type": "Number", "value": 0},
    }


def _make_update(number: int) -> bytes:
    document = {
        "temperature": {"type": "Number", "value": 21},
        ATTRIBUTE: {"type": "Number", "value": int(PLACE)},
    }
    return request("PATCH", f"/v2/entities/Room{number}/attrs", orjson.dumps(document))


def _make_subscription(url: str) -> bytes:
    return orjson.dumps(
        {
            "subject": {"entities": [{"idPattern": ".*", "type": "Room"}]},
            "notification": {"http": {"url": url}},
        }
    )


def make_table(figures: dict[str, Any]) -> str:
    """The scenes in Markdown, in milliseconds."""
    lines = [
        "| scene | updates/s | " + " | ".join(f"{name} ms" for name in _PERCENT) + " | x alone |",
        "|" + "---|" * (len(_PERCENT) + 3),
    ]
    for scene, found in figures.items():
        ratio = found.get("p99_ratio_to_alone")
        cells = [
            scene,
            f"{found['updates_per_s']:g}",
            *(f"{found['latency_us'][name] / 1000:.2f}" for name in _PERCENT),
            "-" if ratio is None else f"{ratio:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
