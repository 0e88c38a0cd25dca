from _native.routes cimport RouteTable


cdef class Scanner:
    cdef RouteTable _table
    cdef bytes _buffer
    cdef Py_ssize_t _start  # of what was not yet taken
    cdef Py_ssize_t _stop  # of the item that `next` found
    cdef list _chunks  # of a request whose body is under way
    cdef Py_ssize_t _missing  # bytes of it
    cdef Py_ssize_t _passing  # bytes of a foreign body that are still to come

    cdef void add(self, bytes data)
    cdef object find_next(self)
    cdef bytes take_found(self)
