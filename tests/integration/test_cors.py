"""Cross-Origin Resource Sharing: pages of allowed origins may use the API.

Source: Orion's user manual, "CORS", and Orion's functional cases 0501. What is not switched on
is tried in test_request_checks.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from broker.launch import BrokerProcess

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Reply

ORIGIN = "http://arrakis.example"
EXPOSED = "Fiware-Correlator, Fiware-Total-Count, Location"
ALLOWED_HEADERS = (
    "Content-Type, Fiware-Service, Fiware-Servicepath, Ngsiv2-AttrsFormat, Fiware-Correlator, "
    "X-Forwarded-For, X-Real-IP, X-Auth-Token, Authorization"
)
METHODS = {
    "/v2": "GET, OPTIONS",
    "/v2/entities": "GET, POST, OPTIONS",
    "/v2/entities/E": "GET, DELETE, OPTIONS",
    "/v2/entities/E/attrs": "GET, PATCH, POST, PUT, OPTIONS",
    "/v2/entities/E/attrs/A": "GET, PUT, DELETE, OPTIONS",
    "/v2/entities/E/attrs/A/value": "GET, PUT, OPTIONS",
    "/v2/types": "GET, OPTIONS",
    "/v2/types/T": "GET, OPTIONS",
    "/v2/subscriptions": "GET, POST, OPTIONS",
    "/v2/subscriptions/S": "GET, DELETE, PATCH, OPTIONS",
    "/v2/registrations": "GET, POST, OPTIONS",
    "/v2/registrations/R": "GET, DELETE, PATCH, OPTIONS",
    "/v2/op/query": "POST, OPTIONS",
    "/v2/op/update": "POST, OPTIONS",
    "/version": "GET, OPTIONS",
}


@pytest.fixture(scope="module")
def open_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker for pages of any origin."""
    directory = tmp_path_factory.mktemp("cors") / "any"
    with BrokerProcess(directory, ["-corsOrigin", "__ALL"]) as process:
        yield process


@pytest.fixture(scope="module")
def strict_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker for pages of one origin."""
    directory = tmp_path_factory.mktemp("cors") / "one"
    with BrokerProcess(directory, ["-corsOrigin", ORIGIN, "-corsMaxAge", "600"]) as process:
        yield process


def cors_headers(reply: Reply) -> dict[str, str]:
    """Those headers of a reply that are for browsers."""
    return {
        name.lower(): value
        for name, value in reply.headers.items()
        if name.lower().startswith("access-control-")
    }


def shared(origin: str) -> dict[str, str]:
    """What every reply to an allowed origin has."""
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": EXPOSED,
    }


def preflight(api: Api, path: str, origin: str | None = ORIGIN) -> Reply:
    return api.request("OPTIONS", path, headers={"Origin": origin} if origin else None)


class TestAnyOrigin:
    @pytest.mark.parametrize(("path", "methods"), METHODS.items())
    def test_preflight(
        self, open_broker: BrokerProcess, connect: Connect, path: str, methods: str
    ) -> None:
        reply = preflight(connect(open_broker, ""), path)
        assert (reply.status, reply.text) == (200, "")
        assert cors_headers(reply) == {
            **shared("*"),
            "access-control-allow-methods": methods,
            "access-control-allow-headers": ALLOWED_HEADERS,
            "access-control-max-age": "86400",
        }

    def test_replies_and_errors(self, open_broker: BrokerProcess, connect: Connect) -> None:
        api = connect(open_broker, "")
        origin = {"Origin": ORIGIN}
        for reply, status in (
            (api.get("/v2/entities", headers=origin), 200),
            (api.post("/v2/entities", {"id": "E"}, headers=origin), 201),
            (api.get("/v2/entities/Nobody", headers=origin), 404),
            (api.get("/v2/entities?limit=x", headers=origin), 400),
            (api.get("/version", headers=origin), 200),
        ):
            assert reply.status == status
            assert cors_headers(reply) == shared("*")
        # Where there is one, pages may read the next cursor.
        reply = api.get("/v2/entities?cursor=start&limit=0", headers=origin)
        assert cors_headers(reply) == {
            **shared("*"),
            "access-control-expose-headers": (
                "Fiware-Correlator, Fiware-Total-Count, Location, Fiware-Next-Cursor"
            ),
        }

    def test_no_origin_no_headers(self, open_broker: BrokerProcess, connect: Connect) -> None:
        api = connect(open_broker, "")
        assert cors_headers(api.get("/v2")) == {}
        reply = preflight(api, "/v2", origin=None)
        assert (reply.status, reply.text, cors_headers(reply)) == (200, "", {})

    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ("/v2", "GET, OPTIONS"),
            ("/v2/entities", "POST, GET, OPTIONS"),
            ("/v2/entities/E/attrs", "GET, PATCH, POST, PUT, OPTIONS"),
            ("/v2/subscriptions", "POST, GET, OPTIONS"),
            ("/v2/subscriptions/S", "GET, DELETE, PATCH, OPTIONS"),
            ("/v2/op/query", "POST, OPTIONS"),
        ],
    )
    def test_other_methods(
        self, open_broker: BrokerProcess, connect: Connect, path: str, allowed: str
    ) -> None:
        reply = connect(open_broker, "").request("BADVERB", path)
        assert reply.refusal == (405, "MethodNotAllowed", "method not allowed")
        assert reply.headers["Allow"] == allowed


class TestOneOrigin:
    def test_its_pages(self, strict_broker: BrokerProcess, connect: Connect) -> None:
        api = connect(strict_broker, "")
        reply = api.get("/v2", headers={"Origin": ORIGIN})
        assert (reply.status, cors_headers(reply)) == (200, shared(ORIGIN))
        reply = preflight(api, "/v2/subscriptions")
        assert cors_headers(reply)["access-control-allow-origin"] == ORIGIN
        assert cors_headers(reply)["access-control-max-age"] == "600"

    @pytest.mark.parametrize(
        "origin", ["http://caladan.example", f"{ORIGIN}.evil.example", "null", None]
    )
    def test_other_pages(
        self, strict_broker: BrokerProcess, connect: Connect, origin: str | None
    ) -> None:
        api = connect(strict_broker, "")
        reply = preflight(api, "/v2", origin)
        assert (reply.status, cors_headers(reply)) == (200, {})
        # It is up to the browser to keep it from the page.
        reply = api.get("/v2", headers={"Origin": origin} if origin else None)
        assert (reply.status, cors_headers(reply)) == (200, {})
