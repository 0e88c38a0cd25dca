"""Pages of entities: by offset as Orion has them, and by cursor.

An offset counts from the start, so a page after it skips or repeats entities when others are
created or deleted in between. A cursor (`cursor=start`, then what the header
Fiware-Next-Cursor gave) stands behind the last entity shown, in the order of creation: each
entity that is there all the while is in exactly one page, whatever is written meanwhile. It
keeps no state in the broker, and holds over a restart.
"""

from __future__ import annotations

import re
from typing import Final

from broker.entity_query import EntityPage
from broker.http.call import Call
from broker.http.replies import Reply, reply_json
from ngsi.errors import BadRequest
from ngsi.v2.render import View, render_entity

NEXT_CURSOR_HEADER: Final = "Fiware-Next-Cursor"
_START: Final = "start"
_BEFORE_ALL: Final = -1  # sequence numbers begin at 0
# The lowest sequence number that the page may hold.
_CURSOR: Final = re.compile(r"c(0|[1-9][0-9]{0,17})")


def read_cursor(call: Call) -> int | None:
    """The sequence number after which the page begins; None without the parameter cursor."""
    text = call.parameters.get("cursor")
    if text is None:
        return None
    for other in ("offset", "orderBy"):
        if other in call.parameters:
            raise BadRequest(f"Incompatible parameters: cursor, {other}")
    if text == _START:
        return _BEFORE_ALL
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise BadRequest(
            f"Bad pagination cursor: /{text}/ [must be start, or of {NEXT_CURSOR_HEADER}]"
        )
    return int(match[1]) - 1


def reply_page(page: EntityPage, view: View) -> Reply:
    """200 with the entities as the view shows them, the total and the next cursor if any."""
    reply = reply_json([render_entity(entity, view) for entity in page.entities], page.total)
    if page.last is not None:
        reply.headers[NEXT_CURSOR_HEADER] = f"c{page.last + 1}"
    return reply
