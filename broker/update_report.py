"""What went wrong in an update of one or many entities, as one error for the client.

Source: Orion API, sections "Update operation" and "Error Responses": what could be done was
done; the error names the rest, PartialUpdate when only a part failed.
"""

from __future__ import annotations

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


class UpdateReport:
    """Collects the outcome entity by entity; `error` is what the client is told."""

    def __init__(self) -> None:
        self._coverage: _Coverage | None = None
        self._error: NgsiError | None = None

    def add_success(self) -> None:
        """All of an entity's update was done."""
        if self._coverage is not _SUCCESS:
            self._cover(_SUCCESS)

    def add_failure(self, error: NgsiError) -> None:
        """Nothing of an entity's update was done, because of `error`."""
        self._error = error
        self._cover(_SUCCESS)

    def add_missing_entity(self, update: EntityUpdate) -> None:
        """The entity does not exist."""
        name = _name(update)
        if self._error is None:
            self._error = NotFound(f"do not exist: {name} - [entity itself]")
        else:
            self._error.description += f", {name} [entity itself]"
        self._cover(_Coverage.NO_ENTITY)

    def add_missing_attributes(self, update: EntityUpdate, missing: list[str]) -> None:
        """Some of the attributes do not exist; the others were updated."""
        self._add_attributes("do not exist: ", update, missing)

    def add_existing_attributes(self, update: EntityUpdate, existing: list[str]) -> None:
        """Some of the attributes exist already; the others were appended."""
        self._add_attributes(
            "one or more of the attributes in the request already exist: ", update, existing
        )

    def _add_attributes(self, prefix: str, update: EntityUpdate, names: list[str]) -> None:
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
