from typing import Self, final

__all__ = ["FrameEncoder", "preallocate"]

@final
class FrameEncoder:
    """Collects the journal's records in one reused buffer and writes them as one frame.

    `max_payload`: bytes of the largest payload `add` takes. `retained`: bytes of buffer kept
    between frames (at least 64 KiB); a larger one is given back after the frame. For one
    thread only. `room`: bytes of the frame that are sure to find place in the file; -1 at first,
    then what its owner says.
    """

    room: int

    def __new__(cls, *, max_payload: int, retained: int) -> Self: ...
    @property
    def size(self) -> int:
        """Bytes of the frame that `write` would write now; 0 without records."""
    @property
    def records(self) -> int:
        """Records added since the last frame."""
    def add(self, operation: int, key: bytes, payload: bytes) -> int:
        """Appends a record, copying it once; returns the bytes of the frame so far.

        Raises ValueError for a key over 65535 bytes or a payload over `max_payload`.
        """
    def write(self, fd: int, sequence: int, durable: int) -> int:
        """Writes the frame by one write(2) and starts the next; returns the bytes written.

        `durable`: the last sequence number known to be on stable storage. Raises OSError;
        the records are kept then and the caller truncates what was written in part.
        """
    def encode(self, sequence: int, durable: int) -> bytes:
        """The frame as bytes; the records stay collected."""
    def clear(self) -> None:
        """Forgets the collected records."""

def preallocate(fd: int, offset: int, length: int) -> None:
    """fallocate(2) with FALLOC_FL_KEEP_SIZE. Raises OSError."""
