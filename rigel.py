"""The front door: `rigel <command>` imports the chosen room and gives it the rest of the line.

Owns: the names of the commands and the version. Must not: import a room before its command is
chosen, or do a command's work. Costs: the import of one room.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, cast

__version__: Final = "0.1.0"

USAGE_ERROR: Final = 2  # the exit code of a command line that is not understood
_VERSION_FLAGS: Final = ("--version", "-version")
_HELP_FLAGS: Final = ("--help", "-help", "-h", "-u", "-U")


class Command(NamedTuple):
    """A command: the module whose `main(argv: Sequence[str]) -> int` runs it."""

    module: str
    summary: str


COMMANDS: Final = {
    "broker": Command("broker.__main__", "run a context broker (takes the flags of Orion)"),
    "journal": Command("broker.journal.command", "verify, export or cut a broker's journal"),
    "import": Command("importer.command", "bring the data of a FIWARE Orion over"),
    "settings": Command("broker.settings.page", "list the settings (--markdown: as a page)"),
    "demo": Command("demo.__main__", "show a city at work on a broker of its own"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `argv` (None: the process's); returns its exit code, 2 if it is not understood."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        print(usage(), file=sys.stderr)
        return USAGE_ERROR
    if words[0] in _HELP_FLAGS:
        print(usage())
        return 0
    if any(word in _VERSION_FLAGS for word in words[:2]):
        print(f"rigel {__version__}")
        return 0
    name, *rest = words
    command = COMMANDS.get(name)
    if command is None:
        print(f"rigel: unknown command {name!r}; rigel --help lists them", file=sys.stderr)
        return USAGE_ERROR
    try:
        room = importlib.import_module(command.module)
    except ModuleNotFoundError as error:
        if error.name not in (command.module, command.module.partition(".")[0]):
            raise
        print(f"rigel: {name} is not part of this installation", file=sys.stderr)
        return USAGE_ERROR
    return cast(Callable[[Sequence[str]], int], room.main)(rest)


def usage() -> str:
    """What `rigel --help` prints: a line per command."""
    lines = ["usage: rigel <command> [flags]", ""]
    lines += [f"  {name:<10}{command.summary}" for name, command in COMMANDS.items()]
    lines += ["", "rigel <command> --help tells a command's flags, rigel --version the version."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
