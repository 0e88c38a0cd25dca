"""The journal's door for the engine: open, load, append, commit, close.

Owns the ticks: what is appended during one turn of the event loop becomes one frame, written
at the turn's end, with one future for all who wait for it. Knows keys and documents as bytes.
Everything but `load`, the sync thread and the compaction process is on the loop's thread.

Cost per append: one copy into the frame. Per tick: one CRC-32, one write(2), one callback.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from broker.journal.appender import RESERVE_BYTES, Appender
from broker.journal.commit import Commit, Durability, JournalStatistics, State
from broker.journal.compactor import Compactor
from broker.journal.format import JournalError
from broker.journal.lock import LOCK_WAIT_S, DirectoryLock
from broker.journal.recovery import (
    Recovery,
    current_boot_id,
    latest_states,
    list_directory,
    recover,
    remove_files,
    sync_directory,
)
from broker.ports import JournalPort
from ngsi.errors import InternalServerError

logger = logging.getLogger(__name__)

# Rotating costs a file, so not too small; a start replays at most a few of them.
SEGMENT_BYTES: Final = 64 * 1024 * 1024

# A tick that grew to this is written in parts, so that a bulk load does not fill memory.
_EARLY_WRITE_BYTES: Final = 4 * 1024 * 1024


class _InFlight(NamedTuple):
    """A tick that is written and waits to be stable."""

    sequence: int
    tick: int
    commit: Commit


class Journal(JournalPort):
    """An append-only journal of the latest JSON document of each key.

    Made by `open`; then `load` and `start`, in any order; then any number of changes. With
    Durability.NONE nothing is read or written, and everything else works the same.
    """

    def __init__(self, durability: Durability) -> None:
        super().__init__(RESERVE_BYTES, _EARLY_WRITE_BYTES)
        self.durability = durability
        self._directory = Path()
        self._python = sys.executable
        self._recovery: Recovery | None = None  # until it is loaded
        self._lock: DirectoryLock | None = None
        self._appender: Appender | None = None  # None: nothing is written
        self._compactor: Compactor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

        self._tick = 1
        self._committed_tick = 0
        self._done: Commit | None = None
        self._in_flight: deque[_InFlight] = deque()
        self._callbacks: list[Callable[[], None]] = []

    # ---- opening and loading -------------------------------------------------------------

    @classmethod
    def open(
        cls,
        directory: Path | None,
        durability: Durability,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        python: str = sys.executable,
        lock_wait_s: float = LOCK_WAIT_S,
    ) -> Journal:
        """Takes the directory (made if missing), checks it and reads its segments.

        `directory` may be None for Durability.NONE. `python` runs compactions. A torn tail is
        cut off with a warning. Raises JournalLocked when another process has the directory,
        JournalDamaged for damage that is no torn tail, JournalUnsupported for another format,
        JournalError when the directory cannot be used at all.
        """
        journal = cls(durability)
        if durability is Durability.NONE:
            return journal
        if directory is None:
            raise JournalError(f"durability {durability} needs a data directory")
        journal._directory = directory
        journal._python = python
        boot_id = current_boot_id()
        try:
            if not directory.is_dir():
                directory.mkdir(mode=0o750, parents=True)
                sync_directory(directory.parent)
            journal._lock = DirectoryLock.acquire(directory, wait_s=lock_wait_s)
            recovery = recover(directory, boot_id)
        except OSError as error:
            journal._release()
            raise JournalError(f"{directory} cannot be used: {error}") from None
        except JournalError:
            journal._release()
            raise
        journal._recovery = recovery
        journal._appender = Appender(
            directory,
            journal,
            next_number=recovery.last_number + 1,
            sequence=recovery.sequence,
            segment_bytes=segment_bytes,
            boot_id=boot_id,
        )
        journal._use(journal._appender.encoder)
        journal._compactor = Compactor(
            directory,
            closed=recovery.closed,
            snapshot=recovery.snapshot_path,
            minimum_bytes=segment_bytes,
        )
        return journal

    def load(self) -> Iterator[tuple[bytes, bytes]]:
        """The latest (key, JSON document) of every key that has one: once, before any change.

        May run in a thread, before or after `start`; compaction waits for its end. Raises
        JournalDamaged when it comes to damage in the snapshot: what was given before is right,
        but not all. Cost: 1 to 2 microseconds per document.
        """
        recovery = self._recovery
        if recovery is None:
            return
        yield from latest_states(recovery.snapshot_path, recovery.snapshot, recovery.take_changes())
        # What the snapshot replaced goes only now that the snapshot has proved to be whole.
        remove_files(list_directory(self._directory).merged())
        self._recovery = None
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._compact_if_due)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to take changes. On a full disk the journal starts, in the state "full"."""
        self._loop = loop
        self._done = Commit(loop=loop)
        self._done.set_result(None)
        if self._appender is not None:
            self._appender.start(loop)
            self._compact_if_due()

    # ---- appending -----------------------------------------------------------------------

    def _make_room(self, change_bytes: int) -> None:
        """Raises InternalServerError when nothing may be written now."""
        appender = self._appender
        if appender is not None and not appender.find_room(change_bytes):
            raise InternalServerError(appender.reason)

    def _begin_tick(self) -> None:
        assert self._loop is not None, "the journal was not started"
        self._is_due = True
        self._loop.call_soon(self._end_tick)

    def _write_early(self) -> None:
        if self._appender is not None:
            self._appender.write()  # what it could not write it says again at the tick's end

    @property
    def tick(self) -> int:
        """The number of the tick that is being collected."""
        return self._tick

    @property
    def committed_tick(self) -> int:
        """The number of the last tick that is committed."""
        return self._committed_tick

    def _give_commit(self) -> asyncio.Future[None]:
        """Done at once when nothing is buffered and nothing waits to be stable. Fails with
        InternalServerError when the write failed."""
        assert self._done is not None, "the journal was not started"
        if self._is_due:
            commit = self._commit = Commit(loop=self._loop)
            return commit
        return self._in_flight[-1].commit if self._in_flight else self._done

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Registers a callback for every committed tick, in order.

        `committed_tick` is its number then. Runs before whoever awaits the commit.
        """
        self._callbacks.append(callback)

    # ---- ticks ---------------------------------------------------------------------------

    def _end_tick(self) -> None:
        if not self._is_due:
            return  # closing came first
        self._is_due = False
        tick, commit = self._tick, self._commit
        self._tick += 1
        self._commit = None
        if self._appender is None:
            self._settle(tick, commit)
        elif self._appender.write():
            self._written(self._appender, tick, commit)
        elif commit is not None:
            _fail(commit, self._appender.reason)

    def _written(self, appender: Appender, tick: int, commit: Commit | None) -> None:
        """A tick is in the file."""
        if self.durability is Durability.POWER:
            # Also without a waiter: the next change may ask for what this one wrote.
            commit = commit or Commit(loop=self._loop)
            self._in_flight.append(_InFlight(appender.sequence, tick, commit))
            appender.request_sync()
        else:
            self._settle(tick, commit)

    def _settle(self, tick: int, commit: Commit | None) -> None:
        self._committed_tick = tick
        if commit is not None:
            commit.set_result(None)
        for callback in self._callbacks:
            try:
                callback()
            except Exception:
                # Its fault is not the writers': they are told what is true all the same.
                logger.exception("a callback of the journal's commit failed")

    # ---- what the appender tells (its Listener) --------------------------------------------

    def written_late(self) -> None:
        """Those who waited were told of a failure; that their changes are kept after all, as
        they are in memory, is for the callbacks to know."""
        if self._appender is not None:
            self._written(self._appender, self._tick - 1, None)

    def stable(self, sequence: int) -> None:
        """Settles the ticks that waited for it."""
        while self._in_flight and self._in_flight[0].sequence <= sequence:
            tick = self._in_flight.popleft()
            self._settle(tick.tick, tick.commit)

    def failed(self) -> None:
        """Fails the ticks that wait to be stable; those to come fail as they end."""
        while self._in_flight and self._appender is not None:
            _fail(self._in_flight.popleft().commit, self._appender.reason)

    def rotated(self, number: int, size: int) -> None:
        """A closed segment waits for compaction."""
        if self._compactor is not None:
            self._compactor.closed[number] = size
            self._compact_if_due()

    # ---- compaction, closing, figures ------------------------------------------------------

    def _compact_if_due(self) -> None:
        if self._recovery is not None or self._closed:
            return  # what is still to be loaded must stay where it is
        if self._compactor is not None and self._loop is not None and self._lock is not None:
            self._compactor.start_if_due(self._loop, self._python, self._lock.fd)

    async def close(self) -> None:
        """Writes and syncs what was appended, ends the compaction, gives the directory back.

        Changes are refused from the call on. Does not raise: what failed is in the log, and
        in the commits of those who wait.
        """
        if self._closed:
            return
        self._closed = True
        if self._loop is not None:
            self._end_tick()
            if self._appender is not None and self._compactor is not None:
                await self._appender.close()
                await self._compactor.stop()
        self._release()

    def _release(self) -> None:
        self._recovery = None
        if self._lock is not None:
            self._lock.release()

    @property
    def state(self) -> State:
        """Whether changes can be written."""
        if self._closed:
            return State.CLOSED
        return State.OK if self._appender is None else self._appender.state

    def statistics(self) -> JournalStatistics:
        """Figures since the journal was opened. Cost: the number of closed segments."""
        appender, compactor = self._appender, self._compactor
        if appender is None or compactor is None:
            return JournalStatistics(state=self.state)
        written = compactor.snapshot_written
        return JournalStatistics(
            state=self.state,
            frames=appender.frames,
            records=appender.records,
            bytes_written=appender.bytes_written,
            syncs=appender.syncs,
            last_sync_s=appender.last_sync_s,
            segments=len(compactor.closed) + appender.has_segment,
            closed_bytes=sum(compactor.closed.values()),
            snapshot_bytes=compactor.snapshot_bytes,
            snapshot_age_s=None if written is None else max(0.0, time.time() - written),
            compactions=compactor.finished,
            failed_compactions=compactor.failed,
            compaction_running=compactor.running,
        )


def _fail(commit: Commit, reason: str) -> None:
    commit.set_exception(InternalServerError(reason))
    commit.exception()  # seen: nobody has to be waiting
