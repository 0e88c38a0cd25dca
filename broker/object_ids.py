"""Ids of subscriptions and registrations: 24 hexadecimal digits that grow with time.

The shape of MongoDB's ObjectId, which clients of Orion expect and store.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Final

from ngsi.errors import BadRequest

_DIGITS: Final = re.compile(r"[0-9a-fA-F]*")
_LENGTH: Final = 24


class ObjectIds:
    """A source of ids: seconds, a random part that is fixed per source, a counter."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._source = secrets.token_hex(5)
        self._counter = secrets.randbelow(1 << 23)
        self._second = 0

    def take(self) -> str:
        """A new id, higher than all before from this source."""
        self._second = max(self._second, int(self._clock()))
        self._counter += 1
        if self._counter == 1 << 24:
            self._counter = 0
            self._second += 1
        return f"{self._second:08x}{self._source}{self._counter:06x}"


def check_subscription_id(text: str) -> str:
    """The id as it stands in a URL; raises BadRequest for what can be none."""
    if len(text) != _LENGTH:
        raise BadRequest("Invalid subscription ID: bad length - 24 chars expected")
    if not _DIGITS.fullmatch(text):
        raise BadRequest("Invalid subscription ID: invalid char in ID string")
    return text
