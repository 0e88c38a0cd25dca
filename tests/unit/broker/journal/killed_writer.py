"""Kills writers of a journal: `killed_writer.py DIRECTORY KILLS DURABILITY PYTHON`.

Each round forks a writer, which sends the number of each change that was committed through a
pipe; kills it by SIGKILL at a random moment; opens the journal again and compares: all that
was acknowledged has to be there, nothing in part, and what came after it in order. Then it does
the same to a process that merges the closed segments. PYTHON runs the compactions of the
writer itself. Prints one line with what happened.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from broker.journal import Durability, Journal
from broker.journal.compaction import compact
from broker.journal.recovery import list_directory

KEYS: Final = 97
NUMBER_BYTES: Final = 8
SEGMENT_BYTES: Final = 100_000  # some rotations in a round
LONGEST_RUN_S: Final = 0.06
LONGEST_MERGE_S: Final = 0.05
WHOLE_MERGES: Final = 0.3  # share: without any, segments would pile up
WHOLE_MERGE_S: Final = 30.0


class Arguments(NamedTuple):
    directory: Path
    durability: Durability
    python: str


def document(number: int) -> bytes:
    return b'{"n":%d,"text":"%s"}' % (number, b"x" * (number % 300))


def key(number: int) -> bytes:
    return b"%d" % (number % KEYS)


async def write(
    directory: Path, durability: Durability, python: str, number: int, acknowledge: int
) -> None:
    journal = Journal.open(directory, durability, segment_bytes=SEGMENT_BYTES, python=python)
    for _ in journal.load():
        pass
    journal.start(asyncio.get_running_loop())
    while True:
        for _ in range(number % 7 + 1):
            journal.admit()
            journal.put(key(number), document(number))
            journal.patch(b"last", b'{"n":%d}' % number)
            number += 1
        await journal.committed()
        os.write(acknowledge, (number - 1).to_bytes(NUMBER_BYTES, "little"))


def fork(work: Callable[[], None]) -> int:
    """A process that does the work and nothing else."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def kill(child: int, after_s: float = 0.0) -> bool:
    """Kills a process after a while, unless it ends before; whether it was killed."""
    process = os.pidfd_open(child)
    select.select([process], [], [], after_s)
    os.close(process)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the process failed"
    return os.WIFSIGNALED(status)


def read_acknowledged(pipe: int, until: float) -> int:
    """Reads until the moment has come, or the pipe has ended; the last number or -1."""
    last = -1
    while (left := until - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            data = os.read(pipe, 8000)
            if not data:
                break
            last = int.from_bytes(data[-NUMBER_BYTES:], "little")
    return last


def check(directory: Path, acknowledged: int) -> int:
    """Compares the directory with what has to be in it; the last number that is."""
    journal = Journal.open(directory, Durability.PROCESS)
    states = dict(journal.load())
    asyncio.run(journal.close())
    if not states:
        assert acknowledged < 0, "acknowledged changes are lost"
        return -1
    last = int(states.pop(b"last").removeprefix(b'{"n":').removesuffix(b"}"))
    assert last >= acknowledged, f"{acknowledged} was acknowledged, {last} is the last"
    expected = {
        key(number): document(number) for number in range(max(0, last - KEYS + 1), last + 1)
    }
    assert states == expected, f"the state is not the one after change {last}"
    return last


def run_writer(arguments: Arguments, number: int) -> int:
    """A round of writing from `number` on; the last acknowledged number or -1."""
    pipe, acknowledge = os.pipe()
    child = fork(lambda: asyncio.run(write(*arguments, number, acknowledge)))
    os.close(acknowledge)
    # From the first acknowledgement on, so that a slow start is no round without a change.
    select.select([pipe], [], [])
    acknowledged = read_acknowledged(pipe, time.monotonic() + random.random() * LONGEST_RUN_S)
    assert kill(child), "the writer ended by itself"
    acknowledged = max(acknowledged, read_acknowledged(pipe, time.monotonic() + 60))
    os.close(pipe)
    return acknowledged


def run_merge(directory: Path) -> bool:
    """Merges all segments but the last; whether it was killed before it was done."""
    closed = list_directory(directory).live_segments()[:-1]
    if not closed:
        return False
    child = fork(lambda: compact(directory, closed[-1]))
    whole = random.random() < WHOLE_MERGES
    return kill(child, WHOLE_MERGE_S if whole else random.random() * LONGEST_MERGE_S)


def main() -> None:
    arguments = Arguments(Path(sys.argv[1]), Durability(sys.argv[3]), sys.argv[4])
    last = acknowledged = -1
    rounds = merges = killed_merges = 0
    for _ in range(int(sys.argv[2])):
        found = run_writer(arguments, last + 1)
        rounds += found >= 0
        acknowledged = max(acknowledged, found)
        last = check(arguments.directory, acknowledged)
        killed_merges += run_merge(arguments.directory)
        merges += 1
        assert check(arguments.directory, acknowledged) == last
    print(f"{rounds} rounds, {last + 1} changes, {killed_merges} of {merges} merges killed")


if __name__ == "__main__":
    main()
