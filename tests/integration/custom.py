"""What tests of custom notifications share: subscriptions with templates, what they send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.integration.subscriptions import create

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Delivery, Receiver

CALCULATED: Final = "Calculated"


def subscribe(
    api: Api,
    receiver: Receiver,
    condition: dict[str, Any] | None = None,
    notification: dict[str, Any] | None = None,
    **custom: Any,
) -> str:
    """A subscription to every entity with these fields of httpCustom."""
    subject: dict[str, Any] = {"entities": [{"idPattern": ".*"}]}
    if condition is not None:
        subject["condition"] = condition
    custom.setdefault("url", receiver.url)
    return api.subscribe(
        {"subject": subject, "notification": {"httpCustom": custom, **(notification or {})}}
    )


def notify(api: Api, receiver: Receiver, attributes: dict[str, Any], **custom: Any) -> Delivery:
    """What is sent for a new entity with these attributes in their short form."""
    subscribe(api, receiver, **custom)
    create(api, **attributes)
    return receiver.next()


def calculate(api: Api, receiver: Receiver, attributes: dict[str, Any], **values: str) -> Any:
    """The values of a patch of expressions for a new entity."""
    ngsi = {name: {"value": value, "type": CALCULATED} for name, value in values.items()}
    delivery = notify(api, receiver, attributes, ngsi=ngsi)
    [entity] = delivery.data
    return {name: entity[name]["value"] for name in values}
