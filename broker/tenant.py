"""What one tenant (Fiware-Service) owns: entities, registrations, and subscriptions to both.

Tenants share nothing, so nothing of one can show up in another.
"""

from __future__ import annotations

from broker.availability import AvailabilitySubscribers
from broker.entity_table import EntityTable
from broker.providers import ProviderIndex
from broker.subscription_table import SubscriptionTable
from ngsi.registration import Registration


class Tenant:
    """The state of one tenant."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entities = EntityTable()
        self.subscriptions = SubscriptionTable()
        self.registrations: dict[str, Registration] = {}  # by id, oldest first
        self.providers = ProviderIndex()
        self.availability = AvailabilitySubscribers()

    def put_registration(self, registration: Registration) -> None:
        """Add a registration, or put a changed one in the place of the former."""
        self.registrations[registration.id] = registration
        self.providers.put(registration)

    def remove_registration(self, registration_id: str) -> None:
        """Forget a registration of this tenant."""
        del self.registrations[registration_id]
        self.providers.remove(registration_id)


class Tenants(dict[str, Tenant]):
    """The tenants that had content so far, by name."""

    def own(self, name: str) -> Tenant:
        """The tenant of that name, to get content."""
        tenant = self.get(name)
        if tenant is None:
            tenant = self[name] = Tenant(name)
        return tenant
