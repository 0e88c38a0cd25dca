"""The door: ticks, commits, durability, rotation, the lock, what happens when a sync fails."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest
import pytest_asyncio

from broker.journal import (
    MAX_KEY_BYTES,
    MAX_PAYLOAD_BYTES,
    RESERVE_BYTES,
    Durability,
    Journal,
    JournalError,
    JournalLocked,
    State,
)
from broker.journal.format import segment_name
from broker.journal.recovery import list_directory
from ngsi.errors import InternalServerError

ReadStates: TypeAlias = Callable[..., dict[bytes, bytes]]
Write: TypeAlias = Callable[..., Awaitable[None]]

WRITING = [Durability.PROCESS, Durability.POWER]


def open_started(
    directory: Path, durability: Durability, *, segment_bytes: int = 1 << 20
) -> Journal:
    journal = Journal.open(
        directory, durability, segment_bytes=segment_bytes, python="/bin/false", lock_wait_s=0
    )
    journal.start(asyncio.get_running_loop())
    return journal


@pytest_asyncio.fixture(params=list(Durability))
async def journal(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    opened = open_started(tmp_path / "data", request.param)
    yield opened
    await opened.close()


async def test_a_tick_has_one_commit_for_all_its_writers(journal: Journal) -> None:
    journal.put(b"a", b"1")
    first = journal.committed()
    journal.put(b"b", b"2")
    assert journal.committed() is first
    assert not first.done()
    await first
    journal.put(b"c", b"3")
    assert journal.committed() is not first
    await journal.committed()


async def test_without_a_change_the_commit_is_done(journal: Journal) -> None:
    assert journal.committed().done()
    journal.put(b"a", b"1")
    await journal.committed()
    assert journal.committed().done()


async def test_a_tick_is_one_frame(tmp_path: Path) -> None:
    journal = open_started(tmp_path / "data", Durability.PROCESS)
    for _ in range(3):
        journal.put(b"a", b"1")
        journal.delete(b"a")
        await journal.committed()
    figures = journal.statistics()
    assert (figures.frames, figures.records, figures.segments) == (3, 6, 1)
    size = (tmp_path / "data" / segment_name(1)).stat().st_size
    assert 0 < figures.bytes_written < size
    await journal.close()


async def test_a_cancelled_waiter_takes_nobody_with_it(journal: Journal) -> None:
    async def change() -> None:
        journal.put(b"a", b"1")
        await journal.committed()

    waiters = [asyncio.create_task(change()) for _ in range(3)]
    await asyncio.sleep(0)  # all three wait for the same tick now
    waiters[1].cancel()
    outcomes = await asyncio.gather(*waiters, return_exceptions=True)
    assert outcomes[0] is None
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert outcomes[2] is None


async def test_callbacks_come_once_per_tick_in_order_before_the_waiters(journal: Journal) -> None:
    seen: list[str] = []
    journal.on_commit(lambda: seen.append(f"tick {journal.committed_tick}"))

    async def change() -> None:
        journal.put(b"a", b"1")
        tick = journal.tick
        await journal.committed()
        seen.append(f"waiter {tick}")

    for _ in range(3):
        await change()
    journal.put(b"a", b"2")
    journal.put(b"b", b"2")
    await journal.committed()
    assert seen == ["tick 1", "waiter 1", "tick 2", "waiter 2", "tick 3", "waiter 3", "tick 4"]


async def test_a_callback_that_fails_harms_nobody(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    def fail() -> None:
        raise ZeroDivisionError

    journal.on_commit(fail)
    journal.on_commit(lambda: seen.append(journal.committed_tick))
    journal.put(b"a", b"1")
    await journal.committed()
    assert seen == [1]
    assert "ZeroDivisionError" in caplog.text


def _note(settled: list[int], number: int, commit: asyncio.Future[None]) -> None:
    settled.append(number)


async def test_ticks_in_flight_settle_in_order(tmp_path: Path) -> None:
    journal = open_started(tmp_path / "data", Durability.POWER)
    settled: list[int] = []
    commits = []
    for number in range(20):
        journal.put(b"a", b"%d" % number)
        commit = journal.committed()
        commit.add_done_callback(partial(_note, settled, number))
        commits.append(commit)
        await asyncio.sleep(0)  # the tick ends, the disk may take its time
    await asyncio.gather(*commits)
    assert settled == list(range(20))
    assert 1 <= journal.statistics().syncs <= 20
    await journal.close()


async def test_power_acknowledges_only_what_was_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = os.fdatasync

    def record(fd: int) -> None:
        sync(fd)
        synced.append(os.fstat(fd).st_size)

    monkeypatch.setattr(os, "fdatasync", record)
    journal = open_started(tmp_path / "data", Durability.POWER)
    for number in range(5):
        journal.put(b"a", b"%d" % number)
        await journal.committed()
        assert synced[-1] == (tmp_path / "data" / segment_name(1)).stat().st_size
    await journal.close()


async def test_an_unchanging_change_waits_for_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_sync = threading.Event()
    sync = os.fdatasync

    def wait(fd: int) -> None:
        may_sync.wait()
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", wait)
    journal = open_started(tmp_path / "data", Durability.POWER)
    journal.put(b"a", b"1")
    first = journal.committed()
    await asyncio.sleep(0)
    # The next request finds a = 1 already and writes nothing: its answer must not come first.
    assert not journal.committed().done()
    may_sync.set()
    await first
    assert journal.committed().done()
    await journal.close()


@pytest.mark.parametrize("durability", WRITING)
async def test_closing_writes_what_was_appended_last(
    tmp_path: Path, durability: Durability, read_states: ReadStates
) -> None:
    journal = open_started(tmp_path / "data", durability)
    journal.put(b"a", b"1")
    commit = journal.committed()
    await journal.close()
    assert commit.done()
    await commit
    assert read_states(tmp_path / "data") == {b"a": b"1"}


@pytest.mark.parametrize("durability", WRITING)
async def test_after_closing_changes_are_refused(tmp_path: Path, durability: Durability) -> None:
    journal = open_started(tmp_path / "data", durability)
    await journal.close()
    await journal.close()
    assert journal.state is State.CLOSED
    with pytest.raises(InternalServerError, match="shutting down"):
        journal.admit()
    journal.put(b"a", b"1")
    with pytest.raises(InternalServerError, match="shutting down"):
        await journal.committed()


async def test_a_run_without_a_change_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        journal = open_started(tmp_path / "data", Durability.PROCESS)
        await journal.close()
    assert list_directory(tmp_path / "data").segments == ()


async def test_none_needs_no_directory() -> None:
    journal = Journal.open(None, Durability.NONE)
    assert list(journal.load()) == []
    journal.start(asyncio.get_running_loop())
    journal.admit()
    journal.put(b"a", b"1")
    journal.patch(b"a", b"{}")
    journal.delete(b"a")
    await journal.committed()
    assert journal.statistics().bytes_written == 0
    await journal.close()


async def test_none_leaves_a_directory_alone(tmp_path: Path) -> None:
    journal = open_started(tmp_path / "data", Durability.NONE)
    journal.put(b"a", b"1")
    await journal.committed()
    await journal.close()
    assert os.listdir(tmp_path) == []


def test_a_directory_is_needed_for_durability() -> None:
    with pytest.raises(JournalError, match="data directory"):
        Journal.open(None, Durability.PROCESS)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="file/data"):
        Journal.open(tmp_path / "file" / "data", Durability.PROCESS)


@pytest.mark.parametrize("started_first", [True, False])
async def test_loading_in_a_thread_before_or_after_the_start(
    tmp_path: Path, started_first: bool, write: Write
) -> None:
    journal = open_started(tmp_path / "data", Durability.PROCESS)
    await write(journal, [[("put", b"a", b"1")], [("put", b"b", b"2")]])
    await journal.close()
    journal = Journal.open(tmp_path / "data", Durability.PROCESS)
    if started_first:
        journal.start(asyncio.get_running_loop())
    loaded = await asyncio.to_thread(lambda: dict(journal.load()))
    if not started_first:
        journal.start(asyncio.get_running_loop())
    assert loaded == {b"a": b"1", b"b": b"2"}
    assert list(journal.load()) == []
    await journal.close()


async def test_segments_rotate_under_appends(tmp_path: Path, read_states: ReadStates) -> None:
    journal = open_started(tmp_path / "data", Durability.PROCESS, segment_bytes=2000)
    expected = {}
    for number in range(200):
        key, document = b"k%d" % (number % 7), b'{"n":%d}' % number
        expected[key] = document
        journal.put(key, document)
        await journal.committed()
    segments = journal.statistics().segments
    await journal.close()
    assert segments > 4
    listing = list_directory(tmp_path / "data")
    assert len(listing.segments) == segments
    for number in listing.segments[:-1]:
        assert 2000 <= listing.segment_path(number).stat().st_size < 2200
    assert read_states(tmp_path / "data") == expected


async def test_a_large_tick_is_written_in_parts(tmp_path: Path, read_states: ReadStates) -> None:
    journal = open_started(tmp_path / "data", Durability.PROCESS)
    document = b'"%s"' % (b"x" * (1 << 20))
    for number in range(10):
        journal.admit()
        journal.put(b"%d" % number, document)
    early = journal.statistics().frames
    await journal.committed()
    assert early == 2
    assert journal.statistics().frames == 3
    await journal.close()
    assert read_states(tmp_path / "data") == {b"%d" % number: document for number in range(10)}


async def test_what_is_too_long_is_refused_and_harms_nothing(
    tmp_path: Path, read_states: ReadStates
) -> None:
    journal = open_started(tmp_path / "data", Durability.PROCESS)
    key, document = b"k" * MAX_KEY_BYTES, b'"%s"' % (b"x" * (MAX_PAYLOAD_BYTES - 2))
    journal.admit(MAX_KEY_BYTES + MAX_PAYLOAD_BYTES + 7)
    journal.put(key, document)
    with pytest.raises(ValueError, match="65536 bytes"):
        journal.put(key + b"k", b"1")
    with pytest.raises(ValueError, match="payload"):
        journal.put(b"k", document + b" ")
    await journal.committed()
    await journal.close()
    assert read_states(tmp_path / "data") == {key: document}


async def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    journal = open_started(tmp_path / "data", Durability.PROCESS)
    with pytest.raises(JournalLocked, match=f"owner: process {os.getpid()}"):
        Journal.open(tmp_path / "data", Durability.PROCESS, lock_wait_s=0)
    await journal.close()
    await open_started(tmp_path / "data", Durability.PROCESS).close()


def test_a_restarted_broker_waits_for_an_owner_that_ends(tmp_path: Path) -> None:
    # A compaction whose broker was killed holds the lock by an inherited descriptor.
    fd = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with (
        subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, pass_fds=[fd]) as holder,
        ThreadPoolExecutor() as executor,
    ):
        os.close(fd)
        with pytest.raises(JournalLocked):
            Journal.open(tmp_path, Durability.PROCESS, lock_wait_s=0.1)
        opening = executor.submit(Journal.open, tmp_path, Durability.PROCESS, lock_wait_s=30)
        assert holder.stdin is not None
        holder.stdin.close()
        asyncio.run(opening.result().close())


@pytest.mark.parametrize("durability", WRITING)
async def test_after_a_failed_sync_nothing_is_promised(
    tmp_path: Path,
    durability: Durability,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("broker.journal.appender._SYNC_INTERVAL_S", 0.0)
    journal = open_started(tmp_path / "data", durability)
    journal.put(b"a", b"1")
    await journal.committed()
    ticks: list[int] = []
    journal.on_commit(lambda: ticks.append(journal.committed_tick))
    calls = []

    def fail(fd: int) -> None:
        calls.append(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fail)
    failed = asyncio.Event()
    monkeypatch.setattr(journal, "failed", _then(journal.failed, failed.set))
    journal.put(b"a", b"2")
    commit = journal.committed()
    await failed.wait()
    if durability is Durability.POWER:
        with pytest.raises(InternalServerError, match="Input/output error"):
            await commit
        assert ticks == []
    else:
        await commit  # it was in the kernel's hands, as promised
    with pytest.raises(InternalServerError, match="cannot write its data any more"):
        journal.admit()
    assert journal.state is State.FAILED
    assert [r.levelno for r in caplog.records] == [logging.CRITICAL]
    # A second fsync(2) would succeed and lie: the kernel has dropped the page.
    journal.put(b"a", b"3")
    with pytest.raises(InternalServerError):
        await journal.committed()
    await journal.close()
    assert len(calls) == 1


def _then(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        first()
        second()

    return both


async def test_an_idle_journal_says_that_all_of_it_is_stable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.journal.appender._SYNC_INTERVAL_S", 0.0)
    journal = open_started(tmp_path / "data", Durability.PROCESS)
    journal.put(b"a", b"1")
    await journal.committed()
    async with asyncio.timeout(30):
        while journal.statistics().frames < 2:  # noqa: ASYNC110 - nobody is told of a mark
            await asyncio.sleep(0)
    assert journal.statistics().records == 1
    for _ in range(100):
        await asyncio.sleep(0)
    assert journal.statistics().frames == 2  # once is enough
    await journal.close()


async def test_admission_reserves_room_on_the_disk(tmp_path: Path) -> None:
    journal = open_started(tmp_path / "data", Durability.PROCESS)
    path = tmp_path / "data" / segment_name(1)
    journal.admit()
    assert path.stat().st_blocks * 512 >= RESERVE_BYTES
    size = path.stat().st_size
    journal.admit(10 * RESERVE_BYTES)
    assert path.stat().st_blocks * 512 >= 10 * RESERVE_BYTES
    assert path.stat().st_size == size
    journal.put(b"a", b"1")
    await journal.close()
    assert path.stat().st_blocks * 512 < RESERVE_BYTES


async def test_file_systems_that_cannot_reserve_are_asked_for_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_states: ReadStates
) -> None:
    def unsupported(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr("broker.journal.segment.preallocate", unsupported)
    journal = open_started(tmp_path / "data", Durability.PROCESS)
    journal.admit()
    journal.put(b"a", b"1")
    await journal.committed()
    with pytest.raises(InternalServerError, match="no room"):
        journal.admit(1 << 60)
    assert journal.state is State.FULL
    await journal.close()
    assert read_states(tmp_path / "data") == {b"a": b"1"}
