"""Correlators for requests that bring none (header Fiware-Correlator).

A UUID in form: random for the process, then counted, which costs a tenth of a random one.
"""

from __future__ import annotations

import uuid
from itertools import count
from typing import Final

_COUNTER_DIGITS: Final = 12  # the last group of a UUID: enough for any process


class CorrelatorIds:
    """A source of correlators, none of which repeats."""

    def __init__(self) -> None:
        self._prefix = str(uuid.uuid4())[:-_COUNTER_DIGITS]
        self._numbers = count(1)

    def make(self) -> str:
        """The next correlator."""
        return f"{self._prefix}{next(self._numbers):012x}"
