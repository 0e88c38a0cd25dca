"""The demo's data: read from the package as they are, refused with file, line and column."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo.__main__ import main
from demo.data import Airport, DataError, DataFiles, Reading

CATALOGUE = '{"airports": "_data/airports.csv", "sf-temps": "_data/sf.csv"}'
AIRPORTS_HEAD = "iata,name,city,state,country,latitude,longitude\n"


@pytest.fixture(scope="module")
def files() -> DataFiles:
    return DataFiles.find()


def package(folder: Path, **contents: str) -> DataFiles:
    """A package with the files given, by their stem."""
    (folder / "_data").mkdir()
    (folder / "local_datasets.json").write_text(CATALOGUE)
    for stem, text in contents.items():
        (folder / "_data" / f"{stem}.csv").write_text(text, encoding="utf-8")
    return DataFiles(folder)


def test_all_airports_are_read(files: DataFiles) -> None:
    airports = files.read_airports()
    assert len(airports) == 3376
    assert len({airport.iata for airport in airports}) == 3376
    assert airports[0] == Airport(
        "00M", "Thigpen", "Bay Springs", "MS", "USA", 31.95376472, -89.23450472
    )


@pytest.mark.parametrize(
    ("dataset", "first", "last"),
    [("seattle-temps", 39.4, 39.6), ("sf-temps", 47.8, 48.3)],
)
def test_a_year_of_readings_is_read(
    files: DataFiles, dataset: str, first: float, last: float
) -> None:
    readings = files.read_temperatures(dataset)
    assert len(readings) == 8759  # the hour that daylight saving time skips is not there
    assert readings[0] == Reading(datetime(2010, 1, 1, 0, tzinfo=UTC), first)
    assert readings[-1] == Reading(datetime(2010, 12, 31, 23, tzinfo=UTC), last)
    assert readings == sorted(readings)


def test_quoted_fields_are_one_field(tmp_path: Path) -> None:
    row = 'DBN,"W. H. ""Bud"" Barron","Dublin, East",GA,USA,32.5,-82.9\n'
    (airport,) = package(tmp_path, airports=AIRPORTS_HEAD + row).read_airports()
    assert (airport.name, airport.city) == ('W. H. "Bud" Barron', "Dublin, East")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("iata,name\nA,B\n", "line 2: column 'city' is missing or empty"),
        (AIRPORTS_HEAD + "A,B,C,D,E,1,2\nA,B,C,D,E\n", "line 3: column 'latitude' is missing"),
        (AIRPORTS_HEAD + "A,B,C,D,E,north,2\n", "'latitude' is not a number: 'north'"),
        (AIRPORTS_HEAD + "A,B,C,D,E,1,nan\n", "'longitude' is not a finite number: 'nan'"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        package(tmp_path, airports=text).read_airports()
    assert "airports.csv" in str(caught.value)


def test_a_bad_date_is_named(tmp_path: Path) -> None:
    found = package(tmp_path, sf="temp,date\n1.0,2010/13/01 00:00\n")
    with pytest.raises(DataError, match=r"sf\.csv, line 2: column 'date' is not a date"):
        found.read_temperatures("sf-temps")


def test_a_missing_file_and_an_unknown_data_set_are_named(tmp_path: Path) -> None:
    found = package(tmp_path)
    with pytest.raises(DataError, match=r"sf\.csv: cannot be read"):
        found.read_temperatures("sf-temps")
    with pytest.raises(DataError, match="no local data set 'oslo-temps'"):
        found.read_temperatures("oslo-temps")


def test_a_package_without_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"local_datasets\.json: cannot be read"):
        DataFiles(tmp_path)


def test_without_the_package_the_demo_tells_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main([]) == 1
    error = capsys.readouterr().err
    assert error.startswith("rigel demo: ")
    assert "vega_datasets" in error
    assert "pip install 'rigel-broker[demo]'" in error
