# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Requests answered in turn beside a general server on the same connection.

Owns whose turn it is on a connection, the order of replies, and when no more is taken. Must
not: open, read or write sockets (it is given bytes, and what takes bytes), or decide what an
operation does. What is no plain request for one of its routes goes to the general server, by its
bytes. Memory per connection: that of its `Scanner`, and the requests and replies that wait.

The parts of it: `framing` finds where a request ends, `routes` what it asks for, `scanner` does
both for a connection; `replies` makes the bytes, `tallies` counts them.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject

cimport cython

from _native.replies cimport Composer, Reply
from _native.requests cimport CorrelatorIds, Counter, Request, Verdict, read_clock
from _native.routes cimport RouteTable
from _native.scanner cimport Scanner
from _native.tallies cimport Tallies

from _native import scanner

cdef object _WAIT = scanner.WAIT
cdef object _FOREIGN = scanner.FOREIGN
cdef object _UNFRAMED = scanner.UNFRAMED


cdef class Line


@cython.final
cdef class Lane:
    """What the connections of one server share.

    `answer(request)` does what a request asks and gives its reply, or None for one that the
    general server must do. `conclude(request, reply, commit_error)` gives the reply that is due
    once its commit is done; it is asked only where `is_plain` is False or the reply is not as
    good as it was. `max_unanswered` requests and `max_unsent` bytes of bodies of replies are
    kept per connection. `note` is that of `Tallies`.
    """

    cdef RouteTable _table
    cdef Composer _composer
    cdef object _answer
    cdef object _conclude
    cdef Py_ssize_t _max_unanswered
    cdef Py_ssize_t _max_unsent
    cdef dict _waiting  # connections by the commit that they wait for
    cdef readonly Tallies tallies
    cdef public bint is_plain
    cdef readonly Request current
    cdef object _on_commit
    cdef CorrelatorIds _correlators  # None: heads are not trusted
    cdef Counter _transactions
    cdef object _is_elsewhere
    cdef object _read_query
    cdef object _fail

    def __init__(
        self,
        RouteTable table not None,
        Composer composer not None,
        answer,
        conclude,
        note,
        Py_ssize_t max_unanswered,
        Py_ssize_t max_unsent,
    ):
        self._table = table
        self._composer = composer
        self._answer = answer
        self._conclude = conclude
        self._max_unanswered = max_unanswered
        self._max_unsent = max_unsent
        self._waiting = {}
        self.tallies = Tallies(note)
        self._on_commit = self.committed

    def trust_heads(
        self,
        CorrelatorIds correlators not None,
        Counter transactions not None,
        is_elsewhere not None,
        read_query,
        fail not None,
    ):
        self._correlators = correlators
        self._transactions = transactions
        self._is_elsewhere = is_elsewhere
        self._read_query = read_query
        self._fail = fail

    cdef object do(self, Request request):
        """The reply, None if the request is for the general server."""
        cdef PyObject *found = NULL
        cdef Verdict verdict
        if self._correlators is not None:
            found = PyDict_GetItem(request.head.memo, request.route)
        if found == NULL:
            return self.ask(request)
        verdict = <Verdict?>(<object>found)
        if self._is_elsewhere(verdict.tenant):
            return None
        parameters = None
        if request.query:
            if self._read_query is None:
                return self.ask(request)
            try:
                parameters = self._read_query(request.query)
            except Exception:
                return self.ask(request)
        request.begin(self._correlators, self._transactions)
        if parameters is not None:
            request.parameters, request.options = parameters
        request.accept(verdict)
        self.current = request
        try:
            return request.route.handler(request)
        except Exception as error:
            return self._fail(request, error)
        finally:
            self.current = None

    cdef object ask(self, Request request):
        self.current = request
        try:
            return self._answer(request)
        finally:
            self.current = None

    cdef object settle(self, Request request, Reply reply, object commit_error):
        self.current = request
        try:
            return self._conclude(request, reply, commit_error)
        finally:
            self.current = None

    def committed(self, commit):
        """A commit is done: send what waited for it."""
        cdef Line line
        for line in <list>self._waiting.pop(commit):
            line.send_answers()

    cdef int wait(self, object commit, Line line) except -1:
        cdef PyObject *found = PyDict_GetItem(self._waiting, commit)
        if found == NULL:
            self._waiting[commit] = [line]
            commit.add_done_callback(self._on_commit)
        else:
            (<list>found).append(line)
        return 0

    cdef bytes finish(self, Request request, Reply reply, object commit_error, double ended):
        """The bytes of a reply that waits for nothing any more; counts it."""
        if not self.is_plain or commit_error is not None or reply.error is not None:
            reply = <Reply?>self.settle(request, reply, commit_error)
            self.tallies.count(request, reply, ended)
            return self._composer.make(reply, None)
        self.tallies.count(request, reply, ended)
        return self._composer.make(reply, request.correlator)


@cython.final
cdef class Line(Scanner):
    """One connection: which bytes are answered here and which go to the general server.

    `handler` is asked `is_general_idle()`, whether the general server has answered all that it
    was given; `general(data)` gives it bytes; it is told `hold()` and `release()`, to read no
    more and again, and `answered()` when no reply waits any more.
    """

    cdef Lane _lane
    cdef object _handler
    cdef object _general
    cdef object _transport
    cdef str _remote
    cdef list _requests  # done, their replies waiting for commits; the first at _first
    cdef list _replies
    cdef Py_ssize_t _first
    cdef list _output  # replies for one write
    cdef Py_ssize_t _unsent
    cdef object _good  # a commit that is done and did not fail
    cdef bint _has_given
    cdef bint _is_unframed
    cdef double _answered_at
    cdef readonly bint is_held
    cdef public bint is_closed
    cdef public bint is_paused

    def __init__(self, Lane lane not None, handler, general):
        Scanner.__init__(self, lane._table)
        self._lane = lane
        self._handler = handler
        self._general = general
        self._requests = []
        self._replies = []
        self._output = []
        self._remote = ""

    def attach(self, transport, str remote not None):
        """The connection is there."""
        self._transport = transport
        self._remote = remote

    def detach(self):
        """The connection is gone; what was done waits for its commit all the same."""
        self._transport = None
        self.is_closed = True
        self._buffer = b""
        self._start = 0
        self._chunks = None
        self.let_go()

    cdef int let_go(self) except -1:
        """Leave no cycle of references behind."""
        if self._transport is None and self._first == PyList_GET_SIZE(self._requests):
            self._handler = None
            self._general = None
        return 0

    @property
    def unanswered(self):
        """Requests that were done and whose replies wait."""
        return PyList_GET_SIZE(self._requests) - self._first

    @property
    def idle_s(self):
        """Seconds since a reply was sent from here; since the start of the clock if none was."""
        return read_clock() - self._answered_at

    @property
    def is_idle(self):
        """Whether the general server has answered all that it was given."""
        return self.check_idle()

    cdef bint check_idle(self) except -1:
        if self._has_given and self._handler is not None and self._handler.is_general_idle():
            self._has_given = False
        return not self._has_given

    def data_received(self, bytes data):
        """Take bytes from the connection."""
        # The general server itself calls with nothing, to go on with what it has.
        if self._is_unframed or self.is_closed or PyBytes_GET_SIZE(data) == 0:
            if self._general is not None:
                self._general(data)
            return
        self.add(data)
        if not self.is_held:
            self.advance()

    cdef int advance(self) except -1:
        cdef Request request
        cdef Reply reply
        while not self.is_closed:
            item = self.find_next()
            if item is _WAIT:
                break
            if item is not _FOREIGN and item is not _UNFRAMED and self.check_idle():
                if (
                    self.is_paused
                    or PyList_GET_SIZE(self._requests) - self._first >= self._lane._max_unanswered
                    or self._unsent >= self._lane._max_unsent
                ):
                    self.hold()
                    break
                request = <Request>item
                request.remote = self._remote
                request.connection = self._handler
                answer = self._lane.do(request)
                if answer is not None:
                    self._start = self._stop
                    self.serve(request, <Reply?>answer)
                    continue
            if self._first < PyList_GET_SIZE(self._requests):
                self.hold()  # their replies come first
                break
            self.write()
            self._has_given = True
            self._general(self.take_found())
            if item is _UNFRAMED:
                self._is_unframed = True
                break
        self.write()
        return 0

    cdef int serve(self, Request request, Reply reply) except -1:
        cdef Py_ssize_t count = PyList_GET_SIZE(self._requests)
        commit = reply.commit
        self._unsent += PyBytes_GET_SIZE(reply.body)
        if commit is None or (count == self._first and self.check_done(commit)):
            if count == self._first:
                self._output.append(self.finish(request, reply))
                return 0
        elif count == self._first or (<Reply>self._replies[count - 1]).commit is not commit:
            # Also one that is done by now comes after those before it.
            self._lane.wait(commit, self)
        self._requests.append(request)
        self._replies.append(reply)
        return 0

    cdef bint check_done(self, object commit) except -1:
        return commit is self._good or commit.done()

    cdef bytes finish(self, Request request, Reply reply):
        cdef object error = None
        commit = reply.commit
        if commit is not None and commit is not self._good:
            error = commit.exception()
            if error is None:
                self._good = commit
        self._answered_at = read_clock()
        return self._lane.finish(request, reply, error, self._answered_at)

    def send_answers(self):
        """Send the replies whose commits are done; none before one that waits."""
        cdef Reply reply
        cdef Request request
        cdef Py_ssize_t count = PyList_GET_SIZE(self._requests)
        while self._first < count:
            reply = <Reply>self._replies[self._first]
            if reply.commit is not None and not self.check_done(reply.commit):
                break
            request = <Request>self._requests[self._first]
            self._first += 1
            self._output.append(self.finish(request, reply))
        self.write()
        if self._first == count:
            self._requests.clear()
            self._replies.clear()
            self._first = 0
            if self._handler is not None and (
                self.is_held or self.is_closed or self._handler.awaits_answers
            ):
                self._handler.answered()
            if self._transport is None:
                self.let_go()

    cdef int write(self) except -1:
        cdef Py_ssize_t count = PyList_GET_SIZE(self._output)
        if count:
            transport = self._transport
            if transport is not None and not transport.is_closing():
                transport.write(self._output[0] if count == 1 else b"".join(self._output))
            self._output.clear()
        if self._first == PyList_GET_SIZE(self._requests) and not self.is_held:
            self._unsent = 0
        return 0

    cdef int hold(self) except -1:
        """Take no more, until what is under way is answered."""
        if not self.is_held:
            self.is_held = True
            self._handler.hold()
        return 0

    def pause(self):
        """Take no more requests until `release`."""
        self.hold()

    def release(self):
        """Go on; False when it must be held again."""
        self.is_held = False
        self._unsent = 0
        self.advance()
        return not self.is_held

    def give_unfinished(self):
        """Leave the request whose body is under way to the general server."""
        self._has_given = True
        self._general(self.take_unfinished())
