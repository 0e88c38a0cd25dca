"""Cross-Origin Resource Sharing, where it is switched on (-corsOrigin).

Source: Orion's user manual, "CORS". Answers carry the headers when the request's Origin is
allowed; OPTIONS answers a browser's preflight with the methods of the resource.
"""

from __future__ import annotations

from typing import Final

from _native.requests import Request
from broker.http.paging import NEXT_CURSOR_HEADER
from broker.http.replies import Reply

ANY_ORIGIN: Final = "__ALL"  # Orion's spelling
_FOGFLOW_ROOTS: Final = ("/ngsi10/", "/ngsi9/")  # whose clients are pages, too
_SHARED: Final = ("/v2", "/version", *_FOGFLOW_ROOTS)
_V1_ROOTS: Final = ("/v1/", "/ngsi10/", "/ngsi9/")  # in any case
_EXPOSED_HEADERS: Final = "Fiware-Correlator, Fiware-Total-Count, Location"
_ALLOWED_HEADERS: Final = (
    "Content-Type, Fiware-Service, Fiware-Servicepath, Ngsiv2-AttrsFormat, Fiware-Correlator, "
    "X-Forwarded-For, X-Real-IP, X-Auth-Token, Authorization"
)
_FOGFLOW_HEADERS: Final = f"{_ALLOWED_HEADERS}, Accept, Destination, Require-Reliability"


def is_shared(path: str) -> bool:
    """Whether pages of other origins may use a path, and so ask for it with OPTIONS."""
    return path.startswith(_SHARED)


def is_v1(path: str) -> bool:
    """Whether a path is one of NGSIv1."""
    return path.lower().startswith(_V1_ROOTS)


class Cors:
    """The rules of one broker; `allowed_origin` "" switches them off."""

    def __init__(self, allowed_origin: str, max_age_s: int) -> None:
        self._allowed_origin = allowed_origin
        self._max_age_s = max_age_s

    @property
    def is_on(self) -> bool:
        """Whether any origin is allowed."""
        return bool(self._allowed_origin)

    def is_allowed(self, request: Request) -> bool:
        """Whether the request comes from an allowed origin; without an Origin it does not."""
        origin = request.head.origin
        return bool(origin) and self._allowed_origin in (ANY_ORIGIN, origin)

    def add_headers(self, request: Request, reply: Reply) -> None:
        """Tell the browser that it may show the response to the page."""
        if not self.is_on or reply.status == 405 or not self.is_allowed(request):
            return
        if request.method != "GET" and is_v1(request.path) and not is_shared(request.path):
            return  # as Orion 3, which shares no more of NGSIv1
        headers = reply.headers
        shared_by_all = self._allowed_origin == ANY_ORIGIN
        headers["Access-Control-Allow-Origin"] = "*" if shared_by_all else self._allowed_origin
        exposed = _EXPOSED_HEADERS
        if NEXT_CURSOR_HEADER in headers:
            exposed += f", {NEXT_CURSOR_HEADER}"
        headers["Access-Control-Expose-Headers"] = exposed
        if request.method == "OPTIONS":
            is_fogflows = request.path.startswith(_FOGFLOW_ROOTS)
            headers["Access-Control-Allow-Headers"] = (
                _FOGFLOW_HEADERS if is_fogflows else _ALLOWED_HEADERS
            )
            headers["Access-Control-Max-Age"] = str(self._max_age_s)

    def reply_to_preflight(self, request: Request, methods: str) -> Reply:
        """The answer to OPTIONS on a resource that has these methods."""
        reply = Reply()
        if self.is_allowed(request):
            # GET first, unlike in Allow: so does Orion.
            names = sorted(methods.split(", "), key="GET".__ne__)
            reply.headers["Access-Control-Allow-Methods"] = ", ".join(names)
        return reply
