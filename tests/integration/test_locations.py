"""Locations of entities: GeoJSON values, the older formats, one location an entity.

Source: Orion API, sections "Geospatial properties of entities" and "GeoJSON"; Orion's cases
for issues 1038, 1920, 3347, 3533, 4032 and 4114. How locations are found: test_geo_queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

SECOND_LOCATION = (
    413,
    "NoResourcesAvailable",
    "You cannot use more than one geo location attribute when creating an entity. "
    "Use ignoreType metadata if you want to add additional informative locations.",
)
WRONG = (400, "BadRequest", "Wrong GeoJson")
IGNORED = {"ignoreType": {"type": "Boolean", "value": True}}


def point(lon: float, lat: float) -> dict[str, Any]:
    """A GeoJSON point."""
    return {"type": "Point", "coordinates": [lon, lat]}


def located(value: Any, **metadata: Any) -> dict[str, Any]:
    """An attribute of type geo:json, as it is also shown."""
    return {"type": "geo:json", "value": value, "metadata": metadata}


def ids_at(api: Api, lon: float, lat: float) -> list[str]:
    """The ids of the entities within a metre of a place."""
    reply = api.get(
        "/v2/entities", georel="near;maxDistance:1", geometry="point", coords=f"{lat},{lon}"
    )
    assert reply.status == 200, reply
    return [entity["id"] for entity in reply.json]


FIRST, SECOND, THIRD = (10, 20), (30, 40), (50, 60)
RING = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
HOLE = [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]]
FAR_RING = [[10, 10], [12, 10], [12, 12], [10, 10]]


class TestGeoJson:
    @pytest.mark.parametrize(
        "value",
        [
            point(2.186447514, 41.3763726),
            {"type": "Point", "coordinates": [-180, 90]},
            {"type": "Point", "coordinates": [1, 2, 850.5]},
            {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
            {"type": "LineString", "coordinates": [[1, 2], [3, 4], [5, 4]]},
            {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
            {"type": "Polygon", "coordinates": [RING]},
            {"type": "Polygon", "coordinates": [RING, HOLE]},
            {"type": "MultiPolygon", "coordinates": [[RING, HOLE], [FAR_RING]]},
            {"type": "Point", "coordinates": [1, 2], "bbox": [1, 2, 1, 2], "own": "x"},
        ],
    )
    def test_value_comes_back_as_it_is(self, api: Api, value: dict[str, Any]) -> None:
        api.create({"id": "E", "place": {"type": "geo:json", "value": value}})
        assert api.get("/v2/entities/E/attrs/place").json == located(value)
        assert api.get("/v2/entities/E/attrs/place/value").json == value

    @pytest.mark.parametrize("value", ["foo", "", [1, 2], [], 5, True])
    def test_no_object(self, api: Api, value: Any) -> None:
        reply = api.post("/v2/entities", {"id": "E", "place": {"type": "geo:json", "value": value}})
        assert reply.refusal == (400, "BadRequest", "geo:json needs an object or null as value")
        assert api.get("/v2/entities").json == []

    @pytest.mark.parametrize(
        "value",
        [
            {},
            {"type": "Point"},
            {"coordinates": [1, 2]},
            {"type": "Point", "coordinates": []},
            {"type": "Point", "coordinates": [1]},
            {"type": "Point", "coordinates": ["1", "2"]},
            {"type": "Point", "coordinates": [[1, 2]]},
            {"type": "Point", "coordinates": {"lon": 1, "lat": 2}},
            {"type": "Point", "coordinates": [181, 0]},
            {"type": "Point", "coordinates": [0, -91]},
            {"type": "point", "coordinates": [1, 2]},
            {"type": ["Point"], "coordinates": [1, 2]},
            {"type": "Circle", "coordinates": [1, 2]},
            {"type": "LineString", "coordinates": [[1, 2]]},
            {"type": "LineString", "coordinates": [1, 2]},
            {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]},
            {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4], [0, 4]]]},
            {"type": "Polygon", "coordinates": RING},
            # Edges that cross.
            {"type": "Polygon", "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]},
            {"type": "MultiPolygon", "coordinates": [RING]},
            # The manual speaks of a database error, which is none that a client should see.
            {"type": "GeometryCollection", "geometries": [point(1, 2)]},
        ],
    )
    def test_no_geometry(self, api: Api, value: dict[str, Any]) -> None:
        attribute = {"type": "geo:json", "value": value}
        assert api.post("/v2/entities", {"id": "E", "place": attribute}).refusal == WRONG
        assert api.get("/v2/entities").json == []
        api.create({"id": "E", "A": {"value": 1}, "place": located(point(*FIRST))})
        for reply in (
            api.patch("/v2/entities/E/attrs", {"A": {"value": 2}, "place": attribute}),
            api.put("/v2/entities/E/attrs", {"place": attribute}),
            api.put("/v2/entities/E/attrs/place", attribute),
            api.put("/v2/entities/E/attrs/place/value", value),
        ):
            assert reply.refusal == WRONG
        # Nothing of a refused update is done.
        assert api.get("/v2/entities/E", options="keyValues").json == {
            "id": "E",
            "type": "Thing",
            "A": 1,
            "place": point(*FIRST),
        }
        assert ids_at(api, *FIRST) == ["E"]


FEATURE = {"type": "Feature", "geometry": point(*FIRST), "properties": {"label": "here"}}
COLLECTION = {"type": "FeatureCollection", "features": [FEATURE]}


class TestFeatures:
    @pytest.mark.parametrize("value", [FEATURE, COLLECTION], ids=["Feature", "FeatureCollection"])
    def test_shown_as_geometry(self, api: Api, value: dict[str, Any]) -> None:
        api.create({"id": "E", "type": "T", "place": {"type": "geo:json", "value": value}})
        geometry = point(*FIRST)
        whole = {"id": "E", "type": "T", "place": located(geometry)}
        assert api.get("/v2/entities/E").json == whole
        assert api.get("/v2/entities").json == [whole]
        assert api.get("/v2/entities/E/attrs").json == {"place": located(geometry)}
        assert api.get("/v2/entities/E/attrs/place").json == located(geometry)
        assert api.get("/v2/entities/E/attrs/place/value").json == geometry
        assert api.get("/v2/entities/E", options="keyValues").json["place"] == geometry
        assert api.get("/v2/entities/E", options="values").json == [geometry]
        assert api.post("/v2/op/query", {"entities": [{"id": "E"}]}).json == [whole]
        assert ids_at(api, *FIRST) == ["E"]

    @pytest.mark.parametrize("value", [FEATURE, COLLECTION], ids=["Feature", "FeatureCollection"])
    def test_shown_whole_where_the_type_is_ignored(self, api: Api, value: dict[str, Any]) -> None:
        api.create({"id": "E", "place": located(value, **IGNORED)})
        assert api.get("/v2/entities/E/attrs/place").json == located(value, **IGNORED)
        assert api.get("/v2/entities/E", options="keyValues").json["place"] == value
        assert ids_at(api, *FIRST) == []

    @pytest.mark.parametrize(
        ("value", "fault"),
        [
            ({"type": "Feature", "properties": {}}, "geometry in Feature not found"),
            ({"type": "Feature", "geometry": "foo"}, "geometry in Feature is not an object"),
            ({"type": "Feature", "geometry": []}, "geometry in Feature is not an object"),
            ({"type": "FeatureCollection"}, "features field not found in FeatureCollection"),
            (
                {"type": "FeatureCollection", "features": {}},
                "features in FeatureCollection is not an array",
            ),
            (
                {"type": "FeatureCollection", "features": []},
                "features in FeatureCollection has 0 items",
            ),
            (
                {"type": "FeatureCollection", "features": [FEATURE, FEATURE]},
                "features in FeatureCollection has more than 1 item",
            ),
            (
                {"type": "FeatureCollection", "features": [{"type": "Feature"}]},
                "geometry in Feature not found",
            ),
            (
                {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": []}]},
                "geometry in Feature is not an object",
            ),
        ],
    )
    def test_refused(self, api: Api, value: dict[str, Any], fault: str) -> None:
        refusal = (400, "BadRequest", f"error parsing location attribute: {fault}")
        attribute = {"type": "geo:json", "value": value}
        assert api.post("/v2/entities", {"id": "E", "place": attribute}).refusal == refusal
        api.create({"id": "E", "place": located(point(*SECOND))})
        for reply in (
            api.post("/v2/entities/E/attrs", {"place": attribute}),
            api.put("/v2/entities/E/attrs/place", attribute),
            api.put("/v2/entities/E/attrs/place/value", value),
        ):
            assert reply.refusal == refusal
        assert ids_at(api, *SECOND) == ["E"]
        # With ignoreType nobody looks at it.
        api.create({"id": "I", "place": located(value, **IGNORED)})
        assert api.get("/v2/entities/I/attrs/place").json == located(value, **IGNORED)


class TestOneLocation:
    def test_two_at_creation(self, api: Api) -> None:
        two = {"id": "E", "a": located(point(*FIRST)), "b": located(point(*SECOND))}
        assert api.post("/v2/entities", two).refusal == SECOND_LOCATION
        assert api.get("/v2/entities").json == []

    def test_life_of_a_location(self, api: Api) -> None:
        api.create({"id": "E", "a": located(point(*FIRST))})
        second = {"b": located(point(*SECOND))}
        batch = {"actionType": "append", "entities": [{"id": "E", **second}]}
        for reply in (
            api.post("/v2/entities/E/attrs", second),
            api.post("/v2/entities/E/attrs", second, options="append"),
            api.put("/v2/entities/E/attrs", {"a": located(point(*FIRST)), **second}),
            api.post("/v2/op/update", batch),
        ):
            assert reply.refusal == SECOND_LOCATION
        assert api.get("/v2/entities/E/attrs").json == {"a": located(point(*FIRST))}
        # Moved, and found in its new place only.
        api.patch("/v2/entities/E/attrs", {"a": located(point(*SECOND))})
        assert (ids_at(api, *FIRST), ids_at(api, *SECOND)) == ([], ["E"])
        # Removed; then there is room for another.
        api.delete("/v2/entities/E/attrs/a")
        assert ids_at(api, *SECOND) == []
        api.post("/v2/entities/E/attrs", {"b": located(point(*THIRD))})
        assert ids_at(api, *THIRD) == ["E"]
        # No location any more, once the type is another.
        api.patch("/v2/entities/E/attrs", {"b": {"type": "Own", "value": point(*THIRD)}})
        assert ids_at(api, *THIRD) == []
        api.post("/v2/entities/E/attrs", {"c": located(point(*FIRST))})
        assert ids_at(api, *FIRST) == ["E"]
        refused = api.post("/v2/entities/E/attrs", {"b": located(point(*THIRD))})
        assert refused.refusal == SECOND_LOCATION
        assert api.get("/v2/entities/E/attrs/b").json["type"] == "Own"
        # Gone with the entity, too.
        api.delete("/v2/entities/E")
        assert ids_at(api, *FIRST) == []

    def test_replacing_all_attributes_replaces_the_location(self, api: Api) -> None:
        api.create({"id": "E", "a": located(point(*FIRST)), "x": {"value": 1}})
        api.put("/v2/entities/E/attrs", {"b": located(point(*SECOND))})
        assert (ids_at(api, *FIRST), ids_at(api, *SECOND)) == ([], ["E"])
        api.put("/v2/entities/E/attrs", {"x": {"value": 1}})
        assert ids_at(api, *SECOND) == []

    def test_an_update_moves_the_location(self, api: Api) -> None:
        entity = "/v2/entities/E/attrs"
        api.create({"id": "E", "a": located(point(*FIRST)), "b": {"value": 1}})
        feature = {"type": "geo:json", "value": {"type": "Feature"}}
        refused = api.patch(entity, {"a": feature, "b": located(point(*SECOND))})
        assert refused.status == 400
        assert ids_at(api, *FIRST) == ["E"]
        assert api.patch(entity, {"b": located(point(*SECOND))}).status == 204
        assert (ids_at(api, *FIRST), ids_at(api, *SECOND)) == ([], ["E"])
        # What it left is a location no more, also when the other is gone.
        assert api.post(entity, {"a": located(point(*THIRD))}).refusal == SECOND_LOCATION
        assert api.delete(f"{entity}/b").status == 204
        assert (ids_at(api, *FIRST), ids_at(api, *SECOND)) == ([], [])
        assert api.post(entity, {"c": located(point(*THIRD))}).status == 204
        assert ids_at(api, *THIRD) == ["E"]

    def test_words_for_a_wrong_location(self, api: Api) -> None:
        # Orion's words depend on what is there; cases null_in_geo_* and geojson_feature_errors.
        feature = {"type": "geo:json", "value": {"type": "Feature"}}
        fault = "geometry in Feature not found"
        api.create({"id": "E", "type": "T", "old": {"value": None}})

        def append(name: str) -> tuple[int, str, str]:
            return api.post("/v2/entities/E/attrs", {name: feature}).refusal

        def update() -> list[tuple[int, str, str]]:
            return [
                api.patch("/v2/entities/E/attrs", {"old": feature}).refusal,
                api.put("/v2/entities/E/attrs", {"old": feature}).refusal,
                api.put("/v2/entities/E/attrs/old", feature).refusal,
            ]

        def refusal(subject: str) -> tuple[int, str, str]:
            return 400, "BadRequest", f"error parsing location attribute{subject}: {fault}"

        assert append("new") == refusal(" for new attribute")
        assert append("old") == refusal(" for existing attribute")
        assert update() == [refusal("")] * 3
        api.post("/v2/entities/E/attrs", {"old": located(point(*FIRST))})
        assert append("old") == refusal("")
        assert update() == [refusal("")] * 3

    def test_null_is_no_location(self, api: Api) -> None:
        api.create({"id": "E", "a": located(None), "b": located(None)})
        assert api.get("/v2/entities/E/attrs").json == {"a": located(None), "b": located(None)}
        assert api.post("/v2/entities/E/attrs", {"a": located(point(*FIRST))}).status == 204
        refused = api.post("/v2/entities/E/attrs", {"b": located(point(*SECOND))})
        assert refused.refusal == SECOND_LOCATION
        assert ids_at(api, *FIRST) == ["E"]
        api.post("/v2/entities/E/attrs", {"a": located(None)})
        assert ids_at(api, *FIRST) == []
        assert api.post("/v2/entities/E/attrs", {"b": located(point(*SECOND))}).status == 204
        assert ids_at(api, *SECOND) == ["E"]

    def test_ignored_types_are_not_counted(self, api: Api) -> None:
        whole = {
            "id": "E",
            "type": "T",
            "a": located(point(*FIRST)),
            "b": located(point(*SECOND), **IGNORED),
            "c": located(point(*THIRD), **IGNORED),
        }
        api.create(whole)
        assert api.get("/v2/entities/E").json == whole
        assert ids_at(api, *FIRST) == ["E"]
        assert ids_at(api, *SECOND) == []
        # Taking ignoreType away would make a second location.
        how = {"options": "overrideMetadata"}
        update = {"b": located(point(*SECOND))}
        assert api.post("/v2/entities/E/attrs", update, **how).refusal == SECOND_LOCATION
        # Sticky metadata: without the option nothing is taken away.
        sticky = {"b": {"type": "geo:json", "value": point(*SECOND)}}
        assert api.post("/v2/entities/E/attrs", sticky).status == 204
        assert ids_at(api, *SECOND) == []
        # The location is given up, then b can be it.
        assert (
            api.post("/v2/entities/E/attrs", {"a": located(point(*FIRST), **IGNORED)}).status == 204
        )
        assert ids_at(api, *FIRST) == []
        assert api.post("/v2/entities/E/attrs", update, **how).status == 204
        assert ids_at(api, *SECOND) == ["E"]

    @pytest.mark.parametrize("value", [False, "true", 1, None])
    def test_only_true_ignores(self, api: Api, value: Any) -> None:
        api.create({"id": "E", "a": located(point(*FIRST), ignoreType={"value": value})})
        assert ids_at(api, *FIRST) == ["E"]


class TestSimpleLocations:
    """The formats that geo:json came after; Orion still takes them."""

    @pytest.mark.parametrize(
        ("type_name", "value"),
        [
            ("geo:point", "20, 10"),
            ("geo:point", "20,10"),
            ("geo:line", ["20, 10", "21, 11"]),
            ("geo:box", ["19, 9", "21, 11"]),
            ("geo:polygon", ["19, 9", "19, 11", "21, 11", "21, 9", "19, 9"]),
        ],
    )
    def test_kept_and_found(self, api: Api, type_name: str, value: Any) -> None:
        attribute = {"type": type_name, "value": value, "metadata": {}}
        api.create({"id": "E", "place": attribute})
        assert api.get("/v2/entities/E/attrs/place").json == attribute
        reply = api.get(
            "/v2/entities", georel="intersects", geometry="box", coords="19.5,9.5;20.5,10.5"
        )
        assert [entity["id"] for entity in reply.json] == ["E"]
        second = {"other": {"type": "geo:point", "value": "1,1"}}
        assert api.post("/v2/entities/E/attrs", second).refusal == SECOND_LOCATION
        other = {"other": located(point(1, 1))}
        assert api.post("/v2/entities/E/attrs", other).refusal == SECOND_LOCATION

    @pytest.mark.parametrize(
        ("type_name", "value", "fault"),
        [
            ("geo:point", "foo", "geo coordinates format error [see Orion user manual]: foo"),
            ("geo:point", "1", "geo coordinates format error [see Orion user manual]: 1"),
            ("geo:point", "91,0", "geo coordinates format error [see Orion user manual]: 91,0"),
            (
                "geo:line",
                "1,1",
                "geo:line, geo:box and geo:polygon needs array of strings as value",
            ),
            (
                "geo:line",
                ["1,1", 2],
                "geo:line, geo:box and geo:polygon needs array of strings "
                "but some element is not a string",
            ),
            ("geo:line", ["1,1"], "geo:line uses at least 2 coordinates"),
            ("geo:box", ["1,1"], "geo:box uses exactly 2 coordinates"),
            ("geo:box", ["1,1", "2,2", "3,3"], "geo:box uses exactly 2 coordinates"),
            (
                "geo:box",
                ["1,1", "1,2"],
                "geo:box coordinates are not defining an actual box",
            ),
            ("geo:polygon", ["1,1"], "geo:polygon uses at least 4 coordinates"),
            (
                "geo:polygon",
                ["1,1", "1,2", "2,2", "2,1"],
                "geo:polygon first and last coordinates must match",
            ),
        ],
    )
    def test_refused(self, api: Api, type_name: str, value: Any, fault: str) -> None:
        document = {"id": "E", "place": {"type": type_name, "value": value}}
        refusal = (400, "BadRequest", f"error parsing location attribute: {fault}")
        assert api.post("/v2/entities", document).refusal == refusal
        assert api.get("/v2/entities").json == []

    def test_null(self, api: Api) -> None:
        nothing = {"type": "geo:point", "value": None}
        api.create({"id": "E", "place": nothing, "other": located(point(*FIRST))})
        assert ids_at(api, *FIRST) == ["E"]
