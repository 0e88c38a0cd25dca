"""The parts of a custom notification that macros fill: URL, headers, patched entity.

Source: Orion API, sections "Headers special treatment", "Remove headers", "NGSI payload
patching" and "Evaluation priority".
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote, unquote

from ngsi.macros import MacroError, Macros, to_text
from ngsi.model import NO_METADATA, Attribute, AttributeUpdate, Entity, EntityEvent
from ngsi.subscription import HttpReceiver
from ngsi.urls import parse_url
from ngsi.v2.entities import EVAL_PRIORITY, LAST_PRIORITY, decode_patch_attribute

_NOT_TO_OVERRIDE: Final = frozenset({"fiware-correlator", "ngsiv2-attrsformat"})
# What may stand in a URL as it is; anything else would break the request line.
_URL_CHARACTERS: Final = "!#$%&'()*+,/:;=?@[]~"
# RFC 9110, sections 5.1 and 5.5; anything else could begin a header or request of its own.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


def fill_url(receiver: HttpReceiver, macros: Macros) -> str:
    """The URL with its query string; raises MacroError when it is none."""
    text = macros.fill_text(receiver.url, "")
    parameters = {}
    for name, value in receiver.qs:
        filled_name, filled_value = macros.fill_text(name, ""), macros.fill_text(value, "")
        if filled_name and filled_value:
            parameters[filled_name] = filled_value
    if parameters:
        joined = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
        text += f"{'&' if '?' in text else '?'}{joined}"
    text = quote(text, safe=_URL_CHARACTERS)
    url = parse_url(text)
    if url is None or url.scheme not in ("http", "https"):
        raise MacroError(f"malformed URL: {text!r}")
    return text


def fill_headers(headers: dict[str, str], receiver: HttpReceiver, macros: Macros) -> dict[str, str]:
    """The standard headers with the custom ones; an empty value removes a header."""
    custom: dict[str, str] = {}
    for name, value in receiver.headers:
        filled_name = macros.fill_header(name)
        filled_value = macros.fill_header(value)
        if filled_name in (None, "", "null") or filled_value is None:
            continue
        custom[str(filled_name).lower()] = unquote(filled_value)
    filled: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        if key in custom and key not in _NOT_TO_OVERRIDE:
            value = custom.pop(key)
        if value:
            filled[name] = value
    filled |= {
        name: value
        for name, value in sorted(custom.items())
        if value and name not in _NOT_TO_OVERRIDE
    }
    for name, value in filled.items():
        if not _HEADER_NAME.fullmatch(name):
            raise MacroError(f"malformed header name: {name!r}")
        if not _HEADER_VALUE.fullmatch(value):
            raise MacroError(f"header {name} holds a line break or a control character")
    return filled


def fill_patch(template: dict[str, Any], event: EntityEvent, macros: Macros) -> EntityEvent:
    """The event with the patched entity; each value is known to the expressions after it."""
    entity = event.entity
    updates = {
        name: decode_patch_attribute(name, member)
        for name, member in template.items()
        if name not in ("id", "type")
    }
    patched: dict[str, Attribute] = {}
    for name, update in sorted(updates.items(), key=lambda item: _priority(item[1])):
        value = macros.fill_value(update.value)
        macros.context[name] = value
        patched[name] = Attribute(
            update.type or "Text", value, update.metadata or NO_METADATA, 0.0, 0.0
        )
    attributes = {**event.attributes, **patched}
    renamed = Entity(
        _fill_identity(template.get("id"), entity.id, macros),
        _fill_identity(template.get("type"), entity.type, macros),
        entity.service_path,
        attributes,
        entity.created,
        entity.modified,
        entity.sequence,
    )
    return event.with_attributes(attributes, renamed)


def _priority(update: AttributeUpdate) -> float:
    metadata = update.metadata or {}
    return metadata[EVAL_PRIORITY]["value"] if EVAL_PRIORITY in metadata else LAST_PRIORITY


def _fill_identity(template: str | None, own: str, macros: Macros) -> str:
    if not template:
        return own
    value = macros.fill_value(template)
    return own if value is None else to_text(value)
