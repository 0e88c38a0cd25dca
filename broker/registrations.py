"""Every change of registrations by clients, their counters, and their way back from the journal.

Owns the order of a change: room in the journal, its record, then the tenant. Counters of
forwarding reach the journal a second later.
"""

from __future__ import annotations

from typing import Final

from broker import records
from broker.document_size import admit_document
from broker.ports import JournalPort
from broker.tenant import Tenants
from ngsi.errors import NotFound
from ngsi.registration import Registration

REGISTRATION_NOT_FOUND: Final = "The requested registration has not been found. Check id"


class Registrations:
    """The registrations of an engine."""

    def __init__(self, journal: JournalPort, tenants: Tenants) -> None:
        self._journal = journal
        self._tenants = tenants
        # With counters not yet journaled, and their tenants.
        self._forwarded: dict[Registration, str] = {}

    def restore(self, tenant: str, identity: list[str], document: bytes) -> None:
        """Take over a record of the journal; `end_restore` comes after the last.

        Raises one of `records.UNREADABLE`.
        """
        registration = records.decode_stored_registration(identity, document)
        self._tenants.own(tenant).registrations[registration.id] = registration

    def end_restore(self) -> None:
        """Put what was restored in its place."""
        for tenant in self._tenants.values():
            # Ids grow with time, so their order is that of creation.
            restored = sorted(tenant.registrations.items())
            tenant.registrations.clear()
            for _, registration in restored:
                tenant.put_registration(registration)

    def put(self, tenant: str, registration: Registration) -> None:
        """Add a registration or replace the one of that id."""
        self._journal.admit()
        document = records.encode_registration(registration)
        admit_document(self._journal, document, "registration")
        self._journal.put(records.registration_key(tenant, registration.id), document)
        self._tenants.own(tenant).put_registration(registration)

    def find(self, tenant: str, registration_id: str) -> Registration:
        """The registration of that id; raises NotFound."""
        state = self._tenants.get(tenant)
        registration = None if state is None else state.registrations.get(registration_id)
        if registration is None:
            raise NotFound(REGISTRATION_NOT_FOUND)
        return registration

    def remove(self, tenant: str, registration_id: str) -> None:
        """Remove the registration of that id; raises NotFound."""
        self.find(tenant, registration_id)
        self._journal.admit()
        self._tenants[tenant].remove_registration(registration_id)
        self._journal.delete(records.registration_key(tenant, registration_id))

    def count_forwarding(
        self, tenant: str, registration: Registration, at: float, is_success: bool
    ) -> None:
        """Count one forwarded request and how it went; `at` is in seconds since 1970."""
        state = self._tenants.get(tenant)
        current = None if state is None else state.registrations.get(registration.id)
        if current is None:
            return  # removed meanwhile
        forwarding = current.forwarding
        forwarding.times_sent += 1
        forwarding.last_forwarding = at
        if is_success:
            forwarding.last_success = at
        else:
            forwarding.last_failure = at
        self._forwarded[current] = tenant

    @property
    def has_progress(self) -> bool:
        """Whether counters changed that the journal does not have."""
        return bool(self._forwarded)

    def journal_progress(self) -> None:
        """Give the journal the counters that changed; it must have been admitted."""
        forwarded, self._forwarded = self._forwarded, {}
        for registration, tenant in forwarded.items():
            if self._tenants[tenant].registrations.get(registration.id) is registration:
                self._journal.patch(
                    records.registration_key(tenant, registration.id),
                    records.encode_forwarding(registration),
                )
