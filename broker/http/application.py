"""The table of routes, and the aiohttp application that serves all of them.

`Transport` is the way of a request that aiohttp reads: through the front to the route's handler
and back. `broker.http.lane` is the other way, for some of the routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, cast

from aiohttp import HttpVersion11, hdrs, web

from broker.engine import Engine
from broker.forwarding import Forwarding
from broker.http.batch import BatchRoutes
from broker.http.call import Call
from broker.http.cors import Cors, is_shared
from broker.http.entities import EntityRoutes
from broker.http.front import Front
from broker.http.protocol import BrokerHandler
from broker.http.registrations import RegistrationRoutes
from broker.http.replies import Reply, reply_error, reply_json
from broker.http.responses import make_call, make_response, read_body
from broker.http.routing import UNMATCHED, Handler, Resource, Route, Routes
from broker.http.subscriptions import SubscriptionRoutes
from broker.http.types import TypeRoutes
from broker.http.v1 import errors as v1_errors
from broker.http.v1 import routes as v1
from broker.logs import request_context
from broker.object_ids import check_subscription_id
from ngsi.errors import BadRequest, MethodNotAllowed, NgsiError, NotFound

# Orion 3 looks at the letters of NGSIv1's paths only. Tried after all other paths.
_IN_ANY_CASE: Final = ("/v1/", "/NGSI10/", "/NGSI9/")
_V1_PATHS: Final = "/{root:(?i:v1|ngsi10|ngsi9)}/{path:.*}"
_NO_SERVICE: Final = "Service not found. Check your URL as probably it is wrong."
# Orion names PUT alone in the header Allow of /admin/log, though it answers GET too.
_ALLOWED: Final = {"/admin/log": "PUT"}


class Transport:
    """Serves the requests that aiohttp reads."""

    def __init__(self, front: Front, look_around: Callable[[], None]) -> None:
        """`look_around` is called before and after each request."""
        self._front = front
        self.look_around = look_around

    def wrap(self, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
        """The aiohttp handler of a route."""
        front = self._front

        async def serve(request: web.Request) -> web.Response:
            connection = cast(BrokerHandler, request.protocol)
            call = make_call(request, route, connection)
            front.open(call)
            token = request_context.set(front.describe(call))
            try:
                self.look_around()
                reply = await self._answer(call, request)
                front.dress(call, reply)
                front.count(call, reply)
                front.log(call, reply)
                self.look_around()
            finally:
                request_context.reset(token)
            response = make_response(reply)
            if not connection.has_more():
                response.force_close()
            return response

        return serve

    async def _answer(self, call: Call, request: web.Request) -> Reply:
        front = self._front
        try:
            front.judge(call)
            if call.route.reads_body:
                call.body = await read_body(request)
            reply = front.complete(call)
            if front.pace is None or "flowControl" not in call.options:
                answer = await reply
            else:
                answer = await front.pace.keep(call.origin, reply, call.is_awaited)
            front.accept(call)
            return answer
        except NgsiError as error:
            return front.refuse(call, error)
        except web.HTTPException:
            raise
        except Exception:
            return front.fail(call)


def allowed_methods(application: web.Application, path: str) -> str:
    """The methods of a path's resource as in the header Allow, "" where there is none."""
    for resource in application.router.resources():
        if isinstance(resource, web.Resource) and resource._match(path) is not None:
            return ", ".join(route.method for route in resource if route.method != "*")
    return ""


async def _continue(request: web.Request) -> None:
    """Of what a client may expect there is only 100-continue; as Orion, others are not met."""
    expected = request.headers[hdrs.EXPECT].lower()
    if expected == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # That was no response yet.
        request.writer.output_size = 0


def _spell_in_any_case(path: str) -> str:
    """The pattern of a path whose fixed parts may be written in any case."""
    parts = (
        part.replace("}", ":[^/]+}") if part.startswith("{") else f"{{_{number}:(?i:{part})}}"
        for number, part in enumerate(path.removeprefix("/").split("/"))
    )
    return f"/{'/'.join(parts)}{{slash:/?}}"


def make_application(
    routes: Routes, front: Front, look_around: Callable[[], None]
) -> web.Application:
    """The application with these routes; `look_around` is that of `Transport`."""
    application = web.Application(client_max_size=front.max_body_bytes)
    transport = Transport(front, look_around)
    for served in routes:
        path, handlers = served.path, dict(served.handlers)
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
        spellings: tuple[str, ...] = (
            (f"{pattern}{{slash:/?}}",) if is_dynamic else (path, f"{path}/")
        )
        if path.startswith(_IN_ANY_CASE):
            spellings += (_spell_in_any_case(path),)
        for spelling in spellings:
            resource = application.router.add_resource(spelling)
            for method, handler in handlers.items():
                route = Route(method, served, handler)
                resource.add_route(method, transport.wrap(route), expect_handler=_continue)
            refusal = Route("", served, fallback)
            resource.add_route("*", transport.wrap(refusal), expect_handler=_continue)
    for spelling, refuse in ((_V1_PATHS, v1_errors.refuse_unknown), ("/{path:.*}", reply_error)):
        unmatched = Route("", Resource(UNMATCHED, {}, refuse), _refuse_path)
        application.router.add_route(
            "*", spelling, transport.wrap(unmatched), expect_handler=_continue
        )
    return application


def make_routes(
    engine: Engine, forwarding: Forwarding, admin: Routes, registration_patterns: bool
) -> Routes:
    """All routes; `admin` are those for operators."""
    entities = EntityRoutes(engine, forwarding)
    batch = BatchRoutes(engine, forwarding)
    types = TypeRoutes(engine)
    subscriptions = SubscriptionRoutes(engine)
    registrations = RegistrationRoutes(engine, registration_patterns)
    return [
        *admin,
        *v1.make_routes(engine, forwarding),
        Resource("/v2", {"GET": _list_entry_points}),
        Resource("/v2/entities", {"POST": entities.create, "GET": entities.list}),
        Resource("/v2/entities/{id}", {"GET": entities.get, "DELETE": entities.delete}),
        Resource(
            "/v2/entities/{id}/attrs",
            {
                "GET": entities.get_attributes,
                "PATCH": entities.patch,
                "POST": entities.append,
                "PUT": entities.replace,
            },
        ),
        Resource(
            "/v2/entities/{id}/attrs/{name}",
            {
                "GET": entities.get_attribute,
                "PUT": entities.put_attribute,
                "DELETE": entities.delete_attribute,
            },
        ),
        Resource(
            "/v2/entities/{id}/attrs/{name}/value",
            {"GET": entities.get_value, "PUT": entities.put_value},
        ),
        Resource("/v2/types", {"GET": types.list}),
        Resource("/v2/types/{type}", {"GET": types.get}),
        Resource("/v2/op/update", {"POST": batch.update}),
        Resource("/v2/op/query", {"POST": batch.query}),
        Resource("/v2/op/notify", {"POST": batch.notify}),
        Resource("/v2/subscriptions", {"POST": subscriptions.create, "GET": subscriptions.list}),
        Resource(
            "/v2/subscriptions/{id}",
            {
                "GET": subscriptions.get,
                "DELETE": subscriptions.delete,
                "PATCH": subscriptions.patch,
            },
        ),
        Resource("/v2/registrations", {"POST": registrations.create, "GET": registrations.list}),
        Resource(
            "/v2/registrations/{id}",
            {
                "GET": registrations.get,
                "DELETE": registrations.delete,
                "PATCH": registrations.patch,
            },
        ),
    ]


async def _list_entry_points(call: Call) -> Reply:
    resources = ("entities", "types", "subscriptions", "registrations")
    return reply_json({f"{name}_url": f"/v2/{name}" for name in resources})


def _answer_preflight(cors: Cors, methods: str) -> Handler:
    async def answer(call: Call) -> Reply:
        return cors.reply_to_preflight(call, methods)

    return answer


def _refuse_method(allow: str) -> Handler:
    async def refuse(call: Call) -> Reply:
        raise MethodNotAllowed(allow)

    return refuse


async def _refuse_path(call: Call) -> Reply:
    parts = call.path.removesuffix("/").split("/")[1:]
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
        case ["ngsi10" | "ngsi9", *_]:
            raise NotFound(_NO_SERVICE)  # as FogFlow
    raise BadRequest(_NO_SERVICE)
