"""A load generator for what wrk and locust cannot express, against a broker that runs already.

Connections with several requests under way each (pipelining), prepared bytes, a fixed rate or as
fast as it goes, and subscriptions whose receiver measures the time from each update to each of
its notifications, and their order. For brokers on this machine only: it is meant to saturate
them, and the times are those of one clock.

    python loadtests/generator.py update --port 1026 --connections 50 --requests 100000
    python loadtests/generator.py update --port 1026 --subscriptions 10 --rate 500 --pid PID

With `--pid` it tells what the broker's processes spent. What it created it deletes again.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from loadtests.cpu_time import read_cpu_time
from loadtests.load_client import Load, LoadError
from loadtests.receiver import NotificationServer, summarize_us
from loadtests.stamp import ATTRIBUTE, PLACE
from loadtests.workloads import request

CONNECTIONS_MAX: Final = 10_000  # file descriptors; a broker takes fewer by default
PIPELINE_MAX: Final = 1_000
REQUESTS_MAX: Final = 100_000_000
RATE_MAX: Final = 1_000_000.0
ENTITIES_MAX: Final = 100_000  # their requests are prepared, a kilobyte each
SUBSCRIPTIONS_MAX: Final = 1_000
BATCH_ENTITIES: Final = 100
SILENCE_S: Final = 5.0  # without any notification: those that are missing do not come
INITIAL_SILENCE_S: Final = 0.2  # after the subscriptions were made, before updates begin

_TIMEOUT_S: Final = 60.0
_SERVICE_HEADER: Final = "Fiware-Service"
_TYPE: Final = "LoadRoom"
_PLACES_PER_DEGREE: Final = 100


class Target:
    """The broker that is asked, and the service that everything is in."""

    def __init__(self, host: str, port: int, service: str) -> None:
        self.host = host
        self.port = port
        self._service = service

    def ask(self, method: str, path: str, document: Any = None) -> str | None:
        """One request that prepares or cleans; returns its Location. Raises LoadError."""
        body = None if document is None else orjson.dumps(document)
        headers = {_SERVICE_HEADER: self._service} if self._service else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = f"http://{self.host}:{self.port}{path}"
        asked = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as reply:
                location: str | None = reply.headers["Location"]
                return location
        except urllib.error.HTTPError as error:
            with error:
                raise LoadError(f"{method} {url}: {error.code} {error.read()!r}") from None
        except OSError as error:
            raise LoadError(f"{method} {url}: {error}") from None

    def prepare(self, method: str, path: str, document: Any = None) -> bytes:
        """The bytes of one request of the load; numbers equal to PLACE take a stamp."""
        body = b"" if document is None else orjson.dumps(document)
        prepared = request(method, path, body)
        if self._service:
            line, _, rest = prepared.partition(b"\r\n")
            header = f"{_SERVICE_HEADER}: {self._service}".encode()
            prepared = line + b"\r\n" + header + b"\r\n" + rest
        return prepared


def make_entity(number: int) -> dict[str, Any]:
    """A room with a place on a grid, and a stamp that no update has set."""
    row, column = divmod(number, 300)
    place = f"{row / _PLACES_PER_DEGREE:.2f},{column / _PLACES_PER_DEGREE:.2f}"
    return {
        "id": f"LoadRoom{number}",
        "type": _TYPE,
        "temperature": {"type": "Number", "value": number % 40},
        ATTRIBUTE: {"type": "Number", "value": 0},
        "location": {"type": "geo:point", "value": place},
    }


def _stamped(number: int) -> dict[str, Any]:
    return {
        "temperature": {"type": "Number", "value": number % 40},
        ATTRIBUTE: {"type": "Number", "value": int(PLACE)},
    }


def _make_update(target: Target, number: int, entities: int) -> bytes:
    return target.prepare("PATCH", f"/v2/entities/LoadRoom{number}/attrs", _stamped(number))


def _make_batch(target: Target, number: int, entities: int) -> bytes:
    first = number // BATCH_ENTITIES * BATCH_ENTITIES
    batch = [
        {
            "id": f"LoadRoom{each}",
            "type": _TYPE,
            "temperature": {"type": "Number", "value": each % 40},
            # One stamp per request can be set: the first entity's.
            **({ATTRIBUTE: _stamped(each)[ATTRIBUTE]} if each == first else {}),
        }
        for each in range(first, min(first + BATCH_ENTITIES, entities))
    ]
    return target.prepare("POST", "/v2/op/update", {"actionType": "append", "entities": batch})


def _make_query_by_id(target: Target, number: int, entities: int) -> bytes:
    return target.prepare("GET", f"/v2/entities/LoadRoom{number}")


def _make_query_by_type(target: Target, number: int, entities: int) -> bytes:
    return target.prepare("GET", f"/v2/entities?type={_TYPE}&limit=20&offset={number % 100}")


def _make_query_by_pattern(target: Target, number: int, entities: int) -> bytes:
    return target.prepare("GET", f"/v2/entities?idPattern=LoadRoom{number}.*&type={_TYPE}&limit=20")


def _make_query_by_place(target: Target, number: int, entities: int) -> bytes:
    row, column = divmod(number, 300)
    place = f"{row / _PLACES_PER_DEGREE:.2f},{column / _PLACES_PER_DEGREE:.2f}"
    return target.prepare(
        "GET", f"/v2/entities?georel=near;maxDistance:2000&geometry=point&coords={place}&limit=20"
    )


_KINDS: Final[dict[str, tuple[Callable[[Target, int, int], bytes], int]]] = {
    "update": (_make_update, 204),
    "batch": (_make_batch, 204),
    "id": (_make_query_by_id, 200),
    "type": (_make_query_by_type, 200),
    "pattern": (_make_query_by_pattern, 200),
    "place": (_make_query_by_place, 200),
}


def main(argv: Sequence[str]) -> int:
    """Apply the load and print what it found, as JSON; returns the exit code."""
    arguments = parse_arguments(argv)
    target = Target(arguments.host, arguments.port, arguments.service)
    try:
        found = uvloop.run(generate(arguments, target))
    except (LoadError, OSError) as error:
        print(f"generator: {error}", file=sys.stderr)
        return 1
    text = json.dumps(found, indent=2)
    if arguments.output is not None:
        arguments.output.write_text(f"{text}\n", encoding="utf-8")
    print(text)
    return 0 if found["notifications"]["missing"] == 0 else 1


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=_KINDS, help="what is sent; the last four are queries")
    parser.add_argument("--host", default="127.0.0.1", help="where the broker is; loopback only")
    parser.add_argument("--port", type=int, default=1026)
    parser.add_argument("--service", default="", help="Fiware-Service of everything that is sent")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--pipeline", type=int, default=1, help="requests under way on each")
    parser.add_argument("--requests", type=int, default=10_000, help="how many altogether")
    parser.add_argument(
        "--rate", type=float, help="requests per second; without it, as fast as it goes"
    )
    parser.add_argument("--entities", type=int, default=1000)
    parser.add_argument(
        "--subscriptions", type=int, default=0, help="each is notified of every update"
    )
    parser.add_argument("--receiver-host", default="127.0.0.1", help="where notifications come")
    parser.add_argument("--receiver-port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--receiver-url", help="what the broker is told, if it differs")
    parser.add_argument("--pid", type=int, help="the broker's process, to tell its CPU time")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write what is printed")
    arguments = parser.parse_args(argv)
    for name, most in (
        ("connections", CONNECTIONS_MAX),
        ("pipeline", PIPELINE_MAX),
        ("requests", REQUESTS_MAX),
        ("entities", ENTITIES_MAX),
        ("rate", RATE_MAX),
    ):
        value = getattr(arguments, name)
        if value is not None and not 0 < value <= most:
            parser.error(f"--{name}: {value:g} is not from 1 to {most:g}")
    if not 0 <= arguments.subscriptions <= SUBSCRIPTIONS_MAX:
        parser.error(f"--subscriptions: {arguments.subscriptions} is not from 0 to 1000")
    if arguments.subscriptions and arguments.kind not in ("update", "batch"):
        parser.error("--subscriptions: queries notify nobody")
    if arguments.entities < arguments.connections:
        parser.error("--entities: each connection needs at least one of its own")
    if not _is_loopback(arguments.host):
        parser.error(f"--host: {arguments.host} is not an address of this machine (127.0.0.0/8)")
    if arguments.pid is not None and not Path(f"/proc/{arguments.pid}").exists():
        parser.error(f"--pid: there is no process {arguments.pid}")
    return arguments


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def generate(arguments: argparse.Namespace, target: Target) -> dict[str, Any]:
    """Prepare the broker, send, wait for the notifications, clean up. Raises LoadError."""
    server = NotificationServer(stamped=True)
    port = await server.start(arguments.receiver_host, arguments.receiver_port)
    receiver_url = arguments.receiver_url or f"http://{arguments.receiver_host}:{port}/notify"
    entities = range(arguments.entities)
    subscriptions: list[str] = []
    try:
        await asyncio.to_thread(_create_entities, target, entities)
        for number in range(arguments.subscriptions):
            url = f"{receiver_url}/{number}"
            subscriptions.append(await asyncio.to_thread(_subscribe, target, url))
        if subscriptions:
            # A broker may notify a new subscription of what there is.
            await server.wait(sys.maxsize, INITIAL_SILENCE_S)
        return await _send(arguments, target, server)
    finally:
        for location in subscriptions:
            await asyncio.to_thread(target.ask, "DELETE", location)
        await asyncio.to_thread(_delete_entities, target, entities)
        server.close()


def _create_entities(target: Target, entities: range) -> None:
    for first in range(0, len(entities), BATCH_ENTITIES):
        batch = [make_entity(number) for number in entities[first : first + BATCH_ENTITIES]]
        target.ask("POST", "/v2/op/update", {"actionType": "append", "entities": batch})


def _delete_entities(target: Target, entities: range) -> None:
    for first in range(0, len(entities), BATCH_ENTITIES):
        batch = [
            {"id": f"LoadRoom{number}", "type": _TYPE}
            for number in entities[first : first + BATCH_ENTITIES]
        ]
        target.ask("POST", "/v2/op/update", {"actionType": "delete", "entities": batch})


def _subscribe(target: Target, url: str) -> str:
    location = target.ask(
        "POST",
        "/v2/subscriptions",
        {
            "description": "load test",
            "subject": {
                "entities": [{"idPattern": "LoadRoom.*", "type": _TYPE}],
                "condition": {"attrs": [ATTRIBUTE]},
            },
            "notification": {"http": {"url": url}, "attrs": [ATTRIBUTE]},
        },
    )
    if location is None:
        raise LoadError("a subscription was created without a Location")
    return location


async def _send(
    arguments: argparse.Namespace, target: Target, server: NotificationServer
) -> dict[str, Any]:
    make, status = _KINDS[arguments.kind]
    count: int = arguments.requests
    requests = [
        [make(target, number, arguments.entities) for number in mine]
        for mine in _share(arguments.entities, arguments.connections, arguments.kind)
    ]
    load = Load(
        target.port,
        requests,
        status,
        host=target.host,
        depth=arguments.pipeline,
        stamped=True,
        timed=True,
    )
    await load.connect()
    former = server.count
    before = None if arguments.pid is None else read_cpu_time(arguments.pid)
    started = time.monotonic()
    try:
        if arguments.rate is None:
            await load.send(count)
        else:
            await send_at_rate(load, count, arguments.rate)
        answered_s = time.monotonic() - started
        expected = former + count * arguments.subscriptions
        arrived = await server.wait(expected, SILENCE_S)
        delivered_s = time.monotonic() - started
    finally:
        load.close()
    spent = None if before is None else read_cpu_time(arguments.pid).since(before)
    return {
        "kind": arguments.kind,
        "connections": len(requests),
        "pipeline": arguments.pipeline,
        "requests": count,
        "requests_per_s": round(count / answered_s, 1),
        "response_us": summarize_us(load.latencies_us),
        "cpu_us_per_request": None if spent is None else spent.total_s / count * 1e6,
        "notifications": {
            "subscriptions": arguments.subscriptions,
            **server.as_document(),
            "received": arrived - former,
            "missing": max(expected - arrived, 0),
            "per_s": round((arrived - former) / delivered_s, 1),
        },
    }


def _share(entities: int, connections: int, kind: str) -> list[range]:
    """The entities of each connection: none is in two, so their updates stay in order."""
    if kind == "batch":
        firsts = range(0, entities, BATCH_ENTITIES)
        return [firsts[number::connections] for number in range(min(connections, len(firsts)))]
    return [range(number, entities, connections) for number in range(connections)]


async def send_at_rate(load: Load, count: int, rate: float) -> None:
    """Send `count` requests at their times, whether or not the former are answered.

    Raises LoadError; waits for all responses.
    """
    started = time.monotonic()
    for number in range(count):
        ahead_s = started + number / rate - time.monotonic()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)
        load.fire()
    await load.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
