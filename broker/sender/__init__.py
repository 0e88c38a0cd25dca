"""The HTTP client of notifications: one exchange at a time over one kept-alive connection.

Owns: sockets, TLS, name lookups, redirects, what counts as a response, and the words for
what went wrong (`failures`). Must not: queue, order, count or log anything, nor keep a timer
(`broker.notifier` does). Foreign errors never leave this package: an exchange ends in a
`Response` or in a word of `failures`.

The door is `Sender` and `Connection`. Behind it, from the top: exchanges and redirects (`http`),
the way to an endpoint (`line`), a socket (`wire`) and how it is opened (`dialer`, `resolver`); the
bytes themselves are `_native.exchange`. The client of context providers shares the words and the
resolver, that of MQTT the resolver.
"""

from broker.sender.endpoint import Endpoint, locate
from broker.sender.exchange import Connection, OnEnd, Request, Response, Sender
from broker.sender.failures import (
    CERTIFICATE_REFUSED,
    COULD_NOT_CONNECT,
    COULD_NOT_RESOLVE,
    NOTHING_RETURNED,
    PARTIAL_BODY,
    RECEIVE_FAILED,
    REQUEST_MALFORMED,
    TIMEOUT,
    TLS_FAILED,
    URL_MALFORMED,
    WEIRD_REPLY,
    Undelivered,
)
from broker.sender.http import HttpSender
from broker.sender.resolver import HostResolver
from broker.sender.wire import RESPONSE_LINE_MAX_BYTES

__all__ = [
    "CERTIFICATE_REFUSED",
    "COULD_NOT_CONNECT",
    "COULD_NOT_RESOLVE",
    "NOTHING_RETURNED",
    "PARTIAL_BODY",
    "RECEIVE_FAILED",
    "REQUEST_MALFORMED",
    "RESPONSE_LINE_MAX_BYTES",
    "TIMEOUT",
    "TLS_FAILED",
    "URL_MALFORMED",
    "WEIRD_REPLY",
    "Connection",
    "Endpoint",
    "HostResolver",
    "HttpSender",
    "OnEnd",
    "Request",
    "Response",
    "Sender",
    "Undelivered",
    "locate",
]
