"""Journals in a directory of the test, and copies of them as a killed process leaves them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from broker.journal import Durability, Journal
from broker.journal.recovery import current_boot_id, latest_states, recover

Change: TypeAlias = tuple[str, bytes, bytes]  # the method's name, key, payload
Ticks: TypeAlias = Sequence[Sequence[Change]]


async def write_ticks(journal: Journal, ticks: Ticks) -> None:
    for tick in ticks:
        for name, key, payload in tick:
            journal.admit()
            if name == "delete":
                journal.delete(key)
            else:
                getattr(journal, name)(key, payload)
        await journal.committed()


async def run_journal(directory: Path, ticks: Ticks, copy: Path | None, segment_bytes: int) -> None:
    journal = Journal.open(
        directory, Durability.PROCESS, segment_bytes=segment_bytes, python="/bin/false"
    )
    journal.start(asyncio.get_running_loop())
    await write_ticks(journal, ticks)
    if copy is not None:
        shutil.copytree(directory, copy)
    await journal.close()


@pytest.fixture
def write() -> Callable[..., Awaitable[None]]:
    """Appends ticks to an open journal, each of them committed."""
    return write_ticks


@pytest.fixture
def make_journal(tmp_path: Path) -> Callable[..., Path]:
    """Makes a directory by a run of a journal with these ticks; it was closed or killed."""

    def make(
        ticks: Ticks, *, killed: bool = False, name: str = "data", segment_bytes: int = 1 << 20
    ) -> Path:
        directory = tmp_path / name
        copy = tmp_path / f"{name}-killed" if killed else None
        asyncio.run(run_journal(directory, ticks, copy, segment_bytes))
        return copy or directory

    return make


@pytest.fixture
def read_states() -> Callable[..., dict[bytes, bytes]]:
    """The latest documents of a directory, as a start finds them (and repairs the tail)."""

    def read(directory: Path, boot_id: bytes | None = None) -> dict[bytes, bytes]:
        recovery = recover(directory, boot_id or current_boot_id())
        return dict(
            latest_states(recovery.snapshot_path, recovery.snapshot, recovery.take_changes())
        )

    return read
