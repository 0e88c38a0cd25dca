"""A running broker as the target of an import, written through its NGSIv2 API.

Owns the order: entities, oldest first, then registrations, then subscriptions, so that nobody is
notified of the import. The broker gives new ids to subscriptions and registrations, and sets
dates and counters anew: that cannot be told through the API.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final, TextIO

import orjson

from importer.client import Client, Reply
from importer.intake import describe_service
from importer.report import ENTITIES, REGISTRATIONS, SUBSCRIPTIONS, Report, Stopped
from importer.spool import Spool
from ngsi.model import Entity
from ngsi.operators import is_operation
from ngsi.service_path import EVERYWHERE
from ngsi.v2.registrations import render_registration
from ngsi.v2.subscriptions import render_subscription

# A request stays below Orion's limit of a megabyte, unless a single entity is larger.
_BATCH_BYTES: Final = 512 * 1024
_BATCH_LENGTH: Final = 500  # entities: more would save little and hold up the broker's clients
_NO_SERVICE: Final = "rigel_import_probe"  # nobody's: a broker with services shows nothing in it
_RESOURCES: Final = {
    ENTITIES: "/v2/entities",
    SUBSCRIPTIONS: "/v2/subscriptions",
    REGISTRATIONS: "/v2/registrations",
}


class BrokerTarget:
    """The broker behind a client. `ids`: where new ids are told as JSON lines, if anywhere."""

    def __init__(self, client: Client, ids: TextIO | None) -> None:
        self._client = client
        self._ids = ids

    def check(self) -> None:
        """Raise Stopped for what is no broker."""
        reply = self._client.get("/version", "", "")
        if reply.status != 200:
            raise Stopped(f"{self._client.name} is no broker: GET /version gives {reply.reason}")

    def check_empty(self, services: Iterable[str]) -> None:
        """Raise Stopped where one of the services holds anything."""
        for service in services:
            for kind, resource in _RESOURCES.items():
                reply = self._client.get(
                    resource, service, EVERYWHERE, {"options": "count", "limit": 1}
                )
                if reply.status != 200:
                    raise Stopped(f"{self._client.name}{resource}: {reply.reason}")
                if reply.body:
                    raise Stopped(
                        f"{self._client.name} holds {kind} {describe_service(service)}: "
                        "an import fills an empty service"
                    )

    def write(self, spool: Spool, report: Report) -> None:
        """Write all that the spool holds; what the broker refuses is in the report.

        Raises Stopped when the broker goes away or keeps no services; it holds a part then.
        """
        probed: set[str] = set()
        for (service, path), group in groupby(
            spool.entities(), key=lambda pair: (pair[0], pair[1].service_path)
        ):
            for batch in _batches((entity for _, entity in group), service, report):
                self._write_entities(service, path, batch, report)
                if service and service not in probed:
                    probed.add(service)
                    self._check_apart(service)
        for service, registration in spool.registrations():
            document = render_registration(registration, stored=True)
            reply = self._client.post(
                _RESOURCES[REGISTRATIONS], service, registration.service_path, document
            )
            self._settle(REGISTRATIONS, service, registration.id, reply, report)
        for service, subscription in spool.subscriptions():
            document = render_subscription(subscription, now=None)
            reply = self._client.post(
                _RESOURCES[SUBSCRIPTIONS], service, subscription.service_path, document
            )
            self._settle(SUBSCRIPTIONS, service, subscription.id, reply, report)

    def _check_apart(self, service: str) -> None:
        """Raise Stopped where what was written into a service shows up in another."""
        reply = self._client.get(_RESOURCES[ENTITIES], _NO_SERVICE, EVERYWHERE, {"limit": 1})
        if reply.body:
            raise Stopped(
                f"{self._client.name} does not keep services apart (-multiservice): what was "
                f"written {describe_service(service)} is in all"
            )

    def _write_entities(
        self, service: str, path: str, batch: list[dict[str, Any]], report: Report
    ) -> None:
        reply = self._client.post(
            "/v2/op/update", service, path, {"actionType": "appendStrict", "entities": batch}
        )
        if reply.status == 204:
            report.write(ENTITIES, len(batch))
            return
        # Which of them it was: one by one. Those that the batch made are there already.
        for document in batch:
            reply = self._client.post(_RESOURCES[ENTITIES], service, path, document)
            if reply.status in (201, 422):
                report.write(ENTITIES)
            else:
                _refuse(ENTITIES, service, document["id"], reply.reason, report)

    def _settle(self, kind: str, service: str, identity: str, reply: Reply, report: Report) -> None:
        if reply.status != 201:
            _refuse(kind, service, identity, reply.reason, report)
            return
        report.write(kind)
        if self._ids is not None:
            new = reply.headers.get("Location", "").rpartition("/")[2]
            line = {"kind": kind, "service": service, "old": identity, "new": new}
            self._ids.write(orjson.dumps(line).decode() + "\n")


def _batches(
    entities: Iterable[Entity], service: str, report: Report
) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for entity in entities:
        operation = next(
            (name for name, item in entity.attributes.items() if is_operation(item.value)), None
        )
        if operation is not None:
            reason = f"the value of {operation} would be taken for an update operator"
            _refuse(ENTITIES, service, entity.id, reason, report)
            continue
        if batch and (size + entity.size > _BATCH_BYTES or len(batch) == _BATCH_LENGTH):
            yield batch
            batch, size = [], 0
        batch.append(_render(entity))
        size += entity.size
    if batch:
        yield batch


def _render(entity: Entity) -> dict[str, Any]:
    """An entity as a request has it: unlike in answers, with dateExpires and whole Features."""
    document: dict[str, Any] = {"id": entity.id, "type": entity.type}
    for name, attribute in entity.attributes.items():
        document[name] = {
            "type": attribute.type,
            "value": attribute.value,
            "metadata": attribute.metadata,
        }
    return document


def _refuse(kind: str, service: str, identity: str, reason: str, report: Report) -> None:
    report.refuse(kind, f"{kind} {describe_service(service)} {identity}", reason)
