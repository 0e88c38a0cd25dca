"""A client of a broker's NGSIv2 API, for one import: one connection, one request at a time.

Owns the connection and what goes with every request. Must not: know what is asked. Waits for
each answer; at most MAX_BODY_BYTES of it are held.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from email.message import Message
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlencode, urlsplit

import orjson

from importer.report import Stopped

ANSWER_TIMEOUT_S: Final = 120.0  # a page of large entities from a busy database takes its time
# Entities can have 16 MiB, and there are a few hundred on a page; most have some hundred bytes.
MAX_BODY_BYTES: Final = 256 * 1024 * 1024
_EXPECTED_SCHEMES: Final = ("http", "https")


class Reply(NamedTuple):
    """An answer; `body` is None where it is no JSON."""

    status: int
    headers: Message
    body: Any

    @property
    def reason(self) -> str:
        """What an error says of itself."""
        if isinstance(self.body, dict) and "description" in self.body:
            return f"{self.status} {self.body.get('error')}: {self.body['description']}"
        return f"HTTP status {self.status}"


class Client:
    """The broker at `url`. `headers` go with each request."""

    def __init__(self, url: SplitResult, headers: Mapping[str, str]) -> None:
        self.name: Final = url.geturl()
        self._base = url.path.rstrip("/")
        self._headers = dict(headers)
        host, port = url.hostname or "", url.port
        self._connection: http.client.HTTPConnection
        if url.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                host, port, timeout=ANSWER_TIMEOUT_S, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT_S)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(
        self, path: str, service: str, service_path: str, parameters: Mapping[str, str | int] = {}
    ) -> Reply:
        """GET; raises Stopped where there is no answer."""
        if parameters:
            # The commas and stars of lists are plain in Orion's examples, so they are here.
            path += "?" + urlencode(parameters, safe=",*")
        try:
            return self._request("GET", path, service, service_path, None)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # A connection that was idle while pages were worked on may have been closed.
            self._connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise self._stop(error) from None
        try:
            return self._request("GET", path, service, service_path, None)
        except (OSError, http.client.HTTPException) as error:
            raise self._stop(error) from None

    def post(self, path: str, service: str, service_path: str, document: Any) -> Reply:
        """POST of a JSON document; raises Stopped where there is no answer."""
        try:
            return self._request("POST", path, service, service_path, orjson.dumps(document))
        except (OSError, http.client.HTTPException) as error:
            raise self._stop(error) from None

    def _request(
        self, method: str, path: str, service: str, service_path: str, body: bytes | None
    ) -> Reply:
        headers = {**self._headers, "Accept": "application/json"}
        if service:
            headers["Fiware-Service"] = service
        if service_path:
            headers["Fiware-ServicePath"] = service_path
        if body is not None:
            headers["Content-Type"] = "application/json"
        self._connection.request(method, self._base + path, body=body, headers=headers)
        response = self._connection.getresponse()
        content = response.read(MAX_BODY_BYTES + 1)
        if len(content) > MAX_BODY_BYTES:
            raise Stopped(f"{self.name}{path}: an answer of more than {MAX_BODY_BYTES} bytes")
        if len(content) < MAX_BODY_BYTES and response.length:
            raise http.client.IncompleteRead(content, response.length)
        try:
            document = orjson.loads(content)
        except orjson.JSONDecodeError:
            document = None
        return Reply(response.status, response.headers, document)

    def _stop(self, error: Exception) -> Stopped:
        return Stopped(f"{self.name} does not answer: {error or type(error).__name__}")


def parse_broker_url(text: str) -> SplitResult:
    """A broker's URL, maybe with the path of a proxy. Raises ValueError."""
    url = urlsplit(text)
    if url.scheme not in _EXPECTED_SCHEMES or not url.hostname:
        raise ValueError(f"{text!r} is no URL of a broker: http://host:1026 is one")
    if url.query or url.fragment or url.username is not None:
        raise ValueError(f"{text!r}: the URL of a broker has no query, fragment or user")
    _ = url.port  # raises ValueError for what can be none
    return url
