cdef class Origin:
    cdef public str tenant
    cdef public object scope
    cdef public str correlator
    cdef public str auth_token
    cdef public str service_header
    cdef public long long notifications
