"""Use of features that Orion calls deprecated: counted always, logged where that is asked for.

Costs: a look-up per entity whose location was given anew, and per registration made or shown.
Source: Orion's administration manual, "Logs", section "Log deprecated usages".
"""

from __future__ import annotations

import logging
from typing import Final

from broker.logs import LogLimits
from broker.statistics import Statistics
from ngsi.registration import Registration

_log = logging.getLogger("rigel.deprecated")

_GEO_FORMATS: Final = frozenset({"geo:point", "geo:line", "geo:box", "geo:polygon"})


class Deprecations:
    """Notes the uses; `limits.deprecate` says whether they are logged."""

    def __init__(self, limits: LogLimits, statistics: Statistics) -> None:
        self._limits = limits
        self._statistics = statistics

    def note_location(self, attribute: str, attribute_type: str) -> None:
        """An entity was given a location."""
        if attribute_type in _GEO_FORMATS:
            self._statistics.geo_format += 1
            if self._limits.deprecate:
                _log.warning(
                    "Deprecated usage of %s detected in attribute %s at entity update, "
                    "please use geo:json instead",
                    attribute_type,
                    attribute,
                )

    def note_new_registration(self, registration: Registration) -> None:
        """A registration was made."""
        self._note(registration, "in registration creation")

    def note_registration(self, registration: Registration) -> None:
        """A registration was shown."""
        self._note(registration, "detected in existing registration")

    def _note(self, registration: Registration, where: str) -> None:
        if any(part.provider.legacy_forwarding for part in registration.parts):
            self._statistics.legacy_forwarding += 1
            if self._limits.deprecate:
                _log.warning(
                    "Deprecated usage of legacyForwarding mode %s (regId: %s)",
                    where,
                    registration.id,
                )
