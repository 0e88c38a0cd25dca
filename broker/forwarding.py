"""Forwarding: how requests get to context providers, whatever they are about.

Owns: the headers, the numbering, the limit per client request, the recognition of loops, the
log lines, the counters of registrations (kept by the engine). Must not: decide what to ask or
what an answer means (`broker.forwarded_query`, `broker.forwarded_update`). The engine stays
synchronous: everything that waits is here, around it.

The forwarded requests of one client request go out one after the other, so a provider that
hangs delays that request alone, by the HTTP timeout each time.

Source: Orion's manuals "Context Providers" and "Logs" (correlators and lines of forwarding).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, NamedTuple, Protocol, TypeVar

from broker.alarms import AlarmKind
from broker.engine import Engine
from broker.logs import LogLimits, RequestContext, request_context
from broker.messages import USER_AGENT
from broker.origin import Origin
from broker.provider_client import ProviderAnswer, ProviderClient, ProviderFailure
from ngsi.errors import NgsiError
from ngsi.model import ROOT_SERVICE_PATH
from ngsi.registration import Registration

_log = logging.getLogger("rigel.forwarding")

MAX_HOPS: Final = 10
"""Brokers that may stand one behind the other. Loops are recognised at their first round where
all brokers in them pass correlators on; this ends the others."""

_HOP: Final = "; cbfwd="
_FAILURE: Final = "forwarding failure for sender-thread: "  # Orion's words, for the same tools
Result = TypeVar("Result")


class ClientRequest(Protocol):
    """The client's request behind forwarded ones."""

    @property
    def origin(self) -> Origin:
        """Who asks."""

    def describe(self) -> str:
        """Method and URL, for the log."""

    def is_awaited(self) -> bool:
        """Whether the client still waits for the answer."""


class Forward(NamedTuple):
    """A request to a provider, for the sake of `registrations`."""

    url: str  # the provider's
    registrations: list[Registration]
    operation: str  # the path below the provider's URL
    parameters: dict[str, str]
    body: bytes


class Forwarding:
    """The way to context providers, shared by all requests of a broker."""

    def __init__(
        self,
        engine: Engine,
        client: ProviderClient,
        clock: Callable[[], float],
        limit: int,
        log_limits: LogLimits,
        alarm: AlarmKind,
    ) -> None:
        """`limit` bounds the forwarded requests of one client request; 0 forwards none."""
        self.engine = engine
        self.limit = limit
        self.sent = 0
        self.failed = 0
        self._client = client
        self._clock = clock
        self._log_limits = log_limits
        self._under_way: Counter[str] = Counter()  # correlators sent and not yet answered
        self._alarm = alarm

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    def is_open(self, origin: Origin) -> bool:
        """Whether requests may be forwarded on behalf of this one.

        A request that this broker itself has under way came back: it is answered from here.
        """
        if not self.limit:
            return False
        root, *hops = origin.correlator.split(_HOP)
        if len(hops) > MAX_HOPS:
            _log.warning("not forwarded: more than %d brokers in a row", MAX_HOPS)
            return False
        correlator = root
        for hop in hops:
            correlator += _HOP + hop
            if correlator in self._under_way:
                _log.warning("not forwarded: the request comes from this broker (a loop)")
                return False
        return True

    def begin(self, request: ClientRequest) -> Relay:
        """The forwarded requests of one client request."""
        if _log.isEnabledFor(logging.INFO):
            _log.info("Starting forwarding for %s", request.describe())
        return Relay(self, request.origin)

    async def exchange(
        self,
        forward: Forward,
        headers: dict[str, str],
        tenant: str,
        read: Callable[[ProviderAnswer], Awaitable[Result]],
    ) -> Result | None:
        """One request to a provider, counted for each of its registrations.

        None when there was no answer that `read` could make something of.
        """
        subject = forward.url.partition("://")[2] + forward.operation
        correlator = headers["Fiware-Correlator"]
        context = request_context.get() or RequestContext()
        token = request_context.set(replace(context, correlator=correlator))
        self.sent += 1
        self._under_way[correlator] += 1
        answer: ProviderAnswer | None = None
        try:
            answer = await self._client.post(
                forward.url, forward.operation, forward.parameters, headers, forward.body
            )
            result = await read(answer)
        except (ProviderFailure, NgsiError) as error:
            reason = error.reason if isinstance(error, ProviderFailure) else error.description
            self.failed += 1
            self._log_exchange(forward, answer, reason)
            self._alarm.begin(subject, f"{_FAILURE}{reason}")
            self._count(forward, tenant, is_success=False)
            return None
        else:
            self._log_exchange(forward, answer, "")
            self._alarm.end(subject)
            self._count(forward, tenant, is_success=True)
            return result
        finally:
            self._under_way[correlator] -= 1
            if not self._under_way[correlator]:
                del self._under_way[correlator]
            request_context.reset(token)

    def _count(self, forward: Forward, tenant: str, is_success: bool) -> None:
        now = self._clock()
        for registration in forward.registrations:
            self.engine.registry.count_forwarding(tenant, registration, now, is_success)

    def _log_exchange(self, forward: Forward, answer: ProviderAnswer | None, reason: str) -> None:
        if not _log.isEnabledFor(logging.INFO):
            return
        answered = b"" if answer is None else answer.body
        _log.info(
            "Request forwarded (regId: %s): POST %s, request payload (%d bytes): %s, "
            "response payload (%d bytes): %s, response code: %s",
            forward.registrations[0].id,
            forward.url + forward.operation,
            len(forward.body),
            self._log_limits.excerpt(forward.body),
            len(answered),
            self._log_limits.excerpt(answered),
            reason if answer is None else answer.status,
        )


class Relay:
    """The forwarded requests of one client request: numbered, and no more than the limit."""

    def __init__(self, forwarding: Forwarding, origin: Origin) -> None:
        self._forwarding = forwarding
        self._origin = origin
        self._number = 0

    @property
    def is_spent(self) -> bool:
        """Whether the limit has been reached."""
        return self._number >= self._forwarding.limit

    async def ask(
        self, forward: Forward, read: Callable[[ProviderAnswer], Awaitable[Result]]
    ) -> Result | None:
        """Forward one request.

        Returns what `read` makes of the answer; None when it raised, when no answer came or when
        the limit forbids the request.
        """
        if self.is_spent:
            return None
        self._number += 1
        return await self._forwarding.exchange(forward, self._headers(), self._origin.tenant, read)

    def _headers(self) -> dict[str, str]:
        origin = self._origin
        headers = {"User-Agent": USER_AGENT}
        if origin.service_header:
            headers["Fiware-Service"] = origin.service_header
        headers["Fiware-ServicePath"] = ",".join(origin.scope.paths) or ROOT_SERVICE_PATH
        if origin.auth_token:
            headers["X-Auth-Token"] = origin.auth_token
        headers["Accept"] = "application/json"
        headers["Content-Type"] = "application/json; charset=utf-8"
        headers["Fiware-Correlator"] = f"{origin.correlator}{_HOP}{self._number}"
        return headers
