"""Registrations of context providers: which entities and attributes they answer for.

Source: Orion API, section "Registration payload datamodel"; FI-WARE NGSI-9, operation
registerContext.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

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


@dataclass(slots=True, frozen=True, eq=False)
class ContextRegistration:
    """What one provider answers for.

    `attributes` are the types of the attributes by their names, "" for one that is not given;
    none means all of the entities. Only NGSIv1 gives types.
    """

    entities: tuple[EntitySelector, ...]
    attributes: Mapping[str, str]
    provider: ContextProvider


@dataclass(slots=True)
class ForwardingInformation:
    """How forwarding went; times are seconds since 1970, None before the first."""

    times_sent: int = 0
    last_forwarding: float | None = None
    last_success: float | None = None
    last_failure: float | None = None


@dataclass(slots=True, eq=False)
class Registration:
    """One registration of a tenant. NGSIv2 has one part, NGSIv1 one or more.

    `is_gone` is whether those who subscribed to availability were told that it expired.
    """

    id: str
    service_path: str
    parts: tuple[ContextRegistration, ...]
    description: str = ""
    expires: float | None = None  # seconds since 1970; None: permanent
    status: str = "active"
    forwarding: ForwardingInformation = field(default_factory=ForwardingInformation)
    is_gone: bool = False

    def is_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= now


class Provision(NamedTuple):
    """A part of a registration, and whose it is."""

    registration: Registration
    part: ContextRegistration

    @property
    def attributes(self) -> Mapping[str, str]:
        """As in the part."""
        return self.part.attributes

    @property
    def provider(self) -> ContextProvider:
        """As in the part."""
        return self.part.provider
