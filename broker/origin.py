"""Who asks: what of a request the engine needs beside its content."""

from __future__ import annotations

from typing import Final

from _native import origin as native
from ngsi.service_path import ServicePathScope


class Origin(native.Origin):
    """The request behind an operation. Notifications carry its correlator and token on.

    `service_header` is Fiware-Service as given, also where tenants are switched off;
    `notifications` were made so far by this request, and number their correlators.
    """

    __slots__ = ()
    everywhere: Final = ServicePathScope()  # where no scope is given

    scope: ServicePathScope
