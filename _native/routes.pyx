# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Which of the routes that it was given a framed request is for, and its parameters.

Owns what is plain of a path: letters, digits and `- . _ ~ : @ ! $ * + ,`. Must not: judge what
it is not sure of, that is foreign. Memory: MAX_HEADS heads. Costs: below a microsecond, most of
it the objects of the request.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport memcmp, memcpy

cimport cython

from _native.framing cimport ACCEPT, CONTENT_TYPE, CORRELATOR, FIELDS, Found, Span
from _native.requests cimport Head, Request, read_clock

cdef extern from *:
    """
    static PyObject *make_instance(PyObject *type, PyObject *nothing) {
        return ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, nothing, NULL);
    }
    """
    object make_instance(object kind, object nothing)

cdef tuple _NOTHING = ()

cdef enum:
    MAX_SEGMENTS = 16  # of a path
    MAX_SEGMENT = 1024  # bytes of an encoded one
    MAX_SHAPES = 64
    # Distinct heads that are remembered, and bytes of the fields of one: at most about 2 MB.
    MAX_HEADS = 1024
    MAX_HEAD_KEY = 1024

cdef unsigned char PLAIN[256]  # what stands for itself in a path


cdef void fill_table() noexcept:
    cdef int code
    cdef bytes plain = b"-._~:@!$*+,"
    for code in range(256):
        PLAIN[code] = (
            c"0" <= code <= c"9" or c"a" <= code <= c"z" or c"A" <= code <= c"Z"
        )
    for code in plain:
        PLAIN[code] = 1


fill_table()


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


cdef Head make_head(Found *found):
    cdef list texts = []
    cdef int field
    for field in range(FIELDS):
        if found.field[field].at != NULL:
            texts.append(to_text(found.field[field]))
        else:
            texts.append(None if field == ACCEPT or field == CONTENT_TYPE else "")
    return Head(*texts)


@cython.final
cdef class Shape:
    """A route: its method, and the segments of its path; None stands for a parameter."""



@cython.final
cdef class RouteTable:
    """The routes that scanners recognise, and the heads they remember.

    `routes`: method, path with `{name}` for parameters, whether requests have a body, and what
    `Request.route` is to be. Requests with a body where there should be none, without one where
    there should be, or with one of more than `max_body` bytes are foreign. `kind` is the class
    of the requests, derived from `Request`; its `__init__` is not called.
    """

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
