"""Notifications and the commit of the change that triggered them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from broker.deprecations import Deprecations
from broker.engine import Engine
from broker.logs import LogLimits
from broker.messages import MessageRules
from broker.origin import Origin
from broker.outbox import DeliveryRules
from broker.ports import JournalPort
from broker.publisher import MAX_WAITING
from broker.statistics import Statistics
from broker.update import UpdateOptions
from ngsi.errors import InternalServerError
from ngsi.model import AttributeUpdate, EntityUpdate, UpdateAction
from ngsi.v2.subscriptions import decode_subscription


class SlowJournal(JournalPort):
    """Takes every change; commits when the test says so."""

    def __init__(self) -> None:
        super().__init__(0, 0)
        self.commit: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def load(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(())

    def _begin_tick(self) -> None:
        pass

    def _give_commit(self) -> asyncio.Future[None]:
        return self.commit

    def end_tick(self, error: Exception | None = None) -> None:
        """Commit what came so far, or fail to; begin the next tick."""
        commit, self.commit = self.commit, asyncio.get_running_loop().create_future()
        if error is None:
            commit.set_result(None)
        else:
            commit.set_exception(error)


class Outbox:
    """Takes notifications."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, message: Any, /) -> bool:
        self.sent.append(message)
        return True


class Scene:
    """An engine with one subscription to everything."""

    def __init__(self) -> None:
        self.journal = SlowJournal()
        self.outbox = Outbox()
        rules = MessageRules(timeout_s=1.0, max_length=1000)
        durable = DeliveryRules(max_age_s=10, max_length=10, max_bytes=10_000, max_pause_s=1)
        deprecations = Deprecations(LogLimits(1000, 1000), Statistics())
        self.engine = Engine(self.journal, self.outbox, lambda: 1.0, rules, durable, deprecations)
        document = {
            "subject": {"entities": [{"idPattern": ".*"}]},
            "notification": {"http": {"url": "http://receiver"}},
        }
        self.subscription = decode_subscription(document, self.engine.new_id(), "/#")
        self.engine.put_subscription("", self.subscription)

    def update(self, value: int) -> None:
        """Create or change the entity E."""
        attribute = AttributeUpdate("Number", value, None)
        update = EntityUpdate("E", "T", {"A": attribute})
        error = self.engine.update(Origin(), [update], UpdateAction.APPEND, UpdateOptions())
        assert error is None

    @property
    def failures(self) -> int:
        return self.subscription.counters.fails_counter


def test_nothing_leaves_before_the_commit() -> None:
    async def play() -> None:
        scene = Scene()
        scene.update(1)
        scene.update(2)
        await asyncio.sleep(0)
        assert scene.outbox.sent == []
        scene.journal.end_tick()
        scene.update(3)  # of the next tick
        await asyncio.sleep(0)
        assert [message.body[-60:].count(b"Number") for message in scene.outbox.sent] == [1, 1]
        scene.journal.end_tick()
        await scene.engine.hand_over()
        assert len(scene.outbox.sent) == 3

    asyncio.run(play())


def test_nothing_leaves_of_a_change_that_was_not_kept() -> None:
    async def play() -> None:
        scene = Scene()
        scene.update(1)
        kept = scene.journal.commit
        scene.journal.end_tick(InternalServerError("no space left on device"))
        scene.update(2)
        scene.journal.end_tick()
        await scene.engine.hand_over()
        assert isinstance(kept.exception(), InternalServerError)
        (message,) = scene.outbox.sent
        assert b'"value":2' in message.body

    asyncio.run(play())


def test_more_than_can_wait_are_counted_as_failed() -> None:
    async def play() -> None:
        scene = Scene()
        for value in range(MAX_WAITING + 3):
            scene.update(value)
        assert scene.failures == 3
        scene.journal.end_tick()
        await scene.engine.hand_over()
        assert len(scene.outbox.sent) == MAX_WAITING
        # There is room again.
        scene.update(-1)
        scene.journal.end_tick()
        await scene.engine.hand_over()
        assert len(scene.outbox.sent) == MAX_WAITING + 1

    asyncio.run(play())
