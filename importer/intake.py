"""The way of a source's documents into the spool: counted, judged, filtered.

Owns which services and service paths are wanted, and that one bad document never ends an
import: it is refused by name. Must not: know where documents come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from importer.report import ENTITIES, REGISTRATIONS, SUBSCRIPTIONS, Report
from importer.spool import Spool
from ngsi.errors import NgsiError
from ngsi.model import Entity
from ngsi.registration import Registration
from ngsi.service_path import EVERYWHERE, covers
from ngsi.subscription import Subscription

_Made = TypeVar("_Made")


@dataclass(slots=True, frozen=True)
class Selection:
    """What the operator asked for; no services: all that the source can name."""

    services: tuple[str, ...] = ()
    service_paths: tuple[str, ...] = (EVERYWHERE,)

    @property
    def is_everywhere(self) -> bool:
        """Whether no service path is excluded."""
        return EVERYWHERE in self.service_paths

    def covers(self, service_path: str) -> bool:
        """Whether a service path, maybe ending in "/#", is asked for."""
        if not service_path.endswith("/#"):
            return any(covers(path, service_path) for path in self.service_paths)
        stem = service_path.removesuffix("/#")
        return any(
            path == service_path or (path.endswith("/#") and covers(path, stem))
            for path in self.service_paths
        )


class Intake:
    """Takes documents one by one."""

    def __init__(self, selection: Selection, spool: Spool, report: Report) -> None:
        self.selection: Final = selection
        self.spool: Final = spool
        self.report: Final = report

    def take_entity(
        self, service: str, name: str, make: Callable[[], tuple[Entity, bytes]]
    ) -> None:
        """Take the entity that `make` gives; its errors are refusals."""
        made = self._make(ENTITIES, service, name, make)
        if made is not None and self.selection.covers(made[0].service_path):
            self.report.read(ENTITIES)
            if not self.spool.put_entity(service, *made):
                self.report.repeat(ENTITIES)

    def take_subscription(self, service: str, name: str, make: Callable[[], Subscription]) -> None:
        """Take the subscription that `make` gives; its errors are refusals."""
        made = self._make(SUBSCRIPTIONS, service, name, make)
        if made is not None and self.selection.covers(made.service_path):
            self.report.read(SUBSCRIPTIONS)
            if not self.spool.put_subscription(service, made):
                self.report.repeat(SUBSCRIPTIONS)

    def take_registration(self, service: str, name: str, make: Callable[[], Registration]) -> None:
        """Take the registration that `make` gives; its errors are refusals."""
        made = self._make(REGISTRATIONS, service, name, make)
        if made is not None and self.selection.covers(made.service_path):
            self.report.read(REGISTRATIONS)
            if not self.spool.put_registration(service, made):
                self.report.repeat(REGISTRATIONS)

    def refuse(self, kind: str, service: str, name: str, reason: str) -> None:
        """Refuse a document that was read."""
        self.report.read(kind)
        self.report.refuse(kind, f"{kind} {describe_service(service)} {name}", reason)

    def _make(self, kind: str, service: str, name: str, make: Callable[[], _Made]) -> _Made | None:
        try:
            return make()
        except NgsiError as error:
            self.refuse(kind, service, name, error.description)
            return None


def describe_service(service: str) -> str:
    """A service in a message."""
    return f"of service {service!r}" if service else "of no service"


def parse_selection(services: Sequence[str], service_paths: Sequence[str]) -> Selection:
    """The selection of a command line, its repetitions removed."""
    return Selection(
        tuple(dict.fromkeys(services)), tuple(dict.fromkeys(service_paths)) or (EVERYWHERE,)
    )
