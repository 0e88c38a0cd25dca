"""The native lane beside aiohttp on one connection: order, framing, limits and the end.

What the operations answer is tested elsewhere, with and without the lane (RIGEL_LANE=false);
`test_lane_properties.py` compares the two byte by byte.
"""

from __future__ import annotations

import json
import re
import select
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from broker.launch import BrokerProcess
from tests.integration.raw_connection import RawConnection, make_request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Connect, StartBroker

VERSION: Final = make_request("GET", "/version")
CREATE: Final = make_request(
    "POST", "/v2/entities?options=upsert", b'{"id":"E","type":"T","A":{"value":0}}'
)
GET: Final = make_request("GET", "/v2/entities/E/attrs/A/value", None, "Accept: text/plain")


def update(value: object, *fields: str) -> bytes:
    body = json.dumps({"A": {"value": value}}).encode()
    return make_request("PATCH", "/v2/entities/E/attrs", body, *fields)


@pytest.fixture(scope="module")
def lane_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker with a lane, whatever the environment says."""
    directory = tmp_path_factory.mktemp("lane") / "data"
    with BrokerProcess(directory, ["--lane"]) as process:
        yield process


@pytest.fixture
def connection(lane_broker: BrokerProcess) -> Iterator[RawConnection]:
    """A connection to it; the entity E is there."""
    with RawConnection(lane_broker.port) as opened:
        opened.send(CREATE)
        assert opened.read()[0].status == 204
        yield opened


def count_served(broker: BrokerProcess) -> int:
    """Requests that the lane answered so far."""
    with RawConnection(broker.port) as connection:
        connection.send(make_request("GET", "/metrics"))
        found = re.search(rb"^rigel_lane_requests_total (\d+)", connection.read()[0].body, re.M)
    assert found is not None
    return int(found[1])


def test_hot_routes_are_answered_by_the_lane(
    lane_broker: BrokerProcess, connection: RawConnection
) -> None:
    before = count_served(lane_broker)
    hot = [
        update(1),
        make_request("POST", "/v2/entities/E/attrs", b'{"B":{"value":2}}'),
        make_request("PUT", "/v2/entities/E/attrs/A", b'{"value":3}'),
        make_request("PUT", "/v2/entities/E/attrs/A/value", b'{"a":4}'),
        make_request("GET", "/v2/entities/E?options=keyValues"),
        make_request("GET", "/v2/entities/E/attrs/A/value"),
        make_request("PUT", "/v2/entities/E/attrs", b'{"A":{"value":5}}'),
        make_request(
            "POST",
            "/v2/op/update",
            b'{"actionType":"append","entities":[{"id":"E","type":"T","C":{"value":6}}]}',
        ),
        CREATE,
        make_request("GET", "/v2/entities/%45"),
    ]
    for request in hot:
        connection.send(request)
        assert connection.read()[0].status in (200, 204)
    assert count_served(lane_broker) - before == len(hot)


def test_no_lane(start_broker: StartBroker) -> None:
    broker = start_broker("--no-lane")
    with RawConnection(broker.port) as connection:
        connection.send(CREATE + update(7) + GET)
        assert [reply.status for reply in connection.read(3)] == [204, 204, 200]
    assert count_served(broker) == 0


def test_every_split_point(connection: RawConnection) -> None:
    message = update(7.5) + GET + VERSION
    for position in range(1, len(message)):
        connection.send(message[:position])
        # The broker has taken the first part when it answers on another connection.
        connection.send(message[position:])
        replies = connection.read(3)
        assert [reply.status for reply in replies] == [204, 200, 200], position
        assert replies[1].body == b"7.5"


def test_byte_by_byte(connection: RawConnection) -> None:
    for byte in update("slow") + GET + VERSION:
        connection.send(bytes([byte]))
    assert [reply.status for reply in connection.read(3)] == [204, 200, 200]


def test_many_in_one_go(lane_broker: BrokerProcess, connection: RawConnection) -> None:
    before = count_served(lane_broker)
    count = 2000
    requests = b"".join(update(number) + GET for number in range(count))
    sender = threading.Thread(target=connection.send, args=(requests,))
    sender.start()
    replies = connection.read(2 * count)
    sender.join()
    assert [reply.status for reply in replies] == [204, 200] * count
    assert [reply.body for reply in replies[1::2]] == [b"%d" % number for number in range(count)]
    assert count_served(lane_broker) - before == 2 * count


@pytest.mark.parametrize("pattern", ["lvl", "vl", "llvvll", "vlvlvlvl", "vvvlll"])
def test_order_of_both(connection: RawConnection, pattern: str) -> None:
    """`l` is a request for the lane, `v` one for aiohttp."""
    requests = {"l": update(1), "v": VERSION}
    statuses = {"l": 204, "v": 200}
    for _ in range(20):
        connection.send(b"".join(requests[letter] for letter in pattern))
        replies = connection.read(len(pattern))
        assert [reply.status for reply in replies] == [statuses[letter] for letter in pattern]


def test_a_large_body(connection: RawConnection) -> None:
    for size in (100_000, 900_000):
        text = "x" * size
        connection.send(update(text) + GET)
        replies = connection.read(2)
        assert [reply.status for reply in replies] == [204, 200]
        assert replies[1].body == f'"{text}"'.encode()


def test_a_body_beyond_the_limit(connection: RawConnection) -> None:
    connection.send(update("x" * 1024 * 1024))
    reply = connection.read()[0]
    assert reply.status == 413
    assert json.loads(reply.body)["error"] == "RequestEntityTooLarge"


def test_chunked(connection: RawConnection) -> None:
    body = b'{"A":{"value":"in chunks"}}'
    head = make_request(
        "PATCH",
        "/v2/entities/E/attrs",
        None,
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
    )
    connection.send(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) + GET + update(1) + GET)
    replies = connection.read(4)
    assert [reply.status for reply in replies] == [204, 200, 204, 200]
    assert [replies[1].body, replies[3].body] == [b'"in chunks"', b"1"]


def test_connection_close(connection: RawConnection) -> None:
    connection.send(update(1) + update(2, "Connection: close"))
    replies = connection.read(2)
    assert [reply.status for reply in replies] == [204, 204]
    assert replies[1].field("Connection") == "close"
    assert connection.has_ended()


def test_http_1_0(connection: RawConnection) -> None:
    connection.send(GET.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert connection.read()[0].status == 200
    assert connection.has_ended()


def test_expect_continue(connection: RawConnection) -> None:
    message = update(8, "Expect: 100-continue")
    head, _, body = message.partition(b"\r\n\r\n")
    connection.send(head + b"\r\n\r\n")
    assert connection.read()[0].status == 100
    connection.send(body + GET)
    replies = connection.read(2)
    assert [reply.status for reply in replies] == [204, 200]
    assert replies[1].body == b"8"


def test_other_expectations_are_not_looked_at(connection: RawConnection) -> None:
    connection.send(update(9, "Expect: something-odd") + GET)
    replies = connection.read(2)
    assert [reply.status for reply in replies] == [204, 200]
    assert replies[1].body == b"9"


@pytest.mark.parametrize(
    "garbage",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PATCH /v2/entities/E/attrs HTTP/1.1\nHost: x\n\n",
        b"PATCH /v2/entities/E/attrs HTTP/1.1\r\nHost : x\r\n\r\n",
        b"PATCH /v2/entities/E/attrs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"PATCH /v2/entities/E/attrs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        b"Content-Length: 3\r\n\r\n{}",
        b"PATCH /v2/entities/E/attrs HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"PATCH /v2/entities/E/attrs HTTP/1.1\r\n\r\n",
    ],
)
def test_garbage(connection: RawConnection, garbage: bytes) -> None:
    """What comes before it is answered, then the error, then nothing."""
    connection.send(update(1) + garbage)
    replies = connection.read(2)
    assert [reply.status for reply in replies] == [204, 400]
    assert json.loads(replies[1].body)["error"] == "BadRequest"
    assert connection.has_ended()


@pytest.mark.parametrize("size", [20_000, 60_000])
def test_large_headers(connection: RawConnection, size: int) -> None:
    connection.send(update(2, f"X-Large: {'x' * size}") + GET)
    assert [reply.status for reply in connection.read(2)] == [204, 200]


def test_headers_beyond_the_limit(connection: RawConnection) -> None:
    connection.send(update(2, f"X-Large: {'x' * 70_000}"))
    reply = connection.read()[0]
    assert reply.status == 400
    assert "65536 bytes" in json.loads(reply.body)["description"]


def test_the_last_content_type_counts(connection: RawConnection) -> None:
    """As in Orion, where two of its functional cases send two."""
    types = ("Content-Type: application/json", "Content-Type: text/plain")
    connection.send(make_request("PUT", "/v2/entities/E/attrs/A/value", b"4", *types) + GET)
    replies = connection.read(2)
    assert [reply.status for reply in replies] == [204, 200]
    assert replies[1].body == b"4"


def test_half_closed(connection: RawConnection) -> None:
    """A client that has said all still hears the answers."""
    connection.send(update(3) + GET + VERSION)
    connection.socket.shutdown(socket.SHUT_WR)
    assert [reply.status for reply in connection.read(3)] == [204, 200, 200]
    assert connection.has_ended()


@pytest.mark.parametrize("request_bytes", [VERSION * 3, GET + VERSION, update(1), VERSION + GET])
def test_half_closed_at_once(lane_broker: BrokerProcess, request_bytes: bytes) -> None:
    with RawConnection(lane_broker.port) as connection:
        connection.send(request_bytes)
        connection.socket.shutdown(socket.SHUT_WR)
        connection.read(request_bytes.count(b" HTTP/1.1\r\n"))
        assert connection.has_ended()


def test_half_closed_within_a_request(connection: RawConnection) -> None:
    connection.send(update(3) + update(4)[:-1])
    connection.socket.shutdown(socket.SHUT_WR)
    assert connection.read()[0].status == 204
    assert connection.has_ended()


def test_a_client_that_never_reads_is_not_read(connection: RawConnection) -> None:
    """Its requests stop being taken, and when it reads, all that it sent are answered."""
    connection.send(update("x" * 10_000))
    connection.read()
    connection.socket.setblocking(False)
    sent = 0
    requests = GET * 1000
    while True:
        _, writable, _ = select.select([], [connection.socket], [], 1.0)
        if not writable:
            break
        sent += connection.socket.send(requests[sent % len(GET) :])
        assert sent < 64 * 1024 * 1024, "the broker takes requests without end"
    connection.socket.settimeout(30.0)
    whole = sent // len(GET)
    assert all(len(reply.body) == 10_002 for reply in connection.read(whole))
    connection.send(GET[sent % len(GET) :])
    assert connection.read()[0].status == 200


def test_a_client_that_goes_away_before_the_commit(
    lane_broker: BrokerProcess, connection: RawConnection
) -> None:
    for number in range(20):
        with RawConnection(lane_broker.port) as other:
            other.send(update(number))
            # Closed with a reset: nothing can be written any more.
            other.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
            )
    connection.send(update("last") + GET)
    assert connection.read(2)[1].body == b'"last"'


def test_power_durability(start_broker: StartBroker) -> None:
    """Commits that take their time do not change the order."""
    broker = start_broker("--lane", "--durability", "power")
    with RawConnection(broker.port) as connection:
        connection.send(CREATE + (update(1) + VERSION + GET) * 50)
        replies = connection.read(151)
        assert [reply.status for reply in replies] == [204] + [204, 200, 200] * 50


def test_a_tenant_with_providers(
    start_broker: StartBroker, connect: Connect, lane_broker: BrokerProcess
) -> None:
    """Requests that may have to be forwarded are not for the lane; others still are."""
    broker = start_broker("--lane", "-multiservice")
    registration = {
        "dataProvided": {"entities": [{"id": "Other"}]},
        "provider": {"http": {"url": f"{lane_broker.url}/v2"}},
    }
    with_providers, without = connect(broker, "with"), connect(broker, "without")
    assert with_providers.post("/v2/registrations", registration).status == 201
    for api, expected in ((with_providers, 1), (without, 2)):
        before = count_served(broker)
        api.create({"id": "E", "A": {"value": 1}})
        assert api.get("/v2/entities/E").status == 200
        assert count_served(broker) - before in ((0,) if expected == 1 else (2,))


def test_requests_of_the_lane_are_logged_and_counted(
    start_broker: StartBroker, connect: Connect
) -> None:
    broker = start_broker("--lane", "-logLevel", "INFO", "-multiservice")
    api = connect(broker, "logged")
    api.create({"id": "E", "A": {"value": 1}}, service_path="/path")
    text = broker.log.read_text()
    line = next(line for line in text.splitlines() if "POST /v2/entities" in line)
    assert "srv=logged" in line
    assert "subsrv=/path" in line
    assert "from=127.0.0.1" in line
    assert "response code: 201" in line
    services = api.get("/admin/metrics").json["services"]
    assert services["logged"]["subservs"]["path"]["incomingTransactions"] == 1
    assert 'rigel_requests_total{method="POST",route="/v2/entities",status="201"} 1.0' in (
        api.get("/metrics").text
    )


def test_stop_with_requests_in_flight(tmp_path: Path) -> None:
    """What was answered is kept, also when the signal falls among pipelined requests."""
    with BrokerProcess(tmp_path / "data", ["--lane"]) as broker:
        answered = -1
        with RawConnection(broker.port) as connection:
            connection.send(CREATE)
            connection.read()
            stopper = threading.Thread(target=broker.stop)
            number = 0
            try:
                while True:
                    connection.send(b"".join(update(number + step) for step in range(10)))
                    for _ in range(10):
                        assert connection.read()[0].status == 204
                        answered += 1
                    number += 10
                    if number == 200:
                        stopper.start()
            except ConnectionError:
                pass
            stopper.join()
        broker.start()
        with RawConnection(broker.port) as connection:
            connection.send(GET)
            assert int(connection.read()[0].body) >= answered
