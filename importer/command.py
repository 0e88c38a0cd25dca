"""`rigel import`: the command line, and the order of an import.

All is read and judged before anything is written. Nothing is written when something was refused,
unless the operator says so (`--lenient`).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult

from importer.broker_api import BrokerTarget
from importer.client import Client, parse_broker_url
from importer.data_directory import DataDirectory
from importer.dump import read_dump
from importer.entities import check_service, check_service_path_query
from importer.intake import Intake, parse_selection
from importer.orion_api import DEFAULT_PAGE_LENGTH, MAX_PAGE_LENGTH, read_api
from importer.report import Report, Stopped
from importer.spool import Spool
from ngsi.errors import NgsiError

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1

_DESCRIPTION: Final = """Brings the data of a FIWARE Orion over: entities, subscriptions and
registrations. Reads all of it first; writes nothing when anything is refused, unless --lenient.
docs/migrating-from-orion.md tells the whole way."""


def main(argv: Sequence[str]) -> int:
    """Runs one command line (without `rigel import`); the exit code."""
    parser = _make_parser()
    arguments = parser.parse_args(argv)
    if arguments.ids is not None and arguments.to_url is None:
        parser.error("--ids goes with --to-url: a data directory keeps the ids")
    report = Report()
    try:
        is_done = _run(arguments, report)
    except (Stopped, OSError) as error:
        sys.stdout.write(report.render())
        print(f"rigel import: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("rigel import: interrupted", file=sys.stderr)
        return EXIT_FAILED
    sys.stdout.write(report.render())
    if not is_done:
        print(
            "rigel import: nothing was written; --lenient writes what was not refused",
            file=sys.stderr,
        )
    return EXIT_OK if report.is_clean or arguments.lenient else EXIT_FAILED


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rigel import", description=_DESCRIPTION, allow_abbrev=False
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--from-url", type=_url, metavar="URL", help="a running Orion, http://host:1026"
    )
    source.add_argument(
        "--from-dump",
        type=Path,
        metavar="DIR",
        help="what mongodump wrote: a folder for each database, plain or with --gzip",
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="a new data directory for a broker; keeps ids, dates and counters",
    )
    target.add_argument(
        "--to-url", type=_url, metavar="URL", help="a running broker whose services are empty"
    )
    target.add_argument("--check", action="store_true", help="read and judge, write nothing")
    parser.add_argument(
        "--service",
        type=_service,
        action="append",
        default=[],
        metavar="S",
        help="a service (repeat it; '' is that of requests without Fiware-Service). "
        "Default: all of a dump; of a running Orion, which cannot list them, only ''",
    )
    parser.add_argument(
        "--service-path",
        type=_service_path,
        action="append",
        default=[],
        metavar="P",
        help="only this service path, with /# also those below (repeat it; default /#)",
    )
    parser.add_argument(
        "--db-prefix", default="orion", metavar="NAME", help="Orion's -db (default orion)"
    )
    parser.add_argument(
        "--page-size",
        type=_page_length,
        default=DEFAULT_PAGE_LENGTH,
        metavar="N",
        help=f"entities asked for at once (default {DEFAULT_PAGE_LENGTH})",
    )
    for name in ("from", "to"):
        parser.add_argument(
            f"--{name}-header",
            type=_header,
            action="append",
            default=[],
            metavar="NAME:VALUE",
            help=f"a header for requests to --{name}-url, a token say (repeat it)",
        )
    parser.add_argument(
        "--ids", type=Path, metavar="FILE", help="with --to-url: old and new ids, as JSON lines"
    )
    parser.add_argument(
        "--lenient", action="store_true", help="leave out what is refused, and end with 0"
    )
    return parser


def _run(arguments: argparse.Namespace, report: Report) -> bool:
    """Whether it was written, or nothing was to be."""
    with ExitStack() as stack:
        directory = target = None
        if arguments.data_dir is not None:
            directory = stack.enter_context(DataDirectory(arguments.data_dir))
            spool_path = directory.spool_path
        else:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="rigel-import-"))
            spool_path = Path(scratch) / "spool"
        if arguments.to_url is not None:
            # Opened before the long way, and never over what is there.
            ids = None if arguments.ids is None else stack.enter_context(arguments.ids.open("x"))
            client = Client(arguments.to_url, dict(arguments.to_header))
            stack.callback(client.close)
            target = BrokerTarget(client, ids)
            target.check()
        spool = stack.enter_context(Spool(spool_path))
        _read(arguments, spool, report)
        if arguments.check:
            return True
        if not report.is_clean and not arguments.lenient:
            return False
        if directory is not None:
            directory.write(spool, report)
        if target is not None:
            target.check_empty(spool.services())
            target.write(spool, report)
        return True


def _read(arguments: argparse.Namespace, spool: Spool, report: Report) -> None:
    selection = parse_selection(arguments.service, arguments.service_path)
    intake = Intake(selection, spool, report)
    if arguments.from_dump is not None:
        read_dump(arguments.from_dump, arguments.db_prefix, intake)
        return
    client = Client(arguments.from_url, dict(arguments.from_header))
    try:
        read_api(client, intake, arguments.page_size)
    finally:
        client.close()


def _url(text: str) -> SplitResult:
    try:
        return parse_broker_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _service(text: str) -> str:
    try:
        return check_service(text)
    except NgsiError as error:
        raise argparse.ArgumentTypeError(error.description) from None


def _service_path(text: str) -> str:
    try:
        return check_service_path_query(text)
    except NgsiError as error:
        raise argparse.ArgumentTypeError(error.description) from None


def _page_length(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PAGE_LENGTH:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and {MAX_PAGE_LENGTH}")
    return int(text)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is no header: NAME:VALUE is one")
    return name.strip(), value.strip()
