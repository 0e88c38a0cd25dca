"""Discovery: which registrations answer a question, and who is to be told of a registration.

Two look-ups over the same kind of index, in both directions. Pure and synchronous; it knows
nothing of requests, journal or network. Costs are those of `broker.selector_index`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from broker.selector_index import SelectorIndex
from ngsi.availability import AvailabilityQuery, AvailabilitySubscription
from ngsi.registration import ContextRegistration, Provision, Registration
from ngsi.service_path import ServicePathScope

_INACTIVE: Final = "inactive"


class Available(NamedTuple):
    """A registration, and what of it is asked for."""

    registration: Registration
    parts: tuple[ContextRegistration, ...]


def is_active(registration: Registration) -> bool:
    """Whether context is available by a registration within its time."""
    return registration.status != _INACTIVE


def is_current(registration: Registration, now: float) -> bool:
    """Whether context is available by a registration now."""
    return is_active(registration) and not registration.is_expired(now)


def discover(
    registered: SelectorIndex[Provision],
    query: AvailabilityQuery,
    scope: ServicePathScope,
    now: float,
) -> Iterator[Available]:
    """What answers a question, by the time of registration."""
    found = {provision.registration: None for _, provision in registered.meeting(query.selectors)}
    for registration in found:
        if is_current(registration, now) and scope.covers(registration.service_path):
            parts = query.narrow(registration)
            if parts:
                yield Available(registration, parts)


class AvailabilitySubscribers:
    """The availability subscriptions of a tenant, by what they ask for."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, AvailabilitySubscription] = {}
        self._selectors: SelectorIndex[AvailabilitySubscription] = SelectorIndex()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def __iter__(self) -> Iterator[AvailabilitySubscription]:
        return iter(self._subscriptions.values())

    def get(self, subscription_id: str) -> AvailabilitySubscription | None:
        """The subscription of that id."""
        return self._subscriptions.get(subscription_id)

    def put(self, subscription: AvailabilitySubscription) -> None:
        """Add a subscription, or put a changed one in the place of the former."""
        self._subscriptions[subscription.id] = subscription
        selectors = subscription.query.selectors
        self._selectors.put(subscription.id, [(item, subscription) for item in selectors])

    def remove(self, subscription_id: str) -> None:
        """Forget a subscription."""
        del self._subscriptions[subscription_id]
        self._selectors.remove(subscription_id)

    def concerned(
        self, registration: Registration, now: float
    ) -> dict[AvailabilitySubscription, Available]:
        """Who is to be told of a registration, and of what of it; the oldest first."""
        if not self._subscriptions:
            return {}
        asked = [selector for part in registration.parts for selector in part.entities]
        concerned: dict[AvailabilitySubscription, Available] = {}
        for _, subscription in self._selectors.meeting(asked):
            if subscription not in concerned and not subscription.is_expired(now):
                parts = subscription.narrow(registration)
                if parts:
                    concerned[subscription] = Available(registration, parts)
        return concerned
