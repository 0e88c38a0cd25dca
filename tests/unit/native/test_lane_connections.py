"""Whose turn it is on a connection: the lane's or the general server's, without any socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from _native.lane import Lane, Line
from _native.replies import Composer, Reply
from _native.requests import Request
from _native.routes import RouteTable
from _native.tallies import Tally

MAX_UNANSWERED: Final = 4
MAX_UNSENT: Final = 1000
GENERAL: Final = b"GET /general HTTP/1.1\r\nHost: h\r\n\r\n"


def hot(text: str) -> bytes:
    return f"GET /hot/{text} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


class Commit(asyncio.Future[None]):
    """A commit that the test decides; its callbacks run at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._tell: list[Callable[[Any], object]] = []

    def add_done_callback(self, fn: Callable[[Any], object], *, context: Any = None) -> None:
        self._tell.append(fn)

    def decide(self, error: Exception | None = None) -> None:
        if error is None:
            self.set_result(None)
        else:
            self.set_exception(error)
        for tell in self._tell:
            tell(self)


class World:
    """A line between a client that is asked for nothing and a general server that is not there."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.written: list[bytes] = []
        self.general: list[bytes] = []
        self.tallies: list[Tally] = []
        self.events: list[str] = []
        self.awaits_answers = False
        self.is_busy = False
        self.commit: Commit | None = None
        table = RouteTable([("GET", "/hot/{text}", False, "hot")], 100)
        composer = Composer({200: "OK", 500: "Error"})
        answer, conclude = self.answer, self.conclude
        self.lane = Lane(
            table, composer, answer, conclude, self.tallies.extend, MAX_UNANSWERED, MAX_UNSENT
        )
        self.lane.is_plain = True
        self.line = Line(self.lane, self, self.general.append)
        self.line.attach(self, "peer")

    # The lane's callbacks.

    def answer(self, request: Request) -> Reply | None:
        text = request.captures["text"]
        if text == "general":
            return None
        request.correlator = "c"
        size = int(text[4:]) if text.startswith("size") else 0
        return Reply(200, b"x" * size or text.encode(), commit=self.commit)

    def conclude(self, request: Request, reply: Reply, error: BaseException | None) -> Reply:
        assert request.remote == "peer"
        return Reply(500, str(error or reply.error).encode())

    # The handler.

    def is_general_idle(self) -> bool:
        return not self.is_busy

    def hold(self) -> None:
        self.events.append("hold")

    def answered(self) -> None:
        self.events.append("answered")

    # The transport.

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes, /) -> None:
        self.written.append(data)

    def bodies(self) -> list[bytes]:
        """Those of the replies so far."""
        replies = b"".join(self.written).split(b"HTTP/1.1 ")[1:]
        return [reply.partition(b"\r\n\r\n")[2] for reply in replies]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.loop.close()


def test_replies_of_one_read_leave_in_one_write(world: World) -> None:
    world.line.data_received(hot("a") + hot("b") + hot("c"))
    assert len(world.written) == 1
    assert world.bodies() == [b"a", b"b", b"c"]
    assert b"Fiware-Correlator: c\r\n" in world.written[0]


def test_replies_wait_for_their_commit_in_order(world: World) -> None:
    first = world.commit = Commit(world.loop)
    world.line.data_received(hot("a"))
    world.commit = None
    world.line.data_received(hot("b"))
    second = world.commit = Commit(world.loop)
    world.line.data_received(hot("c"))
    assert world.line.unanswered == 3
    second.decide()
    assert world.written == []
    first.decide()
    assert world.bodies() == [b"a", b"b", b"c"]
    assert world.line.unanswered == 0


def test_the_general_server_waits_for_the_replies_of_the_lane(world: World) -> None:
    commit = world.commit = Commit(world.loop)
    world.line.data_received(hot("a") + GENERAL + hot("b"))
    assert world.general == []
    assert world.line.is_held
    assert world.events == ["hold"]
    commit.decide()
    assert world.events == ["hold", "answered"]
    world.commit = None
    assert world.line.release()
    assert world.general == [GENERAL]
    assert world.bodies() == [b"a", b"b"]


def test_what_comes_while_the_general_server_is_busy_is_its_own(world: World) -> None:
    world.line.data_received(GENERAL)
    world.is_busy = True
    world.line.data_received(hot("a") + GENERAL)
    world.is_busy = False
    world.line.data_received(hot("b"))
    assert world.general == [GENERAL, hot("a"), GENERAL]
    assert world.bodies() == [b"b"]


def test_a_request_that_the_lane_does_not_take(world: World) -> None:
    world.line.data_received(hot("a") + hot("general") + hot("b"))
    assert world.general == [hot("general")]
    assert world.bodies() == [b"a", b"b"]


def test_after_what_cannot_be_framed_all_is_the_general_servers(world: World) -> None:
    world.line.data_received(hot("a") + b"NONSENSE\r\n" + hot("b"))
    world.line.data_received(hot("c"))
    assert world.general == [b"NONSENSE\r\n" + hot("b"), hot("c")]
    assert world.bodies() == [b"a"]


def test_a_failed_commit(world: World) -> None:
    commit = world.commit = Commit(world.loop)
    world.line.data_received(hot("a") + hot("b"))
    commit.decide(RuntimeError("full"))
    assert world.bodies() == [b"full", b"full"]


def test_requests_ahead_are_bounded(world: World) -> None:
    commit = world.commit = Commit(world.loop)
    world.line.data_received(b"".join(hot(str(number)) for number in range(10)))
    assert world.line.unanswered == MAX_UNANSWERED
    assert world.line.is_held
    commit.decide()
    assert world.bodies() == [b"0", b"1", b"2", b"3"]


def test_bytes_ahead_are_bounded(world: World) -> None:
    world.line.data_received(hot("size600") * 5)
    assert [len(body) for body in world.bodies()] == [600, 600]
    assert world.line.is_held
    assert not world.line.release()
    assert world.line.release()
    assert len(world.bodies()) == 5


def test_a_client_that_does_not_read(world: World) -> None:
    world.line.is_paused = True
    world.line.data_received(hot("a"))
    assert world.written == []
    assert world.line.is_held
    world.line.data_received(hot("b"))
    world.line.is_paused = False
    assert world.line.release()
    assert world.bodies() == [b"a", b"b"]


def test_a_client_that_is_gone(world: World) -> None:
    commit = world.commit = Commit(world.loop)
    world.line.data_received(hot("a"))
    world.line.detach()
    commit.decide()
    assert world.written == []
    assert world.lane.tallies.total == 1


def test_nothing_is_taken_after_the_close(world: World) -> None:
    world.line.is_closed = True
    world.line.data_received(hot("a"))
    assert world.general == [hot("a")]


def test_tallies(world: World) -> None:
    for _ in range(3):
        world.line.data_received(hot("abc"))
    world.lane.tallies.hand_over()
    world.lane.tallies.hand_over()
    (tally,) = world.tallies
    assert (tally.method, tally.route, tally.status) == ("GET", "hot", 200)
    assert (tally.requests, tally.request_bytes, tally.response_bytes) == (3, 0, 9)
    assert tally.microseconds >= 3
    assert tally.seconds > 0
    assert world.lane.tallies.total == 3


def test_tallies_are_handed_over_before_they_are_too_many(world: World) -> None:
    for number in range(1500):
        head = f"GET /hot/a HTTP/1.1\r\nHost: h\r\nFiware-Service: s{number}\r\n\r\n"
        world.line.data_received(head.encode())
    assert len(world.tallies) == 1024
