"""Subscriptions on their way back from the journal, in whatever order it has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from broker import records
from broker.deprecations import Deprecations
from broker.engine import Engine
from broker.logs import LogLimits
from broker.messages import MessageRules
from broker.outbox import DeliveryRules
from broker.ports import JournalPort
from broker.statistics import Statistics


class KeptJournal(JournalPort):
    """Gives records; takes no changes."""

    def __init__(self, kept: list[tuple[bytes, bytes]]) -> None:
        super().__init__(1, 1)
        self._kept = kept

    def load(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._kept)

    def _make_room(self, change_bytes: int) -> None:
        raise AssertionError("nothing is to change")


class NoNotifier:
    def send(self, message: Any, /) -> bool:
        raise AssertionError("nothing is to be sent")


def restore(kept: list[tuple[bytes, bytes]]) -> Engine:
    engine = Engine(
        KeptJournal(kept),
        NoNotifier(),
        lambda: 1.0,
        MessageRules(timeout_s=1.0, max_length=1000),
        DeliveryRules(max_age_s=10, max_length=10, max_bytes=10_000, max_pause_s=1),
        Deprecations(LogLimits(1000, 1000), Statistics()),
    )
    engine.restore()
    return engine


def record(subscription_id: str, tenant: str = "", **disturbed: Any) -> tuple[bytes, bytes]:
    subscription = {
        "subject": {"entities": [{"idPattern": ".*"}], "condition": {"attrs": ["a"]}},
        "notification": {"http": {"url": "http://h"}, "attrs": ["a"]},
        **disturbed,
    }
    document = {"servicePath": "/#", "subscription": subscription, "counters": {}}
    return records.subscription_key(tenant, subscription_id), orjson.dumps(document)


@pytest.mark.parametrize(
    "order", [(1, 2, 3, 4, 5), (5, 4, 3, 2, 1), (1, 4, 5, 2, 3), (2, 3, 1, 5, 4)]
)
def test_are_in_the_order_of_their_ids(order: tuple[int, ...]) -> None:
    names = [f"{number:024x}" for number in order]
    engine = restore(
        [
            record(name, tenant)
            for name in names
            for tenant in ("", "t")
            if (name, tenant) != (names[0], "t")
        ]
    )
    for tenant, known in (("", sorted(names)), ("t", sorted(names[1:]))):
        table = engine.tenant(tenant).subscriptions
        assert list(table) == known
        assert [item.id for item in table.page(1, 2, None)[0]] == known[1:3]
        assert table.changes.inserts == len(known)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "disturbed",
    [
        {"subject": {}},
        {"subject": {"entities": []}},
        {"subject": {"entities": [{"id": 7}]}},
        {"subject": {"entities": [{"id": "E"}], "condition": {"expression": {"q": ";;"}}}},
        {"subject": {"entities": [{"id": "E"}], "condition": 7}},
        {"notification": {}},
        {"notification": {"http": {"url": "nowhere"}}},
        {"notification": None},
        {"expires": "soon"},
        {"description": 7},
        {"status": "asleep"},
    ],
)
def test_one_that_cannot_be_read_is_named(disturbed: dict[str, Any], late: bool) -> None:
    # At the start, and not when it is looked at.
    wrong, right = f"{1:024x}", f"{2:024x}"
    kept = [record(wrong, **disturbed), record(right)]
    with pytest.raises(records.StateError, match=wrong):
        restore(kept[::-1] if late else kept)
