"""The operation notifyContext of NGSI10: what another broker tells is taken over."""

from __future__ import annotations

from typing import Any

from broker.http.call import Call
from broker.http.routing import Answer
from broker.http.v1.updates import UpdateRoutes
from ngsi.model import UpdateAction
from ngsi.v1.elements import Element
from ngsi.v1.notifications import decode_notification
from ngsi.v1.status import STATUS_OK
from ngsi.v1.updates import ElementStatus


class NotificationRoutes:
    """Handler of notifyContext over updateContext."""

    def __init__(self, updates: UpdateRoutes) -> None:
        self._updates = updates

    def notify(self, call: Call) -> Answer:
        """POST /v1/notifyContext."""
        return self.take(call, decode_notification(call.content()))

    def take(self, call: Call, elements: list[Element]) -> Answer:
        """Append the context elements of a notification.

        As in Orion, the sender hears that it was received, whatever became of each element.
        """
        return self._updates.run(call, elements, UpdateAction.APPEND, _render_received)


def _render_received(outcomes: list[ElementStatus]) -> dict[str, Any]:
    return {"responseCode": STATUS_OK.render()}
