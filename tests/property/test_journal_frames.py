"""The compiled frame encoder against one written down from the description of the format."""

from __future__ import annotations

import io
import os
import resource
import signal
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _native import FrameEncoder, preallocate
from broker.journal.format import FrameError, find_frames, read_frames, read_records

Record = tuple[int, bytes, bytes]

RECORDS = st.lists(st.tuples(st.integers(1, 3), st.binary(max_size=40), st.binary(max_size=400)))
SEQUENCES = st.integers(0, 2**64 - 1)
RETAINED = 65536


def reference_frame(records: Iterable[Record], sequence: int, durable: int) -> bytes:
    """docs/journal.md, section "Frame", word for word."""
    body = b""
    count = 0
    for operation, key, payload in records:
        body += struct.pack("<BHI", operation, len(key), len(payload)) + key + payload
        count += 1
    header = b"\xf5RGF" + struct.pack("<IQQI", len(body), sequence, durable, count)
    return header + struct.pack("<I", zlib.crc32(header + body)) + body


def make_encoder(max_payload: int = 1 << 20) -> FrameEncoder:
    return FrameEncoder(max_payload=max_payload, retained=RETAINED)


def parse(frame: bytes, sequence: int) -> list[Record]:
    (only,) = read_frames(io.BytesIO(frame), 0, len(frame), sequence)
    return list(read_records(only))


@given(RECORDS, SEQUENCES, SEQUENCES)
def test_frames_are_byte_for_byte_those_of_the_description(
    records: list[Record], sequence: int, durable: int
) -> None:
    encoder = make_encoder()
    for number, record in enumerate(records, 1):
        assert encoder.add(*record) == encoder.size
        assert encoder.records == number
    frame = encoder.encode(sequence, durable)
    assert frame == reference_frame(records, sequence, durable)
    assert encoder.size == (len(frame) if records else 0)
    assert parse(frame, sequence) == records


@given(st.lists(RECORDS, max_size=4), SEQUENCES)
def test_written_frames_follow_each_other(ticks: list[list[Record]], durable: int) -> None:
    encoder = make_encoder()
    with open(os.memfd_create("frames"), "w+b", buffering=0) as file:
        for sequence, records in enumerate(ticks, 1):
            for record in records:
                encoder.add(*record)
            expected = reference_frame(records, sequence, durable)
            assert encoder.write(file.fileno(), sequence, durable) == len(expected)
            assert (encoder.size, encoder.records) == (0, 0)
            assert os.pread(file.fileno(), 1 << 20, file.tell() - len(expected)) == expected


@given(RECORDS, SEQUENCES, st.data())
def test_no_changed_byte_goes_unnoticed(
    records: list[Record], sequence: int, data: st.DataObject
) -> None:
    frame = bytearray(reference_frame(records, sequence, 0))
    position = data.draw(st.integers(0, len(frame) - 1))
    frame[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FrameError):
        parse(bytes(frame), sequence)


@given(st.binary(max_size=100), st.lists(RECORDS, min_size=1, max_size=3))
def test_whole_frames_are_found_behind_anything(before: bytes, ticks: list[list[Record]]) -> None:
    data = before
    expected = []
    for sequence, records in enumerate(ticks, 1):
        start = len(data)
        data += reference_frame(records, sequence, 7)
        expected.append((start, len(data), sequence, 7))
        data += b"\xf5RG"  # half a beginning
    assert list(find_frames(data)) == expected
    assert list(find_frames(data[:-4])) == expected[:-1]


def test_a_frame_larger_than_the_first_buffer(tmp_path: Path) -> None:
    encoder = make_encoder()
    records = [(1, b"%d" % number, b"x" * 100_000) for number in range(50)]
    for attempt in (1, 2):
        for record in records:
            encoder.add(*record)
        with (tmp_path / "frame").open("wb") as file:
            encoder.write(file.fileno(), attempt, 0)
        assert (tmp_path / "frame").read_bytes() == reference_frame(records, attempt, 0)


def test_limits_are_named_and_add_nothing() -> None:
    encoder = make_encoder(max_payload=10)
    with pytest.raises(ValueError, match="key has 65536 bytes, at most 65535"):
        encoder.add(1, b"k" * 65536, b"")
    with pytest.raises(ValueError, match="payload has 11 bytes, at most 10"):
        encoder.add(1, b"", b"x" * 11)
    with pytest.raises(OverflowError):
        encoder.add(256, b"", b"")
    assert (encoder.size, encoder.records) == (0, 0)
    encoder.add(1, b"k" * 65535, b"x" * 10)
    assert parse(encoder.encode(1, 0), 1) == [(1, b"k" * 65535, b"x" * 10)]


@pytest.mark.parametrize("wrong", [bytearray(b"x"), "x", None])
def test_only_bytes_are_taken(wrong: object) -> None:
    with pytest.raises(TypeError):
        make_encoder().add(1, wrong, b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        make_encoder().add(1, b"", wrong)  # type: ignore[arg-type]


def test_a_failed_write_keeps_the_records(tmp_path: Path) -> None:
    encoder = make_encoder()
    encoder.add(1, b"k", b"x")
    with (tmp_path / "frame").open("wb") as file:
        fd = file.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        encoder.write(fd, 1, 0)
    assert encoder.encode(1, 0) == reference_frame([(1, b"k", b"x")], 1, 0)


def test_a_frame_cut_off_by_the_system_is_written_to_its_end_or_an_error(tmp_path: Path) -> None:
    # The limit lets the first write(2) write a part; the second one fails.
    encoder = make_encoder()
    encoder.add(1, b"k", b"x" * 1000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with (tmp_path / "frame").open("wb") as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                encoder.write(file.fileno(), 1, 0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert os.fstat(file.fileno()).st_size == 500
        os.ftruncate(file.fileno(), 0)
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        encoder.write(file.fileno(), 1, 0)
    assert (tmp_path / "frame").read_bytes() == reference_frame([(1, b"k", b"x" * 1000)], 1, 0)


def test_reserving_leaves_the_size_alone(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x")
        file.flush()
        preallocate(file.fileno(), 0, 1 << 20)
        found = os.fstat(file.fileno())
        assert found.st_size == 1
        assert found.st_blocks * 512 >= 1 << 20
    with pytest.raises(OSError, match="Bad file descriptor"):
        preallocate(-1, 0, 1)
    reader, writer = os.pipe()
    with open(reader, "rb"), open(writer, "wb") as pipe, pytest.raises(OSError, match="seek"):
        preallocate(pipe.fileno(), 0, 1)
