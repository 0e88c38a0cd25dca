"""Updates that context providers take part in: what is not here goes to whoever has it.

An update changes what this broker holds first. Attributes that it does not hold, or all those
of an entity that it does not hold, go to the provider registered for them, in one request per
provider. What could be done is done; the error names the rest.

Source: Orion's manual "Context Providers"; Orion API, section "Update operation".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple

from broker import provider_messages as messages
from broker.engine import ENTITY_NOT_FOUND
from broker.forwarding import ClientRequest, Forward, Forwarding, Relay
from broker.provider_client import ProviderAnswer, ProviderFailure
from broker.providers import choose_provider
from broker.update import UpdateOptions
from ngsi.errors import InternalServerError, NgsiError, NotFound
from ngsi.model import AttributeUpdate, Entity, EntityUpdate, UpdateAction
from ngsi.registration import ContextProvider, ForwardingMode, Provision, Registration

FORWARDED_ACTIONS: Final = frozenset({UpdateAction.UPDATE, UpdateAction.REPLACE})


class Fate(Enum):
    """What became of a part of an update."""

    DONE = auto()
    REFUSED = auto()  # by who was asked, or nobody has it
    UNREACHED = auto()  # the provider did not answer
    MISUNDERSTOOD = auto()  # the provider's answer says nothing of it
    NOT_ASKED = auto()  # the limit of forwarded requests was reached


class UpdatedPart(NamedTuple):
    """A part of an update, and what became of it."""

    update: EntityUpdate
    fate: Fate


class ForwardingFailure(NotFound):
    """Nothing of the update was done."""

    def __init__(self, description: str, parts: list[UpdatedPart]) -> None:
        """`parts` are those of the update in the order in which they were tried."""
        super().__init__(description)
        self.parts = parts


class PartialForwarding(ForwardingFailure):
    """Part of the update was done; unlike that of a broker alone this error has code 404."""

    error = "PartialUpdate"


async def update_everywhere(
    forwarding: Forwarding,
    request: ClientRequest,
    updates: Sequence[EntityUpdate],
    action: UpdateAction,
    options: UpdateOptions,
) -> list[UpdatedPart]:
    """Do an update of FORWARDED_ACTIONS with the help of providers; gives the parts of it.

    No parts when no provider has one: then nothing was done. Raises PartialForwarding when
    something could not be updated; when nothing could, ForwardingFailure or what this broker's
    own part failed of.
    """
    origin = request.origin
    plan = _Plan(forwarding, request, action)
    for update in updates:
        plan.add(update)
    if not plan.forwarded or not forwarding.is_open(origin):
        return []
    report = _Report()
    engine = forwarding.engine
    for update, named in plan.own:
        try:
            error = engine.update(origin, [update], action, options)
        except InternalServerError:
            if not report.has_success:
                raise
            report.add_failures(named, update.attributes)
            continue
        if error is None:
            report.add_success(named, update.attributes)
        else:
            report.add_failures(named, update.attributes)
            report.own_error = report.own_error or error
    for missing in plan.missing:
        report.add_failures(missing, missing.attributes)
    await engine.committed()
    relay = forwarding.begin(request)
    for part in plan.forwarded.values():
        await _forward(relay, part, report)
    report.raise_error()
    return report.parts


@dataclass(slots=True)
class _Part:
    """What one provider is to update."""

    provider: ContextProvider
    registrations: list[Registration] = field(default_factory=list)
    updates: dict[tuple[str, str | None], EntityUpdate] = field(default_factory=dict)

    def add(
        self, provision: Provision, named: EntityUpdate, name: str, value: AttributeUpdate
    ) -> None:
        """Have one more attribute updated."""
        registration = provision.registration
        if registration not in self.registrations:
            self.registrations.append(registration)
        update = self.updates.setdefault(
            (named.id, named.type), EntityUpdate(named.id, named.type, {})
        )
        update.attributes[name] = value


class _Plan:
    """Splits updates into the broker's own part, those of providers, and what nobody has."""

    def __init__(
        self, forwarding: Forwarding, request: ClientRequest, action: UpdateAction
    ) -> None:
        # Its own part as the engine takes it, and with the type to name it by.
        self.own: list[tuple[EntityUpdate, EntityUpdate]] = []
        self.forwarded: dict[tuple[str, bool], _Part] = {}
        self.missing: list[EntityUpdate] = []
        self._tenant = forwarding.engine.tenant(request.origin.tenant)
        self._scope = request.origin.scope.for_update()
        self._now = forwarding.now()
        self._action = action

    def add(self, update: EntityUpdate) -> None:
        """Split one update."""
        found = self._tenant.entities.find(update.id, update.type, self._scope)
        entity = found[0] if found else None
        named = EntityUpdate(update.id, entity.type if entity else update.type, {})
        if len(found) > 1 or self._is_own(update, entity):
            self.own.append((update, named))
            return
        provisions = self._tenant.providers.for_entity(
            named.id, named.type, self._scope, self._now, ForwardingMode.UPDATE
        )
        own = EntityUpdate(update.id, update.type, {})
        missing = EntityUpdate(named.id, named.type, {})
        for name, value in update.attributes.items():
            if entity is not None and name in entity.attributes:
                own.attributes[name] = value
                continue
            chosen = choose_provider(provisions, name)
            if chosen is None:
                missing.attributes[name] = value
            else:
                provider = chosen.provider
                key = (provider.url, provider.legacy_forwarding)
                part = self.forwarded.setdefault(key, _Part(provider))
                part.add(chosen, named, name, value)
        if own.attributes:
            self.own.append((own, named))
        if missing.attributes or not update.attributes:
            self.missing.append(missing)

    def _is_own(self, update: EntityUpdate, entity: Entity | None) -> bool:
        """Whether no provider can have a part in it."""
        return entity is not None and (
            self._action is UpdateAction.REPLACE
            or update.attributes.keys() <= entity.attributes.keys()
        )


class _Report:
    """What was updated, and what was not."""

    def __init__(self) -> None:
        self.has_success = False
        self.parts: list[UpdatedPart] = []
        self.own_error: NgsiError | None = None  # why this broker's part was not done
        self._failures: dict[tuple[str, str], dict[str, None]] = {}

    def add_success(self, update: EntityUpdate, attributes: dict[str, AttributeUpdate]) -> None:
        """These attributes of the entity were updated."""
        self.has_success = True
        part = EntityUpdate(update.id, update.type, attributes)
        self.parts.append(UpdatedPart(part, Fate.DONE))

    def add_failures(
        self,
        update: EntityUpdate,
        attributes: dict[str, AttributeUpdate],
        fate: Fate = Fate.REFUSED,
    ) -> None:
        """These attributes of the entity were not updated."""
        names = attributes.keys()
        part = EntityUpdate(update.id, update.type, attributes)
        self.parts.append(UpdatedPart(part, fate))
        listed = self._failures.setdefault((update.id, update.type or ""), {})
        listed.update(dict.fromkeys(names))

    def raise_error(self) -> None:
        """Raise what the client is to be told, if anything failed."""
        if not self._failures:
            return
        if not self.has_success:
            raise self.own_error or ForwardingFailure(ENTITY_NOT_FOUND, self.parts)
        listed = ", ".join(
            f"{entity_id}-{entity_type} : [{', '.join(names)}]"
            for (entity_id, entity_type), names in self._failures.items()
        )
        raise PartialForwarding(
            f"Some of the following attributes were not updated: {{ {listed} }}",
            self.parts,
        )


async def _forward(relay: Relay, part: _Part, report: _Report) -> None:
    updates = list(part.updates.values())
    legacy = part.provider.legacy_forwarding
    operation = messages.LEGACY_UPDATE if legacy else messages.UPDATE
    body = messages.encode_update(updates, legacy)
    forward = Forward(part.provider.url, part.registrations, operation, {}, body)
    reading = _Reading(legacy, updates)
    fate = Fate.REFUSED
    if relay.is_spent:
        fate = Fate.NOT_ASKED
    refused = await relay.ask(forward, reading)
    if refused is None and fate is Fate.REFUSED:
        fate = Fate.MISUNDERSTOOD if reading.has_begun else Fate.UNREACHED
    for update in updates:
        failed: dict[str, AttributeUpdate] = {}
        done: dict[str, AttributeUpdate] = {}
        for name, attribute in update.attributes.items():
            is_refused = refused is None or (update.id, name) in refused
            (failed if is_refused else done)[name] = attribute
        if failed:
            report.add_failures(update, failed, fate)
        if done:
            report.add_success(update, done)


@dataclass(slots=True)
class _Reading:
    """Reads what a provider answered to an update: what it did not update."""

    legacy: bool
    updates: list[EntityUpdate]
    has_begun: bool = False

    async def __call__(self, answer: ProviderAnswer) -> frozenset[tuple[str, str]]:
        self.has_begun = True
        if self.legacy:
            return frozenset(messages.find_refused(answer.body, self.updates))
        if answer.status == messages.UPDATED:
            return frozenset()
        if answer.status in messages.NOT_UPDATED:
            return frozenset(
                (update.id, name) for update in self.updates for name in update.attributes
            )
        raise ProviderFailure(f"unexpected response code {answer.status}")
