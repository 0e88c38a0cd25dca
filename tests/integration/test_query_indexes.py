"""Indexes of attributes that are asked for again and again, as a client and an operator see them.

What queries find must not depend on them; that they are there is seen in GET /metrics.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, StartBroker

COUNT: Final = 2000  # so many that looking at all of them is noted
BATCH: Final = 500
ONE_INDEX_BYTES: Final = 300_000  # room for one index of so many entities, not for two
PATIENCE_S: Final = 30.0  # only a broker that makes no index takes so long


def metric(api: Api, name: str) -> float:
    """A figure of GET /metrics."""
    text = api.get("/metrics").text
    match = re.search(rf"^rigel_{name} (\S+)$", text, re.MULTILINE)
    assert match, text
    return float(match[1])


def found(api: Api, **parameters: str | int) -> tuple[list[str], str | None]:
    """The ids that a query finds, and the total."""
    reply = api.get("/v2/entities", options="count", **parameters)
    assert reply.status == 200, reply
    return [entity["id"] for entity in reply.json], reply.headers["Fiware-Total-Count"]


def fill(api: Api) -> None:
    """Entities E0, E1, ... of type Room: `level` counts down, `state` is one of a few words."""
    for start in range(0, COUNT, BATCH):
        entities: list[dict[str, Any]] = [
            {"id": f"E{at}", "type": "Room", "level": COUNT - at, "state": ["on", "off"][at % 2]}
            for at in range(start, start + BATCH)
        ]
        document = {"actionType": "append", "entities": entities}
        assert api.post("/v2/op/update", document, options="keyValues").status == 204


def await_index(api: Api, number: int, **parameters: str | int) -> None:
    """Repeat a query until so many indexes were made and one has answered it."""
    deadline = time.monotonic() + PATIENCE_S
    uses = metric(api, "query_index_uses_total")
    while (
        metric(api, "query_indexes_built_total") < number
        or metric(api, "query_index_uses_total") == uses
    ):
        assert time.monotonic() < deadline, "no index was made"
        assert api.get("/v2/entities", **parameters).status == 200


def test_a_filter_asked_again_and_again(start_broker: StartBroker, connect: Connect) -> None:
    api = connect(start_broker(), "indexes")
    fill(api)
    few: dict[str, Any] = {"type": "Room", "q": "level<4", "limit": 10}
    expected = (["E1997", "E1998", "E1999"], "3")
    assert found(api, **few) == expected
    assert metric(api, "query_indexes") == 0
    await_index(api, 1, **few)
    assert metric(api, "query_indexes") == 1
    assert metric(api, "query_index_entries") == COUNT
    assert metric(api, "query_index_bytes") > 0
    assert found(api, **few) == expected
    # What changes, goes and comes is seen at once.
    assert api.patch("/v2/entities/E1998/attrs", {"level": {"value": 5}}).status == 204
    assert api.patch("/v2/entities/E7/attrs", {"level": {"value": 0.5}}).status == 204
    assert api.delete("/v2/entities/E1999").status == 204
    assert api.post("/v2/entities?options=keyValues", {"id": "new", "level": 1}).status == 201
    assert found(api, q="level<4", limit=10) == (["E7", "E1997", "new"], "3")
    assert found(api, **few) == (["E7", "E1997"], "2")
    assert found(api, type="Room", q="level<4;state==off", limit=10) == (["E7", "E1997"], "2")
    assert api.delete("/v2/entities/E7/attrs/level").status == 204
    assert found(api, **few) == (["E1997"], "1")
    assert found(api, q="level==1,3", limit=1, offset=1) == (["new"], "2")
    assert metric(api, "query_index_entries") == COUNT - 1


def test_an_order_asked_again_and_again(start_broker: StartBroker, connect: Connect) -> None:
    api = connect(start_broker(), "indexes")
    fill(api)
    first: dict[str, Any] = {"type": "Room", "orderBy": "level", "limit": 3}
    last: dict[str, Any] = {"type": "Room", "orderBy": "!level", "limit": 3, "offset": 1}
    assert found(api, **first) == (["E1999", "E1998", "E1997"], str(COUNT))
    assert found(api, **last) == (["E1", "E2", "E3"], str(COUNT))
    await_index(api, 1, **first)
    assert found(api, **first) == (["E1999", "E1998", "E1997"], str(COUNT))
    assert found(api, **last) == (["E1", "E2", "E3"], str(COUNT))
    # Ties stand in the order of creation; an entity without the attribute comes first.
    for name in ("E1999", "E5"):
        assert api.put(f"/v2/entities/{name}/attrs/level", {"value": 1999}).status == 204
    assert api.delete("/v2/entities/E9/attrs/level").status == 204
    assert found(api, **first)[0] == ["E9", "E1998", "E1997"]
    assert found(api, **last)[0] == ["E1", "E5", "E1999"]


def test_the_more_useful_index_has_the_room(start_broker: StartBroker, connect: Connect) -> None:
    api = connect(start_broker("--query-index-max-bytes", str(ONE_INDEX_BYTES)), "indexes")
    fill(api)
    await_index(api, 1, q="level<4")
    await_index(api, 2, q="state==broken")
    assert metric(api, "query_indexes_dropped_total") == 1
    assert metric(api, "query_indexes") == 1
    assert metric(api, "query_index_bytes") <= ONE_INDEX_BYTES
    assert found(api, q="state==broken") == ([], "0")
    assert found(api, q="level<4") == (["E1997", "E1998", "E1999"], "3")
