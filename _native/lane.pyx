# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Scans plainly framed HTTP/1.1 requests out of bytes, has them answered in turn beside a
general server on the same connection, and makes the bytes of replies.

Owns: where a request begins and ends, which of the routes that it was given a request is for,
its parameters, the few header fields that routes look at; whose turn it is on a connection, the
order of replies, what is counted of them. Must not: open, read or write sockets (it is given
bytes, and what takes bytes), decide what an operation does, or judge what it is not sure of: that
is left whole to the general server, by its bytes. Memory: a `Scanner` keeps what was fed and not
yet taken, at most one head, or one body of its table's limit, beside the bytes fed last. Costs:
about a nanosecond per byte of a head; a body is copied once; below a microsecond for the rest.

Source: RFC 9110 and RFC 9112. What is plain: origin-form, CRLF, no folded lines, Host, and
Content-Length or no body; of the path, letters, digits and `- . _ ~ : @ ! $ * + ,`.
"""

from urllib.parse import unquote

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.dict cimport PyDict_GetItem
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.string cimport memcmp, memcpy
from libc.time cimport gmtime_r, time, time_t, tm
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cimport cython

WAIT = 0  # more bytes are needed
FOREIGN = 1  # framed, for the general server: `take` it
UNFRAMED = 2  # not to be framed here: `take` it, and whatever comes after

cdef object _WAIT = WAIT
cdef object _FOREIGN = FOREIGN
cdef object _UNFRAMED = UNFRAMED

cdef extern from *:
    """
    static PyObject *make_instance(PyObject *type, PyObject *nothing) {
        return ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, nothing, NULL);
    }
    """
    object make_instance(object kind, object nothing)

cdef tuple _NOTHING = ()

cdef enum:
    # Of request line and header fields. Clients of the hot routes send a few hundred bytes.
    MAX_HEAD = 16384
    MAX_FIELDS = 64  # header fields
    MAX_SEGMENTS = 16  # of a path
    MAX_SEGMENT = 1024  # bytes of an encoded one
    MAX_SHAPES = 64
    MAX_LENGTH_DIGITS = 10
    CORRELATOR_FRAME = 21  # what "Fiware-Correlator: " and its line end take
    # Distinct heads that are remembered, and bytes of the fields of one: at most about 2 MB.
    MAX_HEADS = 1024
    MAX_TALLIES = 1024  # not yet handed over
    MAX_HEAD_KEY = 1024
    ABSENT = 0xFFFF

# The header fields that routes look at, in the order of `Head.__init__`.
cdef enum:
    ACCEPT
    CONTENT_TYPE
    SERVICE
    SERVICE_PATH
    AUTH_TOKEN
    REAL_IP
    FORWARDED_FOR
    ORIGIN
    ATTRS_FORMAT
    FIELDS
    # Of each request anew, so not part of the remembered heads.
    CORRELATOR = FIELDS
    ALL_FIELDS

cdef enum Outcome:
    PARTIAL
    FRAMED
    ODD

cdef struct Span:
    const char *at  # NULL: absent
    Py_ssize_t length

cdef struct Found:
    Span method
    Span target
    Span field[ALL_FIELDS]
    Py_ssize_t head_length
    Py_ssize_t body_length
    bint is_plain  # without anything that only the general server judges

cdef unsigned char TOKEN[256]
cdef unsigned char VALUE[256]
cdef unsigned char PLAIN[256]  # what stands for itself in a path


cdef void fill_tables() noexcept:
    cdef int code
    cdef bytes token = b"!#$%&'*+-.^_`|~"
    cdef bytes plain = b"-._~:@!$*+,"
    for code in range(256):
        TOKEN[code] = (
            c"0" <= code <= c"9" or c"a" <= code <= c"z" or c"A" <= code <= c"Z"
        )
        PLAIN[code] = TOKEN[code]
        VALUE[code] = code == c"\t" or (code >= 0x20 and code < 0x7F)
    for code in token:
        TOKEN[code] = 1
    for code in plain:
        PLAIN[code] = 1


fill_tables()


cdef inline bint is_name(const char *text, const char *lower, Py_ssize_t length) noexcept nogil:
    """Whether a header's name is `lower`, in any case; both of `length`."""
    cdef Py_ssize_t index
    for index in range(length):
        # Of the characters of a token only letters (and ^ _ of which no name here has any)
        # are changed by the bit.
        if (text[index] | 0x20) != lower[index]:
            return False
    return True


cdef inline int find_field(const char *name, Py_ssize_t length) noexcept nogil:
    """The number of a field that routes look at, -1 for another."""
    if length == 6:
        if is_name(name, b"accept", 6):
            return ACCEPT
        if is_name(name, b"origin", 6):
            return ORIGIN
    elif length == 9:
        if is_name(name, b"x-real-ip", 9):
            return REAL_IP
    elif length == 12:
        if is_name(name, b"content-type", 12):
            return CONTENT_TYPE
        if is_name(name, b"x-auth-token", 12):
            return AUTH_TOKEN
    elif length == 14:
        if is_name(name, b"fiware-service", 14):
            return SERVICE
    elif length == 15:
        if is_name(name, b"x-forwarded-for", 15):
            return FORWARDED_FOR
    elif length == 17:
        if is_name(name, b"fiware-correlator", 17):
            return CORRELATOR
    elif length == 18:
        if is_name(name, b"fiware-servicepath", 18):
            return SERVICE_PATH
        if is_name(name, b"ngsiv2-attrsformat", 18):
            return ATTRS_FORMAT
    return -1


cdef inline bint is_judged_elsewhere(const char *name, Py_ssize_t length) noexcept nogil:
    """Fields of which the general server must know, though they do not change the framing."""
    if length == 4:
        return is_name(name, b"etag", 4)
    if length == 6:
        return is_name(name, b"expect", 6) or is_name(name, b"server", 6)
    if length == 12:
        return is_name(name, b"max-forwards", 12)
    if length == 13:
        return is_name(name, b"content-range", 13)
    if length == 16:
        return is_name(name, b"content-encoding", 16) or is_name(name, b"content-location", 16)
    return length == 18 and is_name(name, b"sec-websocket-key1", 18)


cdef Outcome scan(const char *start, const char *end, Found *found) noexcept nogil:
    """Frame the request that begins at `start`. With FRAMED the body may still be to come."""
    cdef const char *at = start
    cdef const char *stop
    cdef const char *value
    cdef const char *value_end
    cdef Py_ssize_t length, value_length, content_length = -1
    cdef int field, fields = 0
    cdef bint has_host = False, has_agent = False
    found.is_plain = True
    for field in range(ALL_FIELDS):
        found.field[field].at = NULL
        found.field[field].length = 0
    # Without its end a head is looked at again when there is more of it.
    while at < end and TOKEN[<unsigned char>at[0]]:
        at += 1
    if at == end:
        return PARTIAL if end - start < MAX_HEAD else ODD
    if at[0] != c" " or at == start:
        return ODD
    found.method.at = start
    found.method.length = at - start
    at += 1
    stop = at
    while stop < end and <unsigned char>stop[0] > 0x20 and <unsigned char>stop[0] < 0x7F:
        stop += 1
    if end - stop < 11:
        return PARTIAL if end - start < MAX_HEAD else ODD
    if at[0] != c"/" or memcmp(stop, b" HTTP/1.1\r\n", 11) != 0:
        return ODD
    found.target.at = at
    found.target.length = stop - at
    at = stop + 11
    while True:
        if at - start > MAX_HEAD:
            return ODD
        if end - at < 2:
            return PARTIAL
        if at[0] == c"\r":
            if at[1] != c"\n":
                return ODD
            at += 2
            break
        stop = at
        while stop < end and TOKEN[<unsigned char>stop[0]]:
            stop += 1
        if stop == end:
            return PARTIAL if end - start < MAX_HEAD else ODD
        length = stop - at
        fields += 1
        if stop[0] != c":" or length == 0 or fields > MAX_FIELDS:
            return ODD
        value = stop + 1
        while value < end and (value[0] == c" " or value[0] == c"\t"):
            value += 1
        stop = value
        while stop < end and VALUE[<unsigned char>stop[0]]:
            stop += 1
        if end - stop < 2:
            return PARTIAL if end - start < MAX_HEAD else ODD
        if stop[0] != c"\r" or stop[1] != c"\n":
            return ODD
        value_end = stop
        while value_end > value and (
            (value_end - 1)[0] == c" " or (value_end - 1)[0] == c"\t"
        ):
            value_end -= 1
        value_length = value_end - value
        if length == 4 and is_name(at, b"host", 4):
            if has_host:
                found.is_plain = False
            has_host = True
        elif length == 14 and is_name(at, b"content-length", 14):
            if content_length >= 0 or value_length == 0 or value_length > MAX_LENGTH_DIGITS:
                return ODD
            content_length = 0
            while value < value_end:
                if value[0] < c"0" or value[0] > c"9":
                    return ODD
                content_length = content_length * 10 + (value[0] - c"0")
                value += 1
        elif length == 17 and is_name(at, b"transfer-encoding", 17):
            return ODD
        elif length == 7 and is_name(at, b"upgrade", 7):
            return ODD
        elif length == 10 and is_name(at, b"connection", 10):
            if value_length != 10 or not is_name(value, b"keep-alive", 10):
                return ODD
        elif length == 10 and is_name(at, b"user-agent", 10):
            if has_agent:
                found.is_plain = False
            has_agent = True
        else:
            field = find_field(at, length)
            if field >= 0:
                # As Orion, the last Content-Type counts; of others that stand twice the
                # general server knows which.
                if found.field[field].at != NULL and field != CONTENT_TYPE:
                    found.is_plain = False
                found.field[field].at = value
                found.field[field].length = value_length
            elif is_judged_elsewhere(at, length):
                found.is_plain = False
        at = stop + 2
    if not has_host:
        found.is_plain = False
    found.head_length = at - start
    found.body_length = content_length if content_length > 0 else 0
    return FRAMED


cdef inline str to_text(Span span):
    return PyUnicode_DecodeASCII(span.at, span.length, NULL)


cdef inline int hex_digit(char code) noexcept nogil:
    if c"0" <= code <= c"9":
        return code - c"0"
    if c"a" <= code <= c"f":
        return code - c"a" + 10
    if c"A" <= code <= c"F":
        return code - c"A" + 10
    return -1


cdef str decode_segment(const char *at, const char *end):
    """A segment of a path, None if it is not plain."""
    cdef char decoded[MAX_SEGMENT]
    cdef Py_ssize_t length = 0
    cdef int high, low
    cdef char code
    cdef bint is_dots = True
    if at == end or end - at > MAX_SEGMENT:
        return None
    while at < end:
        code = at[0]
        if code == c"%":
            if end - at < 3:
                return None
            high = hex_digit(at[1])
            low = hex_digit(at[2])
            if high < 0 or low < 0:
                return None
            code = <char>(high * 16 + low)
            at += 2
        if not PLAIN[<unsigned char>code]:
            return None
        if code != c".":
            is_dots = False
        decoded[length] = code
        length += 1
        at += 1
    # Steps in a path are resolved elsewhere.
    return None if is_dots else PyUnicode_DecodeASCII(decoded, length, NULL)


@cython.final
cdef class Head:
    """The header fields that routes look at; None where `Accept` or `Content-Type` is absent,
    else "". `memo` is for whoever looks at it: it lasts as long as the head is remembered.
    """

    cdef readonly str accept
    cdef readonly str content_type
    cdef readonly str service
    cdef readonly str service_path
    cdef readonly str auth_token
    cdef readonly str real_ip
    cdef readonly str forwarded_for
    cdef readonly str origin
    cdef readonly str attrs_format
    cdef readonly dict memo

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


cdef Head make_head(Found *found):
    cdef list texts = []
    cdef int field
    for field in range(FIELDS):
        if found.field[field].at != NULL:
            texts.append(to_text(found.field[field]))
        else:
            texts.append(None if field == ACCEPT or field == CONTENT_TYPE else "")
    return Head(*texts)


cdef inline double read_clock() noexcept nogil:
    """The time of `time.perf_counter`, in seconds."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef class Request:
    """One request, whoever framed it; to be completed by a class of the server's own.

    `target` is path and query as they were sent, `path` is decoded, `query` is not;
    `captures` are the parameters of the path, decoded. `is_plain`: the path has plain characters
    only. `length` is the Content-Length, None without one.
    """

    cdef readonly str method
    cdef readonly str target
    cdef readonly str query
    cdef readonly dict captures
    cdef readonly Head head
    cdef readonly object length
    cdef readonly bint has_body
    cdef readonly bint is_plain
    cdef readonly object route
    cdef readonly object connection
    cdef readonly str remote
    cdef readonly double started
    cdef public str correlator
    cdef public bytes body
    cdef str _path

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

    @property
    def path(self):
        if self._path is None:
            path = self.target.partition("?")[0]
            if "%" in path:
                path = unquote(path)  # plain: what it encodes is ASCII
            self._path = path
        return self._path


@cython.final
cdef class Shape:
    """A route: its method, and the segments of its path; None stands for a parameter."""

    cdef bytes method
    cdef list segments
    cdef tuple names
    cdef str method_name
    cdef object target
    cdef bint has_body


@cython.final
cdef class RouteTable:
    """The routes that scanners recognise, and the heads they remember.

    `routes`: method, path with `{name}` for parameters, whether requests have a body, and what
    `Request.route` is to be. Requests with a body where there should be none, without one where
    there should be, or with one of more than `max_body` bytes are foreign. `kind` is the class
    of the requests, derived from `Request`; its `__init__` is not called.
    """

    cdef list _shapes
    cdef dict _heads
    cdef Py_ssize_t _max_body
    cdef type _kind

    def __init__(self, routes, Py_ssize_t max_body, type kind=Request):
        cdef Shape shape
        if not issubclass(kind, Request):
            raise TypeError("kind must be derived from Request")
        self._kind = kind
        self._shapes = []
        self._heads = {}
        self._max_body = max_body
        for method, path, has_body, target in routes:
            shape = Shape.__new__(Shape)
            shape.method = method.encode("ascii")
            shape.method_name = method
            parts = path.split("/")[1:]
            if len(parts) > MAX_SEGMENTS or len(self._shapes) == MAX_SHAPES:
                raise ValueError("too many routes or segments")
            shape.segments = [
                None if part.startswith("{") else part.encode("ascii") for part in parts
            ]
            shape.names = tuple(part.strip("{}") for part in parts if part.startswith("{"))
            shape.target = target
            shape.has_body = has_body
            self._shapes.append(shape)

    cdef Shape find(self, Found *found, Span *segments, int count):
        cdef Shape shape
        cdef bytes literal
        cdef int index
        for shape in self._shapes:
            if (
                PyList_GET_SIZE(shape.segments) != count
                or PyBytes_GET_SIZE(shape.method) != found.method.length
                or memcmp(
                    PyBytes_AS_STRING(shape.method), found.method.at, found.method.length
                ) != 0
            ):
                continue
            for index in range(count):
                literal = <bytes>shape.segments[index]
                if literal is not None and (
                    PyBytes_GET_SIZE(literal) != segments[index].length
                    or memcmp(
                        PyBytes_AS_STRING(literal), segments[index].at, segments[index].length
                    ) != 0
                ):
                    break
            else:
                return shape
        return None

    cdef Request recognise(self, Found *found, const char *end):
        """The request without its body, None where it is foreign."""
        cdef Span segments[MAX_SEGMENTS]
        cdef const char *at = found.target.at
        cdef const char *target_end = at + found.target.length
        cdef const char *path_end = at
        cdef const char *stop
        cdef int count = 0
        cdef int index, parameter
        cdef Shape shape
        cdef Request request
        cdef str text
        if found.body_length > self._max_body:
            return None
        while path_end < target_end and path_end[0] != c"?":
            path_end += 1
        while at < path_end:  # at a slash
            at += 1
            stop = at
            while stop < path_end and stop[0] != c"/":
                stop += 1
            if count == MAX_SEGMENTS:
                return None
            segments[count].at = at
            segments[count].length = stop - at
            count += 1
            at = stop
        shape = self.find(found, segments, count)
        if shape is None or shape.has_body != (found.body_length > 0):
            return None
        stop = path_end
        while stop < target_end:
            if stop[0] == c"#":
                return None
            stop += 1
        request = <Request>make_instance(self._kind, _NOTHING)
        request.captures = {}
        parameter = 0
        for index in range(count):
            if shape.segments[index] is None:
                text = decode_segment(
                    segments[index].at, segments[index].at + segments[index].length
                )
                if text is None:
                    return None
                request.captures[shape.names[parameter]] = text
                parameter += 1
        request.method = shape.method_name
        request.route = shape.target
        request.target = to_text(found.target)
        request.query = (
            PyUnicode_DecodeASCII(path_end + 1, target_end - path_end - 1, NULL)
            if path_end < target_end
            else ""
        )
        request.head = self.head(found)
        request.correlator = (
            "" if found.field[CORRELATOR].at == NULL else to_text(found.field[CORRELATOR])
        )
        request.length = found.body_length
        request.has_body = found.body_length > 0
        request.is_plain = True
        request.started = read_clock()
        return request

    cdef Head head(self, Found *found):
        """The head with these fields: clients send the same ones again and again."""
        cdef char key[MAX_HEAD_KEY]
        cdef Py_ssize_t length = 0
        cdef Py_ssize_t value_length
        cdef int field
        cdef bytes name
        for field in range(FIELDS):
            value_length = found.field[field].length
            if length + 2 + value_length > MAX_HEAD_KEY:
                return make_head(found)
            if found.field[field].at == NULL:
                key[length] = key[length + 1] = <char>0xFF
                length += 2
                continue
            key[length] = <char>(value_length >> 8)
            key[length + 1] = <char>(value_length & 0xFF)
            memcpy(key + length + 2, found.field[field].at, value_length)
            length += 2 + value_length
        name = PyBytes_FromStringAndSize(key, length)
        head = self._heads.get(name)
        if head is None:
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            head = self._heads[name] = make_head(found)
        return <Head>head


cdef class Scanner:
    """The requests of one connection, in turn."""

    cdef RouteTable _table
    cdef bytes _buffer
    cdef Py_ssize_t _start  # of what was not yet taken
    cdef Py_ssize_t _stop  # of the item that `next` found
    cdef list _chunks  # of a request whose body is under way
    cdef Py_ssize_t _missing  # bytes of it
    cdef Py_ssize_t _passing  # bytes of a foreign body that are still to come

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

    cdef public int status
    cdef public bytes body
    cdef public object commit
    cdef public object error
    cdef dict _headers

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
cdef class CorrelatorIds:
    """Makes texts of the form of a UUID: a prefix of 24 characters, then a count."""

    cdef str _prefix
    cdef unsigned long long _count

    def __init__(self, str prefix not None):
        if len(prefix) != 24 or not prefix.isascii():
            raise ValueError("the prefix must have 24 ASCII characters")
        self._prefix = prefix

    def make(self):
        """The next one."""
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


@cython.final
cdef class Composer:
    """Makes the bytes of replies. `reasons`: the reason phrase of each status."""

    cdef dict _lines
    cdef bytes _date
    cdef time_t _second

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


@cython.final
cdef class Tally:
    """What was counted of the requests with one head, for one route, with one status."""

    cdef readonly Head head
    cdef readonly str method
    cdef readonly object route
    cdef readonly int status
    cdef readonly long long requests
    cdef readonly long long request_bytes
    cdef readonly long long response_bytes
    cdef readonly long long microseconds  # of each at least one
    cdef readonly double seconds


@cython.final
cdef class Tallies:
    """Counts replies. `note` is given the tallies, by `hand_over` or when they are too many."""

    cdef dict _tallies
    cdef object _note
    cdef readonly long long total  # requests ever counted

    def __init__(self, note):
        self._tallies = {}
        self._note = note

    cdef int count(self, Request request, Reply reply, double ended) except -1:
        cdef double seconds = ended - request.started
        cdef long long microseconds = <long long>(seconds * 1e6)
        cdef Tally tally
        cdef PyObject *found
        cdef tuple key = (request.head, request.route, reply.status)
        found = PyDict_GetItem(self._tallies, key)
        if found != NULL:
            tally = <Tally>found
        else:
            if len(self._tallies) >= MAX_TALLIES:
                self.hand_over()
            tally = Tally.__new__(Tally)
            tally.head = request.head
            tally.method = request.method
            tally.route = request.route
            tally.status = reply.status
            self._tallies[key] = tally
        tally.requests += 1
        tally.request_bytes += PyBytes_GET_SIZE(request.body)
        tally.response_bytes += PyBytes_GET_SIZE(reply.body)
        tally.microseconds += microseconds if microseconds > 0 else 1
        tally.seconds += seconds
        self.total += 1
        return 0

    def hand_over(self):
        """Have the tallies so far noted; counts begin anew."""
        if self._tallies:
            taken = list(self._tallies.values())
            self._tallies = {}
            self._note(taken)


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
    cdef object _on_commit

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
            reply = <Reply?>self._conclude(request, reply, commit_error)
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
                answer = self._lane._answer(request)
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
