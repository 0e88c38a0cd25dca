# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""The requests of one connection, out of its bytes.

Owns what was received and not yet taken: at most one head, or one body of its table's limit,
beside the bytes fed last. What is not plainly framed, or for none of the routes, is given on
by its bytes. Costs: a body is copied once; for the rest see `framing` and `routes`.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from _native.framing cimport ODD, PARTIAL, Found, Outcome, scan
from _native.requests cimport Request
from _native.routes cimport RouteTable

WAIT = 0  # more bytes are needed
FOREIGN = 1  # framed, for the general server: `take` it
UNFRAMED = 2  # not to be framed here: `take` it, and whatever comes after

cdef object _WAIT = WAIT
cdef object _FOREIGN = FOREIGN
cdef object _UNFRAMED = UNFRAMED


cdef class Scanner:
    """The requests of one connection, in turn."""

    def __init__(self, RouteTable table not None):
        self._table = table
        self._buffer = b""

    @property
    def is_in_body(self):
        """Whether a request is kept of which the body is still to come."""
        return self._chunks is not None

    @property
    def has_rest(self):
        """Whether bytes were fed and not taken."""
        return self._chunks is not None or self._start < PyBytes_GET_SIZE(self._buffer)

    def feed(self, bytes data not None):
        """Add bytes that were received."""
        self.add(data)

    cdef void add(self, bytes data):
        if self._chunks is not None:
            self._chunks.append(data)
            self._missing -= PyBytes_GET_SIZE(data)
        elif self._start == PyBytes_GET_SIZE(self._buffer):
            self._buffer = data
            self._start = 0
        else:
            self._buffer = self._buffer[self._start :] + data
            self._start = 0

    def next(self):
        """The request that comes next, or WAIT, FOREIGN or UNFRAMED.

        It is found again and again until it is taken by `skip` or `take`.
        """
        return self.find_next()

    cdef object find_next(self):
        cdef Found found
        cdef Outcome outcome
        cdef Request request
        cdef const char *start
        cdef Py_ssize_t size, length
        if self._chunks is not None:
            if self._missing > 0:
                return _WAIT
            self._buffer = b"".join(self._chunks)
            self._start = 0
            self._chunks = None
        size = PyBytes_GET_SIZE(self._buffer) - self._start
        if size == 0:
            self._buffer = b""
            self._start = 0
            return _WAIT
        if self._passing > 0:
            self._stop = self._start + min(size, self._passing)
            return _FOREIGN
        start = PyBytes_AS_STRING(self._buffer) + self._start
        outcome = scan(start, start + size, &found)
        if outcome == PARTIAL:
            return _WAIT
        if outcome == ODD:
            self._stop = self._start + size
            return _UNFRAMED
        length = found.head_length + found.body_length
        request = self._table.recognise(&found, start + size) if found.is_plain else None
        if request is None:
            if length > size:
                self._passing = length
                length = size
            self._stop = self._start + length
            return _FOREIGN
        if length > size:
            self._chunks = [self._buffer[self._start :] if self._start else self._buffer]
            self._missing = length - size
            self._buffer = b""
            self._start = 0
            return _WAIT
        request.body = (
            PyBytes_FromStringAndSize(start + found.head_length, found.body_length)
            if found.body_length
            else b""
        )
        self._stop = self._start + length
        return request

    def skip(self):
        """What `next` found is dealt with."""
        self._start = self._stop

    def take(self):
        """The bytes of what `next` found, for the general server."""
        return self.take_found()

    cdef bytes take_found(self):
        cdef bytes taken
        if self._start == 0 and self._stop == PyBytes_GET_SIZE(self._buffer):
            taken = self._buffer
        else:
            taken = self._buffer[self._start : self._stop]
        self._start = self._stop
        if self._passing > 0:
            self._passing -= PyBytes_GET_SIZE(taken)
        return taken

    def take_unfinished(self):
        """The bytes so far of the request whose body is under way; the rest will be foreign."""
        cdef bytes taken = b"".join(self._chunks)
        self._chunks = None
        self._passing = self._missing
        self._missing = 0
        return taken
