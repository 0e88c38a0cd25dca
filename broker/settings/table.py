"""The one table of settings: every field of `Settings` is a row of it.

The argument parser, `--help`, the environment variables and docs/settings.md are made from the
table and from nothing else; access is typed (`settings.port`). A flag has two spellings, the
field's name (`--http-timeout-ms`) and Orion's (`-httpTimeout`), and a setting two variables,
`RIGEL_HTTP_TIMEOUT_MS` and `ORION_HTTP_TIMEOUT`.

Owns: what may be set, and which values go together. Must not: open files or sockets, log, read
`os.environ` or `sys.argv` by itself. Costs: read once at start, immutable after.

Source of flags, variables, defaults and bounds: Orion's administration manual, "Command line
options" and "Configuration using environment variables".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Literal, Self, get_args

from broker.settings.flags import read_given
from broker.settings.orion_only import ORION_ONLY
from broker.settings.row import Setting, SettingsError, State, setting
from broker.settings.values import (
    DEFAULT_TIMEOUT_MS,
    MAX_QUEUE_LENGTH,
    MAX_TIMEOUT_MS,
    MAX_TRACE_LEVEL,
    MAX_WORKERS,
    TIMEOUT,
    FlowControl,
    NotificationMode,
    read_address,
    read_flow_control,
    read_notification_mode,
    read_trace_levels,
)

Durability = Literal["none", "process", "power"]
FogFlowMode = Literal["auto", "on", "off"]
LogFormat = Literal["orion", "json"]
LogLevel = Literal["NONE", "FATAL", "ERROR", "WARN", "INFO", "DEBUG"]

ANY_IPV4: Final = "0.0.0.0"
ANY_IPV6: Final = "::"
FOGFLOW_PORT: Final = 8070  # where FogFlow's broker listens by default

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_GIB: Final = 1024 * _MIB
MAX_BODY_BYTES: Final = _GIB  # one body is held in memory whole; beyond this it is a mistake
_MONTH_S: Final = 31 * 24 * 3600
_UINT32_MAX: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one broker, checked. `Settings(port=0)` in a program, else `load`.

    Raises SettingsError where a value is out of bounds or two contradict each other.
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
        parse=read_address,
        form="an IPv4 or IPv6 address",
    )
    ipv4: bool = setting(False, "listen on IPv4 only", orion="-ipv4 ORION_USEIPV4")
    ipv6: bool = setting(False, "listen on IPv6 only", orion="-ipv6 ORION_USEIPV6")
    max_connections: int = setting(
        1020,
        "connections served at once; more are closed at once",
        orion="-maxConnections ORION_MAX_CONN",
        bounds=(1, 1_000_000),  # more than any process may have of open files
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
    )
    https_key_file: str = setting("", "private key for HTTPS", orion="-key ORION_HTTPS_KEYFILE")
    https_cert_file: str = setting("", "certificate for HTTPS", orion="-cert ORION_HTTPS_CERTFILE")
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
    lane: bool = setting(
        True,
        "answer the most frequent requests without aiohttp; --no-lane serves all through it",
    )
    forward_limit: int = setting(
        1_000,
        "requests to context providers for one request of a client; 0 forwards none",
        orion="-cprForwardLimit ORION_CPR_FORWARD_LIMIT",
        bounds=(0, _UINT32_MAX),
    )
    registration_patterns: bool = setting(
        False,
        "take registrations by any idPattern and by typePattern; Orion has the idPattern .* alone",
    )
    multi_location: bool = setting(
        False,
        "let an entity have several locations, each found by geographical queries; Orion has one",
    )
    v1_autocast: bool = setting(
        False,
        "keep values of types Number, Boolean and DateTime that NGSIv1 brings as what they mean",
        orion="-ngsiv1Autocast ORION_NGSIV1_AUTOCAST",
    )
    fogflow: FogFlowMode = setting(
        "auto",
        "meet FogFlow's clients outside of /ngsi10, too, where they differ from Orion's: any "
        f"Content-Type, a body for POST /v2/subscriptions; auto does so at port {FOGFLOW_PORT}",
        choices=get_args(FogFlowMode),
    )
    query_index_max_bytes: int = setting(
        256 * _MIB,
        "memory of a tenant's indexes of attributes that queries ask for again and again; 0 makes "
        "none",
        bounds=(0, None),
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
        **TIMEOUT,
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
        "threadpool puts bounded queues with workers before the endpoints; the other two do not",
        orion="-notificationMode ORION_NOTIF_MODE",
        parse=read_notification_mode,
        form="transient, persistent or threadpool[:queue:workers[,service:queue:workers...]] with "
        f"queues of 1 to {MAX_QUEUE_LENGTH}, workers of 1 to {MAX_WORKERS}, each service once",
    )
    flow_control: FlowControl | None = setting(
        None,
        "delay updates that ask for it while the queue of notifications is long",
        orion="-notifFlowControl ORION_NOTIF_FLOW_CONTROL",
        parse=read_flow_control,
        form="gauge:stepDelay:maxInterval with a gauge of 0 to 1 and times of 1 to "
        f"{MAX_TIMEOUT_MS} milliseconds",
    )
    simulated_notification: bool = setting(
        False,
        "count notifications and send none",
        orion="-simulatedNotification ORION_DROP_NOTIF",
    )
    disable_custom_notifications: bool = setting(
        False,
        "treat httpCustom as http, and fill in no macros",
        orion="-disableCustomNotifications ORION_DISABLE_CUSTOM_NOTIF",
    )
    insecure_notification: bool = setting(
        False,
        "send HTTPS notifications without a check of the receiver's certificate",
        orion="-insecureNotif ORION_INSECURE_NOTIF",
    )
    durable_max_age_s: int = setting(
        24 * 3600,
        "how long the notification of a durable subscription is kept and tried again",
        bounds=(1, _MONTH_S),
    )
    durable_max_length: int = setting(
        10_000,
        "notifications kept for one durable subscription; the oldest gives way to the next",
        bounds=(1, 10_000_000),  # held in memory, some KB each
        unit="notifications",
    )
    durable_max_bytes: int = setting(
        16 * _MIB,
        "size of the notifications kept for one durable subscription; as the number of them",
        bounds=(_KIB, _GIB),
    )
    durable_max_pause_s: int = setting(
        60,
        "longest pause between two tries of a durable subscription; the first is of 1 second",
        bounds=(1, 24 * 3600),
    )
    mqtt_timeout_ms: int = setting(
        DEFAULT_TIMEOUT_MS,
        "longest time to connect to an MQTT broker",
        group="MQTT and Kafka",
        orion="-mqttTimeout ORION_MQTT_TIMEOUT",
        **TIMEOUT,
    )
    mqtt_max_age_min: int = setting(
        60,
        "how long an unused MQTT connection is kept",
        orion="-mqttMaxAge ORION_MQTT_MAX_AGE",
        bounds=(0, None),
    )
    kafka_timeout_ms: int = setting(
        DEFAULT_TIMEOUT_MS,
        "longest time to connect to a Kafka broker",
        orion="-kafkaTimeout ORION_KAFKA_TIMEOUT",
        state=State.LATER,
        **TIMEOUT,
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
    )
    log_summary_s: int = setting(
        0,
        "time between two summaries in the log; 0 writes none",
        orion="-logSummary ORION_LOG_SUMMARY_PERIOD",
        bounds=(0, _MONTH_S),
    )
    relog_alarms: bool = setting(
        False,
        "log every failure, also while its alarm is raised already",
        orion="-relogAlarms ORION_RELOG_ALARMS",
    )
    trace_levels: frozenset[int] = setting(
        frozenset(),
        "Orion's trace levels; those that write lines here: 38, 100, 160, 163, 180, 181, 186",
        orion="-t ORION_TRACE",
        parse=read_trace_levels,
        form=f"levels and ranges of levels from 0 to {MAX_TRACE_LEVEL}, as in 60,80-90",
        reloadable=True,
    )
    stat_counters: bool = setting(
        False,
        "show counters of requests and notifications in GET /statistics",
        group="Statistics",
        orion="-statCounters ORION_STAT_COUNTERS",
    )
    stat_sem_wait: bool = setting(
        False,
        "show waiting times for semaphores in GET /statistics; nothing waits here, so zeros",
        orion="-statSemWait ORION_STAT_SEM_WAIT",
    )
    stat_timing: bool = setting(
        False,
        "show the times that requests take in GET /statistics",
        orion="-statTiming ORION_STAT_TIMING",
    )
    stat_notif_queue: bool = setting(
        False,
        "show the queues of notifications in GET /statistics, in any -notificationMode",
        orion="-statNotifQueue ORION_STAT_NOTIF_QUEUE",
    )
    disable_metrics: bool = setting(
        False,
        "keep no metrics per service; GET /admin/metrics is refused, GET /metrics is not",
        orion="-disableMetrics ORION_DISABLE_METRICS",
    )
    ignored: tuple[str, ...] = ()  # one sentence for the log per thing given without effect

    def __post_init__(self) -> None:
        for row in TABLE:
            if row.state is State.IGNORED:
                continue
            value = getattr(self, row.name)
            if value != row.default:
                row.check(value)
        for conflict in self._conflicts():
            raise SettingsError(conflict)

    @property
    def meets_fogflow(self) -> bool:
        """Whether FogFlow's clients are met outside of /ngsi10, too."""
        return self.fogflow == "on" or (self.fogflow == "auto" and self.port == FOGFLOW_PORT)

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
        values, notes = read_given(TABLE, argv, environ)
        return cls(**values, ignored=notes)

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


TABLE: Final[tuple[Setting, ...]] = (
    *(
        replace(column.metadata["setting"], name=column.name)
        for column in fields(Settings)
        if "setting" in column.metadata
    ),
    *ORION_ONLY,
)
