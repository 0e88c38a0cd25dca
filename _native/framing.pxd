"""What `scan` finds of a request."""

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


cdef Outcome scan(const char *start, const char *end, Found *found) noexcept nogil
