cdef class Head:
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


cdef class Request:
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


cdef class CorrelatorIds:
    cdef str _prefix
    cdef unsigned long long _count


cdef double read_clock() noexcept nogil
