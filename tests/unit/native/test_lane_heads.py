"""Heads that were found good: the lane asks the handler of the route at once."""

from __future__ import annotations

from typing import Final

from _native.lane import Lane, Line
from _native.replies import Composer, Reply
from _native.requests import CorrelatorIds, Counter, Request, Verdict
from _native.routes import RouteTable

VERDICT: Final = Verdict("anything", "text/plain", "scope", "/home", "Service", "service", "token")


def get(target: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: h", *fields, "", ""]).encode()


class World:
    """A lane with one route, whose handler is here too."""

    def __init__(self, reads_queries: bool = True) -> None:
        self.judged: list[str] = []
        self.handled: list[Request] = []
        self.failed: list[Exception] = []
        self.general: list[bytes] = []
        self.written: list[bytes] = []
        self.awaits_answers = False
        self.is_elsewhere = False
        self.transactions = Counter()
        self.lane = Lane(
            RouteTable([("GET", "/hot/{text}", False, self)], 100),
            Composer({200: "OK", 500: "Error"}),
            self.answer,
            self.conclude,
            lambda tallies: None,
            10,
            1000,
        )
        self.lane.is_plain = True
        self.lane.trust_heads(
            CorrelatorIds("01234567-0123-0123-0123-"),
            self.transactions,
            lambda tenant: tenant == "service" and self.is_elsewhere,
            self.read_query if reads_queries else None,
            self.fail,
        )
        self.line = Line(self.lane, self, self.general.append)
        self.line.attach(self, "peer")

    def answer(self, request: Request) -> Reply:
        assert self.lane.current is request
        self.judged.append(request.target)
        request.head.memo[request.route] = VERDICT
        request.correlator = "judged"
        return Reply()

    def handler(self, request: Request) -> Reply:
        assert self.lane.current is request
        self.handled.append(request)
        text = request.captures["text"]
        if text == "fail":
            raise KeyError(text)
        return Reply(200, text.encode())

    def fail(self, request: Request, error: Exception) -> Reply:
        self.failed.append(error)
        return Reply(500)

    def read_query(self, query: str) -> tuple[dict[str, str], frozenset[str]]:
        if query == "bad":
            raise ValueError(query)
        return {"options": query}, frozenset({query})

    def conclude(self, request: Request, reply: Reply, error: BaseException | None) -> Reply:
        raise AssertionError("all replies are plain")

    def is_general_idle(self) -> bool:
        return True

    def hold(self) -> None:
        raise AssertionError("nothing is held")

    def answered(self) -> None:
        raise AssertionError("nothing is held")

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes, /) -> None:
        self.written.append(data)


def test_a_head_is_judged_once() -> None:
    world = World()
    world.line.data_received(get("/hot/a"))
    world.line.data_received(get("/hot/b") + get("/hot/c", "Fiware-Correlator: mine"))
    world.line.data_received(get("/hot/d", "Fiware-Service: other"))
    assert world.judged == ["/hot/a", "/hot/d"]
    first, second = world.handled
    assert first.verdict is second.verdict is VERDICT
    assert (first.accepted, first.content_type) == ("anything", "text/plain")
    assert (first.options, first.parameters) == (frozenset(), {})
    assert (first.transaction, second.transaction) == (1, 2)
    assert first.correlator == "01234567-0123-0123-0123-000000000001"
    assert b"Fiware-Correlator: mine\r\n" in world.written[1]
    assert world.lane.current is None


def test_queries() -> None:
    world = World()
    world.line.data_received(get("/hot/a"))
    world.line.data_received(get("/hot/b?keyValues"))
    assert world.handled[0].parameters == {"options": "keyValues"}
    assert world.handled[0].options == {"keyValues"}
    world.line.data_received(get("/hot/c?bad"))  # who judges says why
    assert world.judged == ["/hot/a", "/hot/c?bad"]
    assert world.transactions.made == 1


def test_queries_that_are_not_read_here() -> None:
    world = World(reads_queries=False)
    world.line.data_received(get("/hot/a"))
    world.line.data_received(get("/hot/b?keyValues"))
    assert world.judged == ["/hot/a", "/hot/b?keyValues"]
    assert world.handled == []


def test_a_handler_that_fails() -> None:
    world = World()
    world.line.data_received(get("/hot/a"))
    world.line.data_received(get("/hot/fail"))
    assert [type(error) for error in world.failed] == [KeyError]
    assert world.written[1].startswith(b"HTTP/1.1 500 Error\r\n")
    assert world.lane.current is None


def test_a_tenant_that_is_elsewhere() -> None:
    world = World()
    world.line.data_received(get("/hot/a"))
    world.is_elsewhere = True
    world.line.data_received(get("/hot/b"))
    assert world.general == [get("/hot/b")]
    assert world.handled == []
    assert world.transactions.made == 0
