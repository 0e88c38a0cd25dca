"""What was read, in a file until it is known to be whole: bounded memory, any order.

Owns a SQLite database that lives as long as the import. It holds the records of the journal,
makes repeated ones one, and gives entities back in the order of their creation, whatever the
order in which a source gave them. Cost: an insert each; on disk the size of the records.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from broker import records, registration_records
from ngsi.model import Entity
from ngsi.registration import Registration
from ngsi.subscription import Subscription

_SCHEMA: Final = """
CREATE TABLE entity (
    service TEXT, path TEXT, id TEXT, type TEXT, created REAL, document BLOB,
    UNIQUE (service, path, id, type));
CREATE TABLE subscription (service TEXT, id TEXT, document BLOB, PRIMARY KEY (service, id));
CREATE TABLE registration (service TEXT, id TEXT, document BLOB, PRIMARY KEY (service, id));
"""


class Spool:
    """The file; a context manager that removes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)  # of an import that was killed
        self._database = sqlite3.connect(path, isolation_level=None)
        # It never outlives the process, so nothing has to survive a crash.
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()
        self._path.unlink(missing_ok=True)

    def put_entity(self, service: str, entity: Entity, document: bytes) -> bool:
        """Keep an entity; whether it was not there before. A later one takes its place."""
        identity = (service, entity.service_path, entity.id, entity.type)
        added = self._database.execute(
            "INSERT OR IGNORE INTO entity VALUES (?, ?, ?, ?, ?, ?)",
            (*identity, entity.created, document),
        ).rowcount
        if not added:
            self._database.execute(
                "UPDATE entity SET document = ?"
                " WHERE service = ? AND path = ? AND id = ? AND type = ?",
                (document, *identity),
            )
        return bool(added)

    def put_subscription(self, service: str, subscription: Subscription) -> bool:
        """Keep a subscription; whether it was not there before."""
        row = (service, subscription.id, records.encode_subscription(subscription))
        return self._put("INSERT OR IGNORE INTO subscription VALUES (?, ?, ?)", row)

    def put_registration(self, service: str, registration: Registration) -> bool:
        """Keep a registration; whether it was not there before."""
        row = (service, registration.id, registration_records.encode_registration(registration))
        return self._put("INSERT OR IGNORE INTO registration VALUES (?, ?, ?)", row)

    def _put(self, statement: str, row: tuple[str, str, bytes]) -> bool:
        return bool(self._database.execute(statement, row).rowcount)

    def services(self) -> list[str]:
        """The services that have anything, in alphabetical order."""
        rows = self._database.execute(
            "SELECT service FROM entity UNION SELECT service FROM subscription"
            " UNION SELECT service FROM registration ORDER BY service"
        )
        return [service for (service,) in rows]

    def service_paths(self, service: str) -> list[str]:
        """The service paths of the entities of a service."""
        rows = self._database.execute(
            "SELECT DISTINCT path FROM entity WHERE service = ?", (service,)
        )
        return [path for (path,) in rows]

    def entities(self) -> Iterator[tuple[str, Entity]]:
        """Service and entity, by service and in the order of creation, numbered in it."""
        # With an index SQLite needs no room for sorting.
        self._database.execute(
            "CREATE INDEX IF NOT EXISTS entity_creation ON entity (service, created)"
        )
        rows = self._database.execute(
            "SELECT service, path, id, type, document FROM entity ORDER BY service, created, rowid"
        )
        former, sequence = None, 0
        for service, path, entity_id, entity_type, document in rows:
            sequence = sequence + 1 if service == former else 0
            former = service
            entity = records.decode_entity([path, entity_id, entity_type], document)
            entity.sequence = sequence
            yield service, entity

    def subscriptions(self) -> Iterator[tuple[str, Subscription]]:
        """Service and subscription, by service and id."""
        for service, found, document in self._database.execute(
            "SELECT service, id, document FROM subscription ORDER BY service, id"
        ):
            yield service, records.decode_stored_subscription([found], document)

    def registrations(self) -> Iterator[tuple[str, Registration]]:
        """Service and registration, by service and id."""
        for service, found, document in self._database.execute(
            "SELECT service, id, document FROM registration ORDER BY service, id"
        ):
            yield service, registration_records.decode_stored_registration([found], document)
