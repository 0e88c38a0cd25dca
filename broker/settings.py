"""The one table of settings: flags, environment, defaults, bounds, documentation.

Every field of `Settings` below is a row of the table. The argument parser, `--help`, the
environment variables and docs/settings.md are made from it and from nothing else; access is
typed (`settings.port`). A flag has two spellings, the field's name (`--http-timeout-ms`) and
Orion's (`-httpTimeout`), and a setting two variables, `RIGEL_HTTP_TIMEOUT_MS` and
`ORION_HTTP_TIMEOUT`. A flag wins over `RIGEL_*`, `RIGEL_*` over `ORION_*`, and that over the
default; an empty variable counts as absent.

Owns: what may be set, and whether a given value is allowed. Must not: open files or sockets,
log, read `os.environ` or `sys.argv` by itself. Costs: read once at start, immutable after.

Source of flags, variables, defaults and bounds: Orion's administration manual, "Command line
options" and "Configuration using environment variables".
"""

from __future__ import annotations

import argparse
import difflib
import ipaddress
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, Never, Self, TypeVar, get_args

Durability = Literal["none", "process", "power"]
LogFormat = Literal["orion", "json"]
LogLevel = Literal["NONE", "FATAL", "ERROR", "WARN", "INFO", "DEBUG"]

PROGRAM: Final = "rigel broker"
ANY_IPV4: Final = "0.0.0.0"
ANY_IPV6: Final = "::"

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_GIB: Final = 1024 * _MIB
DEFAULT_TIMEOUT_MS: Final = 5_000  # Orion's -1
MAX_TIMEOUT_MS: Final = 1_800_000  # half an hour, as Orion; also stands for Orion's "for ever"
MAX_BODY_BYTES: Final = _GIB  # one body is held in memory whole; beyond this it is a mistake
MAX_TEXT_LENGTH: Final = 4096  # characters; the longest path that Linux takes
MAX_QUEUE_LENGTH: Final = 1_000_000  # queued notifications: about a gigabyte of small ones
MAX_WORKERS: Final = 1_000  # connections at once; below the usual limit of open files (1024)
MAX_TRACE_LEVEL: Final = 255
_MONTH_S: Final = 31 * 24 * 3600
_UINT32_MAX: Final = 2**32 - 1

_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "min": "minutes", "bytes": "bytes"}
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")  # at most 18 digits: fits 64 bits
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SERVICE: Final = re.compile(r"[A-Za-z0-9_]{1,50}")
# Kubernetes sets such variables for a Service called "rigel"; they are nobody's mistake.
_SERVICE_LINK: Final = re.compile(r"RIGEL_(SERVICE|PORT)_")

T = TypeVar("T")


class SettingsError(Exception):
    """A flag or variable that is unknown or not allowed; the text names it and what is.

    A program that gets one prints it and exits with code 2.
    """


class State(Enum):
    """What giving a setting brings about in this release. Changing it is one word per row."""

    ACTIVE = "works"
    LATER = "accepted, no effect yet"
    REFUSED = "refused until it is implemented"
    IGNORED = "accepted, never has an effect"


class ServiceQueue(NamedTuple):
    """A queue and workers reserved for one service (Orion's `service:q:n`)."""

    service: str
    queue_length: int
    workers: int


@dataclass(frozen=True, slots=True)
class NotificationMode:
    """`-notificationMode`: how Orion would connect; the two numbers count for `threadpool`."""

    kind: Literal["transient", "persistent", "threadpool"] = "transient"
    queue_length: int = 100  # Orion's default for a bare "threadpool"
    workers: int = 10  # likewise
    services: tuple[ServiceQueue, ...] = ()

    def __str__(self) -> str:
        if self.kind != "threadpool":
            return self.kind
        queues = [f"threadpool:{self.queue_length}:{self.workers}"]
        queues += [f"{name}:{length}:{workers}" for name, length, workers in self.services]
        return ",".join(queues)


class FlowControl(NamedTuple):
    """`-notifFlowControl`: target gauge (0..1), pause between looks, longest delay in all."""

    gauge: float
    step_delay_ms: int
    max_interval_ms: int

    def __str__(self) -> str:
        return f"{self.gauge:g}:{self.step_delay_ms}:{self.max_interval_ms}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the table."""

    default: object
    help: str
    group: str = ""  # begins a section of the documentation; "" goes on with the one before
    name: str = ""  # the field's; "" where only Orion has the setting
    orion: str = ""  # Orion's flag and environment variable, "-port ORION_PORT"
    bounds: tuple[int | None, int | None] = (None, None)  # of whole numbers, both included
    unit: str = ""  # where the end of the name does not tell
    choices: tuple[str, ...] = ()
    parse: Callable[[str], object] | None = None  # raises ValueError on anything not in `form`
    form: str = ""  # what `parse` takes, in words
    reloadable: bool = False
    state: State = State.ACTIVE

    @property
    def is_switch(self) -> bool:
        return isinstance(self.default, bool)

    @property
    def flags(self) -> tuple[str, ...]:
        """Orion's spelling first, as far as there are both."""
        own = ("--" + self.name.replace("_", "-"),) if self.name else ()
        return (*self.orion.split()[:1], *own)

    @property
    def negation(self) -> tuple[str, ...]:
        """The flag that puts a switch off again, against the environment."""
        return (f"--no-{self.name.replace('_', '-')}",) if self.name and self.is_switch else ()

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables, the winning one first."""
        own = (f"RIGEL_{self.name.upper()}",) if self.name else ()
        return (*own, *self.orion.split()[1:])

    @property
    def measure(self) -> str:
        """What a number counts; names end in their unit where it is a physical one."""
        return self.unit or _UNITS.get(self.name.rpartition("_")[2], "")

    @property
    def allowed(self) -> str:
        """The values allowed, in words, to end a sentence with."""
        if self.form:
            return self.form
        if self.is_switch:
            return "TRUE, true, FALSE or false"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if not isinstance(self.default, int):
            return f"text of at most {MAX_TEXT_LENGTH} characters without control characters"
        low, high = self.bounds
        kind = f"a whole number of {self.measure}" if self.measure else "a whole number"
        return f"{kind}, {low} or more" if high is None else f"{kind} from {low} to {high}"

    def read(self, text: str, source: str) -> object:
        """The value of `text`, or SettingsError naming `source`, `text` and the bounds."""
        try:
            value = self._parse(text)
            if self._is_allowed(value):
                return value
        except ValueError:
            pass  # worded below
        hint = ""
        if text.startswith("tcp://"):
            hint = " (set by Kubernetes for a Service of that name? see enableServiceLinks)"
        raise SettingsError(f"{source}: {text[:200]!r} is not {self.allowed}{hint}")

    def check(self, value: object) -> None:
        """Raise SettingsError if a value given by a program is out of bounds."""
        if not self._is_allowed(value):
            raise SettingsError(f"{self.name}: {value!r} is not {self.allowed}")

    def show(self, value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return "none" if value in ("", None, frozenset()) else str(value)

    def _parse(self, text: str) -> object:
        if self.parse is not None:
            return self.parse(text)
        if self.is_switch:
            return {"TRUE": True, "true": True, "FALSE": False, "false": False}.get(text)
        if isinstance(self.default, int):
            return _read_whole(text)
        if self.choices:
            return next((c for c in self.choices if c.lower() == text.lower()), None)
        return text

    def _is_allowed(self, value: object) -> bool:
        if self.is_switch:
            return isinstance(value, bool)
        if isinstance(self.default, int):
            low, high = self.bounds
            return (
                type(value) is int
                and (low is None or value >= low)
                and (high is None or value <= high)
            )
        if self.choices:
            return value in self.choices
        if isinstance(self.default, str):
            return (
                isinstance(value, str)
                and len(value) <= MAX_TEXT_LENGTH
                and _CONTROL.search(value) is None
            )
        return value is not None


def setting(default: T, help: str, **columns: Any) -> T:
    """A dataclass field that is a row of the table; `columns` are those of `Setting`."""
    row = Setting(default=default, help=help, **columns)
    made: T = field(default=default, metadata={"setting": row})
    return made


def _read_whole(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise ValueError
    return int(text)


def _read_between(text: str, low: int, high: int) -> int:
    number = _read_whole(text)
    if not low <= number <= high:
        raise ValueError
    return number


def _read_timeout_ms(text: str) -> int:
    number = _read_between(text, -1, MAX_TIMEOUT_MS)
    return {-1: DEFAULT_TIMEOUT_MS, 0: MAX_TIMEOUT_MS}.get(number, number)


def _read_address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _read_trace_levels(text: str) -> frozenset[int]:
    levels: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low = _read_between(first, 0, MAX_TRACE_LEVEL)
        high = _read_between(last, low, MAX_TRACE_LEVEL) if dash else low
        levels.update(range(low, high + 1))
    return frozenset(levels)


def _read_notification_mode(text: str) -> NotificationMode:
    if text == "persistent":
        return NotificationMode("persistent")
    if text == "transient":
        return NotificationMode("transient")
    pool, *reserved = text.split(",")
    services = tuple(_read_queue(part) for part in reserved)
    if len({queue.service for queue in services}) != len(services):
        raise ValueError
    if pool == "threadpool":
        return NotificationMode("threadpool", services=services)
    if not pool.startswith("threadpool:"):
        raise ValueError
    _, length, workers = _read_queue(pool)
    return NotificationMode("threadpool", length, workers, services)


def _read_queue(text: str) -> ServiceQueue:
    service, length, workers = text.split(":")
    if _SERVICE.fullmatch(service) is None:
        raise ValueError
    return ServiceQueue(
        service.lower(),
        _read_between(length, 1, MAX_QUEUE_LENGTH),
        _read_between(workers, 1, MAX_WORKERS),
    )


def _read_flow_control(text: str) -> FlowControl:
    gauge_text, step, interval = text.split(":")
    gauge = float(gauge_text)
    if not 0 <= gauge <= 1:
        raise ValueError
    return FlowControl(
        gauge, _read_between(step, 1, MAX_TIMEOUT_MS), _read_between(interval, 1, MAX_TIMEOUT_MS)
    )


_TIMEOUT: Final[Mapping[str, Any]] = {
    "bounds": (1, MAX_TIMEOUT_MS),
    "parse": _read_timeout_ms,
    "form": f"a whole number of milliseconds from 1 to {MAX_TIMEOUT_MS}, "
    f"0 for {MAX_TIMEOUT_MS} or -1 for {DEFAULT_TIMEOUT_MS}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one broker, checked. `Settings(port=0)` in a program, else `load`.

    Raises SettingsError where a value is out of bounds, two contradict each other, or one
    asks for protection that this release does not give.
    """

    port: int = setting(
        1026,
        "port to listen on; 0 lets the system choose, and the choice is printed",
        group="Listening",
        orion="-port ORION_PORT",
        bounds=(0, 65535),
    )
    local_ip: str = setting(
        ANY_IPV4,
        "address to listen on; the default listens on all, of IPv4 and IPv6",
        orion="-localIp ORION_LOCALIP",
        parse=_read_address,
        form="an IPv4 or IPv6 address",
    )
    ipv4: bool = setting(False, "listen on IPv4 only", orion="-ipv4 ORION_USEIPV4")
    ipv6: bool = setting(False, "listen on IPv6 only", orion="-ipv6 ORION_USEIPV6")
    max_connections: int = setting(
        1020,
        "connections served at once; more are closed at once",
        orion="-maxConnections ORION_MAX_CONN",
        bounds=(1, 1_000_000),  # more than any process may have of open files
        state=State.LATER,
    )
    request_timeout_s: int = setting(
        0,
        "how long a connection may be idle between requests; 0 leaves it to the broker",
        orion="-reqTimeout ORION_REQ_TIMEOUT",
        bounds=(0, None),
    )
    pid_path: str = setting(
        "",
        "file to keep the process id in while the broker runs",
        orion="-pidpath ORION_PID_PATH",
        state=State.LATER,
    )
    shutdown_timeout_s: int = setting(
        10,
        "longest time for requests and notifications under way to end at a stop",
        bounds=(0, 3600),
    )
    https: bool = setting(
        False,
        "serve HTTPS and not HTTP",
        group="HTTPS",
        orion="-https ORION_HTTPS",
        state=State.REFUSED,
    )
    https_key_file: str = setting(
        "", "private key for HTTPS", orion="-key ORION_HTTPS_KEYFILE", state=State.REFUSED
    )
    https_cert_file: str = setting(
        "", "certificate for HTTPS", orion="-cert ORION_HTTPS_CERTFILE", state=State.REFUSED
    )
    cors_origin: str = setting(
        "",
        "origin whose scripts may use the API in browsers; __ALL for any",
        group="CORS",
        orion="-corsOrigin ORION_CORS_ALLOWED_ORIGIN",
    )
    cors_max_age_s: int = setting(
        86400,
        "how long a browser may remember the answer to a preflight; -1 forbids it",
        orion="-corsMaxAge ORION_CORS_MAX_AGE",
        bounds=(-1, 86400),
    )
    multiservice: bool = setting(
        False,
        "keep the data of each Fiware-Service apart; without it the header is not looked at",
        group="Requests",
        orion="-multiservice ORION_MULTI_SERVICE",
    )
    request_max_bytes: int = setting(
        _MIB,
        "largest body of a request",
        orion="-inReqPayloadMaxSize ORION_IN_REQ_PAYLOAD_MAX_SIZE",
        bounds=(0, MAX_BODY_BYTES),
    )
    query_slice: int = setting(
        1_000,
        "entities that a query examines before other clients get their turn",
        bounds=(10, 1_000_000),
        unit="entities",
        state=State.LATER,
    )
    forward_limit: int = setting(
        1_000,
        "requests to context providers for one request of a client; 0 forwards none",
        orion="-cprForwardLimit ORION_CPR_FORWARD_LIMIT",
        bounds=(0, _UINT32_MAX),
        state=State.LATER,
    )
    data_dir: str = setting(
        "./rigel-data",
        "directory that holds the broker's state; made if it is missing",
        group="State",
    )
    durability: Durability = setting(
        "process",
        "what an acknowledged update outlives: nothing, the death of the process, or the loss "
        "of power",
        choices=get_args(Durability),
    )
    segment_bytes: int = setting(
        64 * _MIB,
        "size at which the journal begins its next segment",
        bounds=(4 * _KIB, _GIB),
    )
    http_timeout_ms: int = setting(
        DEFAULT_TIMEOUT_MS,
        "longest time for a notification or a forwarded request to be answered",
        group="Notifications",
        orion="-httpTimeout ORION_HTTP_TIMEOUT",
        **_TIMEOUT,
    )
    outgoing_max_bytes: int = setting(
        8 * _MIB,
        "largest message that the broker sends, as a notification or a forwarded request",
        orion="-outReqMsgMaxSize ORION_OUT_REQ_MSG_MAX_SIZE",
        bounds=(0, MAX_BODY_BYTES),
    )
    notification_queue_length: int = setting(
        1_000,
        "notifications that wait for one endpoint; the next is dropped, counted and logged",
        bounds=(1, MAX_QUEUE_LENGTH),
        unit="notifications",
    )
    notification_connections: int = setting(
        4, "connections to one endpoint at once", bounds=(1, MAX_WORKERS), unit="connections"
    )
    notification_mode: NotificationMode = setting(
        NotificationMode(),
        "Orion's way to connect to the receivers of notifications",
        orion="-notificationMode ORION_NOTIF_MODE",
        parse=_read_notification_mode,
        form="transient, persistent or threadpool[:queue:workers[,service:queue:workers...]] with "
        f"queues of 1 to {MAX_QUEUE_LENGTH}, workers of 1 to {MAX_WORKERS}, each service once",
        state=State.LATER,
    )
    flow_control: FlowControl | None = setting(
        None,
        "delay updates that ask for it while the queue of notifications is long",
        orion="-notifFlowControl ORION_NOTIF_FLOW_CONTROL",
        parse=_read_flow_control,
        form="gauge:stepDelay:maxInterval with a gauge of 0 to 1 and times of 1 to "
        f"{MAX_TIMEOUT_MS} milliseconds",
        state=State.LATER,
    )
    simulated_notification: bool = setting(
        False,
        "count notifications and send none",
        orion="-simulatedNotification ORION_DROP_NOTIF",
        state=State.LATER,
    )
    disable_custom_notifications: bool = setting(
        False,
        "treat httpCustom as http, and fill in no macros",
        orion="-disableCustomNotifications ORION_DISABLE_CUSTOM_NOTIF",
        state=State.LATER,
    )
    insecure_notification: bool = setting(
        False,
        "send HTTPS notifications without a check of the receiver's certificate",
        orion="-insecureNotif ORION_INSECURE_NOTIF",
    )
    mqtt_timeout_ms: int = setting(
        DEFAULT_TIMEOUT_MS,
        "longest time to connect to an MQTT broker",
        group="MQTT and Kafka",
        orion="-mqttTimeout ORION_MQTT_TIMEOUT",
        state=State.LATER,
        **_TIMEOUT,
    )
    mqtt_max_age_min: int = setting(
        60,
        "how long an unused MQTT connection is kept",
        orion="-mqttMaxAge ORION_MQTT_MAX_AGE",
        bounds=(0, None),
        state=State.LATER,
    )
    kafka_timeout_ms: int = setting(
        DEFAULT_TIMEOUT_MS,
        "longest time to connect to a Kafka broker",
        orion="-kafkaTimeout ORION_KAFKA_TIMEOUT",
        state=State.LATER,
        **_TIMEOUT,
    )
    kafka_max_age_min: int = setting(
        43200,
        "how long an unused Kafka connection is kept",
        orion="-kafkaMaxAge ORION_KAFKA_MAX_AGE",
        bounds=(0, None),
        state=State.LATER,
    )
    log_level: LogLevel = setting(
        "WARN",
        "least serious lines that are logged",
        group="Logs",
        orion="-logLevel ORION_LOG_LEVEL",
        choices=get_args(LogLevel),
        reloadable=True,
    )
    log_format: LogFormat = setting(
        "orion", "Orion's line of fields, or one JSON object per line", choices=get_args(LogFormat)
    )
    foreground: bool = setting(
        False,
        "log to standard output; the broker never leaves the foreground, with or without it",
        orion="-fg ORION_FOREGROUND",
    )
    log_for_humans: bool = setting(
        False,
        "with -fg, a short line on standard output; a log file keeps its format",
        orion="-logForHumans ORION_LOG_FOR_HUMANS",
    )
    log_dir: str = setting(
        "",
        "directory of the log file contextBroker.log; without it there is no log file",
        orion="-logDir ORION_LOG_DIR",
    )
    log_append: bool = setting(
        False,
        "go on with an existing log file; without it that is renamed to end in .old",
        orion="-logAppend ORION_LOG_APPEND",
    )
    disable_file_log: bool = setting(
        False, "write no log file", orion="-disableFileLog ORION_DISABLE_FILE_LOG"
    )
    log_line_max_bytes: int = setting(
        32 * _KIB,
        "longest line; the message of a longer one is replaced by LINE TOO LONG",
        orion="-logLineMaxSize ORION_LOG_LINE_MAX_SIZE",
        bounds=(100, 16 * _MIB),  # a line is made in memory
        reloadable=True,
    )
    log_payload_max_bytes: int = setting(
        5 * _KIB,
        "how much of a body is shown in a line of level INFO",
        orion="-logInfoPayloadMaxSize ORION_LOG_INFO_PAYLOAD_MAX_SIZE",
        bounds=(0, 16 * _MIB),  # as the line that holds it
        reloadable=True,
    )
    log_deprecate: bool = setting(
        False,
        "log the use of deprecated features at level WARN",
        orion="-logDeprecate ORION_LOG_DEPRECATE",
        reloadable=True,
        state=State.LATER,
    )
    log_summary_s: int = setting(
        0,
        "time between two summaries in the log; 0 writes none",
        orion="-logSummary ORION_LOG_SUMMARY_PERIOD",
        bounds=(0, _MONTH_S),
        state=State.LATER,
    )
    relog_alarms: bool = setting(
        False,
        "log every failure, also while its alarm is raised already",
        orion="-relogAlarms ORION_RELOG_ALARMS",
        state=State.LATER,
    )
    trace_levels: frozenset[int] = setting(
        frozenset(),
        "Orion's trace levels",
        orion="-t ORION_TRACE",
        parse=_read_trace_levels,
        form=f"levels and ranges of levels from 0 to {MAX_TRACE_LEVEL}, as in 60,80-90",
        reloadable=True,
        state=State.LATER,
    )
    stat_counters: bool = setting(
        False,
        "show counters of requests and notifications in GET /statistics",
        group="Statistics",
        orion="-statCounters ORION_STAT_COUNTERS",
        state=State.LATER,
    )
    stat_sem_wait: bool = setting(
        False,
        "show waiting times in GET /statistics",
        orion="-statSemWait ORION_STAT_SEM_WAIT",
        state=State.LATER,
    )
    stat_timing: bool = setting(
        False,
        "show the times that requests take in GET /statistics",
        orion="-statTiming ORION_STAT_TIMING",
        state=State.LATER,
    )
    stat_notif_queue: bool = setting(
        False,
        "show the queue of notifications in GET /statistics",
        orion="-statNotifQueue ORION_STAT_NOTIF_QUEUE",
        state=State.LATER,
    )
    disable_metrics: bool = setting(
        False, "keep no metrics", orion="-disableMetrics ORION_DISABLE_METRICS", state=State.LATER
    )
    ignored: tuple[str, ...] = ()  # one sentence for the log per thing given without effect

    def __post_init__(self) -> None:
        for row in TABLE:
            if row.state is State.IGNORED:
                continue
            value = getattr(self, row.name)
            if value != row.default:
                row.check(value)
                if row.state is State.REFUSED:
                    raise SettingsError(_REFUSAL.format("/".join(row.flags), row.help))
        for conflict in self._conflicts():
            raise SettingsError(conflict)

    @property
    def listen_addresses(self) -> tuple[str, ...]:
        """The addresses to bind to: one, or the wildcards of IPv4 and IPv6."""
        if self.local_ip not in (ANY_IPV4, ANY_IPV6):
            return (self.local_ip,)
        if self.ipv4 or self.ipv6:
            return (ANY_IPV4 if self.ipv4 else ANY_IPV6,)
        return (ANY_IPV4, ANY_IPV6) if self.local_ip == ANY_IPV4 else (ANY_IPV6,)

    @classmethod
    def load(cls, argv: Sequence[str], environ: Mapping[str, str]) -> Self:
        """The settings of the flags in `argv` (without a program's name) and of `environ`.

        Raises SettingsError; SystemExit(0) after `--help`, Orion's `-u` or `-U`.
        """
        given_flags = _parse_flags(argv)
        values: dict[str, Any] = {}
        notes: list[str] = []
        for row in TABLE:
            source, text = _find(row, given_flags, environ)
            if text is None:
                continue
            if row.state is State.IGNORED:
                notes.append(f"{source} is accepted and has no effect: {row.help}")
                continue
            values[row.name] = row.read(text, source)
            if row.state is State.LATER and values[row.name] != row.default:
                notes.append(f"{source} is accepted and has no effect yet: {row.help}")
        known = {variable for row in TABLE for variable in row.variables}
        notes += [
            f"{name} is no setting, and has no effect"
            for name in sorted(environ.keys() - known)
            if name.startswith("RIGEL_") and not _SERVICE_LINK.match(name)
        ]
        return cls(**values, ignored=tuple(notes))

    def _conflicts(self) -> Iterator[str]:
        if self.ipv4 and self.ipv6:
            yield "-ipv4 and -ipv6 exclude each other"
        try:
            version = ipaddress.ip_address(self.local_ip).version
        except ValueError:
            yield f"local_ip: {self.local_ip!r} is not an IPv4 or IPv6 address"
            return
        wildcard = self.local_ip in (ANY_IPV4, ANY_IPV6)
        if not wildcard and ((self.ipv4 and version == 6) or (self.ipv6 and version == 4)):
            yield f"-localIp {self.local_ip} is of IPv{version}, the only version switched off"
        if self.https and not (self.https_key_file and self.https_cert_file):
            yield "-https needs both -key and -cert"
        if self.flow_control is not None and self.notification_mode.kind != "threadpool":
            yield "-notifFlowControl needs -notificationMode threadpool"
        if self.trace_levels and self.log_level != "DEBUG":
            yield "-t needs -logLevel DEBUG"


_REFUSAL: Final = (
    "{} is not in this release ({}). The broker does not start, as its traffic would not have "
    "the protection asked for. Put a proxy that ends TLS in front of it and leave the flag out."
)


def _without_effect(group: str, reason: str, valued: str, switches: str = "") -> list[Setting]:
    """Rows for flags of Orion that have no counterpart here: lines of flag and variable."""
    rows = [
        Setting(default=default, help=reason, orion=line.strip(), state=State.IGNORED)
        for default, lines in (("", valued), (False, switches))
        for line in lines.strip().splitlines()
    ]
    return [replace(rows[0], group=group), *rows[1:]]


TABLE: Final[tuple[Setting, ...]] = (
    *(
        replace(column.metadata["setting"], name=column.name)
        for column in fields(Settings)
        if "setting" in column.metadata
    ),
    *_without_effect(
        "Without effect",
        "there is no database server",
        """
        -db ORION_MONGO_DB
        -dbURI ORION_MONGO_URI
        -dbpwd ORION_MONGO_PASSWORD
        -dbPoolSize ORION_MONGO_POOL_SIZE
        -writeConcern ORION_MONGO_WRITE_CONCERN
        -dbhost ORION_MONGO_HOST
        -dbuser ORION_MONGO_USER
        -rplSet ORION_MONGO_REPLICA_SET
        -dbTimeout ORION_MONGO_TIMEOUT
        -dbAuthMech ORION_MONGO_AUTH_MECH
        -dbAuthDb ORION_MONGO_AUTH_SOURCE
        """,
        """
        -dbSSL ORION_MONGO_SSL
        -dbDisableRetryWrites ORION_MONGO_DISABLE_RETRY_WRITES
        """,
    ),
    *_without_effect(
        "",
        "subscriptions are always held in memory",
        "-subCacheIval ORION_SUBCACHE_IVAL",
        "-noCache ORION_NOCACHE",
    ),
    *_without_effect(
        "",
        "one event loop serves all requests",
        """
        -reqMutexPolicy ORION_MUTEX_POLICY
        -reqPoolSize ORION_TRQ_POOL_SIZE
        -connectionMemory ORION_CONN_MEMORY
        """,
    ),
)
_HELP_FLAGS: Final = ("-h", "-help", "-u", "-U", "--help")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise SettingsError(message)


def _parser() -> _Parser:
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [flags]",
        description="A flag wins over its RIGEL_ variable, and that over its ORION_ variable.",
        allow_abbrev=False,
        add_help=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(*_HELP_FLAGS, action="help", help="show this text")
    group = parser.add_argument_group()
    for row in TABLE:
        if row.group:
            group = parser.add_argument_group(row.group)
        dest = row.name or row.orion
        text = row.help
        if row.name:
            text += f" [{row.show(row.default)}] ({', '.join(row.variables)})"
            text += "" if row.state is State.ACTIVE else f"; {row.state.value}"
        if not row.is_switch:
            metavar = "|".join(row.choices) or (row.measure or "value").upper()
            group.add_argument(*row.flags, dest=dest, metavar=metavar, help=text)
            continue
        group.add_argument(*row.flags, dest=dest, action="store_const", const="true", help=text)
        if row.negation:
            group.add_argument(
                *row.negation,
                dest=dest,
                action="store_const",
                const="false",
                help=argparse.SUPPRESS,
            )
    return parser


def _parse_flags(argv: Sequence[str]) -> dict[str, str]:
    """The texts given by flags, by the row's name (by its spelling in Orion without one)."""
    known = {*_HELP_FLAGS, *(flag for row in TABLE for flag in row.flags + row.negation)}
    for word in argv:
        # argparse takes `-por` for `-port` even where abbreviations are off, so names are
        # looked at first.
        flag = word.partition("=")[0]
        if flag.startswith("-") and _WHOLE.fullmatch(flag) is None and flag not in known:
            close = difflib.get_close_matches(flag, known, n=1)
            raise SettingsError(
                f"unknown flag {flag!r}" + (f"; is {close[0]} meant?" if close else "")
            )
    parsed, rest = _parser().parse_known_args(list(argv))
    if rest:
        raise SettingsError(f"{rest[0]!r} belongs to no flag")
    return vars(parsed)


def _find(
    row: Setting, given_flags: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[str, str | None]:
    """Where the value of a row comes from, and its text; None where only the default is."""
    text = given_flags.get(row.name or row.orion)
    if text is not None:
        return "/".join(row.flags), text
    for variable in row.variables:
        if text := environ.get(variable):
            return variable, text
    return "", None


def describe() -> str:
    """docs/settings.md: the table in Markdown."""
    lines = [
        "# Settings of `rigel broker`",
        "",
        "<!-- Made from broker/settings.py by `rigel settings --markdown`. -->",
        "",
        "A setting is given by a flag or by an environment variable. A flag wins over the",
        "`RIGEL_` variable, that wins over the `ORION_` variable, and that over the default.",
        "An empty variable counts as absent. Flags are taken in both spellings; a switch is put",
        "off again by `--no-` and its name. Variables of switches hold `TRUE`, `true`, `FALSE` or",
        "`false`. What is unknown or out of bounds ends the broker with exit code 2 and a message.",
        "",
        "Settings marked reloadable can change without a restart (in Orion's API by",
        "`PUT /admin/log` and `PUT /log/trace`).",
    ]
    for row in TABLE:
        if row.group:
            head = _IGNORED_HEAD if row.state is State.IGNORED else _HEAD
            lines += ["", f"## {row.group}", "", *head]
        lines.append(_describe_row(row))
    return "\n".join(lines) + "\n"


_HEAD: Final = (
    "| Flags | Variables | Default | Allowed | Meaning |",
    "|---|---|---|---|---|",
)
_IGNORED_HEAD: Final = (
    "Flags of Orion that have no counterpart. Each that is given is noted in the log at start.",
    "",
    "| Flag | Variable | Reason |",
    "|---|---|---|",
)


def _describe_row(row: Setting) -> str:
    if row.state is State.IGNORED:
        return f"| `{row.flags[0]}` | `{row.variables[0]}` | {row.help} |"
    meaning = row.help
    if row.reloadable:
        meaning += "; reloadable"
    if row.state is not State.ACTIVE:
        meaning += f" **({row.state.value})**"
    cells = (
        "<br>".join(f"`{flag}`" for flag in reversed(row.flags)),
        "<br>".join(f"`{variable}`" for variable in row.variables),
        f"`{row.show(row.default)}`",
        row.allowed,
        meaning,
    )
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def main(argv: Sequence[str]) -> int:
    """`rigel settings [--markdown]`: the table, for a terminal or as docs/settings.md."""
    if list(argv) == ["--markdown"]:
        sys.stdout.write(describe())
    elif not argv or list(argv) == ["--help"]:
        sys.stdout.write(_parser().format_help())
    else:
        print(f"rigel settings: {argv[0]!r} is not --markdown", file=sys.stderr)
        return 2
    return 0
