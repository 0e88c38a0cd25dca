"""An interval of load and what a server spent in it: chunks of work until there is enough CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loadtests.cpu_time import CpuTime, read_cpu_time
from loadtests.report import Measurement


@dataclass(frozen=True, slots=True)
class Effort:
    """When an interval is long enough: when the CPU time or the chunks are spent."""

    enough_cpu_s: float  # long against the kernel's ticks of 10 ms
    chunks_max: int


FULL_EFFORT: Final = Effort(enough_cpu_s=1.0, chunks_max=20)
QUICK_EFFORT: Final = Effort(enough_cpu_s=0.05, chunks_max=20)


def measure_chunks(pid: int, do_chunk: Callable[[], int], effort: Effort) -> Measurement:
    """CPU of process `pid` while `do_chunk` runs again and again.

    `do_chunk` does a part of the work, waits until it is done, and returns how many operations
    it was.
    """
    before = read_cpu_time(pid)
    started = time.monotonic()
    spent = CpuTime(0.0, 0.0)
    done = 0
    for _ in range(effort.chunks_max):
        done += do_chunk()
        spent = read_cpu_time(pid).since(before)
        if spent.total_s >= effort.enough_cpu_s:
            break
    return Measurement(done, spent.user_s, spent.system_s, time.monotonic() - started)
