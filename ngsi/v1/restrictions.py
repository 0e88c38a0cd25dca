"""Restrictions of NGSIv1 queries and subscriptions: scopes to the model's filters.

Scopes: FIWARE::Location (a circle or polygon, maybe inverted), FIWARE::Location::NGSIv2 (georel,
geometry, coords), FIWARE::StringQuery and FIWARE::StringQuery::Metadata (q and mq), and
FIWARE::Filter::Existence of entity::type. An attributeExpression is taken and not looked at.
Source: Orion 3.4, "Geolocation" and "Filters" of the NGSIv1 manual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from ngsi.errors import BadRequest, NgsiError
from ngsi.geometry import GeoQuery
from ngsi.query import Query, parse_query
from ngsi.syntax import has_forbidden
from ngsi.v1.document import SCOPE_VALUE, TEXT, read_object

LOCATION: Final = ("FIWARE::Location", "FIWARE_Location")
LOCATION_V2: Final = "FIWARE::Location::NGSIv2"
STRING_QUERY: Final = "FIWARE::StringQuery"
METADATA_QUERY: Final = "FIWARE::StringQuery::Metadata"
EXISTENCE: Final = "FIWARE::Filter::Existence"
ABSENCE: Final = "FIWARE::Filter::Not::Existence"
ENTITY_TYPE: Final = "entity::type"

RESTRICTION_FIELDS: Final = {
    "attributeExpression": SCOPE_VALUE,
    "scopes": [{"type": TEXT, "value": SCOPE_VALUE}],
}
_SCOPE_PATH: Final = "/restriction/scopes/scope/value"
_AREA_FIELDS: Final = {
    "circle": {
        "centerLatitude": TEXT,
        "centerLongitude": TEXT,
        "radius": TEXT,
        "inverted": TEXT,
    },
    "polygon": {"inverted": TEXT, "vertices": [{"latitude": TEXT, "longitude": TEXT}]},
}
_BOOLEANS: Final = {"": False, "false": False, "False": False, "true": True, "True": True}


@dataclass(slots=True, frozen=True)
class Restriction:
    """What entities must fulfil. `has_type` is whether they have a type, None for either."""

    geo: GeoQuery | None = None
    q: Query | None = None
    mq: Query | None = None
    has_type: bool | None = None


NO_RESTRICTION: Final = Restriction()


def decode_restriction(document: dict[str, Any] | None) -> Restriction:
    """The field restriction, None where there is none; raises BadRequest."""
    if document is None:
        return NO_RESTRICTION
    if not document.get("scopes") and not document.get("attributeExpression"):
        raise BadRequest("empty restriction")
    if "attributeExpression" in document and not document["attributeExpression"]:
        raise BadRequest("empty attribute expression")
    geo: GeoQuery | None = None
    q: Query | None = None
    mq: Query | None = None
    has_type: bool | None = None
    for scope in document.get("scopes", ()):
        kind, value = scope.get("type", ""), scope.get("value", "")
        if kind in LOCATION:
            geo = _read_area(value)
            continue
        if kind == LOCATION_V2:
            geo = _read_geo_query(value)
            continue
        if not kind:
            raise BadRequest("Empty type in restriction scope")
        if type(value) is not str or not value:
            raise BadRequest("Empty value in restriction scope")
        if kind == STRING_QUERY:
            q = _read_query(value, "q")
        elif kind == METADATA_QUERY:
            mq = _read_query(value, "mq")
        elif has_forbidden(value):
            raise BadRequest("illegal chars in scope")
        elif kind in (EXISTENCE, ABSENCE) and value == ENTITY_TYPE:
            has_type = kind == EXISTENCE
    return Restriction(geo, q, mq, has_type)


def _read_query(text: str, name: Literal["q", "mq"]) -> Query:
    return parse_query(text, name)


def _read_area(value: Any) -> GeoQuery | None:
    if type(value) is not dict:
        return None
    area = read_object(value, _AREA_FIELDS, _SCOPE_PATH)
    if "circle" in area:
        return _read_circle(area["circle"])
    if "polygon" in area:
        return _read_polygon(area["polygon"])
    return None


def _read_circle(circle: dict[str, str]) -> GeoQuery:
    radius = circle.get("radius", "")
    if radius == "0":
        raise BadRequest("Radius zero for a circle area")
    if not radius:
        raise BadRequest("Missing radius for circle area")
    inverted = circle.get("inverted", "")
    if inverted not in _BOOLEANS:
        raise BadRequest(f"bad value for circle/inverted: /{inverted}/")
    if not circle.get("centerLatitude"):
        raise BadRequest("Missing latitude for circle center")
    if not circle.get("centerLongitude"):
        raise BadRequest("Missing longitude for circle center")
    coords = _read_position(circle["centerLatitude"], circle["centerLongitude"])
    if _BOOLEANS[inverted]:
        return _parse(f"near;minDistance:{radius}", "point", coords)
    return _parse(f"near;maxDistance:{radius}", "point", coords)


def _read_polygon(polygon: dict[str, Any]) -> GeoQuery:
    vertices = polygon.get("vertices", ())
    if len(vertices) < 3:
        raise BadRequest("too few vertices for a polygon")
    inverted = polygon.get("inverted", "")
    if inverted not in _BOOLEANS:
        raise BadRequest(f"bad value for polygon/inverted: /{inverted}/")
    positions = []
    for vertex in vertices:
        if not vertex.get("latitude"):
            raise BadRequest("missing latitude value for polygon vertex")
        if not vertex.get("longitude"):
            raise BadRequest("missing longitude value for polygon vertex")
        positions.append(_read_position(vertex["latitude"], vertex["longitude"]))
    if positions[0] != positions[-1]:
        positions.append(positions[0])
    georel = "disjoint" if _BOOLEANS[inverted] else "coveredBy"
    return _parse(georel, "polygon", ";".join(positions))


def _read_position(latitude: str, longitude: str) -> str:
    if not _is_within(latitude, 90):
        raise BadRequest("invalid value for latitude")
    if not _is_within(longitude, 180):
        raise BadRequest("invalid value for longitude")
    return f"{latitude},{longitude}"


def _is_within(text: str, limit: float) -> bool:
    try:
        return -limit <= float(text) <= limit
    except ValueError:
        return False


def _read_geo_query(value: Any) -> GeoQuery:
    if type(value) is not dict:
        raise BadRequest("Empty value in restriction scope")
    georel, coords = value.get("georel", ()), value.get("coords", ())
    geometry = value.get("geometry", "")
    try:
        positions = ";".join(",".join(map(str, position)) for position in coords)
        return _parse(";".join(georel), str(geometry), positions)
    except TypeError:
        raise BadRequest("invalid coordinate") from None


def _parse(georel: str, geometry: str, coords: str) -> GeoQuery:
    try:
        return GeoQuery.parse(georel, geometry, coords)
    except NgsiError as error:
        raise BadRequest(error.description) from None
