"""Notifications over MQTT: one connection and one bounded queue per MQTT broker and user.

A slow or dead broker delays nobody else. A connection is opened with the first message, used
again for the next ones, and closed when it was idle for `max_age_s`, when a message failed or
when the broker went away; the next message opens a new one. One try per message, as over
HTTP. Messages go out in the order in which they came; up to `IN_FLIGHT_MAX` of them wait for
their acknowledgement at once.

Costs: a task per message and a connection per broker and user. Memory is bounded by
`queue_length` messages per connection, `CONNECTIONS_MAX` and `OUTSTANDING_BYTES_MAX`.
Source: Orion's user manual, "MQTT notifications".
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

import aiomqtt

from broker.notifier import Outcome
from broker.sender import HostResolver
from ngsi.urls import parse_url

_log = logging.getLogger("rigel.mqtt")

IN_FLIGHT_MAX: Final = 20
"""Messages of one connection that wait for their acknowledgement, as in most MQTT clients."""

CONNECTIONS_MAX: Final = 1024
"""Brokers and users served at once. Each takes a socket; a longer list is a client's mistake."""

OUTSTANDING_BYTES_MAX: Final = 128 * 1024 * 1024
"""Bodies and topics of all messages that wait or are in flight."""

_KEEPALIVE_S: Final = 60  # pings on an idle connection, so that a dead peer is noticed
_LOST: Final = "connection lost"
_STOPPED: Final = "the broker stopped"

# Host, port, user, password.
_Endpoint: TypeAlias = tuple[str, int, str | None, str | None]


@dataclass(slots=True)
class MqttMessage:
    """A notification to a topic of an MQTT broker.

    `on_result` is called exactly once for each message that `MqttNotifier.send` accepted, on
    the loop, never from within `send`.
    """

    subscription_id: str
    tenant: str
    url: str
    topic: str
    body: bytes
    qos: int
    retain: bool
    user: str | None
    password: str | None
    order_key: object
    on_result: Callable[[MqttMessage, Outcome], None]


@dataclass(slots=True, frozen=True)
class MqttStatistics:
    """Messages since the start, and those that wait or are in flight now."""

    sent: int
    failed: int
    dropped: int
    queued: int


class _Line:
    """The messages of one broker and user, and the worker that serves them."""

    def __init__(self) -> None:
        self.waiting: deque[MqttMessage] = deque()
        self.in_flight: dict[asyncio.Task[None], MqttMessage] = {}
        self.wake = asyncio.Event()
        self.is_broken = False  # a message failed: the connection is not used any more
        self.is_full = False
        self.worker: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.in_flight


class _Client(aiomqtt.Client):
    """A client on a socket that is connected already.

    Left to itself the library connects in a thread of the loop's executor, where some brokers
    that do not answer would hold up all others. Its clients take no sockets, so this leans on
    one private method of paho.
    """

    def __init__(self, wire: socket.socket, endpoint: _Endpoint, timeout_s: float) -> None:
        host, port, user, password = endpoint
        super().__init__(
            host,
            port,
            username=user,
            password=password,
            timeout=timeout_s,
            keepalive=_KEEPALIVE_S,
        )
        self.pending_calls_threshold = IN_FLIGHT_MAX
        self._client._create_socket_connection = lambda: wire  # type: ignore[method-assign]

    def hang_up(self) -> None:
        """Leave a broker that refused or did not answer.

        Paho says goodbye and closes the socket in the next turns of the loop. Nobody else may
        close it: libuv aborts the process for a closed socket that it still watches.
        """
        self._client.disconnect()


class MqttNotifier:
    """Publishes messages; `send` never blocks."""

    def __init__(self, *, queue_length: int, timeout_s: float, max_age_s: float) -> None:
        self._queue_length = queue_length
        self._timeout_s = timeout_s
        self._max_age_s = max_age_s
        self._lines: dict[_Endpoint, _Line] = {}
        self._resolver: HostResolver | None = None
        self._is_closed = False
        self._outstanding_bytes = 0
        self._sent = self._failed = self._dropped = 0
        self._all_done = asyncio.Event()

    def send(self, message: MqttMessage) -> bool:
        """Queue a message; False when the queue of its broker, or the memory, is full."""
        url = parse_url(message.url)
        assert url is not None, "the URL was checked with the subscription"
        size = _size(message)
        endpoint = (url.host, url.port, message.user, message.password)
        line = self._lines.get(endpoint)
        is_accepted = not self._is_closed and (
            self._outstanding_bytes + size <= OUTSTANDING_BYTES_MAX
        )
        if is_accepted and line is None:
            line = self._open_line(endpoint)
        if not is_accepted or line is None or len(line.waiting) >= self._queue_length:
            self._dropped += 1
            if line is None or not line.is_full:
                _log.error("notification queue of %s:%d is full", url.host, url.port)
            if line is not None:
                line.is_full = True  # told once, until there is room again
            return False
        line.is_full = False
        self._outstanding_bytes += size
        line.waiting.append(message)
        line.wake.set()
        return True

    def _open_line(self, endpoint: _Endpoint) -> _Line | None:
        if len(self._lines) >= CONNECTIONS_MAX:
            idle = next((line for line in self._lines.values() if line.is_idle), None)
            if idle is None or idle.worker is None:
                return None
            idle.worker.cancel()
        line = self._lines[endpoint] = _Line()
        line.worker = asyncio.create_task(self._work(endpoint, line))
        return line

    async def _work(self, endpoint: _Endpoint, line: _Line) -> None:
        """Serve one MQTT broker for as long as there are messages or the connection is kept."""
        try:
            # The line comes with a message, so it is served at least once.
            while line.waiting:
                await self._serve(endpoint, line)
        finally:
            del self._lines[endpoint]
            self._fail_waiting(line, _STOPPED)

    async def _serve(self, endpoint: _Endpoint, line: _Line) -> None:
        """Connect and publish until the connection fails or was idle for long."""
        line.is_broken = False
        # What goes wrong while it is closed is of no interest any more.
        with suppress(aiomqtt.MqttError):
            async with AsyncExitStack() as stack:
                try:
                    client = await self._connect(endpoint)
                except (aiomqtt.MqttError, OSError, ValueError) as error:
                    # Whatever waits had this as its try: a broker that never answers must not
                    # take a timeout for each.
                    _log.debug("MQTT broker %s:%d: %s", endpoint[0], endpoint[1], error)
                    self._fail_waiting(line, str(error) or "connection failed")
                    return
                stack.push_async_exit(client)
                watch = asyncio.create_task(_await_loss(client))
                stack.push_async_callback(_end, [watch])
                stack.push_async_callback(_end, line.in_flight)
                await self._publish_all(line, client, watch)

    async def _connect(self, endpoint: _Endpoint) -> _Client:
        """A client that is logged in; raises MqttError, OSError or ValueError."""
        if self._resolver is None:
            self._resolver = HostResolver(asyncio.get_running_loop())
        try:
            async with asyncio.timeout(self._timeout_s):
                wire = await self._connect_wire(self._resolver, endpoint)
        except TimeoutError:
            raise TimeoutError("connection timeout") from None
        client = _Client(wire, endpoint, self._timeout_s)
        try:
            await client.__aenter__()
        except BaseException:
            client.hang_up()
            raise
        return client

    async def _connect_wire(self, resolver: HostResolver, endpoint: _Endpoint) -> socket.socket:
        loop = asyncio.get_running_loop()
        failure = OSError("no address")
        for address in await resolver.resolve(endpoint[0], endpoint[1]):
            wire = socket.socket(address["family"], socket.SOCK_STREAM)
            try:
                wire.setblocking(False)
                await loop.sock_connect(wire, (address["host"], endpoint[1]))
            except OSError as error:
                wire.close()
                failure = error
            except BaseException:
                wire.close()
                raise
            else:
                return wire
        raise failure

    async def _publish_all(self, line: _Line, client: _Client, watch: asyncio.Task[None]) -> None:
        while not watch.done() and not line.is_broken:
            while line.waiting and len(line.in_flight) < IN_FLIGHT_MAX:
                self._launch(line, client, line.waiting.popleft())
            line.wake.clear()
            wake = asyncio.create_task(line.wake.wait())
            timeout_s = self._max_age_s if line.is_idle else None
            try:
                done, _ = await asyncio.wait(
                    (wake, watch), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                wake.cancel()
            if not done and line.is_idle:
                return

    def _launch(self, line: _Line, client: _Client, message: MqttMessage) -> None:
        publishing = asyncio.create_task(
            client.publish(message.topic, message.body, message.qos, message.retain)
        )
        line.in_flight[publishing] = message
        publishing.add_done_callback(lambda task: self._land(line, task))

    def _land(self, line: _Line, publishing: asyncio.Task[None]) -> None:
        message = line.in_flight.pop(publishing)
        failure = None
        if publishing.cancelled():
            failure = _STOPPED if self._is_closed else _LOST
        else:
            error = publishing.exception()
            if error is not None:
                failure = str(error) or _LOST
                # A topic that is none (paho raises ValueError) is no fault of the connection.
                line.is_broken = line.is_broken or not isinstance(error, ValueError)
        line.wake.set()
        self._finish(message, failure)

    def _fail_waiting(self, line: _Line, failure: str) -> None:
        waiting, line.waiting = line.waiting, deque()
        for message in waiting:
            self._finish(message, failure)

    def _finish(self, message: MqttMessage, failure: str | None) -> None:
        self._outstanding_bytes -= _size(message)
        if failure is None:
            self._sent += 1
            if _log.isEnabledFor(logging.INFO):
                _log.info(
                    "MQTT Notif delivered (subId: %s): broker: %s, topic: %s, payload (%d bytes)",
                    message.subscription_id,
                    message.url,
                    message.topic,
                    len(message.body),
                )
        else:
            self._failed += 1
        self._all_done.set()
        message.on_result(message, Outcome(at=time.time(), status=None, failure=failure))

    async def drain(self, timeout_s: float) -> int:
        """Wait until all is published; returns what is left after `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.statistics().queued:
                    self._all_done.clear()
                    await self._all_done.wait()
        return self.statistics().queued

    async def close(self) -> None:
        """End all connections; what is still queued is not sent, and counts as failed."""
        self._is_closed = True
        await _end([line.worker for line in self._lines.values() if line.worker is not None])
        if self._resolver is not None:
            await self._resolver.close()

    def statistics(self) -> MqttStatistics:
        """The figures as they stand."""
        queued = sum(len(line.waiting) + len(line.in_flight) for line in self._lines.values())
        return MqttStatistics(self._sent, self._failed, self._dropped, queued)


def _size(message: MqttMessage) -> int:
    return len(message.body) + len(message.topic)


async def _await_loss(client: aiomqtt.Client) -> None:
    """Until the connection is gone. Nothing was subscribed to, so no messages come."""
    with suppress(aiomqtt.MqttError):
        async for _ in client.messages:
            pass


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they are over."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
