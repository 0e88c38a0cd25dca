"""Starting from what a kill, a loss of power or a broken disk leaves behind."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest

from broker.journal.compaction import compact
from broker.journal.format import (
    FILE_HEADER,
    FRAME_HEADER,
    JournalDamaged,
    JournalError,
    JournalUnsupported,
    encode_header,
    read_frames,
    segment_name,
    snapshot_name,
)
from broker.journal.recovery import list_directory

MakeJournal: TypeAlias = Callable[..., Path]
ReadStates: TypeAlias = Callable[..., dict[bytes, bytes]]

OTHER_BOOT = bytes(range(16))

TICKS = [
    [("put", b"a", b'{"n":1}'), ("put", b"b", b'{"n":1}')],
    [("patch", b"a", b'{"n":2,"m":{"x":1}}')],
    [("delete", b"b", b""), ("put", b"c", b'{"n":3}')],
    [("patch", b"a", b'{"m":null}'), ("patch", b"d", b'{"x":null,"y":4}')],
]
STATES = [
    {},
    {b"a": b'{"n":1}', b"b": b'{"n":1}'},
    {b"a": b'{"n":2,"m":{"x":1}}', b"b": b'{"n":1}'},
    {b"a": b'{"n":2,"m":{"x":1}}', b"c": b'{"n":3}'},
    {b"a": b'{"n":2}', b"c": b'{"n":3}', b"d": b'{"y":4}'},
]


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    # Thousands of starts, none of which has to survive a loss of power.
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)


def frame_ends(path: Path) -> list[int]:
    with path.open("rb") as file:
        file.seek(FILE_HEADER.size)
        return [frame.end for frame in read_frames(file, FILE_HEADER.size, path.stat().st_size)]


def overwrite(directory: Path, name: str, data: bytes) -> Path:
    (directory / name).write_bytes(data)
    return directory


def flip(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1 << (position % 8)
    return bytes(changed)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_what_was_written_is_read(make_journal: MakeJournal, read_states: ReadStates) -> None:
    for ticks, state in enumerate(STATES):
        directory = make_journal(TICKS[:ticks], name=f"after-{ticks}")
        assert read_states(directory) == state


def test_a_killed_process_loses_nothing(make_journal: MakeJournal, read_states: ReadStates) -> None:
    assert read_states(make_journal(TICKS, killed=True)) == STATES[-1]


def test_changes_go_over_a_snapshot(make_journal: MakeJournal, read_states: ReadStates) -> None:
    for first in range(len(TICKS) + 1):
        directory = make_journal(TICKS[:first], name=f"from-{first}")
        if first:
            compact(directory, 1)
        make_journal(TICKS[first:], name=f"from-{first}")
        assert read_states(directory) == STATES[-1]


def test_a_last_frame_torn_at_any_byte_is_cut(
    make_journal: MakeJournal,
    read_states: ReadStates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    directory = make_journal(TICKS, killed=True)
    data = (directory / segment_name(1)).read_bytes()
    *_, start, end = frame_ends(directory / segment_name(1))
    assert end == len(data)
    for size in range(start + 1, end):
        caplog.clear()
        overwrite(directory, segment_name(1), data[:size])
        assert read_states(directory) == STATES[-2]
        assert (directory / segment_name(1)).read_bytes() == data[:start]
        warning = next(r for r in caplog.records if r.levelno == logging.WARNING).getMessage()
        assert f"cut off {size - start} bytes at offset {start}" in warning
        assert read_states(directory) == STATES[-2]


def test_a_torn_header_of_a_new_segment_is_removed(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    directory = make_journal(TICKS)
    header = encode_header(b"RIGELLOG", 2, OTHER_BOOT)
    for size in range(len(header) + 1):
        overwrite(directory, segment_name(2), header[:size])
        assert read_states(directory) == STATES[-1]
        assert not (directory / segment_name(2)).exists()


def test_a_flipped_bit_behind_which_frames_follow_is_refused(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    directory = make_journal(TICKS, killed=True)
    path = directory / segment_name(1)
    data = path.read_bytes()
    *_, last_start, _ = frame_ends(path)
    for position in range(last_start):
        overwrite(directory, segment_name(1), flip(data, position))
        before = contents(directory)
        with pytest.raises(JournalDamaged) as caught:
            read_states(directory)
        assert caught.value.path.name == segment_name(1)
        assert caught.value.offset <= position
        assert segment_name(1) in str(caught.value)
        assert f"offset {caught.value.offset}" in str(caught.value)
        assert "rigel journal" in str(caught.value)
        assert contents(directory) == before


def test_a_flipped_bit_in_the_last_frame_cuts_only_that(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    # Nobody can tell it from a frame that was not written to its end.
    directory = make_journal(TICKS, killed=True)
    path = directory / segment_name(1)
    data = path.read_bytes()
    *_, start, end = frame_ends(path)
    for position in range(start, end):
        overwrite(directory, segment_name(1), flip(data, position))
        assert read_states(directory) == STATES[-2]


def test_a_closed_journal_is_refused_for_any_bit_before_its_mark(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    # Closing ends with a frame that says all before it is stable: even after a restart of the
    # machine no damage before it can pass for a tail that was lost with the power.
    directory = make_journal(TICKS)
    path = directory / segment_name(1)
    data = path.read_bytes()
    *_, mark, _ = frame_ends(path)
    for position in range(FILE_HEADER.size, len(data)):
        overwrite(directory, segment_name(1), flip(data, position))
        if position < mark:
            with pytest.raises(JournalDamaged):
                read_states(directory, OTHER_BOOT)
        else:
            assert read_states(directory, OTHER_BOOT) == STATES[-1]


def test_a_flipped_bit_in_an_earlier_segment_is_refused(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    directory = make_journal(TICKS[:2])
    make_journal(TICKS[2:])
    data = (directory / segment_name(1)).read_bytes()
    for position in range(len(data)):
        overwrite(directory, segment_name(1), flip(data, position))
        for boot_id in (None, OTHER_BOOT):
            with pytest.raises(JournalDamaged):
                read_states(directory, boot_id)


def test_a_flipped_bit_in_a_snapshot_is_refused(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    directory = make_journal(TICKS)
    compact(directory, 1)
    make_journal([[("put", b"z", b"{}")]])
    data = (directory / snapshot_name(1)).read_bytes()
    for position in range(len(data)):
        overwrite(directory, snapshot_name(1), flip(data, position))
        with pytest.raises(JournalDamaged) as caught:
            read_states(directory)
        assert caught.value.path.name == snapshot_name(1)


def test_a_snapshot_cut_anywhere_is_refused(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    directory = make_journal(TICKS)
    compact(directory, 1)
    data = (directory / snapshot_name(1)).read_bytes()
    for size in range(len(data)):
        overwrite(directory, snapshot_name(1), data[:size])
        with pytest.raises(JournalDamaged):
            read_states(directory)


def test_a_missing_segment_is_refused(make_journal: MakeJournal, read_states: ReadStates) -> None:
    for tick in TICKS[:3]:
        directory = make_journal([tick])
    (directory / segment_name(2)).unlink()
    with pytest.raises(JournalDamaged, match="missing") as caught:
        read_states(directory)
    assert caught.value.path.name == segment_name(2)


def test_a_missing_snapshot_is_refused(make_journal: MakeJournal, read_states: ReadStates) -> None:
    directory = make_journal(TICKS[:2])
    compact(directory, 1)
    make_journal(TICKS[2:])
    (directory / snapshot_name(1)).unlink()
    with pytest.raises(JournalDamaged, match="missing"):
        read_states(directory)


def test_a_segment_in_place_of_another_is_refused(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    directory = make_journal(TICKS[:2])
    make_journal(TICKS[2:])
    first, second = (directory / segment_name(number) for number in (1, 2))
    spare = first.with_name("spare")
    first.rename(spare)
    second.rename(first)
    spare.rename(second)
    with pytest.raises(JournalDamaged, match="renamed"):
        read_states(directory)


def test_a_doubled_frame_is_refused(make_journal: MakeJournal, read_states: ReadStates) -> None:
    directory = make_journal(TICKS)
    path = directory / segment_name(1)
    data = path.read_bytes()
    first, second = frame_ends(path)[:2]
    path.write_bytes(data[:second] + data[first:second] + data[second:])
    with pytest.raises(JournalDamaged, match="frame 2 stands where 3 belongs"):
        read_states(directory)


def test_a_newer_format_is_told_from_damage(
    make_journal: MakeJournal, read_states: ReadStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = make_journal(TICKS)
    monkeypatch.setattr("broker.journal.format.FORMAT_VERSION", 2)
    with pytest.raises(JournalUnsupported, match="format version 1"):
        read_states(directory)
    assert issubclass(JournalUnsupported, JournalError)


def test_power_loss_takes_only_what_was_not_stable(
    make_journal: MakeJournal,
    read_states: ReadStates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # None of the run's frames was synced when the copy was taken: after a restart of the
    # machine any page of them may be missing, with later ones there.
    directory = make_journal(TICKS, killed=True)
    path = directory / segment_name(1)
    data = path.read_bytes()
    starts = [FILE_HEADER.size, *frame_ends(path)]
    for frame, (start, end) in enumerate(pairwise(starts)):
        holed = data[:start] + bytes(end - start) + data[end:]
        overwrite(directory, segment_name(1), holed)
        if frame < len(TICKS) - 1:
            with pytest.raises(JournalDamaged):  # without a restart of the machine
                read_states(directory)
        caplog.clear()
        assert read_states(directory, OTHER_BOOT) == STATES[frame]
        assert f"at offset {start}" in caplog.text
        kept = []
        for cut in directory.glob("*.cut"):
            kept.append(cut.read_bytes())
            cut.unlink()
        assert kept == ([holed[start:]] if frame < len(TICKS) - 1 else [])


def test_power_loss_may_take_the_end_of_a_segment_and_leave_the_next(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    directory = make_journal(TICKS, killed=True, segment_bytes=1)  # one frame in each
    assert list_directory(directory).segments == (1, 2, 3, 4, 5)
    second = directory / segment_name(2)
    second.write_bytes(second.read_bytes()[: FILE_HEADER.size + FRAME_HEADER.size + 3])
    with pytest.raises(JournalDamaged):
        read_states(directory)
    assert read_states(directory, OTHER_BOOT) == STATES[1]
    assert list_directory(directory).segments == (1,)
    assert {path.name for path in directory.glob("*.cut")} == {
        f"{segment_name(3)}.cut",
        f"{segment_name(4)}.cut",
    }
    assert read_states(directory, OTHER_BOOT) == STATES[1]


def test_zeros_behind_the_frames_are_cut(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    directory = make_journal(TICKS, killed=True)
    path = directory / segment_name(1)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(bytes(4096))
    assert read_states(directory) == STATES[-1]
    assert path.stat().st_size == size


def test_other_files_are_left_alone(make_journal: MakeJournal, read_states: ReadStates) -> None:
    directory = make_journal(TICKS)
    strangers = ["notes.txt", "log-1.rgl", "log-0000000000000009.rgl.cut", "notes.tmp"]
    for name in strangers:
        (directory / name).write_bytes(b"?")
    (directory / (snapshot_name(1) + ".tmp")).write_bytes(b"?")
    assert read_states(directory) == STATES[-1]
    names = {path.name for path in directory.iterdir()}
    assert names >= set(strangers)
    assert snapshot_name(1) + ".tmp" not in names


def test_a_bad_sector_is_never_cut(make_journal: MakeJournal, read_states: ReadStates) -> None:
    directory = make_journal(TICKS)
    # Reading the first page of a process fails with EIO, as a bad sector does.
    (directory / segment_name(2)).symlink_to("/proc/self/mem")
    for boot_id in (None, OTHER_BOOT):
        with pytest.raises(JournalDamaged, match="cannot be read"):
            read_states(directory, boot_id)
    assert list_directory(directory).segments == (1, 2)
