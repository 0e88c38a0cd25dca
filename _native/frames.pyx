# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# distutils: libraries = z
"""The journal's frame encoder and disk space reservation.

Owns the one buffer in which the records of a tick are collected. Knows the layout of a frame
and of a record (docs/journal.md) and nothing of what they mean, of segments or of snapshots.
Not for use from several threads at once; the GIL is kept while a frame is written, because a
write into the page cache is shorter than giving the GIL away and getting it back.

Cost: `add` copies the record once, `write` computes one CRC-32 and makes one write(2).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

cdef extern from "zlib.h":
    unsigned long crc32(unsigned long crc, const unsigned char *data, unsigned int length) nogil

cdef extern from "unistd.h":
    ssize_t c_write "write"(int fd, const void *data, size_t length) nogil

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <fcntl.h>
    #include <linux/falloc.h>
    static int keep_size_fallocate(int fd, long long offset, long long length) {
        return fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
    }
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "the journal's numbers are little endian: add the conversion for this machine"
    #endif
    """
    int keep_size_fallocate(int fd, long long offset, long long length) nogil

cdef enum:
    FRAME_HEADER = 32  # magic 4, body length 4, sequence 8, durable 8, records 4, CRC 4
    FRAME_CRC_AT = 28
    RECORD_HEADER = 7  # operation 1, key length 2, payload length 4
    KEY_LIMIT = 65535  # what the two bytes of a key's length can say

# A frame's body length has four bytes; half of what they can say leaves all sums in range.
cdef size_t FRAME_LIMIT = 0x7FFFFFFF

# What an encoder starts with: the records of an ordinary tick.
cdef size_t FIRST_CAPACITY = 65536

cdef const unsigned char *FRAME_MAGIC = b"\xf5RGF"


@cython.final
cdef class FrameEncoder:
    """Collects records and writes them as one frame.

    `max_payload`: bytes of the largest payload `add` takes. `retained`: bytes of buffer that
    are kept between frames; a larger one, grown for a large frame, is given back after it.
    `room`: bytes of the frame that are sure to find place in the file, as its owner says.
    """

    def __cinit__(self, *, size_t max_payload, size_t retained):
        self._max_payload = min(max_payload, FRAME_LIMIT - FRAME_HEADER - RECORD_HEADER - KEY_LIMIT)
        self._retained = max(retained, FIRST_CAPACITY)
        self._capacity = FIRST_CAPACITY
        self._length = FRAME_HEADER
        self._records = 0
        self.room = -1
        self._buffer = <unsigned char *>malloc(self._capacity)
        if self._buffer == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._buffer)

    @property
    def size(self):
        """Bytes of the frame that `write` would write now; 0 without records."""
        return self.measure()

    cdef size_t measure(self) noexcept:
        return self._length if self._records else 0

    @property
    def records(self):
        """Records added since the last frame."""
        return self._records

    cdef int _grow(self, size_t needed) except -1:
        cdef size_t capacity = self._capacity
        cdef unsigned char *larger
        if needed > FRAME_LIMIT:
            raise ValueError(f"a frame holds at most {FRAME_LIMIT} bytes")
        while capacity < needed:
            capacity *= 2
        larger = <unsigned char *>realloc(self._buffer, capacity)
        if larger == NULL:
            raise MemoryError
        self._buffer = larger
        self._capacity = capacity
        return 0

    def add(self, uint8_t operation, bytes key not None, bytes payload not None):
        """Appends a record; returns the bytes of the frame so far.

        Raises ValueError when the key or the payload is too long; nothing is added then.
        """
        return self.append(
            operation,
            PyBytes_AS_STRING(key),
            <size_t>PyBytes_GET_SIZE(key),
            PyBytes_AS_STRING(payload),
            <size_t>PyBytes_GET_SIZE(payload),
        )

    cdef size_t append(
        self,
        uint8_t operation,
        const char *key,
        size_t key_length,
        const char *payload,
        size_t payload_length,
    ) except 0:
        cdef size_t end
        cdef unsigned char *at
        cdef uint16_t short_length
        cdef uint32_t long_length
        if key_length > KEY_LIMIT:
            raise ValueError(f"the key has {key_length} bytes, at most {KEY_LIMIT} are possible")
        if payload_length > self._max_payload:
            raise ValueError(
                f"the payload has {payload_length} bytes, at most {self._max_payload} are possible"
            )
        end = self._length + RECORD_HEADER + key_length + payload_length
        if end > self._capacity:
            self._grow(end)
        at = self._buffer + self._length
        short_length = <uint16_t>key_length
        long_length = <uint32_t>payload_length
        at[0] = operation
        memcpy(at + 1, &short_length, 2)
        memcpy(at + 3, &long_length, 4)
        memcpy(at + RECORD_HEADER, key, key_length)
        if payload_length:
            memcpy(at + RECORD_HEADER + key_length, payload, payload_length)
        self._length = end
        self._records += 1
        return end

    cdef void _seal(self, uint64_t sequence, uint64_t durable) noexcept:
        cdef uint32_t body = <uint32_t>(self._length - FRAME_HEADER)
        cdef uint32_t checksum
        memcpy(self._buffer, FRAME_MAGIC, 4)
        memcpy(self._buffer + 4, &body, 4)
        memcpy(self._buffer + 8, &sequence, 8)
        memcpy(self._buffer + 16, &durable, 8)
        memcpy(self._buffer + 24, &self._records, 4)
        checksum = <uint32_t>crc32(0, self._buffer, FRAME_CRC_AT)
        checksum = <uint32_t>crc32(checksum, self._buffer + FRAME_HEADER, body)
        memcpy(self._buffer + FRAME_CRC_AT, &checksum, 4)

    def write(self, int fd, uint64_t sequence, uint64_t durable):
        """Writes the frame at the descriptor's position and starts the next; returns its bytes.

        Without records an empty frame is written. Raises OSError; then part of the frame may
        stand in the file (the caller truncates it) and the records are still collected, so
        that the same frame can be written again.
        """
        cdef size_t done = 0
        cdef size_t length = self._length
        cdef ssize_t written
        self._seal(sequence, durable)
        while done < length:
            written = c_write(fd, self._buffer + done, length - done)
            if written < 0:
                if errno == EINTR:
                    continue
                PyErr_SetFromErrno(OSError)
            done += <size_t>written
        self.clear()
        return length

    def encode(self, uint64_t sequence, uint64_t durable):
        """The frame as bytes; the records stay collected."""
        self._seal(sequence, durable)
        return PyBytes_FromStringAndSize(<const char *>self._buffer, <Py_ssize_t>self._length)

    cpdef void clear(self) noexcept:
        """Forgets the collected records."""
        cdef unsigned char *smaller
        self._length = FRAME_HEADER
        self._records = 0
        if self._capacity > self._retained:
            smaller = <unsigned char *>realloc(self._buffer, self._retained)
            if smaller != NULL:
                self._buffer = smaller
                self._capacity = self._retained


def preallocate(int fd, long long offset, long long length):
    """Reserves disk blocks for a range of a file without changing the file's size (Linux).

    Raises OSError: ENOSPC or EDQUOT when there is no room, EOPNOTSUPP, ENOSYS or EINVAL where
    the file system cannot reserve.
    """
    cdef int result
    while True:
        with nogil:
            result = keep_size_fallocate(fd, offset, length)
        if result == 0:
            return
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
