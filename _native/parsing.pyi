from collections.abc import Callable
from typing import Any, final

from _native.decoding import PlainDecoder
from _native.model import AttributeUpdate, EntityUpdate

@final
class PlainParser:
    """Reads the text of documents of entities, where all is plain (see PlainDecoder).

    `load(text)` parses any JSON text and raises an error for what is none. It and the decoder's
    `decode_member` are asked about members that are not plain. The methods give None for all that
    is not plain otherwise, and for all that is wrong: then the text is to be decoded in the
    general way, which gives the same for what is right. They raise nothing.

    About half of what a JSON parser takes for the document alone.
    """

    def __init__(self, decoder: PlainDecoder, load: Callable[[bytes], Any]) -> None: ...
    def parse_attributes(self, body: bytes, key_values: bool) -> dict[str, AttributeUpdate] | None:
        """The attributes of a document that has neither id nor type."""
    def parse_entity(self, body: bytes, key_values: bool) -> EntityUpdate | None:
        """An entity with its id; its type may be missing."""
    def parse_batch(self, body: bytes, key_values: bool) -> tuple[str, list[EntityUpdate]] | None:
        """The members actionType and entities (one or more) of a batch update."""
