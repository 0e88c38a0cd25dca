# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""One exchange of HTTP/1.1 as a client sees it: bytes of a request, and a response from bytes.

Owns: how a message is framed (RFC 9112), and what is malformed. Must not: read, write, wait, or
know what a status means beyond its framing. Costs: a request is copied once; a response is
looked at once, bytes that came in parts are copied as long as their line is not complete.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject
from libc.string cimport memchr, memcmp, memcpy


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


NOT_HTTP = "not HTTP"
STATUS_LINE = "status line"
HEADER_LINE = "header line"
CONTENT_LENGTH = "Content-Length"
HEAD_TOO_LONG = "head too long"
CHUNK = "chunk"

# Most digits of a length: what has more is beyond any body, and would not fit 64 bits.
DEF DECIMAL_DIGITS_MAX = 18
DEF HEXADECIMAL_DIGITS_MAX = 15


class MalformedRequest(ValueError):
    """A method, target or header with characters that HTTP does not allow."""


class MalformedResponse(ValueError):
    """Bytes that are no response; `fault` names what is wrong with them."""

    def __init__(self, fault):
        super().__init__(fault)
        self.fault = fault


cdef enum Kind:
    # What a byte may be part of.
    TOKEN = 1
    DIGIT = 2


cdef unsigned char kinds[256]


cdef void fill_kinds() noexcept:
    cdef int byte
    for byte in range(256):
        kinds[byte] = 0
        if 48 <= byte <= 57:
            kinds[byte] |= TOKEN | DIGIT
        if 65 <= byte <= 90 or 97 <= byte <= 122:
            kinds[byte] |= TOKEN
    for byte in b"!#$%&'*+-.^_`|~":
        kinds[byte] |= TOKEN


fill_kinds()


cdef bint consists_of(const char *p, Py_ssize_t size, unsigned char kind) noexcept nogil:
    cdef unsigned char common = kind
    cdef Py_ssize_t i
    for i in range(size):
        common &= kinds[<unsigned char>p[i]]
    return common == kind


cdef inline bint is_value(const char *p, Py_ssize_t size) noexcept nogil:
    """RFC 9110, section 5.5: no CR, LF, NUL. Other control characters do no harm."""
    return (
        memchr(p, c"\r", size) == NULL
        and memchr(p, c"\n", size) == NULL
        and memchr(p, 0, size) == NULL
    )


cdef bint is_word(const char *p, Py_ssize_t size, const char *word, Py_ssize_t length) noexcept nogil:
    """Whether they are the same but for the case of ASCII letters; `word` is in lower case."""
    cdef Py_ssize_t i
    cdef unsigned char byte
    if size != length:
        return False
    for i in range(size):
        byte = <unsigned char>p[i]
        if 65 <= byte <= 90:
            byte += 32
        if byte != <unsigned char>word[i]:
            return False
    return True


# The request

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


cdef inline char *put(char *at, const char *source, Py_ssize_t size) noexcept nogil:
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


def compose_request(
    str method not None, bytes target not None, bytes host not None, dict headers not None,
    bytes body not None,
):
    """The bytes of a request: see `exchange.pyi`."""
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


def measure_headers(dict headers not None):
    """The length of headers: see `exchange.pyi`."""
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t size = 0
    cdef PyObject *key
    cdef PyObject *item
    while PyDict_Next(headers, &position, &key, &item):
        size += len(<str?><object>key) + len(<str?><object>item) + 2
    return size


# The response

cdef enum State:
    AT_STATUS_LINE
    AT_HEADERS
    IN_BODY  # of a known length
    IN_ENDLESS_BODY  # until the connection ends
    AT_CHUNK_SIZE
    IN_CHUNK
    AFTER_CHUNK
    AT_TRAILERS
    COMPLETE
    BROKEN


cdef enum Coding:
    # What Transfer-Encoding says so far.
    NONE_GIVEN
    SOME_OTHER
    CHUNKED
    UNCERTAIN  # something after "chunked": nobody knows where the body ends


cdef struct Text:
    const char *start
    Py_ssize_t size


cdef Text strip(const char *p, Py_ssize_t size) noexcept nogil:
    """Without the spaces and tabs around it."""
    cdef Text text
    while size and (p[0] == c" " or p[0] == c"\t"):
        p += 1
        size -= 1
    while size and (p[size - 1] == c" " or p[size - 1] == c"\t"):
        size -= 1
    text.start = p
    text.size = size
    return text


cdef Text take_item(const char **p, const char *end) noexcept nogil:
    """The next item of a list with commas; empty ones count for nothing."""
    cdef const char *start = p[0]
    cdef const char *comma = <const char *>memchr(start, c",", end - start)
    if comma == NULL:
        comma = end
        p[0] = end
    else:
        p[0] = comma + 1
    return strip(start, comma - start)


cdef class ResponseParser:
    """Reads one response after the other: see `exchange.pyi`."""

    cdef State state
    cdef Coding coding
    cdef readonly int status
    cdef readonly bint keep_alive
    cdef readonly bytes location
    cdef readonly long long received
    cdef bint answers_head
    cdef bint is_old  # HTTP/1.0
    cdef bint has_length
    cdef bint says_close
    cdef bint says_keep_alive
    cdef bint may_fold  # the last header is of no meaning here, and so is what continues it
    cdef long long left  # bytes of the body or chunk that are still to come
    cdef Py_ssize_t head_bytes
    cdef bytes line  # the beginning of a line that is not complete
    cdef bytes first_part
    cdef list parts  # all parts of the body that are kept, if there are several
    cdef Py_ssize_t kept
    cdef Py_ssize_t line_max
    cdef Py_ssize_t head_max
    cdef Py_ssize_t body_max

    def __cinit__(self, *, Py_ssize_t line_max, Py_ssize_t head_max, Py_ssize_t body_max):
        self.line_max = line_max
        self.head_max = head_max
        self.body_max = body_max
        self.begin()

    cpdef begin(self, bint answers_head=False):
        self.answers_head = answers_head
        self.received = 0
        self.head_bytes = 0
        self.line = b""
        self.first_part = b""
        self.parts = None
        self.kept = 0
        self.keep_alive = False
        self._begin_head()

    cdef void _begin_head(self):
        self.state = AT_STATUS_LINE
        self.coding = NONE_GIVEN
        self.status = 0
        self.location = None
        self.is_old = False
        self.has_length = False
        self.says_close = False
        self.says_keep_alive = False
        self.may_fold = False
        self.left = 0

    @property
    def in_body(self):
        return AT_HEADERS < self.state < COMPLETE

    @property
    def body(self):
        return self.first_part if self.parts is None else b"".join(self.parts)

    cpdef bint feed(self, bytes data) except -1:
        cdef const char *p = PyBytes_AS_STRING(data)
        cdef const char *end = p + PyBytes_GET_SIZE(data)

        if self.state == COMPLETE or self.state == BROKEN:
            raise ValueError("no response was begun")
        self.received += end - p
        while p < end and self.state != COMPLETE:
            if self.state == IN_BODY or self.state == IN_CHUNK or self.state == IN_ENDLESS_BODY:
                p = self._take_body(data, p, end)
            else:
                p = self._take_line(p, end)
        if self.state != COMPLETE:
            return False
        if p < end:
            # Bytes that nobody asked for: the next response would not be what follows.
            self.keep_alive = False
        return True

    cpdef bint feed_eof(self) except -1:
        if self.state == IN_ENDLESS_BODY:
            self.state = COMPLETE
        return self.state == COMPLETE

    cdef int _fail(self, str fault) except -1:
        self.state = BROKEN
        self.keep_alive = False
        raise MalformedResponse(fault)

    cdef const char *_take_body(self, bytes data, const char *p, const char *end) except NULL:
        """Takes what there is of a body or chunk; returns where it ends."""
        cdef Py_ssize_t size = end - p
        cdef Py_ssize_t room = self.body_max - self.kept
        if self.state != IN_ENDLESS_BODY and size > self.left:
            size = <Py_ssize_t>self.left
        if size > room:
            self._keep(data, p, room)
            # The rest is of no interest, and it may never end.
            self.keep_alive = False
            self.state = COMPLETE
            return end
        self._keep(data, p, size)
        if self.state != IN_ENDLESS_BODY:
            self.left -= size
            if not self.left:
                self.state = COMPLETE if self.state == IN_BODY else AFTER_CHUNK
        return p + size

    cdef int _keep(self, bytes data, const char *p, Py_ssize_t size) except -1:
        cdef bytes part
        if not size:
            return 0
        part = data if size == PyBytes_GET_SIZE(data) else p[:size]
        if not self.kept:
            self.first_part = part
        else:
            if self.parts is None:
                self.parts = [self.first_part]
            self.parts.append(part)
        self.kept += size
        return 0

    cdef const char *_take_line(self, const char *p, const char *end) except NULL:
        """Takes a line, or its beginning; returns where it ends."""
        cdef Py_ssize_t before = PyBytes_GET_SIZE(self.line)
        cdef const char *line_feed = <const char *>memchr(p, c"\n", end - p)
        cdef Py_ssize_t size = (end if line_feed == NULL else line_feed) - p
        cdef bytes whole
        if before + size > self.line_max or self.head_bytes + before + size > self.head_max:
            if self.state == AT_STATUS_LINE:
                whole = self.line + p[: 5 if size > 5 else size]
                self._check_name(PyBytes_AS_STRING(whole), PyBytes_GET_SIZE(whole))
            self._fail(HEAD_TOO_LONG)
        if line_feed == NULL:
            self.line += p[:size]
            if self.state == AT_STATUS_LINE:
                # What is no HTTP is told at once: it may never end its line.
                self._check_name(PyBytes_AS_STRING(self.line), PyBytes_GET_SIZE(self.line))
            return end
        self.head_bytes += before + size + 1
        if before:
            whole = self.line + p[:size]
            self.line = b""
            self._take_whole_line(PyBytes_AS_STRING(whole), before + size)
        else:
            self._take_whole_line(p, size)
        return line_feed + 1

    cdef int _check_name(self, const char *p, Py_ssize_t size) except -1:
        if memcmp(p, b"HTTP/", size if size < 5 else 5) != 0:
            self._fail(NOT_HTTP)
        return 0

    cdef int _take_whole_line(self, const char *p, Py_ssize_t size) except -1:
        if size and p[size - 1] == c"\r":
            size -= 1
        if self.state == AT_STATUS_LINE:
            self._take_status_line(p, size)
        elif self.state == AT_HEADERS:
            if size:
                self._take_header(p, size)
            else:
                self._end_head()
        elif self.state == AT_CHUNK_SIZE:
            self._take_chunk_size(p, size)
        elif self.state == AFTER_CHUNK:
            if size:
                self._fail(CHUNK)
            self.head_bytes = 0  # bounds trailers; chunks may be many
            self.state = AT_CHUNK_SIZE
        elif not size:
            self.state = COMPLETE
        return 0

    cdef int _take_status_line(self, const char *p, Py_ssize_t size) except -1:
        """`HTTP/1.x NNN reason`; the reason and the space before it may be missing."""
        self._check_name(p, size)
        if size < 5:
            self._fail(NOT_HTTP)
        if (
            size < 12
            or p[5] != c"1"
            or p[6] != c"."
            or not consists_of(p + 7, 1, DIGIT)
            or p[8] != c" "
            or not consists_of(p + 9, 3, DIGIT)
            or p[9] == c"0"
            or (size > 12 and p[12] != c" ")
            or not is_value(p, size)
        ):
            self._fail(STATUS_LINE)
        self.is_old = p[7] == c"0"
        self.status = (p[9] - 48) * 100 + (p[10] - 48) * 10 + (p[11] - 48)
        self.state = AT_HEADERS
        return 0

    cdef int _take_header(self, const char *p, Py_ssize_t size) except -1:
        cdef const char *colon
        cdef Py_ssize_t name_size
        cdef Text value
        if not is_value(p, size):
            self._fail(HEADER_LINE)
        if p[0] == c" " or p[0] == c"\t":
            # An old way to continue a line (RFC 9112, section 5.2).
            if not self.may_fold:
                self._fail(HEADER_LINE)
            return 0
        colon = <const char *>memchr(p, c":", size)
        name_size = 0 if colon == NULL else colon - p
        if not name_size or not consists_of(p, name_size, TOKEN):
            self._fail(HEADER_LINE)
        value = strip(colon + 1, size - name_size - 1)
        self.may_fold = False
        if is_word(p, name_size, b"content-length", 14):
            self._take_length(value)
        elif is_word(p, name_size, b"transfer-encoding", 17):
            self._take_codings(value)
        elif is_word(p, name_size, b"connection", 10):
            self._take_options(value)
        elif is_word(p, name_size, b"location", 8):
            if self.location is None:
                self.location = value.start[: value.size]
        else:
            self.may_fold = True
        return 0

    cdef int _take_length(self, Text value) except -1:
        cdef long long length = 0
        cdef Py_ssize_t i
        if (
            not value.size
            or value.size > DECIMAL_DIGITS_MAX
            or not consists_of(value.start, value.size, DIGIT)
        ):
            self._fail(CONTENT_LENGTH)
        for i in range(value.size):
            length = length * 10 + (value.start[i] - 48)
        if self.has_length and length != self.left:
            self._fail(CONTENT_LENGTH)
        self.has_length = True
        self.left = length
        return 0

    cdef void _take_codings(self, Text value) noexcept:
        """Several headers are one list (RFC 9110, section 5.3)."""
        cdef const char *p = value.start
        cdef const char *end = p + value.size
        cdef Text item
        while p < end:
            item = take_item(&p, end)
            if not item.size:
                continue
            if self.coding == CHUNKED or self.coding == UNCERTAIN:
                self.coding = UNCERTAIN
            elif is_word(item.start, item.size, b"chunked", 7):
                self.coding = CHUNKED
            else:
                self.coding = SOME_OTHER

    cdef void _take_options(self, Text value) noexcept:
        cdef const char *p = value.start
        cdef const char *end = p + value.size
        cdef Text item
        while p < end:
            item = take_item(&p, end)
            if is_word(item.start, item.size, b"close", 5):
                self.says_close = True
            elif is_word(item.start, item.size, b"keep-alive", 10):
                self.says_keep_alive = True

    cdef void _end_head(self) noexcept:
        """How the body is framed: RFC 9112, section 6.3."""
        if 100 <= self.status < 200 and self.status != 101:
            self._begin_head()  # of the response proper
            return
        # From 101 on the connection would speak something else.
        self.keep_alive = (
            not self.says_close
            and (self.says_keep_alive or not self.is_old)
            and self.status != 101
        )
        if self.answers_head or self.status in (101, 204, 304):
            self.state = COMPLETE
        elif self.coding == CHUNKED:
            # One of two framings is a lie: not to be relied on further than this.
            if self.has_length or self.is_old:
                self.keep_alive = False
            self.head_bytes = 0
            self.state = AT_CHUNK_SIZE
        elif self.has_length and self.coding == NONE_GIVEN:
            self.state = IN_BODY if self.left else COMPLETE
        else:
            self.keep_alive = False
            self.state = IN_ENDLESS_BODY

    cdef int _take_chunk_size(self, const char *p, Py_ssize_t size) except -1:
        """Hexadecimal digits; a semicolon and extensions may follow."""
        cdef const char *semicolon = <const char *>memchr(p, c";", size)
        cdef Text digits = strip(p, size if semicolon == NULL else semicolon - p)
        cdef long long length = 0
        cdef Py_ssize_t i
        cdef int digit
        if not digits.size or digits.size > HEXADECIMAL_DIGITS_MAX or digits.start != p:
            self._fail(CHUNK)
        for i in range(digits.size):
            digit = hexadecimal(digits.start[i])
            if digit < 0:
                self._fail(CHUNK)
            length = length * 16 + digit
        self.left = length
        self.state = IN_CHUNK if length else AT_TRAILERS
        return 0


cdef int hexadecimal(char digit) noexcept nogil:
    if 48 <= digit <= 57:
        return digit - 48
    if 97 <= digit <= 102:
        return digit - 87
    if 65 <= digit <= 70:
        return digit - 55
    return -1
