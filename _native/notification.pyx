# cython: language_level=3, boundscheck=False, wraparound=False
"""A notification over HTTP, from the event to its outcome.

What the notifications of one subscription have in common is written once, as a `Heading`: most of
the bytes of a request. Owns: the fields of a notification and its header fields. Must not: send,
or know what a header field is for. Costs: a request is one copy of heading and body.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from _native.request cimport compose_request, measure_headers, put, put_length

from _native.request import MalformedRequest

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    const void *PyUnicode_DATA(object text)

cdef extern from "http_text.h" nogil:
    bint is_value "http_is_value"(const char *text, size_t size)

# Most digits of a Content-Length.
DEF LENGTH_MAX = 20

cdef str CORRELATOR = "Fiware-Correlator"
cdef str ATTRS_FORMAT = "Ngsiv2-AttrsFormat"
cdef str SERVICE = "Fiware-Service"
cdef str SERVICE_PATH = "Fiware-ServicePath"
cdef str TOKEN = "X-Auth-Token"


@cython.final
cdef class Heading:
    def __init__(
        self,
        location not None,
        str method not None,
        str user_agent not None,
        str service not None,
        str service_path not None,
        str token not None,
        str content_type not None,
        str attrs_format not None,
    ):
        cdef bytes target = location.target
        cdef bytes host = location.host
        cdef bytes request
        cdef Py_ssize_t end
        cdef dict before = {"User-Agent": user_agent}
        if service:
            before[SERVICE] = service
        before[SERVICE_PATH] = service_path
        if token:
            before[TOKEN] = token
        before["Accept"] = "application/json"
        if content_type:
            before["Content-Type"] = content_type
        self.location = location
        self.method = method
        self.service = service
        self.service_path = service_path
        self.token = token
        self._before = before
        self._attrs_format = attrs_format
        headers = self.headers("")
        self._size = measure_headers(headers)
        request = compose_request(method, target, host, headers, b"")
        # It ends in a length of 0 and an empty line. What stands before that and after the
        # correlator is as long as it is alone.
        end = PyBytes_GET_SIZE(request) - 5
        shown = f"\r\n{ATTRS_FORMAT}: {attrs_format}" if attrs_format else ""
        tail = f"{shown}\r\nContent-Length: ".encode()
        if not request.endswith(tail + b"0\r\n\r\n"):
            raise MalformedRequest("method")  # one that says nothing of an empty body
        self._end = tail
        self._start = request[: end - len(tail)]

    cdef dict headers(self, str correlator):
        cdef dict headers = self._before.copy()
        headers[CORRELATOR] = correlator
        if self._attrs_format:
            headers[ATTRS_FORMAT] = self._attrs_format
        return headers

    cdef bytes request(self, str correlator, bytes body):
        """None if the correlator is not plain text."""
        cdef Py_ssize_t size = PyUnicode_GET_LENGTH(correlator)
        cdef const char *text
        cdef char digits[LENGTH_MAX]
        cdef Py_ssize_t length_size = put_length(digits, PyBytes_GET_SIZE(body)) - digits
        cdef bytes request
        cdef char *at
        if not PyUnicode_IS_COMPACT_ASCII(correlator):
            return None
        text = <const char *>PyUnicode_DATA(correlator)
        if not is_value(text, <size_t>size):
            return None
        request = PyBytes_FromStringAndSize(
            NULL,
            PyBytes_GET_SIZE(self._start)
            + size
            + PyBytes_GET_SIZE(self._end)
            + length_size
            + 4
            + PyBytes_GET_SIZE(body),
        )
        at = PyBytes_AS_STRING(request)
        at = put(at, PyBytes_AS_STRING(self._start), PyBytes_GET_SIZE(self._start))
        at = put(at, text, size)
        at = put(at, PyBytes_AS_STRING(self._end), PyBytes_GET_SIZE(self._end))
        at = put(at, digits, length_size)
        at = put(at, b"\r\n\r\n", 4)
        put(at, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
        return request


@cython.final
@cython.freelist(256)
cdef class Notification:
    def __init__(
        self,
        *,
        str subscription_id not None,
        str tenant not None,
        str url not None,
        dict headers not None,
        bytes body not None,
        double timeout_s,
        order_key,
        on_result,
        str method not None="POST",
    ):
        self.subscription_id = subscription_id
        self.tenant = tenant
        self._url = url
        self.method = method
        self._headers = headers
        self.body = body
        self.timeout_s = timeout_s
        self.order_key = order_key
        self.on_result = on_result

    @property
    def url(self):
        return self._url

    @url.setter
    def url(self, str url not None):
        if url != self._url:
            self._materialize()
            self._url = url
            self.location = None

    @property
    def headers(self):
        return self._materialize()

    @headers.setter
    def headers(self, dict headers not None):
        self._headers = headers
        self._heading = None

    @property
    def service(self):
        return self.service_of()

    @property
    def service_path(self):
        return self.service_path_of()

    def _materialize(self):
        """The header fields as a dict, which may be changed."""
        if self._headers is None:
            self._headers = self._heading.headers(self._correlator)
            self._heading = None
        return self._headers

    cdef dict get_headers(self):
        return self._materialize()

    cdef Py_ssize_t measure(self) except -1:
        if self._heading is not None:
            return self._heading._size + PyUnicode_GET_LENGTH(self._correlator)
        return measure_headers(self._headers)

    cdef bytes request(self):
        """The bytes to send; `location` is that of the URL. Raises MalformedRequest."""
        cdef bytes request = None
        if self._heading is not None:
            request = self._heading.request(self._correlator, self.body)
        if request is None:
            location = self.location
            request = compose_request(
                self.method, location.target, location.host, self._materialize(), self.body
            )
        return request

    def compose(self):
        """See `notification.pyi`."""
        return self.request()

    cdef str service_of(self):
        if self._heading is not None:
            return self._heading.service
        return self._headers.get(SERVICE, "")

    cdef str service_path_of(self):
        if self._heading is not None:
            return self._heading.service_path
        return self._headers.get(SERVICE_PATH, "")


cdef Notification make_notification(
    str subscription_id,
    str tenant,
    str url,
    Heading heading,
    str correlator,
    bytes body,
    double timeout_s,
    object order_key,
    object on_result,
):
    cdef Notification made = Notification.__new__(Notification)
    made.subscription_id = subscription_id
    made.tenant = tenant
    made._url = url
    made.method = heading.method
    made._heading = heading
    made._correlator = correlator
    made.location = heading.location
    made.body = body
    made.timeout_s = timeout_s
    made.order_key = order_key
    made.on_result = on_result
    return made
