"""GeoJSON values of attributes of type geo:json (RFC 7946) to shapes.

What Orion and MongoDB's 2dsphere index refuse is refused here, with Orion's texts. A Point
costs about 1 us; a small polygon about 30 us, with holes more (shapely).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ngsi.errors import BadRequest
from ngsi.geometry import paths
from ngsi.geometry.paths import InvalidGeometryError, Path, Position
from ngsi.geometry.shapes import (
    LineString,
    MultiLineString,
    MultiPoint,
    MultiPolygon,
    Point,
    Polygon,
    Rings,
    Shape,
)
from ngsi.json_value import JsonValue

# The names that MongoDB knows for WGS 84 in the member "crs" of older GeoJSON. Coordinates in
# any other system would be taken for places that they are not.
_WGS_84: Final = frozenset({"urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"})
_WRONG: Final = "Wrong GeoJson"
_NUMBERS: Final = frozenset({int, float})  # not bool


class LocationError(BadRequest):
    """A location that Orion refuses with a text of two parts.

    The description is the second. The caller raises a BadRequest with "error parsing location
    attribute: " (or "... for new attribute: ", "... for existing attribute: ") before it.
    """


def parse_geojson(value: JsonValue) -> Shape:
    """The shape of an attribute value, of its geometry for a Feature or FeatureCollection.

    Raises LocationError for what Orion finds wrong with a Feature, and BadRequest with the
    whole text for a value that is no object or no valid geometry.
    """
    if not isinstance(value, dict):
        raise BadRequest("geo:json needs an object or null as value")
    if value.get("type") in ("Feature", "FeatureCollection"):
        value = _geometry_of(value)
    kind = value.get("type")
    parser = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parser is None:
        raise BadRequest(_WRONG)
    if "crs" in value:
        _check_reference_system(value["crs"])
    try:
        return parser(value.get("coordinates"))
    except InvalidGeometryError:
        raise BadRequest(_WRONG) from None


def rendered_geometry(value: JsonValue) -> JsonValue:
    """What is shown of a value: of a Feature or FeatureCollection only its geometry."""
    if isinstance(value, dict) and value.get("type") in ("Feature", "FeatureCollection"):
        try:
            return _geometry_of(value)
        except LocationError:  # stored with ignoreType, so nobody looked at it
            return value
    return value


def _geometry_of(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The geometry of a Feature or of the only one in a FeatureCollection."""
    feature: JsonValue = value
    if value["type"] == "FeatureCollection":
        if "features" not in value:
            raise LocationError("features field not found in FeatureCollection")
        features = value["features"]
        if not isinstance(features, list):
            raise LocationError("features in FeatureCollection is not an array")
        if not features:
            raise LocationError("features in FeatureCollection has 0 items")
        if len(features) > 1:
            raise LocationError("features in FeatureCollection has more than 1 item")
        feature = features[0]
    if not isinstance(feature, dict) or "geometry" not in feature:
        raise LocationError("geometry in Feature not found")
    geometry = feature["geometry"]
    if not isinstance(geometry, dict):
        raise LocationError("geometry in Feature is not an object")
    return geometry


def _check_reference_system(crs: JsonValue) -> None:
    if isinstance(crs, dict) and isinstance(properties := crs.get("properties"), dict):
        name = properties.get("name")
        if isinstance(name, str) and name in _WGS_84:
            return
    raise BadRequest(_WRONG)


def _position(value: JsonValue) -> Position:
    """Longitude and latitude of a position; altitude and whatever follows is not looked at."""
    if type(value) is not list or len(value) < 2:
        raise InvalidGeometryError("a position is an array of two or three numbers")
    lon, lat = value[0], value[1]
    if type(lon) not in _NUMBERS or type(lat) not in _NUMBERS:
        raise InvalidGeometryError("longitude and latitude are numbers")
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise InvalidGeometryError("longitude is within 180, latitude within 90 degrees")
    return float(lon), float(lat)


def _positions(value: JsonValue) -> list[Position]:
    return [_position(item) for item in _items(value)]


def _items(value: JsonValue) -> list[JsonValue]:
    if type(value) is not list:
        raise InvalidGeometryError("coordinates are arrays")
    return value


def _line(value: JsonValue) -> Path:
    return paths.line(_positions(value))


def _polygon(value: JsonValue) -> Rings:
    return paths.polygon([_positions(ring) for ring in _items(value)])


def _parse_point(value: JsonValue) -> Shape:
    return Point(*_position(value))


def _parse_multi_point(value: JsonValue) -> Shape:
    return MultiPoint(_positions(value))


def _parse_line_string(value: JsonValue) -> Shape:
    return LineString((_line(value),))


def _parse_multi_line_string(value: JsonValue) -> Shape:
    return MultiLineString(tuple(map(_line, _items(value))))


def _parse_polygon(value: JsonValue) -> Shape:
    return Polygon((_polygon(value),))


def _parse_multi_polygon(value: JsonValue) -> Shape:
    return MultiPolygon(tuple(map(_polygon, _items(value))))


_PARSERS: Final[dict[str, Callable[[JsonValue], Shape]]] = {
    "Point": _parse_point,
    "MultiPoint": _parse_multi_point,
    "LineString": _parse_line_string,
    "MultiLineString": _parse_multi_line_string,
    "Polygon": _parse_polygon,
    "MultiPolygon": _parse_multi_polygon,
}
