from typing import Any, Final, final

@final
class Head:
    """The header fields that routes look at, with `Accept` and `Content-Type` None where they
    are absent, the others "". `memo` is for whoever looks at it: it lasts as long as the head is
    remembered."""

    accept: Final[str | None]
    content_type: Final[str | None]
    service: Final[str]
    service_path: Final[str]
    auth_token: Final[str]
    real_ip: Final[str]
    forwarded_for: Final[str]
    origin: Final[str]
    attrs_format: Final[str]
    memo: Final[dict[Any, Any]]

    def __init__(
        self,
        accept: str | None = None,
        content_type: str | None = None,
        service: str = "",
        service_path: str = "",
        auth_token: str = "",
        real_ip: str = "",
        forwarded_for: str = "",
        origin: str = "",
        attrs_format: str = "",
    ) -> None: ...

@final
class Verdict:
    """What the header fields of a good request say, for one route: media types that the client
    accepts, that of the body, service path (`scope`) and where an update may reach (`home`, None
    where it may not), Fiware-Service as it was sent and the tenant that it names, token."""

    accepted: Final[Any]
    content_type: Final[str]
    scope: Final[Any]
    home: Final[str | None]
    service: Final[str]
    tenant: Final[str]
    auth_token: Final[str]

    def __init__(
        self,
        accepted: Any,
        content_type: str,
        scope: Any,
        home: str | None,
        service: str,
        tenant: str,
        auth_token: str,
    ) -> None: ...

class Request:
    """One request, whoever framed it; to be completed by a class of the server's own.

    `target` is path and query as they were sent, `path` is decoded, `query` is not; `captures`
    are the parameters of the path, decoded. `is_plain`: the path has only letters, digits and
    `- . _ ~ : @ ! $ * + ,`. `length` is the Content-Length, None without one. `started` is in the
    time of `time.perf_counter`. `remote` is the address of the peer, `correlator` "" where none
    was sent.

    What is found by who judges it: `transaction`, its number; `verdict`, None before its head was
    found good; what of it is said before, of the types and parameters, stands in the rest.
    """

    method: Final[str]
    target: Final[str]
    path: Final[str]
    query: Final[str]
    captures: Final[dict[str, str]]
    head: Final[Head]
    length: Final[int | None]
    has_body: Final[bool]
    is_plain: Final[bool]
    remote: Final[str]
    started: Final[float]
    @property
    def route(self) -> Any:
        """What the table has for it."""
    @property
    def connection(self) -> Any:
        """The handler of the connection."""
    correlator: str
    body: bytes
    transaction: int
    verdict: Verdict | None
    accepted: Any
    content_type: str
    options: frozenset[str]
    parameters: dict[str, str]

    def __init__(
        self,
        method: str,
        target: str,
        path: str,
        query: str,
        captures: dict[str, str],
        head: Head,
        correlator: str,
        length: int | None,
        has_body: bool,
        remote: str,
        route: Any,
        connection: Any,
    ) -> None: ...
    def open(self, correlators: CorrelatorIds, transactions: Counter) -> None:
        """Begin with it: give it a correlator, if it brought none, and a number."""
    def approve(self, verdict: Verdict) -> None:
        """Its head was found good."""

@final
class CorrelatorIds:
    """Makes texts of the form of a UUID: `prefix`, of 24 characters, then a count."""

    def __init__(self, prefix: str) -> None: ...
    def make(self) -> str:
        """The next one."""

class Counter:
    """Counts what is `made`, beginning with 1."""

    made: int
