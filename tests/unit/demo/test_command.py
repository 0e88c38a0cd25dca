"""The demo's command line."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest
from yarl import URL

from demo.__main__ import Options, main, parse_options, read_weather
from demo.client import BrokerError, find_own_address
from demo.data import DataFiles
from demo.scenario import SAN_FRANCISCO, SEATTLE


def test_nothing_given_is_the_whole_year_on_an_own_broker() -> None:
    assert parse_options([]) == Options(None, None, None, False)


def test_all_given() -> None:
    line = "--hours 24 --start 2010-08-01 --broker http://localhost:1026/ --keep"
    assert parse_options(line.split()) == Options(
        24, datetime(2010, 8, 1, tzinfo=UTC), URL("http://localhost:1026/"), True
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--hours 0", "'0' is not a number of hours, 1 or more"),
        ("--hours ten", "'ten' is not a number of hours"),
        ("--start 2010-02-30", "'2010-02-30' is not a day, like 2010-07-01"),
        ("--broker localhost:1026", "'localhost:1026' is not where a broker listens"),
        ("--broker ftp://localhost", "is not where a broker listens"),
        ("--broker http://localhost:1026/v2", "is not where a broker listens"),
        ("--broker http://localhost:99999", "is not where a broker listens"),
        ("--frobnicate", "unrecognized arguments: --frobnicate"),
    ],
)
def test_what_is_not_understood_is_named_and_ends_with_2(
    line: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_start_and_hours_choose_the_same_hours_of_both_cities() -> None:
    options = parse_options(["--start", "2010-08-01", "--hours", "3"])
    weather = read_weather(DataFiles.find(), options)
    hours = [datetime(2010, 8, 1, hour, tzinfo=UTC) for hour in range(3)]
    assert {name: [reading.observed_at for reading in rows] for name, rows in weather.items()} == {
        SEATTLE.name: hours,
        SAN_FRANCISCO.name: hours,
    }


def test_a_start_after_the_last_reading_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--start", "2011-01-01"]) == 1
    assert capsys.readouterr().err == (
        "rigel demo: seattle-temps: there are no readings from 2011-01-01 on\n"
    )


def test_the_own_address_is_that_on_the_way_to_the_broker() -> None:
    assert find_own_address(URL("http://127.0.0.1:1026/")) == "127.0.0.1"


def test_a_broker_whose_name_is_unknown_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(BrokerError, match=r"http://nowhere\.invalid:1026/: .*not known"):
        find_own_address(URL("http://nowhere.invalid:1026/"))
