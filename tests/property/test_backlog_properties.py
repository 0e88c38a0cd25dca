"""The backlog of durable notifications against a plain list."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker.mqtt import MqttMessage
from broker.notifier import Outcome
from broker.outbox.backlog import Backlog
from broker.outbox.kept import KeptNotification


def ignore(message: MqttMessage, outcome: Outcome) -> None:
    """Nothing is sent here."""


def make(sequence: int, entity_id: str, body: bytes) -> KeptNotification:
    message = MqttMessage(
        "s", "t", "mqtt://h", "t", body, 1, False, None, None, ("s", entity_id), ignore
    )
    return KeptNotification(sequence, float(sequence), message)


class BacklogMachine(RuleBasedStateMachine):
    """Adds, takes, puts back and removes as couriers do."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog = Backlog()
        self.all: list[KeptNotification] = []
        self.taken: list[KeptNotification] = []
        self.sequence = 0

    @rule(entity_id=st.sampled_from("abc"), body=st.binary(max_size=3))
    def add(self, entity_id: str, body: bytes) -> None:
        self.sequence += 1
        kept = make(self.sequence, entity_id, body)
        self.all.append(kept)
        self.backlog.add(kept)

    @rule()
    def take(self) -> None:
        kept = self.backlog.take()
        busy = {item.entity_id for item in self.taken}
        free = [item for item in self.all if item.entity_id not in busy]
        assert (kept is None) is (not free)
        if kept is not None:
            of_entity = [item for item in self.all if item.entity_id == kept.entity_id]
            assert kept.entity_id not in busy
            assert of_entity[0] is kept
            kept.is_under_way = True
            self.taken.append(kept)

    @rule(at=st.integers(0, 2), is_held=st.booleans())
    def fail(self, at: int, is_held: bool) -> None:
        if at < len(self.taken):
            self.taken[at].is_under_way = False
            if not is_held:
                self.backlog.put_back(self.taken.pop(at))

    @rule(at=st.integers(0, 2))
    def succeed(self, at: int) -> None:
        if at < len(self.taken):
            kept = self.taken.pop(at)
            kept.is_under_way = False
            self.backlog.remove(kept)
            self.all.remove(kept)

    @rule()
    def give_up_the_oldest(self) -> None:
        oldest = self.backlog.oldest()
        idle = [item for item in self.all if not item.is_under_way]
        assert oldest is (idle[0] if idle else None)
        if oldest is not None:
            self.backlog.remove(oldest)
            self.all.remove(oldest)
            if oldest in self.taken:
                self.taken.remove(oldest)

    @invariant()
    def agrees(self) -> None:
        assert list(self.backlog) == self.all
        assert len(self.backlog) == len(self.all)
        self.backlog.check()


BacklogMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestBacklog = BacklogMachine.TestCase
