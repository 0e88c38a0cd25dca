"""Correlators for requests that bring none (header Fiware-Correlator).

A UUID in form: random for the process, then counted, which costs a small part of a random one.
"""

from __future__ import annotations

import uuid
from typing import Final

from _native.requests import CorrelatorIds

_COUNTER_DIGITS: Final = 12  # the last group of a UUID: enough for any process


def make_correlators() -> CorrelatorIds:
    """A source of correlators, none of which repeats, here or in another process."""
    return CorrelatorIds(str(uuid.uuid4())[:-_COUNTER_DIGITS])
