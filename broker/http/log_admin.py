"""Change of the log while the broker runs: /admin/log and /log/trace.

A request is checked as a whole before anything changes. Source: Orion's administration manual,
"Management REST interface".
"""

from __future__ import annotations

import json
from typing import Final

from broker import logs
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from broker.http.routing import Resource, Routes
from broker.logs import LOG_LEVELS, LogLimits
from broker.settings.values import read_trace_levels
from ngsi.errors import BadRequest

MAX_SIZE_BYTES: Final = 16 * 1024 * 1024  # of a line or payload: as the settings' bound

# Orion pads its fields to the column in which they stand in its source; with the same length
# of reply, its functional cases can be run here.
_BETWEEN_FIELDS: Final = ",\n" + 11 * " "
_WORDS: Final = {"true": True, "false": False}


class BadLogSize(BadRequest):
    """A size that cannot be taken; the text is ours, so it is given unescaped as Orion does."""

    def payload(self) -> dict[str, str]:
        return {"error": self.error, "description": self.description}


class LogRoutes:
    """Handlers that show and change what is logged."""

    def __init__(self, limits: LogLimits) -> None:
        self._limits = limits

    def table(self) -> Routes:
        """The routes that are served here."""
        return [
            Resource("/admin/log", {"GET": self.show, "PUT": self.change}),
            Resource("/log/trace", {"GET": self.show_traces, "DELETE": self.clear_traces}),
            Resource("/log/trace/{level}", {"PUT": self.set_traces, "DELETE": self.remove_traces}),
        ]

    async def show(self, call: Call) -> Reply:
        """GET /admin/log."""
        limits = self._limits
        fields = {
            "level": logs.current_level(),
            "infoPayloadMaxSize": limits.payload_max_bytes,
            "lineMaxSize": limits.line_max_bytes,
            "deprecate": limits.deprecate,
        }
        texts = (f'"{name}":{json.dumps(value)}' for name, value in fields.items())
        return Reply(
            body=f"{{{_BETWEEN_FIELDS.join(texts)}}}".encode(),
            headers={"Content-Type": "application/json"},
        )

    async def change(self, call: Call) -> Reply:
        """PUT /admin/log?level=...&infoPayloadMaxSize=...&lineMaxSize=...&deprecate=..."""
        parameters = call.parameters
        line_text = parameters.get("lineMaxSize")
        payload_text = parameters.get("infoPayloadMaxSize")
        deprecate_text = parameters.get("deprecate")
        level_text = parameters.get("level")
        if not (line_text or payload_text or deprecate_text or level_text):
            raise BadRequest("log config missing")
        line = _read_size("lineMaxSize", line_text)
        payload = _read_size("infoPayloadMaxSize", payload_text)
        deprecate = None if deprecate_text is None else _WORDS.get(deprecate_text.lower())
        if deprecate_text is not None and deprecate is None:
            raise BadRequest("invalid deprecate, deprecate should be true or false")
        level = None
        if level_text is not None:
            level = level_text.upper()
            level = "WARN" if level == "WARNING" else level
            if level not in LOG_LEVELS:
                raise BadRequest("invalid log level")

        limits = self._limits
        if line is not None:
            limits.line_max_bytes = line
        if payload is not None:
            limits.payload_max_bytes = payload
        if deprecate is not None:
            limits.deprecate = deprecate
        if level is not None:
            logs.set_level(level)
        return Reply()

    async def show_traces(self, call: Call) -> Reply:
        """GET /log/trace."""
        return reply_json({"tracelevels": _render_levels(self._limits.trace_levels) or "empty"})

    async def set_traces(self, call: Call) -> Reply:
        """PUT /log/trace/{levels}: these and no others."""
        text = call.captures["level"]
        self._limits.trace_levels = _read_levels(text)
        return reply_json({"tracelevels": text})

    async def remove_traces(self, call: Call) -> Reply:
        """DELETE /log/trace/{levels}."""
        text = call.captures["level"]
        self._limits.trace_levels -= _read_levels(text)
        return reply_json({"tracelevels_removed": text})

    async def clear_traces(self, call: Call) -> Reply:
        """DELETE /log/trace."""
        self._limits.trace_levels = frozenset()
        return reply_json({"tracelevels": "all trace levels off"})


def _read_size(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= 9
    size = int(text) if is_number else 0
    if size <= 0:
        raise BadLogSize(f"invalid {name}, {name} should be an integer number > 0")
    if size > MAX_SIZE_BYTES:
        raise BadLogSize(f"invalid {name}, {name} should be at most {MAX_SIZE_BYTES}")
    return size


def _read_levels(text: str) -> frozenset[int]:
    try:
        return read_trace_levels(text)
    except ValueError:
        raise BadRequest("poorly formatted trace level string") from None


def _render_levels(levels: frozenset[int]) -> str:
    """Levels and ranges of levels, as in `19, 21-25`."""
    ranges: list[tuple[int, int]] = []
    for level in sorted(levels):
        if ranges and ranges[-1][1] == level - 1:
            ranges[-1] = (ranges[-1][0], level)
        else:
            ranges.append((level, level))
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
