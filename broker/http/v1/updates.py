"""The operation updateContext of NGSI10."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from broker.engine import Engine, Outcome
from broker.forwarded_update import (
    FORWARDED_ACTIONS,
    Fate,
    ForwardingFailure,
    UpdatedPart,
    update_everywhere,
)
from broker.forwarding import Forwarding
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from broker.http.routing import Answer
from broker.update import PLAIN_UPDATE
from ngsi.errors import BadRequest, NgsiError, NotFound
from ngsi.model import EntityUpdate, UpdateAction
from ngsi.v1.elements import Element
from ngsi.v1.status import (
    BAD_REQUEST,
    CONTEXT_ELEMENT_NOT_FOUND,
    INVALID_MODIFICATION,
    INVALID_PARAMETER,
    NOT_IMPLEMENTED,
    STATUS_OK,
    StatusCode,
    status_of,
)
from ngsi.v1.updates import (
    ACTION_NAMES,
    ElementStatus,
    decode_plain_update,
    decode_update,
    encode_plain_answer,
    render_update_answer,
)

# What is said of a provider that was of no use.
_LOST: Final = {
    Fate.UNREACHED: "error forwarding update",
    Fate.MISUNDERSTOOD: "invalid context provider response",
}
Render: TypeAlias = Callable[[list[ElementStatus]], dict[str, Any]]


class UpdateRoutes:
    """Handler of updateContext over one engine and the context providers behind it."""

    def __init__(self, engine: Engine, forwarding: Forwarding) -> None:
        self._engine = engine
        self._forwarding = forwarding

    def update(self, call: Call) -> Answer:
        """POST /v1/updateContext."""
        body = call.content()
        plain = decode_plain_update(body)
        if plain is None:
            action, elements = decode_update(body)
            return self._update(call, elements, action)
        action, updates = plain
        if call.parameters or self._engine.has_providers(call.origin.tenant):
            return self._update(call, [Element(update) for update in updates], action)
        done = 0
        if len(call.origin.scope.paths) < 2:
            done = self._engine.update_ordinary(call.origin, updates, action)
        if done == len(updates):
            reply = Reply(200, encode_plain_answer(updates), {"Content-Type": "application/json"})
            reply.commit = self._engine.committed()
            return reply
        first = [ElementStatus(update, STATUS_OK) for update in updates[:done]]
        return self._update(call, [Element(update) for update in updates[done:]], action, first)

    def _update(
        self,
        call: Call,
        elements: list[Element],
        action: UpdateAction,
        done: Sequence[ElementStatus] = (),
    ) -> Answer:
        as_object = is_as_object(call)
        return self.run(
            call,
            elements,
            action,
            lambda outcomes: render_update_answer([*done, *outcomes], as_object),
        )

    def run(
        self, call: Call, elements: list[Element], action: UpdateAction, render: Render
    ) -> Answer:
        """Apply context elements, here or at context providers; `render` makes the answer."""
        if len(call.origin.scope.paths) > 1:
            raise BadRequest("service path length greater than the one in update")
        if action in FORWARDED_ACTIONS and self._engine.has_providers(call.origin.tenant):
            return self._run_everywhere(call, elements, action, render)
        outcomes: list[ElementStatus] = []
        for element in elements:
            outcomes += self.apply(call, element, action)
        return self._reply(render(outcomes))

    async def _run_everywhere(
        self, call: Call, elements: list[Element], action: UpdateAction, render: Render
    ) -> Reply:
        outcomes: list[ElementStatus] = []
        lost = ""
        for element in elements:
            update = self._engine.fill_update(call.origin, element.update)
            try:
                parts = await update_everywhere(
                    self._forwarding, call, [update], action, PLAIN_UPDATE
                )
            except ForwardingFailure as error:
                parts = error.parts
            except NgsiError as error:
                outcomes.append(ElementStatus(update, status_of(error)))
                continue
            for part in parts:
                lost = lost or _LOST.get(part.fate, "")
            if parts:
                outcomes += _join(parts)
                continue
            applied = self.apply(call, element, action)
            is_missing = all(item.status.code == CONTEXT_ELEMENT_NOT_FOUND for item in applied)
            # Where providers are not asked, one of them may have it.
            if not is_missing or self._forwarding.is_open(call.origin):
                outcomes += applied
        # As Orion, what was done all the same is not told.
        if lost or not outcomes:
            raise NotFound(lost)
        return self._reply(render(outcomes))

    def _reply(self, document: dict[str, Any]) -> Reply:
        reply = reply_json(document)
        reply.commit = self._engine.committed()
        return reply

    def apply(self, call: Call, element: Element, action: UpdateAction) -> list[ElementStatus]:
        """Apply one context element; an outcome for each entity that it is about."""
        update = element.update
        if element.repeated is not None:
            details = f"duplicated attribute /{element.repeated}/"
            only = EntityUpdate(
                update.id, update.type, {element.repeated: update.attributes[element.repeated]}
            )
            return [ElementStatus(only, StatusCode(INVALID_MODIFICATION, details))]
        if element.is_pattern:
            return [ElementStatus(update, StatusCode(NOT_IMPLEMENTED))]
        if action is not UpdateAction.DELETE:
            for name, attribute in update.attributes.items():
                if attribute.value is None and not attribute.type and not attribute.metadata:
                    details = (
                        f"action: {ACTION_NAMES[action]} - entity: "
                        f"[{update.id}, {update.type or ''}, false]"
                        f" - offending attribute: {name}"
                        " - empty attribute not allowed in APPEND or UPDATE"
                    )
                    only = EntityUpdate(update.id, update.type, {name: attribute})
                    return [ElementStatus(only, StatusCode(INVALID_MODIFICATION, details))]
        outcomes: list[ElementStatus] = []
        for outcome in self._engine.update_matching(call.origin, update, action):
            outcomes += describe_outcome(outcome, update, action)
        return outcomes


def is_as_object(call: Call) -> bool:
    """Whether the attributes of the answer are to be an object."""
    parameters = call.parameters
    return "object" in (parameters.get("attributeFormat"), parameters.get("attributesFormat"))


def _join(parts: list[UpdatedPart]) -> list[ElementStatus]:
    """What this broker and providers did of a context element, and what nobody did."""
    joined: dict[bool, ElementStatus] = {}
    for update, fate in parts:
        if fate is Fate.NOT_ASKED:
            continue
        is_done = fate is Fate.DONE
        known = joined.get(is_done)
        if known is not None:
            known.update.attributes.update(update.attributes)
            continue
        status = STATUS_OK if is_done else StatusCode(CONTEXT_ELEMENT_NOT_FOUND, update.id)
        copy = EntityUpdate(update.id, update.type, dict(update.attributes))
        joined[is_done] = ElementStatus(copy, status)
    return list(joined.values())


def describe_outcome(
    outcome: Outcome, update: EntityUpdate, action: UpdateAction
) -> list[ElementStatus]:
    """What is told of an update of one entity."""
    shown = EntityUpdate(outcome.id, outcome.type, update.attributes)
    if outcome.error is not None:
        return [ElementStatus(shown, _status(outcome, outcome.error, action))]
    shortfall = outcome.shortfall
    if shortfall is None:
        return [ElementStatus(shown, STATUS_OK)]
    entity = f"entity: [{outcome.id}, {outcome.type}]"
    found = {
        name: attribute
        for name, attribute in update.attributes.items()
        if name not in shortfall.missing
    }
    if shortfall.missing and found:
        missing = {name: update.attributes[name] for name in shortfall.missing}
        return [
            ElementStatus(EntityUpdate(outcome.id, outcome.type, found), STATUS_OK),
            ElementStatus(
                EntityUpdate(outcome.id, outcome.type, missing),
                StatusCode(CONTEXT_ELEMENT_NOT_FOUND, outcome.id),
            ),
        ]
    if shortfall.missing:
        details = (
            f"action: {ACTION_NAMES[action]} - {entity}"
            f" - offending attribute: {shortfall.missing[-1]}"
        )
        if action is UpdateAction.DELETE:
            details += " - attribute not found"
        return [ElementStatus(shown, StatusCode(INVALID_PARAMETER, details))]
    if shortfall.existing:
        attributes = {
            name: attribute
            for name, attribute in update.attributes.items()
            if name not in shortfall.existing
        }
        done = []
        if attributes:
            update = EntityUpdate(outcome.id, outcome.type, attributes)
            done = [ElementStatus(update, STATUS_OK)]
        names = ", ".join(shortfall.existing)
        details = f"one or more of the attributes in the request already exist: [ {names} ]"
        left = EntityUpdate(update.id, update.type, {})
        return [*done, ElementStatus(left, StatusCode(BAD_REQUEST, details))]
    return [ElementStatus(shown, StatusCode(CONTEXT_ELEMENT_NOT_FOUND, update.id))]


def _status(outcome: Outcome, error: NgsiError, action: UpdateAction) -> StatusCode:
    if not isinstance(error, BadRequest):
        return status_of(error)
    details = error.description
    if outcome.is_new:
        details = details.removeprefix("error parsing location attribute: ")
    else:
        details = (
            f"action: {ACTION_NAMES[action]} - entity: [{outcome.id}, {outcome.type}] - {details}"
        )
    return StatusCode(INVALID_PARAMETER, details)
