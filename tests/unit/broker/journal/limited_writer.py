"""A process whose files may only grow to a limit: `limited_writer.py DIRECTORY admit|write`.

Tells what happens line by line on standard output; goes on at each line of standard input.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path
from typing import Final

from broker.journal import Durability, Journal, State
from ngsi.errors import InternalServerError

DOCUMENT: Final = b'"%s"' % (b"x" * 60_000)


def say(*words: object) -> None:
    print(*words, flush=True)


async def hear() -> None:
    await asyncio.to_thread(sys.stdin.readline)


async def find_room(journal: Journal) -> None:
    while journal.state is State.FULL:
        await asyncio.sleep(0.01)
        try:
            journal.admit()
        except InternalServerError:
            continue


async def fill(journal: Journal) -> int:
    """Writes until it is refused; how many documents were acknowledged."""
    number = 0
    while True:
        try:
            journal.admit()
        except InternalServerError as error:
            say("refused", error.description)
            return number
        journal.put(b"%d" % number, DOCUMENT)
        await journal.committed()
        number += 1


async def admit(journal: Journal) -> None:
    """The limit is noticed before a change is made."""
    number = await fill(journal)
    say("acknowledged", number)
    await hear()
    await find_room(journal)
    journal.put(b"%d" % number, DOCUMENT)
    await journal.committed()
    say("acknowledged", number + 1)


async def write(journal: Journal) -> None:
    """The limit falls between admission and write."""
    journal.on_commit(lambda: say("committed", journal.committed_tick))
    journal.admit()
    journal.put(b"first", b"1")
    await journal.committed()
    await hear()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.statistics().bytes_written + 100, limit[1]))
    journal.admit()
    journal.put(b"second", DOCUMENT)
    try:
        await journal.committed()
    except InternalServerError as error:
        say("failed", error.description)
    try:
        journal.admit()
    except InternalServerError as error:
        say("refused", error.description)
    await hear()
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    await find_room(journal)
    journal.put(b"third", b"3")
    await journal.committed()


async def main() -> None:
    journal = Journal.open(Path(sys.argv[1]), Durability(sys.argv[3]))
    for _ in journal.load():
        pass
    journal.start(asyncio.get_running_loop())
    await {"admit": admit, "write": write}[sys.argv[2]](journal)
    await journal.close()
    say("closed")


if __name__ == "__main__":
    asyncio.run(main())
