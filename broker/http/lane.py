"""The native lane: answers plain requests of the hot routes on aiohttp's own connections.

Bytes that arrive go through a `_native.lane.Line`. A whole, plainly framed request of a hot route
is judged, handled and answered here, by the same `Front` and the same handlers as any other, when
nothing that it waits for but the commit is in its way. All else goes to aiohttp, byte by byte as
it came.

Owns: which requests the lane takes, and what joins the two on a connection. Must not: know an
operation. Rules: the lane acts only between requests and while aiohttp is idle; aiohttp gets
nothing while replies of the lane wait for their commit; a client that does not read is not read.
Memory per connection: MAX_UNANSWERED requests, MAX_UNSENT_BYTES of replies and one body. It leans
on aiohttp 3.14, as `protocol` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp.web_server import Server

from _native import lane as native
from _native.lane import Line
from _native.replies import Composer, Reply
from _native.routes import RouteTable
from broker.engine import Engine
from broker.http.call import Call, read_query
from broker.http.front import Front
from broker.http.protocol import BrokerHandler
from broker.http.replies import REASONS
from broker.http.routing import Routes
from broker.logs import RequestContext, context_source
from ngsi.errors import InternalServerError, NgsiError

# What devices and dashboards ask all day. Their handlers wait for nothing but a commit, unless
# the tenant has context providers.
HOT_ROUTES: Final = (
    ("PATCH", "/v2/entities/{id}/attrs"),
    ("POST", "/v2/entities/{id}/attrs"),
    ("PUT", "/v2/entities/{id}/attrs"),
    ("PUT", "/v2/entities/{id}/attrs/{name}/value"),
    ("PUT", "/v2/entities/{id}/attrs/{name}"),
    ("GET", "/v2/entities/{id}"),
    ("GET", "/v2/entities/{id}/attrs/{name}/value"),
    ("POST", "/v2/entities"),
    ("POST", "/v2/op/update"),
    ("POST", "/v1/updateContext"),
    ("POST", "/ngsi10/updateContext"),
)
# Larger bodies are read by aiohttp, in pieces. The largest that Orion takes by default.
MAX_BODY_BYTES: Final = 1024 * 1024
# Of one connection at once, so that a client that sends without end waits for its answers.
MAX_UNANSWERED: Final = 1024
# Of one connection in one turn of the loop: what a socket takes at once, and then some.
MAX_UNSENT_BYTES: Final = 256 * 1024


class Lane:
    """What the connections of one server share."""

    def __init__(self, front: Front, engine: Engine, routes: Routes) -> None:
        resources = {resource.path: resource for resource in routes}
        table = RouteTable(
            [
                (method, path, method != "GET", resources[path].route(method))
                for method, path in HOT_ROUTES
            ],
            min(front.max_body_bytes, MAX_BODY_BYTES),
            Call,
        )
        self._front = front
        self._engine = engine
        self.native = native.Lane(
            table,
            Composer(REASONS),
            self._answer,
            self._conclude,
            front.count_all,
            MAX_UNANSWERED,
            MAX_UNSENT_BYTES,
        )
        if not front.counts_heads:
            self.native.trust_heads(
                front.correlators,
                front.transactions,
                engine.has_providers,
                read_query if front.pace is None else None,  # it may ask for flow control
                self._fail,
            )
        self.look_around()

    @property
    def served(self) -> int:
        """Requests that were answered."""
        return self.native.tallies.total

    def make_handler(self, manager: Server, **options: Any) -> BrokerHandler:
        """The handler of a new connection."""
        return LaneHandler(self, manager, **options)

    def look_around(self) -> None:
        """See what has changed by a request that aiohttp serves, and let it see what the lane
        did: to be called before and after each."""
        self.native.tallies.hand_over()
        self.native.is_plain = self._front.is_plain()

    def log_context(self) -> RequestContext | None:
        """What lines of the log say about the request that is being done."""
        call = self.native.current
        return None if call is None else self._front.describe(call)

    def _answer(self, call: Call) -> Reply | None:
        """Do what a request asks, if that is sure to wait for nothing but a commit."""
        front = self._front
        service = call.head.service
        tenant = service.lower() if service and front.multiservice else ""
        if self._engine.has_providers(tenant):
            return None
        if call.query and front.pace is not None:
            return None  # it may ask for flow control
        front.open(call)
        try:
            try:
                front.judge(call)
            except NgsiError:
                call.body = b""  # as of a request that is refused before its body is read
                raise
            return cast(Reply, call.route.handler(call))
        except Exception as error:
            return self._fail(call, error)

    def _fail(self, call: Call, error: Exception) -> Reply:
        """The reply when an error was raised; to be called where it is handled."""
        if isinstance(error, NgsiError):
            return self._refuse(call, error)
        return self._front.fail(call)

    def _refuse(self, call: Call, error: NgsiError) -> Reply:
        reply = self._front.refuse(call, error)
        self.native.is_plain = self._front.is_plain()
        return reply

    def _conclude(self, call: Call, reply: Reply, commit_error: BaseException | None) -> Reply:
        """The reply that is due after the commit, where there is more to do than to send it."""
        front = self._front
        error = commit_error or reply.error
        if error is not None:
            if not isinstance(error, NgsiError):
                error = InternalServerError(str(error))
            reply = self._refuse(call, error)
        elif reply.status < 400:
            front.accept(call)
            self.native.is_plain = front.is_plain()
        front.dress(call, reply)
        front.log(call, reply)
        return reply


class LaneHandler(BrokerHandler):
    """One connection with a lane."""

    __slots__ = ("_drained", "_is_closing", "_line", "awaits_answers")

    def __init__(self, lane: Lane, manager: Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._line = Line(lane.native, self, super().data_received)
        self.awaits_answers = False  # to be told when no reply waits for a commit any more
        self._is_closing = False  # then
        self._drained: asyncio.Future[None] | None = None

    @property
    def data_received(self) -> Callable[[bytes], None]:
        """Takes bytes: requests for the lane, or for aiohttp."""
        return self._line.data_received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a connection."""
        super().connection_made(transport)
        peer = self.peername
        # As aiohttp's `remote`.
        remote = "" if peer is None else str(peer[0]) if type(peer) is tuple else str(peer)
        self._line.attach(cast(asyncio.Transport, transport), remote)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone; what was done waits for its commit all the same."""
        super().connection_lost(exc)
        self._line.detach()

    # ---- what the line asks and tells ----------------------------------------------------------

    def is_general_idle(self) -> bool:
        """Whether aiohttp has answered all that it was given."""
        return self._is_idle()

    def hold(self) -> None:
        """Read no more for the time being."""
        self._pause_transport_reading()
        line = self._line
        if not line.unanswered and not line.is_paused:
            # Too much was written in this turn: then in the next.
            self._loop.call_soon(self._release)

    def answered(self) -> None:
        """No request waits for its commit any more."""
        if self._is_closing:
            self._is_closing = False
            self.close()
            self._resume_transport_reading()  # a body may have to be read to its end
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._release()
        self._end_if_done()

    def _release(self) -> None:
        line = self._line
        if not line.is_held or line.is_paused or line.is_closed or line.unanswered:
            return
        if line.release() and not self._reading_paused and not self._buffer_paused:
            self._resume_transport_reading()
        self._end_if_done()

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._line.is_paused = True

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._line.is_paused = False
        self._release()

    # ---- how a connection ends -----------------------------------------------------------------

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more; whether the connection stays open for what it has asked."""
        stays = super().eof_received()
        self.awaits_answers = True
        line = self._line
        return stays or (self.ssl_context is None and (line.unanswered > 0 or line.is_held))

    def _end_if_done(self) -> None:
        """Close a half-closed connection when the lane was the last to answer."""
        line = self._line
        if (
            self.is_half_closed
            and self.transport is not None
            and not (line.unanswered or line.is_held)
            and line.is_idle
        ):
            self.transport.close()

    def close(self) -> None:
        """Take no more requests; those that were taken are answered."""
        line = self._line
        if line.unanswered:
            self._is_closing = self.awaits_answers = True
            line.pause()
            return
        if line.is_in_body and line.is_idle:
            line.give_unfinished()  # aiohttp reads it to its end
        line.is_closed = True
        super().close()

    def force_close(self) -> None:
        """Close at once."""
        self._line.is_closed = True
        super().force_close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 (aiohttp's)
        """Answer what was taken, then close."""
        if self._line.unanswered:
            self._drained = self._loop.create_future()
            self.awaits_answers = True
            await asyncio.wait([self._drained], timeout=timeout)
        self._line.is_closed = True
        await super().shutdown(timeout)

    def _process_keepalive(self) -> None:
        """Close the connection if it was idle for too long."""
        line = self._line
        is_busy = line.unanswered or line.is_held or line.is_in_body
        idle_since = self._loop.time() - (0.0 if is_busy else line.idle_s)
        self._next_keepalive_close_time = max(
            self._next_keepalive_close_time, idle_since + self._keepalive_timeout
        )
        super()._process_keepalive()


def use_in_log(lane: Lane) -> None:
    """Have lines of the log say which request of the lane caused them; to be called where the
    server begins to listen, as its connections take over the context."""
    context_source.set(lane)
