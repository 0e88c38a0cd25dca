"""What is sent: entities, and prepared requests for them.

Every update carries other values than the one before it, across rounds too, because an update
that changes nothing is neither stored nor notified. Requests come as one list per connection,
which the connection repeats.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

BATCH_ENTITIES: Final = 1000
CONNECTIONS: Final = 64  # enough to keep a server busy, few enough for one turn of its loop
_VARIANTS: Final = 8  # of values, in turn
_HEAD: Final = "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"


def make_entity(number: int, variant: int = 0) -> dict[str, Any]:
    """A room: an entity of three attributes."""
    return {"id": f"Room{number}", "type": "Room", **_readings(number, variant)}


def _readings(number: int, variant: int) -> dict[str, Any]:
    return {
        "temperature": {"value": 18.5 + variant / 4 + number % 7, "type": "Number"},
        "humidity": {"value": 30 + variant + number % 13, "type": "Number"},
        "pressure": {"value": 990 + variant + number % 29, "type": "Number"},
    }


def make_batches() -> list[bytes]:
    """Bodies of POST /v2/op/update with BATCH_ENTITIES entities, one per variant of values."""
    return [
        orjson.dumps(
            {
                "actionType": "append",
                "entities": [make_entity(number, variant) for number in range(BATCH_ENTITIES)],
            }
        )
        for variant in range(_VARIANTS)
    ]


def make_subscription(url: str) -> bytes:
    """Body of a subscription to all rooms."""
    return orjson.dumps(
        {
            "subject": {"entities": [{"idPattern": ".*", "type": "Room"}]},
            "notification": {"http": {"url": url}},
        }
    )


def update_requests(round_number: int, connections: int = CONNECTIONS) -> list[list[bytes]]:
    """PATCH /v2/entities/X/attrs with two attributes; each connection has an X of its own."""
    first = 1 + _VARIANTS * round_number  # 0 is what the entities are created with
    return [
        [
            request("PATCH", f"/v2/entities/Room{number}/attrs", _two_readings(number, variant))
            for variant in range(first, first + _VARIANTS)
        ]
        for number in range(connections)
    ]


def v1_update_requests(round_number: int) -> list[list[bytes]]:
    """POST /v1/updateContext with the same two attributes, as the text that NGSIv1 has."""
    first = 1 + _VARIANTS * round_number
    return [
        [
            request("POST", "/v1/updateContext", _context_element(number, variant))
            for variant in range(first, first + _VARIANTS)
        ]
        for number in range(CONNECTIONS)
    ]


def _context_element(number: int, variant: int) -> bytes:
    readings = _readings(number, variant)
    attributes = [
        {"name": name, "type": "Number", "value": str(readings[name]["value"])}
        for name in ("temperature", "humidity")
    ]
    element = {
        "type": "Room",
        "isPattern": "false",
        "id": f"Room{number}",
        "attributes": attributes,
    }
    return orjson.dumps({"contextElements": [element], "updateAction": "UPDATE"})


def _two_readings(number: int, variant: int) -> bytes:
    readings = _readings(number, variant)
    return orjson.dumps({name: readings[name] for name in ("temperature", "humidity")})


def query_requests(round_number: int) -> list[list[bytes]]:
    """GET /v2/entities/X; each connection asks for an X of its own."""
    return [[request("GET", f"/v2/entities/Room{number}")] for number in range(CONNECTIONS)]


def batch_requests(round_number: int) -> list[list[bytes]]:
    """POST /v2/op/update, for one connection."""
    return [[request("POST", "/v2/op/update", body) for body in make_batches()]]


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of one request; a body is JSON."""
    head = _HEAD.format(method=method, path=path)
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body
