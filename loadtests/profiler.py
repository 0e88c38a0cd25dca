"""Where the broker's CPU goes: `python loadtests/profiler.py update|query|notify|batch`.

The load is that of the benchmark; the functions come from `sampler.py`. Prints the share of
each folder and the functions with the most time of their own, in microseconds per request.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from broker.launch import BrokerProcess
from loadtests import workloads
from loadtests.cpu_time import choose_cpus, pin, read_cpu_time
from loadtests.load_client import LoadClient
from loadtests.receiver import Arrivals, Receiver
from loadtests.servers import post, queue_for_all

WARM_UP_SHARE: Final = 10  # one request in so many is sent before sampling begins
_ROOT: Final = Path(__file__).resolve().parents[1]
_WORKLOADS: Final = {
    "update": (workloads.update_requests, 204, 30_000),
    "query": (workloads.query_requests, 200, 30_000),
    "notify": (workloads.update_requests, 204, 15_000),
    "batch": (workloads.batch_requests, 204, 150),
}


class SampledBroker(BrokerProcess):
    """A broker under the sampler, which writes to `output` when it ends."""

    def __init__(self, directory: Path, arguments: Sequence[str], output: Path) -> None:
        super().__init__(directory, arguments)
        # In the place of `-m broker`.
        self._arguments[1:3] = [str(_ROOT / "loadtests" / "sampler.py"), str(output)]


def main(argv: Sequence[str]) -> int:
    """Sample one kind of request and print what was found; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=_WORKLOADS)
    parser.add_argument("--requests", type=int, help="how many are sampled")
    parser.add_argument("--top", type=int, default=25, help="functions shown")
    arguments = parser.parse_args(argv)
    requests, status, usual = _WORKLOADS[arguments.kind]
    count = arguments.requests or usual
    cpus = choose_cpus()
    with tempfile.TemporaryDirectory(prefix="rigel-profile-") as made, ExitStack() as running:
        output = Path(made) / "samples.json"
        receiver = running.enter_context(Receiver(cpus.client))
        broker = running.enter_context(SampledBroker(Path(made) / "data", queue_for_all(), output))
        pin(broker.pid, cpus.server)
        post(f"{broker.url}/v2/op/update", workloads.make_batches()[0])
        arrivals = None
        if arguments.kind == "notify":
            arrivals = Arrivals(receiver)
            post(f"{broker.url}/v2/subscriptions", workloads.make_subscription(receiver.url))
        with LoadClient(broker.port, requests(0), status, cpus.client) as client:
            warm_up = count // WARM_UP_SHARE
            client.send(warm_up)
            if arrivals is not None:
                arrivals.expect(warm_up)
            os.kill(broker.pid, signal.SIGUSR1)
            before = read_cpu_time(broker.pid)
            client.send(count)
            if arrivals is not None:
                arrivals.expect(count)
            spent = read_cpu_time(broker.pid).since(before)
        broker.stop()
        samples = json.loads(output.read_text(encoding="utf-8"))
    print(f"{arguments.kind}: {spent.total_s / count * 1e6:.1f} us of CPU per request")
    show(samples, spent.total_s / count * 1e6, arguments.top)
    return 0


def show(samples: dict[str, list[Any]], cpu_us: float, top: int) -> None:
    """Print folders and functions with their part of `cpu_us`."""
    total = sum(count for _, _, count in samples["own"])
    places: Counter[str] = Counter()
    for file, _, count in samples["own"]:
        places[_place(file)] += count
    print(f"{total} samples\n\nown time by place")
    for place, count in places.most_common(top):
        print(f"{count / total * cpu_us:9.2f} us {count / total:6.1%}  {place}")
    for title in ("own", "cumulative"):
        print(f"\n{title} time by function")
        for file, name, count in samples[title][:top]:
            print(f"{count / total * cpu_us:9.2f} us {count / total:6.1%}  {_shorten(file)} {name}")


def _place(file: str) -> str:
    """A library, or a folder of ours."""
    short = _shorten(file)
    return str(Path(short).parent) if file == f"{_ROOT}/{short}" else short.partition("/")[0]


def _shorten(file: str) -> str:
    _, installed, name = file.partition("/site-packages/")
    if installed:
        return name
    if file.startswith(f"{_ROOT}/"):
        return file.removeprefix(f"{_ROOT}/")
    return f"python/{Path(file).name}" if file.startswith("/") else file


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
