"""What tests of FogFlow's spelling share: context elements and the requests about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Reply


def member(name: str, kind: str, value: Any) -> dict[str, Any]:
    """An attribute, or one of the domain metadata."""
    return {"name": name, "type": kind, "value": value}


def point(latitude: float, longitude: float) -> dict[str, Any]:
    """The domain metadata of a place."""
    return member("location", "point", {"latitude": latitude, "longitude": longitude})


def element(
    entity_id: str,
    entity_type: str,
    attributes: Sequence[Mapping[str, Any]] = (),
    domain: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """A context element, as the broker shows it, too."""
    document: dict[str, Any] = {
        "entityId": {"id": entity_id, "type": entity_type, "isPattern": False},
        "attributes": list(attributes),
    }
    if domain:
        document["domainMetadata"] = list(domain)
    return document


def update(api: Api, *elements: Mapping[str, Any], action: str = "UPDATE", **how: Any) -> Reply:
    """updateContext; asserts that all of it was done."""
    body = {"contextElements": list(elements), "updateAction": action}
    reply = api.post("/ngsi10/updateContext", body, **how)
    assert reply.status == 200, reply
    assert {item["statusCode"]["code"] for item in reply.json["contextResponses"]} == {200}, reply
    return reply


def query(
    api: Api,
    entities: Sequence[Mapping[str, Any]] = ({"id": ".*", "isPattern": True},),
    *scopes: Mapping[str, Any],
    attributes: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The context elements that queryContext finds."""
    body: dict[str, Any] = {"entities": list(entities)}
    if attributes:
        body["attributes"] = list(attributes)
    if scopes:
        body["restriction"] = {"scopes": list(scopes)}
    reply = api.post("/ngsi10/queryContext", body)
    assert reply.status == 200, reply
    assert reply.json["errorCode"]["code"] == 200, reply
    return [item["contextElement"] for item in reply.json["contextResponses"]]


def scope(kind: str, value: Any) -> dict[str, Any]:
    """A scope of a restriction."""
    return {"scopeType": kind, "scopeValue": value}


def ids(elements: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of context elements, in their order."""
    return [item["entityId"]["id"] for item in elements]
