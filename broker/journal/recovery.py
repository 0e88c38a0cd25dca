"""From the files of a directory to the latest state of every key.

Owns the order of files, the replay of segments over a snapshot, and the judgement of damage:
what never reached stable storage may be cut off at the end, anything else is refused. Writes
nothing but that cut, and removes nothing but what a snapshot has replaced.

Cost: one pass over the segments behind the snapshot and one over the snapshot. Memory: the
changes in those segments, not the snapshot.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import orjson

from broker.journal.format import (
    FILE_HEADER,
    FOOTER,
    NO_BOOT_ID,
    PATCH,
    PUT,
    SEGMENT_MAGIC,
    SNAPSHOT_MAGIC,
    Footer,
    FrameError,
    JournalDamaged,
    UnreadableError,
    file_size,
    find_frames,
    read_footer,
    read_frames,
    read_header,
    read_records,
    segment_name,
    snapshot_name,
)
from broker.journal.merge import merge_patch

logger = logging.getLogger(__name__)

# What segments say about a key. bytes: its document, empty when it was deleted. A list: patches
# behind a base, which is None while the base stands in the snapshot.
Change: TypeAlias = bytes | list[bytes | None]

_NAMES: Final = re.compile(r"(?:log-(\d{16})\.rgl|snap-(\d{16})\.rgs)")
_TEMPORARY_SUFFIX: Final = ".tmp"
_READ_BUFFER_BYTES: Final = 1024 * 1024  # few system calls; frames are mostly far smaller
_DELETED: Final = b""


@dataclass(slots=True, frozen=True)
class Listing:
    """The journal's files in a directory, by number, ascending."""

    directory: Path
    segments: tuple[int, ...]
    snapshots: tuple[int, ...]
    temporary: tuple[Path, ...]

    @property
    def snapshot(self) -> int:
        """The number of the snapshot that counts; 0 without one."""
        return self.snapshots[-1] if self.snapshots else 0

    @property
    def snapshot_path(self) -> Path | None:
        """The snapshot that counts."""
        return self.directory / snapshot_name(self.snapshot) if self.snapshots else None

    def segment_path(self, number: int) -> Path:
        """The path of a segment."""
        return self.directory / segment_name(number)

    def live_segments(self) -> list[int]:
        """The segments that the snapshot does not contain."""
        return [number for number in self.segments if number > self.snapshot]

    def merged(self) -> list[Path]:
        """Segments and snapshots that the latest snapshot has replaced."""
        return [self.segment_path(n) for n in self.segments if n <= self.snapshot] + [
            self.directory / snapshot_name(n) for n in self.snapshots if n < self.snapshot
        ]


@dataclass(slots=True)
class SegmentState:
    """What reading one segment found. `end`: the bytes up to the end of its last whole frame."""

    number: int
    path: Path
    size: int
    boot_id: bytes = NO_BOOT_ID
    end: int = 0
    frames: int = 0
    records: int = 0


@dataclass(slots=True)
class Replay:
    """What the segments say, up to the first damage (if any)."""

    sequence: int  # of the last whole frame
    changes: dict[bytes, Change] = field(default_factory=dict)
    segments: list[SegmentState] = field(default_factory=list)
    damage: JournalDamaged | None = None
    unreadable: bool = False  # the device failed: the bytes may well be there


def list_directory(directory: Path) -> Listing:
    """Finds the journal's files; other files are left alone. Raises OSError."""
    segments: list[int] = []
    snapshots: list[int] = []
    temporary: list[Path] = []
    for name in os.listdir(directory):
        if name.endswith(_TEMPORARY_SUFFIX) and _NAMES.fullmatch(
            name.removesuffix(_TEMPORARY_SUFFIX)
        ):
            temporary.append(directory / name)
        elif found := _NAMES.fullmatch(name):
            if found[1]:
                segments.append(int(found[1]))
            else:
                snapshots.append(int(found[2]))
    return Listing(directory, tuple(sorted(segments)), tuple(sorted(snapshots)), tuple(temporary))


def temporary_path(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(path.name + _TEMPORARY_SUFFIX)


def read_snapshot_footer(path: Path, number: int) -> Footer:
    """Checks the start and the end of a snapshot. Raises JournalDamaged, OSError."""
    try:
        with path.open("rb") as file:
            read_header(file, path, SNAPSHOT_MAGIC, number)
            return read_footer(file, file_size(file))
    except FrameError as damage:
        raise JournalDamaged(path, damage.offset, damage.reason) from None


def read_snapshot(path: Path, number: int) -> Iterator[tuple[bytes, bytes]]:
    """The (key, document) pairs of a snapshot. Raises JournalDamaged where it finds damage."""
    records = 0
    try:
        with path.open("rb", buffering=_READ_BUFFER_BYTES) as file:
            read_header(file, path, SNAPSHOT_MAGIC, number)
            size = file_size(file)
            end = size - FOOTER.size
            for frame in read_frames(file, FILE_HEADER.size, end, sequence=1):
                for operation, key, document in read_records(frame):
                    if operation != PUT:
                        raise FrameError(frame.offset, f"operation {operation} in a snapshot")
                    yield key, document
                records += frame.records
            announced = read_footer(file, size).records
            if records != announced:
                raise FrameError(end, f"{announced} records are announced, {records} are there")
    except FrameError as damage:
        raise JournalDamaged(path, damage.offset, damage.reason) from None


def replay_segments(
    listing: Listing, *, up_to: int | None = None, ignore_snapshot: bool = False
) -> Replay:
    """Reads the segments behind the snapshot (those up to `up_to`) to the first damage.

    The damage, if any, stands in the result. With `ignore_snapshot` the first frame may have
    any number. Raises JournalDamaged for a damaged end of the snapshot, JournalUnsupported,
    OSError.
    """
    numbers = listing.live_segments()
    path = listing.snapshot_path
    sequence = 0
    if ignore_snapshot:
        sequence = _first_sequence(listing, numbers) - 1
    elif path is not None:
        sequence = read_snapshot_footer(path, listing.snapshot).sequence
    replay = Replay(sequence)
    expected = listing.snapshot + 1
    for number in numbers:
        if up_to is not None and number > up_to:
            break
        if number != expected:
            missing = listing.segment_path(expected)
            reason = "the file is missing, and a later one is there"
            replay.damage = JournalDamaged(missing, 0, reason)
            break
        expected += 1
        if not _replay_segment(listing.segment_path(number), number, replay):
            break
    return replay


def _first_sequence(listing: Listing, numbers: list[int]) -> int:
    for number in numbers:
        path = listing.segment_path(number)
        with path.open("rb") as file:
            try:
                read_header(file, path, SEGMENT_MAGIC, number)
                for frame in read_frames(file, FILE_HEADER.size, file_size(file)):
                    return frame.sequence
            except FrameError:
                break  # the replay will say so
    return 1


def _replay_segment(path: Path, number: int, replay: Replay) -> bool:
    """Whether the segment was whole."""
    with path.open("rb", buffering=_READ_BUFFER_BYTES) as file:
        state = SegmentState(number, path, file_size(file))
        replay.segments.append(state)
        try:
            state.boot_id = read_header(file, path, SEGMENT_MAGIC, number).boot_id
            state.end = FILE_HEADER.size
            for frame in read_frames(file, state.end, state.size, replay.sequence + 1):
                # All of them first: a frame that cannot be read whole changes nothing.
                for operation, key, payload in list(read_records(frame)):
                    _apply(replay.changes, operation, key, payload)
                replay.sequence = frame.sequence
                state.end = frame.end
                state.frames += 1
                state.records += frame.records
        except FrameError as damage:
            replay.damage = JournalDamaged(path, damage.offset, damage.reason)
            replay.unreadable = isinstance(damage, UnreadableError)
            return False
    return True


def _apply(changes: dict[bytes, Change], operation: int, key: bytes, payload: bytes) -> None:
    if operation == PUT:
        changes[key] = payload
    elif operation == PATCH:
        change = changes.get(key)
        if isinstance(change, list):
            change.append(payload)
        else:
            changes[key] = [change, payload]
    else:
        changes[key] = _DELETED


def resolve(change: Change, stored: bytes | None) -> bytes:
    """The document after a change; empty when there is none.

    `stored` is the snapshot's document, None without one. Raises ValueError for a patch or a
    document that is no JSON, which a writer of this journal never makes.
    """
    if isinstance(change, bytes):
        return change
    base = stored if change[0] is None else change[0]
    document = orjson.loads(base) if base else None
    for patch in change[1:]:
        assert patch is not None
        document = merge_patch(document, orjson.loads(patch))
    return orjson.dumps(document)


def latest_states(
    snapshot: Path | None, number: int, changes: dict[bytes, Change]
) -> Iterator[tuple[bytes, bytes]]:
    """The (key, document) pairs of the snapshot with the changes applied; empties `changes`.

    Raises JournalDamaged.
    """
    try:
        if snapshot is not None:
            for key, document in read_snapshot(snapshot, number):
                change = changes.pop(key, None)
                if change is None:
                    yield key, document
                elif latest := resolve(change, document):
                    yield key, latest
        for key in list(changes):
            if latest := resolve(changes.pop(key), None):
                yield key, latest
    except orjson.JSONDecodeError as error:
        path = snapshot or Path(segment_name(number + 1))
        raise JournalDamaged(path, 0, f"the document of {key!r} is no JSON: {error}") from None


def current_boot_id() -> bytes:
    """Names this run of the machine (16 bytes); zeros where the system does not tell."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return bytes.fromhex(text.strip().replace("-", ""))
    except (OSError, ValueError):
        return NO_BOOT_ID


@dataclass(slots=True)
class Recovery:
    """A directory that is whole: its snapshot, and what the segments behind it say.

    `closed`: bytes of each of those segments. `last_number`: the highest number in use.
    """

    snapshot: int
    snapshot_path: Path | None
    sequence: int
    closed: dict[int, int]
    changes: dict[bytes, Change] | None

    @property
    def last_number(self) -> int:
        return max([self.snapshot, *self.closed])

    def take_changes(self) -> dict[bytes, Change]:
        """The changes, once: reading them uses them up."""
        changes, self.changes = self.changes, None
        if changes is None:
            raise RuntimeError("the journal gives its documents once")
        return changes


def recover(directory: Path, boot_id: bytes) -> Recovery:
    """Reads the segments of a directory whose lock is held, and makes it ready for more.

    Cuts a torn tail, removes what a killed process left unfinished, and makes sure that all
    that was read is stable. Raises JournalDamaged (nothing is changed then),
    JournalUnsupported, OSError.
    """
    listing = list_directory(directory)
    replay = replay_segments(listing)
    if replay.damage is not None:
        if not is_torn_tail(listing, replay, boot_id):
            raise replay.damage
        _cut_tail(listing, replay)
    remove_files(list(listing.temporary))
    if replay.segments and not replay.segments[-1].frames:
        replay.segments.pop().path.unlink()  # a run that wrote nothing; its number is free
    for segment in replay.segments:
        with segment.path.open("r+b") as file:
            os.fsync(file.fileno())
            file.truncate(segment.size)  # gives back the room that a killed process reserved
    sync_directory(directory)
    return Recovery(
        listing.snapshot,
        listing.snapshot_path,
        replay.sequence,
        {segment.number: segment.size for segment in replay.segments},
        replay.changes,
    )


def is_torn_tail(listing: Listing, replay: Replay, boot_id: bytes) -> bool:
    """Whether what follows the damage was never promised to be on stable storage.

    A process that is killed leaves at most a part of its last frame, so nothing whole may
    follow. A machine that loses power may also lose earlier pages and keep later ones; then
    only the frames up to the last `durable` mark were promised (docs/journal.md).
    """
    if replay.unreadable:
        return False
    if not replay.segments and not listing.snapshots:
        return False  # the first segment is number 1; only a snapshot ever replaces it
    lost = replay.sequence + 1
    damaged = replay.segments[-1] if replay.segments else None
    by_power = (
        damaged is not None
        and damaged.end >= FILE_HEADER.size
        and damaged.boot_id not in (boot_id, NO_BOOT_ID)
    )
    for path, offset in _tail(listing, replay):
        for _, _, sequence, durable in find_frames(read_from(path, offset)):
            if durable >= lost or (not by_power and sequence >= lost):
                return False
    return True


def _tail(listing: Listing, replay: Replay) -> Iterator[tuple[Path, int]]:
    """What follows the last whole frame before the damage: files, each with an offset."""
    last = listing.snapshot
    if replay.segments:
        damaged = replay.segments[-1]
        last = damaged.number
        if damaged.end < damaged.size:
            yield damaged.path, damaged.end
    for number in listing.segments:
        if number > last:
            yield listing.segment_path(number), 0


def _cut_tail(listing: Listing, replay: Replay) -> None:
    """Removes what follows the last whole frame, for good.

    What holds whole frames is kept beside it in a file that ends with `.cut`. Raises OSError.
    """
    assert replay.damage is not None
    for path, offset in reversed(list(_tail(listing, replay))):
        data = read_from(path, offset)
        keep = next(find_frames(data), None) is not None
        kept = cut_file(path, offset, keep=keep)
        logger.warning(
            "%s: cut off %d bytes at offset %d, which no client was promised on stable storage "
            "(%s)%s",
            path.name,
            len(data),
            offset,
            replay.damage.reason,
            f"; they are kept in {kept.name}" if kept else "",
        )
        if replay.segments and path == replay.segments[-1].path:
            replay.segments[-1].size = offset
            if offset < FILE_HEADER.size:
                replay.segments.pop()


def cut_file(path: Path, offset: int, *, keep: bool) -> Path | None:
    """Cuts a segment at `offset`; a cut before its first frame removes the file.

    With `keep` what is cut is moved into the returned file. Raises OSError.
    """
    kept = _cut_path(path) if keep else None
    if offset < FILE_HEADER.size:
        if kept is None:
            path.unlink()
        else:
            path.rename(kept)
    else:
        if kept is not None:
            with kept.open("xb") as file:
                file.write(read_from(path, offset))
                file.flush()
                os.fsync(file.fileno())
            sync_directory(path.parent)
        with path.open("r+b") as file:
            file.truncate(offset)
            os.fsync(file.fileno())
    sync_directory(path.parent)
    return kept


def _cut_path(path: Path) -> Path:
    """A name beside the segment that is still free."""
    candidate = path.with_name(path.name + ".cut")
    attempt = 1
    while candidate.exists():
        attempt += 1
        candidate = path.with_name(f"{path.name}.{attempt}.cut")
    return candidate


def read_from(path: Path, offset: int) -> bytes:
    """The end of a file, in memory: for what is only done on damage. Raises OSError."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()


def sync_directory(directory: Path) -> None:
    """Makes names in a directory stable. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_files(paths: list[Path]) -> None:
    """Unlinks files that nobody needs; one that resists stays, with a warning."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s cannot be removed: %s", path, error.strerror)
