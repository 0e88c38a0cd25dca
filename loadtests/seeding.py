"""Many subscriptions or entities in a broker before it is measured.

By default they go into a new data directory with `rigel journal import`, as an operator could do
it, and the broker loads them at its start: docs/journal.md has the keys and documents. Over HTTP
is the other way; it takes longer and shows what clients pay.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from loadtests.load_client import LoadClient, LoadError
from loadtests.servers import post
from loadtests.workloads import CONNECTIONS, request

BATCH_ENTITIES: Final = 1000  # some 200 KB: below the largest body that a broker takes by default
WAYS: Final = ("journal", "http")

_ROOT: Final = Path(__file__).resolve().parents[1]
_SEPARATOR: Final = "\x1f"  # of the parts of a key
_SUBSCRIPTIONS_AT_ONCE: Final = 10_000  # prepared requests of one load client, some megabytes

Document = dict[str, Any]


def seed_directory(
    directory: Path, entities: Iterable[Document], subscriptions: Iterable[Document]
) -> None:
    """Make a data directory with both, as bodies of the API. Raises LoadError."""
    importing = subprocess.Popen(
        [sys.executable, str(_ROOT / "rigel.py"), "journal", "import", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert importing.stdin is not None
    assert importing.stderr is not None
    try:
        for key, document in _make_records(entities, subscriptions):
            importing.stdin.write(orjson.dumps({"key": key, "document": document}) + b"\n")
        importing.stdin.close()
    except BrokenPipeError:
        pass  # standard error says why
    complaint = importing.stderr.read().decode()
    importing.stderr.close()
    if importing.wait() != 0:
        raise LoadError(f"rigel journal import: {complaint}")


def _make_records(
    entities: Iterable[Document], subscriptions: Iterable[Document]
) -> Iterator[tuple[str, Document]]:
    now = time.time()
    for number, entity in enumerate(entities):
        key = _SEPARATOR.join(("e", "", "/", entity["id"], entity["type"]))
        attributes = {
            name: [attribute["type"], attribute["value"], {}, now, now]
            for name, attribute in entity.items()
            if name not in ("id", "type")
        }
        located = [n for n, attribute in entity.items() if _is_location(attribute)]
        yield (
            key,
            {
                "s": number + 1,
                "c": now,
                "m": now,
                "l": located[0] if located else None,
                "a": attributes,
            },
        )
    for number, subscription in enumerate(subscriptions):
        subscription_id = f"{number + 1:024x}"
        yield (
            _SEPARATOR.join(("s", "", subscription_id)),
            {
                "servicePath": "/",
                "subscription": {"id": subscription_id, "status": "active", **subscription},
                "counters": {},
            },
        )


def _is_location(attribute: Any) -> bool:
    return isinstance(attribute, dict) and attribute.get("type") == "geo:point"


def post_entities(url: str, entities: Iterable[Document]) -> None:
    """Create entities by batches. Raises LoadError."""
    remaining = iter(entities)
    while batch := list(islice(remaining, BATCH_ENTITIES)):
        post(
            f"{url}/v2/op/update",
            orjson.dumps({"actionType": "append", "entities": batch}),
        )


def post_subscriptions(port: int, subscriptions: Iterable[Document], cpu: int | None) -> None:
    """Create subscriptions, on many connections at once. Raises LoadError."""
    remaining = iter(subscriptions)
    while chunk := list(islice(remaining, _SUBSCRIPTIONS_AT_ONCE)):
        requests: list[list[bytes]] = [[] for _ in range(min(CONNECTIONS, len(chunk)))]
        for number, document in enumerate(chunk):
            body = orjson.dumps(document)
            requests[number % len(requests)].append(request("POST", "/v2/subscriptions", body))
        # A connection repeats what it has, so all must have the same number.
        whole = len(chunk) // len(requests)
        with LoadClient(port, [each[:whole] for each in requests], 201, cpu) as client:
            client.send_each(whole)
        rest = [each[whole:] for each in requests if len(each) > whole]
        if rest:
            with LoadClient(port, rest, 201, cpu) as client:
                client.send_each(1)
