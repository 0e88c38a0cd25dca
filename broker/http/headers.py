"""Names of header fields that are looked up in every request.

`istr` has the form for comparison ready, so a look-up costs a third of that by a plain string.
"""

from __future__ import annotations

from typing import Final

from multidict import istr

FIWARE_CORRELATOR: Final = istr("Fiware-Correlator")
FIWARE_SERVICE: Final = istr("Fiware-Service")
FIWARE_SERVICE_PATH: Final = istr("Fiware-ServicePath")
NGSIV2_ATTRS_FORMAT: Final = istr("Ngsiv2-AttrsFormat")
X_AUTH_TOKEN: Final = istr("X-Auth-Token")
X_FORWARDED_FOR: Final = istr("X-Forwarded-For")
X_REAL_IP: Final = istr("X-Real-IP")
