"""The receivers of notifications in NGSIv2 documents: http, mqtt and their custom forms.

Source: Orion API, sections "subscription.notification.http" to "mqttCustom" and "Custom
Notifications".
"""

from __future__ import annotations

from typing import Any, Final

from ngsi.errors import BadRequest, NotImplementedByBroker, ParseError
from ngsi.subscription import CustomPayload, HttpReceiver, MqttReceiver, PayloadKind
from ngsi.syntax import has_forbidden
from ngsi.urls import parse_url
from ngsi.v2.document import normalize
from ngsi.v2.entities import decode_patch_attribute
from ngsi.v2.fields import read_boolean, read_integer, read_mandatory_string, read_string

MAX_HTTP_TIMEOUT_MS: Final = 1_800_000  # half an hour, as Orion
_KINDS: Final = ("http", "httpCustom", "mqtt", "mqttCustom", "kafka", "kafkaCustom")
HTTP_METHODS: Final = frozenset(
    {"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"}
)
_HIDDEN: Final = "*****"  # shown for a password


def decode_receiver(
    document: dict[str, Any],
) -> tuple[HttpReceiver | MqttReceiver, CustomPayload | None]:
    """The receiver of a `notification`, and the payload's template of a custom one."""
    given = [kind for kind in _KINDS if kind in document]
    if len(given) > 1:
        raise BadRequest(
            "only one of http, httpCustom, mqtt, mqttCustom, kafka or kafkaCustom is allowed"
        )
    if not given:
        raise BadRequest("http, httpCustom, mqtt, mqttCustom, kafka or kafkaCustom is missing")
    kind = given[0]
    fields = document[kind]
    if kind.startswith("kafka"):
        raise NotImplementedByBroker("kafka notifications are not supported")
    if type(fields) is not dict:
        raise BadRequest(f"{kind} notification is not an object")
    if kind == "http":
        return _decode_http(fields), None
    if kind == "httpCustom":
        return _decode_http_custom(fields)
    receiver = _decode_mqtt(fields)
    return receiver, _decode_payload(fields) if kind == "mqttCustom" else None


def _decode_http(fields: dict[str, Any]) -> HttpReceiver:
    text = read_mandatory_string(fields, "url", "url http notification")
    if has_forbidden(text):
        raise BadRequest("forbidden characters in http field /url/")
    timeout_ms = _read_timeout(fields)
    _check_http_url(text, "Invalid URL parsing notification url")
    return HttpReceiver(text, timeout_ms)


def _check_http_url(text: str, message: str) -> None:
    url = parse_url(text)
    if url is None:
        raise BadRequest(message)
    if url.scheme not in ("http", "https"):
        raise BadRequest(f"{url.scheme} URL cannot be used in http notifications")


def _read_timeout(fields: dict[str, Any]) -> int:
    timeout_ms = read_integer(fields, "timeout") or 0
    if not 0 <= timeout_ms <= MAX_HTTP_TIMEOUT_MS:
        raise BadRequest(f"timeout field must be an integer between 0 and {MAX_HTTP_TIMEOUT_MS}")
    return timeout_ms


def _decode_http_custom(fields: dict[str, Any]) -> tuple[HttpReceiver, CustomPayload]:
    text = read_mandatory_string(fields, "url", "url httpCustom notification")
    if has_forbidden(text):
        raise BadRequest("forbidden characters in custom /url/")
    if "${" not in text:
        _check_http_url(text, "invalid custom /url/")
    method = read_string(fields, "method", "method httpCustom notification")
    if method is not None and method.upper() not in HTTP_METHODS:
        raise BadRequest("unknown method httpCustom notification")
    payload = _decode_payload(fields)
    qs = _read_pairs(fields, "qs", "")
    # Quotes are let through for the literals of expressions.
    headers = _read_pairs(fields, "headers", "'\"")
    timeout_ms = _read_timeout(fields)
    return HttpReceiver(text, timeout_ms, method and method.upper(), qs, headers), payload


def _read_pairs(
    fields: dict[str, Any], field: str, allowed_in_values: str
) -> tuple[tuple[str, str], ...]:
    if field not in fields:
        return ()
    name = f"notification httpCustom {field}"
    document = fields[field]
    if type(document) is not dict:
        raise BadRequest(f"{name} is not an object")
    if not document:
        raise BadRequest(f"{name} is empty")
    for key, value in document.items():
        if type(value) is not str:
            raise BadRequest(f"{name} element is not a string")
        if has_forbidden(value, allowed_in_values) or has_forbidden(key):
            raise BadRequest(f"forbidden characters in custom {name}")
    return tuple(document.items())


def _decode_payload(fields: dict[str, Any]) -> CustomPayload:
    given = [
        kind
        for kind in (PayloadKind.TEXT, PayloadKind.JSON, PayloadKind.NGSI)
        if kind.value in fields
    ]
    if len(given) > 1:
        raise BadRequest(
            "only one of payload, json or ngsi fields accepted at the same time in httpCustom, "
            "mqttCustom or kafkaCustom"
        )
    if not given:
        return CustomPayload()
    kind = given[0]
    template = fields[kind.value]
    if kind is PayloadKind.TEXT:
        if template is None:
            return CustomPayload(PayloadKind.TEXT, None)
        if type(template) is not str:
            raise BadRequest("payload custom notification is not a string")
        if has_forbidden(template):
            raise BadRequest("forbidden characters in custom /payload/")
        # As Orion, an empty text stands for the standard body.
        return CustomPayload(PayloadKind.TEXT, template) if template else CustomPayload()
    if kind is PayloadKind.JSON:
        if type(template) is not dict and type(template) is not list:
            raise BadRequest(
                "json fields in httpCustom, mqttCustom or kafkaCustom must be object or array"
            )
        return CustomPayload(kind, normalize(template, unrestricted=True))
    return CustomPayload(kind, _check_patch(template))


def _check_patch(template: Any) -> dict[str, Any]:
    if type(template) is not dict:
        raise BadRequest("ngsi field in custom notification is not an object")
    patch: dict[str, Any] = {}
    for name, member in template.items():
        if name in ("id", "type"):
            if type(member) is not str:
                raise BadRequest(f"Invalid JSON type for entity {name}")
            patch[name] = member
            continue
        try:
            update = decode_patch_attribute(name, member)
        except ParseError as error:
            raise BadRequest(error.description) from None
        patch[name] = {"type": update.type, "value": update.value}
        if update.metadata:
            patch[name]["metadata"] = update.metadata
    return patch


def _decode_mqtt(fields: dict[str, Any]) -> MqttReceiver:
    text = read_mandatory_string(fields, "url", "url mqtt notification")
    if has_forbidden(text):
        raise BadRequest("forbidden characters in mqtt field /url/")
    url = parse_url(text)
    if url is None:
        raise BadRequest("invalid mqtt /url/")
    if url.scheme != "mqtt":
        raise BadRequest("http or https URL cannot be used in mqtt notifications")
    if url.path != "/":
        raise BadRequest("path cannot be used in mqtt url, use topic instead")
    user, password = _read_credentials(fields)
    qos = read_integer(fields, "qos") or 0
    if not 0 <= qos <= 2:
        raise BadRequest("mqtt qos field must be an integer in the 0 to 2 range")
    retain = read_boolean(fields, "retain", default=False)
    topic = read_mandatory_string(fields, "topic", "topic mqtt notification")
    if not topic:
        raise BadRequest("empty mqtt field /topic/")
    if "+" in topic or "#" in topic:
        raise BadRequest("+ and # are not allowed in mqtt field /topic/")
    if has_forbidden(topic):
        raise BadRequest("forbidden characters in mqtt field /topic/")
    return MqttReceiver(text, topic, qos, retain, user, password)


def _read_credentials(fields: dict[str, Any]) -> tuple[str | None, str | None]:
    user = read_string(fields, "user", "user mqtt notification")
    if user is not None and has_forbidden(user):
        raise BadRequest("forbidden characters in mqtt /user/")
    password = read_string(fields, "passwd", "passwd mqtt notification")
    if (user is None) is not (password is None):
        raise BadRequest("you must use user and passwd fields simultaneously")
    return user, password


def render_receiver(
    receiver: HttpReceiver | MqttReceiver, custom: CustomPayload | None, secret: bool
) -> dict[str, Any]:
    """The receiver as it stands in `notification`; `secret` hides the password."""
    if isinstance(receiver, HttpReceiver):
        kind, fields = "http", _render_http(receiver)
    else:
        kind, fields = "mqtt", _render_mqtt(receiver, secret)
    if custom is not None:
        kind += "Custom"
        if custom.kind is not PayloadKind.STANDARD:
            fields[custom.kind.value] = custom.template
    return {kind: fields}


def _render_http(receiver: HttpReceiver) -> dict[str, Any]:
    fields: dict[str, Any] = {"url": receiver.url}
    if receiver.timeout_ms:
        fields["timeout"] = receiver.timeout_ms
    if receiver.method is not None:
        fields["method"] = receiver.method
    if receiver.qs:
        fields["qs"] = dict(receiver.qs)
    if receiver.headers:
        fields["headers"] = dict(receiver.headers)
    return fields


def _render_mqtt(receiver: MqttReceiver, secret: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "url": receiver.url,
        "topic": receiver.topic,
        "qos": receiver.qos,
        "retain": receiver.retain,
    }
    if receiver.user is not None:
        fields["user"] = receiver.user
        fields["passwd"] = _HIDDEN if secret else receiver.password
    return fields
