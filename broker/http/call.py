"""One request, checked in Orion's order, as the routes want it.

Owns the rules that hold for every operation: URL characters, service path, media types,
parameters, body length, tenant. Raises `ngsi.errors`; routes only see good requests.
Source: Orion API, sections "General syntax restrictions" and "Error Responses".
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import hdrs, web

from broker.http.headers import FIWARE_SERVICE, FIWARE_SERVICE_PATH, X_AUTH_TOKEN
from broker.http.media import Accepted, parse_accept
from broker.origin import Origin
from ngsi.errors import (
    BadRequest,
    ContentLengthRequired,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)
from ngsi.service_path import parse_scope
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
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
# Operations that have no body, whatever their method.
_ALL_IN_URL: Final = ("/log/", "/admin/log")
_NO_OPTIONS: Final[frozenset[str]] = frozenset()
_ANYTHING: Final = Accepted()
_NO_JSON: Final = Accepted(json=False)
_TENANT: Final = re.compile(r"[0-9A-Za-z_]*")


class Call:
    """A request whose head was found good; `body` reads and checks the rest.

    Its `origin` comes of `check`.
    """

    __slots__ = (
        "accepted",
        "content_type",
        "correlator",
        "options",
        "origin",
        "parameters",
        "request",
    )

    def __init__(self, request: web.Request, correlator: str) -> None:
        self.request = request
        self.correlator = correlator
        self.parameters: dict[str, str] = {}
        self.options = _NO_OPTIONS
        self.accepted = _ANYTHING
        self.content_type = ""
        self.origin: Origin

    def check(self, max_body_bytes: int, multiservice: bool) -> None:
        """Check everything but the body."""
        request = self.request
        headers = request.headers
        accept = headers.get(hdrs.ACCEPT, "*/*")
        # Errors are given in a type that the client takes, even before Accept is judged.
        self.accepted = _NO_JSON if accept == "text/plain" else _ANYTHING
        if has_forbidden(request.path):
            raise BadRequest("invalid character in URI")
        scope = parse_scope(headers.get(FIWARE_SERVICE_PATH, ""), request.method)
        length = request.content_length
        has_body = bool(length) or hdrs.TRANSFER_ENCODING in headers
        self._check_content_type(has_body)
        if request.rel_url.raw_query_string:
            self._read_parameters()
        if length is not None and length > max_body_bytes:
            raise RequestEntityTooLarge(
                f"payload size: {length}, max size supported: {max_body_bytes}"
            )
        self._check_accept(accept)
        if request.method in _WITH_BODY:
            if not has_body and not request.path.startswith(_ALL_IN_URL):
                raise ContentLengthRequired("Zero/No Content-Length in PUT/POST/PATCH request")
        elif hdrs.CONTENT_TYPE in headers and not has_body:
            raise BadRequest(
                "Orion accepts no payload for GET/DELETE requests. "
                "HTTP header Content-Type is thus forbidden"
            )
        service = headers.get(FIWARE_SERVICE, "").lower()
        check_tenant(service)
        self.origin = Origin(
            tenant=service if multiservice else "",
            scope=scope,
            correlator=self.correlator,
            auth_token=headers.get(X_AUTH_TOKEN, ""),
            service_header=service,
        )

    def _check_content_type(self, has_body: bool) -> None:
        header = self.request.headers.get(hdrs.CONTENT_TYPE, "")
        self.content_type = header.partition(";")[0].strip()
        if not has_body:
            return
        if not self.content_type:
            raise UnsupportedMediaType(
                "Content-Type header not used, default application/octet-stream is not supported"
            )
        if self.content_type not in ("application/json", "text/plain"):
            raise UnsupportedMediaType(f"not supported content type: {self.content_type}")

    def _read_parameters(self) -> None:
        for name, value in self.request.query.items():
            if not value:
                raise BadRequest(f"Empty right-hand-side for URI param /{name}/")
            if name == "offset":
                if not _is_decimal(value):
                    raise BadRequest(f"Bad pagination offset: /{value}/ [must be a decimal number]")
            elif name == "limit":
                if not _is_decimal(value):
                    raise BadRequest(
                        f"Bad pagination limit: /{value}/ [must be a positive integer number]"
                    )
                if int(value) > MAX_LIMIT:
                    raise BadRequest(f"Bad pagination limit: /{value}/ [max: {MAX_LIMIT}]")
            elif name == "options":
                self.options = _read_options(value)
            if name not in _FREE_PARAMETERS and (
                has_forbidden(value, _ALLOWED_IN_PARAMETER.get(name, "")) or has_forbidden(name)
            ):
                raise BadRequest("invalid character in URI parameter")
            self.parameters[name] = value

    def _check_accept(self, header: str) -> None:
        self.accepted = parse_accept(header)
        if self.accepted.json or (self.accepted.text and self._is_value()):
            return
        types = "application/json, text/plain" if self._is_value() else "application/json"
        raise NotAcceptable(f"acceptable MIME types: {types}")

    def _is_value(self) -> bool:
        return self.request.path.endswith("/value")

    async def body(self, allow_text: bool = False) -> bytes:
        """The whole body; JSON unless `allow_text`."""
        if self.content_type == "text/plain" and not allow_text:
            raise UnsupportedMediaType("not supported content type: text/plain")
        try:
            return await self.request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise RequestEntityTooLarge(error.text or "payload too large") from None
        except web.RequestPayloadError:
            raise BadRequest("the payload could not be read") from None

    def identifier(self, name: str) -> str:
        """An id or name that stands in the URL."""
        text = self.request.match_info[name]
        if not is_identifier(text):
            raise BadRequest("invalid character in URI")
        return text

    def describe(self) -> str:
        """Method and URL, for the log."""
        return f"{self.request.method} {self.request.path_qs}"

    def is_awaited(self) -> bool:
        """Whether the client is still connected."""
        return self.request.transport is not None

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


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_OFFSET))


def _read_options(value: str) -> frozenset[str]:
    options = frozenset(value.split(","))
    if not options <= _OPTIONS or len(options & _REPRESENTATIONS) > 1:
        raise BadRequest("Invalid value for URI param /options/")
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
