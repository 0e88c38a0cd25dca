"""The segment that is being written: its descriptor, its bytes, its reserved room.

Room is reserved ahead of the bytes, so that a full disk is noticed before a change is made
and not in the middle of it. The file's size stays that of its frames.
Cost: one fallocate(2) per RESERVE_STEP_BYTES.
"""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import Final

from _native import preallocate
from broker.journal.format import FILE_HEADER, SEGMENT_MAGIC, encode_header, segment_name

# Reserved beyond what is asked for, so that the system call is paid once in ten thousand
# updates; also what an idle journal holds of the disk.
RESERVE_STEP_BYTES: Final = 4 * 1024 * 1024

# No room now, but perhaps later: the disk, the quota or the limit of the file's size.
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# The file system cannot reserve.
_CANNOT_RESERVE: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class Segment:
    """An open segment. `size`: bytes of header and whole frames. `frames`: written so far."""

    __slots__ = ("_reserved", "_reserves", "fd", "frames", "number", "path", "size")

    def __init__(self, number: int, path: Path, fd: int) -> None:
        self.number = number
        self.path = path
        self.fd = fd
        self.size = 0
        self.frames = 0
        self._reserved = 0
        self._reserves = True

    @classmethod
    def create(cls, directory: Path, number: int, boot_id: bytes, room: int) -> Segment:
        """A new file with a header and `room` bytes behind it. Raises OSError; no file then."""
        path = directory / segment_name(number)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        segment = cls(number, path, os.open(path, flags, 0o640))
        try:
            segment.reserve(FILE_HEADER.size + room)
            header = encode_header(SEGMENT_MAGIC, number, boot_id)
            if os.write(segment.fd, header) != len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.close(segment.fd)
            path.unlink()
            raise
        segment.size = FILE_HEADER.size
        return segment

    @property
    def room(self) -> int:
        """Bytes that are sure to find room behind the frames."""
        return self._reserved - self.size

    def reserve(self, room: int) -> None:
        """Makes sure of `room` bytes behind the frames, and a step more. Raises OSError."""
        if room <= self.room:
            return
        end = self.size + room + RESERVE_STEP_BYTES
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if limit != resource.RLIM_INFINITY and end > limit:
            # Blocks behind the end of the file can be reserved beyond the limit, but not used.
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if self._reserves:
            try:
                preallocate(self.fd, self._reserved, end - self._reserved)
            except OSError as error:
                if error.errno not in _CANNOT_RESERVE:
                    raise
                self._reserves = False
        if not self._reserves:
            disk = os.fstatvfs(self.fd)
            if disk.f_bavail * disk.f_frsize < end - self.size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._reserved = end

    def undo(self) -> None:
        """Takes back a frame that was written in part. Raises OSError."""
        # Truncation gives back the blocks behind the end too.
        os.ftruncate(self.fd, self.size)
        self._reserved = self.size
