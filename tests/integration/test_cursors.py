"""Pages by cursor: every entity once, whatever is created, deleted or restarted meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Reply, StartBroker

NEXT = "Fiware-Next-Cursor"


def fill(api: Api, first: int, last: int) -> None:
    """Entities E<first> to E<last>, of two types."""
    entities = [{"id": f"E{n}", "type": f"T{n % 2}", "A": n} for n in range(first, last)]
    document = {"actionType": "append", "entities": entities}
    assert api.post("/v2/op/update", document, options="keyValues").status == 204


def ids(reply: Reply) -> list[str]:
    """The ids of a page."""
    assert reply.status == 200, reply
    return [entity["id"] for entity in reply.json]


def walk(api: Api, **query: Any) -> list[list[str]]:
    """All pages from the start."""
    pages = []
    cursor: str | None = "start"
    while cursor is not None:
        reply = api.get("/v2/entities", cursor=cursor, **query)
        pages.append(ids(reply))
        cursor = reply.headers[NEXT]
    return pages


def test_pages_to_the_end(api: Api) -> None:
    assert walk(api) == [[]]
    fill(api, 0, 7)
    assert walk(api, limit=3) == [["E0", "E1", "E2"], ["E3", "E4", "E5"], ["E6"]]
    assert walk(api, limit=7) == [["E0", "E1", "E2", "E3", "E4", "E5", "E6"]]
    assert walk(api, limit=2, type="T1") == [["E1", "E3"], ["E5"]]
    assert walk(api, limit=2, q="A>3") == [["E4", "E5"], ["E6"]]
    assert walk(api, limit=2, id="E6,E2,E4") == [["E2", "E4"], ["E6"]]
    assert walk(api, limit=5, type="T0,T1", idPattern="[1-6]") == [
        ["E1", "E2", "E3", "E4", "E5"],
        ["E6"],
    ]


def test_writes_in_between_neither_skip_nor_repeat(api: Api) -> None:
    fill(api, 0, 6)
    reply = api.get("/v2/entities", cursor="start", limit=3)
    assert ids(reply) == ["E0", "E1", "E2"]
    # With an offset of 3 the next page would begin behind E4 now, and before it below.
    assert api.delete("/v2/entities/E0").status == 204
    assert api.delete("/v2/entities/E2").status == 204
    reply = api.get("/v2/entities", cursor=reply.headers[NEXT], limit=2)
    assert ids(reply) == ["E3", "E4"]
    fill(api, 6, 7)
    api.create({"id": "E0"})
    reply = api.get("/v2/entities", cursor=reply.headers[NEXT], limit=5)
    assert ids(reply) == ["E5", "E6", "E0"]
    assert reply.headers[NEXT] is None


def test_many_blocks_and_totals(api: Api) -> None:
    for first in range(0, 3000, 1000):
        fill(api, first, first + 1000)
    pages = walk(api, limit=700)
    assert [len(page) for page in pages] == [700, 700, 700, 700, 200]
    assert [name for page in pages for name in page] == [f"E{n}" for n in range(3000)]
    reply = api.get("/v2/entities", cursor="start", limit=1, type="T1", options="count")
    assert reply.headers["Fiware-Total-Count"] == "1500"
    reply = api.get("/v2/entities", cursor=reply.headers[NEXT], limit=1, type="T1", options="count")
    assert (ids(reply), reply.headers["Fiware-Total-Count"]) == (["E3"], "1500")


def test_nothing_shown_stays_where_it_is(api: Api) -> None:
    fill(api, 0, 2)
    reply = api.get("/v2/entities", cursor="start", limit=0, options="count")
    assert (ids(reply), reply.headers["Fiware-Total-Count"]) == ([], "2")
    reply = api.get("/v2/entities", cursor=reply.headers[NEXT], limit=1)
    assert ids(reply) == ["E0"]


def test_batch_query(api: Api) -> None:
    fill(api, 0, 3)
    query = {"entities": [{"idPattern": ".*"}]}
    reply = api.post("/v2/op/query", query, cursor="start", limit=2)
    assert ids(reply) == ["E0", "E1"]
    reply = api.post("/v2/op/query", query, cursor=reply.headers[NEXT], limit=2)
    assert (ids(reply), reply.headers[NEXT]) == (["E2"], None)


def test_holds_over_a_restart(start_broker: StartBroker, connect: Connect) -> None:
    broker = start_broker()
    api = connect(broker, "")
    fill(api, 0, 4)
    cursor = api.get("/v2/entities", cursor="start", limit=2).headers[NEXT]
    assert broker.stop() == 0
    api = connect(start_broker(directory=broker.directory), "")
    assert ids(api.get("/v2/entities", cursor=cursor)) == ["E2", "E3"]


@pytest.mark.parametrize("cursor", ["0", "c", "c01", "cx", "c-1", "end", "c" + "9" * 19, "Start"])
def test_what_is_no_cursor(api: Api, cursor: str) -> None:
    description = f"Bad pagination cursor: /{cursor}/ [must be start, or of {NEXT}]"
    reply = api.get("/v2/entities", cursor=cursor)
    assert reply.refusal == (400, "BadRequest", description)


@pytest.mark.parametrize("other", [{"offset": "0"}, {"orderBy": "A"}])
def test_with_another_order(api: Api, other: dict[str, Any]) -> None:
    description = f"Incompatible parameters: cursor, {next(iter(other))}"
    reply = api.get("/v2/entities", cursor="start", **other)
    assert reply.refusal == (400, "BadRequest", description)


def test_no_cursor_unless_asked_for(api: Api) -> None:
    fill(api, 0, 3)
    assert api.get("/v2/entities", limit=1).headers[NEXT] is None
