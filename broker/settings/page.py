"""`rigel settings`: the table for a terminal, or as docs/settings.md.

Owns: the wording and layout of that page. Must not: know a particular setting. Costs: one pass
over the table.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from broker.settings.flags import make_parser
from broker.settings.row import Setting, State
from broker.settings.table import TABLE

_HEAD: Final = (
    "| Flags | Variables | Default | Allowed | Meaning |",
    "|---|---|---|---|---|",
)
_IGNORED_HEAD: Final = (
    "Flags of Orion that have no counterpart. Each that is given is noted in the log at start.",
    "",
    "| Flag | Variable | Reason |",
    "|---|---|---|",
)


def describe() -> str:
    """docs/settings.md: the table in Markdown."""
    lines = [
        "# Settings of `rigel broker`",
        "",
        "<!-- Made from broker/settings/table.py by `rigel settings --markdown`. -->",
        "",
        "A setting is given by a flag or by an environment variable. A flag wins over the",
        "`RIGEL_` variable, that wins over the `ORION_` variable, and that over the default.",
        "An empty variable counts as absent. Flags are taken in both spellings; a switch is put",
        "off again by `--no-` and its name. Variables of switches hold `TRUE`, `true`, `FALSE` or",
        "`false`. What is unknown or out of bounds ends the broker with exit code 2 and a message.",
        "",
        "Settings marked reloadable can change without a restart (in Orion's API by",
        "`PUT /admin/log` and `PUT /log/trace`).",
    ]
    for row in TABLE:
        if row.group:
            head = _IGNORED_HEAD if row.state is State.IGNORED else _HEAD
            lines += ["", f"## {row.group}", "", *head]
        lines.append(_describe_row(row))
    return "\n".join(lines) + "\n"


def _describe_row(row: Setting) -> str:
    if row.state is State.IGNORED:
        return f"| `{row.flags[0]}` | `{row.variables[0]}` | {row.help} |"
    meaning = row.help
    if row.reloadable:
        meaning += "; reloadable"
    if row.state is not State.ACTIVE:
        meaning += f" **({row.state.value})**"
    cells = (
        "<br>".join(f"`{flag}`" for flag in reversed(row.flags)),
        "<br>".join(f"`{variable}`" for variable in row.variables),
        f"`{row.show(row.default)}`",
        row.allowed,
        meaning,
    )
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def main(argv: Sequence[str]) -> int:
    """`rigel settings [--markdown]`: the table, for a terminal or as docs/settings.md."""
    if list(argv) == ["--markdown"]:
        sys.stdout.write(describe())
    elif not argv or list(argv) == ["--help"]:
        sys.stdout.write(make_parser(TABLE).format_help())
    else:
        print(f"rigel settings: {argv[0]!r} is not --markdown", file=sys.stderr)
        return 2
    return 0
