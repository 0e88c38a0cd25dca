"""Merges closed segments into a new snapshot: `python -m broker.journal.compaction`.

A process of its own, started by `compactor`. It may end at any moment without harm: the
snapshot gets its name when it is whole and stable, and only then the files that it replaces
are removed; whoever opens the directory next ignores and removes what is left over.

Cost: reads the old snapshot and the segments once, writes the new snapshot once. Memory: the
changes in those segments.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Final

from _native import FrameEncoder
from broker.journal.format import (
    NO_BOOT_ID,
    PUT,
    SNAPSHOT_MAGIC,
    JournalError,
    encode_footer,
    encode_header,
    snapshot_name,
)
from broker.journal.recovery import (
    latest_states,
    list_directory,
    remove_files,
    replay_segments,
    sync_directory,
    temporary_path,
)

# Large enough to make the header and the system call disappear, small enough to read a damaged
# snapshot nearly to the damage.
_FRAME_BYTES: Final = 256 * 1024

# Synced this often: one sync of the whole at the end would hold up the broker's own.
_SYNC_BYTES: Final = 16 * 1024 * 1024

# Documents that grew by patches may be larger than what one record of a segment may bring.
_MAX_DOCUMENT_BYTES: Final = 1024 * 1024 * 1024

_STANDARD_INPUT: Final = 0

_NICE: Final = 10  # serving clients goes first; nobody waits for a snapshot


class SnapshotWriter:
    """Writes a snapshot under a temporary name; `finish` gives it its own."""

    def __init__(self, directory: Path, number: int) -> None:
        self._path = directory / snapshot_name(number)
        self._temporary = temporary_path(self._path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._fd = os.open(self._temporary, flags, 0o640)
        self._encoder = FrameEncoder(max_payload=_MAX_DOCUMENT_BYTES, retained=2 * _FRAME_BYTES)
        self._sequence = 0
        self._records = 0
        self._unsynced = 0
        self._write(encode_header(SNAPSHOT_MAGIC, number, NO_BOOT_ID))

    def add(self, key: bytes, document: bytes) -> None:
        """Adds a document. Raises OSError."""
        self._records += 1
        if self._encoder.add(PUT, key, document) >= _FRAME_BYTES:
            self._write_frame()

    def finish(self, sequence: int) -> None:
        """Makes the snapshot the one that counts. Raises OSError.

        `sequence`: the last frame of the journal that is merged into it.
        """
        if self._encoder.records:
            self._write_frame()
        self._write(encode_footer(self._records, sequence))
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._temporary.rename(self._path)
        sync_directory(self._path.parent)

    def abandon(self) -> None:
        """Removes the unfinished snapshot. Does nothing after `finish`."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            remove_files([self._temporary])

    def _write_frame(self) -> None:
        self._sequence += 1
        self._unsynced += self._encoder.write(self._fd, self._sequence, 0)
        if self._unsynced >= _SYNC_BYTES:
            os.fdatasync(self._fd)
            self._unsynced = 0

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


def compact(directory: Path, up_to: int) -> None:
    """Merges the snapshot and the segments up to `up_to`; the caller holds the lock.

    Raises JournalError for damage, OSError; then the directory is as before.
    """
    listing = list_directory(directory)
    replay = replay_segments(listing, up_to=up_to)
    if replay.damage is not None:
        raise replay.damage
    if not replay.segments or replay.segments[-1].number != up_to:
        raise JournalError(f"{directory} has no segment {up_to} to merge")
    writer = SnapshotWriter(directory, up_to)
    try:
        states = latest_states(listing.snapshot_path, listing.snapshot, replay.changes)
        for key, document in states:
            writer.add(key, document)
        writer.finish(replay.sequence)
    finally:
        writer.abandon()
    remove_files(list_directory(directory).merged())


def main(argv: list[str]) -> int:
    """`compaction DIRECTORY UP_TO_SEGMENT`, with the lock inherited: the exit code.

    Standard input is a pipe that the broker never writes to.
    """
    os.nice(_NICE)
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    try:
        compact(Path(argv[0]), int(argv[1]))
    except (JournalError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end_with_parent() -> None:
    # An orphan ends at once: a restarted broker waits for the lock that it still holds.
    while os.read(_STANDARD_INPUT, 1):
        pass
    os._exit(2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
