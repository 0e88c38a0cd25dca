"""One request, checked in Orion's order, as the routes want it.

Owns the rules that hold for every operation: URL characters, service path, media types,
parameters, body length, tenant. Raises `ngsi.errors`; routes only see good requests. Knows
nothing of how requests come and go. Costs: what is found of a head is remembered with it, so a
client that sends the same header fields again costs a look-up.
Source: Orion API, sections "General syntax restrictions" and "Error Responses".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Protocol
from urllib.parse import parse_qsl

from _native.requests import CorrelatorIds, Counter, Request, Verdict
from broker.http.media import Accepted, parse_accept
from broker.http.routing import WITH_BODY, Route
from broker.origin import Origin
from ngsi.errors import (
    BadRequest,
    ContentLengthRequired,
    InvalidParameter,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)
from ngsi.service_path import ServicePathScope, parse_scope
from ngsi.syntax import has_forbidden, is_identifier

MAX_TENANT_LENGTH: Final = 50  # characters
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 999_999_999  # more than any broker holds; keeps the number small
_OPTIONS: Final = frozenset(
    {
        "count",
        "normalized",
        "values",
        "keyValues",
        "append",
        "unique",
        "dateCreated",
        "dateModified",
        "noAttrDetail",
        "upsert",
        "forcedUpdate",
        "overrideMetadata",
        "flowControl",
        "skipForwarding",
        "fullCounters",
        "libVersions",
        "skipInitialNotification",
    }
)
_REPRESENTATIONS: Final = frozenset({"keyValues", "values", "unique"})
_FREE_PARAMETERS: Final = frozenset({"q", "mq", "idPattern", "typePattern"})
_ALLOWED_IN_PARAMETER: Final = {"geometry": "=;", "georel": "=;", "coords": ";"}
# Operations that have no body, whatever their method.
_ALL_IN_URL: Final = ("/log/", "/admin/log")
_NO_OPTIONS: Final[frozenset[str]] = frozenset()
_ANYTHING: Final = Accepted()
_NO_JSON: Final = Accepted(json=False)
_TENANT: Final = re.compile(r"[0-9A-Za-z_]*")
# Queries that are remembered: those that programs send again and again are short.
_QUERIES: Final = 1024
_MAX_QUERY_LENGTH: Final = 256  # characters


class Connection(Protocol):
    """What a request came by."""

    def is_heard(self) -> bool:
        """Whether the client may still be there."""


class Call(Request):
    """A request on its way through the broker; `content` is its body, checked.

    `Front.open` begins with it. What `check` finds of a head is remembered with the head, for
    each route.
    """

    __slots__ = ("_origin", "headers")

    connection: Connection
    route: Route
    headers: Mapping[str, str]  # of requests that aiohttp reads; names in any case
    accepted: Accepted
    _origin: Origin

    @property
    def origin(self) -> Origin:
        """Who asks; to be called when the head was found good."""
        try:
            return self._origin
        except AttributeError:
            verdict = self.verdict
            assert verdict is not None
            self._origin = Origin(
                verdict.tenant,
                verdict.scope,
                self.correlator,
                verdict.auth_token,
                verdict.service,
            )
            return self._origin

    def begin(self, correlators: CorrelatorIds, transactions: Counter) -> None:
        """What is known before the head is looked at."""
        self.open(correlators, transactions)
        self.accepted = _ANYTHING

    def check(self, max_body_bytes: int, multiservice: bool) -> None:
        """Check everything but the body."""
        route = self.route
        verdict: Verdict | None = None
        if self.is_plain and self.has_body is route.reads_body:
            verdict = self.head.memo.get(route)
        if verdict is None:
            verdict = self._check_all(max_body_bytes, multiservice)
            # Another path of the route may be no value, and then needs a client that takes JSON.
            if self.has_body is route.reads_body and verdict.accepted.json:
                self.head.memo[route] = verdict
        else:
            # All else was found good in a former request with this head.
            if self.query:
                self._read_parameters()
            if self.length is None or self.length > max_body_bytes:
                self._check_length(max_body_bytes)
        self.approve(verdict)

    def _check_all(self, max_body_bytes: int, multiservice: bool) -> Verdict:
        head = self.head
        accept = "*/*" if head.accept is None else head.accept
        any_media = self.route.any_media
        # Errors are given in a type that the client takes, even before Accept is judged.
        self.accepted = _NO_JSON if accept == "text/plain" and not any_media else _ANYTHING
        if has_forbidden(self.path):
            raise BadRequest("invalid character in URI")
        scope = parse_scope(head.service_path, self.method)
        content_type = (head.content_type or "").partition(";")[0].strip()
        if not any_media:
            self._check_content_type(content_type)
        if self.query:
            self._read_parameters()
        self._check_length(max_body_bytes)
        accepted = self._check_accept(accept)
        if self.method in WITH_BODY:
            if not self.has_body and not self.path.startswith(_ALL_IN_URL):
                raise ContentLengthRequired("Zero/No Content-Length in PUT/POST/PATCH request")
        elif head.content_type is not None and not self.has_body and not any_media:
            raise BadRequest(
                "Orion accepts no payload for GET/DELETE requests. "
                "HTTP header Content-Type is thus forbidden"
            )
        service = head.service.lower()
        check_tenant(service)
        tenant = service if multiservice else ""
        home = _home_of_update(scope)
        return Verdict(accepted, content_type, scope, home, service, tenant, head.auth_token)

    def _check_content_type(self, content_type: str) -> None:
        self.content_type = content_type
        if not self.has_body:
            return
        if not content_type:
            raise UnsupportedMediaType(
                "Content-Type header not used, default application/octet-stream is not supported"
            )
        if content_type not in ("application/json", "text/plain"):
            raise UnsupportedMediaType(f"not supported content type: {content_type}")

    def _read_parameters(self) -> None:
        query = self.query
        self.parameters, self.options = read_query(query)

    def _check_length(self, max_body_bytes: int) -> None:
        length = self.length
        if length is not None and length > max_body_bytes:
            raise RequestEntityTooLarge(
                f"payload size: {length}, max size supported: {max_body_bytes}"
            )

    def _check_accept(self, header: str) -> Accepted:
        if not self.route.any_media:
            return self._read_accept(header)
        try:
            return self._read_accept(header)
        except (BadRequest, NotAcceptable):
            self.accepted = _ANYTHING
            return _ANYTHING

    def _read_accept(self, header: str) -> Accepted:
        accepted = self.accepted = parse_accept(header)
        is_value = self.path.endswith("/value")
        if accepted.json or (accepted.text and is_value):
            return accepted
        types = "application/json, text/plain" if is_value else "application/json"
        raise NotAcceptable(f"acceptable MIME types: {types}")

    def content(self, allow_text: bool = False) -> bytes:
        """The whole body; JSON unless `allow_text`."""
        if self.content_type == "text/plain" and not allow_text and not self.route.any_media:
            raise UnsupportedMediaType("not supported content type: text/plain")
        return self.body

    def identifier(self, name: str) -> str:
        """An id or name that stands in the URL."""
        text = self.captures[name]
        if not self.is_plain and not is_identifier(text):
            raise BadRequest("invalid character in URI")
        return text

    def header(self, name: str) -> str:
        """A header field that only operations outside of the lane look at, "" without it."""
        return self.headers.get(name, "")

    def describe(self) -> str:
        """Method and URL, for the log."""
        return f"{self.method} {self.target}"

    def is_awaited(self) -> bool:
        """Whether the client is still connected."""
        return self.connection.is_heard()

    @property
    def limit(self) -> int:
        """The most results to return."""
        return int(self.parameters.get("limit", DEFAULT_LIMIT))

    @property
    def offset(self) -> int:
        """The results to skip."""
        return int(self.parameters.get("offset", 0))

    @property
    def type(self) -> str | None:
        """The parameter `type`, None without one."""
        return self.parameters.get("type")

    def names(self, parameter: str) -> tuple[str, ...]:
        """A parameter that is a list of names, without repetitions."""
        value = self.parameters.get(parameter)
        if value is None:
            return ()
        return tuple(dict.fromkeys(name for name in value.split(",") if name))


def read_query(query: str) -> tuple[dict[str, str], frozenset[str]]:
    """The parameters of a query and its options; raises InvalidParameter.

    Nobody may change them.
    """
    read = _read_query if len(query) <= _MAX_QUERY_LENGTH else _read_query.__wrapped__
    return read(query)


@lru_cache(maxsize=_QUERIES)
def _read_query(query: str) -> tuple[dict[str, str], frozenset[str]]:
    parameters: dict[str, str] = {}
    options = _NO_OPTIONS
    for name, value in parse_qsl(query, keep_blank_values=True):
        if not value:
            raise InvalidParameter(f"Empty right-hand-side for URI param /{name}/")
        if name == "offset":
            if not _is_decimal(value):
                raise InvalidParameter(
                    f"Bad pagination offset: /{value}/ [must be a decimal number]"
                )
        elif name == "limit":
            if not _is_decimal(value):
                raise InvalidParameter(
                    f"Bad pagination limit: /{value}/ [must be a positive integer number]"
                )
            if int(value) > MAX_LIMIT:
                raise InvalidParameter(f"Bad pagination limit: /{value}/ [max: {MAX_LIMIT}]")
        elif name == "options":
            options = _read_options(value)
        if name not in _FREE_PARAMETERS and (
            has_forbidden(value, _ALLOWED_IN_PARAMETER.get(name, "")) or has_forbidden(name)
        ):
            raise InvalidParameter("invalid character in URI parameter")
        parameters[name] = value
    return parameters, options


def _home_of_update(scope: ServicePathScope) -> str | None:
    """Where an update finds its entities; None where it may not be."""
    try:
        return scope.for_update().home
    except BadRequest:
        return None


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_OFFSET))


def _read_options(value: str) -> frozenset[str]:
    options = frozenset(value.split(","))
    if not options <= _OPTIONS or len(options & _REPRESENTATIONS) > 1:
        raise InvalidParameter("Invalid value for URI param /options/")
    return options


def check_tenant(name: str) -> None:
    """Raise BadRequest for what can be no tenant (Fiware-Service)."""
    if len(name) > MAX_TENANT_LENGTH:
        raise BadRequest(
            f"bad length - a tenant name can be max {MAX_TENANT_LENGTH} characters long"
        )
    if not _TENANT.fullmatch(name):
        raise BadRequest(
            "bad character in tenant name - only underscore and alphanumeric characters are allowed"
        )
