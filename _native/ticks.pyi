from asyncio import Future
from typing import Any

from _native import FrameEncoder

class TickRecords:
    """Takes the records of one turn of the loop after the other.

    To be completed by a class that knows of files and loops: `_make_room` is asked when the
    encoder has no `room` for a change, `_begin_tick` is told of the first record of a turn and
    sets `_is_due` until it has written them, `_write_early` is told when a turn's records exceed
    `early_bytes`, `_give_commit` makes the `_commit` of a turn for who asks first. Costs: one copy
    of a record.
    """

    _is_due: bool
    _commit: Any
    def __init__(self, reserve_bytes: int, early_bytes: int) -> None: ...
    def _use(self, encoder: FrameEncoder) -> None:
        """Where records go from now on; without it, nowhere."""
    def _make_room(self, change_bytes: int) -> None:
        """Find room for a change, or raise."""
    def _begin_tick(self) -> None:
        """A record was appended and nothing is due yet."""
    def _write_early(self) -> None:
        """Much was appended in this turn."""
    def _give_commit(self) -> Future[None]:
        """The commit of all that was appended so far, where `_commit` is None."""
    def admit(self, change_bytes: int = ..., /) -> None:
        """Makes sure that a change can be written; to be called before it is made.

        Afterwards `change_bytes` of records (keys and payloads, and 7 bytes for each) are sure
        to find room; by default `reserve_bytes`. Raises what `_make_room` raises.
        """
    def put(self, key: bytes, document: bytes) -> None:
        """The new document of a key: JSON, not empty.

        Raises ValueError over MAX_KEY_BYTES or MAX_PAYLOAD_BYTES; nothing is appended then.
        """
    def patch(self, key: bytes, patch: bytes) -> None:
        """A JSON merge patch (RFC 7386) on the latest document of a key. Raises as `put`."""
    def delete(self, key: bytes) -> None:
        """The key has no document any more. Raises as `put`."""
    def committed(self) -> Future[None]:
        """The commit of all that was appended so far; one future for all who ask in a turn."""
