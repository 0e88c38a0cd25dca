"""What one tenant (Fiware-Service) owns: entities, registrations, and subscriptions to both.

Tenants share nothing, so nothing of one can show up in another.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.availability import AvailabilitySubscribers
from broker.entity_table import EntityTable
from broker.matcher import SubscriptionMatcher
from broker.providers import ProviderIndex
from ngsi.registration import Registration
from ngsi.subscription import Subscription


@dataclass(slots=True)
class IndexChanges:
    """How often the index of subscriptions changed; counts only (GET /cache/statistics)."""

    inserts: int = 0
    removes: int = 0
    updates: int = 0


class Tenant:
    """The state of one tenant."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entities = EntityTable()
        self.subscriptions: dict[str, Subscription] = {}  # by id, oldest first
        self.matcher = SubscriptionMatcher()
        self.registrations: dict[str, Registration] = {}  # by id, oldest first
        self.providers = ProviderIndex()
        self.availability = AvailabilitySubscribers()
        self.index_changes = IndexChanges()
        self._handles: dict[str, int] = {}

    def put_subscription(self, subscription: Subscription) -> None:
        """Add a subscription, or put a changed one in the place of the former."""
        former = self._handles.get(subscription.id)
        if former is not None:
            self.matcher.remove(former)
            self.index_changes.updates += 1
            self.index_changes.removes += 1
        self.index_changes.inserts += 1
        self.subscriptions[subscription.id] = subscription
        self._handles[subscription.id] = self.matcher.add(subscription)

    def remove_subscription(self, subscription_id: str) -> None:
        """Forget a subscription of this tenant."""
        del self.subscriptions[subscription_id]
        self.matcher.remove(self._handles.pop(subscription_id))
        self.index_changes.removes += 1

    def put_registration(self, registration: Registration) -> None:
        """Add a registration, or put a changed one in the place of the former."""
        self.registrations[registration.id] = registration
        self.providers.put(registration)

    def remove_registration(self, registration_id: str) -> None:
        """Forget a registration of this tenant."""
        del self.registrations[registration_id]
        self.providers.remove(registration_id)
