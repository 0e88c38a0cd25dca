"""Name lookups off the loop, shared by all connections of a sender.

Must not: use the loop's executor, where a slow name server would stand in the way of others.
Costs: a name is looked up once in `NAMES_KEPT_S`, each lookup in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import OrderedDict
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

NAMES_KEPT_S: Final = 10.0
"""How long an answered name lookup is used. Short, as containers change address often."""

NAMES_MAX: Final = 4096
"""Names kept; more distinct receivers than that have connections of their own anyway."""

LOOKUPS_MAX: Final = 32
"""Name lookups under way at once, each a thread with a small stack. A dead name server
holds one thread per name for some seconds, so this is how many dead names are harmless."""


class HostResolver(AbstractResolver):
    """Name lookups shared by all connections of a sender.

    Answers are kept for `NAMES_KEPT_S`; failures are not, so a receiver that comes up is
    reached at the next notification. Lookups of one name under way at once are one lookup.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known: OrderedDict[str, tuple[float, list[_Address]]] = OrderedDict()
        self._lookups: dict[str, _Lookup] = {}
        # Those of `_lookups` that wait for a thread, in the order they came.
        self._waiting: dict[str, _Lookup] = {}
        self._threads = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of `host` in the order of preference (RFC 6724). Raises OSError."""
        addresses = await self._addresses(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=found_family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, address in addresses
            if family in (socket.AF_UNSPEC, found_family)
        ]

    async def close(self) -> None:
        """Leaves lookups under way to themselves; their threads do not hold up the process."""
        for lookup in self._lookups.values():
            lookup.answer.cancel()
        self._lookups.clear()
        self._waiting.clear()

    async def _addresses(self, host: str) -> list[_Address]:
        known = self._known.get(host)
        if known is not None:
            if known[0] > self._loop.time():
                return known[1]
            del self._known[host]
        lookup = self._lookups.get(host)
        if lookup is None:
            lookup = self._lookups[host] = _Lookup(self._loop.create_future())
            if self._threads < LOOKUPS_MAX:
                self._start(host)
            else:
                self._waiting[host] = lookup
        lookup.waiters += 1
        try:
            answer = await asyncio.shield(lookup.answer)
        finally:
            lookup.waiters -= 1
            # Nobody waits any more (timeouts): then there is no use in waiting for a thread.
            if not lookup.waiters and self._waiting.pop(host, None) is not None:
                del self._lookups[host]
        if isinstance(answer, OSError):
            raise answer
        return answer

    def _start(self, host: str) -> None:
        self._threads += 1
        # A daemon thread: an executor would wait for a dead name server when the process ends.
        threading.Thread(
            target=self._look_up, args=(host,), name=f"lookup {host}", daemon=True
        ).start()

    def _look_up(self, host: str) -> None:
        """In a thread."""
        answer: list[_Address] | OSError
        try:
            answer = _look_up(host)
        except OSError as error:
            answer = error
        except ValueError:
            # getaddrinfo raises UnicodeError for labels that IDNA does not allow.
            answer = socket.gaierror(socket.EAI_NONAME, "not a host name")
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._settle, host, answer)

    def _settle(self, host: str, answer: list[_Address] | OSError) -> None:
        self._threads -= 1
        lookup = self._lookups.pop(host, None)
        if lookup is not None and not lookup.answer.done():
            lookup.answer.set_result(answer)
            if not isinstance(answer, OSError):
                self._known[host] = (self._loop.time() + NAMES_KEPT_S, answer)
                if len(self._known) > NAMES_MAX:
                    self._known.popitem(last=False)
        if self._waiting:
            waiting = next(iter(self._waiting))
            del self._waiting[waiting]
            self._start(waiting)


_Address = tuple[socket.AddressFamily, str]


class _Lookup:
    """A name lookup and how many wait for it. Failures are results, not exceptions, so that
    one that nobody waits for is no "exception never retrieved"."""

    __slots__ = ("answer", "waiters")

    def __init__(self, answer: asyncio.Future[list[_Address] | OSError]) -> None:
        self.answer = answer
        self.waiters = 0


def _look_up(host: str) -> list[_Address]:
    found: list[_Address] = []
    for family, _, _, _, address in socket.getaddrinfo(
        host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    ):
        if family in (socket.AF_INET, socket.AF_INET6):
            # Through getnameinfo, as a link-local address is of no use without its scope.
            numeric, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
            found.append((family, numeric))
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    return found
