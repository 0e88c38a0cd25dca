"""The records of a tick: when room is asked for, and who is told of what."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from _native import FrameEncoder
from _native.ticks import TickRecords

RESERVE: Final = 1000  # bytes
EARLY: Final = 400


class Ticks(TickRecords):
    """Notes what it is asked and told."""

    def __init__(self) -> None:
        super().__init__(RESERVE, EARLY)
        self.told: list[str] = []

    def _make_room(self, change_bytes: int) -> None:
        self.told.append(f"room {change_bytes}")
        raise OSError("none")

    def _begin_tick(self) -> None:
        self._is_due = True
        self.told.append("begin")

    def _write_early(self) -> None:
        self.told.append("early")

    def _give_commit(self) -> asyncio.Future[None]:
        self.told.append("commit")
        self._commit = asyncio.get_running_loop().create_future()
        future: asyncio.Future[None] = self._commit
        return future


@pytest.fixture
def encoder() -> FrameEncoder:
    return FrameEncoder(max_payload=10_000, retained=0)


def test_room_is_asked_for_when_there_is_none(encoder: FrameEncoder) -> None:
    ticks = Ticks()
    ticks._use(encoder)
    encoder.room = RESERVE
    ticks.admit()
    ticks.admit(RESERVE)
    assert ticks.told == []
    with pytest.raises(OSError, match="none"):
        ticks.admit(RESERVE + 1)
    ticks.put(b"key", b"{}")
    with pytest.raises(OSError, match="none"):
        ticks.admit()
    ticks.admit(RESERVE - encoder.size)
    assert ticks.told == [f"room {RESERVE + 1}", "begin", f"room {RESERVE}"]


def test_records(encoder: FrameEncoder) -> None:
    ticks = Ticks()
    ticks._use(encoder)
    expected = FrameEncoder(max_payload=10_000, retained=0)
    ticks.put(b"a", b"{}")
    ticks.patch(b"b", b'{"c":1}')
    ticks.delete(b"a")
    for operation, key, payload in ((1, b"a", b"{}"), (2, b"b", b'{"c":1}'), (3, b"a", b"")):
        expected.add(operation, key, payload)
    assert encoder.encode(1, 0) == expected.encode(1, 0)
    assert ticks.told == ["begin"]
    ticks.put(b"d", b"x" * EARLY)
    assert ticks.told == ["begin", "early"]
    with pytest.raises(ValueError, match="key"):
        ticks.put(b"k" * 70_000, b"{}")
    assert encoder.records == 4


def test_without_an_encoder_records_go_nowhere() -> None:
    ticks = Ticks()
    ticks.admit(1 << 40)
    ticks.put(b"k" * 70_000, b"{}")
    assert ticks.told == ["begin"]


async def test_one_commit_for_all_of_a_tick() -> None:
    ticks = Ticks()
    ticks.put(b"a", b"{}")
    assert ticks.committed() is ticks.committed()
    assert ticks.told == ["begin", "commit"]
