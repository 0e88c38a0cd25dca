# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Where a plainly framed HTTP/1.1 request ends, and where in it is what routes look at.

Owns the grammar of request line and header fields as far as it is plain: origin-form, CRLF, no
folded lines, Host, and Content-Length or no body (RFC 9110, RFC 9112). What is not is said to
be odd, and judged by nobody here. Keeps nothing, makes no Python object. Costs: about a nanosecond
per byte of a head.
"""

from libc.string cimport memcmp

cdef enum:
    # Of request line and header fields. Clients of the hot routes send a few hundred bytes.
    MAX_HEAD = 16384
    MAX_FIELDS = 64  # header fields
    MAX_LENGTH_DIGITS = 10

cdef unsigned char TOKEN[256]
cdef unsigned char VALUE[256]


cdef void fill_tables() noexcept:
    cdef int code
    cdef bytes token = b"!#$%&'*+-.^_`|~"
    for code in range(256):
        TOKEN[code] = (
            c"0" <= code <= c"9" or c"a" <= code <= c"z" or c"A" <= code <= c"Z"
        )
        VALUE[code] = code == c"\t" or (code >= 0x20 and code < 0x7F)
    for code in token:
        TOKEN[code] = 1


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
