from collections.abc import Callable
from typing import Any, final

from _native.events import EntityEvent
from _native.notification import Notification
from _native.origin import Origin
from _native.rendering import EntityEncoder

@final
class Shape:
    """What is shown of an entity: the same object for all subscriptions that show the same.

    `view` is a `View` of `ngsi.v2.render`; `is_plain`: the native encoder can show it.
    """

    @property
    def view(self) -> Any: ...
    @property
    def covered(self) -> bool: ...
    def __init__(
        self, view: object, covered: bool, is_plain: bool, is_normalized: bool
    ) -> None: ...

@final
class Plan:
    """What the notifications of one delivery have in common.

    `shape` is None if it depends on what changed, `url` if it is not one over HTTP that is the
    same for all. `attrs_format` is as in the header, "" for none; `envelope` has two `%b`, for the
    id of the subscription and for what is shown, and is empty where that stands alone.
    """

    @property
    def delivery(self) -> Any: ...
    @property
    def shape(self) -> Shape | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def has_macros(self) -> bool: ...
    @property
    def attrs_format(self) -> str: ...
    @property
    def envelope(self) -> bytes: ...
    @property
    def timeout_s(self) -> float: ...
    def __init__(
        self,
        delivery: object,
        shape: Shape | None,
        url: str | None,
        has_macros: bool,
        attrs_format: str,
        envelope: bytes,
        timeout_s: float,
    ) -> None: ...

class Drafts:
    """The notifications of one event; keeps the encoded bodies as long as it lives.

    The derived class has an `encoder` and gives the `encode(shape)` of what is not plain,
    and `make_heading(plan)`, None for a URL or header that HTTP does not allow.
    """

    encoder: EntityEncoder
    @property
    def _event(self) -> EntityEvent: ...
    @property
    def _origin(self) -> Any: ...
    @property
    def _rules(self) -> Any: ...
    @property
    def _on_result(self) -> Callable[[Any, Any], None]: ...
    def __init__(
        self,
        event: EntityEvent,
        origin: Origin,
        rules: object,
        on_result: Callable[[Any, Any], None],
    ) -> None: ...
    def draft(self, plan: Plan, subscription_id: str, tenant: str) -> Notification | None:
        """The notification, None where there is more to do than the plan says."""
    def body(self, shape: Shape) -> bytes:
        """The text of what is shown, without the envelope; empty if nothing is to be told."""
    def use_body(self, shape: Shape, body: bytes) -> None:
        """Have another text for what is shown."""
