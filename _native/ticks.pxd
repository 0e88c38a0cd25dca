from libc.stdint cimport uint8_t

from _native.frames cimport FrameEncoder

# Operations of records (docs/journal.md).
cdef enum:
    PUT = 1
    PATCH = 2
    DELETE = 3


cdef class TickRecords:
    cdef FrameEncoder _encoder  # None: records go nowhere
    cdef size_t _early_bytes
    cdef Py_ssize_t _reserve_bytes
    cdef public bint _is_due
    cdef public object _commit

    cdef int reserve(self, Py_ssize_t change_bytes) except -1
    cdef int reserve_usual(self) except -1
    cdef int append(
        self,
        uint8_t operation,
        const char *key,
        Py_ssize_t key_length,
        const char *payload,
        Py_ssize_t payload_length,
    ) except -1
    cdef object promise(self)
