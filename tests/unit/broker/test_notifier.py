"""Queues, order, counters and failures, with a sender whose exchanges end when the test says."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.logs import RequestContext, request_context
from broker.notifier import (
    STOPPED,
    Notification,
    Notifier,
    Outcome,
    drop_log,
    ordered_queue,
)
from broker.notifier import lanes as lanes_module
from broker.notifier import notifier as notifier_module
from broker.sender import TIMEOUT, URL_MALFORMED, Endpoint, OnEnd, Request, Response

NOW = 1_700_000_000.25
LOG = logging.getLogger("rigel.notifier")


class Exchange:
    """A request under way."""

    def __init__(self, connection: ScriptedConnection, request: Request, on_end: OnEnd) -> None:
        self.connection = connection
        self.request = request
        self.ended = False
        self.given_up = False
        self._on_end = on_end

    @property
    def body(self) -> bytes:
        return self.request.body

    def answer(self, status: int = 200, body: bytes = b"") -> None:
        self._end(Response(status, body), None)

    def fail(self, reason: str) -> None:
        self._end(None, reason)

    def _end(self, response: Response | None, failure: str | None) -> None:
        assert not self.ended
        self.ended = True
        asyncio.get_running_loop().call_soon(self._tell, response, failure)

    def _tell(self, response: Response | None, failure: str | None) -> None:
        if not self.given_up:
            self.connection.current = None
            self._on_end(response, failure)


class ScriptedConnection:
    def __init__(self, sender: ScriptedSender, endpoint: Endpoint) -> None:
        self._sender = sender
        self.endpoint = endpoint
        self.closed = False
        self.current: Exchange | None = None

    def exchange(self, request: Request, on_end: OnEnd, /) -> None:
        assert not self.closed
        assert self.current is None
        if request.body in self._sender.refused:
            raise ZeroDivisionError("a bug")
        self.current = Exchange(self, request, on_end)
        self._sender.exchanges.append(self.current)
        self._sender.wake()
        if self._sender.answers_at_once:
            self.current.answer()

    def give_up(self) -> None:
        assert not self.closed
        if self.current is not None:
            self.current.ended = self.current.given_up = True
            self.current = None

    def close(self) -> None:
        self.give_up()
        self.closed = True
        self._sender.wake()


class ScriptedSender:
    """Keeps every exchange in the order of their beginning."""

    def __init__(self, *, answers_at_once: bool = False) -> None:
        self.answers_at_once = answers_at_once
        self.connections: list[ScriptedConnection] = []
        self.exchanges: list[Exchange] = []
        self.refused: set[bytes] = set()
        self.closed = False
        self.most_open = 0
        self._changed = asyncio.Event()

    async def start(self) -> None:
        pass

    def connect(self, endpoint: Endpoint) -> ScriptedConnection:
        connection = ScriptedConnection(self, endpoint)
        self.connections.append(connection)
        self.most_open = max(self.most_open, len(self.open))
        return connection

    async def close(self) -> None:
        self.closed = True

    @property
    def open(self) -> list[ScriptedConnection]:
        return [connection for connection in self.connections if not connection.closed]

    def wake(self) -> None:
        self._changed.set()

    async def begun(self, number: int) -> list[Exchange]:
        """All exchanges, once there are `number` of them."""
        await self._wait(lambda: len(self.exchanges) >= number)
        return self.exchanges

    async def all_closed(self) -> None:
        await self._wait(lambda: not self.open)

    async def _wait(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()


class Results:
    """Takes outcomes, by body."""

    def __init__(self) -> None:
        self.outcomes: dict[bytes, list[Outcome]] = defaultdict(list)
        self.order: list[bytes] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, notification: Notification, outcome: Outcome) -> None:
        self.outcomes[notification.body].append(outcome)
        self.order.append(notification.body)
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def number(self, number: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.order) >= number)

    def only(self, body: bytes) -> Outcome:
        (outcome,) = self.outcomes[body]
        return outcome


def notification(
    body: bytes | str,
    on_result: Callable[[Notification, Outcome], None],
    *,
    key: object = None,
    url: str = "http://receiver:1028/notify",
    timeout_s: float = 60.0,
    **fields: Any,
) -> Notification:
    payload = body if isinstance(body, bytes) else body.encode()
    return Notification(
        subscription_id=fields.pop("subscription_id", "sub1"),
        tenant="city",
        url=url,
        headers=fields.pop("headers", {"Content-Type": "application/json"}),
        body=payload,
        timeout_s=timeout_s,
        order_key=payload if key is None else key,
        on_result=on_result,
        **fields,
    )


@asynccontextmanager
async def started(
    sender: ScriptedSender, **settings: Any
) -> AsyncIterator[tuple[Notifier, Results]]:
    values: dict[str, Any] = {
        "queue_length": 100,
        "connections_per_endpoint": 4,
        "default_timeout_s": 60.0,
        "max_message_bytes": 10_000,
        "insecure": False,
        "clock": lambda: NOW,
    }
    notifier = Notifier(sender=sender, **(values | settings))
    await notifier.start()
    try:
        yield notifier, Results()
    finally:
        await notifier.close()
        await sender.all_closed()
        assert sender.closed


async def turns(number: int = 20) -> None:
    """Lets everything happen that can happen without a further event."""
    for _ in range(number):
        await asyncio.sleep(0)


def bodies(exchanges: list[Exchange]) -> list[str]:
    return [exchange.body.decode() for exchange in exchanges]


class Lines(logging.Handler):
    """Log lines of the notifier, and a way to wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, str]] = []
        self.correlators: list[str | None] = []
        self._waiting: list[tuple[str, asyncio.Event]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))
        context = request_context.get()
        self.correlators.append(context.correlator if context else None)
        for text, seen in self._waiting:
            if text in record.getMessage():
                seen.set()

    def at(self, level: int) -> list[str]:
        return [line for found, line in self.lines if found == level]

    async def wait(self, text: str) -> None:
        seen = asyncio.Event()
        self._waiting.append((text, seen))
        if not any(text in line for _, line in self.lines):
            await seen.wait()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    handler = Lines()
    monkeypatch.setattr(LOG, "handlers", [handler])
    monkeypatch.setattr(LOG, "propagate", False)
    LOG.setLevel(logging.INFO)
    monkeypatch.setattr(LOG, "level", logging.INFO)
    return handler


async def test_a_response_of_any_status_is_a_success() -> None:
    sender = ScriptedSender()
    async with started(sender) as (notifier, results):
        this = request_context.set(RequestContext(correlator="the request that caused it"))
        assert notifier.send(notification("a", results))
        assert notifier.send(notification("b", results))
        request_context.reset(this)
        first, second = await sender.begun(2)
        assert results.order == []
        first.answer(204)
        second.answer(500)
        assert await notifier.drain(60) == 0
        assert results.only(b"a") == Outcome(NOW, 204, None)
        assert results.only(b"b") == Outcome(NOW, 500, None)
        statistics = notifier.statistics()
        assert (statistics.sent, statistics.failed, statistics.dropped) == (2, 0, 0)
        assert (statistics.queued, statistics.in_flight, statistics.outstanding_bytes) == (0, 0, 0)


async def test_no_response_is_a_failure_with_its_reason() -> None:
    sender = ScriptedSender()
    async with started(sender) as (notifier, results):
        notifier.send(notification("a", results))
        (exchange,) = await sender.begun(1)
        exchange.fail("Could not connect to server")
        assert await notifier.drain(60) == 0
        assert results.only(b"a") == Outcome(NOW, None, "Could not connect to server")
        assert notifier.statistics().failed == 1


async def test_one_key_in_order_and_other_keys_beside_it() -> None:
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=2) as (notifier, results):
        for name, key in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("c1", "c")):
            assert notifier.send(notification(name, results, key=key))
        assert bodies(await sender.begun(2)) == ["a1", "b1"]
        await turns()
        assert len(sender.exchanges) == 2  # a2 waits for a1, c1 for a lane

        sender.exchanges[1].answer()
        assert bodies(await sender.begun(3))[2:] == ["c1"]
        await turns()
        assert len(sender.exchanges) == 3

        sender.exchanges[0].answer()
        assert bodies(await sender.begun(4))[3:] == ["a2"]
        await turns()
        assert len(sender.exchanges) == 4  # the other lane is busy with c1 or must not take a3
        sender.exchanges[3].fail("Timeout was reached")
        assert bodies(await sender.begun(5))[4:] == ["a3"]
        sender.exchanges[2].answer()
        sender.exchanges[4].answer()
        assert await notifier.drain(60) == 0
        assert len(sender.connections) == 2


async def test_the_oldest_that_may_leave_goes_first() -> None:
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=1) as (notifier, results):
        sent = ["a1", "b1", "a2", "c1", "b2", "a3"]
        for name in sent:
            notifier.send(notification(name, results, key=name[0]))
        for number in range(len(sent)):
            (await sender.begun(number + 1))[number].answer()
        assert await notifier.drain(60) == 0
        assert bodies(sender.exchanges) == sent


async def test_many_of_one_key_do_not_hold_up_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered_queue, "PARKED_AT_ONCE", 3)
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=2) as (notifier, results):
        notifier.send(notification("a0", results, key="a"))
        notifier.send(notification("b0", results, key="b"))
        await sender.begun(2)
        for number in range(1, 9):
            notifier.send(notification(f"c{number}", results, key="c"))
            notifier.send(notification(f"a{number}", results, key="a"))
        notifier.send(notification("d", results, key="d"))
        sender.exchanges[1].answer()  # the lane of b0 takes c1
        await sender.begun(3)
        sender.exchanges[0].answer()  # the lane of a0 takes a1, which c1 does not hold up
        assert bodies(await sender.begun(4))[2:] == ["c1", "a1"]
        sender.answers_at_once = True
        sender.exchanges[3].answer()  # a lane goes on to a8 and d while c1 hangs
        await results.number(11)
        assert "d" in bodies(sender.exchanges)
        assert [body for body in bodies(sender.exchanges) if body[0] == "a"] == [
            f"a{number}" for number in range(9)
        ]
        sender.exchanges[2].answer()
        assert await notifier.drain(60) == 0
        assert [body for body in bodies(sender.exchanges) if body[0] == "c"] == [
            f"c{number}" for number in range(1, 9)
        ]


async def test_a_hanging_endpoint_delays_nobody_else() -> None:
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=2) as (notifier, results):
        for number in range(20):
            notifier.send(notification(f"slow{number}", results, url="http://slow/"))
        await sender.begun(2)
        for port in range(1, 6):
            for number in range(4):
                url = f"http://fast:{port}/"
                notifier.send(notification(f"{port}/{number}", results, url=url))
        for number in range(2, 2 + 20):
            exchange = (await sender.begun(number + 1))[number]
            assert exchange.connection.endpoint.host == "fast"
            exchange.answer()
        await results.number(20)
        top = notifier.statistics().top
        assert (top[0].endpoint, top[0].queued, top[0].in_flight) == ("http://slow:80", 18, 2)


async def test_hosts_are_told_apart_by_scheme_name_and_port() -> None:
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=1) as (notifier, results):
        for number, url in enumerate(
            ("http://h/a", "http://H:80/b", "https://h/a", "http://h:81/a", "http://[::1]:80/a")
        ):
            notifier.send(notification(str(number), results, url=url))
        exchanges = await sender.begun(4)
        assert [str(exchange.connection.endpoint) for exchange in exchanges] == [
            "http://h:80",
            "https://h:443",
            "http://h:81",
            "http://[::1]:80",
        ]


async def test_a_full_queue_drops_counts_and_keeps_the_order_of_the_rest(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drop_log, "DROP_LOG_INTERVAL_S", 0.0)
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=1, queue_length=3) as (notifier, results):
        accepted = [notifier.send(notification(str(n), results, key="k")) for n in range(7)]
        assert accepted == [True] * 4 + [False] * 3  # one in flight, three wait
        await turns()
        statistics = notifier.statistics()
        assert (statistics.dropped, statistics.queued, statistics.in_flight) == (3, 3, 1)
        assert statistics.top[0].dropped == 3
        assert lines.at(logging.ERROR) == [
            "notification queue is full (endpoint: http://receiver:1028, waiting: 3)"
        ]
        assert lines.at(logging.WARNING) == []
        assert notifier.send(notification("elsewhere", results, url="http://other/"))

        sender.answers_at_once = True
        for exchange in sender.exchanges[:2]:
            exchange.answer()
        await lines.wait("room again")
        assert lines.at(logging.WARNING) == [
            "notification queue has room again (endpoint: http://receiver:1028, dropped: 3)"
        ]
        assert notifier.send(notification("7", results, key="k"))
        await results.number(6)
        assert [body for body in bodies(sender.exchanges) if body.isdigit()] == list("01237")
        assert set(results.outcomes) == {b"0", b"1", b"2", b"3", b"7", b"elsewhere"}


async def test_all_queues_together_are_bounded_in_bytes(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drop_log, "DROP_LOG_INTERVAL_S", 0.0)
    monkeypatch.setattr(notifier_module, "OUTSTANDING_BYTES_MAX", 99_000)
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=1) as (notifier, results):

        def fill(host: str) -> int:
            """How many of 4 KB are taken (5 KB with what they cost beside)."""
            names = (f"{host}{number:03}" for number in range(100))
            url = f"http://{host}/"
            sent = (notifier.send(notification(name * 1_024, results, url=url)) for name in names)
            return sum(sent)

        # Each slow endpoint leaves as much free as it holds.
        assert [fill(host) for host in "abc"] == [10, 5, 2]
        assert fill("a") == 0
        assert notifier.statistics().outstanding_bytes <= 99_000
        assert notifier.send(notification(b"small", results, url="http://d/"))
        assert lines.at(logging.ERROR) == [
            "notification queues are full (bytes: 51500, notifications: 10)"
        ]
        assert [top.dropped for top in notifier.statistics().top] == [190, 95, 98, 0]
        # What is dropped of an endpoint without others leaves nothing behind.
        assert not notifier.send(notification(b"x" * 9_970, results, url="http://e/", key=1))
        assert notifier.statistics().endpoints == 4

        sender.answers_at_once = True
        for exchange in await sender.begun(4):
            exchange.answer()
        await lines.wait("room again")
        assert lines.at(logging.WARNING) == ["notification queues have room again (dropped: 384)"]
        assert await notifier.drain(60) == 0
        assert notifier.statistics().outstanding_bytes == 0
        assert fill("a") == 10


@pytest.mark.parametrize("timeout_s", [0.001, 0.0])
async def test_a_timeout_ends_an_exchange_and_the_next_goes_out(timeout_s: float) -> None:
    sender = ScriptedSender()
    async with started(sender, default_timeout_s=0.001) as (notifier, results):
        notifier.send(notification("a", results, key="k", timeout_s=timeout_s))
        notifier.send(notification("b", results, key="k", timeout_s=60.0))
        (await sender.begun(2))[1].answer(200)
        assert await notifier.drain(60) == 0
        assert results.only(b"a") == Outcome(NOW, None, TIMEOUT)
        assert results.only(b"b") == Outcome(NOW, 200, None)
        assert len(sender.connections) == 1


async def test_each_exchange_has_its_own_deadline() -> None:
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=8) as (notifier, results):
        for name, timeout_s in (("z", 90.0), ("a", 0.02), ("b", 0.001), ("c", 0.01), ("y", 60.0)):
            notifier.send(notification(name, results, timeout_s=timeout_s))
        await results.number(3)
        assert set(results.order) == {b"a", b"b", b"c"}
        assert notifier.statistics().in_flight == 2


async def test_what_cannot_be_sent_is_an_outcome_but_not_within_send() -> None:
    sender = ScriptedSender()
    async with started(sender, max_message_bytes=100) as (notifier, results):
        headers = {"X-Name": "v" * 20}  # 6 + 20 + 2 bytes
        assert notifier.send(notification("x" * 72, results, headers=headers))
        assert notifier.send(notification("y" * 73, results, headers=headers))
        for number, url in enumerate(("", "receiver", "http://", "http://h:0/", "http://h:1/a b")):
            assert notifier.send(notification(f"u{number}", results, url=url))
        assert results.order == []
        await results.number(6)
        assert results.only(b"y" * 73).failure == "total outgoing message size is too big"
        assert [results.only(b"u%d" % number).failure for number in range(5)] == [URL_MALFORMED] * 5
        (await sender.begun(1))[0].answer()
        assert await notifier.drain(60) == 0
        assert len(sender.exchanges) == 1
        assert notifier.statistics().endpoints == 1


async def test_a_fault_in_a_callback_or_sender_stops_nothing(lines: Lines) -> None:
    def refuse(notification: Notification, outcome: Outcome) -> None:
        raise LookupError("no such subscription")

    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=1) as (notifier, results):
        notifier.send(notification("a", refuse))
        notifier.send(notification("b", results))
        notifier.send(notification("c", results))
        notifier.send(notification("d", results))
        sender.refused = {b"b", b"c"}
        (await sender.begun(1))[0].answer()
        (await sender.begun(2))[1].answer()
        assert await notifier.drain(60) == 0
        assert results.only(b"b").failure == "internal error"
        assert results.only(b"c").failure == "internal error"
        assert results.only(b"d").status == 200
        errors = lines.at(logging.ERROR)
        assert len(errors) == 3
        assert "not taken" in errors[0]
        assert "could not be sent" in errors[1]


async def test_a_callback_may_send() -> None:
    sender = ScriptedSender(answers_at_once=True)
    async with started(sender, connections_per_endpoint=1) as (notifier, results):

        def send_next(sent: Notification, outcome: Outcome) -> None:
            results(sent, outcome)
            following = int(sent.body) + 1
            if following < 50:
                assert notifier.send(notification(str(following), send_next, key="k"))

        notifier.send(notification("0", send_next, key="k"))
        await results.number(50)
        assert bodies(sender.exchanges) == [str(number) for number in range(50)]


async def test_idle_endpoints_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "LANE_IDLE_S", 0.0)
    monkeypatch.setattr(lanes_module, "IDLE_LANES_ENDED_AT_ONCE", 7)
    sender = ScriptedSender(answers_at_once=True)
    async with started(sender) as (notifier, results):
        for port in range(1, 101):
            notifier.send(notification(str(port), results, url=f"http://h:{port}/"))
        await results.number(100)
        await sender.all_closed()
        await turns()
        statistics = notifier.statistics()
        assert (statistics.endpoints, statistics.connections, statistics.top) == (0, 0, ())
        assert statistics.sent == 100
        assert notifier.send(notification("again", results, url="http://h:1/"))
        await results.number(101)


async def test_many_endpoints_at_once_are_spread_over_turns_of_the_loop() -> None:
    at_once = lanes_module.LANES_STARTED_AT_ONCE
    sender = ScriptedSender(answers_at_once=True)
    async with started(sender) as (notifier, results):
        for number in range(200):
            for key in "xy":
                url = f"http://h{number}/"
                assert notifier.send(notification(f"{number}{key}", results, url=url))
        before = 0
        while len(sender.connections) < 200:
            # What was begun last turn, and what is begun in this one.
            assert len(sender.connections) - before <= 2 * at_once
            before = len(sender.connections)
            await asyncio.sleep(0)
        assert await notifier.drain(60) == 0
        assert len(results.order) == 400


async def test_an_endpoint_gets_all_its_connections_if_it_has_work_for_them() -> None:
    connections = 3 * lanes_module.LANES_STARTED_AT_ONCE
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=connections) as (notifier, results):
        for number in range(connections + 1):
            assert notifier.send(notification(str(number), results))
        await sender.begun(connections)
        await turns()
        assert len(sender.connections) == len(sender.exchanges) == connections


async def test_many_new_endpoints_do_not_delay_a_connected_one() -> None:
    sender = ScriptedSender(answers_at_once=True)
    async with started(sender) as (notifier, results):
        notifier.send(notification("first", results))
        await results.number(1)
        await turns()
        for number in range(200):
            notifier.send(notification(str(number), results, url=f"http://h{number}/"))
        notifier.send(notification("second", results))
        await results.number(201)
        assert results.order.index(b"second") <= 2 * lanes_module.LANES_STARTED_AT_ONCE


async def test_an_idle_lane_is_used_again() -> None:
    sender = ScriptedSender()
    async with started(sender) as (notifier, results):
        for number in range(10):
            notifier.send(notification(str(number), results))
            (await sender.begun(number + 1))[number].answer()
            await results.number(number + 1)
            await turns()
        assert len(sender.connections) == 1


async def test_endpoints_take_turns_when_connections_run_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes_module, "CONNECTIONS_MAX", 2)
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=2) as (notifier, results):
        for round_ in range(3):
            for host in "abcd":
                for key in "xy":
                    name = f"{host}{key}{round_}"
                    assert notifier.send(
                        notification(name, results, key=key, url=f"http://{host}/")
                    )
        for number in range(24):
            (await sender.begun(number + 1))[number].answer()
        assert await notifier.drain(60) == 0
        assert sender.most_open == 2
        sent = bodies(sender.exchanges)
        # Nobody is served twice before everybody was served once.
        assert {name[0] for name in sent[:8]} == set("abcd")
        for host in "abcd":
            for key in "xy":
                mine = [name for name in sent if name.startswith(host + key)]
                assert mine == [f"{host}{key}{round_}" for round_ in range(3)]


async def test_a_turn_passed_on_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "CONNECTIONS_MAX", 2)
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=2) as (notifier, results):
        for name in ("a1", "b1", "a2", "a3", "d1", "a4"):
            notifier.send(notification(name, results, key=name[0]))
        notifier.send(notification("c1", results, url="http://c/"))
        await sender.begun(2)
        sender.exchanges[0].answer()  # its lane makes place for c1, with a2 and a3 in hand
        assert bodies(await sender.begun(3)) == ["a1", "b1", "c1"]
        sender.answers_at_once = True
        for exchange in sender.exchanges[1:]:
            exchange.answer()
        assert await notifier.drain(60) == 0
        assert bodies(sender.exchanges)[3:] == ["a2", "a3", "d1", "a4"]
        assert sender.most_open == 2


async def test_an_idle_connection_makes_place_for_another_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes_module, "CONNECTIONS_MAX", 2)
    sender = ScriptedSender()
    async with started(sender) as (notifier, results):
        notifier.send(notification("a", results, url="http://a/"))
        notifier.send(notification("b", results, url="http://b/"))
        first, _ = await sender.begun(2)
        first.answer()
        await results.number(1)
        await turns()
        notifier.send(notification("c", results, url="http://c/"))
        assert bodies(await sender.begun(3)) == ["a", "b", "c"]
        assert sender.connections[0].closed
        assert sender.most_open == 2
        assert notifier.statistics().endpoints == 2


async def test_close_reports_everything_once_and_accepts_no_more() -> None:
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=2, max_message_bytes=1_000) as (
        notifier,
        results,
    ):
        for number in range(10):
            notifier.send(notification(f"old{number}", results, key=number % 3))
        await sender.begun(2)
        sender.exchanges[0].answer()
        await results.number(1)
        # Of this turn of the loop: for a new lane, in a queue, too big.
        notifier.send(notification("new", results, url="http://other/"))
        notifier.send(notification("late", results))
        notifier.send(notification("x" * 2_000, results))
        await notifier.close()
        assert not notifier.send(notification("after", results))
        assert Counter(results.order).most_common(1)[0][1] == 1
        assert len(results.order) == 13
        assert results.only(b"late").failure == STOPPED
        assert results.only(b"new").failure == STOPPED
        assert results.only(b"old9").failure == STOPPED
        assert notifier.statistics().dropped == 1
        assert not sender.open
        await notifier.close()


async def test_close_reports_what_was_never_queued() -> None:
    sender = ScriptedSender()
    async with started(sender) as (notifier, results):
        notifier.send(notification("x", results, url="no URL"))
        await notifier.close()
        assert results.only(b"x").failure == URL_MALFORMED


async def test_drain_waits_and_says_what_is_left() -> None:
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=1) as (notifier, results):
        assert await notifier.drain(0) == 0
        for number in range(3):
            notifier.send(notification(str(number), results))
        await sender.begun(1)
        assert await notifier.drain(0) == 3
        draining = asyncio.create_task(notifier.drain(60))
        for number in range(3):
            await turns()
            assert not draining.done()
            (await sender.begun(number + 1))[number].answer()
        assert await draining == 0


async def test_the_log_says_what_orion_says(lines: Lines) -> None:
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=1) as (notifier, results):
        url = "http://receiver:1028/notify?a=b"
        headers = {"Fiware-Correlator": "c-1; cbnotif=2", "Fiware-ServicePath": "/A"}
        for body in (b'{"a":1}', b"x" * 6_000, b"", b"lost"):
            notifier.send(notification(body, results, url=url, headers=headers, key=len(body)))
        (await sender.begun(1))[0].answer(200, b"fine")
        (await sender.begun(2))[1].answer(404, b"no such thing")
        (await sender.begun(3))[2].answer(301)
        (await sender.begun(4))[3].fail("Could not connect to server")
        assert await notifier.drain(60) == 0
        prefix = "Notif delivered (subId: sub1): POST receiver:1028/notify?a=b, payload "
        assert lines.at(logging.INFO) == [
            prefix + '(7 bytes): {"a":1}, response code: 200',
            prefix + f"(6000 bytes): {'x' * 5120}(...), response code: 404,"
            " response payload (13 bytes): no such thing",
            prefix + "(0 bytes): , response code: 301",
            prefix + "(4 bytes): lost, response code: Could not connect to server",
        ]
        assert lines.at(logging.WARNING) == [
            "Notification (subId: sub1) response NOT OK, http code: 404",
            "Notification (subId: sub1) response NOT OK, http code: 301",
        ]
        assert set(lines.correlators) == {"c-1; cbnotif=2"}
        assert request_context.get() is None


async def test_statistics_list_the_busiest_endpoints() -> None:
    sender = ScriptedSender()
    async with started(sender, connections_per_endpoint=1) as (notifier, results):
        for port in range(1, 31):
            for number in range(port + 1):
                notifier.send(notification(f"{port}-{number}", results, url=f"http://h:{port}/"))
        await sender.begun(30)
        statistics = notifier.statistics()
        assert statistics.endpoints == statistics.connections == statistics.in_flight == 30
        assert statistics.queued == sum(range(1, 31))
        assert [(top.endpoint, top.queued) for top in statistics.top] == [
            (f"http://h:{port}", port) for port in range(30, 10, -1)
        ]


async def test_limits_that_make_no_sense_are_refused() -> None:
    for field, value in (
        ("queue_length", 0),
        ("connections_per_endpoint", 0),
        ("default_timeout_s", 0.0),
    ):
        with pytest.raises(ValueError, match=field):
            async with started(ScriptedSender(), **{field: value}):
                pass


STEP = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, 3)),  # endpoint, key
    st.tuples(st.just("end"), st.integers(0, 30), st.integers(0, 4)),  # which, how
    st.tuples(st.just("turn"), st.integers(1, 5), st.just(0)),
)


@given(
    steps=st.lists(STEP, max_size=120),
    lanes=st.integers(1, 3),
    queue_length=st.integers(1, 6),
    connections=st.integers(1, 5),
    lanes_in_a_turn=st.integers(1, 4),
    drained=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_every_accepted_notification_ends_once_and_in_order(
    steps: list[tuple[str, int, int]],
    lanes: int,
    queue_length: int,
    connections: int,
    lanes_in_a_turn: int,
    drained: bool,
) -> None:
    """Against the plain rules, whatever is sent and however exchanges end."""

    async def scenario() -> None:
        sender = ScriptedSender()
        accepted: dict[tuple[int, int], list[bytes]] = defaultdict(list)
        async with started(sender, connections_per_endpoint=lanes, queue_length=queue_length) as (
            notifier,
            results,
        ):
            number = 0
            for kind, first, second in steps:
                if kind == "send":
                    body = b"%d" % number
                    number += 1
                    url = f"http://h{first}/"
                    if notifier.send(notification(body, results, key=second, url=url)):
                        accepted[first, second].append(body)
                elif kind == "turn":
                    await turns(first)
                else:
                    under_way = [e for e in sender.exchanges if not e.ended]
                    if under_way:
                        end(under_way[first % len(under_way)], second)
                check_rules(sender, notifier)
            if drained:
                sender.answers_at_once = True
                for exchange in sender.exchanges:
                    if not exchange.ended:
                        exchange.answer()
                assert await notifier.drain(60) == 0
        for (endpoint, _), expected in accepted.items():
            begun = [e.body for e in sender.exchanges if e.body in expected]
            # In order, none twice; all of them unless the notifier was closed before.
            assert begun == expected[: len(begun)], endpoint
            assert not drained or begun == expected
            assert all(len(results.outcomes[body]) == 1 for body in expected)
        assert len(results.order) == sum(map(len, accepted.values()))

    def end(exchange: Exchange, how: int) -> None:
        if how < 2:
            exchange.answer(200 + 300 * how)
        else:
            exchange.fail("Failure when receiving data from the peer")

    def check_rules(sender: ScriptedSender, notifier: Notifier) -> None:
        under_way = [e for e in sender.exchanges if not e.ended]
        keys = Counter(
            (e.connection.endpoint, getattr(e.request, "order_key", None)) for e in under_way
        )
        assert all(count == 1 for count in keys.values())
        per_endpoint = Counter(e.connection.endpoint for e in under_way)
        assert all(count <= lanes for count in per_endpoint.values())
        assert sender.most_open <= connections
        for endpoint in notifier.statistics().top:
            assert endpoint.queued <= queue_length + lanes  # what ended lanes had in hand

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes_module, "CONNECTIONS_MAX", connections)
        patch.setattr(lanes_module, "LANES_STARTED_AT_ONCE", lanes_in_a_turn)
        patch.setattr(lanes_module, "LANES_ROUSED_AT_ONCE", lanes_in_a_turn)
        patch.setattr(LOG, "disabled", True)
        asyncio.run(scenario())
