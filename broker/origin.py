"""Who asks: what of a request the engine needs beside its content."""

from __future__ import annotations

from dataclasses import dataclass, field

from ngsi.service_path import ServicePathScope


@dataclass(slots=True)
class Origin:
    """The request behind an operation. Notifications carry its correlator and token on."""

    tenant: str = ""
    scope: ServicePathScope = field(default_factory=ServicePathScope)
    correlator: str = ""
    auth_token: str = ""
    service_header: str = ""  # Fiware-Service as given, also where tenants are switched off
    notifications: int = 0  # made so far by this request; numbers their correlators
