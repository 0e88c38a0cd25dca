"""Flags and environment: which texts were given for the rows of a table, and by what.

A flag wins over `RIGEL_*`, `RIGEL_*` over `ORION_*`, and that over the default; an empty
variable counts as absent. Owns: the parser of the command line and this order. Must not: know a
particular setting, or read `os.environ` or `sys.argv` by itself. Costs: read once at start.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Never

from broker.settings.row import Setting, SettingsError, State

PROGRAM: Final = "rigel broker"

_HELP_FLAGS: Final = ("-h", "-help", "-u", "-U", "--help")
_NUMBER: Final = re.compile(r"-[0-9]+")  # a value, though it begins as a flag does
# Kubernetes sets such variables for a Service called "rigel"; they are nobody's mistake.
_SERVICE_LINK: Final = re.compile(r"RIGEL_(SERVICE|PORT)_")


def read_given(
    table: Sequence[Setting], argv: Sequence[str], environ: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values given, by their rows' names, and a sentence per thing given without effect.

    Raises SettingsError on a flag that is unknown and on a value that is not allowed;
    SystemExit(0) after `--help`, Orion's `-u` or `-U`.
    """
    given_flags = _parse(table, argv)
    values: dict[str, Any] = {}
    notes: list[str] = []
    for row in table:
        source, text = _find(row, given_flags, environ)
        if text is None:
            continue
        if row.state is State.IGNORED:
            notes.append(f"{source} is accepted and has no effect: {row.help}")
            continue
        values[row.name] = row.read(text, source)
        if row.state is State.LATER and values[row.name] != row.default:
            notes.append(f"{source} is accepted and has no effect yet: {row.help}")
    known = {variable for row in table for variable in row.variables}
    notes += [
        f"{name} is no setting, and has no effect"
        for name in sorted(environ.keys() - known)
        if name.startswith("RIGEL_") and not _SERVICE_LINK.match(name)
    ]
    return values, tuple(notes)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise SettingsError(message)


def make_parser(table: Sequence[Setting]) -> argparse.ArgumentParser:
    """A parser that takes every flag of the table; its texts are not looked at."""
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [flags]",
        description="A flag wins over its RIGEL_ variable, and that over its ORION_ variable.",
        allow_abbrev=False,
        add_help=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(*_HELP_FLAGS, action="help", help="show this text")
    group = parser.add_argument_group()
    for row in table:
        if row.group:
            group = parser.add_argument_group(row.group)
        dest = row.name or row.orion
        text = row.help
        if row.name:
            text += f" [{row.show(row.default)}] ({', '.join(row.variables)})"
            text += "" if row.state is State.ACTIVE else f"; {row.state.value}"
        if not row.is_switch:
            metavar = "|".join(row.choices) or (row.measure or "value").upper()
            group.add_argument(*row.flags, dest=dest, metavar=metavar, help=text)
            continue
        group.add_argument(*row.flags, dest=dest, action="store_const", const="true", help=text)
        if row.negation:
            group.add_argument(
                *row.negation,
                dest=dest,
                action="store_const",
                const="false",
                help=argparse.SUPPRESS,
            )
    return parser


def _parse(table: Sequence[Setting], argv: Sequence[str]) -> dict[str, str]:
    """The texts given by flags, by the row's name (by its spelling in Orion without one)."""
    known = {*_HELP_FLAGS, *(flag for row in table for flag in row.flags + row.negation)}
    for word in argv:
        # argparse takes `-por` for `-port` even where abbreviations are off, so names are
        # looked at first.
        flag = word.partition("=")[0]
        if flag.startswith("-") and _NUMBER.fullmatch(flag) is None and flag not in known:
            close = difflib.get_close_matches(flag, known, n=1)
            raise SettingsError(
                f"unknown flag {flag!r}" + (f"; is {close[0]} meant?" if close else "")
            )
    parsed, rest = make_parser(table).parse_known_args(list(argv))
    if rest:
        raise SettingsError(f"{rest[0]!r} belongs to no flag")
    return vars(parsed)


def _find(
    row: Setting, given_flags: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[str, str | None]:
    """Where the value of a row comes from, and its text; None where only the default is."""
    text = given_flags.get(row.name or row.orion)
    if text is not None:
        return "/".join(row.flags), text
    for variable in row.variables:
        if text := environ.get(variable):
            return variable, text
    return "", None
