from _native.framing cimport Found, Span
from _native.requests cimport Head, Request


cdef class Shape:
    cdef bytes method
    cdef list segments
    cdef tuple names
    cdef str method_name
    cdef object target
    cdef bint has_body


cdef class RouteTable:
    cdef list _shapes
    cdef dict _heads
    cdef Py_ssize_t _max_body
    cdef type _kind

    cdef Shape find(self, Found *found, Span *segments, int count)
    cdef Request recognise(self, Found *found, const char *end)
    cdef Head head(self, Found *found)
