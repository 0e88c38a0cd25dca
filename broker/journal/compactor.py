"""The broker's side of compaction: knows the closed segments, starts the process, ends it.

A process of its own, because a fork of the broker's state or a thread of its interpreter would
stall the loop. It is started by `subprocess` in a thread: that uses vfork(2), while the spawn
of uvloop forks, which takes 100 ms of the loop in a broker of 1.5 GB. The process inherits the
directory's lock, so nobody else opens the directory while it runs, even when the broker was
killed.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from pathlib import Path
from typing import Final

from broker.journal.recovery import list_directory

logger = logging.getLogger(__name__)

# Merging reads and writes the snapshot once. Waiting for half its size in segments bounds that
# to about three bytes per byte appended, and the directory to about two and a half times the
# live state.
_SNAPSHOT_SHARE: Final = 0.5

# Segments of many short runs are small; a start should not have to open more than this.
_MAX_CLOSED_SEGMENTS: Final = 32

_FAILURE_PAUSE_S: Final = 60.0  # a full disk does not empty at once

# How long closing waits for a compaction that is nearly done. Nothing is lost by ending it:
# the next one starts over.
_GRACE_S: Final = 2.0

# Where `broker` and `_native` are imported from, so that the child finds the same ones.
_ROOT: Final = Path(__file__).resolve().parents[2]

_MESSAGE_BYTES: Final = 4096  # of what the child says when it fails; it says one line


class Compactor:
    """Keeps account of snapshot and closed segments and runs one compaction at a time.

    `closed`: the segments behind the snapshot that are not written to any more, number to
    bytes. `minimum_bytes`: less than that is never worth a compaction.
    """

    def __init__(
        self,
        directory: Path,
        *,
        closed: dict[int, int],
        snapshot: Path | None,
        minimum_bytes: int,
    ) -> None:
        self._directory = directory
        self._minimum_bytes = minimum_bytes
        self._task: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._stopped = False
        self.closed = closed
        self.snapshot_bytes = 0
        self.snapshot_written: float | None = None  # seconds since 1970
        self.finished = 0
        self.failed = 0
        self._measure(snapshot)

    @property
    def running(self) -> bool:
        """Whether a compaction is under way."""
        return self._task is not None

    def start_if_due(self, loop: asyncio.AbstractEventLoop, python: str, lock_fd: int) -> None:
        """Starts a compaction when enough closed segments wait and none is under way.

        `python`: the interpreter of the process. `lock_fd`: the held lock, which it inherits.
        Looks again by itself after each compaction.
        """
        waiting = sum(self.closed.values())
        worthwhile = max(self._minimum_bytes, self.snapshot_bytes * _SNAPSHOT_SHARE)
        if self._stopped or self._task is not None or self._retry is not None:
            return
        if waiting > worthwhile or len(self.closed) > _MAX_CLOSED_SEGMENTS:
            self._task = loop.create_task(
                self._compact(loop, python, lock_fd), name="journal-compaction"
            )

    async def stop(self) -> None:
        """Waits a little for a running compaction, then ends it."""
        self._stopped = True
        if self._retry is not None:
            self._retry.cancel()
        if (task := self._task) is not None:
            await asyncio.wait({task}, timeout=_GRACE_S)
            self._terminate()
            await asyncio.wait({task})

    async def _compact(self, loop: asyncio.AbstractEventLoop, python: str, lock_fd: int) -> None:
        up_to = max(self.closed)
        try:
            failure = await asyncio.to_thread(self._run_process, python, lock_fd, up_to)
        except asyncio.CancelledError:
            self._terminate()  # the loop ends, though nobody closed the journal
            raise
        if failure is None:
            try:
                listing = list_directory(self._directory)
                self._measure(listing.snapshot_path)
                self.closed = {n: size for n, size in self.closed.items() if n > listing.snapshot}
            except OSError as error:
                failure = f"left a directory that cannot be read: {error}"
        self._task = None
        if failure is None:
            self.finished += 1
            self.start_if_due(loop, python, lock_fd)
        elif not self._stopped:
            self.failed += 1
            logger.error("the compaction of the journal up to segment %d %s", up_to, failure)
            self._retry = loop.call_later(_FAILURE_PAUSE_S, self._try_again, loop, python, lock_fd)

    def _try_again(self, loop: asyncio.AbstractEventLoop, python: str, lock_fd: int) -> None:
        self._retry = None
        self.start_if_due(loop, python, lock_fd)

    def _run_process(self, python: str, lock_fd: int, up_to: int) -> str | None:
        """What went wrong; None when nothing did. Runs in a thread."""
        module = "broker.journal.compaction"
        try:
            process = subprocess.Popen(
                [python, "-m", module, str(self._directory.resolve()), str(up_to)],
                stdin=subprocess.PIPE,  # never written to: its end says that we are gone
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[lock_fd],
                cwd=_ROOT,
                start_new_session=True,  # Ctrl-C is for the broker, which ends it in order
            )
        except OSError as error:
            return f"cannot be started: {error}"
        with process:
            self._process = process
            if self._stopped:
                process.terminate()
            assert process.stderr is not None
            message = process.stderr.read(_MESSAGE_BYTES).decode("utf-8", "replace").strip()
            status = process.wait()
        self._process = None
        return f"failed with exit code {status}: {message}" if status else None

    def _terminate(self) -> None:
        self._stopped = True
        if (process := self._process) is not None:
            process.terminate()  # nothing happens when it has ended

    def _measure(self, snapshot: Path | None) -> None:
        if snapshot is not None:
            found = snapshot.stat()
            self.snapshot_bytes = found.st_size
            self.snapshot_written = found.st_mtime
