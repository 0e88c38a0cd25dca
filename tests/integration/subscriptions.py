"""What tests of subscriptions share: their documents, and waiting for what deliveries count."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.integration.conftest import Api

WAIT_TIMEOUT_S: Final = 30.0  # as for an answer: only a hanging broker reaches it
_POLL_INTERVAL_S: Final = 0.01

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
