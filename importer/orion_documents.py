"""Documents of Orion's MongoDB collections to the model.

Pure functions of a decoded document. What Orion itself takes for granted is checked here, as
the field at fault has to be named. Source: Orion's manual "Data model" (database_model.md);
where it is silent, what Orion 4.7 stores and how it reads what older ones stored.
"""

from __future__ import annotations

import time
from typing import Any, Final

from broker.object_ids import check_subscription_id
from importer.entities import (
    LAST_SECOND,
    check_service_path_query,
    check_time,
    format_seconds,
    make_attribute,
    make_entity,
)
from importer.fields import NUMBERS, read
from importer.report import Report
from ngsi.errors import BadRequest
from ngsi.json_value import JsonValue
from ngsi.model import ROOT_SERVICE_PATH, Attribute, Entity, Metadata
from ngsi.registration import Registration
from ngsi.service_path import EVERYWHERE
from ngsi.subscription import AttrsFormat, Subscription, SubscriptionStatus
from ngsi.syntax import MAX_NESTING
from ngsi.v2 import registrations, subscriptions

# In keys, where MongoDB had no use for the dot and the dollar.
_DECODED: Final = str.maketrans({"=": ".", ">": "$"})
_LEGACY: Final = "JSON"  # the format of registrations that are asked by NGSIv1
_FORMATS: Final = frozenset(item.value for item in AttrsFormat)
_STATES: Final = frozenset(item.value for item in SubscriptionStatus)


def decode_entity(document: dict[str, Any], report: Report) -> tuple[Entity, bytes]:
    """A document of `entities`, and its record. Notes in the report what is not as it was."""
    identity = read(document, "_id", dict)
    entity_id = read(identity, "id", str)
    type_ = read(identity, "type", str, "")
    path = read(identity, "servicePath", str, ROOT_SERVICE_PATH)
    now = time.time()
    created = float(read(document, "creDate", NUMBERS, now))
    modified = float(read(document, "modDate", NUMBERS, created))
    attributes: dict[str, Attribute] = {}
    for key, stored in read(document, "attrs", dict, {}).items():
        name = key.translate(_DECODED)
        if type(stored) is not dict:
            raise BadRequest(f"attrs.{key} is not an object")
        attributes[name] = make_attribute(
            name,
            read(stored, "type", str, ""),
            _json(stored.get("value", "")),
            _decode_metadata(stored),
            float(read(stored, "creDate", NUMBERS, created)),
            float(read(stored, "modDate", NUMBERS, modified)),
        )
    location = None
    if document.get("location"):
        location = read(read(document, "location", dict), "attrName", str).translate(_DECODED)
    entity, record = make_entity(entity_id, type_, path, attributes, created, modified, location)
    if location is not None and location not in entity.locations:
        found = attributes.get(location)
        report.add_note(
            f"entity {entity_id}: the location was its attribute {location}, whose type "
            f"{found.type if found else 'is missing and'} is none of a location now"
        )
    return entity, record


def _decode_metadata(stored: dict[str, Any]) -> Metadata:
    metadata: Metadata = {}
    for key, fields in read(stored, "md", dict, {}).items():
        if type(fields) is not dict:
            raise BadRequest(f"md.{key} is not an object")
        metadata[key.translate(_DECODED)] = {
            "type": read(fields, "type", str, ""),
            "value": _json(fields.get("value")),
        }
    return metadata


def decode_subscription(document: dict[str, Any]) -> Subscription:
    """A document of `csubs`, with its counters."""
    subscription_id = check_subscription_id(str(document.get("_id")))
    path = check_service_path_query(read(document, "servicePath", str, EVERYWHERE))
    condition: dict[str, Any] = {"attrs": read(document, "conditions", list, [])}
    expression = {
        name: text for name, text in read(document, "expression", dict, {}).items() if text
    }
    if expression:
        condition["expression"] = expression
    if jexl := read(document, "jexlExpression", str, ""):
        condition["jexlExpression"] = jexl
    if alteration_types := read(document, "altTypes", list, []):
        condition["alterationTypes"] = alteration_types
    if "notifyOnMetadataChange" in document:
        condition["notifyOnMetadataChange"] = document["notifyOnMetadataChange"]
    status = read(document, "status", str, "")
    made: dict[str, Any] = {
        "description": read(document, "description", str, ""),
        "subject": {
            "entities": [_decode_selector(item) for item in read(document, "entities", list)],
            "condition": condition,
        },
        "notification": _decode_notification(document),
        # An Orion of long ago stored "failed", which today's shows as active.
        "status": status if status in _STATES else "active",
        "expires": _decode_expiration(document),
        "throttling": max(int(read(document, "throttling", NUMBERS, 0)), 0),
    }
    subscription = subscriptions.decode_subscription(made, subscription_id, path)
    counters = subscription.counters
    counters.times_sent = int(read(document, "count", NUMBERS, 0))
    counters.fails_counter = int(read(document, "failsCounter", NUMBERS, 0))
    counters.last_notification = _decode_time(document, "lastNotification")
    counters.last_failure = _decode_time(document, "lastFailure")
    counters.last_failure_reason = read(document, "lastFailureReason", str, "") or None
    counters.last_success = _decode_time(document, "lastSuccess")
    code = int(read(document, "lastSuccessCode", NUMBERS, -1))
    counters.last_success_code = None if code < 0 else code
    return subscription


def _decode_notification(document: dict[str, Any]) -> dict[str, Any]:
    names = read(document, "attrs", list, [])
    format_ = read(document, "format", str, "")
    made: dict[str, Any] = {
        "exceptAttrs" if names and document.get("blacklist") else "attrs": names,
        "attrsFormat": format_ if format_ in _FORMATS else AttrsFormat.NORMALIZED.value,
        "onlyChangedAttrs": read(document, "onlyChanged", bool, False),
        "metadata": read(document, "metadata", list, []),
    }
    if names and document.get("covered"):
        made["covered"] = True
    limit = int(read(document, "maxFailsLimit", NUMBERS, -1))
    if limit > 0:
        made["maxFailsLimit"] = limit
    kind, receiver = _decode_receiver(document)
    if read(document, "custom", bool, False):
        kind += "Custom"
        receiver |= _decode_custom(document, kind)
    made[kind] = receiver
    return made


def _decode_receiver(document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    receiver: dict[str, Any] = {"url": read(document, "reference", str)}
    if "kafkaTopic" in document:
        return "kafka", receiver  # for the codec to refuse
    if "topic" in document:
        receiver["topic"] = document["topic"]
        receiver["qos"] = int(read(document, "qos", NUMBERS, 0))
        receiver["retain"] = read(document, "retain", bool, False)
        if "user" in document and "passwd" in document:
            receiver |= {"user": document["user"], "passwd": document["passwd"]}
        return "mqtt", receiver
    if timeout_ms := int(read(document, "timeout", NUMBERS, 0)):
        receiver["timeout"] = timeout_ms
    return "http", receiver


def _decode_custom(document: dict[str, Any], kind: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if kind == "httpCustom":
        made = {
            field: document[field] for field in ("method", "qs", "headers") if document.get(field)
        }
    if "payload" in document:
        made["payload"] = document["payload"]
    if "json" in document:
        made["json"] = _json(document["json"])
    if "ngsi" in document:
        patch = read(document, "ngsi", dict)
        made["ngsi"] = {field: patch[field] for field in ("id", "type") if field in patch}
        for key, stored in read(patch, "attrs", dict, {}).items():
            if type(stored) is not dict:
                raise BadRequest(f"ngsi.attrs.{key} is not an object")
            attribute: dict[str, Any] = {"value": _json(stored.get("value"))}
            if type_ := read(stored, "type", str, ""):
                attribute["type"] = type_
            if metadata := _decode_metadata(stored):
                attribute["metadata"] = metadata
            made["ngsi"][key.translate(_DECODED)] = attribute
    return made


def decode_registration(document: dict[str, Any]) -> Registration:
    """A document of `registrations`."""
    registration_id = check_subscription_id(str(document.get("_id")))
    path = check_service_path_query(read(document, "servicePath", str, ROOT_SERVICE_PATH))
    parts = read(document, "contextRegistration", list)
    if len(parts) != 1 or type(parts[0]) is not dict:
        # Orion since 4.1 takes it for an error, too.
        raise BadRequest(f"contextRegistration has {len(parts)} elements, one object is expected")
    (part,) = parts
    names = [
        read(item, "name", str) if type(item) is dict else item
        for item in read(part, "attrs", list, [])
    ]
    made = {
        "description": read(document, "description", str, ""),
        "dataProvided": {
            "entities": [_decode_selector(item) for item in read(part, "entities", list, [])],
            "attrs": names,
        },
        "provider": {
            "http": {"url": read(part, "providingApplication", str)},
            "supportedForwardingMode": read(document, "fwdMode", str, "all"),
            "legacyForwarding": read(document, "format", str, _LEGACY) == _LEGACY,
        },
        "status": read(document, "status", str, "") or "active",
        "expires": _decode_expiration(document),
    }
    return registrations.decode_registration(made, registration_id, path, any_pattern=True)


def _decode_selector(item: Any) -> dict[str, str]:
    if type(item) is not dict:
        raise BadRequest("an element of entities is not an object")
    field = "idPattern" if _is_true(item.get("isPattern")) else "id"
    selector = {field: read(item, "id", str)}
    if type_ := read(item, "type", str, ""):
        selector["typePattern" if _is_true(item.get("isTypePattern")) else "type"] = type_
    return selector


def _is_true(value: Any) -> bool:
    return value is True or value == "true"  # a text before Orion 4.3


def _decode_expiration(document: dict[str, Any]) -> str:
    """The text of the field `expires`; empty for never."""
    seconds = read(document, "expiration", NUMBERS, -1)
    if seconds < 0 or seconds > LAST_SECOND:
        return ""
    return format_seconds(seconds) or ""


def _decode_time(document: dict[str, Any], field: str) -> float | None:
    seconds = float(read(document, field, NUMBERS, -1))
    return check_time(seconds, field) if seconds > 0 else None


def _json(value: Any, depth: int = 0) -> JsonValue:
    """A BSON value as JSON, with the names in it decoded. Raises BadRequest."""
    if depth > MAX_NESTING + 1:
        raise BadRequest(f"a value is nested deeper than {MAX_NESTING} levels")
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is float or kind is int:
        return value
    if isinstance(value, int):
        return int(value)  # of 64 bits
    if kind is dict:
        return {name.translate(_DECODED): _json(item, depth + 1) for name, item in value.items()}
    if kind is list:
        return [_json(item, depth + 1) for item in value]
    raise BadRequest(f"a value of BSON type {kind.__name__} has no form in JSON")
