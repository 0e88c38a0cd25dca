"""What the commands of this folder have in common: options, the results file, the plot.

A results file is JSON: `benchmark` names the command, `parameters` how it was asked, `figures`
what it found, `machine` what it ran on, with versions, and `builds` of which code: fingerprints
of the broker's files, more than one if they changed while it was measured. A command writes it
again after each point, so that a long run that ends early keeps what it has; with `--resume` it
goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from loadtests.report import describe_machine
from loadtests.servers import find_nginx, read_nginx_version

_ROOT: Final = Path(__file__).resolve().parents[1]
_MEASURED: Final = ("_native", "broker", "ngsi")  # the rooms that a broker is made of
_CODE: Final = (".py", ".so")


def add_options(parser: argparse.ArgumentParser, *, resumable: bool = False) -> None:
    """The options that every command has."""
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them, as a PNG file")
    parser.add_argument(
        "--directory", type=Path, help="where the brokers keep their data meanwhile"
    )
    if resumable:
        parser.add_argument(
            "--resume", action="store_true", help="keep the points that --output has already"
        )


def check_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with exit code 2 for what would fail only after the run."""
    if arguments.plot is not None and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install 'rigel-broker[load]'")
    for name in ("output", "plot"):
        path: Path | None = getattr(arguments, name)
        if path is not None and not path.parent.is_dir():
            parser.error(f"--{name}: there is no directory {path.parent}")
    directory: Path | None = arguments.directory
    if directory is not None and not directory.is_dir():
        parser.error(f"--directory: there is no directory {directory}")
    if getattr(arguments, "resume", False) and arguments.output is None:
        parser.error("--resume needs --output")


def save(arguments: argparse.Namespace, document: dict[str, Any]) -> None:
    """Write and draw what was found, as far as asked for."""
    note_build(document)
    if len(document["builds"]) > 1:
        print("\nThe broker's files changed meanwhile: the figures are of several builds.")
    if arguments.output is not None:
        write_document(arguments.output, document)
    if arguments.plot is not None:
        from loadtests.plots import draw  # matplotlib is optional

        draw(document, arguments.plot)


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Write a results file as a whole or not at all. Raises OSError."""
    note_build(document)
    unfinished = path.with_name(f"{path.name}.tmp")
    unfinished.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)


def note_build(document: dict[str, Any]) -> None:
    """Add the fingerprint of the broker's files as they are now, if it is another."""
    build = fingerprint_broker()
    if build not in document["builds"]:
        document["builds"].append(build)


def fingerprint_broker() -> str:
    """12 digits that change with any file that a broker runs from."""
    digest = hashlib.sha256()
    for room in _MEASURED:
        for path in sorted((_ROOT / room).rglob("*")):
            if path.suffix in _CODE:
                digest.update(str(path.relative_to(_ROOT)).encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def begin_document(benchmark: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """A results document without figures. `load_before`: what else the machine had to do."""
    nginx = find_nginx()
    return {
        "benchmark": benchmark,
        "parameters": parameters,
        "figures": {},
        "builds": [fingerprint_broker()],
        "load_before": os.getloadavg()[0],
        "machine": describe_machine(None if nginx is None else read_nginx_version(nginx)),
    }


def resume_document(arguments: argparse.Namespace, begun: dict[str, Any]) -> dict[str, Any]:
    """The document that a former run wrote, if `--resume` asks for it; else `begun`.

    Raises ValueError if it is of another benchmark, of other parameters, of another machine or of
    another build: its points and new ones would not be of the same thing.
    """
    path: Path | None = arguments.output
    if not arguments.resume or path is None or not path.exists():
        return begun
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no results file: {error}") from None
    for name in ("benchmark", "parameters", "machine", "builds"):
        if found.get(name) != begun[name]:
            raise ValueError(f"{path} differs in its {name}: cannot go on with it")
    return found
