from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef class FrameEncoder:
    cdef unsigned char *_buffer
    cdef size_t _capacity
    cdef size_t _length  # bytes used, with the room for the frame's header
    cdef uint32_t _records
    cdef size_t _max_payload
    cdef size_t _retained
    cdef public long long room

    cdef size_t measure(self) noexcept
    cdef size_t append(
        self,
        uint8_t operation,
        const char *key,
        size_t key_length,
        const char *payload,
        size_t payload_length,
    ) except 0
    cdef int _grow(self, size_t needed) except -1
    cdef void _seal(self, uint64_t sequence, uint64_t durable) noexcept
    cpdef void clear(self) noexcept
