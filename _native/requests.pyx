# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One request, whichever transport framed it, and its correlator.

Owns what is known of a request before anybody judges it. Must not: frame, judge or answer it.
"""

from urllib.parse import unquote

from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cimport cython


@cython.final
cdef class Head:
    """The header fields that routes look at; None where `Accept` or `Content-Type` is absent,
    else "". `memo` is for whoever looks at it: it lasts as long as the head is remembered.
    """

    def __init__(
        self,
        str accept=None,
        str content_type=None,
        str service not None="",
        str service_path not None="",
        str auth_token not None="",
        str real_ip not None="",
        str forwarded_for not None="",
        str origin not None="",
        str attrs_format not None="",
    ):
        self.accept = accept
        self.content_type = content_type
        self.service = service
        self.service_path = service_path
        self.auth_token = auth_token
        self.real_ip = real_ip
        self.forwarded_for = forwarded_for
        self.origin = origin
        self.attrs_format = attrs_format
        self.memo = {}


@cython.final
cdef class Verdict:
    """What the header fields of a good request say, for one route."""

    def __init__(
        self,
        object accepted,
        str content_type not None,
        object scope,
        str home,
        str service not None,
        str tenant not None,
        str auth_token not None,
    ):
        self.accepted = accepted
        self.content_type = content_type
        self.scope = scope
        self.home = home
        self.service = service
        self.tenant = tenant
        self.auth_token = auth_token


cdef frozenset _NO_OPTIONS = frozenset()
cdef dict _NO_PARAMETERS = {}  # nobody may change it


cdef double read_clock() noexcept nogil:
    """The time of `time.perf_counter`, in seconds."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef class Request:
    """One request, whoever framed it; to be completed by a class of the server's own.

    `target` is path and query as they were sent, `path` is decoded, `query` is not;
    `captures` are the parameters of the path, decoded. `is_plain`: the path has plain characters
    only. `length` is the Content-Length, None without one. From `transaction` on it is what
    whoever judges it has found so far.
    """

    def __init__(
        self,
        str method not None,
        str target not None,
        str path not None,
        str query not None,
        dict captures not None,
        Head head not None,
        str correlator not None,
        object length,
        bint has_body,
        str remote not None,
        object route,
        object connection,
    ):
        self.method = method
        self.target = target
        self._path = path
        self.query = query
        self.captures = captures
        self.head = head
        self.correlator = correlator
        self.length = length
        self.has_body = has_body
        self.remote = remote
        self.route = route
        self.connection = connection
        self.started = read_clock()
        self.body = b""

    cdef int begin(self, CorrelatorIds correlators, Counter transactions) except -1:
        if not self.correlator:
            self.correlator = correlators.make_next()
        transactions.made += 1
        self.transaction = transactions.made
        self.content_type = ""
        self.options = _NO_OPTIONS
        self.parameters = _NO_PARAMETERS
        return 0

    cdef int accept(self, Verdict verdict) except -1:
        self.verdict = verdict
        self.accepted = verdict.accepted
        self.content_type = verdict.content_type
        return 0

    def open(self, CorrelatorIds correlators not None, Counter transactions not None):
        self.begin(correlators, transactions)

    def approve(self, Verdict verdict not None):
        self.accept(verdict)

    @property
    def path(self):
        if self._path is None:
            path = self.target.partition("?")[0]
            if "%" in path:
                path = unquote(path)  # plain: what it encodes is ASCII
            self._path = path
        return self._path


@cython.final
cdef class CorrelatorIds:
    """Makes texts of the form of a UUID: a prefix of 24 characters, then a count."""

    def __init__(self, str prefix not None):
        if len(prefix) != 24 or not prefix.isascii():
            raise ValueError("the prefix must have 24 ASCII characters")
        self._prefix = prefix

    def make(self):
        """The next one."""
        return self.make_next()

    cdef str make_next(self):
        cdef char text[36]
        cdef unsigned long long rest
        cdef int index
        self._count += 1
        rest = self._count
        memcpy(text, PyUnicode_AsUTF8AndSize(self._prefix, NULL), 24)
        for index in range(35, 23, -1):
            text[index] = b"0123456789abcdef"[rest & 15]
            rest >>= 4
        return PyUnicode_DecodeASCII(text, 36, NULL)


cdef class Counter:
    pass
