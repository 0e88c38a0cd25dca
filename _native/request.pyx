# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The bytes of a request of HTTP/1.1 as a client sends it.

Owns: how a request is framed (RFC 9112), and what must not be in it. Must not: write, wait, or
know what is asked for. Costs: a request is copied once.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject
from libc.string cimport memcmp, memcpy

cdef extern from "http_text.h" nogil:
    const unsigned char TOKEN "HTTP_TOKEN"
    const unsigned char DIGIT "HTTP_DIGIT"
    bint consists_of "http_consists_of"(const char *text, size_t size, unsigned char kind)
    bint is_value "http_is_value"(const char *text, size_t size)
    bint is_word "http_is_word"(const char *text, size_t size, const char *word, size_t length)

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


class MalformedRequest(ValueError):
    """A method, target or header with characters that HTTP does not allow."""


cdef bint is_framing(const char *name, Py_ssize_t size) noexcept nogil:
    """What frames a message, and Expect, is the sender's affair."""
    return (
        is_word(name, size, b"content-length", 14)
        or is_word(name, size, b"transfer-encoding", 17)
        or is_word(name, size, b"expect", 6)
    )


cdef bint tells_empty_body(const char *method, Py_ssize_t size) noexcept nogil:
    """Methods for which a body is not expected say nothing of one that is empty."""
    if size == 3:
        return memcmp(method, b"GET", 3) != 0
    if size == 4:
        return memcmp(method, b"HEAD", 4) != 0
    if size == 5:
        return memcmp(method, b"TRACE", 5) != 0
    return size != 7 or memcmp(method, b"OPTIONS", 7) != 0


cdef char *put(char *at, const char *source, Py_ssize_t size) noexcept nogil:
    memcpy(at, source, size)
    return at + size


cdef char *put_length(char *at, Py_ssize_t length) noexcept nogil:
    cdef char digits[20]
    cdef int first = 20
    while True:
        first -= 1
        digits[first] = <char>(48 + length % 10)
        length //= 10
        if not length:
            return put(at, digits + first, 20 - first)


cpdef bytes compose_request(str method, bytes target, bytes host, dict headers, bytes body):
    """The bytes of a request: see `request.pyi`."""
    if method is None or target is None or host is None or headers is None or body is None:
        raise TypeError("None is no part of a request")
    try:
        return compose(method, target, host, headers, body)
    except UnicodeEncodeError:
        pass
    try:
        # Bytes that a client sent and that were no UTF-8 go on as they came.
        headers = {
            name: value.encode("utf-8", "surrogateescape") for name, value in headers.items()
        }
        return compose(method, target, host, headers, body)
    except UnicodeEncodeError:
        raise MalformedRequest("header") from None


cdef const char *text_of(object item, Py_ssize_t *size) except NULL:
    """Its UTF-8, as long as it lives; of bytes, themselves."""
    if type(item) is bytes:
        size[0] = PyBytes_GET_SIZE(item)
        return PyBytes_AS_STRING(item)
    return PyUnicode_AsUTF8AndSize(item, size)


cdef bytes compose(str method, bytes target, bytes host, dict headers, bytes body):
    cdef Py_ssize_t method_size, name_size, value_size, size
    cdef const char *method_text = PyUnicode_AsUTF8AndSize(method, &method_size)
    cdef const char *name
    cdef const char *value
    cdef const unsigned char *byte
    cdef Py_ssize_t target_size = PyBytes_GET_SIZE(target)
    cdef Py_ssize_t host_size = PyBytes_GET_SIZE(host)
    cdef Py_ssize_t body_size = PyBytes_GET_SIZE(body)
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t i
    cdef PyObject *key
    cdef PyObject *item
    cdef bint has_host = False
    cdef bytes request
    cdef char *at

    if not method_size or not consists_of(method_text, method_size, TOKEN):
        raise MalformedRequest("method")
    byte = <const unsigned char *>PyBytes_AS_STRING(target)
    for i in range(target_size):
        if not 32 < byte[i] < 127:
            raise MalformedRequest("target")
    if not target_size:
        raise MalformedRequest("target")
    if not is_value(PyBytes_AS_STRING(host), host_size):
        raise MalformedRequest("host")

    # "M T HTTP/1.1\r\n", "Host: H\r\n", "Content-Length: L\r\n" and the empty line
    size = method_size + target_size + host_size + body_size + 12 + 8 + 38 + 2
    while PyDict_Next(headers, &position, &key, &item):
        if type(<object>key) is not str or type(<object>item) not in (str, bytes):
            raise MalformedRequest("header")
        name = PyUnicode_AsUTF8AndSize(<object>key, &name_size)
        value = text_of(<object>item, &value_size)
        if not name_size or not consists_of(name, name_size, TOKEN):
            raise MalformedRequest("header name")
        if not is_value(value, value_size):
            raise MalformedRequest("header value")
        has_host |= is_word(name, name_size, b"host", 4)
        size += name_size + value_size + 4

    request = PyBytes_FromStringAndSize(NULL, size)
    at = PyBytes_AS_STRING(request)
    at = put(at, method_text, method_size)
    at = put(at, b" ", 1)
    at = put(at, PyBytes_AS_STRING(target), target_size)
    at = put(at, b" HTTP/1.1\r\n", 11)
    if not has_host:
        at = put(at, b"Host: ", 6)
        at = put(at, PyBytes_AS_STRING(host), host_size)
        at = put(at, b"\r\n", 2)
    position = 0
    while PyDict_Next(headers, &position, &key, &item):
        name = PyUnicode_AsUTF8AndSize(<object>key, &name_size)
        if is_framing(name, name_size):
            continue
        value = text_of(<object>item, &value_size)
        at = put(at, name, name_size)
        at = put(at, b": ", 2)
        at = put(at, value, value_size)
        at = put(at, b"\r\n", 2)
    if body_size or tells_empty_body(method_text, method_size):
        at = put(at, b"Content-Length: ", 16)
        at = put_length(at, body_size)
        at = put(at, b"\r\n", 2)
    at = put(at, b"\r\n", 2)
    at = put(at, PyBytes_AS_STRING(body), body_size)
    size = at - PyBytes_AS_STRING(request)
    return request if size == PyBytes_GET_SIZE(request) else request[:size]


cpdef Py_ssize_t measure_headers(dict headers) except -1:
    """The length of headers: see `request.pyi`."""
    if headers is None:
        raise TypeError("None is no dict of headers")
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t size = 0
    cdef PyObject *key
    cdef PyObject *item
    while PyDict_Next(headers, &position, &key, &item):
        size += len(<str?><object>key) + len(<str?><object>item) + 2
    return size
