"""Service paths (Fiware-ServicePath): where entities live and which of them a request sees.

Source: Orion API, section "Service path"; Orion's cases for issues 1092, 2763, 2877, 3071,
3640, 3945 and 4495. Service paths of types and notifications: test_types, test_batch_notify.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

NOT_FOUND = (404, "NotFound", "The requested entity has not been found. Check type and id")
TOO_MANY = (409, "TooManyResults", "More than one matching entity. Please refine your query")


def bad(description: str) -> tuple[int, str, str]:
    """The refusal of a bad request."""
    return 400, "BadRequest", description


NOT_ABSOLUTE = bad("Only /absolute/ Service Paths allowed [a service path must begin with /]")
EMPTY_LEVEL = bad("empty component in ServicePath")
ILLEGAL = bad("a component of ServicePath contains an illegal character")
TOO_LONG = bad("component-name too long in ServicePath")
TOO_MANY_LEVELS = bad("too many components in ServicePath")
TOO_MANY_PATHS = bad("too many service paths - a maximum of ten service paths is allowed")
SEVERAL = bad("more than one service path in context update request")


class TestWhatIsSeen:
    @pytest.fixture(autouse=True)
    def _entities(self, api: Api) -> None:
        for path, name in [
            (None, "Root"),
            ("/Madrid", "Madrid"),
            ("/Madrid/A", "MadridA"),
            ("/Madrid/A/B", "MadridAB"),
            ("/Madrid2", "Madrid2"),
            ("/Barcelona/C", "BarcelonaC"),
        ]:
            api.create({"id": name}, service_path=path)

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            (None, "Root Madrid MadridA MadridAB Madrid2 BarcelonaC"),
            ("", "Root Madrid MadridA MadridAB Madrid2 BarcelonaC"),
            ("/#", "Root Madrid MadridA MadridAB Madrid2 BarcelonaC"),
            ("/", "Root"),
            ("/Madrid", "Madrid"),
            ("/Madrid/", "Madrid"),
            ("/Madrid/#", "Madrid MadridA MadridAB"),
            ("/Madrid/A/#", "MadridA MadridAB"),
            ("/Madrid/A/B", "MadridAB"),
            ("/Barcelona", ""),
            ("/Barcelona/#", "BarcelonaC"),
            ("/madrid", ""),
            ("/Madrid/A,/Barcelona/C", "MadridA BarcelonaC"),
            ("/Barcelona/C, /Madrid/A", "MadridA BarcelonaC"),
            ("/Madrid/#,/Madrid/A", "Madrid MadridA MadridAB"),
            ("/Madrid2,/Barcelona/#,/", "Root Madrid2 BarcelonaC"),
            ("/Nowhere,/Madrid", "Madrid"),
        ],
    )
    def test_queries(self, api: Api, path: str | None, expected: str) -> None:
        how: dict[str, Any] = {"service_path": path, "options": "count"}
        for reply in (
            api.get("/v2/entities", **how),
            api.get("/v2/entities", idPattern=".*", **how),
            api.get("/v2/entities", type="Thing", **how),
            api.post("/v2/op/query", {"entities": [{"idPattern": ".*"}]}, **how),
        ):
            assert [entity["id"] for entity in reply.json] == expected.split()
            assert reply.headers["Fiware-Total-Count"] == str(len(expected.split()))

    def test_one_entity(self, api: Api) -> None:
        for path in (None, "/#", "/Madrid/#", "/Madrid/A", "/,/Madrid/A"):
            assert api.get("/v2/entities/MadridA", service_path=path).status == 200
        for path in ("/", "/Madrid", "/Barcelona/#"):
            assert api.get("/v2/entities/MadridA", service_path=path).refusal == NOT_FOUND

    def test_builtin_attribute(self, api: Api) -> None:
        reply = api.get("/v2/entities", attrs="servicePath", options="keyValues")
        assert {entity["id"]: entity["servicePath"] for entity in reply.json} == {
            "Root": "/",
            "Madrid": "/Madrid",
            "MadridA": "/Madrid/A",
            "MadridAB": "/Madrid/A/B",
            "Madrid2": "/Madrid2",
            "BarcelonaC": "/Barcelona/C",
        }


class TestSameIdentity:
    """One id and type at several service paths are several entities."""

    @pytest.fixture(autouse=True)
    def _entities(self, api: Api) -> None:
        api.create({"id": "E", "A": {"value": 0}})
        api.create({"id": "E", "A": {"value": 1}}, service_path="/a")
        api.create({"id": "E", "A": {"value": 2}}, service_path="/b")

    def values(self, api: Api) -> list[Any]:
        """A of the three."""
        return [entity["A"] for entity in api.get("/v2/entities", options="keyValues").json]

    def test_seen_apart(self, api: Api) -> None:
        assert self.values(api) == [0, 1, 2]
        assert api.get("/v2/entities/E").refusal == TOO_MANY
        assert api.get("/v2/entities/E", service_path="/a,/b").refusal == TOO_MANY
        assert api.get("/v2/entities/E/attrs/A/value", service_path="/b").text == "2"
        reply = api.post("/v2/entities", {"id": "E"}, service_path="/a")
        assert reply.refusal == (422, "Unprocessable", "Already Exists")

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/v2/entities/E/attrs", {"A": {"value": 9}}),
            ("PATCH", "/v2/entities/E/attrs", {"A": {"value": 9}}),
            ("PUT", "/v2/entities/E/attrs", {"A": {"value": 9}}),
            ("PUT", "/v2/entities/E/attrs/A", {"value": 9}),
            ("PUT", "/v2/entities/E/attrs/A/value", 9),
            ("POST", "/v2/entities?options=upsert", {"id": "E", "A": {"value": 9}}),
            (
                "POST",
                "/v2/op/update",
                {"actionType": "update", "entities": [{"id": "E", "A": {"value": 9}}]},
            ),
            (
                "POST",
                "/v2/op/update",
                {"actionType": "append", "entities": [{"id": "E", "A": {"value": 9}}]},
            ),
        ],
    )
    def test_updates(self, api: Api, method: str, path: str, body: Any) -> None:
        media_type = "text/plain" if body == 9 else "application/json"
        how: dict[str, Any] = {"content_type": media_type}
        assert api.request(method, path, body, service_path="/b", **how).status == 204
        assert self.values(api) == [0, 1, 9]
        # Without the header an update is one of the root, whatever a query would see.
        assert api.request(method, path, body, **how).status == 204
        assert self.values(api) == [9, 1, 9]

    def test_removal(self, api: Api) -> None:
        assert api.delete("/v2/entities/E/attrs/A", service_path="/b").status == 204
        assert api.get("/v2/entities/E", service_path="/b").json == {"id": "E", "type": "Thing"}
        assert api.delete("/v2/entities/E", service_path="/a").status == 204
        assert api.get("/v2/entities/E", service_path="/a").refusal == NOT_FOUND
        assert api.delete("/v2/entities/E").status == 204
        assert api.get("/v2/entities", attrs="servicePath", options="values").json == [["/b"]]
        assert api.delete("/v2/entities/E").refusal == NOT_FOUND


class TestUpdatesElsewhere:
    """An update does not reach beyond its service path, the root where there is none."""

    @pytest.mark.parametrize("path", [None, "/", "/a", "/a/b/c", "/a/c"])
    def test_not_found(self, api: Api, path: str | None) -> None:
        api.create({"id": "E", "A": {"value": 1}}, service_path="/a/b")
        changed = {"A": {"value": 2}}
        for reply in (
            api.patch("/v2/entities/E/attrs", changed, service_path=path),
            api.post("/v2/entities/E/attrs", changed, service_path=path),
            api.put("/v2/entities/E/attrs", changed, service_path=path),
            api.put("/v2/entities/E/attrs/A", {"value": 2}, service_path=path),
            api.put("/v2/entities/E/attrs/A/value", [2], service_path=path),
            api.delete("/v2/entities/E/attrs/A", service_path=path),
            api.delete("/v2/entities/E", service_path=path),
        ):
            assert reply.refusal == NOT_FOUND
        batch = {"actionType": "update", "entities": [{"id": "E", **changed}]}
        reply = api.post("/v2/op/update", batch, service_path=path)
        assert reply.refusal == (404, "NotFound", "do not exist: E - [entity itself]")
        assert api.get("/v2/entities", options="keyValues").json == [
            {"id": "E", "type": "Thing", "A": 1}
        ]


LEVEL = "l" * 50


class TestSyntax:
    @pytest.mark.parametrize(
        "path",
        ["/", "//", "/a", "/A_1/2", f"/{LEVEL}", "/" + "/".join([LEVEL] * 10), "/a/", "/0"],
    )
    def test_good(self, api: Api, path: str) -> None:
        api.create({"id": "E"}, service_path=path)
        reply = api.get("/v2/entities", service_path=path, attrs="servicePath", options="values")
        assert reply.json == [[path.rstrip("/") or "/"]]

    @pytest.mark.parametrize(
        ("path", "refusal"),
        [
            ("a", NOT_ABSOLUTE),
            ("#", NOT_ABSOLUTE),
            ("*", NOT_ABSOLUTE),
            ("//a", EMPTY_LEVEL),
            ("///", EMPTY_LEVEL),
            ("/a//b", EMPTY_LEVEL),
            ("/a/b//", EMPTY_LEVEL),
            ("/a.b", ILLEGAL),
            ("/a-b", ILLEGAL),
            ("/a b", ILLEGAL),
            ("/a/b#", ILLEGAL),
            ("/#/a", ILLEGAL),
            ("/a/##", ILLEGAL),
            (f"/{LEVEL}l", TOO_LONG),
            (f"/a/{LEVEL}l/b", TOO_LONG),
            ("/a" * 11, TOO_MANY_LEVELS),
            (",".join(["/a"] * 11), TOO_MANY_PATHS),
            ("/a,b", NOT_ABSOLUTE),
            ("/a,/b.c", ILLEGAL),
        ],
    )
    def test_bad(self, api: Api, path: str, refusal: tuple[int, str, str]) -> None:
        assert api.get("/v2/entities", service_path=path).refusal == refusal
        assert api.get("/version", service_path=path).refusal == refusal
        if "," not in path:
            assert api.post("/v2/entities", {"id": "E"}, service_path=path).refusal == refusal
            assert api.delete("/v2/entities/E", service_path=path).refusal == refusal
        assert api.get("/v2/entities").json == []

    def test_ten_paths(self, api: Api) -> None:
        api.create({"id": "E"}, service_path="/p9")
        paths = ",".join(f"/p{n}" for n in range(10))
        assert len(api.get("/v2/entities", service_path=paths).json) == 1


class TestOneInUpdates:
    @pytest.fixture(autouse=True)
    def _entity(self, api: Api) -> None:
        api.create({"id": "E", "A": {"value": 1}}, service_path="/a")

    def test_several(self, api: Api) -> None:
        paths = "/a,/b"
        several_in_patch = bad("more than one servicepath in patch update request is not allowed")
        several_in_delete = bad("more than one servicepath is not allowed in DELETE operation")
        changed = {"A": {"value": 2}}
        batch = {"actionType": "append", "entities": [{"id": "E", **changed}]}
        for reply, refusal in [
            (api.post("/v2/entities", {"id": "F"}, service_path=paths), SEVERAL),
            (api.post("/v2/op/update", batch, service_path=paths), SEVERAL),
            (api.patch("/v2/entities/E/attrs", changed, service_path=paths), several_in_patch),
            (api.delete("/v2/entities/E", service_path=paths), several_in_delete),
            (api.delete("/v2/entities/E/attrs/A", service_path=paths), several_in_delete),
        ]:
            assert reply.refusal == refusal
        for reply in (
            api.post("/v2/entities/E/attrs", changed, service_path=paths),
            api.put("/v2/entities/E/attrs", changed, service_path=paths),
            api.put("/v2/entities/E/attrs/A", {"value": 2}, service_path=paths),
            api.put("/v2/entities/E/attrs/A/value", [2], service_path=paths),
        ):
            assert reply.refusal == SEVERAL
        assert api.get("/v2/entities", options="keyValues").json == [
            {"id": "E", "type": "Thing", "A": 1}
        ]

    def test_open_downwards(self, api: Api) -> None:
        in_patch = bad("servicepath with wildcard # is not allowed in patch update request")
        in_delete = bad("servicepath with wildcard # is not allowed in DELETE operation")
        for path in ("/#", "/a/#"):
            reply = api.patch("/v2/entities/E/attrs", {"A": {"value": 2}}, service_path=path)
            assert reply.refusal == in_patch
            assert api.delete("/v2/entities/E", service_path=path).refusal == in_delete
            # Orion's check of the other updates; it has no case for them.
            changed = {"A": {"value": 2}}
            batch = {"actionType": "append", "entities": [{"id": "E", **changed}]}
            for reply in (
                api.post("/v2/entities", {"id": "F"}, service_path=path),
                api.post("/v2/entities/E/attrs", changed, service_path=path),
                api.put("/v2/entities/E/attrs", changed, service_path=path),
                api.put("/v2/entities/E/attrs/A", {"value": 2}, service_path=path),
                api.post("/v2/op/update", batch, service_path=path),
            ):
                assert reply.refusal == bad("Bad Character in Service-Path")
        assert api.get("/v2/entities", options="keyValues").json == [
            {"id": "E", "type": "Thing", "A": 1}
        ]
