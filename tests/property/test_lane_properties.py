"""With the lane and without it, any mix of requests gets the same bytes in answer.

Two brokers, one of each, get the same requests in the same pieces, on one connection each. Only
the date and the correlators that brokers make may differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.launch import BrokerProcess
from tests.integration.raw_connection import RawConnection, RawReply

EXAMPLES: Final = 150
# So that the same things come together again and again.
IDS: Final = st.sampled_from(
    ["E", "F", "urn:ngsi-ld:T:1", "%45", "a%3Ab", "a'b", "a%20b", "%C3%A9", ""]
)
NAMES: Final = st.sampled_from(["A", "B", "value", "type", "%41", "a(b", "A%2FB"])
VALUES: Final[st.SearchStrategy[Any]] = st.one_of(
    st.integers(-5, 5),
    st.sampled_from(["text", "2020-01-01T00:00:00Z", None, True, 1.5, {"a": [1]}, [], "<", "é"]),
)
ATTRIBUTES: Final = st.dictionaries(
    st.sampled_from(["A", "B", "value", "bad name", "id", "dateCreated"]),
    st.one_of(
        VALUES,
        st.fixed_dictionaries(
            {"value": VALUES},
            optional={
                "type": st.sampled_from(["Number", "Text", "DateTime", 5]),
                "metadata": st.just({"m": {"value": 1}}),
            },
        ),
    ),
    max_size=3,
)
ENTITIES: Final = st.builds(
    lambda entity_id, entity_type, attributes: {
        **attributes,
        **({} if entity_id is None else {"id": entity_id}),
        **({} if entity_type is None else {"type": entity_type}),
    },
    st.sampled_from(["E", "F", "a:b", "bad id", None]),
    st.sampled_from(["T", "U", None]),
    ATTRIBUTES,
)
BATCHES: Final = st.fixed_dictionaries(
    {
        "actionType": st.sampled_from(
            ["append", "update", "delete", "replace", "appendStrict", "x"]
        ),
        "entities": st.lists(ENTITIES, max_size=3),
    }
)
QUERIES: Final = st.sampled_from(
    [
        "",
        "",
        "",
        "?",
        "?type=T",
        "?type=",
        "?options=keyValues",
        "?options=upsert",
        "?options=upsert,keyValues",
        "?options=append%2CkeyValues",
        "?options=overrideMetadata",
        "?options=nonsense",
        "?options=values&attrs=B,A",
        "?attrs=A&metadata=m",
        "?limit=0&x='",
        "?a=b&&c=d+e",
    ]
)
FIELDS: Final = st.lists(
    st.sampled_from(
        [
            "Accept: application/json",
            "Accept: text/plain",
            "Accept: text/plain;q=0.9, */*;q=0.1",
            "Accept: image/png",
            "Accept: text/plain;x",
            "accept:",
            "Fiware-ServicePath: /a",
            "Fiware-ServicePath: /a/#",
            "Fiware-ServicePath: /a,/b",
            "Fiware-ServicePath: bad",
            "Fiware-Correlator: mine",
            "fiware-correlator:   spaced \t",
            "Connection: keep-alive",
            "Origin: http://page",
            "X-Auth-Token: token",
            "X-Real-IP: 10.0.0.1",
            "Expect: odd",
            "User-Agent: test",
            "Content-Encoding: identity",
            f"X-Large: {'x' * 3000}",
        ]
    ),
    max_size=3,
    unique_by=lambda field: field.partition(":")[0].lower(),
)
CONTENT_TYPES: Final = st.sampled_from(
    ["application/json"] * 6 + ["application/json; charset=utf-8", "text/plain", "a/b", None]
)


def encode(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request with one reply, after which the connection goes on."""
    entity, name = draw(IDS), draw(NAMES)
    method, path, bodies = draw(
        st.sampled_from(
            [
                ("PATCH", f"/v2/entities/{entity}/attrs", ATTRIBUTES.map(encode)),
                ("POST", f"/v2/entities/{entity}/attrs", ATTRIBUTES.map(encode)),
                ("PUT", f"/v2/entities/{entity}/attrs", ATTRIBUTES.map(encode)),
                ("PUT", f"/v2/entities/{entity}/attrs/{name}", ATTRIBUTES.map(encode)),
                ("PUT", f"/v2/entities/{entity}/attrs/{name}/value", VALUES.map(encode)),
                ("POST", "/v2/entities", ENTITIES.map(encode)),
                ("POST", "/v2/entities", ENTITIES.map(encode)),
                ("POST", "/v2/op/update", BATCHES.map(encode)),
                ("GET", f"/v2/entities/{entity}", st.none()),
                ("GET", f"/v2/entities/{entity}/attrs/{name}/value", st.none()),
                ("GET", f"/v2/entities/{entity}/attrs/{name}", st.none()),
                ("GET", "/v2/entities", st.none()),
                ("DELETE", f"/v2/entities/{entity}", st.none()),
                ("GET", "/v2/nothing", st.none()),
                ("OPTIONS", f"/v2/entities/{entity}", st.none()),
            ]
        )
    )
    body: bytes | None = draw(bodies)
    if body is not None and draw(st.integers(0, 9)) == 0:
        body = draw(st.sampled_from([b"", b"{", b"[]", b"\xff", b'{"A":{"value":1},"A":{}}']))
    elif body is None and draw(st.integers(0, 9)) == 0:
        body = b"{}"
    fields = draw(FIELDS)
    content_type = draw(CONTENT_TYPES)
    if content_type is not None and (body is not None or draw(st.integers(0, 9)) == 0):
        fields.append(f"Content-Type: {content_type}")
    is_chunked = body is not None and draw(st.integers(0, 19)) == 0
    if is_chunked:
        fields.append("Transfer-Encoding: chunked")
    elif body is not None:
        fields.append(f"Content-Length: {len(body)}")
    slash = draw(st.sampled_from(["", "", "", "", "/"]))
    line = f"{method} {path}{slash}{draw(QUERIES)} HTTP/1.1"
    head = "\r\n".join([line, "Host: broker", "Fiware-Service: TENANT", *fields, "", ""]).encode()
    if is_chunked and body is not None:
        chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        return head + chunk + b"0\r\n\r\n"
    return head + (body or b"")


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[BrokerProcess]]:
    """One with the lane, one without."""
    directory = tmp_path_factory.mktemp("lane")
    flags = ["-multiservice", "-corsOrigin", "http://page"]
    with (
        BrokerProcess(directory / "with", [*flags, "--lane"]) as with_lane,
        BrokerProcess(directory / "without", [*flags, "--no-lane"]) as without_lane,
    ):
        yield [with_lane, without_lane]


def normalize(reply: RawReply) -> tuple[int, bytes, bytes]:
    head = re.sub(rb"\r\nDate: [^\r]*", b"\r\nDate: x", reply.head)
    head = re.sub(rb"\r\nFiware-Correlator: [0-9a-f-]{36}\r", b"\r\nFiware-Correlator: x\r", head)
    return reply.status, head, reply.body


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    sequence=st.lists(requests(), min_size=1, max_size=12),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    tenant=st.integers(0, 2**60),
)
def test_the_same_replies(
    brokers: list[BrokerProcess], sequence: list[bytes], cuts: list[float], tenant: int
) -> None:
    # One that no other example has, whatever is drawn again.
    data = b"".join(sequence).replace(b"TENANT", b"t%d" % tenant)
    bounds = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    answers = []
    for broker in brokers:
        with RawConnection(broker.port) as connection:
            # What an example that is tried again left behind.
            connection.send(
                b"POST /v2/op/update HTTP/1.1\r\nHost: b\r\nFiware-Service: t%d\r\n"
                b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}" % tenant
            )
            connection.read()
            for start, end in pairwise(bounds):
                connection.send(data[start:end])
            answers.append([normalize(reply) for reply in connection.read(len(sequence))])
            _clear(connection, tenant)
    assert answers[0] == answers[1]


def _clear(connection: RawConnection, tenant: int) -> None:
    """Leave nothing behind for an example that is tried again."""
    fields = f"Host: b\r\nFiware-Service: t{tenant}\r\n"
    connection.send(f"GET /v2/entities?limit=1000&attrs=id HTTP/1.1\r\n{fields}\r\n".encode())
    for entity in json.loads(connection.read()[0].body):
        body = encode(
            {"actionType": "delete", "entities": [{"id": entity["id"], "type": entity["type"]}]}
        )
        path = "Content-Type: application/json\r\n"
        for scope in ("/", "/a"):
            connection.send(
                f"POST /v2/op/update HTTP/1.1\r\n{fields}{path}Fiware-ServicePath: {scope}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            connection.read()
