"""Any history of a journal against a dict and the pseudo-code of RFC 7386."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.journal import Durability, Journal
from broker.journal.compaction import compact
from broker.journal.merge import merge_patch
from broker.journal.recovery import list_directory

Model: TypeAlias = dict[bytes, Any]

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(0, 1) | st.sampled_from(["é"])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner), max_leaves=6
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=3)
KEYS = st.sampled_from([b"", b"k", b"\x00\xff", b"a longer key"])

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, JSON),
        st.tuples(st.just("put"), KEYS, OBJECTS),
        st.tuples(st.just("patch"), KEYS, JSON),
        st.tuples(st.just("patch"), KEYS, OBJECTS),
        st.tuples(st.just("delete"), KEYS, st.none()),
        st.tuples(
            st.sampled_from(["tick", "tick", "restart", "kill", "merge closed", "merge all"]),
            st.just(b""),
            st.none(),
        ),
    ),
    max_size=40,
)


def merge_as_described(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_as_described(result.get(name), value)
    return result


@given(JSON, JSON)
def test_merging_is_as_described(target: Any, patch: Any) -> None:
    expected = merge_as_described(target, patch)
    assert merge_patch(orjson.loads(orjson.dumps(target)), patch) == expected


class History:
    """A journal and the dict that it has to be equal to."""

    def __init__(self, place: Path, durability: Durability, segment_bytes: int) -> None:
        self._place = place
        self._generation = 0
        self._durability = durability
        self._segment_bytes = segment_bytes
        self.directory = place / "0"
        self.model: Model = {}
        self._journal = self._open()

    def _open(self) -> Journal:
        # A compaction of its own would come at its own time: this one cannot start.
        journal = Journal.open(
            self.directory,
            self._durability,
            segment_bytes=self._segment_bytes,
            python="/bin/false",
        )
        loaded = list(journal.load())
        assert len({key for key, _ in loaded}) == len(loaded)
        assert {key: orjson.loads(document) for key, document in loaded} == self.model
        journal.start(asyncio.get_running_loop())
        return journal

    async def take(self, step: str, key: bytes, value: Any) -> None:
        journal = self._journal
        if step == "put":
            journal.admit()
            journal.put(key, orjson.dumps(value))
            self.model[key] = value
        elif step == "patch":
            journal.admit()
            journal.patch(key, orjson.dumps(value))
            self.model[key] = merge_as_described(self.model.get(key), value)
        elif step == "delete":
            journal.admit()
            journal.delete(key)
            self.model.pop(key, None)
        elif step == "tick":
            await journal.committed()
        elif step == "merge closed":
            listing = list_directory(self.directory)
            if closed := listing.live_segments()[:-1]:
                compact(self.directory, closed[-1])
        else:
            await self._reopen(killed=step == "kill", merged=step == "merge all")

    async def _reopen(self, *, killed: bool, merged: bool) -> None:
        if killed:
            await self._journal.committed()
            self._generation += 1
            copy = self._place / str(self._generation)
            shutil.copytree(self.directory, copy)
            await self._journal.close()
            self.directory = copy
        else:
            await self._journal.close()
        if merged and (segments := list_directory(self.directory).live_segments()):
            compact(self.directory, segments[-1])
        self._journal = self._open()

    async def end(self) -> None:
        await self._reopen(killed=False, merged=False)
        await self._journal.close()


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    # Thousands of starts, none of which has to survive a loss of power.
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)


@settings(max_examples=80, deadline=None)
@given(STEPS, st.sampled_from([Durability.PROCESS, Durability.POWER]), st.sampled_from([150, 5000]))
def test_a_journal_is_a_dict_that_lasts(
    steps: list[tuple[str, bytes, Any]], durability: Durability, segment_bytes: int
) -> None:
    async def run(place: Path) -> None:
        history = History(place, durability, segment_bytes)
        for step, key, value in steps:
            await history.take(step, key, value)
        await history.end()

    with tempfile.TemporaryDirectory() as place:
        asyncio.run(run(Path(place)))
