"""Whatever happens to the bytes of a journal: a state that once was, or a refusal."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.journal import Durability, Journal, JournalDamaged
from broker.journal.compaction import compact
from broker.journal.recovery import current_boot_id, latest_states, recover

RUNS = 4
TICKS_PER_RUN = 12
OTHER_BOOT = bytes(range(16))


class Sample(NamedTuple):
    """A directory with a snapshot and several segments, and its state after each tick."""

    directory: Path
    states: list[dict[bytes, bytes]]
    files: dict[str, bytes]

    def __repr__(self) -> str:
        return f"Sample({self.directory})"


class Warnings(logging.Handler):
    """Counts what the journal says."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


async def run_journal(directory: Path, states: list[dict[bytes, bytes]], last: bool) -> None:
    journal = Journal.open(directory, Durability.PROCESS, segment_bytes=400, python="/bin/false")
    journal.start(asyncio.get_running_loop())
    for _ in range(TICKS_PER_RUN):
        number = len(states)
        latest = dict(states[-1])
        key, other = b"k%d" % (number % 5), b"k%d" % (number % 3)
        latest.pop(other, None)
        latest[key] = b'{"n":%d}' % number
        journal.delete(other)
        journal.put(key, b'{"n":0,"m":1}')
        journal.patch(key, b'{"n":%d,"m":null}' % number)
        await journal.committed()
        states.append(latest)
    if last:
        shutil.copytree(directory, directory.with_name("killed"))
    await journal.close()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    directory = tmp_path_factory.mktemp("journal") / "data"
    states: list[dict[bytes, bytes]] = [{}]
    with pytest.MonkeyPatch.context() as patch:
        # Thousands of starts, none of which has to survive a loss of power.
        patch.setattr(os, "fsync", lambda fd: None)
        patch.setattr(os, "fdatasync", lambda fd: None)
        for run in range(RUNS):
            asyncio.run(run_journal(directory, states, last=run == RUNS - 1))
            if run == 0:
                numbers = sorted(path.name for path in directory.glob("log-*"))
                compact(directory, int(numbers[-1][4:20]))
        directory = directory.with_name("killed")
        files = {path.name: path.read_bytes() for path in directory.iterdir()}
        assert len(files) > 6
        yield Sample(directory, states, files)


def restore(sample: Sample) -> None:
    for path in sample.directory.iterdir():
        if path.name not in sample.files:
            path.unlink()
    for name, data in sample.files.items():
        (sample.directory / name).write_bytes(data)


def read(directory: Path, boot_id: bytes) -> dict[bytes, bytes]:
    recovery = recover(directory, boot_id)
    return dict(latest_states(recovery.snapshot_path, recovery.snapshot, recovery.take_changes()))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damage_gives_a_former_state_or_a_refusal(sample: Sample, data: st.DataObject) -> None:
    restore(sample)
    names = sorted(name for name in sample.files if name != "lock")
    changed: dict[str, bytes] = {}
    truncated = False
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)):
        content = bytearray(sample.files[name])
        position = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "zero", "insert", "remove", "truncate"]))
        end = min(len(content), position + data.draw(st.integers(1, 200)))
        if kind == "flip":
            content[position] ^= data.draw(st.integers(1, 255))
        elif kind == "zero":
            content[position:end] = bytes(end - position)
        elif kind == "insert":
            content[position:position] = data.draw(st.binary(min_size=1, max_size=60))
        elif kind == "remove":
            del content[position:end]
        else:
            del content[position:]
        changed[name] = bytes(content)
        # A file that ends at the end of a frame shows nothing missing.
        truncated = truncated or sample.files[name].startswith(content)
        (sample.directory / name).write_bytes(content)
    boot_id = data.draw(st.sampled_from([current_boot_id(), OTHER_BOOT]))
    warnings = Warnings()
    logger = logging.getLogger("broker.journal.recovery")
    logger.addHandler(warnings)
    damage: JournalDamaged | None = None
    state: dict[bytes, bytes] = {}
    try:
        state = read(sample.directory, boot_id)
    except JournalDamaged as caught:
        damage = caught
    finally:
        logger.removeHandler(warnings)
    if damage is not None:
        assert damage.path.name in sample.files
        # A refusal changes nothing; that of a snapshot may come after a torn tail was cut.
        if damage.path.name.startswith("log"):
            for name, expected in changed.items():
                assert (sample.directory / name).read_bytes() == expected
        return
    assert state in sample.states
    if state != sample.states[-1]:
        assert truncated or warnings.count
    # What was decided is lasting: the next start finds the same, with nothing to repair.
    assert read(sample.directory, boot_id) == state


def test_an_undamaged_journal_is_whole(sample: Sample) -> None:
    restore(sample)
    assert read(sample.directory, current_boot_id()) == sample.states[-1]
    assert sum(1 for _ in islice(sample.states, 100)) == RUNS * TICKS_PER_RUN + 1
