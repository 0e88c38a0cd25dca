"""`rigel demo`: real airports and a year of weather, replayed on a broker and checked.

Owns the command line, the broker of its own and the exit code: 0 when every notification is the
one worked out from the files, 1 when not or when something is missing or fails, 2 for a command
line that is not understood.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvloop
from yarl import URL

from broker.launch import BrokerProcess
from demo.client import BrokerError, find_own_address
from demo.data import DataError, DataFiles, Reading
from demo.report import Report
from demo.run import Run
from demo.scenario import CITIES

EXIT_AGREES: Final = 0
EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130  # as a shell reports a command that SIGINT ended
LOG_SHOWN_BYTES: Final = 2_000  # of the broker's log after a failure; its last lines tell why


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. `hours` None: all there are from `start` on (None: from the first)."""

    hours: int | None
    start: datetime | None
    broker: URL | None
    keep: bool


def main(argv: Sequence[str]) -> int:
    """Run the demo; returns the exit code."""
    options = parse_options(argv)
    report = Report.to_standard_output()
    try:
        files = DataFiles.find()
        run = Run(files.read_airports(), read_weather(files, options), report)
        if options.broker is None:
            problems = _run_on_own_broker(run, report, options.keep)
        else:
            problems = _run_on_shared_broker(run, report, options.broker, options.keep)
    except (DataError, BrokerError, subprocess.SubprocessError) as error:
        problems = [str(error)]
    except KeyboardInterrupt:
        print("rigel demo: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    for problem in problems:
        print(f"rigel demo: {problem}", file=sys.stderr)
    return EXIT_FAILED if problems else EXIT_AGREES


def parse_options(argv: Sequence[str]) -> Options:
    """The options of a command line; ends the process like argparse does."""
    parser = argparse.ArgumentParser(
        prog="rigel demo",
        description="Replay real airports and a year of weather on a broker, and check every "
        "notification against the data.",
        allow_abbrev=False,
    )
    parser.add_argument("--hours", type=_count, help="replay only so many hours (default: all)")
    parser.add_argument(
        "--start", type=_day, metavar="YYYY-MM-DD", help="first day to replay (default: 2010-01-01)"
    )
    parser.add_argument(
        "--broker",
        type=_url,
        metavar="URL",
        help="use the broker that runs there, in a new tenant (default: start one)",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the data directory, or the entities in the broker of --broker",
    )
    given = parser.parse_args(argv)
    return Options(given.hours, given.start, given.broker, given.keep)


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours, 1 or more")
    return number


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day, like 2010-07-01") from None


def _url(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.path != "/" or url.query:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not where a broker listens, like http://localhost:1026"
        )
    return url


def read_weather(files: DataFiles, options: Options) -> dict[str, Sequence[Reading]]:
    """The readings asked for, by city; raises DataError, also when there are none."""
    weather: dict[str, Sequence[Reading]] = {}
    for city in CITIES:
        readings = files.read_temperatures(city.dataset)
        if (start := options.start) is not None:
            readings = [reading for reading in readings if reading.observed_at >= start]
        if not readings:
            since = f" from {start:%Y-%m-%d} on" if start else ""
            raise DataError(f"{city.dataset}: there are no readings{since}")
        weather[city.name] = readings[: options.hours]
    return weather


def _run_on_own_broker(run: Run, report: Report, keep: bool) -> list[str]:
    """The problems of a run on a broker with a data directory of its own."""
    folder = Path(tempfile.mkdtemp(prefix="rigel-demo-"))
    broker = BrokerProcess(folder / "data", ("--durability", "process"))
    try:
        try:
            broker.start()
        except (OSError, RuntimeError) as error:
            raise BrokerError(str(error)) from error
        try:
            report.say(f"A broker listens on {broker.url}, its data are in {broker.directory}")
            # Entities stay: removing them would only be work, the directory goes as a whole.
            problems = uvloop.run(run.try_on(URL(broker.url), "", "127.0.0.1", keep=True))
        except BrokerError as error:
            problems = [str(error)]
        finally:
            code = broker.stop()
        if code != 0:
            problems.append(f"the broker ended with exit code {code}")
        if problems:
            problems.append(f"the end of the broker's log:\n{_end_of(broker.log)}")
        return problems
    finally:
        if keep:
            report.say(f"Kept: {folder}")
        else:
            shutil.rmtree(folder)


def _run_on_shared_broker(run: Run, report: Report, url: URL, keep: bool) -> list[str]:
    """The problems of a run on a broker that others use, in a tenant that is new."""
    tenant = f"demo_{uuid.uuid4().hex[:12]}"
    report.say(f"Using the broker at {url}, Fiware-Service: {tenant}")
    return uvloop.run(run.try_on(url, tenant, find_own_address(url), keep))


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_SHOWN_BYTES))
        return file.read().decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
