"""A full disk, played by a limit of the file size in a process of its own."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from broker.journal.format import FILE_HEADER, segment_name
from broker.journal.recovery import list_directory

ReadStates: TypeAlias = Callable[..., dict[bytes, bytes]]

WRITER = Path(__file__).with_name("limited_writer.py")
ROOT = Path(__file__).parents[4]
LIMIT_BYTES = 12 * 1024 * 1024
DURABILITIES = ["process", "power"]


class Writer:
    """The other end of `limited_writer.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._input = process.stdin
        self._output = process.stdout

    def hear(self) -> str:
        return self._output.readline().rstrip("\n")

    def go_on(self) -> None:
        self._input.write("\n")
        self._input.flush()


@contextmanager
def writer(directory: Path, scene: str, durability: str, limit_bytes: int) -> Iterator[Writer]:
    def limit() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))

    with subprocess.Popen(
        [sys.executable, str(WRITER), str(directory), scene, durability],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        preexec_fn=limit,  # one thread, and the limit must not be ours
    ) as process:
        try:
            yield Writer(process)
        finally:
            process.kill()


@pytest.mark.parametrize("durability", DURABILITIES)
def test_without_room_changes_are_refused_until_there_is_some(
    tmp_path: Path, durability: str, read_states: ReadStates
) -> None:
    with writer(tmp_path, "admit", durability, LIMIT_BYTES) as child:
        assert child.hear() == "refused the broker has no room for its data: File too large"
        acknowledged = int(child.hear().removeprefix("acknowledged "))
        assert acknowledged > 0
        size = (tmp_path / segment_name(1)).stat().st_size
        assert size < LIMIT_BYTES
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path, copy, ignore=shutil.ignore_patterns("copy"))
        _, hard = resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (LIMIT_BYTES * 4, hard))
        child.go_on()
        assert child.hear() == f"acknowledged {acknowledged + 1}"
        assert child.hear() == "closed"
        assert child.process.wait() == 0
    assert set(read_states(copy)) == {b"%d" % number for number in range(acknowledged)}
    assert set(read_states(tmp_path)) == {b"%d" % number for number in range(acknowledged + 1)}


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_failed_write_leaves_no_part_and_is_made_up_for(
    tmp_path: Path, durability: str, read_states: ReadStates
) -> None:
    with writer(tmp_path, "write", durability, LIMIT_BYTES) as child:
        assert child.hear() == "committed 1"
        size = (tmp_path / segment_name(1)).stat().st_size
        child.go_on()
        assert child.hear() == "failed the broker has no room for its data: File too large"
        assert child.hear() == "refused the broker has no room for its data: File too large"
        assert (tmp_path / segment_name(1)).stat().st_size == size
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path, copy, ignore=shutil.ignore_patterns("copy"))
        child.go_on()
        # What memory holds, though its writer was told of a failure, is in the journal again
        # before anything that builds on it.
        assert child.hear() == "committed 2"
        assert child.hear() == "committed 3"
        assert child.hear() == "closed"
        assert child.process.wait() == 0
    assert read_states(copy) == {b"first": b"1"}
    states = read_states(tmp_path)
    assert set(states) == {b"first", b"second", b"third"}


def test_a_full_disk_at_the_start_refuses_changes_only(tmp_path: Path) -> None:
    with writer(tmp_path, "admit", "process", FILE_HEADER.size) as child:
        assert child.hear() == "refused the broker has no room for its data: File too large"
        assert child.hear() == "acknowledged 0"
        assert list_directory(tmp_path).segments == ()
        _, hard = resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (LIMIT_BYTES, hard))
        child.go_on()
        assert child.hear() == "acknowledged 1"
        assert child.hear() == "closed"
