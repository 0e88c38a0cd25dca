"""The registry: registrations of context providers, and those who want to be told of them.

Changes are synchronous, as those of the engine: the journal gets the records, and the
notifications of availability are made in the same turn of the loop. They are kept until their
receivers took them (`broker.outbox`).

Source: Orion API, "Registration Operations"; FI-WARE NGSI-9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from sortedcontainers import SortedList

from broker import records, registration_records
from broker.availability import Available, discover, is_active, is_current
from broker.availability_notices import AvailabilityNotices
from broker.availability_records import availability_key, encode_availability
from broker.document_size import admit_document
from broker.origin import Origin
from broker.ports import JournalPort
from broker.publisher import Publisher
from broker.tenant import Tenant, Tenants
from ngsi.availability import AvailabilityChange, AvailabilityQuery, AvailabilitySubscription
from ngsi.errors import NotFound
from ngsi.registration import Registration

REGISTRATION_NOT_FOUND: Final = "The requested registration has not been found. Check id"
SUBSCRIPTION_NOT_FOUND: Final = "The requested subscription has not been found. Check id"


class _End(NamedTuple):
    """When a registration or an availability subscription ends."""

    at: float
    tenant: str
    is_registration: bool
    id: str


class Registry:
    """The registrations and availability subscriptions of all tenants of an engine."""

    def __init__(
        self,
        journal: JournalPort,
        publisher: Publisher,
        clock: Callable[[], float],
        tenants: Tenants,
    ) -> None:
        self._journal = journal
        self._outbox = publisher.outbox
        self._clock = clock
        self._tenants = tenants
        self._notices = AvailabilityNotices(publisher)
        # When registrations and availability subscriptions end, in seconds since 1970.
        self._ends: SortedList[_End] = SortedList()
        # With counters not yet journaled, and their tenants.
        self._forwarded: dict[Registration, str] = {}

    def start(self) -> None:
        """Watch the lifetimes of what was restored; once, before anything else."""
        for tenant in self._tenants.values():
            for registration in tenant.registrations.values():
                if not registration.is_gone:
                    self._watch(tenant, registration)
            for subscription in tenant.availability:
                self._watch(tenant, subscription)

    # Registrations

    def put(self, origin: Origin, registration: Registration) -> None:
        """Add a registration or replace the one of that id."""
        self._journal.admit()
        registration.is_gone = registration.is_expired(self._clock())
        document = registration_records.encode_registration(registration)
        admit_document(self._journal, document, "registration")
        tenant = self._tenants.own(origin.tenant)
        former = tenant.registrations.get(registration.id)
        self._journal.put(records.registration_key(tenant.name, registration.id), document)
        if former is not None:
            self._forget(tenant, former)
        tenant.put_registration(registration)
        if not registration.is_gone:
            self._watch(tenant, registration)
        self._announce(tenant, origin, former, registration)

    def get(self, tenant_name: str, registration_id: str) -> Registration:
        """The registration of that id; raises NotFound."""
        tenant = self._tenants.get(tenant_name)
        registration = None if tenant is None else tenant.registrations.get(registration_id)
        if registration is None:
            raise NotFound(REGISTRATION_NOT_FOUND)
        return registration

    def remove(self, origin: Origin, registration_id: str) -> None:
        """Remove the registration of that id; raises NotFound."""
        former = self.get(origin.tenant, registration_id)
        self._journal.admit()
        tenant = self._tenants.own(origin.tenant)
        tenant.remove_registration(registration_id)
        self._forget(tenant, former)
        self._journal.delete(records.registration_key(tenant.name, registration_id))
        self._announce(tenant, origin, former, None)

    def discover(self, origin: Origin, query: AvailabilityQuery) -> list[Available]:
        """What answers a question, by the time of registration."""
        tenant = self._tenants.get(origin.tenant)
        if tenant is None:
            return []
        registered = tenant.providers.selectors
        return list(discover(registered, query, origin.scope, self._clock()))

    # Requests forwarded for registrations

    def count_forwarding(
        self, tenant_name: str, registration: Registration, at: float, is_success: bool
    ) -> None:
        """Count one forwarded request and how it went; `at` is in seconds since 1970."""
        tenant = self._tenants.get(tenant_name)
        current = None if tenant is None else tenant.registrations.get(registration.id)
        if current is None:
            return  # removed meanwhile
        forwarding = current.forwarding
        forwarding.times_sent += 1
        forwarding.last_forwarding = at
        if is_success:
            forwarding.last_success = at
        else:
            forwarding.last_failure = at
        self._forwarded[current] = tenant_name

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
                    registration_records.encode_forwarding(registration),
                )

    # Availability subscriptions

    def subscribe(self, origin: Origin, subscription: AvailabilitySubscription) -> None:
        """Add an availability subscription or replace the one of that id.

        Its receiver is told of what is available already.
        """
        self._journal.admit()
        document = encode_availability(subscription)
        admit_document(self._journal, document, "subscription")
        tenant = self._tenants.own(origin.tenant)
        former = tenant.availability.get(subscription.id)
        if former is not None:
            self._forget(tenant, former)
        self._journal.put(availability_key(tenant.name, subscription.id), document)
        tenant.availability.put(subscription)
        self._watch(tenant, subscription)
        found = discover(
            tenant.providers.selectors, subscription.query, subscription.scope, self._clock()
        )
        self._notices.make(tenant.name, origin, subscription, AvailabilityChange.CREATED, found)

    def subscription(self, tenant_name: str, subscription_id: str) -> AvailabilitySubscription:
        """The availability subscription of that id; raises NotFound."""
        tenant = self._tenants.get(tenant_name)
        if tenant is None:
            raise NotFound(SUBSCRIPTION_NOT_FOUND)
        subscription = self._subscription(tenant, subscription_id)
        if subscription.is_expired(self._clock()):
            raise NotFound(SUBSCRIPTION_NOT_FOUND)
        return subscription

    def _subscription(self, tenant: Tenant, subscription_id: str) -> AvailabilitySubscription:
        subscription = tenant.availability.get(subscription_id)
        if subscription is None:
            raise NotFound(SUBSCRIPTION_NOT_FOUND)
        return subscription

    def unsubscribe(self, tenant_name: str, subscription_id: str) -> None:
        """Remove the availability subscription of that id; raises NotFound."""
        subscription = self.subscription(tenant_name, subscription_id)
        self._journal.admit()
        self._end_subscription(self._tenants.own(tenant_name), subscription)

    # Lifetimes

    def end_expired(self, limit: int) -> int:
        """End at most `limit` registrations and availability subscriptions whose time is over;
        returns how many.

        Registrations stay, as Orion has it; those who subscribed are told. Raises
        InternalServerError when the journal takes no changes now.
        """
        now = self._clock()
        ended = 0
        while ended < limit and self._ends and self._ends[0][0] <= now:
            self._journal.admit()
            _, tenant_name, is_registration, subject = self._ends[0]
            tenant = self._tenants[tenant_name]
            if is_registration:
                self._end_registration(tenant, tenant.registrations[subject])
            else:
                self._end_subscription(tenant, self._subscription(tenant, subject))
            ended += 1
        return ended

    def _end_registration(self, tenant: Tenant, registration: Registration) -> None:
        self._forget(tenant, registration)
        origin = Origin(tenant=tenant.name, correlator="N/A", service_header=tenant.name)
        self._announce(tenant, origin, registration, None)
        registration.is_gone = True
        self._journal.patch(
            records.registration_key(tenant.name, registration.id),
            registration_records.encode_departure(),
        )

    def _end_subscription(self, tenant: Tenant, subscription: AvailabilitySubscription) -> None:
        self._forget(tenant, subscription)
        tenant.availability.remove(subscription.id)
        self._journal.delete(availability_key(tenant.name, subscription.id))
        self._outbox.remove(tenant.name, subscription.id)

    def _announce(
        self,
        tenant: Tenant,
        origin: Origin,
        former: Registration | None,
        registration: Registration | None,
    ) -> None:
        """Tell those concerned what became of a registration."""
        if not tenant.availability:
            return
        now = self._clock()
        concerned = tenant.availability.concerned
        was: dict[AvailabilitySubscription, Available] = {}
        is_now: dict[AvailabilitySubscription, Available] = {}
        # Of one that expired a moment ago they do not know yet.
        if former is not None and is_active(former) and not former.is_gone:
            was = concerned(former, now)
        if registration is not None and is_current(registration, now):
            is_now = concerned(registration, now)
        for subscription, available in is_now.items():
            known = subscription in was
            change = AvailabilityChange.CHANGED if known else AvailabilityChange.CREATED
            self._notices.make(tenant.name, origin, subscription, change, [available])
        for subscription, gone in was.items():
            if subscription not in is_now:
                change = AvailabilityChange.GONE
                self._notices.make(tenant.name, origin, subscription, change, [gone])

    def _watch(self, tenant: Tenant, subject: Registration | AvailabilitySubscription) -> None:
        if subject.expires is not None:
            is_registration = isinstance(subject, Registration)
            self._ends.add(_End(subject.expires, tenant.name, is_registration, subject.id))

    def _forget(self, tenant: Tenant, subject: Registration | AvailabilitySubscription) -> None:
        if subject.expires is not None:
            is_registration = isinstance(subject, Registration)
            self._ends.discard(_End(subject.expires, tenant.name, is_registration, subject.id))
