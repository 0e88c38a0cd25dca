"""Merging closed segments: right, crash-safe at every step, harmless when it fails."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from broker.journal import Durability, Journal, JournalDamaged, JournalError
from broker.journal.compaction import compact
from broker.journal.format import segment_name, snapshot_name
from broker.journal.recovery import list_directory, read_snapshot, read_snapshot_footer

MakeJournal: TypeAlias = Callable[..., Path]
ReadStates: TypeAlias = Callable[..., dict[bytes, bytes]]
Write: TypeAlias = Callable[..., Awaitable[None]]

RUNS = [
    [[("put", b"a", b'{"n":1}'), ("put", b"b", b'{"n":1}')], [("patch", b"a", b'{"m":1}')]],
    [[("delete", b"b", b"")], [("patch", b"a", b'{"n":null}'), ("put", b"c", b'{"n":3}')]],
    [[("put", b"b", b'{"n":4}')], [("patch", b"b", b'{"m":5}'), ("delete", b"c", b"")]],
]
LATEST = {b"a": b'{"m":1}', b"b": b'{"n":4,"m":5}'}


@pytest.fixture
def directory(make_journal: MakeJournal) -> Path:
    """A journal of three closed segments."""
    for run in RUNS:
        made = make_journal(run)
    assert list_directory(made).segments == (1, 2, 3)
    return made


@pytest.mark.parametrize("steps", [[1], [2], [3], [1, 2], [1, 3], [2, 3], [1, 2, 3]])
def test_merging_changes_nothing(
    directory: Path, steps: list[int], read_states: ReadStates
) -> None:
    for up_to in steps:
        compact(directory, up_to)
        listing = list_directory(directory)
        assert listing.snapshots == (up_to,)
        assert listing.segments == tuple(range(up_to + 1, 4))
        assert read_states(directory) == LATEST


def test_a_snapshot_holds_the_latest_states(directory: Path) -> None:
    compact(directory, 3)
    path = directory / snapshot_name(3)
    assert dict(read_snapshot(path, 3)) == LATEST
    footer = read_snapshot_footer(path, 3)
    assert footer.records == 2
    assert footer.sequence == 9  # two changes and a mark in each run


def test_many_documents_take_many_frames(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    changes = [("put", b"%d" % number, b'"%s"' % (b"x" * 1000)) for number in range(1000)]
    directory = make_journal([changes])
    compact(directory, 1)
    assert read_states(directory) == {key: document for _, key, document in changes}


def test_a_document_may_grow_beyond_one_record(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    part = b'"%s"' % (b"x" * (9 << 20))
    directory = make_journal(
        [[("put", b"a", b'{"0":%s}' % part)], [("patch", b"a", b'{"1":%s}' % part)]]
    )
    compact(directory, 1)
    assert read_states(directory) == {b"a": b'{"0":%s,"1":%s}' % (part, part)}


def test_every_state_that_a_crash_leaves_is_read(
    directory: Path, tmp_path: Path, read_states: ReadStates
) -> None:
    compact(directory, 1)
    before = tmp_path / "before"
    shutil.copytree(directory, before)
    compact(directory, 3)
    snapshot = (directory / snapshot_name(3)).read_bytes()

    def check(name: str, change: Callable[[Path], object]) -> None:
        crashed = tmp_path / name
        shutil.copytree(before, crashed)
        change(crashed)
        assert read_states(crashed) == LATEST
        assert not list(crashed.glob("*.tmp"))

    for size in range(0, len(snapshot) + 1, 7):

        def write_part(crashed: Path, size: int = size) -> None:
            (crashed / (snapshot_name(3) + ".tmp")).write_bytes(snapshot[:size])

        check(f"writing-{size}", write_part)
    leftovers = [segment_name(2), segment_name(3), snapshot_name(1)]
    for removed in range(len(leftovers) + 1):

        def remove(crashed: Path, removed: int = removed) -> None:
            (crashed / snapshot_name(3)).write_bytes(snapshot)
            for name in leftovers[:removed]:
                (crashed / name).unlink()

        check(f"removing-{removed}", remove)


def test_loading_removes_what_a_crashed_compaction_left(directory: Path) -> None:
    kept = {name: (directory / name).read_bytes() for name in map(segment_name, (1, 2))}
    compact(directory, 2)
    for name, data in kept.items():
        (directory / name).write_bytes(data)
    journal = Journal.open(directory, Durability.PROCESS)
    loading = journal.load()
    next(loading)
    assert list_directory(directory).segments == (1, 2, 3)  # not before the snapshot is proved
    assert dict(loading)
    assert list_directory(directory).segments == (3,)
    asyncio.run(journal.close())


def test_a_damaged_snapshot_removes_nothing(directory: Path) -> None:
    kept = (directory / segment_name(1)).read_bytes()
    compact(directory, 2)
    (directory / segment_name(1)).write_bytes(kept)
    path = directory / snapshot_name(2)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    journal = Journal.open(directory, Durability.PROCESS)
    with pytest.raises(JournalDamaged):
        list(journal.load())
    asyncio.run(journal.close())
    assert list_directory(directory).segments == (1, 3)


def test_damage_ends_a_compaction_and_changes_nothing(directory: Path) -> None:
    path = directory / segment_name(1)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(JournalDamaged):
        compact(directory, 2)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_only_what_is_there_is_merged(directory: Path) -> None:
    with pytest.raises(JournalError, match="no segment 4"):
        compact(directory, 4)
    assert list_directory(directory).segments == (1, 2, 3)


def test_a_full_disk_ends_a_compaction_and_changes_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in directory.iterdir()}

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        compact(directory, 3)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


async def compacted(journal: Journal) -> None:
    async with asyncio.timeout(50):
        while journal.statistics().compaction_running:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_a_broker_merges_in_a_process_of_its_own(
    tmp_path: Path, write: Write, read_states: ReadStates, loop_name: str
) -> None:
    async def run() -> None:
        journal = Journal.open(tmp_path, Durability.PROCESS, segment_bytes=10_000)
        assert list(journal.load()) == []
        journal.start(asyncio.get_running_loop())
        number = 0
        while not journal.statistics().compaction_running:
            await write(journal, [[("put", b"%d" % (number % 50), b'{"n":%d}' % number)]])
            number += 1
        for extra in range(500):
            await write(journal, [[("patch", b"%d" % (extra % 50), b'{"m":%d}' % extra)]])
        await compacted(journal)
        figures = journal.statistics()
        assert figures.compactions >= 1
        assert figures.failed_compactions == 0
        assert figures.snapshot_bytes > 0
        assert figures.snapshot_age_s is not None
        assert figures.closed_bytes < 30_000
        await journal.close()
        states = read_states(tmp_path)
        assert len(states) == 50
        for extra in range(450, 500):
            assert states[b"%d" % (extra % 50)].endswith(b',"m":%d}' % extra)

    if loop_name == "uvloop":
        import uvloop

        uvloop.run(run())
    else:
        asyncio.run(run())
    assert list_directory(tmp_path).snapshot > 0
    assert not list(tmp_path.glob("*.tmp"))


async def test_a_failed_compaction_is_logged_and_paused(
    tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture, read_states: ReadStates
) -> None:
    journal = Journal.open(tmp_path, Durability.PROCESS, segment_bytes=1000, python="/bin/false")
    assert list(journal.load()) == []
    journal.start(asyncio.get_running_loop())
    while not journal.statistics().failed_compactions:
        await write(journal, [[("put", b"a", b'{"n":1}')]])
        await compacted(journal)
    for _ in range(200):
        await write(journal, [[("put", b"a", b'{"n":2}')]])
    assert journal.statistics().failed_compactions == 1
    assert not journal.statistics().compaction_running
    await journal.close()
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "exit code 1" in errors[0]
    assert read_states(tmp_path) == {b"a": b'{"n":2}'}


async def test_closing_ends_a_compaction_that_takes_long(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch, read_states: ReadStates
) -> None:
    monkeypatch.setattr("broker.journal.compactor._GRACE_S", 0.0)
    journal = Journal.open(tmp_path, Durability.PROCESS, segment_bytes=1000, python=sys.executable)
    assert list(journal.load()) == []
    journal.start(asyncio.get_running_loop())
    while not journal.statistics().compaction_running:
        await write(journal, [[("put", b"a", b'{"n":1}')]])
    await journal.close()
    # The process is gone, and the lock with it.
    again = Journal.open(tmp_path, Durability.PROCESS, lock_wait_s=0)
    await again.close()
    assert read_states(tmp_path) == {b"a": b'{"n":1}'}


async def test_many_small_segments_are_merged(
    make_journal: MakeJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.journal.compactor._MAX_CLOSED_SEGMENTS", 2)
    directory = await asyncio.to_thread(_restart, make_journal)
    journal = Journal.open(directory, Durability.PROCESS)
    journal.start(asyncio.get_running_loop())
    assert not journal.statistics().compaction_running  # what is not loaded must stay
    assert dict(await asyncio.to_thread(lambda: list(journal.load()))) == LATEST
    await asyncio.sleep(0)
    assert journal.statistics().compaction_running
    await compacted(journal)
    await journal.close()
    assert list_directory(directory).segments == ()
    assert list_directory(directory).snapshots == (3,)


def _restart(make_journal: MakeJournal) -> Path:
    for run in RUNS:
        directory = make_journal(run)
    return directory
