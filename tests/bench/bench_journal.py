"""What the journal costs an update: `python tests/bench/bench_journal.py [DIRECTORY]`.

Prints a table: CPU of the loop's thread per record of a 322-byte document, in microseconds, by
records per tick of the loop, with `admit`, `put` and one `committed` per record as the broker
does; and how long loading and merging take per document. Figures, not a test.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from broker.journal import Durability, Journal
from broker.journal.compaction import compact
from broker.journal.recovery import list_directory

DOCUMENT_BYTES: Final = 322
KEYS: Final = 100_000
RECORDS: Final = 200_000  # per measurement: long enough for the segments to rotate
RECORDS_PER_TICK: Final = (1, 16, 64, 256)


def make_document(number: int) -> bytes:
    """A document of DOCUMENT_BYTES."""
    start = b'{"seq":%d,"text":"' % number
    return start + b"x" * (DOCUMENT_BYTES - len(start) - 2) + b'"}'


async def measure(directory: Path, durability: Durability, per_tick: int) -> tuple[float, float]:
    """Microseconds per record: CPU of this thread, and by the clock."""
    journal = Journal.open(directory, durability)
    for _ in journal.load():
        pass
    journal.start(asyncio.get_running_loop())
    keys = [b"e\x1fcity\x1f/\x1froom-%06d\x1fRoom" % number for number in range(KEYS)]
    document = make_document(1)
    cpu, clock = time.thread_time(), time.perf_counter()
    for first in range(0, RECORDS, per_tick):
        for number in range(first, first + per_tick):
            journal.admit()
            journal.put(keys[number * 7919 % KEYS], document)
            commit = journal.committed()
        await commit
    cpu, clock = time.thread_time() - cpu, time.perf_counter() - clock
    await journal.close()
    return cpu / RECORDS * 1e6, clock / RECORDS * 1e6


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as place:
        print(f"{'durability':<12}{'records/tick':>13}{'CPU us/record':>15}{'us/record':>11}")
        for durability in Durability:
            for per_tick in RECORDS_PER_TICK:
                if durability is Durability.POWER and per_tick == 1:
                    continue  # one sync per record: the disk's figure, not ours
                directory = Path(place) / f"{durability}-{per_tick}"
                cpu, clock = uvloop.run(measure(directory, durability, per_tick))
                print(f"{durability:<12}{per_tick:>13}{cpu:>15.2f}{clock:>11.2f}")
        directory = Path(place) / "process-64"
        start = time.process_time()
        journal = Journal.open(directory, Durability.PROCESS)
        documents = sum(1 for _ in journal.load())
        print(f"load: {(time.process_time() - start) / documents * 1e6:.2f} us per document")
        asyncio.run(journal.close())
        if segments := list_directory(directory).live_segments():
            start = time.process_time()
            compact(directory, segments[-1])
            took_us = (time.process_time() - start) / documents * 1e6
            print(f"merge: {took_us:.2f} us per document")


if __name__ == "__main__":
    main()
