"""What the operations reply, whatever brings it to the client."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import orjson

from _native.replies import Reply
from ngsi.errors import NgsiError

__all__ = [
    "REASONS",
    "Reply",
    "reply_created",
    "reply_error",
    "reply_json",
    "reply_no_content",
    "reply_text",
]

# The names of RFC 9110 where Python's are those of an older one.
REASONS: Final[dict[int, str]] = {
    **{status.value: status.phrase for status in HTTPStatus},
    413: "Content Too Large",
    422: "Unprocessable Content",
}

# What stands for itself in a path and in a query, beside letters and digits (RFC 3986).
_SAFE: Final = "/=:@!$*,-._~"
# As Orion, what looks like an encoding in an id is left alone; by itself a % makes no URI.
_BARE_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")


def reply_json(document: Any, total: int | None = None) -> Reply:
    """200 with a JSON document; `total` goes into Fiware-Total-Count."""
    headers = {"Content-Type": "application/json"}
    if total is not None:
        headers["Fiware-Total-Count"] = str(total)
    return Reply(200, orjson.dumps(document), headers)


def reply_text(text: str) -> Reply:
    """200 with plain text."""
    return Reply(200, text.encode(), {"Content-Type": "text/plain"})


def reply_no_content(
    commit: asyncio.Future[None] | None = None, error: NgsiError | None = None
) -> Reply:
    """204, after `commit` if there is one."""
    return Reply(204, b"", None, commit, error)


def reply_created(location: str) -> Reply:
    """201 with the path of what was made."""
    path, mark, query = location.partition("?")
    # In a query + would be read as a space.
    location = quote(path, safe=_SAFE + "+%") + mark + quote(query, safe=_SAFE + "%")
    return Reply(201, b"", {"Location": _BARE_PERCENT.sub("%25", location)})


def reply_error(error: NgsiError, as_text: bool = False) -> Reply:
    """The error in Orion's form; `as_text` for a client that does not accept JSON."""
    headers = {
        "Content-Type": "text/plain" if as_text else "application/json",
        **error.headers(),
    }
    return Reply(error.status, orjson.dumps(error.payload()), headers)
