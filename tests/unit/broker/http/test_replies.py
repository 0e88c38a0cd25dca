"""Replies: what a client reads back of them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from broker.http.replies import reply_created
from ngsi.syntax import is_identifier

IDENTIFIERS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E).filter(is_identifier), min_size=1
).filter(
    # Clients take dots for steps in a path. What looks like an encoding is shown as it is.
    lambda text: text not in (".", "..") and not re.search("%[0-9A-Fa-f]{2}", text)
)


@given(entity_id=IDENTIFIERS, entity_type=IDENTIFIERS)
def test_a_location_leads_to_what_was_made(entity_id: str, entity_type: str) -> None:
    location = reply_created(f"/v2/entities/{entity_id}?type={entity_type}").headers["Location"]
    url = URL(f"http://broker{location}", encoded=True)
    assert url.raw_path.count("/") == 3
    assert url.name == entity_id
    assert dict(url.query) == {"type": entity_type}
