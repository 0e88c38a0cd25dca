cdef class CorrelatorIds
cdef class Counter


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


cdef class Verdict:
    cdef readonly object accepted
    cdef readonly str content_type
    cdef readonly object scope
    cdef readonly str home
    cdef readonly str service
    cdef readonly str tenant
    cdef readonly str auth_token


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
    cdef public long long transaction
    cdef public Verdict verdict
    cdef public object accepted
    cdef public str content_type
    cdef public frozenset options
    cdef public dict parameters
    cdef str _path

    cdef int begin(self, CorrelatorIds correlators, Counter transactions) except -1
    cdef int accept(self, Verdict verdict) except -1


cdef class CorrelatorIds:
    cdef str _prefix
    cdef unsigned long long _count

    cdef str make_next(self)


cdef class Counter:
    cdef public long long made


cdef double read_clock() noexcept nogil
