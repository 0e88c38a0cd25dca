"""Every change of subscriptions by clients, and their way back from the journal.

Owns the order of a change: room in the journal, its record, then the table of the tenant. It
must not count deliveries: `publisher.py` does.
"""

from __future__ import annotations

from typing import Final

from broker import records
from broker.document_size import admit_document
from broker.outbox import Outbox
from broker.packed_subscription import Sections
from broker.ports import JournalPort
from broker.subscription_table import SubscriptionTable
from broker.tenant import Tenants
from ngsi.errors import NotFound
from ngsi.subscription import Subscription

SUBSCRIPTION_NOT_FOUND: Final = "The requested subscription has not been found. Check id"


class Subscriptions:
    """The subscriptions of an engine."""

    def __init__(self, journal: JournalPort, tenants: Tenants, outbox: Outbox) -> None:
        self._journal = journal
        self._tenants = tenants
        self._outbox = outbox
        self._late: dict[str, dict[str, Sections]] = {}  # while restoring: by tenant and id

    def restore(self, tenant: str, identity: list[str], document: bytes) -> None:
        """Take over a record of the journal; `end_restore` comes after the last.

        Raises one of `records.UNREADABLE`.
        """
        (subscription_id,) = identity
        sections = records.read_stored_subscription(document)
        # Ids grow with time, so their order is that of creation, and mostly that of the journal.
        table = self._tenants.own(tenant).subscriptions
        if subscription_id > table.last_id:
            table.restore(subscription_id, sections)
        else:
            self._late.setdefault(tenant, {})[subscription_id] = sections

    def end_restore(self) -> None:
        """Put those in their places that came after younger ones; raises StateError."""
        late, self._late = self._late, {}
        for name, sections in late.items():
            tenant = self._tenants[name]
            sections.update(tenant.subscriptions.at_rest())
            tenant.subscriptions = SubscriptionTable()
            for subscription_id in sorted(sections):
                try:
                    tenant.subscriptions.restore(subscription_id, sections[subscription_id])
                except records.UNREADABLE as error:
                    key = records.subscription_key(name, subscription_id)
                    raise records.StateError(key, error) from error

    def put(self, tenant: str, subscription: Subscription) -> None:
        """Add a subscription or replace the one of that id."""
        self._journal.admit()
        document = records.encode_subscription(subscription)
        admit_document(self._journal, document, "subscription")
        self._journal.put(records.subscription_key(tenant, subscription.id), document)
        self._tenants.own(tenant).subscriptions.put(subscription)

    def find(self, tenant: str, subscription_id: str) -> Subscription:
        """The subscription of that id; raises NotFound."""
        state = self._tenants.get(tenant)
        subscription = None if state is None else state.subscriptions.get(subscription_id)
        if subscription is None:
            raise NotFound(SUBSCRIPTION_NOT_FOUND)
        return subscription

    def remove(self, tenant: str, subscription_id: str) -> None:
        """Remove the subscription of that id; raises NotFound."""
        self.find(tenant, subscription_id)
        self._journal.admit()
        self._tenants[tenant].subscriptions.remove(subscription_id)
        self._journal.delete(records.subscription_key(tenant, subscription_id))
        self._outbox.remove(tenant, subscription_id)
