"""What one tenant (Fiware-Service) owns: entities, subscriptions and registrations.

Tenants share nothing, so nothing of one can show up in another.
"""

from __future__ import annotations

from broker.entity_table import EntityTable
from broker.matcher import SubscriptionMatcher
from ngsi.registration import Registration
from ngsi.subscription import Subscription


class Tenant:
    """The state of one tenant."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entities = EntityTable()
        self.subscriptions: dict[str, Subscription] = {}  # by id, oldest first
        self.matcher = SubscriptionMatcher()
        self.registrations: dict[str, Registration] = {}  # by id, oldest first
        self._handles: dict[str, int] = {}

    def put_subscription(self, subscription: Subscription) -> None:
        """Add a subscription, or put a changed one in the place of the former."""
        former = self._handles.get(subscription.id)
        if former is not None:
            self.matcher.remove(former)
        self.subscriptions[subscription.id] = subscription
        self._handles[subscription.id] = self.matcher.add(subscription)

    def remove_subscription(self, subscription_id: str) -> None:
        """Forget a subscription of this tenant."""
        del self.subscriptions[subscription_id]
        self.matcher.remove(self._handles.pop(subscription_id))
