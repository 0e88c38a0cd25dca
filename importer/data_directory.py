"""A new data directory as the target of an import.

Owns its lock while the import runs, and that the directory holds either nothing of the import or
all of it: the journal's snapshot is written beside, under a temporary name, and moved into place
when it is whole and synced. Cost: each record is read, checked and written once.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from broker import records, registration_records
from broker.journal import JournalError
from broker.journal.compaction import SnapshotWriter
from broker.journal.lock import LOCK_NAME, DirectoryLock
from broker.journal.recovery import list_directory
from importer.report import ENTITIES, REGISTRATIONS, SUBSCRIPTIONS, Report, Stopped
from importer.spool import Spool

_SNAPSHOT: Final = 1  # the first: there is no segment before it
_SPOOL_NAME: Final = "import.spool"


class DataDirectory:
    """A directory that holds no data yet; a context manager that holds its lock."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._was_made = False
        self._is_written = False

    @property
    def spool_path(self) -> Path:
        """Where the spool may stand: on the same disk, which has to have the room anyway."""
        return self._directory / _SPOOL_NAME

    def __enter__(self) -> Self:
        try:
            self._was_made = not self._directory.exists()
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._lock = DirectoryLock.acquire(self._directory, wait_s=0)
        except (JournalError, OSError) as error:
            raise Stopped(str(error)) from None
        listing = list_directory(self._directory)
        if listing.segments or listing.snapshots:
            self._lock.release()
            raise Stopped(f"{self._directory} holds data: an import makes a new directory")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._was_made and not self._is_written:
            (self._directory / LOCK_NAME).unlink(missing_ok=True)
            self._directory.rmdir()
        self._lock.release()

    def write(self, spool: Spool, report: Report) -> None:
        """Write all that the spool holds. Raises Stopped; the directory is as before then."""
        try:
            writer = SnapshotWriter(self._directory, _SNAPSHOT)
            try:
                self._write(writer, spool, report)
                writer.finish(0)
            finally:
                writer.abandon()
        except OSError as error:
            raise Stopped(f"{self._directory} cannot be written: {error.strerror}") from None
        self._is_written = True

    def _write(self, writer: SnapshotWriter, spool: Spool, report: Report) -> None:
        for service, entity in spool.entities():
            writer.add(
                records.entity_key(service, entity),
                records.encode_entity(entity, entity.attributes, entity.locations, entity.modified),
            )
            report.write(ENTITIES)
        for service, subscription in spool.subscriptions():
            writer.add(
                records.subscription_key(service, subscription.id),
                records.encode_subscription(subscription),
            )
            report.write(SUBSCRIPTIONS)
        for service, registration in spool.registrations():
            writer.add(
                records.registration_key(service, registration.id),
                registration_records.encode_registration(registration),
            )
            report.write(REGISTRATIONS)
