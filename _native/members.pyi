from typing import Any

def repeats_member(body: bytes, document: Any) -> bool:
    """Whether an object in `body` names a member twice; `document` is the parsed body."""
