"""The log of a broker as tests read it: lines taken apart, and waiting for one to come."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from broker.launch import BrokerProcess

LINE_TIMEOUT_S: Final = 30.0  # a healthy broker logs within milliseconds
_POLL_INTERVAL_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `fields` are all but the message."""

    fields: dict[str, str]
    message: str

    @property
    def level(self) -> str:
        return self.fields["lvl"]


def read_lines(broker: BrokerProcess, level: str = "") -> list[Line]:
    """The lines logged so far, of one level if that is given."""
    lines = []
    for text in broker.log.read_text().splitlines():
        head, separator, message = text.partition(" | msg=")
        if separator:
            pairs = (part.partition("=") for part in head.split(" | "))
            lines.append(Line({name: value for name, _, value in pairs}, message))
    return [line for line in lines if level in ("", line.level)]


def read_messages(broker: BrokerProcess, level: str = "") -> list[str]:
    """Their messages alone."""
    return [line.message for line in read_lines(broker, level)]


def await_lines(broker: BrokerProcess, part: str, count: int = 1) -> list[Line]:
    """The lines whose messages hold `part`, when there are `count` of them."""
    deadline = time.monotonic() + LINE_TIMEOUT_S
    while True:
        found = [line for line in read_lines(broker) if part in line.message]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{part!r} is not in the log {count} times"
        time.sleep(_POLL_INTERVAL_S)
