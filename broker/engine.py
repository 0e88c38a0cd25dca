"""The engine: every change of context, synchronous, complete or not at all.

It owns the tenants. An update is one call without an await: entities change, the journal
gets the records, the triggered notifications are made. Replies and notifications wait for
`committed()`, the commit of the tick's records. Nothing here knows of HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from _native.entity_requests import EntityRequests
from _native.events import event_of
from _native.kernel import UpdateKernel
from _native.rendering import EntityEncoder
from broker import records, registration_records
from broker.availability_records import KIND as AVAILABILITY_SUBSCRIPTION
from broker.availability_records import decode_availability
from broker.deprecations import Deprecations
from broker.document_size import LARGE_DOCUMENT_BYTES, admit_document
from broker.journal import MAX_PAYLOAD_BYTES
from broker.location import LocationRule, Locations, touches_location
from broker.messages import MessageRules
from broker.object_ids import ObjectIds
from broker.origin import Origin
from broker.outbox import KIND as KEPT_NOTIFICATION
from broker.outbox import DeliveryRules, Outbox
from broker.ports import JournalPort, NotifierPort
from broker.publisher import Publisher
from broker.records import StateError as StateError
from broker.registry import Registry
from broker.subscriptions import SUBSCRIPTION_NOT_FOUND as SUBSCRIPTION_NOT_FOUND
from broker.subscriptions import Subscriptions
from broker.tenant import Tenant, Tenants
from broker.update import (
    PLAIN_UPDATE,
    UPDATE_RULES,
    V1_UPDATE,
    EntityChange,
    UpdateOptions,
    compute_change,
)
from broker.update_completion import complete_update
from broker.update_report import Shortfall, UpdateReport
from ngsi.errors import (
    BadRequest,
    NgsiError,
    NotFound,
    TooManyResults,
    Unprocessable,
)
from ngsi.geometry import GEO_TYPES
from ngsi.instants import DATE_TYPES, parse_instant
from ngsi.model import (
    DATE_EXPIRES,
    DEFAULT_ENTITY_TYPE,
    AlterationType,
    Attribute,
    AttributeUpdate,
    Entity,
    EntityEvent,
    EntityUpdate,
    UpdateAction,
)
from ngsi.subscription import Subscription
from ngsi.syntax import MAX_IDENTITY_LENGTH
from ngsi.v2.entities import WRONG_EXPIRY

ParseAttributes: TypeAlias = Callable[[bytes, bool], dict[str, AttributeUpdate] | None]

ENTITY_NOT_FOUND = "The requested entity has not been found. Check type and id"

# A member of an enumeration costs ten times as much to reach as a global (Python 3.11).
_APPEND: Final = UpdateAction.APPEND
_APPEND_STRICT: Final = UpdateAction.APPEND_STRICT
_DELETE: Final = UpdateAction.DELETE
_UPDATE: Final = UpdateAction.UPDATE
_CHANGE_EVENT: Final = AlterationType.CHANGE
_UPDATE_EVENT: Final = AlterationType.UPDATE


class Outcome(NamedTuple):
    """What became of an update of one entity; `error` if nothing of it was done.

    `is_new` is whether there was no such entity before.
    """

    id: str
    type: str
    is_new: bool
    shortfall: Shortfall | None = None
    error: NgsiError | None = None


class Engine:
    """All state of one broker. Several engines can live side by side."""

    def __init__(
        self,
        journal: JournalPort,
        notifier: NotifierPort,
        clock: Callable[[], float],
        rules: MessageRules,
        delivery_rules: DeliveryRules,
        deprecations: Deprecations,
        multi_location: bool = False,
        v1_autocast: bool = False,
    ) -> None:
        self.deprecations = deprecations
        self._journal = journal
        self._clock = clock
        self._tenants = Tenants()
        self._casts = v1_autocast
        self._location_rule = LocationRule(several=multi_location)
        self._publisher = Publisher(journal, notifier, clock, rules, delivery_rules, self._tenants)
        self._kernel = UpdateKernel(
            rules=UPDATE_RULES,
            place_types=GEO_TYPES,
            expiry=DATE_EXPIRES,
            journal=journal,
            clock=clock,
            max_document=LARGE_DOCUMENT_BYTES,
            max_size=MAX_PAYLOAD_BYTES,
        )
        self._subscriptions = Subscriptions(journal, self._tenants, self._publisher.outbox)
        self._ids = ObjectIds(clock)
        self.registry = Registry(journal, self._publisher, clock, self._tenants)

    def restore(self) -> None:
        """Take over what the journal kept; once, before anything else.

        Raises StateError for a document that this version cannot read.
        """
        entities: list[tuple[str, Entity]] = []
        for key, document in self._journal.load():
            kind, tenant, *identity = records.split_key(key)
            try:
                if kind == records.ENTITY:
                    entity = records.decode_entity(identity, document)
                    entity.set_locations(self._location_rule.locate_restored(entity))
                    entity.expires = _expiry(entity.attributes)
                    entities.append((tenant, entity))
                elif kind == records.SUBSCRIPTION:
                    self._subscriptions.restore(tenant, identity, document)
                elif kind == records.REGISTRATION:
                    registration = registration_records.decode_stored_registration(
                        identity, document
                    )
                    self._tenants.own(tenant).registrations[registration.id] = registration
                elif kind == AVAILABILITY_SUBSCRIPTION:
                    self._tenants.own(tenant).availability.put(
                        decode_availability(identity, document)
                    )
                elif kind == KEPT_NOTIFICATION:
                    self._publisher.outbox.restore(tenant, identity, document)
                else:
                    raise ValueError(f"unknown kind of record {kind!r}")
            except records.UNREADABLE as error:
                raise StateError(key, error) from error
        entities.sort(key=lambda item: item[1].sequence)
        for tenant, entity in entities:
            self._tenants.own(tenant).entities.insert(entity)
        self._subscriptions.end_restore()
        for state in self._tenants.values():
            # Ids grow with time, so their order is that of creation.
            registrations = sorted(state.registrations.items())
            state.registrations.clear()
            for _, registration in registrations:
                state.put_registration(registration)
        self.registry.start()

    def tenant(self, name: str) -> Tenant:
        """The tenant of that name, to be read; one without content is not kept."""
        return self._tenants.get(name) or Tenant(name)

    def tenants(self) -> list[Tenant]:
        """All tenants that had content so far."""
        return list(self._tenants.values())

    def entity_requests(self, parse: ParseAttributes, encoder: EntityEncoder) -> EntityRequests:
        """Does ordinary requests about one entity as the routes and this engine would."""
        return EntityRequests(self._kernel, self._tenants, parse, encoder)

    def committed(self) -> asyncio.Future[None]:
        """The future of the commit of all changes made in this turn of the loop."""
        return self._journal.committed()

    @property
    def dropped_notifications(self) -> int:
        """Notifications that were not made, as too many waited for their commit."""
        return self._publisher.dropped

    @property
    def durable_deliveries(self) -> Outbox:
        """The notifications that are kept until their receivers have taken them."""
        return self._publisher.outbox

    async def hand_over(self) -> None:
        """Wait until the notifications of all changes made so far are with the notifier, or
        were dropped."""
        await self._publisher.hand_over()

    # Entities

    def create_entity(
        self, origin: Origin, update: EntityUpdate, upsert: bool, options: UpdateOptions
    ) -> NgsiError | None:
        """POST /v2/entities: a new entity, or with `upsert` append to an existing one.

        Raises when nothing was done; returns what to tell the client about parts that were not,
        after the commit of the others. So do the next two.
        """
        assert update.type is not None
        if len(update.id) + len(update.type) + len(origin.scope.home) > MAX_IDENTITY_LENGTH:
            raise BadRequest("Too long entity id/type/servicePath combination")
        if upsert and self._is_done_ordinarily(origin, update, _APPEND, options):
            return None
        tenant, found = self._find(origin, update)
        if found and not upsert:
            raise Unprocessable("Already Exists")
        return self._update_single(tenant, origin, update, found, _APPEND, options)

    def update_entity(
        self, origin: Origin, update: EntityUpdate, action: UpdateAction, options: UpdateOptions
    ) -> NgsiError | None:
        """Update one entity that must exist; errors are those of a single entity."""
        if self._is_done_ordinarily(origin, update, action, options):
            return None
        tenant, found = self._find(origin, update)
        if not found:
            raise NotFound(ENTITY_NOT_FOUND)
        return self._update_single(tenant, origin, update, found, action, options)

    def update_attribute(
        self, origin: Origin, update: EntityUpdate, action: UpdateAction, options: UpdateOptions
    ) -> NgsiError | None:
        """As `update_entity`, for an update that names one attribute, which must exist."""
        if action is _UPDATE and self._is_done_ordinarily(origin, update, action, options):
            return None
        tenant, found = self._find(origin, update)
        if not found:
            raise NotFound(ENTITY_NOT_FOUND)
        if len(found) == 1 and not update.attributes.keys() <= found[0].attributes.keys():
            raise NotFound("The entity does not have such an attribute")
        return self._update_single(tenant, origin, update, found, action, options)

    def update(
        self,
        origin: Origin,
        updates: list[EntityUpdate],
        action: UpdateAction,
        options: UpdateOptions,
    ) -> NgsiError | None:
        """Update entities one after the other; each is changed completely or not at all.

        Returns what to tell the client about those that failed. Raises BadRequest for a scope
        of several paths and InternalServerError when the journal takes no changes now; then
        nothing was changed.
        """
        scope = origin.scope.for_update()
        self._journal.admit()
        tenant = self.tenant(origin.tenant)
        entities, home = tenant.entities, scope.home
        maybe_ordinary, creates = _maybe_ordinary(action, options), action is _APPEND
        subscribed = bool(tenant.subscriptions)
        change: EntityChange | None = None
        some_done = False
        report = UpdateReport()
        position = 0
        while position < len(updates):
            if maybe_ordinary and not subscribed:
                reached = self._kernel.update_all(
                    entities.by_id,
                    tenant.name,
                    home,
                    updates,
                    position,
                    creates,
                    entities.indexes,
                )
                some_done = some_done or reached > position
                position = reached
                if position == len(updates):
                    break
            update = updates[position]
            position += 1
            try:
                if maybe_ordinary and subscribed:
                    change = self._kernel.update(
                        entities.by_id,
                        tenant.name,
                        home,
                        update,
                        creates,
                        True,
                        entities.indexes,
                    )
                if change is not None:
                    some_done = True
                    self._publish_ordinary(tenant, origin, update, change)
                    continue
                found = entities.find(update.id, update.type, scope)
                self._journal.admit()
                shortfall = self._update_one(tenant, origin, update, found, action, options)
            except NgsiError as error:
                report.add_failure(error)
            else:
                report.add(shortfall)
        if some_done:
            report.add(None)
        return report.error

    def update_ordinary(
        self, origin: Origin, updates: Iterable[EntityUpdate], action: UpdateAction
    ) -> int:
        """Do updates, one after the other, up to the first that is not an ordinary one.

        Ordinary is an update of an entity that exists, with all types and values, of which
        nothing fails. Returns how many were done; raises as `update`.
        """
        if self._casts:
            return 0
        done = 0
        for update in updates:
            if update.type is None:
                break
            if not self._is_done_ordinarily(origin, update, action, PLAIN_UPDATE):
                break
            done += 1
        return done

    def update_matching(
        self,
        origin: Origin,
        update: EntityUpdate,
        action: UpdateAction,
        options: UpdateOptions = V1_UPDATE,
    ) -> list[Outcome]:
        """Update every entity that has the id, and the type if one is given, as NGSIv1 does.

        An attribute without a type or value keeps those that it has; a new one gets "". With
        `options.typed_values` null is a value, and none is cast. Raises as `update`.
        """
        tenant = self.tenant(origin.tenant)
        scope = origin.scope.for_update()
        found = tenant.entities.find(update.id, update.type, scope)
        outcomes = []
        for one in found or (None,):
            filled = complete_update(update, one, options, self._casts)
            is_new = one is None
            outcome = Outcome(update.id, filled.type or "", is_new)
            self._journal.admit()
            try:
                it = [] if one is None else [one]
                shortfall = self._update_one(tenant, origin, filled, it, action, options)
                outcomes.append(outcome._replace(shortfall=shortfall))
            except NgsiError as error:
                outcomes.append(outcome._replace(error=error))
        return outcomes

    def fill_update(self, origin: Origin, update: EntityUpdate) -> EntityUpdate:
        """The update with the types and values that it leaves out, as `update_matching` has it."""
        found = self.tenant(origin.tenant).entities.find(
            update.id, update.type, origin.scope.for_update()
        )
        entity = found[0] if found else None
        attributes = complete_update(update, entity, V1_UPDATE, self._casts).attributes
        return EntityUpdate(update.id, update.type, attributes)

    def _is_done_ordinarily(
        self, origin: Origin, update: EntityUpdate, action: UpdateAction, options: UpdateOptions
    ) -> bool:
        """Whether the update was an ordinary one, and is done. Raises as `_update_one`."""
        tenant = self._tenants.get(origin.tenant)
        if tenant is None or not _maybe_ordinary(action, options):
            return False
        entities = tenant.entities
        subscribed = bool(tenant.subscriptions)
        change = self._kernel.update(
            entities.by_id,
            tenant.name,
            origin.scope.for_update().home,
            update,
            action is _APPEND,
            subscribed,
            entities.indexes,
        )
        if change is None:
            return False
        if subscribed:
            self._publish_ordinary(tenant, origin, update, change)
        return True

    def _publish_ordinary(
        self, tenant: Tenant, origin: Origin, update: EntityUpdate, change: EntityChange
    ) -> None:
        entity = tenant.entities.by_id[update.id]
        assert isinstance(entity, Entity)
        if change.is_update:
            self._publish(tenant, origin, entity, change)

    def _update_single(
        self,
        tenant: Tenant,
        origin: Origin,
        update: EntityUpdate,
        found: list[Entity],
        action: UpdateAction,
        options: UpdateOptions,
    ) -> NgsiError | None:
        self._journal.admit()
        shortfall = self._update_one(tenant, origin, update, found, action, options)
        if shortfall is None:
            return None
        report = UpdateReport()
        report.add(shortfall)
        return report.error

    def _find(self, origin: Origin, update: EntityUpdate) -> tuple[Tenant, list[Entity]]:
        tenant = self.tenant(origin.tenant)
        scope = origin.scope.for_update()
        return tenant, tenant.entities.find(update.id, update.type, scope)

    def _update_one(
        self,
        tenant: Tenant,
        origin: Origin,
        update: EntityUpdate,
        found: list[Entity],
        action: UpdateAction,
        options: UpdateOptions,
    ) -> Shortfall | None:
        if len(found) != 1:
            if found:
                raise TooManyResults
            if action is not _APPEND and action is not _APPEND_STRICT:
                return Shortfall(update)
            self._create(tenant, origin, update, options)
            return None
        entity = found[0]
        if action is _DELETE and not update.attributes:
            self._delete(tenant, origin, entity)
            return None
        now = self._clock()
        change = compute_change(entity.attributes, update.attributes, action, options, now)
        if tenant.subscriptions:
            self._apply_and_publish(tenant, origin, entity, change, action, options, now)
        elif change.is_stored:
            self._apply(tenant, entity, change, action, options, now)
        if change.is_complete:
            return None
        return Shortfall(update, change.missing, change.existing)

    def _create(
        self, tenant: Tenant, origin: Origin, update: EntityUpdate, options: UpdateOptions
    ) -> None:
        # NGSIv1 hardly restricts them.
        if not records.is_key_part(update.id) or not records.is_key_part(update.type or ""):
            raise BadRequest("Invalid characters in entity id or type")
        now = self._clock()
        attributes = compute_change({}, update.attributes, _APPEND, PLAIN_UPDATE, now).attributes
        locations = self._location_rule.locate_new(attributes, options.location_by_metadata)
        self._note_locations(locations, attributes)
        expires = _expiry(attributes)
        entity = Entity(
            update.id,
            DEFAULT_ENTITY_TYPE if update.type is None else update.type,
            origin.scope.home,
            attributes,
            now,
            now,
            tenant.entities.take_sequence(),
        )
        entity.set_locations(locations)
        entity.expires = expires
        document = records.encode_entity(entity, attributes, entity.locations, now)
        entity.size = admit_document(self._journal, document, "entity")
        self._journal.put(records.entity_key(tenant.name, entity), document)
        self._tenants.setdefault(tenant.name, tenant)
        tenant.entities.insert(entity)
        if tenant.subscriptions:
            names = frozenset(attributes)
            self._publisher.publish(
                tenant,
                origin,
                EntityEvent(
                    entity,
                    attributes,
                    AlterationType.CREATE,
                    names,
                    names,
                    names,
                    actions=dict.fromkeys(attributes, "append"),
                ),
            )

    def _delete(self, tenant: Tenant, origin: Origin, entity: Entity) -> None:
        tenant.entities.remove(entity)
        self._journal.delete(records.entity_key(tenant.name, entity))
        if tenant.subscriptions:
            nothing: frozenset[str] = frozenset()
            event = EntityEvent(
                entity, entity.attributes, AlterationType.DELETE, nothing, nothing, nothing
            )
            self._publisher.publish(tenant, origin, event)

    def _apply_and_publish(
        self,
        tenant: Tenant,
        origin: Origin,
        entity: Entity,
        change: EntityChange,
        action: UpdateAction,
        options: UpdateOptions,
        now: float,
    ) -> None:
        if not change.is_update:
            return
        change.keep_former()
        if change.is_stored:
            self._apply(tenant, entity, change, action, options, now)
        self._publish(tenant, origin, entity, change)

    def _publish(
        self, tenant: Tenant, origin: Origin, entity: Entity, change: EntityChange
    ) -> None:
        event = event_of(entity, change, _CHANGE_EVENT if change.is_change else _UPDATE_EVENT)
        self._publisher.publish(tenant, origin, event)

    def _apply(
        self,
        tenant: Tenant,
        entity: Entity,
        change: EntityChange,
        action: UpdateAction,
        options: UpdateOptions,
        now: float,
    ) -> None:
        by_metadata = options.location_by_metadata
        names: Collection[str] = entity.locations
        moved: Locations | None = None
        expires = entity.expires
        if by_metadata or change.concerns(GEO_TYPES, DATE_EXPIRES, entity.locations):
            if touches_location(entity, change, by_metadata):
                names = moved = self._location_rule.locate_changed(
                    entity, change, action, by_metadata
                )
                self._note_locations(moved, change.touched)
            if change.names(DATE_EXPIRES):
                expires = _expiry(change.attributes)
        is_patch = change.is_minor
        if is_patch:
            document = records.encode_change(change, names, now)
            # Too much by what the patch replaces: then the whole is measured.
            size = entity.size + len(document)
            is_patch = size <= MAX_PAYLOAD_BYTES
        if not is_patch:
            document = records.encode_changed_entity(entity, change, names, now)
            size = len(document)
            if size > LARGE_DOCUMENT_BYTES:
                admit_document(self._journal, document, "entity")
        # Nothing was changed so far, and nothing fails from here on.
        if moved is not None:
            tenant.entities.move(entity, moved)
        if expires != entity.expires:
            tenant.entities.set_expiry(entity, expires)
        if tenant.entities.indexes:
            tenant.entities.reindex(entity, change.touched, change.removed)
        change.apply_to(entity, now, size)
        key = records.entity_key(tenant.name, entity)
        if is_patch:
            self._journal.patch(key, document)
        else:
            self._journal.put(key, document)

    def _note_locations(self, locations: Locations, given: Mapping[str, Attribute]) -> None:
        for name in locations:
            if name in given:
                self.deprecations.note_location(name, given[name].type)

    def remove_expired(self, limit: int) -> int:
        """Delete at most `limit` of the entities whose dateExpires is past; returns how many."""
        removed = 0
        now = self._clock()
        for tenant in self._tenants.values():
            origin = Origin(tenant=tenant.name, correlator="N/A", service_header=tenant.name)
            for entity in islice(tenant.entities.expired(now), limit - removed):
                self._journal.admit()
                self._delete(tenant, origin, entity)
                removed += 1
        return removed

    def journal_counters(self) -> None:
        """Give the journal the counters that changed; called once a second and at the end."""
        if not self._publisher.has_progress and not self.registry.has_progress:
            return
        self._journal.admit()
        self._publisher.journal_progress()
        self.registry.journal_progress()

    # Subscriptions

    def new_id(self) -> str:
        """An id for a subscription or registration."""
        return self._ids.take()

    def put_subscription(self, tenant_name: str, subscription: Subscription) -> None:
        """Add a subscription or replace the one of that id."""
        self._subscriptions.put(tenant_name, subscription)

    def notify_current(
        self, origin: Origin, subscription: Subscription, entities: list[Entity]
    ) -> None:
        """Notify one subscription of the state of entities, one at least, as one notification."""
        self._publisher.publish_current(self.tenant(origin.tenant), origin, subscription, entities)

    def subscription(self, tenant_name: str, subscription_id: str) -> Subscription:
        """The subscription of that id, to be looked at now and not kept; raises NotFound."""
        return self._subscriptions.find(tenant_name, subscription_id)

    def remove_subscription(self, tenant_name: str, subscription_id: str) -> None:
        """Remove the subscription of that id; raises NotFound."""
        self._subscriptions.remove(tenant_name, subscription_id)

    # Registrations

    def has_providers(self, tenant_name: str) -> bool:
        """Whether requests to the tenant may have to be forwarded to context providers."""
        tenant = self._tenants.get(tenant_name)
        return tenant is not None and bool(tenant.registrations)


def _maybe_ordinary(action: UpdateAction, options: UpdateOptions) -> bool:
    """Whether the native kernel may be able to do it."""
    return (
        (action is _UPDATE or action is _APPEND)
        and not options.forced
        and not options.override_metadata
    )


def _expiry(attributes: dict[str, Attribute]) -> float | None:
    """When an entity with these attributes expires (Orion API, "Transient entities")."""
    attribute = attributes.get(DATE_EXPIRES)
    if attribute is None or attribute.value is None:
        return None
    if attribute.type not in DATE_TYPES or type(attribute.value) is not str:
        raise BadRequest(WRONG_EXPIRY)
    return parse_instant(attribute.value)
