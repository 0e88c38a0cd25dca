# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Replies, and their bytes.

Owns status line, header fields and body as they are sent; Content-Length and Date are added
where the general server has them. Costs: the bytes are made in one piece, without copies in
between.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcpy
from libc.time cimport gmtime_r, time, time_t, tm

cimport cython

cdef enum:
    CORRELATOR_FRAME = 21  # what "Fiware-Correlator: " and its line end take

cdef const char **DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
cdef const char **MONTHS = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
]


@cython.final
@cython.freelist(64)
cdef class Reply:
    """Status, header fields and body. Whoever sends it adds Content-Length and Date.

    With a `commit`, a future, it must not be sent before that is done; when it failed, or else
    with an `error`, that is what the client is told instead.
    """

    def __init__(
        self,
        int status=200,
        bytes body not None=b"",
        dict headers=None,
        object commit=None,
        object error=None,
    ):
        self.status = status
        self.body = body
        self._headers = headers
        self.commit = commit
        self.error = error

    @property
    def headers(self):
        if self._headers is None:
            self._headers = {}
        return self._headers


@cython.final
cdef class Composer:
    """Makes the bytes of replies. `reasons`: the reason phrase of each status."""

    def __init__(self, reasons):
        self._lines = {
            status: f"HTTP/1.1 {status} {reason}\r\n".encode("ascii")
            for status, reason in reasons.items()
        }
        self._second = -1
        self._date = b""

    cdef int refresh_date(self) except -1:
        cdef time_t now = time(NULL)
        cdef tm parts
        if now != self._second:
            gmtime_r(&now, &parts)
            self._date = b"Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n\r\n" % (
                DAYS[parts.tm_wday],
                parts.tm_mday,
                MONTHS[parts.tm_mon],
                parts.tm_year + 1900,
                parts.tm_hour,
                parts.tm_min,
                parts.tm_sec,
            )
            self._second = now
        return 0

    def compose(self, Reply reply not None):
        """A whole reply. Content-Length and Date are added, in the general server's order."""
        return self.make(reply, None)

    cdef bytes make(self, Reply reply_, str correlator):
        """With the field Fiware-Correlator behind those of the reply, if it is not None."""
        cdef int status = reply_.status
        cdef dict headers = reply_._headers
        cdef bytes body = reply_.body
        cdef bytes line = <bytes>self._lines[status]
        cdef Py_ssize_t body_length = PyBytes_GET_SIZE(body)
        cdef Py_ssize_t size
        cdef Py_ssize_t length
        cdef const char *text
        cdef char *at
        cdef bytes framing = (
            b"" if status == 204 or status == 304 else b"Content-Length: %d\r\n" % body_length
        )
        cdef bytes reply
        self.refresh_date()
        size = (
            PyBytes_GET_SIZE(line)
            + PyBytes_GET_SIZE(framing)
            + PyBytes_GET_SIZE(self._date)
            + body_length
        )
        if headers is not None:
            for name, value in headers.items():
                PyUnicode_AsUTF8AndSize(name, &length)
                size += length + 4
                PyUnicode_AsUTF8AndSize(value, &length)
                size += length
        if correlator is not None:
            PyUnicode_AsUTF8AndSize(correlator, &length)
            size += length + CORRELATOR_FRAME
        reply = PyBytes_FromStringAndSize(NULL, size)
        at = PyBytes_AS_STRING(reply)
        at = put(at, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
        if headers is not None:
            for name, value in headers.items():
                text = PyUnicode_AsUTF8AndSize(name, &length)
                at = put(at, text, length)
                at = put(at, b": ", 2)
                text = PyUnicode_AsUTF8AndSize(value, &length)
                at = put(at, text, length)
                at = put(at, b"\r\n", 2)
        if correlator is not None:
            at = put(at, b"Fiware-Correlator: ", CORRELATOR_FRAME - 2)
            text = PyUnicode_AsUTF8AndSize(correlator, &length)
            at = put(at, text, length)
            at = put(at, b"\r\n", 2)
        at = put(at, PyBytes_AS_STRING(framing), PyBytes_GET_SIZE(framing))
        at = put(at, PyBytes_AS_STRING(self._date), PyBytes_GET_SIZE(self._date))
        put(at, PyBytes_AS_STRING(body), body_length)
        return reply


cdef inline char *put(char *at, const char *data, Py_ssize_t length) noexcept nogil:
    memcpy(at, data, length)
    return at + length
