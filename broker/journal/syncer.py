"""The thread that makes written bytes stable.

Owns the order: a closed segment is stable before a frame of the next one is reported, and so
is the directory entry of a new segment. Requests that come while the disk is busy are answered
together (group commit). It writes nothing and decides nothing.
Cost for the loop: one lock per request, one callback per fdatasync(2).
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from broker.journal.recovery import sync_directory

logger = logging.getLogger(__name__)

# (last stable sequence number, seconds the system call took, error): called on the loop.
Report: TypeAlias = Callable[[int, float, OSError | None], None]


class Syncer:
    """Syncs one segment after the other in a thread of its own.

    `report` is called on the loop after each request was done, in order; after an error it is
    not called again, because the kernel forgets a failed page and a second fsync(2) would lie.
    """

    def __init__(self, directory: Path, loop: asyncio.AbstractEventLoop, report: Report) -> None:
        self._directory = directory
        self._loop = loop
        self._report = report
        self._condition = threading.Condition()
        self._retired: list[tuple[int, int]] = []  # descriptor, size
        self._wanted: tuple[int, int] | None = None  # descriptor, sequence
        self._new_name = False
        self._stopping = False
        self._ended: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def request(self, fd: int, sequence: int) -> None:
        """Asks for a report when all frames up to `sequence`, the last one in `fd`, are stable."""
        with self._condition:
            self._wanted = (fd, sequence)
            self._condition.notify()

    def announce(self) -> None:
        """A new segment was created: its name has to be stable before its frames are."""
        with self._condition:
            self._new_name = True
            self._condition.notify()

    def retire(self, fd: int, size: int) -> None:
        """Syncs and closes a segment of `size` bytes and gives its reserved room back."""
        with self._condition:
            self._retired.append((fd, size))
            self._condition.notify()

    async def stop(self) -> None:
        """Ends the thread after everything asked for was done."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        await self._ended

    def _run(self) -> None:
        error: OSError | None = None
        while True:
            with self._condition:
                while not (self._wanted or self._retired or self._new_name or self._stopping):
                    self._condition.wait()
                retired, self._retired = self._retired, []
                wanted, self._wanted = self._wanted, None
                new_name, self._new_name = self._new_name, False
                stopping = self._stopping
            if error is None:
                error = self._sync(retired, wanted, new_name)
            for fd, _ in retired:
                os.close(fd)
            if stopping:
                self._call(self._end)
                return

    def _sync(
        self, retired: list[tuple[int, int]], wanted: tuple[int, int] | None, new_name: bool
    ) -> OSError | None:
        sequence = wanted[1] if wanted else 0
        start = time.monotonic()
        try:
            for fd, size in retired:
                os.fdatasync(fd)
                os.ftruncate(fd, size)
            if new_name:
                sync_directory(self._directory)
            if wanted:
                os.fdatasync(wanted[0])
        except OSError as error:
            self._call(self._report, sequence, time.monotonic() - start, error)
            return error
        if wanted:
            self._call(self._report, sequence, time.monotonic() - start, None)
        return None

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            # The loop was closed without closing the journal: nobody is left to be told.
            logger.debug("the loop is closed, a sync is not reported")
