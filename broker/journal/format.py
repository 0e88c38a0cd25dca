"""The bytes of segments and snapshots: layouts, limits, checks while reading, errors.

Owns the record format (docs/journal.md has it in words). Reads from an open file and from
nothing else: which files there are and what damage means is for `recovery` to say.
Cost of reading: one pass over the bytes, one frame in memory at a time.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

FORMAT_VERSION: Final = 1

SEGMENT_MAGIC: Final = b"RIGELLOG"
SNAPSHOT_MAGIC: Final = b"RIGELSNP"

# No byte 0xF5 occurs in UTF-8, so no JSON document can hold what looks like a frame.
FRAME_MAGIC: Final = b"\xf5RGF"
FOOTER_MAGIC: Final = b"\xf5END"

MAX_KEY_BYTES: Final = 65_535  # the key's length has two bytes
# One document's state. Orion's store has the same bound for an entity; a document near it
# should be data of its own, and every record has to pass through memory as a whole.
MAX_PAYLOAD_BYTES: Final = 16 * 1024 * 1024

FILE_HEADER: Final = struct.Struct("<8sIQ16sI")  # magic, version, number, boot id, CRC
FRAME_HEADER: Final = struct.Struct("<4sIQQII")  # magic, body, sequence, durable, records, CRC
RECORD_HEADER: Final = struct.Struct("<BHI")  # operation, key length, payload length
FOOTER: Final = struct.Struct("<4sQQI")  # magic, records, last sequence, CRC
CRC_BYTES: Final = 4

NO_BOOT_ID: Final = bytes(16)


# What a record does to its key.
PUT: Final = 1  # the payload is the key's document
PATCH: Final = 2  # the payload is merged into the key's document (RFC 7386)
DELETE: Final = 3  # the key has no document; the payload is empty

_OPERATIONS: Final = frozenset({PUT, PATCH, DELETE})


class JournalError(Exception):
    """The journal cannot be used; the message says why and what to do."""


class JournalLocked(JournalError):
    """Another process owns the directory."""


class JournalUnsupported(JournalError):
    """A file was written in a format that this program does not read."""


class JournalDamaged(JournalError):
    """Bytes that were once written whole cannot be read any more.

    `path` and `offset` (bytes) say where, `reason` says what was found there.
    """

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(
            f"{path.name} is damaged at offset {offset}: {reason}. "
            f"`rigel journal verify {path.parent}` shows the state of all files and the way out."
        )
        self.path = path
        self.offset = offset
        self.reason = reason


class FrameError(Exception):
    """No whole frame stands at `offset`. Raised by the readers of this module only."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


class UnreadableError(FrameError):
    """The device failed to give the bytes: a bad sector, not bytes that were never written."""


class Header(NamedTuple):
    """The start of a file. `boot_id` names the run of the machine in which it was written."""

    number: int
    boot_id: bytes


class Frame(NamedTuple):
    """One frame. `durable`: the last sequence known to be on stable storage when written."""

    offset: int
    end: int
    sequence: int
    durable: int
    records: int
    body: bytes


class Footer(NamedTuple):
    """The end of a snapshot. `sequence`: the last one of the journal that it contains."""

    records: int
    sequence: int


def segment_name(number: int) -> str:
    """The file name of a segment."""
    return f"log-{number:016d}.rgl"


def snapshot_name(number: int) -> str:
    """The file name of the snapshot of all segments up to `number`."""
    return f"snap-{number:016d}.rgs"


def encode_header(magic: bytes, number: int, boot_id: bytes) -> bytes:
    """The first bytes of a file."""
    header = FILE_HEADER.pack(magic, FORMAT_VERSION, number, boot_id, 0)[:-CRC_BYTES]
    return header + zlib.crc32(header).to_bytes(CRC_BYTES, "little")


def encode_footer(records: int, sequence: int) -> bytes:
    """The last bytes of a snapshot."""
    footer = FOOTER.pack(FOOTER_MAGIC, records, sequence, 0)[:-CRC_BYTES]
    return footer + zlib.crc32(footer).to_bytes(CRC_BYTES, "little")


def read_header(file: BinaryIO, path: Path, magic: bytes, number: int) -> Header:
    """Reads and checks the start of a file.

    Raises FrameError at offset 0, JournalUnsupported for a version other than ours.
    """
    data = _read(file, 0, FILE_HEADER.size)
    if len(data) < FILE_HEADER.size:
        raise FrameError(0, "the file's header is cut off")
    found, version, stated, boot_id, checksum = FILE_HEADER.unpack(data)
    if found != magic:
        raise FrameError(0, f"the file does not start with {magic.decode()}")
    if zlib.crc32(data[:-CRC_BYTES]) != checksum:
        raise FrameError(0, "the checksum of the file's header does not match")
    if version != FORMAT_VERSION:
        raise JournalUnsupported(
            f"{path} has format version {version}, this program reads {FORMAT_VERSION}"
        )
    if stated != number:
        raise FrameError(0, f"the file says it has number {stated}: was it renamed?")
    return Header(number, boot_id)


def read_frames(
    file: BinaryIO, offset: int, size: int, sequence: int | None = None
) -> Iterator[Frame]:
    """The frames from `offset` (where the file stands) to `size` bytes.

    `sequence` is the number that the first one has to have (None: any); each next one has the
    next. Raises FrameError.
    """
    while offset < size:
        header = _read(file, offset, FRAME_HEADER.size)
        if len(header) < FRAME_HEADER.size:
            raise FrameError(offset, "the frame's header is cut off")
        magic, length, stated, durable, records, checksum = FRAME_HEADER.unpack(header)
        if magic != FRAME_MAGIC:
            raise FrameError(offset, "no frame starts here")
        end = offset + FRAME_HEADER.size + length
        if end > size:
            raise FrameError(offset, "the frame is cut off, or its length is wrong")
        body = _read(file, offset, length)
        if len(body) < length or zlib.crc32(body, zlib.crc32(header[:-CRC_BYTES])) != checksum:
            raise FrameError(offset, "the checksum of the frame does not match")
        if sequence is not None and stated != sequence:
            raise FrameError(offset, f"frame {stated} stands where {sequence} belongs")
        yield Frame(offset, end, stated, durable, records, body)
        offset = end
        sequence = stated + 1


def find_frames(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Whole frames anywhere in `data`: (offset, end, sequence, durable) of each.

    For the search behind a damage: offsets are relative to `data`.
    """
    view = memoryview(data)
    offset = data.find(FRAME_MAGIC)
    while offset >= 0:
        end = offset + FRAME_HEADER.size
        if end > len(data):
            return
        _, length, sequence, durable, _, checksum = FRAME_HEADER.unpack_from(view, offset)
        found = zlib.crc32(view[offset : end - CRC_BYTES])
        if end + length <= len(data) and zlib.crc32(view[end : end + length], found) == checksum:
            end += length
            yield offset, end, sequence, durable
            offset = data.find(FRAME_MAGIC, end)
        else:
            offset = data.find(FRAME_MAGIC, offset + 1)


def read_records(frame: Frame) -> Iterator[tuple[int, bytes, bytes]]:
    """The records of a frame: (operation, key, payload). Raises FrameError."""
    body, unpack = frame.body, RECORD_HEADER.unpack_from
    position, length = 0, len(frame.body)
    for _ in range(frame.records):
        key_at = position + RECORD_HEADER.size
        if key_at > length:
            break
        operation, key_length, payload_length = unpack(body, position)
        if operation not in _OPERATIONS:
            raise FrameError(frame.offset, f"a record has the unknown operation {operation}")
        payload_at = key_at + key_length
        position = payload_at + payload_length
        if position > length:
            break
        yield operation, body[key_at:payload_at], body[payload_at:position]
    else:
        if position == length:
            return
    raise FrameError(frame.offset, "the records do not fill the frame")


def read_footer(file: BinaryIO, size: int) -> Footer:
    """Reads and checks the end of a snapshot of `size` bytes. Raises FrameError."""
    offset = max(0, size - FOOTER.size)
    try:
        file.seek(offset)
    except OSError as error:
        raise UnreadableError(offset, f"it cannot be read: {error.strerror}") from None
    data = _read(file, offset, FOOTER.size)
    if len(data) < FOOTER.size:
        raise FrameError(offset, "the snapshot's end is cut off")
    magic, records, sequence, checksum = FOOTER.unpack(data)
    if magic != FOOTER_MAGIC:
        raise FrameError(offset, "the snapshot's end is missing")
    if zlib.crc32(data[:-CRC_BYTES]) != checksum:
        raise FrameError(offset, "the checksum of the snapshot's end does not match")
    return Footer(records, sequence)


def file_size(file: BinaryIO) -> int:
    """Bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    try:
        return file.read(length)
    except OSError as error:
        raise UnreadableError(offset, f"it cannot be read: {error.strerror}") from None
