"""URLs of receivers and context providers, as strictly as Orion reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "mqtt": 1883, "kafka": 9092}
_MAX_HOST_LENGTH: Final = 253  # RFC 1035
_LABEL: Final = re.compile(r"(?!-)[0-9A-Za-z-]{1,63}(?<!-)")


@dataclass(slots=True, frozen=True)
class Url:
    """The parts of an absolute URL; `path` holds the query, too, and starts with "/"."""

    scheme: str
    host: str
    port: int
    path: str


# Receivers and providers that are remembered: far fewer than what they are subscribed to.
_MEMO_SIZE: Final = 1024


@lru_cache(maxsize=_MEMO_SIZE)
def parse_url(text: str) -> Url | None:
    """The parts of an http, https, mqtt or kafka URL, None for anything else."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        return None
    if parts.netloc.endswith(":") or port == 0:
        return None
    if ":" not in host and not _is_host_name(host):
        return None
    path = parts.path or "/"
    if parts.query:
        path = f"{path}?{parts.query}"
    return Url(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], path)


def _is_host_name(host: str) -> bool:
    return len(host) <= _MAX_HOST_LENGTH and all(
        _LABEL.fullmatch(label) for label in host.split(".")
    )
