"""Ordinary requests about one entity, done natively, against the routes' own way: same replies,
same errors, same records."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast
from unittest.mock import patch

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from _native.requests import CorrelatorIds, Counter
from _native.routes import RouteTable
from _native.scanner import Scanner
from broker.deprecations import Deprecations
from broker.engine import Engine
from broker.forwarding import Forwarding
from broker.http.call import Call
from broker.http.entities import EntityRoutes
from broker.http.replies import Reply
from broker.http.routing import Resource
from broker.logs import LogLimits
from broker.messages import MessageRules
from broker.origin import Origin
from broker.outbox import DeliveryRules
from broker.statistics import Statistics
from broker.update import PLAIN_UPDATE
from ngsi.errors import InternalServerError, NgsiError
from ngsi.service_path import parse_scope
from ngsi.v2.entities import decode_entity_object
from tests.property.records_in_memory import RecordsInMemory

MAX_BODY: Final = 10_000
COMMIT: Final = cast("asyncio.Future[None]", object())
PLACES: Final = [("", "/"), ("", "/a"), ("t", "/")]
FEATURE: Final = {
    "type": "Feature",
    "properties": {},
    "geometry": {"type": "Point", "coordinates": [1, 2]},
}
METADATA: Final = {"m": {"value": 1}}
EXPIRES: Final = {"type": "DateTime", "value": "2999-01-01T00:00:00Z"}
ENTITIES: Final[list[dict[str, Any]]] = [
    {"id": "E", "type": "T", "A": {"value": 1}, "B": {"value": "x", "metadata": METADATA}},
    {"id": "F", "type": "T", "A": {"value": 1}, "dateExpires": EXPIRES},
    {"id": "F", "type": "U", "A": {"value": 2.5}},
    {"id": "G", "type": "T", "A": {"type": "geo:json", "value": FEATURE}},
]
VALUES: Final = st.sampled_from([1, 2, "x", "<", None, [1], {"a": 1}, 1.5])
CONTENTS: Final = VALUES | st.fixed_dictionaries(
    {"value": VALUES}, optional={"type": st.sampled_from(["Number", "geo:point", "bad type", 5])}
)
BODIES: Final = st.sampled_from([b" ", b"{}", b"[]", b"{"]) | st.dictionaries(
    st.sampled_from(["A", "B", "C", "id", "dateExpires", "bad name"]), CONTENTS, max_size=3
).map(orjson.dumps)
QUERIES: Final = st.sampled_from(
    [
        "",
        "",
        "type=T",
        "type=U",
        "options=keyValues",
        "type=T&options=keyValues",
        "options=append",
        "options=keyValues,overrideMetadata",
        "attrs=A",
        "options=skipForwarding",
    ]
)
REQUESTS: Final = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["PATCH", "POST", "GET"]),
        "id": st.sampled_from(["E", "E", "F", "G", "H", "%45"]),
        "query": QUERIES,
        "body": BODIES,
        "service": st.sampled_from(["", "", "T", "nobody"]),
        "path": st.sampled_from([None, None, "/", "/a", "/#", "/a,/b"]),
        "media": st.sampled_from(["application/json", "application/json", "text/plain"]),
    }
)


class Journal(RecordsInMemory):
    """Keeps what it is given; takes nothing after `room` records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[int, bytes, bytes]] = []
        self.room = 1000

    def keep(self, operation: int, key: bytes, payload: bytes) -> None:
        self.records.append((operation, key, payload))

    def _make_room(self, change_bytes: int) -> None:
        if len(self.records) >= self.room:
            raise InternalServerError("full")

    def _give_commit(self) -> asyncio.Future[None]:
        return COMMIT


class NothingIsOrdinary:
    """Leaves every request to the routes."""

    def update(self, *_: Any) -> None:
        return None

    read = update


class NoNotifier:
    """Nobody has subscribed."""

    def send(self, message: object) -> bool:
        raise AssertionError(message)


class Side:
    """Routes over an engine with some entities."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.engine = Engine(
            self.journal,
            NoNotifier(),
            lambda: 1_700_000_000.0,
            MessageRules(timeout_s=1.0, max_length=1000),
            DeliveryRules(1, 1, 1, 1),
            Deprecations(LogLimits(1000, 1000), Statistics()),
        )
        self.routes = EntityRoutes(self.engine, cast(Forwarding, None))
        for tenant, path in PLACES:
            origin = Origin(tenant, parse_scope(path))
            for entity in ENTITIES:
                if path == "/" or entity["id"] == "G":
                    update = decode_entity_object(entity, key_values=False)
                    self.engine.create_entity(origin, update, False, PLAIN_UPDATE)

        self._scanner = Scanner(
            RouteTable(
                [
                    (
                        method,
                        path,
                        method != "GET",
                        Resource(path, {method: handler}).route(method),
                    )
                    for method, path, handler in (
                        ("PATCH", "/v2/entities/{id}/attrs", self.routes.patch),
                        ("POST", "/v2/entities/{id}/attrs", self.routes.append),
                        ("GET", "/v2/entities/{id}", self.routes.get),
                    )
                ],
                MAX_BODY,
                Call,
            )
        )

    def do(self, request: dict[str, Any]) -> object:
        """What the client hears."""
        method, body = request["method"], request["body"]
        rest = f"{request['id']}{'' if method == 'GET' else '/attrs'}?{request['query']}"
        lines = [f"{method} /v2/entities/{rest} HTTP/1.1", "Host: h"]
        if request["service"]:
            lines.append(f"Fiware-Service: {request['service']}")
        if request["path"]:
            lines.append(f"Fiware-ServicePath: {request['path']}")
        if method == "GET":
            body = b""
        else:
            lines += [f"Content-Type: {request['media']}", f"Content-Length: {len(body)}"]
        self._scanner.feed("\r\n".join([*lines, "", ""]).encode() + body)
        call = self._scanner.next()
        self._scanner.skip()
        assert isinstance(call, Call)
        call.begin(CorrelatorIds("01234567-0123-0123-0123-"), Counter())
        try:
            call.check(MAX_BODY, multiservice=True)
            reply = call.route.handler(call)
        except NgsiError as error:
            return type(error), error.description
        assert isinstance(reply, Reply)
        document = orjson.loads(reply.body) if reply.body else None
        return reply.status, document, reply.headers, reply.commit, str(reply.error)


@settings(max_examples=150, deadline=None)
@given(st.lists(REQUESTS, max_size=8), st.sampled_from([1000, 9, 10]))
def test_an_ordinary_request_is_a_request(requests: list[dict[str, Any]], room: int) -> None:
    native, defined = Side(), Side()
    native.journal.room = defined.journal.room = room
    with patch.object(defined.routes, "_ordinary", NothingIsOrdinary()):
        for request in requests:
            assert native.do(request) == defined.do(request)
            assert native.journal.records == defined.journal.records


def test_some_are_ordinary() -> None:
    side = Side()
    request = {
        "method": "PATCH",
        "id": "E",
        "query": "",
        "body": b'{"A":{"value":9}}',
        "service": "",
        "path": None,
        "media": "application/json",
    }
    with patch.object(side.engine, "update_entity", side_effect=AssertionError):
        assert side.do(request) == (204, None, {}, COMMIT, "None")
