"""What every request passes through, whichever transport it came by.

A transport opens a `Call`, has it judged, runs the route's handler, makes replies of errors with
`refuse` and `fail`, and dresses, counts and logs what it sends. What a request says to the client
and to the log is decided here and nowhere else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from _native.replies import Reply
from _native.tallies import Tally
from broker.flow_control import UpdatePace
from broker.http.call import Call
from broker.http.correlator import make_correlators
from broker.http.cors import Cors, is_v1
from broker.http.headers import FIWARE_CORRELATOR
from broker.http.replies import reply_error
from broker.http.v1 import errors as v1
from broker.http.watch import FOR_OPERATORS, RequestWatch
from broker.logs import RequestContext, TransactionIds
from ngsi.errors import BadRequest, InternalServerError, NgsiError, ServiceUnavailable

_log = logging.getLogger("rigel.http")

_WHILE_LOADING: Final = frozenset({"/version"})


class Front:
    """The rules around every request of one broker."""

    def __init__(
        self,
        watch: RequestWatch,
        transactions: TransactionIds,
        cors: Cors,
        is_loading: Callable[[], bool],
        max_body_bytes: int,
        multiservice: bool,
        pace: UpdatePace | None,
    ) -> None:
        self.cors = cors
        self._is_loading = is_loading
        self._is_loaded = False
        self.counts_heads = watch.counts_heads
        self.max_body_bytes = max_body_bytes
        self.multiservice = multiservice
        self.pace = pace
        self._watch = watch
        self.transactions = transactions
        self.correlators = make_correlators()

    def open(self, call: Call) -> None:
        """Begin with a request."""
        call.begin(self.correlators, self.transactions)

    def describe(self, call: Call) -> RequestContext:
        """What lines of the log say about a request."""
        head = call.head
        return RequestContext(
            correlator=call.correlator,
            transaction=self.transactions.name(call.transaction),
            client=head.real_ip or head.forwarded_for or call.remote,
            service=head.service,
            service_path=head.service_path,
        )

    def judge(self, call: Call) -> None:
        """Raise NgsiError for a request that its handler is not to see."""
        path = call.route.path
        if path in FOR_OPERATORS:
            return
        if not self._is_loaded:
            self._is_loaded = not self._is_loading()
            if not self._is_loaded and path not in _WHILE_LOADING:
                raise ServiceUnavailable("the broker is loading its data")
        call.check(self.max_body_bytes, self.multiservice)
        if self.counts_heads:
            self._watch.count(path, call.method, call.content_type)

    async def complete(self, call: Call) -> Reply:
        """Run the handler, and wait for all that its reply waits for. Raises NgsiError."""
        answer = call.route.handler(call)
        reply = answer if isinstance(answer, Reply) else await answer
        if reply.commit is not None:
            await reply.commit
            if reply.error is not None:
                raise reply.error
        return reply

    def accept(self, call: Call) -> None:
        """The request was found good and is done."""
        self._watch.accept(call.remote)

    def refuse(self, call: Call, error: NgsiError) -> Reply:
        """The reply to a request that cannot be done."""
        self._watch.refuse(error, call.remote, call.route.path, call.method, call.path)
        route = call.route
        tell = route.refuse
        if call.verdict is None and isinstance(error, BadRequest):
            tell = route.refuse_unjudged
        return tell(error, not call.accepted.json)

    def fail(self, call: Call) -> Reply:
        """The reply when an error was not foreseen; to be called where it is handled."""
        _log.exception("request failed: %s %s", call.method, call.path)
        return reply_error(InternalServerError("internal error, see the broker's log"))

    def dress(self, call: Call, reply: Reply) -> None:
        """Add the header fields that every reply has."""
        reply.headers[FIWARE_CORRELATOR] = call.correlator
        if self.cors.is_on:
            self.cors.add_headers(call, reply)

    def count(self, call: Call, reply: Reply) -> None:
        """Note a request as answered now."""
        head = call.head
        self._watch.finish(
            call.route.path,
            call.method,
            head.service,
            head.service_path,
            len(call.body),
            reply.status,
            len(reply.body),
            time.perf_counter() - call.started,
        )

    def count_all(self, tallies: Iterable[Tally]) -> None:
        """Note requests that were answered."""
        for tally in tallies:
            self._watch.finish_many(tally.route.path, tally)

    def log(self, call: Call, reply: Reply) -> None:
        """Write the line about a request, if such lines are written."""
        if _log.isEnabledFor(logging.INFO):
            self._watch.log(call.method, call.target, call.body, reply.status, reply.body)

    def is_plain(self) -> bool:
        """Whether nothing is to be done with the reply to a good request, but to give it its
        correlator and to count it."""
        return not (self.cors.is_on or self._watch.notes_each() or _log.isEnabledFor(logging.INFO))

    def refuse_malformed(self, error: NgsiError, path: str) -> Reply:
        """The reply to what was no request at all, but counts as a transaction."""
        self.transactions.made += 1
        reply = v1.refuse(error) if is_v1(path) else reply_error(error)
        reply.headers[FIWARE_CORRELATOR] = self.correlators.make()
        return reply
