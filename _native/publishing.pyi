from asyncio import Future
from collections.abc import Callable
from typing import Any, Final

from _native.messages import Drafts

class Publications:
    """Notifications between their change and its commit, and the counters of subscriptions.

    The derived class gives `publish_one(subscription, drafts, tenant, now)`, which does all that
    this one does not; `await_commit(commit, batch)`, which sends a batch when its commit is done;
    and `record_failure(subscription, tenant, failure)`.

    `committed` gives the future of this turn's commit. `rules.plans` has what `rules.plan` made of
    deliveries, by their `id`. `make_drafts(event, origin, rules, on_result)` makes what makes the
    notifications of an event. `active` is the status of a subscription that notifies.
    """

    # Tenants and ids of subscriptions with counters not yet journaled, in order.
    _progressed: Final[dict[tuple[str, str], None]]
    _commit: Future[None] | None
    _batch: list[Any]
    _waiting: int
    _waiting_bytes: int
    def __init__(
        self,
        *,
        committed: Callable[[], Future[None]],
        clock: Callable[[], float],
        tenants: Any,
        active: object,
        rules: Any,
        make_drafts: Callable[[Any, Any, Any, Any], Drafts],
        waiting_max: int,
        waiting_bytes_max: int,
    ) -> None: ...
    def publish(self, tenant: Any, origin: Any, event: Any) -> None:
        """Make the notifications that an event triggers; they leave after its commit.

        The event's records must be with the journal. Never raises: the change is done.
        """
    def hold(self, message: Any) -> None:
        """Keep a notification until the commit of all that was journaled so far."""
    def take_batch(self, batch: list[Any]) -> None:
        """The notifications of a batch wait no longer."""
    def record(self, message: Any, outcome: Any) -> None:
        """Count how a delivery went."""
    def take_progress(self) -> dict[tuple[str, str], None]:
        """Tenants and ids of the subscriptions whose counters changed; none from now on."""
