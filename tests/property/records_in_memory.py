"""A journal without files: each record is given to `keep` as it is appended."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from typing import Final

from _native import FrameEncoder
from broker.journal.format import MAX_PAYLOAD_BYTES, read_frames, read_records
from broker.ports import JournalPort

_RETAINED_BYTES: Final = 64 * 1024  # the least
_NEVER: Final = 1 << 40  # bytes


class RecordsInMemory(JournalPort):
    """To be completed by `keep`, which must not raise."""

    def __init__(self) -> None:
        super().__init__(1, _NEVER)
        # Without room, so that `_make_room` is asked for every change.
        self._encoder = FrameEncoder(max_payload=MAX_PAYLOAD_BYTES, retained=_RETAINED_BYTES)
        self._use(self._encoder)

    def keep(self, operation: int, key: bytes, payload: bytes) -> None:
        """A record was appended."""
        raise NotImplementedError

    def load(self) -> Iterator[tuple[bytes, bytes]]:
        """Nothing is there at first."""
        return iter(())

    def _make_room(self, change_bytes: int) -> None:
        """There is room for all."""

    def _begin_tick(self) -> None:
        data = self._encoder.encode(1, 0)
        self._encoder.clear()
        for frame in read_frames(io.BytesIO(data), 0, len(data)):
            for operation, key, payload in read_records(frame):
                self.keep(operation, key, payload)

    def _give_commit(self) -> asyncio.Future[None]:
        raise AssertionError("nobody waits for a commit here")
