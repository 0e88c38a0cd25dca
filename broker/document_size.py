"""How large a document the journal can keep, said before anything is changed."""

from __future__ import annotations

from typing import Final

from broker.journal import MAX_KEY_BYTES, MAX_PAYLOAD_BYTES
from broker.ports import JournalPort
from ngsi.errors import RequestEntityTooLarge

LARGE_DOCUMENT_BYTES: Final = 1024 * 1024
"""Smaller documents find room in what every change is admitted with."""


def admit_document(journal: JournalPort, document: bytes, what: str) -> int:
    """The bytes of a document that can be kept.

    Raises RequestEntityTooLarge, naming `what`, and InternalServerError when there is no room.
    """
    size = len(document)
    if size > MAX_PAYLOAD_BYTES:
        raise RequestEntityTooLarge(f"{what} size: {size}, max size supported: {MAX_PAYLOAD_BYTES}")
    if size > LARGE_DOCUMENT_BYTES:
        journal.admit(size + MAX_KEY_BYTES)
    return size
