"""Queries that context providers take part in: what to ask whom, and one page of it all.

The page holds first the broker's own entities, then those of providers by the time of their
registration. An attribute that is here wins over the provider's, and the first provider's over
later ones. Filters (q, mq, places) and orderBy hold for the broker's own entities only.

Source: Orion's manual "Context Providers", section "Pagination with Context Providers". Where
Orion asks a provider for all that was registered though less is wanted, this broker does so,
too; but when the answer turns out to be a part only, it asks again for what is wanted.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from broker import provider_messages as messages
from broker.engine import ENTITY_NOT_FOUND
from broker.entity_query import EntityPage, EntityQuery, find_entities
from broker.forwarding import ClientRequest, Forward, Forwarding, Relay
from broker.provider_client import ProviderAnswer, ProviderFailure
from broker.provider_messages import is_foreign
from broker.providers import Offer, choose_provider
from broker.tenant import Tenant
from ngsi.errors import NotFound, TooManyResults
from ngsi.model import (
    ALTERATION_TYPE,
    DATE_CREATED,
    DATE_MODIFIED,
    DEFAULT_ENTITY_TYPE,
    SERVICE_PATH,
    Attribute,
    Entity,
    EntitySelector,
)
from ngsi.registration import ContextProvider, ForwardingMode, Provision, Registration
from ngsi.v2.render import ALL

_BUILTIN: Final = frozenset({DATE_CREATED, DATE_MODIFIED, SERVICE_PATH, ALTERATION_TYPE})
# Entities of an answer decoded before other clients get their turn.
_SLICE_LENGTH: Final = 64
_OK: Final = 200


async def query_everywhere(
    forwarding: Forwarding, request: ClientRequest, query: EntityQuery, names: tuple[str, ...]
) -> EntityPage:
    """The page of a query, with what providers hold of it.

    `names` are the attributes that the client will be shown, none or "*" for all. Entities of
    providers come without dates; those without attributes are left out, as Orion does.
    """
    page = await _query(forwarding, request, query, _wanted(names))
    page.entities = [
        entity for entity in page.entities if entity.attributes or not is_foreign(entity)
    ]
    return page


async def find_everywhere(
    forwarding: Forwarding,
    request: ClientRequest,
    selector: EntitySelector,
    names: tuple[str, ...],
) -> Entity:
    """The one entity of that id, with what providers hold of it; `names` as above.

    Raises NotFound and TooManyResults.
    """
    query = EntityQuery(request.origin.scope, (selector,))
    page = await _query(forwarding, request, query, _wanted(names))
    if not page.entities:
        raise NotFound(ENTITY_NOT_FOUND)
    if len(page.entities) > 1:
        raise TooManyResults
    return page.entities[0]


def _wanted(names: tuple[str, ...]) -> frozenset[str] | None:
    """The attributes that providers can have, None for all."""
    return None if not names or ALL in names else frozenset(names) - _BUILTIN


async def _query(
    forwarding: Forwarding,
    request: ClientRequest,
    query: EntityQuery,
    wanted: frozenset[str] | None,
) -> EntityPage:
    tenant = forwarding.engine.tenant(request.origin.tenant)
    offers = tenant.providers.for_query(query.selectors, query.scope, forwarding.now())
    if not offers or not forwarding.is_open(request.origin):
        return await find_entities(tenant.entities, query)
    own = await find_entities(tenant.entities, query)
    if own.total is None and query.limit and query.offset and not own.entities:
        # How far behind the own entities the page begins. Otherwise it begins among them.
        counted = await find_entities(tenant.entities, replace(query, limit=0, count=True))
        own.total = counted.total
    asks = _Plan(tenant, query, wanted, own.entities, forwarding.now()).asks(offers)
    page = _Page(query, own)
    asks = [ask for ask in asks if ask.completes or page.has_use]
    if not asks:
        return page.result()
    relay = forwarding.begin(request)
    for ask in asks:
        if relay.is_spent or not request.is_awaited():
            break
        await _run(relay, ask, page)
    return page.result()


@dataclass(slots=True)
class _Ask:
    """One question to a provider. `attributes` empty: all.

    `completes` means that it is about an entity of the page. `asked` are the selectors of the
    client for whose sake it is asked; empty when they are met by whatever comes.
    """

    provider: ContextProvider
    selector: EntitySelector
    registrations: list[Registration] = field(default_factory=list)
    attributes: dict[str, None] = field(default_factory=dict)
    takes_all: bool = False
    completes: bool = False
    asked: tuple[EntitySelector, ...] = ()

    @property
    def is_legacy(self) -> bool:
        return self.provider.legacy_forwarding

    def add(self, provision: Provision, names: list[str]) -> None:
        """Ask for these attributes, too; no names means all."""
        registration = provision.registration
        if registration not in self.registrations:
            self.registrations.append(registration)
        if not names:
            self.takes_all = True
        self.attributes.update(dict.fromkeys(names))


class _Asks(dict[tuple[str, bool, EntitySelector], _Ask]):
    """Questions in their order; those about the same entities to the same provider are one."""

    def put(self, provider: ContextProvider, selector: EntitySelector) -> _Ask:
        """The question to that provider about these entities, new or not."""
        key = (provider.url, provider.legacy_forwarding, selector)
        ask = self.get(key)
        if ask is None:
            ask = self[key] = _Ask(provider, selector)
        return ask


class _Plan:
    """Decides what to ask whom; pure."""

    def __init__(
        self,
        tenant: Tenant,
        query: EntityQuery,
        wanted: frozenset[str] | None,
        own: list[Entity],
        now: float,
    ) -> None:
        self._tenant = tenant
        self._query = query
        self._wanted = wanted
        self._own = own
        self._now = now
        self._own_types: dict[str, set[str]] = {}
        for entity in own:
            self._own_types.setdefault(entity.id, set()).add(entity.type)

    def asks(self, offers: list[Offer]) -> list[_Ask]:
        """The questions in the order in which they are put."""
        completing, adding = _Asks(), _Asks()
        if self._query.having or any(offer.selector.id is not None for offer in offers):
            for entity in self._own:
                self._complete(entity, completing)
        named = self._named(offers)
        for offer in offers:
            if not self._is_own(offer.selector):
                self._add(offer, named, adding)
        return [*completing.values(), *adding.values()]

    def _complete(self, entity: Entity, asks: _Asks) -> None:
        """Ask for what an entity of the page lacks."""
        having = self._query.having
        provisions = self._tenant.providers.for_entity(
            entity.id,
            entity.type,
            self._query.scope,
            self._now,
            ForwardingMode.QUERY,
            with_patterns=bool(having),
        )
        if not provisions:
            return
        selector = EntitySelector(id=entity.id, type=entity.type or None)
        present = entity.attributes

        def complete(provision: Provision, names: list[str]) -> None:
            ask = asks.put(provision.provider, selector)
            ask.completes = True
            ask.add(provision, names)

        if having:
            for name in having:
                chosen = choose_provider(provisions, name)
                if chosen is not None and name not in present and self._is_wanted(name):
                    complete(chosen, [name])
            return
        taken: set[str] = set()
        for provision in provisions:
            names = [
                name
                for name in provision.attributes
                if name not in present and name not in taken and self._is_wanted(name)
            ]
            taken.update(names)
            if names:
                complete(provision, names)
            elif not provision.attributes and self._lacks_any(entity):
                complete(provision, [])

    def _add(self, offer: Offer, named: dict[EntitySelector, set[str]], asks: _Asks) -> None:
        """Ask for entities that are not here."""
        provision, having = offer.provision, self._query.having
        names = [name for name in provision.attributes or having if self._is_wanted(name)]
        if having:
            if provision.attributes:
                names = [name for name in names if name in having]
            else:
                names = [name for name in names if name not in named[offer.selector]]
        if not names and (provision.attributes or having):
            return
        ask = asks.put(provision.provider, _with_type(offer))
        ask.add(provision, names)
        ask.asked = offer.asked

    def _named(self, offers: list[Offer]) -> dict[EntitySelector, set[str]]:
        """For each registered selector the attributes that registrations name."""
        named: dict[EntitySelector, set[str]] = {}
        for offer in offers:
            named.setdefault(offer.selector, set()).update(offer.provision.attributes)
        return named

    def _is_own(self, selector: EntitySelector) -> bool:
        """Whether the selector names an entity that this page or another has from here."""
        if selector.id is None:
            return False
        types = self._own_types.get(selector.id)
        if types and (selector.type is None or selector.type in types):
            return True
        found = self._tenant.entities.find(selector.id, selector.type, self._query.scope)
        return any(map(self._query.matches, found))

    def _is_wanted(self, name: str) -> bool:
        return self._wanted is None or name in self._wanted

    def _lacks_any(self, entity: Entity) -> bool:
        return self._wanted is None or any(name not in entity.attributes for name in self._wanted)


class _Batch(NamedTuple):
    """What a provider answered: the entities of the page asked for, and of how many."""

    entities: list[Entity]
    total: int
    is_whole: bool  # nothing was left out before or behind


class _Page:
    """The page as it grows."""

    def __init__(self, query: EntityQuery, own: EntityPage) -> None:
        self._query = query
        self._entities = own.entities
        self._places: dict[tuple[str, str], int] = {}
        for place, entity in enumerate(own.entities):
            self._places.setdefault(_identify(entity), place)
        self._total = own.total or 0
        self._skipped: set[EntitySelector] = set()
        self.is_whole = True  # whether every provider gave an answer so far
        self.room = query.limit - len(own.entities)
        self.skip = 0 if own.entities else max(0, query.offset - self._total)

    @property
    def has_use(self) -> bool:
        """Whether entities that are not here yet matter: for the page or for the count."""
        return self.room > 0 or self._query.count

    def result(self) -> EntityPage:
        total = self._total if self._query.count else None
        return EntityPage(self._entities, total, is_whole=self.is_whole)

    def holds(self, selector: EntitySelector) -> bool:
        """Whether the one entity that the selector names is on the page."""
        if selector.id is None:
            return False
        if selector.type is not None:
            return (selector.id, selector.type or DEFAULT_ENTITY_TYPE) in self._places
        return any(entity_id == selector.id for entity_id, _ in self._places)

    def is_past(self, selector: EntitySelector) -> bool:
        """Whether the one entity that the selector names was counted without being shown."""
        return selector in self._skipped

    def matches(self, entity: Entity) -> bool:
        """Whether a provider's entity was asked for by the client; one without a type may be of
        any."""
        selectors = self._query.selectors
        return not selectors or any(
            item.matches(entity.id, entity.type or item.type or "") for item in selectors
        )

    def complete(self, batch: _Batch) -> None:
        """Add attributes to entities of the page."""
        for entity in batch.entities:
            place = self._places.get(_identify(entity))
            if place is not None:
                self._merge(place, entity.attributes)

    def extend(self, ask: _Ask, batch: _Batch) -> None:
        """Add entities to the page, and to the count."""
        for entity in batch.entities:
            key = _identify(entity)
            place = self._places.get(key)
            if place is not None:
                self._merge(place, entity.attributes)
            elif self.room > 0:
                self._places[key] = len(self._entities)
                self._entities.append(entity)
                self.room -= 1
        if ask.selector.id is not None and batch.total and not batch.entities:
            self._skipped.add(ask.selector)
        self._total += batch.total
        self.skip = max(0, self.skip - batch.total)

    def _merge(self, place: int, attributes: dict[str, Attribute]) -> None:
        entity = self._entities[place]
        missing = {
            name: attribute
            for name, attribute in attributes.items()
            if name not in entity.attributes
        }
        if missing:
            # A new entity: the table's own is not to be changed.
            self._entities[place] = Entity(
                entity.id,
                entity.type,
                entity.service_path,
                entity.attributes | missing,
                entity.created,
                entity.modified,
                entity.sequence,
            )


def _identify(entity: Entity) -> tuple[str, str]:
    """What makes entities of here and of providers the same."""
    return entity.id, entity.type or DEFAULT_ENTITY_TYPE


async def _run(relay: Relay, ask: _Ask, page: _Page) -> None:
    if ask.completes or page.holds(ask.selector):
        batch = await _send(relay, ask, (ask.selector,), max(1, page.room), 0, page)
        if batch is not None:
            page.complete(batch)
        return
    if page.is_past(ask.selector) or not page.has_use:
        return
    limit, skip = page.room, page.skip
    narrowed = _narrow(ask)
    batch = None
    if narrowed is None or not skip:
        batch = await _send(relay, ask, (ask.selector,), limit, skip, page)
        if batch is None:
            return
    if narrowed is not None and (batch is None or not batch.is_whole):
        batch = await _send(relay, ask, narrowed, limit, skip, page)
    if batch is not None:
        page.extend(ask, batch)


async def _send(
    relay: Relay,
    ask: _Ask,
    selectors: tuple[EntitySelector, ...],
    limit: int,
    skip: int,
    page: _Page,
) -> _Batch | None:
    legacy = ask.is_legacy

    async def read(answer: ProviderAnswer) -> _Batch:
        if answer.status != _OK:
            raise ProviderFailure(f"response code {answer.status}")
        count = 0
        found: list[Entity] = []
        for entity in messages.iterate_entities(answer.body, legacy):
            count += 1
            if page.matches(entity):
                found.append(entity)
            if count % _SLICE_LENGTH == 0:
                await asyncio.sleep(0)
        if answer.total is None or legacy:
            # A provider that knows nothing of pages has sent all.
            return _Batch(found[skip : skip + limit], len(found), is_whole=True)
        if skip == 0 and count >= answer.total:
            return _Batch(found, len(found), is_whole=True)
        return _Batch(found, answer.total, is_whole=False)

    attributes = () if ask.takes_all else tuple(ask.attributes)
    forward = Forward(
        ask.provider.url,
        ask.registrations,
        messages.LEGACY_QUERY if legacy else messages.QUERY,
        {} if legacy else {"limit": str(limit), "offset": str(skip), "options": "count"},
        messages.encode_query(selectors, attributes, legacy),
    )
    batch = await relay.ask(forward, read)
    if batch is None:
        page.is_whole = False
    return batch


def _with_type(offer: Offer) -> EntitySelector:
    """The registered selector, with the type that the client asks for if it leaves it open."""
    selector = offer.selector
    types = {item.type for item in offer.asked}
    if selector.type is None and selector.type_pattern is None and len(types) == 1:
        return replace(selector, type=types.pop())
    return selector


def _narrow(ask: _Ask) -> tuple[EntitySelector, ...] | None:
    """What of the registered entities the client wants, None when it is all of them."""
    if not ask.asked or any(_includes(item, ask.selector) for item in ask.asked):
        return None
    return tuple(dict.fromkeys(_intersect(item, ask.selector) for item in ask.asked))


def _includes(asked: EntitySelector, registered: EntitySelector) -> bool:
    """Whether `asked`, which meets `registered`, means all of its entities."""
    pattern = asked.id_pattern
    has_all_ids = registered.id is not None or (
        asked.id is None
        and (pattern is None or pattern.matches_everything or pattern == registered.id_pattern)
    )
    pattern = asked.type_pattern
    has_all_types = registered.type is not None or (
        asked.type is None
        and (pattern is None or pattern.matches_everything or pattern == registered.type_pattern)
    )
    return has_all_ids and has_all_types


def _intersect(asked: EntitySelector, registered: EntitySelector) -> EntitySelector:
    entity_id = registered.id if registered.id is not None else asked.id
    entity_type = registered.type if registered.type is not None else asked.type
    return EntitySelector(
        entity_id,
        None if entity_id is not None else asked.id_pattern or registered.id_pattern,
        entity_type,
        None if entity_type is not None else asked.type_pattern or registered.type_pattern,
    )
