# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The responses of HTTP/1.1 as a client reads them.

Owns: how a response is framed (RFC 9112), and what is malformed. Must not: read, wait, or know
what a status means beyond its framing. Costs: a response is looked at once; bytes that came in
parts are copied as long as their line is not complete.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp

cdef extern from "http_text.h" nogil:
    const unsigned char TOKEN "HTTP_TOKEN"
    const unsigned char DIGIT "HTTP_DIGIT"
    bint consists_of "http_consists_of"(const char *text, size_t size, unsigned char kind)
    bint is_value "http_is_value"(const char *text, size_t size)
    bint is_word "http_is_word"(const char *text, size_t size, const char *word, size_t length)


NOT_HTTP = "not HTTP"
STATUS_LINE = "status line"
HEADER_LINE = "header line"
CONTENT_LENGTH = "Content-Length"
HEAD_TOO_LONG = "head too long"
CHUNK = "chunk"

# Most digits of a length: what has more is beyond any body, and would not fit 64 bits.
DEF DECIMAL_DIGITS_MAX = 18
DEF HEXADECIMAL_DIGITS_MAX = 15


class MalformedResponse(ValueError):
    """Bytes that are no response; `fault` names what is wrong with them."""

    def __init__(self, fault):
        super().__init__(fault)
        self.fault = fault


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


@cython.final
cdef class ResponseParser:
    """Reads one response after the other: see `response.pyi`."""

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
        return self.take_body()

    cdef bytes take_body(self):
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
