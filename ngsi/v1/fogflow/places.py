"""FogFlow's forms of a place, and the GeoJSON that says the same.

    point    {"latitude", "longitude"}
    circle   {"centerLatitude", "centerLongitude", "radius"}, the radius in metres
    polygon  {"vertices": [{"latitude", "longitude"}]}, closed or not

GeoJSON has no circle: it becomes a Feature, whose geometry is the centre, so that index and
queries find it there, and whose properties keep the radius.
Source: FogFlow, common/ngsi; RFC 7946.
"""

from __future__ import annotations

from typing import Any, Final

from ngsi.errors import BadRequest
from ngsi.json_value import JsonValue
from ngsi.v1.fogflow.document import read_number
from ngsi.v2.document import normalize_number

POINT: Final = "point"
CIRCLE: Final = "circle"
POLYGON: Final = "polygon"
PLACES: Final = frozenset({POINT, CIRCLE, POLYGON})
GEOJSON: Final = "geo:json"

_MIN_VERTICES: Final = 3


def read_position(document: Any, where: str, prefix: str = "") -> list[float]:
    """Longitude and latitude of `{"latitude", "longitude"}`; raises BadRequest."""
    if type(document) is not dict:
        raise BadRequest(f"{where} is not an object")
    latitude_field = f"{prefix}Latitude" if prefix else "latitude"
    longitude_field = f"{prefix}Longitude" if prefix else "longitude"
    latitude = read_number(document, latitude_field, where)
    longitude = read_number(document, longitude_field, where)
    if not -90 <= latitude <= 90:
        raise BadRequest(f"{latitude_field} of {where} is not within -90 and 90")
    if not -180 <= longitude <= 180:
        raise BadRequest(f"{longitude_field} of {where} is not within -180 and 180")
    return [_plain(longitude), _plain(latitude)]


def read_radius(document: dict[str, Any], where: str) -> float:
    """The radius of a circle in metres; raises BadRequest."""
    radius = read_number(document, "radius", where)
    if radius < 0:
        raise BadRequest(f"radius of {where} is negative")
    return _plain(radius)


def read_ring(document: Any, where: str) -> list[list[float]]:
    """The vertices of a polygon as positions, the first again at the end; raises BadRequest."""
    vertices = document.get("vertices") if type(document) is dict else None
    if type(vertices) is not list:
        raise BadRequest(f"vertices of {where} is not an array")
    ring = [read_position(vertex, f"a vertex of {where}") for vertex in vertices]
    if ring and ring[0] != ring[-1]:
        ring.append(ring[0])
    if len(ring) <= _MIN_VERTICES:
        raise BadRequest(f"{where} has less than {_MIN_VERTICES} vertices")
    return ring


def to_geojson(kind: str, value: Any, where: str) -> JsonValue:
    """The GeoJSON of a place of one of `PLACES`; raises BadRequest."""
    if kind == POINT:
        return {"type": "Point", "coordinates": read_position(value, where)}
    if kind == POLYGON:
        return {"type": "Polygon", "coordinates": [read_ring(value, where)]}
    centre = read_position(value, where, "center")
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": centre},
        "properties": {"radius": read_radius(value, where)},
    }


def from_geojson(value: JsonValue) -> tuple[str, JsonValue] | None:
    """The type and value in FogFlow's form, None for what it has no form for."""
    try:
        return _from_geojson(value)
    except (LookupError, TypeError, ValueError):
        return None  # stored with ignoreType, so nobody looked at it


def _from_geojson(value: Any) -> tuple[str, JsonValue] | None:
    match value["type"]:
        case "Point":
            return POINT, _to_position(value["coordinates"])
        case "Polygon":
            (ring,) = value["coordinates"]  # one with holes has no form
            return POLYGON, {"vertices": [_to_position(position) for position in ring]}
        case "Feature":
            geometry = value["geometry"]
            position = _to_position(geometry["coordinates"])
            if geometry["type"] == "Point" and value["properties"].keys() == {"radius"}:
                return CIRCLE, {
                    "centerLatitude": position["latitude"],
                    "centerLongitude": position["longitude"],
                    "radius": value["properties"]["radius"],
                }
    return None


def _to_position(coordinates: Any) -> dict[str, JsonValue]:
    longitude, latitude = coordinates[:2]
    return {"latitude": latitude, "longitude": longitude}


def _plain(number: float) -> float:
    return normalize_number(number) if type(number) is float else number
