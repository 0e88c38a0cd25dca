"""The aiohttp application: the table of routes and what happens around every request.

A request is checked (`Call`), handled, counted and logged here; errors of `ngsi.errors`
become Orion's payloads, anything unforeseen a 500 without a traceback for the client.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from broker.engine import Engine
from broker.flow_control import UpdatePace
from broker.forwarding import Forwarding
from broker.http.batch import BatchRoutes
from broker.http.call import Call
from broker.http.correlator import CorrelatorIds
from broker.http.cors import Cors, is_shared
from broker.http.entities import EntityRoutes
from broker.http.headers import (
    FIWARE_CORRELATOR,
    FIWARE_SERVICE,
    FIWARE_SERVICE_PATH,
    X_FORWARDED_FOR,
    X_REAL_IP,
)
from broker.http.registrations import RegistrationRoutes
from broker.http.replies import reply_error, reply_json
from broker.http.routing import Handler, Routes
from broker.http.subscriptions import SubscriptionRoutes
from broker.http.types import TypeRoutes
from broker.http.watch import FOR_OPERATORS, UNMATCHED, RequestWatch
from broker.logs import RequestContext, TransactionIds, request_context
from broker.object_ids import check_subscription_id
from ngsi.errors import (
    BadRequest,
    InternalServerError,
    MethodNotAllowed,
    NgsiError,
    ServiceUnavailable,
)

_log = logging.getLogger("rigel.http")

_WHILE_LOADING: Final = frozenset({"/version"})
# Orion names PUT alone in the header Allow of /admin/log, though it answers GET too.
_ALLOWED: Final = {"/admin/log": "PUT"}


class Front:
    """What every request passes through."""

    def __init__(
        self,
        watch: RequestWatch,
        transactions: TransactionIds,
        cors: Cors,
        is_loading: Callable[[], bool],
        max_body_bytes: int,
        multiservice: bool,
        pace: UpdatePace | None,
    ) -> None:
        self.cors = cors
        self._watch = watch
        self._transactions = transactions
        self._is_loading = is_loading
        self._max_body_bytes = max_body_bytes
        self._multiservice = multiservice
        self._pace = pace
        self._correlators = CorrelatorIds()

    def wrap(self, path: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        """The aiohttp handler of a route."""

        async def serve(request: web.Request) -> web.Response:
            started = time.perf_counter()
            correlator = request.headers.get(FIWARE_CORRELATOR) or self._correlators.make()
            call = Call(request, correlator)
            context = self._context(call)
            token = request_context.set(context)
            try:
                response = await self._answer(call, path, handler)
                response.headers[FIWARE_CORRELATOR] = call.correlator
                self.cors.add_headers(request, response)
                self._finish(request, context, path, response, time.perf_counter() - started)
                return response
            finally:
                request_context.reset(token)

        return serve

    def refuse(self, error: NgsiError) -> web.Response:
        """The response to what was no request at all, but counts as a transaction."""
        self._transactions.make()
        response = reply_error(error)
        response.headers["Fiware-Correlator"] = self._correlators.make()
        return response

    async def _answer(self, call: Call, path: str, handler: Handler) -> web.Response:
        try:
            if path in FOR_OPERATORS:
                return await handler(call)
            if self._is_loading() and path not in _WHILE_LOADING:
                raise ServiceUnavailable("the broker is loading its data")
            call.check(self._max_body_bytes, self._multiservice)
            self._watch.count(path, call.request.method, call.content_type)
            if self._pace is None or "flowControl" not in call.options:
                response = await handler(call)
            else:
                response = await self._pace.keep(call.origin, handler(call), call.is_awaited)
            self._watch.accept(call.request.remote or "")
            return response
        except NgsiError as error:
            request = call.request
            self._watch.refuse(error, request.remote or "", path, request.method, request.path)
            return reply_error(error, as_text=not call.accepted.json)
        except web.HTTPException:
            raise
        except Exception:
            _log.exception("request failed: %s %s", call.request.method, call.request.path)
            return reply_error(InternalServerError("internal error, see the broker's log"))

    def _context(self, call: Call) -> RequestContext:
        headers = call.request.headers
        client = headers.get(X_REAL_IP) or headers.get(X_FORWARDED_FOR) or call.request.remote
        return RequestContext(
            correlator=call.correlator,
            transaction=self._transactions.make(),
            client=client or "",
            service=headers.get(FIWARE_SERVICE, ""),
            service_path=headers.get(FIWARE_SERVICE_PATH, ""),
        )

    def _finish(
        self,
        request: web.Request,
        context: RequestContext,
        path: str,
        response: web.Response,
        seconds: float,
    ) -> None:
        body = request._read_bytes or b""  # what a handler read; None if none did
        reply = response.body if isinstance(response.body, bytes) else b""
        watch = self._watch
        watch.finish(
            path,
            request.method,
            context.service,
            context.service_path,
            len(body),
            response.status,
            len(reply),
            seconds,
        )
        if _log.isEnabledFor(logging.INFO):
            watch.log(request.method, request.path_qs, body, response.status, reply)


def allowed_methods(application: web.Application, path: str) -> str:
    """The methods of a path's resource as in the header Allow, "" where there is none."""
    for resource in application.router.resources():
        if isinstance(resource, web.Resource) and resource._match(path) is not None:
            return ", ".join(route.method for route in resource if route.method != "*")
    return ""


def make_application(
    engine: Engine,
    forwarding: Forwarding,
    admin: Routes,
    front: Front,
    max_body_bytes: int,
    registration_patterns: bool,
) -> web.Application:
    """The application with all routes; `admin` are those for operators."""
    application = web.Application(client_max_size=max_body_bytes)
    for path, handlers in _routes(engine, forwarding, admin, registration_patterns):
        methods = _ALLOWED.get(path, ", ".join(handlers))
        fallback = _refuse_method(methods)
        if front.cors.is_on and is_shared(path):
            methods += ", OPTIONS"
            handlers["OPTIONS"] = _answer_preflight(front.cors, methods)
            fallback = _refuse_method(methods)
        # Ids and names may hold braces, which aiohttp's own pattern leaves out.
        pattern = path.replace("}", ":[^/]+}")
        # Alternatives are tried one by one; those without braces are found by their whole path.
        is_dynamic = pattern != path
        spellings = (f"{pattern}{{slash:/?}}",) if is_dynamic else (path, f"{path}/")
        for spelling in spellings:
            resource = application.router.add_resource(spelling)
            for method, handler in handlers.items():
                resource.add_route(method, front.wrap(path, handler))
            resource.add_route("*", front.wrap(path, fallback))
    application.router.add_route("*", "/{path:.*}", front.wrap(UNMATCHED, _refuse_path))
    return application


def _routes(
    engine: Engine, forwarding: Forwarding, admin: Routes, registration_patterns: bool
) -> Routes:
    entities = EntityRoutes(engine, forwarding)
    batch = BatchRoutes(engine, forwarding)
    types = TypeRoutes(engine)
    subscriptions = SubscriptionRoutes(engine)
    registrations = RegistrationRoutes(engine, registration_patterns)
    return [
        *admin,
        ("/v2", {"GET": _list_entry_points}),
        ("/v2/entities", {"POST": entities.create, "GET": entities.list}),
        ("/v2/entities/{id}", {"GET": entities.get, "DELETE": entities.delete}),
        (
            "/v2/entities/{id}/attrs",
            {
                "GET": entities.get_attributes,
                "PATCH": entities.patch,
                "POST": entities.append,
                "PUT": entities.replace,
            },
        ),
        (
            "/v2/entities/{id}/attrs/{name}",
            {
                "GET": entities.get_attribute,
                "PUT": entities.put_attribute,
                "DELETE": entities.delete_attribute,
            },
        ),
        (
            "/v2/entities/{id}/attrs/{name}/value",
            {"GET": entities.get_value, "PUT": entities.put_value},
        ),
        ("/v2/types", {"GET": types.list}),
        ("/v2/types/{type}", {"GET": types.get}),
        ("/v2/op/update", {"POST": batch.update}),
        ("/v2/op/query", {"POST": batch.query}),
        ("/v2/op/notify", {"POST": batch.notify}),
        ("/v2/subscriptions", {"POST": subscriptions.create, "GET": subscriptions.list}),
        (
            "/v2/subscriptions/{id}",
            {
                "GET": subscriptions.get,
                "DELETE": subscriptions.delete,
                "PATCH": subscriptions.patch,
            },
        ),
        ("/v2/registrations", {"POST": registrations.create, "GET": registrations.list}),
        (
            "/v2/registrations/{id}",
            {
                "GET": registrations.get,
                "DELETE": registrations.delete,
                "PATCH": registrations.patch,
            },
        ),
    ]


async def _list_entry_points(call: Call) -> web.Response:
    resources = ("entities", "types", "subscriptions", "registrations")
    return reply_json({f"{name}_url": f"/v2/{name}" for name in resources})


def _answer_preflight(cors: Cors, methods: str) -> Handler:
    async def answer(call: Call) -> web.Response:
        return cors.reply_to_preflight(call.request, methods)

    return answer


def _refuse_method(allow: str) -> Handler:
    async def refuse(call: Call) -> web.Response:
        raise MethodNotAllowed(allow)

    return refuse


async def _refuse_path(call: Call) -> web.Response:
    parts = call.request.path.removesuffix("/").split("/")[1:]
    if parts == []:
        raise BadRequest("The Orion Context Broker is a REST service, not a 'web page'")
    match parts:
        case ["v2", "entities", ""] | ["v2", "entities", "", "attrs", *_]:
            raise BadRequest("entity id length: 0, min length supported: 1")
        case ["v2", "entities", _, "attrs", ""] | ["v2", "entities", _, "attrs", "", "value"]:
            raise BadRequest("attribute name length: 0, min length supported: 1")
        case ["v2", "types", ""]:
            raise BadRequest("entity type length: 0, min length supported: 1")
        case ["v2", "subscriptions", ""]:
            check_subscription_id("")
    raise BadRequest("Service not found. Check your URL as probably it is wrong.")
