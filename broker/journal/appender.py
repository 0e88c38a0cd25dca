"""The end of the journal that is being written: frames into segments, room, syncs.

Owns the open segment, the numbers of frames, and the state "ok", "full" or "failed". Does not
know who waits for a frame: it calls its `Listener`. Lives on the loop's thread.

Cost: `add` copies a record; `write` computes one CRC-32 and makes one write(2); beginning a
segment creates a file, which is the only longer system call.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from pathlib import Path
from typing import Final, Protocol

from _native import FrameEncoder
from broker.journal.commit import State
from broker.journal.format import MAX_PAYLOAD_BYTES
from broker.journal.recovery import remove_files
from broker.journal.segment import NO_ROOM, Segment
from broker.journal.syncer import Syncer

logger = logging.getLogger(__name__)

# What one change may append after it was admitted: several times the largest body that a
# broker takes by default (1 MB). A larger change says so.
RESERVE_BYTES: Final = 4 * 1024 * 1024

# What records that could not be written may hold of memory until there is room again. Only
# changes that nobody admitted get near it; beyond it the journal fails.
_WAITING_BYTES: Final = 64 * 1024 * 1024

_RETAINED_BUFFER_BYTES: Final = 1024 * 1024  # what the frames of busy ticks need

# How long written frames may wait for a sync that nobody asked for: what a loss of power may
# take from acknowledged changes with durability `process`.
_SYNC_INTERVAL_S: Final = 1.0

# While the disk is full: how often a change may look for room, and how often nobody does.
_FULL_RETRY_S: Final = 0.25
_FULL_PROBE_S: Final = 1.0


class Listener(Protocol):
    """Who is told what happened to frames, on the loop's thread."""

    def written_late(self) -> None:
        """Records whose write had failed are in the file now."""

    def stable(self, sequence: int) -> None:
        """All frames up to `sequence` are on stable storage."""

    def failed(self) -> None:
        """Nothing will be written any more."""

    def rotated(self, number: int, size: int) -> None:
        """A segment was closed."""


class Appender:
    """Appends frames to the last segment of a directory, beginning new ones in time.

    `sequence` is that of the last frame written, `durable` that of the last one known to be
    stable. The encoder's `room` is what can be written with certainty. `reason` says for people
    why nothing can be written.
    """

    def __init__(
        self,
        directory: Path,
        listener: Listener,
        *,
        next_number: int,
        sequence: int,
        segment_bytes: int,
        boot_id: bytes,
    ) -> None:
        self._directory = directory
        self._listener = listener
        self._next_number = next_number
        self._segment_bytes = segment_bytes
        self._boot_id = boot_id
        self._loop: asyncio.AbstractEventLoop | None = None
        self._syncer: Syncer | None = None
        self._segment: Segment | None = None
        self._rotate_at = segment_bytes
        self._retry_at = 0.0
        self._waiting = False  # records whose write failed are in the encoder
        self._dirty = False  # records were written since a sync was asked for
        self._requested = sequence  # the last frame that a sync was asked for
        self._marked = sequence  # the highest `durable` that a frame carries
        self._sync_timer: asyncio.TimerHandle | None = None
        self._probe_timer: asyncio.TimerHandle | None = None

        self.encoder = FrameEncoder(max_payload=MAX_PAYLOAD_BYTES, retained=_RETAINED_BUFFER_BYTES)
        self.sequence = sequence
        self.durable = sequence
        self.state = State.OK
        self.reason = "the broker is starting"
        self.frames = 0
        self.records = 0
        self.bytes_written = 0
        self.syncs = 0
        self.last_sync_s = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins a segment, or is "full" when there is no room for one."""
        self._loop = loop
        self._syncer = Syncer(self._directory, loop, self._synced)
        self.find_room(RESERVE_BYTES)

    @property
    def has_segment(self) -> bool:
        """Whether a segment is open."""
        return self._segment is not None

    # ---- writing -------------------------------------------------------------------------

    def write(self) -> bool:
        """Writes what the encoder holds as one frame; whether all of it is in the file now.

        After a failure the records wait in the encoder for room; they are written before any
        other, or given up when the journal fails.
        """
        if self.state in (State.FAILED, State.CLOSED):
            self.encoder.clear()
            return False
        if self._waiting:
            if self.encoder.size > _WAITING_BYTES:
                self._fail(OSError(errno.ENOBUFS, "too many changes wait for room"))
            return False
        if self.encoder.records:
            try:
                self._write_frame()
            except OSError as error:
                # In spite of the reserved room, or nobody asked for admission.
                self._waiting = True
                self._refuse(error)
                return False
            segment = self._segment
            if segment is not None and segment.size >= self._rotate_at:
                self._rotate(segment)
        return True

    def _write_frame(self) -> None:
        """Writes a frame, or raises OSError and leaves the file as it was."""
        segment = self._segment
        if segment is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        records = self.encoder.records
        try:
            written = self.encoder.write(segment.fd, self.sequence + 1, self.durable)
        except OSError:
            segment.undo()
            raise
        segment.size += written
        segment.frames += 1
        self.encoder.room = segment.room
        self.sequence += 1
        self._marked = self.durable
        self.frames += 1
        self.bytes_written += written
        if records:
            self.records += records
            self._dirty = True
            if self._sync_timer is None:
                self._arm_sync()

    def _rotate(self, old: Segment) -> None:
        assert self._syncer is not None
        try:
            self._begin_segment(RESERVE_BYTES)
        except OSError as error:
            # The old one goes on as long as it finds room.
            logger.warning("the journal cannot begin a new segment: %s", error)
            self._rotate_at = old.size + self._segment_bytes
            return
        self._syncer.retire(old.fd, old.size)
        self._listener.rotated(old.number, old.size)

    def _begin_segment(self, room: int) -> None:
        assert self._syncer is not None
        segment = Segment.create(self._directory, self._next_number, self._boot_id, room)
        self._next_number += 1
        self._segment = segment
        self.encoder.room = segment.room
        self._rotate_at = self._segment_bytes
        self._syncer.announce()

    # ---- room ----------------------------------------------------------------------------

    def find_room(self, change_bytes: int) -> bool:
        """Reserves room for a change and writes what waits for it; whether there is room."""
        assert self._loop is not None, "the journal was not started"
        if self.state in (State.FAILED, State.CLOSED):
            return False
        if self.state is State.FULL and self._loop.time() < self._retry_at:
            return False
        try:
            room = self.encoder.size + change_bytes
            if self._segment is None:
                self._begin_segment(room)
            else:
                self._segment.reserve(room)
                self.encoder.room = self._segment.room
            if self._waiting:
                self._write_frame()
        except OSError as error:
            self._refuse(error)
            return False
        if self.state is State.FULL:
            logger.warning("the journal has room again, changes are accepted")
            self.state = State.OK
        if self._waiting:
            self._waiting = False
            self._listener.written_late()
        return True

    def _refuse(self, error: OSError) -> None:
        """Nothing can be written now, or ever."""
        if error.errno not in NO_ROOM:
            self._fail(error)
            return
        assert self._loop is not None
        if self.state is State.OK:
            logger.error("the journal has no room, changes are refused: %s", error)
            self.state = State.FULL
        self.reason = f"the broker has no room for its data: {error.strerror}"
        self.encoder.room = -1
        self._retry_at = self._loop.time() + _FULL_RETRY_S
        if self._probe_timer is None:
            self._probe_timer = self._loop.call_later(_FULL_PROBE_S, self._probe)

    def _probe(self) -> None:
        """Looks for room when no change does."""
        self._probe_timer = None
        self._retry_at = 0.0
        if self.state is State.FULL:
            self.find_room(RESERVE_BYTES)

    def _fail(self, error: OSError) -> None:
        if self.state is not State.FAILED:
            logger.critical(
                "the journal failed and refuses all changes until the broker is restarted: %s",
                error,
            )
        self.state = State.FAILED
        self.reason = f"the broker cannot write its data any more: {error.strerror}"
        self.encoder.room = -1
        self.encoder.clear()
        self._listener.failed()

    # ---- syncing -------------------------------------------------------------------------

    def request_sync(self) -> None:
        """Asks for `Listener.stable` when all frames written so far are stable."""
        assert self._syncer is not None
        assert self._segment is not None
        self._dirty = False
        self._requested = self.sequence
        self._syncer.request(self._segment.fd, self.sequence)

    def _arm_sync(self) -> None:
        assert self._loop is not None
        self._sync_timer = self._loop.call_later(_SYNC_INTERVAL_S, self._sync_regularly)

    def _sync_regularly(self) -> None:
        self._sync_timer = None
        if self.state is State.FAILED:
            return
        if self._dirty:
            self.request_sync()
            self._arm_sync()
        elif self.durable < self._requested:
            self._arm_sync()  # the disk takes its time
        elif self._marked < self.durable and self.state is State.OK and not self.encoder.records:
            # Nothing is going on: say in the file that all of it is stable.
            try:
                self._write_frame()
            except OSError as error:
                self._refuse(error)

    def _synced(self, sequence: int, duration_s: float, error: OSError | None) -> None:
        if error is not None:
            self._fail(error)
            return
        self.syncs += 1
        self.last_sync_s = duration_s
        self.durable = sequence
        self._listener.stable(sequence)

    # ---- closing -------------------------------------------------------------------------

    async def close(self) -> None:
        """Syncs and closes the segment. Nothing is written from the call on."""
        if self._waiting:
            self._retry_at = 0.0
            self.find_room(0)
        if self._waiting:
            logger.error(
                "no room was found for %d records of changes that were refused while they were "
                "made: they are lost",
                self.encoder.records,
            )
        usable = self.state is not State.FAILED
        self.state = State.CLOSED
        self.reason = "the broker is shutting down"
        self.encoder.room = -1
        for timer in (self._sync_timer, self._probe_timer):
            if timer is not None:
                timer.cancel()
        if usable and self._segment is not None and self.sequence > self.durable:
            self.request_sync()
        if self._syncer is not None:
            await self._syncer.stop()  # what it found out has been reported then
        if self._segment is not None:
            self._close_segment(self._segment, usable)
        self.state = State.CLOSED

    def _close_segment(self, segment: Segment, usable: bool) -> None:
        try:
            if usable and self.state is State.CLOSED and self._marked < self.durable:
                self.encoder.clear()
                self._write_frame()
            os.ftruncate(segment.fd, segment.size)  # gives back the reserved room
        except OSError as error:
            logger.warning("the end of %s cannot be written: %s", segment.path.name, error)
        os.close(segment.fd)
        self._segment = None
        if not segment.frames:
            remove_files([segment.path])
