"""No acknowledged change is lost when the process is killed, at whatever moment."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

KILLER = Path(__file__).with_name("killed_writer.py")
ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("durability", "kills", "python"),
    [
        ("process", 40, "/bin/false"),
        ("power", 12, "/bin/false"),
        ("process", 5, sys.executable),  # orphaned compactions hold up the next start
    ],
)
def test_kills_at_random_moments_lose_nothing(
    tmp_path: Path, durability: str, kills: int, python: str
) -> None:
    run = subprocess.run(
        [sys.executable, str(KILLER), str(tmp_path / "data"), str(kills), durability, python],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = re.fullmatch(r"(\d+) rounds, (\d+) changes, \d+ of \d+ merges killed\n", run.stdout)
    assert found
    assert int(found[1]) == kills
    assert int(found[2]) >= kills
