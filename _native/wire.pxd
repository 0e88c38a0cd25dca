from _native.response cimport ResponseParser


cdef class Wire:
    cdef readonly ResponseParser parser
    cdef readonly object _on_answer
    cdef object _write
    cdef public object _transport
    cdef public bint _is_waiting
    cdef public bint _is_congested
    cdef readonly long long _sent
    cdef public bint is_open

    cdef int ask(self, bytes message, bint is_head) except -1


cdef class Line:
    cdef public Wire _wire
    cdef readonly bytes _message  # of the request under way
    cdef readonly bint _is_head

    cpdef ask(self, bytes message, bint is_head)


cdef class Exchanges:
    cdef readonly object _request
    cdef readonly object _on_end
    cdef public Line _line
    cdef public object _refusal
    cdef public object _redirection
    cdef public object _detour
    cdef object _make_response
    cdef frozenset _redirects

    cdef int forget(self) except -1
