"""What tests of subscriptions share: documents, updates, what is received, awaiting counters."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver

WAIT_TIMEOUT_S: Final = 30.0  # as for an answer: only a hanging broker reaches it
_POLL_INTERVAL_S: Final = 0.01

_COUNTERS: Final = (
    "timesSent",
    "lastNotification",
    "lastSuccess",
    "lastSuccessCode",
    "lastFailure",
    "lastFailureReason",
    "failsCounter",
)
_TIMES: Final = {"lastNotification", "lastSuccess", "lastFailure"}
_SECOND: Final = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z")

EVERY_ENTITY: Final = ({"idPattern": ".*"},)


def document(
    url: str,
    *,
    entities: Sequence[Mapping[str, str]] = EVERY_ENTITY,
    condition: Mapping[str, Any] | None = None,
    notification: Mapping[str, Any] | None = None,
    **rest: Any,
) -> dict[str, Any]:
    """A subscription by HTTP. `notification`: fields beside `http`; `rest`: those on top."""
    subject: dict[str, Any] = {"entities": list(entities)}
    if condition is not None:
        subject["condition"] = condition
    return {
        "subject": subject,
        "notification": {"http": {"url": url}, **(notification or {})},
        **rest,
    }


def number(value: float, **metadata: Any) -> dict[str, Any]:
    """An attribute of type Number as it is notified."""
    return {"type": "Number", "value": value, "metadata": metadata}


def text(value: str) -> dict[str, str]:
    """Metadata of type Text."""
    return {"type": "Text", "value": value}


def subscribe(
    api: Api, receiver: Receiver, condition: Mapping[str, Any] | None = None, **notification: Any
) -> str:
    """A subscription to every entity, with these fields of `notification`; returns its id."""
    return api.subscribe(document(receiver.url, condition=condition, notification=notification))


def create(api: Api, entity_id: str = "E", **attributes: Any) -> None:
    """An entity of type T, from short attributes."""
    api.create({"id": entity_id, "type": "T", **attributes}, options="keyValues")


def patch(api: Api, options: str = "", **attributes: Any) -> None:
    """A change of attributes of the entity E, in their normalized form."""
    how = {"options": options} if options else {}
    reply = api.patch("/v2/entities/E/attrs", attributes, **how)
    assert reply.status == 204, reply


def force_update(api: Api) -> None:
    """An update of the entity E that changes nothing and triggers all the same."""
    patch(api, "forcedUpdate", A=number(1))


def change(api: Api, subscription_id: str, **parts: Any) -> None:
    """A change of a subscription."""
    reply = api.patch(f"/v2/subscriptions/{subscription_id}", parts)
    assert reply.status == 204, reply


def received(api: Api, receiver: Receiver) -> list[Any]:
    """What the notifications of the updates made so far hold, which is one entity each."""
    notified = []
    for delivery in receiver.take_until_fence(api):
        [entity] = delivery.data
        notified.append(entity)
    return notified


def received_ids(api: Api, receiver: Receiver) -> list[str]:
    """As `received`, the ids alone."""
    return [entity["id"] for entity in received(api, receiver)]


def received_attributes(api: Api, receiver: Receiver) -> list[dict[str, Any]]:
    """As `received`, without id and type."""
    return [
        {name: entity[name] for name in entity if name not in ("id", "type")}
        for entity in received(api, receiver)
    ]


def show(api: Api, subscription_id: str) -> dict[str, Any]:
    """A subscription as GET shows it."""
    reply = api.get(f"/v2/subscriptions/{subscription_id}")
    assert reply.status == 200, reply
    shown: dict[str, Any] = reply.json
    return shown


def await_state(
    api: Api, subscription_id: str, is_reached: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    """The subscription as soon as it is as wanted: outcomes are counted after a delivery."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while not is_reached(shown := show(api, subscription_id)):
        assert time.monotonic() < deadline, shown
        time.sleep(_POLL_INTERVAL_S)
    return shown


def counters(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What the broker counted of a subscription; of times only that they are there."""
    notification = shown["notification"]
    found = {name: notification[name] for name in _COUNTERS if name in notification}
    for name in _TIMES & found.keys():
        # Whole seconds, as Orion keeps them.
        assert _SECOND.fullmatch(found[name]), found
        found[name] = True
    return found


def has_failed(times: int) -> Callable[[dict[str, Any]], bool]:
    """For `await_state`: so many deliveries in a row failed (0: the last one did not)."""
    return lambda shown: shown["notification"].get("failsCounter", 0) == times


def has_ended(times: int, outcome: str) -> Callable[[dict[str, Any]], bool]:
    """For `await_state`: so many notifications were triggered, and `outcome` is shown."""
    return lambda shown: (
        shown["notification"].get("timesSent") == times and outcome in shown["notification"]
    )
