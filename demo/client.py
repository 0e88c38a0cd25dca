"""The demo's client of a broker: NGSIv2 over HTTP, errors as one exception.

Owns the connections and the header Fiware-Service. Must not: know what is sent. A request costs
some 100 us of this process.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

import aiohttp
import orjson
from yarl import URL

ANSWER_TIMEOUT_S: Final = 60.0  # a broker that takes longer for one request is in trouble
CONNECTIONS_MAX: Final = 16  # more than the replay has requests in flight
REFUSAL_SHOWN_MAX: Final = 500  # characters of an error's body that are shown


class BrokerError(Exception):
    """The broker does not answer, or refuses what it should take; the text says which request.

    `status` is that of the refusal, None without an answer.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class Reply(NamedTuple):
    """A good reply: its headers (in any case), and its body if it is JSON (else None)."""

    headers: Mapping[str, str]
    body: Any


class Client:
    """A client of the broker at `url`, as one tenant; an async context manager."""

    def __init__(self, url: URL, tenant: str) -> None:
        """`tenant` empty: requests without the header Fiware-Service."""
        self.url = url
        self._headers = {"Fiware-Service": tenant} if tenant else {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S),
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()

    async def request(self, method: str, path: str, body: Any = None) -> Reply:
        """Send one request; raises BrokerError unless the status is 2xx.

        `path` begins with a slash and may hold a query; `body` is sent as JSON.
        """
        url = self.url.join(URL(path))
        data = headers = None
        if body is not None:
            data = orjson.dumps(body)
            headers = {"Content-Type": "application/json"}
        try:
            async with self._session.request(method, url, data=data, headers=headers) as response:
                answer = await response.read()
        except TimeoutError:
            raise BrokerError(f"{method} {url}: no answer within {ANSWER_TIMEOUT_S:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise BrokerError(f"{method} {url}: {error}") from error
        if not 200 <= response.status < 300:
            shown = answer[:REFUSAL_SHOWN_MAX].decode(errors="replace")
            raise BrokerError(f"{method} {url}: {response.status} {shown}", response.status)
        if not answer or response.content_type != "application/json":
            return Reply(response.headers, None)
        try:
            return Reply(response.headers, orjson.loads(answer))
        except orjson.JSONDecodeError as error:
            raise BrokerError(f"{method} {url}: the answer is not JSON ({error})") from None


def find_own_address(url: URL) -> str:
    """The address of this machine as a broker at `url` sees it; raises BrokerError.

    Nothing is sent: a datagram socket is only bound by connecting it.
    """
    try:
        family, kind, _, _, target = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_DGRAM)[
            0
        ]
        with socket.socket(family, kind) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise BrokerError(f"{url}: {error}") from error
