"""What the engine awaits and reads: durability, state, the outcome of a tick, figures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Durability(StrEnum):
    """What an acknowledged change survives."""

    NONE = "none"  # nothing is written
    PROCESS = "process"  # the end of the process; a loss of power takes about the last second
    POWER = "power"  # a loss of power


class State(StrEnum):
    """Whether changes can be written."""

    OK = "ok"
    FULL = "full"  # no room; it ends by itself when there is some
    FAILED = "failed"  # a write or a sync failed for good: only a restart helps
    CLOSED = "closed"


class Commit(asyncio.Future[None]):
    """The outcome of one tick, shared by all its writers.

    A waiter that is cancelled must not take the others with it, so the future cannot be
    cancelled; the waiter is, as soon as the tick is over.
    """

    def cancel(self, msg: Any | None = None) -> bool:
        return False


@dataclass(slots=True, frozen=True)
class JournalStatistics:
    """Figures of a journal since it was opened; sizes in bytes, times in seconds."""

    state: State
    frames: int = 0
    records: int = 0
    bytes_written: int = 0
    syncs: int = 0
    last_sync_s: float = 0.0
    segments: int = 0  # with the open one
    closed_bytes: int = 0  # of the segments that wait for compaction
    snapshot_bytes: int = 0
    snapshot_age_s: float | None = None  # None without a snapshot
    compactions: int = 0
    failed_compactions: int = 0
    compaction_running: bool = False
