"""Stamps: the moment at which an update leaves, carried in an attribute to the receiver.

A stamp is a number of 16 digits, so that prepared bytes can take another one without a change
of their length, and below 2 to the 53, so that it stays exact wherever numbers are doubles. It
counts microseconds of CLOCK_MONOTONIC, which all processes of one machine share: sender and
receiver must be on the same one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import orjson

ATTRIBUTE: Final = "stamp"
# Where prepared bytes take a stamp: a number of 16 digits that no clock shows.
PLACE: Final = b"9007199254740990"
_BASE: Final = 10**15  # makes it 16 digits; as microseconds, 31 years


def make_stamp() -> bytes:
    """A stamp of now."""
    return b"%d" % (_BASE + time.monotonic_ns() // 1000)


def measure_age_us(stamp: int) -> int:
    """Microseconds since a stamp was made."""
    return _BASE + time.monotonic_ns() // 1000 - stamp


def read_stamps(body: bytes) -> Iterator[tuple[str, int]]:
    """(entity id, stamp) of each entity of a notification in normalized or keyValues form.

    Raises ValueError for what is no notification; entities without a stamp are passed over.
    """
    document: Any = orjson.loads(body)
    entities = document.get("data") if isinstance(document, dict) else None
    if not isinstance(entities, list):
        raise ValueError("a notification without data")
    for entity in entities:
        stamp = entity.get(ATTRIBUTE)
        if isinstance(stamp, dict):
            stamp = stamp.get("value")
        if isinstance(stamp, int | float) and stamp >= _BASE:  # set by an update
            yield entity.get("id", ""), int(stamp)
