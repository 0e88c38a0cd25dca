"""A URL taken apart: whom to connect to, and what to ask for there.

Must not: look up names. Costs: a URL is parsed once and kept in a bounded memo.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

from yarl import URL

from broker.sender.failures import UNSUPPORTED_PROTOCOL, URL_MALFORMED, Undelivered

LOCATIONS_MAX: Final = 16384
"""Parsed URLs kept. URLs with macros may be all different, so the memo must be bounded."""

_SCHEMES = frozenset({"http", "https"})


class Endpoint(NamedTuple):
    """Who shares connections: scheme (`http` or `https`), host in lower case, port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class Location(NamedTuple):
    """A URL taken apart: whom to connect to, and what to ask for there: the target of the
    request line (path and query), and the value of Host."""

    endpoint: Endpoint
    target: bytes
    host: bytes
    url: URL


@functools.lru_cache(maxsize=LOCATIONS_MAX)
def locate(url: str) -> Location:
    """Takes a URL apart. It is sent as it is written (no requoting, as libcurl does), except
    that characters outside ASCII are percent-encoded.

    Raises Undelivered when there is no http or https URL in `url`.
    """
    if not url.isprintable() or " " in url:
        raise Undelivered(URL_MALFORMED)
    try:
        parsed = URL(url, encoded=url.isascii())
    except ValueError:
        raise Undelivered(URL_MALFORMED) from None
    if parsed.scheme and parsed.scheme not in _SCHEMES:
        raise Undelivered(UNSUPPORTED_PROTOCOL)
    if not parsed.scheme or not parsed.raw_host or not parsed.port:
        raise Undelivered(URL_MALFORMED)
    endpoint = Endpoint(parsed.scheme, parsed.raw_host.lower(), parsed.port)
    host = parsed.host_port_subcomponent or ""
    return Location(endpoint, parsed.raw_path_qs.encode(), host.encode(), parsed)
