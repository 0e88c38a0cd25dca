"""The Simple Location Format: text "latitude, longitude", latitude first.

Owns the numbers and lists that Orion's texts are made of, for attributes of the deprecated
types geo:point, geo:line, geo:box and geo:polygon and for the coords of geographical queries.
"""

from __future__ import annotations

import re
from typing import Final

from ngsi.errors import BadRequest
from ngsi.geometry import paths
from ngsi.geometry.boxes import Box
from ngsi.geometry.geojson import LocationError
from ngsi.geometry.paths import InvalidGeometryError, Position
from ngsi.geometry.shapes import LineString, Point, Polygon, Shape, box_polygon
from ngsi.json_value import JsonValue

_NUMBER: Final = re.compile(r"[ \t\r\n\f\v]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


def parse_number(text: str) -> float | None:
    """A finite decimal number with blanks around it, None for anything else."""
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if abs(number) != float("inf") else None


def split(text: str, delimiter: str) -> list[str]:
    """The pieces as Orion finds them: leading delimiters count for nothing, later ones do."""
    text = text.lstrip(delimiter)
    return text.split(delimiter) if text else []


def corners(one: Position, other: Position) -> Box | None:
    """The box of two opposite corners in any order, None if it has no extent."""
    west, east = sorted((one[0], other[0]))
    south, north = sorted((one[1], other[1]))
    return None if west == east or south == north else Box(west, south, east, north)


def parse_simple_location(type: str, value: JsonValue) -> Shape:
    """The shape of an attribute of type geo:point, geo:line, geo:box or geo:polygon.

    Raises LocationError with Orion's text for a wrong value, and BadRequest "Wrong GeoJson"
    for coordinates that make no line or polygon.
    """
    if type == "geo:point":
        return Point(*_position(value if isinstance(value, str) else ""))
    positions = _positions(value)
    if type == "geo:box":
        if len(positions) != 2:
            raise LocationError("geo:box uses exactly 2 coordinates")
        box = corners(*positions)
        if box is None:
            raise LocationError("geo:box coordinates are not defining an actual box")
        return box_polygon(box)
    try:
        if type == "geo:line":
            if len(positions) < 2:
                raise LocationError("geo:line uses at least 2 coordinates")
            return LineString((paths.line(positions),))
        if len(positions) < paths.MIN_RING_LENGTH:
            raise LocationError("geo:polygon uses at least 4 coordinates")
        if positions[0] != positions[-1]:
            raise LocationError("geo:polygon first and last coordinates must match")
        return Polygon((paths.polygon([positions]),))
    except InvalidGeometryError:
        raise BadRequest("Wrong GeoJson") from None


def _positions(value: JsonValue) -> list[Position]:
    if not isinstance(value, list):
        raise LocationError("geo:line, geo:box and geo:polygon needs array of strings as value")
    positions = []
    for item in value:
        if not isinstance(item, str):
            raise LocationError(
                "geo:line, geo:box and geo:polygon needs array of strings "
                "but some element is not a string"
            )
        positions.append(_position(item))
    return positions


def _position(text: str) -> Position:
    latitude, _, longitude = text.partition(",")
    lat, lon = parse_number(latitude), parse_number(longitude)
    if lat is None or lon is None or not (-90.0 <= lat <= 90.0 and -180.0 <= lon <= 180.0):
        raise LocationError(f"geo coordinates format error [see Orion user manual]: {text}")
    return lon, lat
