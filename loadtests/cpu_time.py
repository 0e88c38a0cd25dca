"""CPU time and memory of a server: all its processes, as the kernel accounts for them.

Reads /proc, so Linux only. Counts the process, its living descendants, and those of its
descendants that ended and were waited for. The kernel gives CPU time in ticks, mostly of
10 ms: an interval to measure must be long against that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")

_PROC: Final = Path("/proc")
# Fields of /proc/PID/stat behind the command's name: proc(5) counts from 1, and the name is 2.
_UTIME: Final = 14 - 3
_CSTIME: Final = 17 - 3


class CpuTime(NamedTuple):
    """Seconds of CPU, in user mode and in the kernel."""

    user_s: float
    system_s: float

    @property
    def total_s(self) -> float:
        return self.user_s + self.system_s

    def since(self, former: CpuTime) -> CpuTime:
        """What was spent between two readings."""
        return CpuTime(self.user_s - former.user_s, self.system_s - former.system_s)


def read_cpu_time(pid: int) -> CpuTime:
    """What a process and its descendants spent so far. Raises FileNotFoundError if it ended."""
    user = system = 0
    for process in list_processes(pid):
        ticks = _read_ticks(process)
        user += ticks[0] + ticks[2]
        system += ticks[1] + ticks[3]
    return CpuTime(user * TICK_S, system * TICK_S)


def _read_ticks(pid: int) -> tuple[int, int, int, int]:
    """utime, stime, cutime, cstime of proc(5)."""
    # The name may hold anything, also parentheses.
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    utime, stime, cutime, cstime = map(int, fields[_UTIME : _CSTIME + 1])
    return utime, stime, cutime, cstime


def read_resident_bytes(pid: int) -> int:
    """The resident set (VmRSS) of a process and its descendants, shared pages counted in each."""
    return sum(_read_resident(process) for process in list_processes(pid))


def _read_resident(pid: int) -> int:
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0  # a process that ended and is not yet waited for


def list_processes(pid: int) -> Iterator[int]:
    """A process and its living descendants."""
    yield pid
    for task in (_PROC / str(pid) / "task").iterdir():
        for child in (task / "children").read_text().split():
            yield from list_processes(int(child))


def pin(pid: int, cpu: int | None) -> None:
    """Keep a process, its threads and its descendants on one CPU; None leaves them alone."""
    if cpu is None:
        return
    for process in list_processes(pid):
        for task in (_PROC / str(process) / "task").iterdir():
            os.sched_setaffinity(int(task.name), {cpu})


class Cpus(NamedTuple):
    """Where the server runs and where those who use it; None leaves it to the kernel."""

    server: int | None
    client: int | None


def choose_cpus() -> Cpus:
    """Two CPUs, if there are two."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cpus(allowed[0], allowed[1]) if len(allowed) > 1 else Cpus(None, None)
