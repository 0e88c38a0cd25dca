"""The header Accept: which of the two media types a client takes, and which it prefers.

Source: RFC 9110 section 12.5.1, with the errors that Orion gives for malformed weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ngsi.errors import BadRequest, NotAcceptable

_JSON: Final = frozenset({"*/*", "application/*", "application/json"})
_TEXT: Final = frozenset({"*/*", "text/*", "text/plain"})


@dataclass(slots=True, frozen=True)
class Accepted:
    """Whether JSON and text are accepted, and whether text is wanted more."""

    json: bool = True
    text: bool = True
    prefers_text: bool = False


@lru_cache(maxsize=256)
def parse_accept(header: str) -> Accepted:
    """What the header accepts; raises BadRequest when malformed, NotAcceptable for neither."""
    if not header:
        raise BadRequest("empty accept header")
    ranges: list[tuple[float, str]] = []
    for item in header.split(","):
        media_range, _, rest = item.strip().partition(";")
        media_range = media_range.strip()
        if media_range in _JSON or media_range in _TEXT:
            ranges.append((_parse_weight(rest), media_range))
    if not ranges:
        raise NotAcceptable("no acceptable mime-type in accept header")
    best = max(ranges, key=lambda item: item[0])[1]  # the first of equal weight
    return Accepted(
        json=any(name in _JSON for _, name in ranges),
        text=any(name in _TEXT for _, name in ranges),
        prefers_text=best not in _JSON,
    )


def _parse_weight(rest: str) -> float:
    rest = rest.strip().partition(";")[0].strip()
    if not rest:
        return 1.0
    if not rest.startswith("q"):
        raise BadRequest("q missing in accept header")
    if not rest.startswith("q="):
        raise BadRequest("missing equal-sign after q in accept header")
    if len(rest) == len("q="):
        raise BadRequest("qvalue in accept header is missing")
    try:
        return float(rest[len("q=") :])
    except ValueError:
        raise BadRequest("qvalue in accept header is not a number") from None
