from collections.abc import Callable
from typing import Any, final

from _native.model import EntityUpdate

@final
class ElementDecoder:
    """Decodes NGSIv1's context elements where they are plain, some 0.5 us an attribute.

    Plain is a list of objects with an `id` and maybe `type`, `isPattern` (false) and
    `attributes`, whose attributes have `name`, `type` and `value` and nothing else, all of them
    strings without what is forbidden. `has_forbidden` is asked once about each character of
    ASCII; no other may be forbidden. Ids, names and types have at most `max_length` characters.
    """

    def __init__(self, *, has_forbidden: Callable[[str], bool], max_length: int) -> None: ...
    def decode(self, documents: Any) -> list[EntityUpdate] | None:
        """The updates of the field contextElements as a JSON parser gives it; None if one is
        not plain."""

def encode_answer(updates: list[EntityUpdate]) -> bytes:
    """The answer of updateContext to updates without metadata that were all done, some 0.5 us an
    update."""
