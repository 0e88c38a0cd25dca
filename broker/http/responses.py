"""From aiohttp's requests to calls, and from replies to aiohttp's responses."""

from __future__ import annotations

from aiohttp import hdrs, web

from _native.requests import Head
from broker.http.call import Call, Connection
from broker.http.headers import (
    FIWARE_CORRELATOR,
    FIWARE_SERVICE,
    FIWARE_SERVICE_PATH,
    NGSIV2_ATTRS_FORMAT,
    X_AUTH_TOKEN,
    X_FORWARDED_FOR,
    X_REAL_IP,
)
from broker.http.replies import REASONS, Reply
from broker.http.routing import Route
from ngsi.errors import BadRequest, RequestEntityTooLarge


class Response(web.Response):
    """A response without what aiohttp adds of its own accord."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        headers = self.headers
        headers.pop(hdrs.SERVER, None)
        if not self.body:
            headers.pop(hdrs.CONTENT_TYPE, None)


def make_response(reply: Reply) -> web.Response:
    """The response that says the same."""
    return Response(
        status=reply.status,
        reason=REASONS[reply.status],
        body=reply.body or None,
        headers=reply.headers,
    )


def make_call(request: web.Request, route: Route, connection: Connection) -> Call:
    """The call without its body, which `read_body` gives."""
    headers = request.headers
    length = request.content_length
    url = request.rel_url
    call = Call(
        method=request.method,
        target=request.path_qs,
        path=request.path,
        query=url.raw_query_string,
        captures=dict(request.match_info),
        head=Head(
            accept=headers.get(hdrs.ACCEPT),
            content_type=headers.get(hdrs.CONTENT_TYPE),
            service=headers.get(FIWARE_SERVICE, ""),
            service_path=headers.get(FIWARE_SERVICE_PATH, ""),
            auth_token=headers.get(X_AUTH_TOKEN, ""),
            real_ip=headers.get(X_REAL_IP, ""),
            forwarded_for=headers.get(X_FORWARDED_FOR, ""),
            origin=headers.get(hdrs.ORIGIN, ""),
            attrs_format=headers.get(NGSIV2_ATTRS_FORMAT, ""),
        ),
        correlator=headers.get(FIWARE_CORRELATOR, ""),
        length=length,
        has_body=bool(length) or hdrs.TRANSFER_ENCODING in headers,
        remote=request.remote or "",
        route=route,
        connection=connection,
    )
    call.headers = headers
    return call


async def read_body(request: web.Request) -> bytes:
    """The whole body; raises NgsiError."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise RequestEntityTooLarge(error.text or "payload too large") from None
    except web.RequestPayloadError:
        raise BadRequest("the payload could not be read") from None
