"""The table of the routes in FogFlow's spelling.

Its clients send all kinds of Content-Type, also without a body, so that it is not looked at.
Calls between FogFlow's brokers (User-Agent: lightweight-iot-broker) are ordinary ones here; should
they once be others, `_operation` is where all of them come in.
"""

from __future__ import annotations

from typing import Final

from broker.engine import Engine
from broker.forwarding import Forwarding
from broker.http.batch import BatchRoutes
from broker.http.routing import ErrorReply, Handler, Resource, Routes
from broker.http.v1.fogflow.contexts import ContextRoutes
from broker.http.v1.fogflow.errors import (
    refuse_notification,
    refuse_resource,
    refuse_subscription,
    refuse_unsubscription,
    refuse_update,
)
from broker.http.v1.fogflow.subscriptions import SubscriptionRoutes, tell_subscription_id

ROOT: Final = "/ngsi10"
_SUBSCRIPTIONS: Final = "/v2/subscriptions"


def make_routes(engine: Engine, forwarding: Forwarding) -> Routes:
    """All routes in FogFlow's spelling over one engine and the context providers behind it."""
    contexts = ContextRoutes(engine, forwarding)
    subscriptions = SubscriptionRoutes(engine, contexts)
    return [
        _operation("updateContext", contexts.update, refuse_update),
        _operation("queryContext", contexts.query, refuse_update),
        _operation("notifyContext", contexts.notify, refuse_notification),
        _operation("subscribeContext", subscriptions.subscribe, refuse_subscription),
        _operation("unsubscribeContext", subscriptions.unsubscribe, refuse_unsubscription),
        _operation(
            "notifyContextAvailability", subscriptions.notify_availability, refuse_notification
        ),
        _resource(f"{ROOT}/subscription", {"GET": subscriptions.list}),
        _resource(
            f"{ROOT}/subscription/{{id}}",
            {"GET": subscriptions.get, "DELETE": subscriptions.delete},
        ),
        Resource("/v2/notify", {"POST": BatchRoutes(engine, forwarding).notify}, any_media=True),
        _resource(
            "/v2/subscription/{id}",
            {"GET": subscriptions.get_v2, "DELETE": subscriptions.delete},
        ),
        _resource(f"{ROOT}/entity", {"GET": contexts.list}),
        _resource(f"{ROOT}/entity/{{id}}", {"GET": contexts.get, "DELETE": contexts.delete}),
        _resource(f"{ROOT}/entity/{{id}}/{{name}}", {"GET": contexts.get_attribute}),
    ]


def _operation(name: str, handler: Handler, refuse: ErrorReply) -> Resource:
    return Resource(f"{ROOT}/{name}", {"POST": handler}, refuse, refuse_resource, any_media=True)


def _resource(path: str, handlers: dict[str, Handler]) -> Resource:
    return Resource(path, handlers, refuse_resource, any_media=True)


def adapt(routes: Routes) -> Routes:
    """All routes of a broker as FogFlow's clients expect them, also where Orion's do otherwise:
    they take any Content-Type, and POST /v2/subscriptions tells the id in a body, too."""
    adapted = []
    for resource in routes:
        handlers = dict(resource.handlers)
        if resource.path == _SUBSCRIPTIONS:
            handlers["POST"] = tell_subscription_id(handlers["POST"])
        adapted.append(resource._replace(handlers=handlers, any_media=True))
    return adapted
