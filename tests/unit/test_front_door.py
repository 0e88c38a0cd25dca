"""`rigel <command>`: what it prints, what it returns, and what it does not import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

import rigel
from broker.messages import USER_AGENT

ROOT = Path(__file__).parents[2]


def room(monkeypatch: pytest.MonkeyPatch, module: str, code: int) -> list[Sequence[str]]:
    """Put a room in the place of `module`; its calls are in the list returned."""
    calls: list[Sequence[str]] = []

    def main(argv: Sequence[str]) -> int:
        calls.append(argv)
        return code

    made = ModuleType(module)
    vars(made)["main"] = main
    monkeypatch.setitem(sys.modules, module, made)
    return calls


@pytest.mark.parametrize("name", rigel.COMMANDS)
def test_a_command_gets_the_rest_of_the_line_and_gives_the_exit_code(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = room(monkeypatch, rigel.COMMANDS[name].module, 7)
    assert rigel.main([name, "-port", "0", "--help"]) == 7
    assert calls == [["-port", "0", "--help"]]


def test_the_line_of_the_process_is_taken_without_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = room(monkeypatch, rigel.COMMANDS["broker"].module, 0)
    monkeypatch.setattr(sys, "argv", ["rigel", "broker", "-fg"])
    assert rigel.main() == 0
    assert calls == [["-fg"]]


@pytest.mark.parametrize("argv", [["--version"], ["broker", "--version"], ["broker", "-version"]])
def test_version(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert rigel.main(argv) == 0
    assert capsys.readouterr().out == f"rigel {rigel.__version__}\n"


def test_the_version_that_others_are_told() -> None:
    assert USER_AGENT.split()[-1] == f"rigel/{rigel.__version__}"
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert f"image: rigel-broker:{rigel.__version__}\n" in compose


@pytest.mark.parametrize("flag", ["--help", "-h", "-U"])
def test_help_lists_the_commands(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert rigel.main([flag]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, command in rigel.COMMANDS.items():
        assert [line for line in lines if line.split()[:1] == [name] and command.summary in line]


def test_no_command_is_a_mistake_that_is_answered_with_the_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert rigel.main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage: rigel <command>" in captured.err


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert rigel.main(["brokr", "-fg"]) == 2
    assert "unknown command 'brokr'" in capsys.readouterr().err


def test_a_room_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(rigel.COMMANDS, "nowhere", rigel.Command("no_such_room.__main__", "x"))
    assert rigel.main(["nowhere"]) == 2
    assert "not part of this installation" in capsys.readouterr().err


def test_a_room_that_lacks_a_library_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "half_a_room.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(rigel.COMMANDS, "half", rigel.Command("half_a_room", "x"))
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        rigel.main(["half"])


def test_as_a_program_it_imports_no_room_for_its_help() -> None:
    source = (
        "import sys, rigel; code = rigel.main(['--help']);"
        "rooms = {name.partition('.')[0] for name in sys.modules};"
        "sys.exit(code or bool(rooms & {'broker', 'ngsi', '_native', 'demo', 'aiohttp', 'rich'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_as_a_program_it_returns_the_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "rigel.py", "settings", "--markdown"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "rigel.py", "x"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
