"""A mongodump of Orion's databases: which files it has, and the documents in them.

Owns the layout of a dump (a folder for each database, a file for each collection, maybe with
gzip) and BSON's frames; what the documents mean is for `orion_documents`. Needs pymongo's package
`bson`. One document is in memory at a time.
Source: MongoDB's manual, "mongodump"; BSON specification 1.1; Orion, "Data model".
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from importer.entities import check_service
from importer.intake import Intake, describe_service
from importer.orion_documents import decode_entity, decode_registration, decode_subscription
from importer.report import ENTITIES, REGISTRATIONS, SUBSCRIPTIONS, Stopped
from ngsi.errors import BadRequest, NgsiError

_COLLECTIONS: Final = {
    "entities": ENTITIES,
    "csubs": SUBSCRIPTIONS,
    "registrations": REGISTRATIONS,
}
# MongoDB's limit for documents, and what it grants itself on top of it. A length beyond it is
# damage, and must not be asked of the memory.
_MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024 + 16 * 1024
_LENGTH_BYTES: Final = 4
_SHORTEST_DOCUMENT: Final = 5  # its length and the byte that ends it


def read_dump(directory: Path, prefix: str, intake: Intake) -> None:
    """Take all documents of a dump. `prefix` is Orion's -db.

    Raises Stopped for a dump that is none, or is damaged.
    """
    decode = _load_decoder()
    files = list(find_files(directory, prefix))
    wanted = intake.selection.services
    missing = [name for name in wanted if all(service != name for service, _, _ in files)]
    if missing or not files:
        what = describe_service(missing[0]) if missing else f"{prefix} or {prefix}-*"
        raise Stopped(f"{directory} has no database {what}")
    for service, collection, path in files:
        if not wanted or service in wanted:
            _read_collection(service, collection, path, decode, intake)


def find_files(directory: Path, prefix: str) -> Iterator[tuple[str, str, Path]]:
    """Service, collection and path of the files that matter, in alphabetical order.

    Raises Stopped.
    """
    try:
        databases = sorted(path for path in directory.iterdir() if path.is_dir())
    except OSError as error:
        raise Stopped(f"{directory} cannot be read: {error.strerror}") from None
    for database in databases:
        name = database.name
        if name != prefix and not name.startswith(f"{prefix}-"):
            continue
        try:
            service = check_service(name.removeprefix(prefix).removeprefix("-"))
        except NgsiError as error:
            raise Stopped(f"{database} is the database of no service: {error}") from None
        for collection in _COLLECTIONS:
            for suffix in (".bson", ".bson.gz"):
                path = database / f"{collection}{suffix}"
                if path.is_file():
                    yield service, collection, path


def _load_decoder() -> Callable[[bytes], dict[str, Any]]:
    try:
        import bson
        from bson.errors import InvalidBSON
    except ImportError:
        raise Stopped(
            "reading a dump needs the package pymongo: pip install 'rigel-broker[import]'"
        ) from None

    def decode(data: bytes) -> dict[str, Any]:
        try:
            return bson.decode(data)
        except (InvalidBSON, ValueError, OverflowError, RecursionError) as error:
            raise BadRequest(f"no valid BSON: {error}") from None

    return decode


def _read_collection(
    service: str,
    collection: str,
    path: Path,
    decode: Callable[[bytes], dict[str, Any]],
    intake: Intake,
) -> None:
    for number, data in enumerate(read_documents(path), 1):
        place = f"document {number} of {path.name}"
        try:
            document = decode(data)
        except NgsiError as error:
            intake.refuse(_COLLECTIONS[collection], service, place, error.description)
            continue
        identity = document.get("_id")
        if collection == "entities":
            name = str(identity.get("id", place) if isinstance(identity, dict) else place)
            intake.take_entity(service, name, partial(decode_entity, document, intake.report))
        elif collection == "csubs":
            name = str(identity or place)
            intake.take_subscription(service, name, partial(decode_subscription, document))
        else:
            name = str(identity or place)
            intake.take_registration(service, name, partial(decode_registration, document))


def read_documents(path: Path) -> Iterator[bytes]:
    """The documents of a collection's file, not decoded. Raises Stopped for damage."""
    offset = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as opened:
            file = cast(BinaryIO, opened)
            while head := file.read(_LENGTH_BYTES):
                size = int.from_bytes(head, "little", signed=True)
                if len(head) == _LENGTH_BYTES and not (
                    _SHORTEST_DOCUMENT <= size <= _MAX_DOCUMENT_BYTES
                ):
                    raise Stopped(f"{path} is damaged at byte {offset}: a document of {size} bytes")
                data = head + file.read(max(size - _LENGTH_BYTES, 0))
                if len(data) != size:
                    raise Stopped(f"{path} ends within the document at byte {offset}")
                yield data
                offset += size
    except (OSError, EOFError, zlib.error) as error:
        raise Stopped(f"{path} cannot be read behind byte {offset}: {error}") from None
