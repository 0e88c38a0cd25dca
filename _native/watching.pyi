from collections.abc import Callable
from typing import Any

from _native.notification import Notification

class DeliveryWatch:
    """Passes notifications on to `send` and hears how they ended, in the place of `on_result`.

    `statistics` has the counts `queue` and `notifications_sent`. `count_outgoing(service, service
    path, bytes sent, bytes received, whether it failed)` is None if nobody counts. The derived
    class gives `send_other(message)`, for what does not go over HTTP, and `alarm(notification,
    outcome)`, called for a failure, and for every end while
    there is something in `alarmed`. `clock`, unless None, is told of those that `enter` a queue,
    `leave` it, and of which to `forget`.
    """

    def __init__(
        self,
        *,
        send: Callable[[Any], bool],
        statistics: Any,
        count_outgoing: Callable[[str, str, int, int, bool], None] | None,
        alarmed: set[str],
        clock: Any,
    ) -> None: ...
    def send(self, message: Any, /) -> bool:
        """Queue a notification; False when it is dropped."""
    def __call__(self, message: Notification, outcome: Any) -> None: ...
