from collections.abc import Callable
from typing import Any, Protocol, final

class _Location(Protocol):
    """Where a URL leads: the target of the request line, and the value of Host."""

    @property
    def endpoint(self) -> Any: ...
    @property
    def target(self) -> bytes: ...
    @property
    def host(self) -> bytes: ...

@final
class Heading:
    """What the requests of one subscription's notifications begin with, as long as service,
    service path and token stay the same.

    The header fields are those of a notification of Orion's, in its order: User-Agent,
    Fiware-Service (unless ""), Fiware-ServicePath, X-Auth-Token (unless ""), Accept, Content-Type
    (unless ""), Fiware-Correlator, Ngsiv2-AttrsFormat. Raises MalformedRequest for what HTTP does
    not allow. Costs some microseconds and the bytes of the head.
    """

    @property
    def location(self) -> Any: ...
    @property
    def method(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def service_path(self) -> str: ...
    @property
    def token(self) -> str: ...
    def __init__(
        self,
        location: _Location,
        method: str,
        user_agent: str,
        service: str,
        service_path: str,
        token: str,
        content_type: str,
        attrs_format: str,
    ) -> None: ...

@final
class Notification:
    """One request to one receiver.

    `headers` are sent in this order and spelling; the sender adds Host and Content-Length.
    `timeout_s` bounds the whole exchange, name lookup, connecting and redirects included; zero
    or less means the notifier's default. `order_key` (hashable) names what must stay in order
    towards one endpoint: subscription and entity. `on_result` is called exactly once for every
    notification that `Notifier.send` accepted, on the loop, never from within `send`. `tell` is
    for whoever puts himself in the place of `on_result`.
    """

    subscription_id: str
    tenant: str
    url: str
    method: str
    headers: dict[str, str]
    body: bytes
    timeout_s: float
    order_key: object
    on_result: Callable[[Notification, Any], None]
    tell: Callable[[Notification, Any], None] | None
    size_bytes: int
    """What it counts for in memory, set by `Notifier.send`."""
    @property
    def service(self) -> str:
        """The value of Fiware-Service, "" without."""
    @property
    def service_path(self) -> str:
        """The value of Fiware-ServicePath, "" without."""

    def compose(self) -> bytes:
        """The bytes of its request. Raises MalformedRequest."""

    def __init__(
        self,
        *,
        subscription_id: str,
        tenant: str,
        url: str,
        method: str = "POST",
        headers: dict[str, str],
        body: bytes,
        timeout_s: float,
        order_key: object,
        on_result: Callable[[Notification, Any], None],
    ) -> None: ...
