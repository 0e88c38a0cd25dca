"""Load on a broker with locust: devices that update, people who query, and subscribers.

    locust -f loadtests/locustfile.py --host http://127.0.0.1:1026
    locust -f loadtests/locustfile.py --host http://127.0.0.1:1026 --headless -u 50 -t 60s

The same for any NGSIv2 broker, Orion too. Notifications come to a receiver in this process; they
are a row of locust's table, with the time from the update to its arrival. A run without a
notification, though there were updates and subscriptions, ends with exit code 1, and so does one
whose time is over before its first request.

Where the broker cannot reach this machine as it is called here (a container, say), name the
address with --receiver-url. What the run creates is in one service and deleted at its end.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
import requests
from gevent.pywsgi import WSGIServer
from locust import FastHttpUser, between, constant_pacing, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

BATCH_ENTITIES: Final = 100
ENTITIES_MAX: Final = 100_000
SUBSCRIPTIONS_MAX: Final = 1_000
BODY_MAX_BYTES: Final = 16 * 1024 * 1024  # twice the largest notification of a broker
TIMEOUT_S: Final = 30.0
MANY_UPDATES: Final = 100  # among so many, some must match a subscription
LAST_ARRIVALS_S: Final = 2.0  # for what is under way at the end

TYPE: Final = "LocustRoom"
NOTIFICATION: Final = "notification"
_COLUMNS: Final = 300
_SPACING: Final = 0.01  # degrees


class City:
    """What a run creates, and the receiver of its notifications."""

    def __init__(self, environment: Environment) -> None:
        options = environment.parsed_options
        assert options is not None
        assert environment.host is not None
        self._environment = environment
        self._broker = environment.host.rstrip("/")
        self.headers = {"Fiware-Service": options.service} if options.service else {}
        self.entities: int = options.entities
        self.subscriptions_wanted: int = options.subscriptions
        self._created: list[list[dict[str, str]]] = []  # identities, a batch each
        self._subscriptions: list[str] = []
        self.received = 0
        self._receiver = WSGIServer(
            (options.receiver_host, options.receiver_port), self._receive, log=None
        )
        self._receiver_url: str = options.receiver_url

    @property
    def receiver_url(self) -> str:
        """Where the broker is told to notify."""
        host, port = self._receiver.server_host, self._receiver.server_port
        return self._receiver_url or f"http://{host}:{port}/notify"

    def build(self) -> None:
        """Create entities and subscriptions, and listen. Raises OSError and RuntimeError."""
        self._receiver.start()
        for batch in self._batches():
            self._ask("POST", "/v2/op/update", {"actionType": "append", "entities": batch})
            self._created.append([{"id": each["id"], "type": TYPE} for each in batch])
        for number in range(self.subscriptions_wanted):
            self._subscriptions.append(
                self._ask("POST", "/v2/subscriptions", self.make_subscription(number))
            )

    def clear(self) -> None:
        """Delete what was created, and listen no more."""
        try:
            while self._subscriptions:
                self._ask("DELETE", self._subscriptions.pop())
            while self._created:
                identities = self._created.pop()
                self._ask("POST", "/v2/op/update", {"actionType": "delete", "entities": identities})
        finally:
            self._receiver.stop()

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
        for first in range(0, self.entities, BATCH_ENTITIES):
            last = min(first + BATCH_ENTITIES, self.entities)
            yield [make_entity(number) for number in range(first, last)]

    def make_subscription(self, number: int) -> dict[str, Any]:
        """To a part of the rooms, by pattern."""
        return {
            "description": "locust",
            "subject": {
                "entities": [{"idPattern": f"^LocustRoom.*{number % 10}$", "type": TYPE}],
                "condition": {"attrs": ["temperature"]},
            },
            "notification": {"http": {"url": self.receiver_url}, "attrs": ["sentAt"]},
        }

    def _ask(self, method: str, path: str, document: Any = None) -> str:
        reply = requests.request(
            method,
            f"{self._broker}{path}",
            json=document,
            headers=self.headers,
            timeout=TIMEOUT_S,
        )
        if not reply.ok:
            raise RuntimeError(f"{method} {path}: {reply.status_code} {reply.text}")
        return reply.headers.get("Location", "")

    def _receive(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > BODY_MAX_BYTES:
            start_response("413 Content Too Large", [("Content-Length", "0")])
            return []
        body = environ["wsgi.input"].read(length)
        now = time.time()
        problem: Exception | None = None
        latency_ms = 0.0
        try:
            sent_at = [float(each["sentAt"]["value"]) for each in json.loads(body)["data"]]
            latency_ms = max(now - max(sent_at), 0.0) * 1000
        except (ValueError, TypeError, KeyError) as error:
            problem = RuntimeError(f"not a notification of this run: {error!r}")
        self.received += problem is None
        self._environment.events.request.fire(
            request_type="RECEIVE",
            name=NOTIFICATION,
            response_time=latency_ms,
            response_length=length,
            exception=problem,
            context={},
        )
        start_response("200 OK", [("Content-Length", "0")])
        return []


def make_entity(number: int) -> dict[str, Any]:
    """A room at a place of its own."""
    row, column = divmod(number, _COLUMNS)
    return {
        "id": f"LocustRoom{number}",
        "type": TYPE,
        "temperature": {"type": "Number", "value": 20},
        "sentAt": {"type": "Number", "value": time.time()},
        "location": {
            "type": "geo:point",
            "value": f"{row * _SPACING:.2f},{column * _SPACING:.2f}",
        },
    }


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """Options beside locust's own."""
    parser.add_argument("--service", default="", help="Fiware-Service of all requests")
    parser.add_argument("--entities", type=int, default=1000, help="rooms that are updated")
    parser.add_argument("--subscriptions", type=int, default=10, help="0 for no notifications")
    parser.add_argument("--receiver-host", default="127.0.0.1", help="where the receiver listens")
    parser.add_argument("--receiver-port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--receiver-url", default="", help="what the broker is told, if it differs")


@events.init.add_listener
def check_options(environment: Environment, **_: Any) -> None:
    """Refuse what cannot run. Raises SystemExit."""
    options = environment.parsed_options
    if options is None:
        return
    if isinstance(environment.runner, MasterRunner | WorkerRunner):
        raise SystemExit("locustfile: the receiver is in one process; run it without workers")
    if not 1 <= options.entities <= ENTITIES_MAX:
        raise SystemExit(f"--entities: {options.entities} is not from 1 to {ENTITIES_MAX}")
    if not 0 <= options.subscriptions <= SUBSCRIPTIONS_MAX:
        raise SystemExit(
            f"--subscriptions: {options.subscriptions} is not from 0 to {SUBSCRIPTIONS_MAX}"
        )


@events.test_start.add_listener
def build_city(environment: Environment, **_: Any) -> None:
    """Before the first user: entities, subscriptions, receiver. Raises SystemExit."""
    if environment.host is None or urlsplit(environment.host).scheme not in ("http", "https"):
        raise SystemExit("--host: give the broker's address, as in http://127.0.0.1:1026")
    city = City(environment)
    assert environment.parsed_options is not None
    environment.parsed_options.city = city  # locust's hooks and users have just this in common
    try:
        city.build()
    except (OSError, RuntimeError) as error:
        raise SystemExit(f"locustfile: {environment.host} cannot be prepared: {error}") from None


@events.test_stop.add_listener
def clear_city(environment: Environment, **_: Any) -> None:
    """After the last user: wait for what is under way, delete, judge."""
    city: City | None = getattr(environment.parsed_options, "city", None)
    if city is None:
        return
    gevent.sleep(LAST_ARRIVALS_S)
    try:
        city.clear()
    finally:
        updates = environment.stats.get("update", "PATCH").num_requests
        if city.subscriptions_wanted and updates >= MANY_UPDATES and not city.received:
            print("locustfile: no notification arrived", file=sys.stderr)
            environment.process_exit_code = 1


@events.quitting.add_listener
def check_run(environment: Environment, **_: Any) -> None:
    """A run by itself in which nothing was asked is none: its time was over too early."""
    options = environment.parsed_options
    if options is not None and options.headless and not environment.stats.total.num_requests:
        print(f"locustfile: no request was made of {environment.host}", file=sys.stderr)
        environment.process_exit_code = 1


def find_city(environment: Environment) -> City:
    """The city of a run under way."""
    assert environment.parsed_options is not None
    city: City = environment.parsed_options.city
    return city


class Device(FastHttpUser):
    """A room's sensor: an update ten times a second."""

    weight = 5
    wait_time = constant_pacing(0.1)

    def on_start(self) -> None:
        """Find the city."""
        self.city = find_city(self.environment)

    @task(9)
    def update(self) -> None:
        """Two attributes of one entity."""
        number = random.randrange(self.city.entities)
        self.client.patch(
            f"/v2/entities/LocustRoom{number}/attrs",
            json={
                "temperature": {"type": "Number", "value": round(random.uniform(15, 30), 2)},
                "sentAt": {"type": "Number", "value": time.time()},
            },
            headers=self.city.headers,
            name="update",
        )

    @task(1)
    def update_batch(self) -> None:
        """Ten entities at once, of those that are there."""
        first = random.randrange(self.city.entities)
        numbers = range(first, min(first + 10, self.city.entities))
        self.client.post(
            "/v2/op/update",
            json={"actionType": "append", "entities": [make_entity(n) for n in numbers]},
            headers=self.city.headers,
            name="update batch",
        )


class Visitor(FastHttpUser):
    """Someone who looks things up, by all that entities are found by."""

    weight = 4
    wait_time = between(0.1, 0.3)

    def on_start(self) -> None:
        """Find the city."""
        self.city = find_city(self.environment)

    def _query(self, parameters: str, name: str) -> None:
        path = f"/v2/entities{parameters}"
        self.client.get(path, headers=self.city.headers, name=name)

    @task(4)
    def query_by_id(self) -> None:
        """One entity."""
        self._query(f"/LocustRoom{random.randrange(self.city.entities)}", "query by id")

    @task(2)
    def query_by_type(self) -> None:
        """A page of those of a type."""
        self._query(f"?type={TYPE}&limit=20&options=count", "query by type")

    @task(1)
    def query_by_pattern(self) -> None:
        """Those whose id begins alike."""
        number = random.randrange(self.city.entities)
        self._query(f"?idPattern=^LocustRoom{number}&type={TYPE}", "query by pattern")

    @task(1)
    def query_by_place(self) -> None:
        """Those within 2 km of one of them."""
        place = make_entity(random.randrange(self.city.entities))["location"]["value"]
        where = f"georel=near;maxDistance:2000&geometry=point&coords={place}"
        self._query(f"?{where}&type={TYPE}", "query by place")


class Subscriber(FastHttpUser):
    """Someone whose subscriptions come and go."""

    weight = 1
    wait_time = between(0.5, 1.0)

    def on_start(self) -> None:
        """Find the city."""
        self.city = find_city(self.environment)

    @task
    def subscribe(self) -> None:
        """Create a subscription, look at it, delete it."""
        document = self.city.make_subscription(random.randrange(10))
        headers = self.city.headers
        reply = self.client.post(
            "/v2/subscriptions", json=document, headers=headers, name="subscribe"
        )
        if reply.status_code == 201 and reply.headers is not None:
            location = str(reply.headers["Location"])
            self.client.get(location, headers=headers, name="read subscription")
            self.client.delete(location, headers=headers, name="unsubscribe")
