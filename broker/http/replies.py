"""The few shapes of reply that the operations give."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

import orjson
from aiohttp import hdrs, web

from ngsi.errors import NgsiError

# The names of RFC 9110 where Python's are those of an older one.
_REASONS: Final = {413: "Content Too Large", 422: "Unprocessable Content"}

# What stands for itself in a path and in a query, beside letters and digits (RFC 3986).
_SAFE: Final = "/=:@!$*,-._~"
# As Orion, what looks like an encoding in an id is left alone; by itself a % makes no URI.
_BARE_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")


class Reply(web.Response):
    """A response without what aiohttp adds of its own accord."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        headers = self.headers
        headers.pop(hdrs.SERVER, None)
        if not self.body:
            headers.pop(hdrs.CONTENT_TYPE, None)


def reply_json(document: Any, total: int | None = None) -> web.Response:
    """200 with a JSON document; `total` goes into Fiware-Total-Count."""
    headers: dict[str, str] = {hdrs.CONTENT_TYPE: "application/json"}
    if total is not None:
        headers["Fiware-Total-Count"] = str(total)
    return Reply(body=orjson.dumps(document), headers=headers)


def reply_text(text: str) -> web.Response:
    """200 with plain text."""
    return Reply(body=text.encode(), headers={"Content-Type": "text/plain"})


def reply_no_content() -> web.Response:
    """204."""
    return Reply(status=204)


def reply_created(location: str) -> web.Response:
    """201 with the path of what was made."""
    path, mark, query = location.partition("?")
    # In a query + would be read as a space.
    location = quote(path, safe=_SAFE + "+%") + mark + quote(query, safe=_SAFE + "%")
    return Reply(status=201, headers={"Location": _BARE_PERCENT.sub("%25", location)})


def reply_error(error: NgsiError, as_text: bool = False) -> web.Response:
    """The error in Orion's form; `as_text` for a client that does not accept JSON."""
    return Reply(
        status=error.status,
        reason=_REASONS.get(error.status),
        body=orjson.dumps(error.payload()),
        headers={
            "Content-Type": "text/plain" if as_text else "application/json",
            **error.headers(),
        },
    )
