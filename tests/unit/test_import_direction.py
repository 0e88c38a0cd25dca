"""Imports between the rooms run one way, and the distribution has every room that is there."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What a room may import of ours, beside itself.
ALLOWED = {
    # _native is the bottom: compiled kernels that import nothing of ours, so ngsi may lean on them
    # for what it does hot and still does no I/O.
    "_native": set[str](),
    "ngsi": {"_native"},
    "broker": {"ngsi", "_native"},
    "discovery": {"ngsi"},
    "federation": {"discovery", "ngsi"},
    "orchestration": {"federation", "discovery", "ngsi"},
    # Fills a broker's data directory; stands above the broker, which knows nothing of it.
    "importer": {"broker", "ngsi", "_native"},
}
# These stand above the rooms and may use any; no room may use them.
ABOVE = {"demo", "loadtests", "tests", "rigel"}
OURS = ALLOWED.keys() | ABOVE
# Wires rooms to each other, and does nothing else. It may use every room, and the front door for
# the version that it tells.
WIRING = "__main__.py"
WIRED = ALLOWED.keys() | {"rigel"}

CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<source>[\w.]+)\s+c?import\b|c?import\s+(?P<names>[\w., ]+))", re.MULTILINE
)


def python_imports(text: str) -> Iterator[str]:
    """Absolute names imported anywhere in a module, also within functions."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def cython_imports(text: str) -> Iterator[str]:
    for match in CYTHON_IMPORT.finditer(text):
        if match["source"]:
            yield match["source"]
        else:
            yield from (name.split()[0] for name in match["names"].split(",") if name.strip())


def wrong_imports(root: Path) -> list[str]:
    found = []
    for room, below in ALLOWED.items():
        for path in sorted((root / room).rglob("*")):
            if path.suffix not in (".py", ".pyi", ".pyx", ".pxd"):
                continue
            allowed = WIRED if path.name == WIRING else below
            read = python_imports if path.suffix in (".py", ".pyi") else cython_imports
            for name in read(path.read_text(encoding="utf-8")):
                top = name.partition(".")[0]
                if top in OURS and top != room and top not in allowed:
                    found.append(f"{path.relative_to(root)} imports {name}")
    return found


def test_imports_run_one_way() -> None:
    assert wrong_imports(ROOT) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("ngsi/query.py", "import broker"),
        ("ngsi/v2/entities.py", "def f() -> None:\n    from broker.engine import Engine"),
        ("_native/lane.pyx", "from ngsi.model cimport Entity"),
        ("_native/lane.pyx", "import json, ngsi.model as model"),
        ("_native/__init__.pyi", "from ngsi import model"),
        ("broker/http/routes.py", "from discovery import client"),
        ("broker/engine.py", "import rigel"),
        ("broker/__main__.py", "from demo import run"),
        ("discovery/registry.py", "from broker.settings import Settings"),
        ("federation/table.py", "from orchestration import planner"),
    ],
)
def test_a_wrong_import_is_found(path: str, line: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(line + "\n")
    assert len(wrong_imports(tmp_path)) == 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("broker/engine.py", "from ngsi import model\nfrom _native import FrameEncoder"),
        ("broker/engine.py", "from broker.ports import Provider\nimport json"),
        ("broker/__main__.py", "from discovery import client"),
        ("broker/__main__.py", "from rigel import __version__"),
        ("ngsi/v2/render.py", "from _native.document import x"),
        ("orchestration/planner.py", "import federation.table, ngsi.model"),
        ("ngsi/v2/entities.py", "from . import render"),
    ],
)
def test_a_right_import_is_let_be(path: str, line: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(line + "\n")
    assert wrong_imports(tmp_path) == []


def test_the_distribution_lists_every_package_that_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tops = [*ALLOWED, "demo"]
    there = sorted(
        ".".join(init.parent.relative_to(ROOT).parts)
        for top in tops
        for init in (ROOT / top).rglob("__init__.py")
    )
    assert project["tool"]["setuptools"]["packages"] == there


def test_every_folder_of_modules_is_a_package() -> None:
    without = {
        str(path.parent.relative_to(ROOT))
        for top in [*ALLOWED, "demo"]
        for path in (ROOT / top).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert without == set()
