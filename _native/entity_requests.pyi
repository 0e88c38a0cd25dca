from collections.abc import Callable
from typing import Any, final

from _native.kernel import UpdateKernel
from _native.model import AttributeUpdate
from _native.rendering import EntityEncoder
from _native.replies import Reply
from _native.requests import Request

@final
class EntityRequests:
    """Does ordinary requests about one entity, from the request to its reply.

    Ordinary: of a tenant without context providers (and for updates without subscriptions), of
    an entity that is the only one of its id and within the service path, with no parameter but
    `type` and the option keyValues. `tenants` by name have `entities` with `by_id` and `indexes`,
    `subscriptions` and `registrations`. `parse` is `PlainParser.parse_attributes`.
    `encoder` is that of `ngsi.v2.render`.
    """

    def __init__(
        self,
        kernel: UpdateKernel,
        tenants: dict[str, Any],
        parse: Callable[[bytes, bool], dict[str, AttributeUpdate] | None],
        encoder: EntityEncoder,
    ) -> None: ...
    def update(self, request: Request, creates: bool) -> Reply | None:
        """Changes attributes of the entity that the capture `id` names and, with `creates`, adds
        others; None when that is not ordinary, and then nothing was done. Raises as
        `UpdateKernel.update`."""
    def read(self, request: Request) -> Reply | None:
        """The entity that the capture `id` names; None when that is not ordinary."""
