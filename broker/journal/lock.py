"""One owner per data directory: an flock(2) on a file in it, held by an open descriptor.

The lock belongs to the open file, so a process that inherited the descriptor holds it too:
as long as a compaction runs on after its broker was killed, nobody else gets the directory.
The file stays when the lock goes; its text only names the last owner for the message.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from pathlib import Path
from typing import Final

from broker.journal.format import JournalError, JournalLocked

logger = logging.getLogger(__name__)

LOCK_NAME: Final = "lock"

# A compaction whose broker was killed ends as soon as it notices, and so does a broker that is
# being stopped; a restarted one gives them this long, on a busy machine too.
LOCK_WAIT_S: Final = 10.0

_POLL_S: Final = 0.02
_OWNER_BYTES: Final = 32  # a process id and a line end, with room to spare


class DirectoryLock:
    """The held lock of a directory."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def acquire(cls, directory: Path, *, wait_s: float = LOCK_WAIT_S) -> DirectoryLock:
        """Takes the lock, waiting up to `wait_s` for an owner that is about to end.

        Raises JournalLocked when the other owner stays, JournalError when the file of the
        lock cannot be opened.
        """
        path = directory / LOCK_NAME
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise JournalError(f"{path} cannot be opened: {error.strerror}") from None
        give_up = time.monotonic() + wait_s
        waiting = False
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                owner = os.pread(fd, _OWNER_BYTES, 0).decode("ascii", "replace").strip()
                owner = f"process {owner}" if owner else "unknown"
                if time.monotonic() < give_up:
                    if not waiting:
                        logger.warning("%s is in use (owner: %s): waiting", directory, owner)
                        waiting = True
                    time.sleep(_POLL_S)
                    continue
                os.close(fd)
                raise JournalLocked(
                    f"{directory} is in use by another process (owner: {owner}). "
                    "One data directory serves one broker."
                ) from None
            except OSError as error:
                os.close(fd)
                raise JournalError(f"{path} cannot be locked: {error.strerror}") from None
        try:
            os.truncate(fd, 0)
            os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        except OSError:
            pass  # a full disk: the lock is held, only its owner's name is missing
        return cls(fd)

    def release(self) -> None:
        """Gives the lock back (as far as no process that inherited it still runs)."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
