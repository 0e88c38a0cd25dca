from libc.time cimport time_t


cdef class Reply:
    cdef public int status
    cdef public bytes body
    cdef public object commit
    cdef public object error
    cdef dict _headers


cdef class Composer:
    cdef dict _lines
    cdef bytes _date
    cdef time_t _second

    cdef int refresh_date(self) except -1
    cdef bytes make(self, Reply reply_, str correlator)
