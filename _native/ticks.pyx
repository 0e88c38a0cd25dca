# cython: language_level=3, boundscheck=False, wraparound=False
"""The records of one turn of the event loop after the other.

Owns whether anything was appended in this turn, and the one commit of all who wait for it. Must
not: know files or loops; the class that completes it does, and is called once a turn. Costs: one
copy of a record, and no call of Python where there is room.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t

from _native.frames cimport FrameEncoder


cdef class TickRecords:
    def __init__(self, Py_ssize_t reserve_bytes, size_t early_bytes):
        self._reserve_bytes = reserve_bytes
        self._early_bytes = early_bytes

    def _use(self, FrameEncoder encoder not None):
        self._encoder = encoder

    def admit(self, change_bytes=None, /):
        self.reserve(self._reserve_bytes if change_bytes is None else change_bytes)

    cdef int reserve(self, Py_ssize_t change_bytes) except -1:
        cdef FrameEncoder encoder = self._encoder
        if (
            encoder is not None
            and <long long>encoder.measure() + change_bytes > encoder.room
        ):
            self._make_room(change_bytes)
        return 0

    cdef int reserve_usual(self) except -1:
        return self.reserve(self._reserve_bytes)

    def put(self, bytes key not None, bytes document not None):
        self.append(
            PUT,
            PyBytes_AS_STRING(key),
            PyBytes_GET_SIZE(key),
            PyBytes_AS_STRING(document),
            PyBytes_GET_SIZE(document),
        )

    def patch(self, bytes key not None, bytes patch not None):
        self.append(
            PATCH,
            PyBytes_AS_STRING(key),
            PyBytes_GET_SIZE(key),
            PyBytes_AS_STRING(patch),
            PyBytes_GET_SIZE(patch),
        )

    def delete(self, bytes key not None):
        self.append(DELETE, PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), NULL, 0)

    cdef int append(
        self,
        uint8_t operation,
        const char *key,
        Py_ssize_t key_length,
        const char *payload,
        Py_ssize_t payload_length,
    ) except -1:
        cdef FrameEncoder encoder = self._encoder
        if encoder is not None and encoder.append(
            operation, key, <size_t>key_length, payload, <size_t>payload_length
        ) > self._early_bytes:
            self._write_early()
        if not self._is_due:
            self._begin_tick()
        return 0

    def committed(self):
        return self.promise()

    cdef object promise(self):
        return self._give_commit() if self._commit is None else self._commit
