"""Delivers what is kept for one subscription: one after the other per entity, again and again.

A failure of the receiver (no response, 408, 429, 5xx) pauses the whole subscription, and one
notification at a time tries whether it is over. A notification that is refused (any other
response but 2xx) is held alone, with those about the same entity behind it; when many in a row
are refused, it is the receiver that fails. Pauses double from try to try, with jitter, so that
those who waited for one receiver do not come back together.

Owns: when to try, pause, hold and give up. Must not: send, journal or count for clients (its
`Post` does). Costs: O(1) for each try, one timer for a pause and one for each that is held.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from broker.messages import Message
from broker.notifier import Outcome
from broker.outbox.backlog import Backlog
from broker.outbox.kept import KeptNotification

UNDER_WAY_MAX: Final = 8
"""Notifications of one subscription under way at once, of as many entities: twice the connections
to one endpoint, so that these find work."""

REFUSALS_TOLERATED: Final = 8
"""Refusals in a row of single notifications; from then on it is the receiver that refuses."""

FIRST_PAUSE_S: Final = 1.0
_JITTER: Final = 0.5  # a pause is shortened by up to this part
_DOUBLINGS_MAX: Final = 16  # beyond any longest pause; keeps the power small

_RECEIVER_FAILS: Final = frozenset({408, 425, 429})  # RFC 9110 and 6585: try again later
_QUEUE_IS_FULL: Final = "notification queue is full"

_log = logging.getLogger("rigel.outbox")


@dataclass(slots=True, frozen=True)
class DeliveryRules:
    """What an operator says of durable deliveries; the bounds are those of one subscription."""

    max_age_s: float
    max_length: int
    max_bytes: int
    max_pause_s: float


class Post(Protocol):
    """What a courier needs of others."""

    def now(self) -> float:
        """Seconds since 1970."""

    def send(self, message: Message) -> bool:
        """Hand a message to the notifier; False when it has no room."""

    def report(self, message: Message, outcome: Outcome) -> None:
        """Count how a try ended."""

    def forget(self, kept: KeptNotification, *, is_delivered: bool) -> None:
        """It is out of the backlog; its record is needed no more."""


class Courier:
    """The deliveries of one subscription."""

    def __init__(self, post: Post, rules: DeliveryRules, loop: asyncio.AbstractEventLoop) -> None:
        self.backlog = Backlog()
        self._post = post
        self._rules = rules
        self._loop = loop
        self._failures = 0  # in a row
        self._under_way = 0
        self._pause: asyncio.TimerHandle | None = None
        self._held: dict[KeptNotification, asyncio.TimerHandle] = {}
        self._given_up = 0  # since the last success
        self._is_running = False
        self._is_stopped = False
        self._is_abandoned = False

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to deliver."""
        return not self.backlog

    def add(self, kept: KeptNotification) -> None:
        """Take one more into the backlog; the oldest give way to it where there is no room."""
        self.backlog.add(kept)
        rules = self._rules
        while len(self.backlog) > rules.max_length or self.backlog.bytes > rules.max_bytes:
            oldest = self.backlog.oldest()
            if oldest is None:
                break  # all are under way, which are few
            self._give_up(oldest, "too many wait")

    def run(self) -> None:
        """Send what may be sent now."""
        if self._is_running or self._is_stopped:
            return  # running: a try ended at once, and the loop below goes on
        self._is_running = True
        try:
            self._give_up_old()
            while self._pause is None and self._under_way < self._window:
                kept = self.backlog.take()
                if kept is None:
                    break
                self._send(kept)
        finally:
            self._is_running = False

    def stop(self) -> None:
        """Begin no more tries; those under way may still succeed."""
        self._is_stopped = True
        if self._pause is not None:
            self._pause.cancel()
        for timer in self._held.values():
            timer.cancel()
        self._held.clear()

    def abandon(self) -> None:
        """Stop, and leave aside how tries under way end."""
        self.stop()
        self._is_abandoned = True

    @property
    def _window(self) -> int:
        return 1 if self._failures else UNDER_WAY_MAX

    def _send(self, kept: KeptNotification) -> None:
        message = kept.begin_try()
        message.on_result = partial(self._end, kept)
        kept.is_under_way = True
        self._under_way += 1
        if not self._post.send(message):
            self._end(kept, message, Outcome(self._post.now(), None, _QUEUE_IS_FULL))

    def _end(self, kept: KeptNotification, message: Message, outcome: Outcome) -> None:
        kept.is_under_way = False
        self._under_way -= 1
        if self._is_abandoned:
            return
        status = outcome.status
        if outcome.failure is None and (status is None or 200 <= status < 300):
            self._succeed(kept)
        else:
            if outcome.failure is None:
                outcome = Outcome(outcome.at, None, f"response code {status}")
            self._fail(kept, status)
        self._post.report(message, outcome)
        self.run()

    def _succeed(self, kept: KeptNotification) -> None:
        self._failures = 0
        self.backlog.remove(kept)
        self._post.forget(kept, is_delivered=True)
        if self._given_up:
            _log.warning(
                "Subscription %s delivers again (given up: %d)",
                kept.message.subscription_id,
                self._given_up,
            )
            self._given_up = 0

    def _fail(self, kept: KeptNotification, status: int | None) -> None:
        is_refusal = status is not None and status < 500 and status not in _RECEIVER_FAILS
        self._failures += self._pause is None
        if self._is_stopped:
            return
        if is_refusal:
            delay_s = self._delay_s(kept.tries)
            self._held[kept] = self._loop.call_later(delay_s, self._release, kept)
            if self._failures <= REFUSALS_TOLERATED:
                return
        else:
            self.backlog.put_back(kept)
        if self._pause is None:
            delay_s = self._delay_s(self._failures)
            self._pause = self._loop.call_later(delay_s, self._resume)

    def _release(self, kept: KeptNotification) -> None:
        del self._held[kept]
        self.backlog.put_back(kept)
        self.run()

    def _resume(self) -> None:
        self._pause = None
        self.run()

    def _delay_s(self, tries: int) -> float:
        doubled = FIRST_PAUSE_S * 2 ** min(tries - 1, _DOUBLINGS_MAX)
        longest: float = min(doubled, self._rules.max_pause_s)
        return longest * (1 - _JITTER * random.random())

    def _give_up_old(self) -> None:
        too_old = self._post.now() - self._rules.max_age_s
        while (kept := self.backlog.oldest()) is not None and kept.made < too_old:
            self._give_up(kept, "too old")

    def _give_up(self, kept: KeptNotification, reason: str) -> None:
        timer = self._held.pop(kept, None)
        if timer is not None:
            timer.cancel()
        self.backlog.remove(kept)
        self._post.forget(kept, is_delivered=False)
        outcome = Outcome(self._post.now(), None, f"given up: {reason}")
        self._post.report(kept.message, outcome)
        self._given_up += 1
        if self._given_up == 1:  # one line, however many follow
            _log.error(
                "Notification (subId: %s) given up: %s; others may follow",
                kept.message.subscription_id,
                reason,
            )
