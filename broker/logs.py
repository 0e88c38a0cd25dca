"""The log: Orion's line of fields or JSON, with the request that a line belongs to.

    time=... | lvl=INFO | corr=... | trans=... | from=... | srv=... | subsrv=... | comp=Orion
    | op=engine.py[17]:update | msg=...

is one line in the log. Modules log through `logging.getLogger(__name__)` and know nothing of
this. Owns: levels, formats, where lines go, the context of the request being served, ids of
transactions. Must not: decide what is worth a line. Costs: a line below the level costs one
look into the logger's cache, a written one about 20 microseconds, its write included.

Source: Orion's administration manual, "Logs" and "Management REST interface".
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import logging.handlers
import os
import re
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from _native.requests import Counter
from broker.settings import LogLevel, Settings

# Tools that read Orion's log select by component, so Orion's name stays.
COMPONENT: Final = "Orion"
LOG_FILE_NAME: Final = "contextBroker.log"  # as Orion, for the same tools
# A level of its own: lines that are written whatever the level set (Orion's -logSummary).
SUMMARY: Final = 70
_NONE: Final = 60  # above FATAL, below SUMMARY
LOG_LEVELS: Final[dict[LogLevel, int]] = {
    "NONE": _NONE,
    "FATAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
}
_LEVEL_NAMES: Final = {
    SUMMARY: "SUMMARY",
    **{number: name for name, number in LOG_LEVELS.items() if name != "NONE"},
}
NOT_AVAILABLE: Final = "N/A"  # outside of a request
_ABSENT: Final = "<none>"  # a header that the request did not have
_TOO_LONG: Final = "LINE TOO LONG"
_MAX_COUNTER: Final = 2**31 - 1  # as Orion, so that ids keep eleven digits
_SCREEN: Final = "rigel-screen"  # names of our handlers, to find them again
_FILE: Final = "rigel-file"

# What would end a line in a terminal or a log reader.
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
# In fields that clients fill in, also what would begin a field.
_FIELD_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029|]")


@dataclass(slots=True)
class RequestContext:
    """What a line says about the request that caused it. "" stands for a missing header.

    `client` is the address: X-Real-IP, else X-Forwarded-For, else the peer's.
    """

    correlator: str = NOT_AVAILABLE
    transaction: str = NOT_AVAILABLE
    client: str = NOT_AVAILABLE
    service: str = ""
    service_path: str = ""


class ContextSource(Protocol):
    """Whoever can tell what lines about it are to say."""

    def log_context(self) -> RequestContext | None: ...


# Set by the transport for the time that it serves a request.
request_context: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)
# Set for good by a transport of many requests, few of which have a line written.
context_source: ContextVar[ContextSource | None] = ContextVar("context_source", default=None)


def _current_context() -> RequestContext | None:
    context = request_context.get()
    if context is None:
        source = context_source.get()
        if source is not None:
            return source.log_context()
    return context


class TransactionIds(Counter):
    """Makes `<seconds>-<milliseconds>-<counter>`, unique to a broker by its moment of start;
    `made` so many so far."""

    def __init__(self, start_ms: int | None = None) -> None:
        self._start_ms = time.time_ns() // 1_000_000 if start_ms is None else start_ms

    def count(self) -> int:
        """The number of the next transaction; `name` gives its id, which few have to show."""
        self.made += 1
        return self.made

    def name(self, number: int) -> str:
        """The id of a transaction, as in `1603707992-318-00000000001`."""
        rounds, counter = divmod(number - 1, _MAX_COUNTER)
        # As Orion: another round counts as of a broker started a millisecond later.
        seconds, milliseconds = divmod(self._start_ms + rounds, 1000)
        return f"{seconds}-{milliseconds:03d}-{counter + 1:011d}"

    def make(self) -> str:
        """The id of the next transaction."""
        return self.name(self.count())


@dataclass(slots=True)
class LogLimits:
    """What of the log, beside its level, can be changed at run time (`PUT /admin/log`)."""

    line_max_bytes: int
    payload_max_bytes: int
    deprecate: bool = False  # log the use of deprecated features at level WARN
    trace_levels: frozenset[int] = frozenset()  # Orion's, for lines of level DEBUG

    def traces(self, level: int) -> bool:
        """Whether lines of a trace level are written."""
        return level in self.trace_levels and logging.getLogger().isEnabledFor(logging.DEBUG)

    def excerpt(self, payload: bytes) -> str:
        """As much of a body as a line of level INFO may show, then `(...)`."""
        shown = payload[: self.payload_max_bytes].decode("utf-8", "replace")
        return shown if len(payload) <= self.payload_max_bytes else shown + "(...)"


class OrionFormatter(logging.Formatter):
    """One record, one line, of at most `limits.line_max_bytes` where its fields allow it."""

    def __init__(self, limits: LogLimits) -> None:
        super().__init__()
        self._limits = limits

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        line = self._line(record, message)
        limit = self._limits.line_max_bytes
        if len(line) > limit or (not line.isascii() and _size(line) > limit):
            line = self._line(record, _TOO_LONG)
        return line

    def _line(self, record: logging.LogRecord, message: str) -> str:
        context = _current_context()
        if context is None:
            request = "corr=N/A | trans=N/A | from=N/A | srv=N/A | subsrv=N/A"
        else:
            request = (
                f"corr={_field(context.correlator)} | trans={_field(context.transaction)}"
                f" | from={_field(context.client)} | srv={_field(context.service) or _ABSENT}"
                f" | subsrv={_field(context.service_path) or _ABSENT}"
            )
        return (
            f"time={_instant(record)} | lvl={_level_name(record.levelno)} | {request}"
            f" | comp={COMPONENT} | op={_operation(record)} | msg={_BREAKS.sub(_escape, message)}"
        )


class JsonFormatter(OrionFormatter):
    """The same fields as one JSON object of ASCII characters."""

    def _line(self, record: logging.LogRecord, message: str) -> str:
        context = _current_context()
        request = {"corr": NOT_AVAILABLE, "trans": NOT_AVAILABLE, "from": NOT_AVAILABLE}
        service = service_path = NOT_AVAILABLE
        if context is not None:
            request["corr"] = context.correlator
            request["trans"] = context.transaction
            request["from"] = context.client
            service = context.service or _ABSENT
            service_path = context.service_path or _ABSENT
        return json.dumps(
            {
                "time": _instant(record),
                "lvl": _level_name(record.levelno),
                **request,
                "srv": service,
                "subsrv": service_path,
                "comp": COMPONENT,
                "op": _operation(record),
                "msg": message,
            }
        )


class HumanFormatter(OrionFormatter):
    """`INFO@<time>  file.py[17]: text`, Orion's -logForHumans."""

    def _line(self, record: logging.LogRecord, message: str) -> str:
        return (
            f"{_level_name(record.levelno)}@{_instant(record)}"
            f"  {record.filename}[{record.lineno}]: {_BREAKS.sub(_escape, message)}"
        )


def _size(line: str) -> int:
    return len(line.encode("utf-8", "backslashreplace"))


def _escape(found: re.Match[str]) -> str:
    return "\\x7c" if found[0] == "|" else repr(found[0])[1:-1]


def _field(text: str) -> str:
    return _FIELD_BREAKS.sub(_escape, text)


def _instant(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _operation(record: logging.LogRecord) -> str:
    return f"{record.filename}[{record.lineno}]:{record.funcName}"


def _level_name(level: int) -> str:
    """Orion's name of a level; levels of libraries in between count as the one below."""
    name = _LEVEL_NAMES.get(level)
    if name is None:
        name = next((name for least, name in _LEVEL_NAMES.items() if level >= least), "DEBUG")
    return name


def configure(settings: Settings) -> LogLimits:
    """Send the process's log where `settings` say; a second call replaces the first.

    Returns the limits in force; what is changed in them holds from the next line on. Raises
    OSError if the log file cannot be opened, and then leaves the log as it was.
    """
    limits = LogLimits(
        settings.log_line_max_bytes,
        settings.log_payload_max_bytes,
        settings.log_deprecate,
        settings.trace_levels,
    )
    line = JsonFormatter(limits) if settings.log_format == "json" else OrionFormatter(limits)
    handlers: list[logging.Handler] = []
    if settings.log_dir and not settings.disable_file_log:
        handlers.append(_open_file(Path(settings.log_dir), settings.log_append))
        handlers[0].setFormatter(line)
    if settings.foreground or not handlers:
        stream = sys.stdout if settings.foreground else sys.stderr
        if isinstance(stream, io.TextIOWrapper):
            # Clients' texts may hold what the terminal's encoding lacks; no line is lost by it.
            stream.reconfigure(errors="backslashreplace")
        screen = logging.StreamHandler(stream)
        screen.name = _SCREEN
        human = settings.foreground and settings.log_for_humans
        screen.setFormatter(HumanFormatter(limits) if human else line)
        handlers.append(screen)

    root = logging.getLogger()
    for old in [handler for handler in root.handlers if handler.name in (_SCREEN, _FILE)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    # The line has no field for them, and to find them out costs more than the rest.
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False
    logging.captureWarnings(True)
    set_level(settings.log_level)
    return limits


def _open_file(directory: Path, append: bool) -> logging.Handler:
    path = directory / LOG_FILE_NAME
    directory.mkdir(parents=True, exist_ok=True)
    if not append:
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, path.with_name(LOG_FILE_NAME + ".old"))
    # Looks at each line whether logrotate has moved the file away.
    file = logging.handlers.WatchedFileHandler(path, encoding="utf-8", errors="backslashreplace")
    file.name = _FILE
    return file


def set_level(level: str) -> None:
    """Change the level of the whole process; ValueError if it is none of Orion's."""
    number = next((least for name, least in LOG_LEVELS.items() if name == level.upper()), None)
    if number is None:
        raise ValueError(f"{level!r} is not one of {', '.join(LOG_LEVELS)}")
    logging.getLogger().setLevel(number)


def current_level() -> LogLevel:
    """Orion's name of the level in force."""
    level = logging.getLogger().level
    return next((name for name, least in LOG_LEVELS.items() if level >= least), "DEBUG")
