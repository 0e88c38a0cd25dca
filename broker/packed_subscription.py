"""A subscription as bytes: what is held of one that nobody looks at.

Sections, separated by a byte that JSON escapes and service paths may not hold:

    service path
    entities, condition, notification    as the API gives them, without what is the default
    rest                                 the document's other fields
    progress                             [status, pending, counters]; what the broker adds

Empty sections stand for nothing given. Many subscriptions have sections in common, so what
sections say is remembered: a platform that makes 100 000 of the same form has one Delivery.

Costs: 8 us to make a subscription of its bytes, some 40 us where no section is remembered;
10 us to pack it, 1 us to pack its progress anew.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from ngsi.model import EntitySelector
from ngsi.subscription import (
    Condition,
    Counters,
    Delivery,
    HttpReceiver,
    Subscription,
    SubscriptionStatus,
)
from ngsi.v2.subscriptions import (
    decode_condition,
    decode_delivery,
    decode_entities,
    decode_rest,
    render_subscription,
)

SECTIONS_REMEMBERED: Final = 4096
"""Of each kind: more forms than platforms use, some 10 MB when they are all different."""

REMEMBERED_MAX_BYTES: Final = 1024
"""A longer section, of a large template say, is read each time: what is remembered is bounded."""

ORIGINATOR: Final = "originator"
"""Of the rest, and no part of the API's document."""

_EXPRESSION: Final = b'"jexlExpression"'
_SEPARATOR: Final = b"\x1f"
_MADE_OTHERWISE: Final = frozenset({"id", "status", "subject", "notification"})
_CONDITION_DEFAULTS: Final = {"attrs": [], "notifyOnMetadataChange": True}
_NOTIFICATION_DEFAULTS: Final = {
    "attrs": [],
    "onlyChangedAttrs": False,
    "attrsFormat": "normalized",
    "covered": False,
}
_COUNTERS: Final = Counters.__slots__

Read = TypeVar("Read")


class Sections(NamedTuple):
    """The parts of a packed subscription."""

    service_path: bytes
    entities: bytes
    condition: bytes
    notification: bytes
    rest: bytes
    progress: bytes


class Progress(NamedTuple):
    """What the broker adds to a subscription, and changes."""

    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    pending: int = 0
    counters: Counters = Counters()  # never that of a subscription

    @classmethod
    def of(cls, subscription: Subscription) -> Progress:
        """That of a subscription; its counters go on changing."""
        return cls(subscription.status, subscription.pending, subscription.counters)


def pack(subscription: Subscription) -> bytes:
    """The whole of a subscription but its id."""
    document = render_subscription(subscription, now=None)
    if subscription.originator:
        document[ORIGINATOR] = subscription.originator
    return join_sections(
        make_sections(subscription.service_path, document, Progress.of(subscription))
    )


def make_sections(
    service_path: str, document: dict[str, Any], progress: Progress | None
) -> Sections:
    """The sections of a document that `decode_subscription` takes; its status is not looked at.

    The document is used up. Raises LookupError, TypeError or AttributeError for one whose parts
    are not there; what they hold is not looked at.
    """
    subject, notification = document["subject"], document["notification"]
    condition = subject.get("condition")
    if condition:
        _drop(condition, _CONDITION_DEFAULTS)
    _drop(notification, _NOTIFICATION_DEFAULTS)
    rest = None
    if not document.keys() <= _MADE_OTHERWISE:
        rest = {name: part for name, part in document.items() if name not in _MADE_OTHERWISE}
    return Sections(
        service_path.encode(),
        orjson.dumps(subject["entities"]),
        orjson.dumps(condition) if condition else b"",
        orjson.dumps(notification),
        orjson.dumps(rest) if rest else b"",
        b"" if progress is None else _pack_progress(progress),
    )


def _drop(part: dict[str, Any], defaults: dict[str, Any]) -> None:
    for name, value in defaults.items():
        if name in part and part[name] == value:
            del part[name]


def join_sections(sections: Sections) -> bytes:
    """The packed subscription of its parts."""
    return _SEPARATOR.join(sections)


def _pack_progress(progress: Progress) -> bytes:
    if progress == _NO_PROGRESS:
        return b""
    status, pending, counters = progress
    return orjson.dumps([status.value, pending, *(getattr(counters, name) for name in _COUNTERS)])


def replace_progress(packed: bytes, progress: Progress) -> bytes:
    """The same subscription with other progress."""
    return packed[: packed.rindex(_SEPARATOR) + 1] + _pack_progress(progress)


def read_sections(packed: bytes) -> Sections:
    """The parts of a packed subscription."""
    return Sections._make(packed.split(_SEPARATOR))


def read_progress(packed: bytes) -> Progress:
    """The progress of a packed subscription."""
    section = packed[packed.rindex(_SEPARATOR) + 1 :]
    if not section:
        return Progress(counters=Counters())
    status, pending, *counters = orjson.loads(section)
    return Progress(SubscriptionStatus(status), pending, Counters(*counters))


def has_service_path(packed: bytes, service_path: str) -> bool:
    """Whether the subscription has exactly that service path."""
    return packed.startswith(service_path.encode() + _SEPARATOR)


class _UnpackedSubscription(Subscription):
    """Reads its selectors and its condition when they are looked at: a notification needs none."""

    __slots__ = ("_condition", "_entities", "_sections")

    _sections: Sections  # of one that was not made otherwise
    _entities: tuple[EntitySelector, ...]
    _condition: Condition

    @property
    def entities(self) -> tuple[EntitySelector, ...]:
        try:
            return self._entities
        except AttributeError:
            self._entities = read_entities(self._sections.entities)
            return self._entities

    @entities.setter
    def entities(self, entities: tuple[EntitySelector, ...]) -> None:
        self._entities = entities

    @property
    def condition(self) -> Condition:
        try:
            return self._condition
        except AttributeError:
            self._condition = recall_condition(self._sections.condition)
            return self._condition

    @condition.setter
    def condition(self, condition: Condition) -> None:
        self._condition = condition

    @property
    def has_expression(self) -> bool:
        condition: Condition | None = getattr(self, "_condition", None)
        if condition is None and _EXPRESSION not in self._sections.condition:
            return False
        return bool(self.condition.jexl)


def unpack(subscription_id: str, packed: bytes) -> Subscription:
    """The subscription of that id."""
    sections = read_sections(packed)
    subscription = _UnpackedSubscription.__new__(_UnpackedSubscription)
    subscription._sections = sections
    subscription.id = subscription_id
    subscription.service_path = sections.service_path.decode()
    subscription.delivery = recall_delivery(sections.notification)
    subscription.description = subscription.originator = ""
    subscription.expires = None
    subscription.throttling_s = 0
    subscription.status = SubscriptionStatus.ACTIVE
    subscription.pending = 0
    subscription.counters = Counters()
    if sections.rest:
        _read_rest(sections.rest, subscription)
    if sections.progress:
        progress = read_progress(packed)
        subscription.status, subscription.pending, subscription.counters = progress
    return subscription


def remembered(read: Callable[[bytes], Read]) -> Callable[[bytes], Read]:
    """A reader of sections that remembers what it read."""
    recall = lru_cache(maxsize=SECTIONS_REMEMBERED)(read)

    def read_or_recall(section: bytes) -> Read:
        return recall(section) if len(section) <= REMEMBERED_MAX_BYTES else read(section)

    return read_or_recall


def read_entities(section: bytes) -> tuple[EntitySelector, ...]:
    """The selectors of that section; raises BadRequest."""
    return decode_entities(orjson.loads(section), lenient=True)


def read_condition(section: bytes) -> Condition:
    """The condition of that section; raises BadRequest."""
    return decode_condition(orjson.loads(section), lenient=True) if section else Condition()


recall_condition: Final = remembered(read_condition)


@remembered
def recall_delivery(section: bytes) -> Delivery:
    """What the section on the notification says; raises BadRequest."""
    return decode_delivery(orjson.loads(section), lenient=True)


@remembered
def check_rest(section: bytes) -> None:
    """Raises BadRequest for a section that says what it may not."""
    _read_rest(section, Subscription("", "", (), Condition(), _NO_DELIVERY))


def _read_rest(section: bytes, subscription: Subscription) -> None:
    rest = orjson.loads(section)
    subscription.originator = rest.pop(ORIGINATOR, "")
    decode_rest(rest, subscription)


_NO_DELIVERY: Final = Delivery(HttpReceiver(""))
_NO_PROGRESS: Final = Progress()
