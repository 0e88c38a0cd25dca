"""The table of the routes of NGSIv1."""

from __future__ import annotations

from typing import Final

from broker.engine import Engine
from broker.forwarding import Forwarding
from broker.http.routing import Resource, Routes
from broker.http.v1.entities import EntityRoutes
from broker.http.v1.errors import (
    refuse,
    refuse_notification,
    refuse_status,
    refuse_subscription,
    refuse_subscription_update,
    refuse_unsubscription,
    refuse_with_code,
)
from broker.http.v1.fogflow import routes as fogflow
from broker.http.v1.notifications import NotificationRoutes
from broker.http.v1.queries import QueryRoutes
from broker.http.v1.registry_routes import make_registry_routes
from broker.http.v1.subscriptions import SubscriptionRoutes
from broker.http.v1.types import TypeRoutes
from broker.http.v1.updates import UpdateRoutes

# Whose clients send any Content-Type, as with its other operations.
_FOGFLOWS_REGISTRY: Final = ("/ngsi9/", "/NGSI9/registration/")


def make_routes(engine: Engine, forwarding: Forwarding) -> Routes:
    """All routes of NGSIv1 over one engine and the context providers behind it.

    What FogFlow has under the roots in lower case is answered in its spelling.
    """
    theirs = fogflow.make_routes(engine, forwarding)
    paths = {resource.path for resource in theirs}
    orions = [
        resource._replace(any_media=resource.path.startswith(_FOGFLOWS_REGISTRY))
        for resource in _make_orions_routes(engine, forwarding)
        if resource.path not in paths
    ]
    return [*theirs, *orions]


def _make_orions_routes(engine: Engine, forwarding: Forwarding) -> Routes:
    updates = UpdateRoutes(engine, forwarding)
    queries = QueryRoutes(engine, forwarding)
    entities = EntityRoutes(updates, queries)
    subscriptions = SubscriptionRoutes(engine)
    notifications = NotificationRoutes(updates)
    types = TypeRoutes(engine)
    routes: Routes = [
        *make_registry_routes(engine),
        Resource("/v1/contextTypes", {"GET": types.list}, refuse),
        Resource("/v1/contextTypes/{type}", {"GET": types.get}, refuse),
    ]
    for root in ("/v1", "/NGSI10", "/ngsi10"):
        routes += _context_routes(root, updates, queries, entities)
        routes += _subscription_routes(root, subscriptions, notifications)
    return routes


def _context_routes(
    root: str, updates: UpdateRoutes, queries: QueryRoutes, entities: EntityRoutes
) -> Routes:
    """The routes of NGSI10 below a root path."""
    entity = {
        "POST": entities.append,
        "GET": entities.get,
        "PUT": entities.update,
        "DELETE": entities.delete,
    }
    attribute = {
        "POST": entities.append_attribute,
        "GET": entities.get_attribute,
        "PUT": entities.update_attribute,
        "DELETE": entities.delete_attribute,
    }
    one, typed = f"{root}/contextEntities/{{id}}", f"{root}/contextEntities/type/{{type}}/id/{{id}}"
    of_type = f"{root}/contextEntityTypes/{{type}}"
    return [
        Resource(f"{root}/updateContext", {"POST": updates.update}, refuse_with_code, refuse),
        Resource(f"{root}/queryContext", {"POST": queries.query}, refuse_with_code, refuse),
        Resource(
            f"{root}/contextEntities",
            {"GET": entities.list, "POST": entities.append},
            refuse_with_code,
            refuse,
        ),
        Resource(f"{typed}/attributes/{{name}}", attribute, refuse_status, refuse),
        Resource(typed, entity, refuse_with_code, refuse),
        Resource(f"{one}/attributes/{{name}}", attribute, refuse_status, refuse),
        Resource(f"{one}/attributes", entity, refuse_with_code, refuse),
        Resource(one, entity, refuse_with_code, refuse),
        Resource(
            f"{of_type}/attributes/{{name}}", {"GET": entities.list_of_type}, refuse_with_code
        ),
        Resource(f"{of_type}/attributes", {"GET": entities.list_of_type}, refuse_with_code, refuse),
        Resource(of_type, {"GET": entities.list_of_type}, refuse_with_code, refuse),
    ]


def _subscription_routes(
    root: str, subscriptions: SubscriptionRoutes, notifications: NotificationRoutes
) -> Routes:
    """The routes of subscriptions and notifications below a root path."""
    one = {"PUT": subscriptions.put, "DELETE": subscriptions.delete}
    return [
        Resource(
            f"{root}/subscribeContext",
            {"POST": subscriptions.subscribe},
            refuse_subscription,
            refuse,
        ),
        Resource(
            f"{root}/updateContextSubscription",
            {"POST": subscriptions.update},
            refuse_subscription_update,
            refuse,
        ),
        Resource(
            f"{root}/unsubscribeContext",
            {"POST": subscriptions.unsubscribe},
            refuse_unsubscription,
            refuse,
        ),
        Resource(
            f"{root}/contextSubscriptions",
            {"POST": subscriptions.create},
            refuse_subscription,
            refuse,
        ),
        Resource(f"{root}/contextSubscriptions/{{id}}", one, refuse_subscription_update, refuse),
        Resource(
            f"{root}/notifyContext", {"POST": notifications.notify}, refuse_notification, refuse
        ),
    ]
