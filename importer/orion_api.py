"""A running Orion, read through its NGSIv2 API.

Owns the order of requests: per service first entities, page by page, then subscriptions and
registrations by service path. The API does not tell a subscription's service path, but lists
those of exactly one path; so the paths of the entities, and those above them, are asked for.
Cost: a request for each page, two for each service path, one for each subscription of "/#".
Source: Orion API, "Builtin Attributes", "Pagination", "Service path".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from broker.object_ids import check_subscription_id
from importer.client import Client, Reply
from importer.entities import check_service_path_query, make_attribute, make_entity
from importer.fields import read
from importer.intake import Intake, describe_service
from importer.report import REGISTRATIONS, SUBSCRIPTIONS, Stopped
from ngsi.errors import BadRequest
from ngsi.instants import parse_instant
from ngsi.model import DATE_CREATED, DATE_EXPIRES, DATE_MODIFIED, SERVICE_PATH, Attribute, Entity
from ngsi.registration import Registration
from ngsi.service_path import EVERYWHERE
from ngsi.subscription import Counters, Subscription
from ngsi.v2 import registrations, subscriptions

MAX_PAGE_LENGTH: Final = 1000  # entities, as Orion
DEFAULT_PAGE_LENGTH: Final = 500  # entities of usual size make less than a megabyte of it
_BUILTINS: Final = (DATE_CREATED, DATE_MODIFIED, SERVICE_PATH)
_HIDDEN: Final = "*****"  # what the API shows for a password
_TOTAL_HEADER: Final = "Fiware-Total-Count"


def read_api(client: Client, intake: Intake, page_length: int) -> None:
    """Take all that the selection asks for; raises Stopped."""
    version = client.get("/version", "", "")
    if version.status != 200 or not isinstance(version.body, dict) or "orion" not in version.body:
        raise Stopped(f"{client.name} is no Orion: GET /version gives {version.reason}")
    if not intake.selection.services:
        intake.report.add_note(
            "only the service of requests without Fiware-Service was read: the API does not list "
            "the others, --service names them"
        )
    for service in intake.selection.services or ("",):
        _Service(client, service, intake, page_length).read()


class _Service:
    """One service of the source."""

    def __init__(self, client: Client, service: str, intake: Intake, page_length: int) -> None:
        self._client = client
        self._service = service
        self._intake = intake
        self._page_length = page_length

    def read(self) -> None:
        parameters = {
            "attrs": f"*,{DATE_EXPIRES},{','.join(_BUILTINS)}",
            "metadata": f"*,{DATE_CREATED},{DATE_MODIFIED}",
        }
        # Without registrations nothing is forwarded, and an older Orion knows not the option.
        forwards = bool(self._count("/v2/registrations", EVERYWHERE))
        options = "count,skipForwarding" if forwards else "count"
        for scope in self._intake.selection.service_paths:
            for document in self._pages("/v2/entities", scope, options, parameters):
                name = str(document.get("id"))
                self._intake.take_entity(self._service, name, partial(decode_entity, document))
        self._read_by_path("subscription", SUBSCRIPTIONS, self._take_subscription)
        self._read_by_path("registration", REGISTRATIONS, self._take_registration)

    def _take_subscription(self, document: dict[str, Any], path: str) -> None:
        self._intake.take_subscription(
            self._service,
            str(document.get("id")),
            partial(decode_subscription, document, path),
        )

    def _take_registration(self, document: dict[str, Any], path: str) -> None:
        self._intake.take_registration(
            self._service,
            str(document.get("id")),
            partial(decode_registration, document, path),
        )

    def _read_by_path(
        self, noun: str, kind: str, take: Callable[[dict[str, Any], str], None]
    ) -> None:
        resource = f"/v2/{noun}s"
        total = self._count(resource, EVERYWHERE)
        found: set[str] = set()
        for path in self._candidates():
            if len(found) >= total:
                break
            for document in self._pages(resource, path, "count"):
                found.add(str(document.get("id")))
                take(document, path)
        if not self._intake.selection.is_everywhere:
            return  # the others are elsewhere
        for document in self._pages(resource, EVERYWHERE, "count"):
            identity = str(document.get("id"))
            if identity in found:
                continue
            reply = self._client.get(f"{resource}/{identity}", self._service, EVERYWHERE)
            if reply.status == 200:
                take(document, EVERYWHERE)
            elif reply.status == 404:
                self._intake.refuse(
                    kind,
                    self._service,
                    identity,
                    "the API does not tell its service path; name it by --service-path beside /#",
                )
            else:
                raise self._stop(reply, resource)

    def _candidates(self) -> list[str]:
        """Service paths that subscriptions and registrations may have, but for "/#"."""
        wanted = self._intake.selection
        paths = {"/": None}
        for path in (*wanted.service_paths, *self._intake.spool.service_paths(self._service)):
            levels = path.removesuffix("/#").strip("/").split("/")
            for depth in range(1, len(levels) + 1):
                if levels[0]:
                    above = "/" + "/".join(levels[:depth])
                    paths |= {above: None, f"{above}/#": None}
        return [path for path in paths if wanted.covers(path)]

    def _pages(
        self,
        resource: str,
        scope: str,
        options: str,
        parameters: dict[str, str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The documents of a resource, in the order of creation."""
        read = 0
        while True:
            reply = self._client.get(
                resource,
                self._service,
                scope,
                {
                    **(parameters or {}),
                    "options": options,
                    "limit": self._page_length,
                    "offset": read,
                },
            )
            if reply.status != 200 or not isinstance(reply.body, list):
                raise self._stop(reply, resource)
            for document in reply.body:
                if not isinstance(document, dict):
                    raise self._stop(reply, resource)
                yield document
            read += len(reply.body)
            total = _total(reply)
            if len(reply.body) < self._page_length:
                break
        if total != read:
            # Pages by offset shift when others write; what slipped through is not known.
            self._intake.report.add_problem(
                f"{resource} {describe_service(self._service)}, {scope}, changed while it was "
                f"read: {read} were read, there are {total}"
            )

    def _count(self, resource: str, scope: str) -> int:
        reply = self._client.get(resource, self._service, scope, {"options": "count", "limit": 1})
        if reply.status != 200:
            raise self._stop(reply, resource)
        return _total(reply)

    def _stop(self, reply: Reply, resource: str) -> Stopped:
        return Stopped(
            f"{self._client.name}{resource} {describe_service(self._service)}: {reply.reason}"
        )


def _total(reply: Reply) -> int:
    text = reply.headers.get(_TOTAL_HEADER, "")
    if not text.isdecimal():
        raise Stopped(f"the source answers without the header {_TOTAL_HEADER}")
    return int(text)


def decode_entity(document: dict[str, Any]) -> tuple[Entity, bytes]:
    """An entity in the normalized form with its builtins, and its record."""
    now = time.time()
    builtins = {name: document.get(name) for name in _BUILTINS}
    created = _read_date(builtins[DATE_CREATED], now)
    modified = _read_date(builtins[DATE_MODIFIED], created)
    path = _value(builtins[SERVICE_PATH])
    if not isinstance(path, str):
        raise BadRequest("the source does not tell its service path")
    attributes: dict[str, Attribute] = {}
    for name, shown in document.items():
        if name in ("id", "type") or name in builtins:
            continue
        if not isinstance(shown, dict):
            raise BadRequest(f"the attribute {name} is not an object")
        metadata = dict(read(shown, "metadata", dict, {}))
        dates = [metadata.pop(item, None) for item in (DATE_CREATED, DATE_MODIFIED)]
        attribute_created = _read_date(dates[0], created)
        attributes[name] = make_attribute(
            name,
            read(shown, "type", str, ""),
            shown.get("value"),
            {
                item: {"type": read(fields, "type", str, ""), "value": fields.get("value")}
                for item, fields in ((item, read(metadata, item, dict)) for item in metadata)
            },
            attribute_created,
            _read_date(dates[1], attribute_created),
        )
    return make_entity(
        read(document, "id", str),
        read(document, "type", str, ""),
        path,
        attributes,
        created,
        modified,
    )


def _value(shown: Any) -> Any:
    return shown.get("value") if isinstance(shown, dict) else None


def _read_date(shown: Any, default: float) -> float:
    value = _value(shown)
    seconds = parse_instant(value) if isinstance(value, str) else None
    return default if seconds is None else seconds


def decode_subscription(document: dict[str, Any], path: str) -> Subscription:
    """A subscription as GET shows it, with its counters."""
    notification = dict(read(document, "notification", dict))
    for kind in ("mqtt", "mqttCustom"):
        if read(notification, kind, dict, {}).get("passwd") == _HIDDEN:
            raise BadRequest("the API hides the password of its MQTT broker; a dump has it")
    counters = Counters(
        times_sent=read(notification, "timesSent", int, 0),
        last_notification=_read_instant(notification, "lastNotification"),
        last_success=_read_instant(notification, "lastSuccess"),
        last_success_code=read(notification, "lastSuccessCode", int, None),
        last_failure=_read_instant(notification, "lastFailure"),
        last_failure_reason=read(notification, "lastFailureReason", str, None),
        fails_counter=read(notification, "failsCounter", int, 0),
    )
    if not notification.get("attrs") and not notification.get("exceptAttrs"):
        notification.pop("covered", None)
    subject = dict(read(document, "subject", dict))
    if not subject.get("condition"):
        subject.pop("condition", None)
    made = {**document, "subject": subject, "notification": notification}
    if made.get("status") not in ("active", "inactive", "oneshot"):
        made["status"] = "active"  # "expired" follows from `expires`, "failed" from counters
    subscription = subscriptions.decode_subscription(
        made, check_subscription_id(str(document.get("id"))), check_service_path_query(path)
    )
    subscription.counters = counters
    return subscription


def decode_registration(document: dict[str, Any], path: str) -> Registration:
    """A registration as GET shows it, with its counters."""
    registration = registrations.decode_registration(
        document,
        check_subscription_id(str(document.get("id"))),
        check_service_path_query(path),
        any_pattern=True,
    )
    shown = read(document, "forwardingInformation", dict, {})
    forwarding = registration.forwarding
    forwarding.times_sent = read(shown, "timesSent", int, 0)
    forwarding.last_forwarding = _read_instant(shown, "lastForwarding")
    forwarding.last_success = _read_instant(shown, "lastSuccess")
    forwarding.last_failure = _read_instant(shown, "lastFailure")
    return registration


def _read_instant(shown: dict[str, Any], field: str) -> float | None:
    return parse_instant(read(shown, field, str, ""))
