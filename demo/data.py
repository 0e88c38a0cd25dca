"""The real data of the demo: airports and a year of hourly temperatures.

Owns the reading of the files that the package vega_datasets brings along. Must not: use the
network, import vega_datasets (that would load pandas), or know anything of NGSI. A file is read
whole, once: the largest has 8 759 rows.

Source of the data: https://github.com/vega/vega-datasets, files airports.csv, seattle-temps.csv
and sf-temps.csv.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

PACKAGE: Final = "vega_datasets"
INSTALL_HINT: Final = "pip install 'rigel-broker[demo]' (or: pip install vega-datasets)"
AIRPORTS: Final = "airports"
_CATALOGUE: Final = "local_datasets.json"  # names of data sets to files of the package


class DataError(Exception):
    """The data are missing or not what they should be; the text names file, line and column."""


class Airport(NamedTuple):
    """One row of airports.csv; latitude and longitude in degrees."""

    iata: str
    name: str
    city: str
    state: str
    country: str
    latitude: float
    longitude: float


class Reading(NamedTuple):
    """One row of a file of temperatures.

    The files name no time zone: `observed_at` is the local time they hold, taken as UTC.
    """

    observed_at: datetime
    temperature_f: float


class DataFiles:
    """The files of the installed package vega_datasets."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the package's. Raises DataError if it has no catalogue."""
        self._folder = folder
        catalogue = folder / _CATALOGUE
        try:
            listed = json.loads(catalogue.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{catalogue}: cannot be read ({error}); {INSTALL_HINT}") from None
        if not isinstance(listed, dict):
            raise DataError(f"{catalogue}: not an object of data sets and files")
        self._listed = listed

    @classmethod
    def find(cls) -> DataFiles:
        """Those of this Python; raises DataError with what to install if there are none."""
        package = importlib.util.find_spec(PACKAGE)
        if package is None or not package.submodule_search_locations:
            raise DataError(
                f"the demo's data are in the package {PACKAGE}, which is not installed: "
                f"{INSTALL_HINT}"
            )
        return cls(Path(package.submodule_search_locations[0]))

    def read_airports(self) -> list[Airport]:
        """All airports, in the order of the file."""
        return [
            Airport(
                row.text("iata"),
                row.text("name"),
                row.text("city"),
                row.text("state"),
                row.text("country"),
                row.number("latitude"),
                row.number("longitude"),
            )
            for row in self._read(AIRPORTS)
        ]

    def read_temperatures(self, dataset: str) -> list[Reading]:
        """The readings of `dataset`, "seattle-temps" or "sf-temps", in the order of the file."""
        return [Reading(row.instant("date"), row.number("temp")) for row in self._read(dataset)]

    def _read(self, dataset: str) -> Iterator[_Row]:
        relative = self._listed.get(dataset)
        if not isinstance(relative, str):
            raise DataError(f"{PACKAGE} has no local data set {dataset!r}")
        path = self._folder / relative
        with _open(path) as lines:
            yield from (_Row(path, lines.line_num, row) for row in lines)


@contextmanager
def _open(path: Path) -> Iterator[csv.DictReader[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield csv.DictReader(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


class _Row:
    """One line of a CSV file, read field by field."""

    __slots__ = ("_fields", "_line", "_path")

    def __init__(self, path: Path, line: int, fields: dict[str, str]) -> None:
        self._path = path
        self._line = line
        self._fields = fields

    def text(self, column: str) -> str:
        value = self._fields.get(column)
        if not value:
            raise self._error(column, "is missing or empty")
        return value

    def number(self, column: str) -> float:
        text = self.text(column)
        try:
            number = float(text)
        except ValueError:
            raise self._error(column, f"is not a number: {text!r}") from None
        if not math.isfinite(number):
            raise self._error(column, f"is not a finite number: {text!r}")
        return number

    def instant(self, column: str) -> datetime:
        text = self.text(column)
        try:
            return datetime.fromisoformat(text.replace("/", "-")).replace(tzinfo=UTC)
        except ValueError:
            raise self._error(column, f"is not a date with a time: {text!r}") from None

    def _error(self, column: str, what: str) -> DataError:
        return DataError(f"{self._path}, line {self._line}: column {column!r} {what}")
