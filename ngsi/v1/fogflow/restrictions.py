"""Restrictions in FogFlow's spelling: `{"scopes": [{"scopeType", "scopeValue"}]}`.

    circle             {"centerLatitude", "centerLongitude", "radius"}, the radius in metres
    polygon            {"vertices": [{"latitude", "longitude"}]}
    simplegeolocation  {"nw_Corner": "latitude,longitude", "se_Corner": ...}
    nearby             {"latitude", "longitude", "limit"}: the so many nearest
    stringQuery        "name=value;name=value" over domain metadata whose values are strings
    global, local      everywhere

All scopes have to be met. Scopes in Orion's spelling (`type`, `value`) are those of
`ngsi.v1.restrictions`, or FogFlow's by their names.
Source: FogFlow, common/ngsi and discovery; "API Walkthrough" of its manual.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from ngsi.errors import BadRequest, NgsiError
from ngsi.geometry import GeoQuery
from ngsi.query import Kind, Operator, Query, Value, parse_query
from ngsi.v1.fogflow.document import read_objects, read_text
from ngsi.v1.fogflow.elements import IS_DOMAIN
from ngsi.v1.fogflow.places import read_position, read_radius, read_ring
from ngsi.v1.restrictions import NO_RESTRICTION, Restriction, decode_restriction

CIRCLE: Final = "circle"
POLYGON: Final = "polygon"
BOX: Final = "simplegeolocation"
NEARBY: Final = "nearby"
STRING_QUERY: Final = "stringquery"
EVERYWHERE: Final = frozenset({"global", "local"})
_CORNERS: Final = ("nw_Corner", "se_Corner")


@dataclass(slots=True, frozen=True)
class Nearby:
    """The `limit` nearest to a place, in degrees."""

    latitude: float
    longitude: float
    limit: int


@dataclass(slots=True, frozen=True)
class Scopes:
    """What entities must fulfil; `nearby` is not a property of one but of all of them."""

    restriction: Restriction = NO_RESTRICTION
    nearby: Nearby | None = None


def decode_scopes(document: dict[str, Any], attributes: tuple[str, ...] = ()) -> Scopes:
    """The field restriction, and the attributes that entities must have, all of them.

    Raises ParseError and BadRequest.
    """
    reading = _Reading(attributes)
    orion = []
    for scope in read_objects(document, "scopes"):
        kind = read_text(scope, "scopeType") or read_text(scope, "type")
        value = scope.get("scopeValue", scope.get("value"))
        if not reading.add(kind.lower(), value):
            if "scopeType" in scope:
                raise BadRequest(f"unknown scopeType /{kind}/")
            orion.append({"type": kind, "value": _as_text(value)})
    return reading.finish(orion)


class _Reading:
    """What was read of the scopes so far."""

    def __init__(self, attributes: tuple[str, ...]) -> None:
        self._geo: GeoQuery | None = None
        self._nearby: Nearby | None = None
        self._statements = [_quote(name) for name in attributes]
        self._domain_statements: list[str] = []

    def add(self, kind: str, value: Any) -> bool:
        """Read a scope; False for one that FogFlow does not have."""
        if kind in (CIRCLE, POLYGON, BOX):
            self._set_geo(_read_area(kind, value))
        elif kind == NEARBY:
            self._nearby = _read_nearby(value)
        elif kind == STRING_QUERY:
            for name, text in _read_conditions(value):
                self._statements.append(f"{_quote(name)}=={_quote(text)}")
                self._domain_statements.append(f"{_quote(name)}.{IS_DOMAIN}==true")
        else:
            return kind in EVERYWHERE
        return True

    def finish(self, orion: list[dict[str, Any]]) -> Scopes:
        restriction = decode_restriction({"scopes": orion}) if orion else NO_RESTRICTION
        if restriction.geo is not None:
            self._set_geo(restriction.geo)
        if restriction.q is not None:
            self._statements.append(restriction.q.text)
        if restriction.mq is not None:
            self._domain_statements.append(restriction.mq.text)
        restriction = replace(
            restriction,
            geo=self._geo,
            q=parse_query(";".join(self._statements), "q") if self._statements else None,
            mq=parse_query(";".join(self._domain_statements), "mq")
            if self._domain_statements
            else None,
        )
        return Scopes(restriction, self._nearby)

    def _set_geo(self, geo: GeoQuery) -> None:
        if self._geo is not None:
            raise BadRequest("more than one area in the scopes of a restriction")
        self._geo = geo


def _quote(text: str) -> str:
    if "'" in text:
        raise BadRequest(f"a quote is not allowed in /{text}/")
    return f"'{text}'"


def _read_conditions(value: Any) -> list[tuple[str, str]]:
    if type(value) is not str:
        raise BadRequest("value of scope stringQuery is not a string")
    conditions = []
    for text in filter(None, map(str.strip, value.split(";"))):
        name, sign, operand = text.partition("=")
        if not name or not sign:
            raise BadRequest(f"condition /{text}/ of scope stringQuery is not name=value")
        operand = operand.removeprefix("=")
        if len(operand) > 1 and operand[0] == operand[-1] == "'":
            operand = operand[1:-1]
        conditions.append((name.strip(), operand))
    if not conditions:
        raise BadRequest("scope stringQuery is empty")
    return conditions


def _read_nearby(value: Any) -> Nearby:
    longitude, latitude = read_position(value, f"scope {NEARBY}")
    limit = value.get("limit")
    if type(limit) is not int or limit < 1:
        raise BadRequest(f"limit of scope {NEARBY} is not a positive integer")
    return Nearby(latitude, longitude, limit)


def _read_area(kind: str, value: Any) -> GeoQuery:
    where = f"scope {kind}"
    if kind == CIRCLE:
        centre = read_position(value, where, "center")
        return near(centre[1], centre[0], read_radius(value, where))
    if kind == POLYGON:
        ring = ";".join(
            f"{latitude!r},{longitude!r}" for longitude, latitude in read_ring(value, where)
        )
        return _parse("coveredBy", "polygon", ring)
    if type(value) is not dict:
        raise BadRequest(f"{where} is not an object")
    corners = [read_text(value, field) for field in _CORNERS]
    return _parse("coveredBy", "box", ";".join(corners))


def near(latitude: float, longitude: float, radius_m: float) -> GeoQuery:
    """Places within a distance."""
    return _parse(f"near;maxDistance:{radius_m!r}", "point", f"{latitude!r},{longitude!r}")


def _parse(georel: str, geometry: str, coords: str) -> GeoQuery:
    try:
        return GeoQuery.parse(georel, geometry, coords)
    except NgsiError as error:
        raise BadRequest(error.description) from None


def _as_text(value: Any) -> Any:
    """Scalars as Orion's spelling has them."""
    if type(value) is dict:
        return {name: _as_text(member) for name, member in value.items()}
    if type(value) is list:
        return [_as_text(item) for item in value]
    if type(value) is int or type(value) is float:
        return repr(value)
    return value


def render_scopes(geo: GeoQuery | None, q: Query | None, mq: Query | None) -> list[dict[str, Any]]:
    """The scopes that say what filters of a subscription do, as far as FogFlow has them.

    Others are shown by the names of Orion's.
    """
    scopes = []
    if geo is not None:
        scopes.append(_render_area(geo))
    conditions, others = _split(q, mq)
    if conditions:
        text = ";".join(f"{name}={value}" for name, value in conditions.items())
        scopes.append({"scopeType": "stringQuery", "scopeValue": text})
    if q is not None and others:
        scopes.append({"scopeType": "FIWARE::StringQuery", "scopeValue": q.text})
    if mq is not None and not conditions:
        scopes.append({"scopeType": "FIWARE::StringQuery::Metadata", "scopeValue": mq.text})
    return scopes


def _split(q: Query | None, mq: Query | None) -> tuple[dict[str, str], bool]:
    """The conditions of a stringQuery, and whether there are others than those that an
    attribute exists."""
    marked = set()
    if mq is not None:
        marked = {item.attribute for item in mq.statements if item.metadata == IS_DOMAIN}
    conditions = {}
    has_others = False
    for item in () if q is None else q.statements:
        operand = item.operand
        if item.operator is Operator.EXISTS and not item.path:
            continue
        if (
            item.attribute in marked
            and item.operator is Operator.EQUAL
            and isinstance(operand, Value)
            and operand.kind is Kind.STRING
        ):
            conditions[item.attribute] = str(operand.value)
        else:
            has_others = True
    return conditions, has_others


def _render_area(geo: GeoQuery) -> dict[str, Any]:
    relation, _, distance = geo.georel.partition(";maxDistance:")
    positions = [
        {"latitude": float(latitude), "longitude": float(longitude)}
        for latitude, _, longitude in (item.partition(",") for item in geo.coords.split(";"))
    ]
    if relation == "near" and geo.geometry == "point" and distance.replace(".", "", 1).isdigit():
        (centre,) = positions
        value: dict[str, Any] = {
            "centerLatitude": centre["latitude"],
            "centerLongitude": centre["longitude"],
            "radius": float(distance),
        }
        return {"scopeType": CIRCLE, "scopeValue": value}
    if relation == "coveredBy" and geo.geometry == "polygon":
        return {"scopeType": POLYGON, "scopeValue": {"vertices": positions}}
    if relation == "coveredBy" and geo.geometry == "box":
        corners = dict(zip(_CORNERS, geo.coords.split(";"), strict=True))
        return {"scopeType": BOX, "scopeValue": corners}
    return {
        "scopeType": "FIWARE::Location::NGSIv2",
        "scopeValue": {
            "georel": geo.georel.split(";"),
            "geometry": geo.geometry,
            "coords": [[item["latitude"], item["longitude"]] for item in positions],
        },
    }
