"""Registrations of context providers: which entities and attributes they answer for.

Source: Orion API, section "Registration payload datamodel".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ngsi.model import EntitySelector


class ForwardingMode(Enum):
    """Which requests may be forwarded to the provider."""

    NONE = "none"
    QUERY = "query"
    UPDATE = "update"
    ALL = "all"


@dataclass(slots=True, frozen=True)
class ContextProvider:
    """The provider's NGSI endpoint, without the operation's path."""

    url: str
    mode: ForwardingMode = ForwardingMode.ALL
    legacy_forwarding: bool = False  # NGSIv1 towards the provider


@dataclass(slots=True)
class ForwardingInformation:
    """How forwarding went; times are seconds since 1970, None before the first."""

    times_sent: int = 0
    last_forwarding: float | None = None
    last_success: float | None = None
    last_failure: float | None = None


@dataclass(slots=True, eq=False)
class Registration:
    """One registration of a tenant. `attributes` empty: all of the entities."""

    id: str
    service_path: str
    entities: tuple[EntitySelector, ...]
    attributes: tuple[str, ...]
    provider: ContextProvider
    description: str = ""
    expires: float | None = None  # seconds since 1970; None: permanent
    status: str = "active"
    forwarding: ForwardingInformation = field(default_factory=ForwardingInformation)
