"""From a change of availability to the notifications that subscribers get.

Each is kept until its receiver took it (`broker.outbox`), in the order of the changes of one
registration. Costs: a record of the journal for each.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice
from typing import Final

from broker.availability import Available
from broker.messages import USER_AGENT
from broker.notifier import Notification, Outcome
from broker.origin import Origin
from broker.publisher import Publisher
from ngsi.availability import AvailabilityChange, AvailabilitySubscription
from ngsi.v1.availability import render_notification

_log = logging.getLogger("rigel.availability")

NOTICE_LENGTH: Final = 500
"""Registrations in one notification: those of a new subscription can be all that there are."""


class AvailabilityNotices:
    """Makes the notifications of availability subscriptions."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def make(
        self,
        tenant: str,
        origin: Origin,
        subscription: AvailabilitySubscription,
        change: AvailabilityChange,
        available: Iterable[Available],
    ) -> None:
        """Tell a subscriber; nothing is sent where nothing is available. Never raises."""
        rest = iter(available)
        while some := list(islice(rest, NOTICE_LENGTH)):
            if not self._publisher.send_kept(
                self._make_one(tenant, origin, subscription, change, some)
            ):
                _log.error("Notification (subId: %s) not sent: no room", subscription.id)
                return

    def _make_one(
        self,
        tenant: str,
        origin: Origin,
        subscription: AvailabilitySubscription,
        change: AvailabilityChange,
        available: list[Available],
    ) -> Notification:
        origin.notifications += 1
        headers = {"User-Agent": USER_AGENT}
        if origin.service_header:
            headers["Fiware-Service"] = origin.service_header
        headers |= {
            "Fiware-ServicePath": available[0].registration.service_path,
            "Accept": "application/json",
            "Content-Type": "application/json; charset=utf-8",
            "Fiware-Correlator": f"{origin.correlator}; cbnotif={origin.notifications}",
        }
        if origin.auth_token:
            headers["X-Auth-Token"] = origin.auth_token
        parts = [part for one in available for part in one.parts]
        return Notification(
            subscription_id=subscription.id,
            tenant=tenant,
            url=subscription.reference,
            headers=headers,
            body=render_notification(subscription, change, parts),
            timeout_s=0,
            order_key=(subscription.id, available[0].registration.id),
            on_result=_leave,
        )


def _leave(message: Notification, outcome: Outcome) -> None:
    """The outbox sets its own before it sends."""
