"""One run of the demo against one broker, from loading to the verdict.

Owns the order of things: load, subscribe, replay, wait, compare, clean up. Must not: start a
broker or read the command line (demo/__main__.py does).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from yarl import URL

from demo.client import BrokerError, Client
from demo.data import Airport, Reading
from demo.expectation import Expectation
from demo.receiver import Receiver
from demo.replay import Replay
from demo.report import Finding, Report, Sent, compare, compare_entities
from demo.scenario import (
    CITIES,
    SUBSCRIPTIONS,
    City,
    Update,
    airport_entity,
    airport_id,
    airport_update,
    weather_update,
)

SILENCE_S: Final = 5.0  # between notifications that are due, even of a very busy broker
NOTIFICATIONS: Final = "notifications"


class Run:
    """The demo with given data: all `airports`, and `readings` by the name of the city."""

    def __init__(
        self,
        airports: Sequence[Airport],
        readings: Mapping[str, Sequence[Reading]],
        report: Report,
        silence_s: float = SILENCE_S,
    ) -> None:
        """`silence_s`: how long without a notification means that no more will come."""
        self._airports = airports
        self._readings = readings
        self._report = report
        self._silence_s = silence_s
        self._expectation = Expectation(airports, readings)

    async def try_on(self, url: URL, tenant: str, host: str, keep: bool) -> list[str]:
        """Run on the broker at `url`, in a tenant that has no entities yet.

        `tenant` is the Fiware-Service ("" for none), `host` the address to be notified at.
        Subscriptions are removed afterwards, entities unless `keep`. Returns what is not as
        expected, in sentences; none when all agrees. Raises BrokerError when the broker does not
        answer or refuses a request.
        """
        async with Client(url, tenant) as client, Receiver(SUBSCRIPTIONS, host) as receiver:
            replay = Replay(client, receiver, self._silence_s)
            await replay.check_empty()
            try:
                problems = await self._run(replay, receiver)
            except BaseException:
                # Perhaps it was the broker's end: then there is nothing to remove, either.
                with suppress(BrokerError):
                    await self._remove(replay, keep)
                raise
            await self._remove(replay, keep)
        return problems

    async def _remove(self, replay: Replay, keep: bool) -> None:
        await replay.unsubscribe()
        if not keep:
            await replay.remove(
                [airport_id(airport) for airport in self._airports]
                + [city.entity_id for city in CITIES]
            )

    async def _run(self, replay: Replay, receiver: Receiver) -> list[str]:
        say = self._report.say
        say(f"Loading {len(self._airports):,} airports ...")
        loading_began_at = time.perf_counter()
        await replay.load(self._airports)
        loading_s = time.perf_counter() - loading_began_at
        problems = [
            f"airports: {difference}"
            for difference in compare_entities(
                [airport_entity(airport) for airport in self._airports],
                await replay.read_airports(),
            )
        ]
        await replay.subscribe()
        await self._replay(replay, receiver)

        total = self._expectation.total
        is_complete = await receiver.await_count(total, self._silence_s)
        findings = await self._find(replay, receiver)
        triggered = sum(finding.triggered for finding in findings)
        if is_complete and triggered > total:
            # The broker knows of more than there should be; see them.
            await receiver.await_count(triggered, self._silence_s)
            findings = await self._find(replay, receiver)
        self._report.show_sent(self._sent(replay, receiver, loading_s))
        self._report.show_findings(findings)
        if replay.is_stalled:
            problems.append(
                "the replay ended early: notifications were due, and for "
                f"{self._silence_s:g} s none came"
            )
        problems += receiver.faults
        for finding in findings:
            problems += [f"{finding.title}: {difference}" for difference in finding.differences]
        if not problems:
            say(
                f"All {total:,} notifications are those worked out from the files, "
                "in order, none missing, none twice."
            )
        return problems

    async def _replay(self, replay: Replay, receiver: Receiver) -> None:
        totals = {name: len(readings) for name, readings in self._readings.items()}
        totals[replay.AIRPORTS] = len(self._airports)
        self._report.say(f"Replaying {sum(totals.values()):,} updates ...")
        totals[NOTIFICATIONS] = self._expectation.total
        async with self._report.progress(
            totals, lambda: {**replay.sent, NOTIFICATIONS: receiver.count}
        ):
            await replay.run(
                {city.name: self._weather_updates(city) for city in CITIES},
                self._airport_updates(),
            )

    # One after the other, as they are sent: ten thousands of documents that are all there at once
    # keep the garbage collector busy, and that would be seen in the latencies.

    def _weather_updates(self, city: City) -> Iterator[Update]:
        counts = self._expectation.of_readings[city.name]
        for reading, notifications in zip(self._readings[city.name], counts, strict=True):
            yield weather_update(city, reading, notifications)

    def _airport_updates(self) -> Iterator[Update]:
        for airport, notifications in zip(
            self._airports, self._expectation.of_airports, strict=True
        ):
            yield airport_update(airport, notifications)

    async def _find(self, replay: Replay, receiver: Receiver) -> list[Finding]:
        deliveries = await replay.read_deliveries()
        findings = []
        for subscription in SUBSCRIPTIONS:
            expected = self._expectation.changes(subscription)
            received = receiver.received[subscription.name]
            differences = compare(expected, received)
            delivery = deliveries[subscription.name]
            triggered = delivery.get("timesSent", 0)
            expected_count = self._expectation.count(subscription)
            if triggered != expected_count:
                differences += (f"the broker counts {triggered}, not {expected_count}",)
            if reason := delivery.get("lastFailureReason"):
                differences += (f"the broker could not deliver: {reason}",)
            findings.append(
                Finding(
                    subscription.title,
                    expected_count,
                    sum(map(len, received.values())),
                    triggered,
                    receiver.latencies_s[subscription.name],
                    differences,
                )
            )
        return findings

    def _sent(self, replay: Replay, receiver: Receiver, loading_s: float) -> list[Sent]:
        notifying_s = max(receiver.last_at - replay.began_at, 0.0)
        return [
            Sent("airports loaded, in batches", len(self._airports), loading_s),
            *(Sent(f"{city.name}: readings", replay.sent[city.name], None) for city in CITIES),
            Sent("airports touched", replay.sent[replay.AIRPORTS], None),
            Sent("all updates", sum(replay.sent.values()), replay.ended_at - replay.began_at),
            Sent("all notifications", receiver.count, notifying_s),
        ]
