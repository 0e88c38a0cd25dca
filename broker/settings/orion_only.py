"""Rows for flags of Orion that have no counterpart here: accepted, noted in the log, ignored."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from broker.settings.row import Setting, State


def _without_effect(group: str, reason: str, valued: str, switches: str = "") -> list[Setting]:
    """Rows for flags of Orion that have no counterpart here: lines of flag and variable."""
    rows = [
        Setting(default=default, help=reason, orion=line.strip(), state=State.IGNORED)
        for default, lines in (("", valued), (False, switches))
        for line in lines.strip().splitlines()
    ]
    return [replace(rows[0], group=group), *rows[1:]]


ORION_ONLY: Final[tuple[Setting, ...]] = (
    *_without_effect(
        "Without effect",
        "there is no database server",
        """
        -db ORION_MONGO_DB
        -dbURI ORION_MONGO_URI
        -dbpwd ORION_MONGO_PASSWORD
        -dbPoolSize ORION_MONGO_POOL_SIZE
        -writeConcern ORION_MONGO_WRITE_CONCERN
        -dbhost ORION_MONGO_HOST
        -dbuser ORION_MONGO_USER
        -rplSet ORION_MONGO_REPLICA_SET
        -dbTimeout ORION_MONGO_TIMEOUT
        -dbAuthMech ORION_MONGO_AUTH_MECH
        -dbAuthDb ORION_MONGO_AUTH_SOURCE
        """,
        """
        -dbSSL ORION_MONGO_SSL
        -dbDisableRetryWrites ORION_MONGO_DISABLE_RETRY_WRITES
        """,
    ),
    *_without_effect(
        "",
        "subscriptions are always held in memory",
        "-subCacheIval ORION_SUBCACHE_IVAL",
        "-noCache ORION_NOCACHE",
    ),
    *_without_effect(
        "",
        "one event loop serves all requests",
        """
        -reqMutexPolicy ORION_MUTEX_POLICY
        -reqPoolSize ORION_TRQ_POOL_SIZE
        -connectionMemory ORION_CONN_MEMORY
        """,
    ),
)
