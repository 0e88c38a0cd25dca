from _native.replies cimport Reply
from _native.requests cimport Head, Request


cdef class Tally:
    cdef readonly Head head
    cdef readonly str method
    cdef readonly object route
    cdef readonly int status
    cdef readonly long long requests
    cdef readonly long long request_bytes
    cdef readonly long long response_bytes
    cdef readonly long long microseconds  # of each at least one
    cdef readonly double seconds


cdef class Tallies:
    cdef dict _tallies
    cdef object _note
    cdef readonly long long total  # requests ever counted

    cdef int count(self, Request request, Reply reply, double ended) except -1
