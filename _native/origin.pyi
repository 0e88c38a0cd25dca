from typing import Any

class Origin:
    """The request behind an operation; `everywhere` of its class is the scope where none is
    given."""

    tenant: str
    scope: Any
    correlator: str
    auth_token: str
    service_header: str
    notifications: int
    def __init__(
        self,
        tenant: str = "",
        scope: object = None,
        correlator: str = "",
        auth_token: str = "",
        service_header: str = "",
    ) -> None: ...
