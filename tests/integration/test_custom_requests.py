"""Custom notifications over HTTP: templates of URL, query and headers; every method.

Source: Orion API, sections "Macro substitution", "Headers special treatment", "Remove headers"
and "subscription.notification.httpCustom"; Orion's functional cases 2015, 2280, 2893, 3894,
4031, 4071, 4159, 4779.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.custom import notify, subscribe
from tests.integration.subscriptions import await_state, create, has_ended, has_failed

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver


class TestUrl:
    def test_macros(self, api: Api, receiver: Receiver) -> None:
        url = f"http://127.0.0.1:{receiver.port}/${{type}}/${{id}}/${{A+1}}"
        assert notify(api, receiver, {"A": 1}, url=url).path == "/T/E/2"

    def test_whole_url(self, api: Api, receiver: Receiver) -> None:
        attributes = {"target": f"http://127.0.0.1:{receiver.port}/x"}
        assert notify(api, receiver, attributes, url="${target}").path == "/x"

    def test_query(self, api: Api, receiver: Receiver) -> None:
        qs = {
            "b": "${A}",
            "a": "fix",
            "p${type}": "my-${service}",
            "gone": "${none}",
            "${none}": "x",
            "part": "x${none}y",
            "t": "${D}",
        }
        api.create(
            {
                "id": "other",
                "D": {"value": "2022-01-27T13:16:00Z", "type": "DateTime"},
            }
        )
        subscribe(api, receiver, qs=qs)
        api.create(
            {
                "id": "E",
                "type": "T",
                "A": {"value": 13},
                "D": {"value": "2022-01-27T13:16:00Z", "type": "DateTime"},
            }
        )
        assert receiver.next().path == (
            f"/notify?a=fix&b=13&pT=my-{api.tenant}&part=xy&t=2022-01-27T13:16:00.000Z"
        )

    def test_query_of_the_url_is_kept(self, api: Api, receiver: Receiver) -> None:
        url = f"{receiver.url}?x"
        assert notify(api, receiver, {"A": 1}, url=url, qs={"y": "2"}).path == "/notify?x&y=2"

    def test_values_that_would_break_the_request(self, api: Api, receiver: Receiver) -> None:
        attributes = {"A": "a b\r\nX-Evil: 1ñ"}
        delivery = notify(api, receiver, attributes, qs={"q": "${A}"})
        assert delivery.path == "/notify?q=a%20b%0D%0AX-Evil:%201%C3%B1"
        assert "X-Evil" not in delivery.headers

    @pytest.mark.parametrize(
        "url", ["${none}", "${A}", "http://${A}/x", "mqtt://${id}/x", "http://127.0.0.1:${A}/"]
    )
    def test_malformed_one_is_not_sent(self, api: Api, receiver: Receiver, url: str) -> None:
        subscription_id = subscribe(api, receiver, url=url)
        create(api, A="-bad host")
        shown = await_state(api, subscription_id, has_failed(1))
        assert "malformed URL" in shown["notification"]["lastFailureReason"]
        assert receiver.take_until_fence(api) == []


class TestHeaders:
    def test_names_and_values(self, api: Api, receiver: Receiver) -> None:
        headers = {
            "entity-id": "${id}",
            "X-${A}": "${B}",
            "Authorization": "Basic ABC...ABC%3D%3D",
            "x-single": "${none||'one'}",
            "x-double": '${none||"two"}',
            "x-gone": "${none}",
            "x-part": "is ${none}",
            "${none}": "no name",
            "x-${none}": "is null",
        }
        delivery = notify(api, receiver, {"A": "myHeader", "B": 23}, headers=headers)
        expected = {
            "entity-id": "E",
            "X-myHeader": "23",
            "Authorization": "Basic ABC...ABC==",
            "x-single": "one",
            "x-double": "two",
            "x-part": "is null",
            "x-gone": None,
            "x-null": "is null",
            "null": None,
        }
        assert {name: delivery.headers[name] for name in expected} == expected

    def test_overriding(self, api: Api, receiver: Receiver) -> None:
        headers = {
            "content-TYPE": "${A}",
            "User-Agent": "me",
            "fiware-service": "cucu",
            "Fiware-ServicePath": "/other",
            "X-Auth-Token": "token2",
            "accept": "text/html",
        }
        subscribe(api, receiver, headers=headers)
        api.create({"id": "E", "A": {"value": "text/x-mine"}}, headers={"X-Auth-Token": "token1"})
        delivery = receiver.next()
        shown = {name: delivery.headers.get_all(name) for name in headers}
        assert shown == {
            "content-TYPE": ["text/x-mine"],
            "User-Agent": ["me"],
            "fiware-service": ["cucu"],
            "Fiware-ServicePath": ["/other"],
            "X-Auth-Token": ["token2"],
            "accept": ["text/html"],
        }
        assert delivery.data[0]["id"] == "E"

    def test_removal(self, api: Api, receiver: Receiver) -> None:
        names = ["x-auth-token", "Fiware-Service", "fiware-servicepath", "Accept", "user-agent"]
        subscribe(api, receiver, headers=dict.fromkeys([*names, "x-foobar"], ""))
        api.create({"id": "E", "A": {"value": 1}}, headers={"X-Auth-Token": "token1"})
        delivery = receiver.next()
        assert [name for name in names if name in delivery.headers] == []
        assert "Content-Type" in delivery.headers

    @pytest.mark.parametrize("value", ["mine", ""])
    def test_what_cannot_be_changed(self, api: Api, receiver: Receiver, value: str) -> None:
        headers = {"Fiware-Correlator": value, "Ngsiv2-AttrsFormat": value}
        delivery = notify(api, receiver, {"A": 1}, headers=headers)
        assert delivery.headers["Ngsiv2-AttrsFormat"] == "normalized"
        assert delivery.headers["Fiware-Correlator"].endswith("; cbnotif=1")

    def test_framing_stays_with_the_broker(self, api: Api, receiver: Receiver) -> None:
        headers = {"Content-Length": "3", "Transfer-Encoding": "chunked", "Expect": "100-continue"}
        delivery = notify(api, receiver, {"A": 1}, headers=headers, payload="abcdef")
        assert delivery.body == b"abcdef"
        assert delivery.headers["Content-Length"] == "6"
        assert delivery.headers["Transfer-Encoding"] is None

    @pytest.mark.parametrize(
        ("headers", "value"),
        [
            ({"x-a": "${A}"}, "1\r\nX-Evil: 2"),
            ({"x-a": "${A}"}, "1%0d%0aX-Evil: 2"),
            ({"x-${A}": "1"}, "a: 1\r\nX-Evil"),
            ({"${A}": "1"}, "two words"),
        ],
    )
    def test_those_that_would_break_the_request(
        self, api: Api, receiver: Receiver, headers: dict[str, str], value: str
    ) -> None:
        subscription_id = subscribe(api, receiver, headers=headers)
        create(api, A=value)
        await_state(api, subscription_id, has_failed(1))
        assert receiver.take_until_fence(api) == []

    def test_origin_in_macros(self, api: Api, receiver: Receiver) -> None:
        subscribe(api, receiver, payload="${id} ${service} ${servicePath} ${authToken}")
        entity = {"id": "E", "A": {"value": 1}}
        api.create(entity, service_path="/a/b", headers={"X-Auth-Token": "fgm"})
        assert receiver.next().body.decode() == f"E {api.tenant} /a/b fgm"
        api.create({"id": "F", "service": {"value": "OVERRIDE"}}, service_path="/a/b")
        assert receiver.next().body.decode().startswith("F OVERRIDE /a/b")


class _AnyMethod(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    heard: queue.SimpleQueue[tuple[str, bytes]]

    def _receive(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.heard.put((self.command, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _receive  # noqa: N815
    do_HEAD = do_OPTIONS = do_TRACE = do_CONNECT = _receive  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep standard error for the tests."""


@pytest.fixture
def any_method() -> Iterator[tuple[str, queue.SimpleQueue[tuple[str, bytes]]]]:
    """The URL of a server that takes every method, and what it got."""
    heard: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    handler = type("_Handler", (_AnyMethod,), {"heard": heard})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False  # connections are kept open
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/notify", heard
    server.shutdown()
    thread.join()
    server.server_close()


class TestMethods:
    METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT")

    @pytest.mark.parametrize("method", METHODS)
    def test_each(self, api: Api, receiver: Receiver, any_method: Any, method: str) -> None:
        url, heard = any_method
        subscription_id = subscribe(api, receiver, url=url, method=method, payload="of ${id}")
        create(api, A=1)
        assert heard.get(timeout=30) == (method, b"of E")
        shown = await_state(api, subscription_id, has_ended(1, "lastSuccess"))
        assert shown["notification"]["httpCustom"]["method"] == method

    def test_default(self, api: Api, receiver: Receiver) -> None:
        assert notify(api, receiver, {"A": 1}).method == "POST"
