"""A durable journal of the latest JSON document of each key (docs/journal.md).

Knows nothing of entities or subscriptions: the engine above it decides what a key and its
document are. Reads and writes one data directory, of which it is the only owner.
"""

from broker.journal.appender import RESERVE_BYTES
from broker.journal.commit import Durability, JournalStatistics, State
from broker.journal.format import (
    MAX_KEY_BYTES,
    MAX_PAYLOAD_BYTES,
    JournalDamaged,
    JournalError,
    JournalLocked,
    JournalUnsupported,
)
from broker.journal.writer import SEGMENT_BYTES, Journal

__all__ = [
    "MAX_KEY_BYTES",
    "MAX_PAYLOAD_BYTES",
    "RESERVE_BYTES",
    "SEGMENT_BYTES",
    "Durability",
    "Journal",
    "JournalDamaged",
    "JournalError",
    "JournalLocked",
    "JournalStatistics",
    "JournalUnsupported",
    "State",
]
