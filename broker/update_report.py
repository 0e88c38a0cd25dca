"""What went wrong in an update of one or many entities, as one error for the client.

Source: Orion API, sections "Update operation" and "Error Responses": what could be done was
done; the error names the rest, PartialUpdate when only a part failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ngsi.errors import NgsiError, NotFound, PartialUpdate, Unprocessable
from ngsi.model import EntityUpdate


class _Coverage(Enum):
    SUCCESS = auto()
    PARTIAL = auto()
    NO_ATTRIBUTE = auto()
    NO_ENTITY = auto()


# A member of an enumeration costs ten times as much to reach as a global (Python 3.11).
_SUCCESS: Final = _Coverage.SUCCESS


@dataclass(slots=True, frozen=True)
class Shortfall:
    """What of an entity's update was not done because of what exists.

    `missing` are attributes that do not exist, `existing` such as do already; with neither it
    is the entity that does not exist.
    """

    update: EntityUpdate
    missing: Sequence[str] = ()
    existing: Sequence[str] = ()


class UpdateReport:
    """Collects the outcome entity by entity; `error` is what the client is told."""

    def __init__(self) -> None:
        self._coverage: _Coverage | None = None
        self._error: NgsiError | None = None

    def add(self, shortfall: Shortfall | None) -> None:
        """An entity's update was done, up to the shortfall if there is one."""
        if shortfall is None:
            if self._coverage is not _SUCCESS:
                self._cover(_SUCCESS)
        elif shortfall.missing:
            self._add_attributes("do not exist: ", shortfall.update, shortfall.missing)
        elif shortfall.existing:
            self._add_attributes(
                "one or more of the attributes in the request already exist: ",
                shortfall.update,
                shortfall.existing,
            )
        else:
            self._add_entity(shortfall.update)

    def add_failure(self, error: NgsiError) -> None:
        """Nothing of an entity's update was done, because of `error`."""
        self._error = error
        self._cover(_SUCCESS)

    def _add_entity(self, update: EntityUpdate) -> None:
        name = _name(update)
        if self._error is None:
            self._error = NotFound(f"do not exist: {name} - [entity itself]")
        else:
            self._error.description += f", {name} [entity itself]"
        self._cover(_Coverage.NO_ENTITY)

    def _add_attributes(self, prefix: str, update: EntityUpdate, names: Sequence[str]) -> None:
        listed = f"{_name(update)} - [ {', '.join(names)} ]"
        if self._error is None:
            self._error = Unprocessable(prefix + listed)
        else:
            self._error.description += f", {listed}"
        every = len(names) == len(update.attributes)
        self._cover(_Coverage.NO_ATTRIBUTE if every else _Coverage.PARTIAL)

    def _cover(self, coverage: _Coverage) -> None:
        former = self._coverage
        if former is None or former is coverage:
            self._coverage = coverage
        elif {former, coverage} == {_Coverage.NO_ATTRIBUTE, _Coverage.NO_ENTITY}:
            self._coverage = _Coverage.NO_ATTRIBUTE
        else:
            self._coverage = _Coverage.PARTIAL

    @property
    def error(self) -> NgsiError | None:
        """The error to answer with, None when all was done."""
        if self._error is not None and self._coverage is _Coverage.PARTIAL:
            return PartialUpdate(self._error.description)
        return self._error


def _name(update: EntityUpdate) -> str:
    return update.id if update.type is None else f"{update.id}/{update.type}"
